"""Numbers as words: counts that agree with their noun, p-values, quantities with their unit.

Sentences of a report are made here from numbers, so that the grammar is right for none, one and many.
"""

import math
from collections.abc import Iterable, Mapping
from typing import Any

from sciml._printable import UNSAFE

__all__ = [
    "DASH",
    "cell",
    "clean",
    "count",
    "flatten",
    "p_value",
    "per_root_hertz",
    "percent",
    "quantity",
    "sentence",
    "series",
    "times",
    "unit_or_blank",
]

DASH = "–"  # what a table shows where there is no number
SMALLEST_P = 1e-6  # below it a sentence says "p < 1e-6"; tables keep the digits

_PREFIXES = {-12: "p", -9: "n", -6: "µ", -3: "m", 0: "", 3: "k", 6: "M", 9: "G"}
_SECONDS = {"s", "seconds", "second", "sec"}
_IRREGULAR = {
    "series": "series",
    "axis": "axes",
    "frequency": "frequencies",
    "class": "classes",
    "loss": "losses",
    "matrix": "matrices",
}


def clean(text: object) -> str:
    r"""Return text that HTML, SVG and UTF-8 can carry: what is not seen as it is becomes U+FFFD.

    Examples
    --------
    >>> clean("a\x00b")
    'a\ufffdb'
    """
    return UNSAFE.sub("\ufffd", str(text).encode("utf-8", "replace").decode("utf-8"))


def count(n: int, noun: str) -> str:
    """Return a count with its noun.

    Examples
    --------
    >>> count(0, "component"), count(1, "component"), count(1200, "sample"), count(2, "frequency")
    ('no components', '1 component', '1,200 samples', '2 frequencies')
    """
    if n == 1:
        return f"1 {noun}"
    head, _, last = noun.rpartition(" ")
    plural = f"{head} {_IRREGULAR.get(last, last + 's')}".strip()
    return f"no {plural}" if n == 0 else f"{n:,} {plural}"


def p_value(p: float) -> str:
    """Return a p-value as a sentence writes it.

    Examples
    --------
    >>> p_value(3e-24), p_value(0.0123), p_value(1.0), p_value(float("nan"))
    ('p < 1e-6', 'p = 0.012', 'p = 1', 'p not available')
    """
    if math.isnan(p):
        return "p not available"
    return "p < 1e-6" if p < SMALLEST_P else f"p = {p:.2g}"


def percent(fraction: float, digits: int = 1) -> str:
    """Return a fraction in percent.

    Examples
    --------
    >>> percent(0.873), percent(1.0), percent(float("nan"))
    ('87.3 %', '100 %', '–')
    """
    if not math.isfinite(fraction):
        return DASH
    text = f"{100 * fraction:.{digits}f}"
    return (text.rstrip("0").rstrip(".") if "." in text else text) + " %"


def quantity(value: float, unit: str = "") -> str:
    """Return a number of three digits with its unit; seconds, hertz and volts take an SI prefix.

    Examples
    --------
    >>> quantity(8.21, "s"), quantity(0.0123, "s"), quantity(4096, "Hz"), quantity(7200, "s")
    ('8.21 s', '12.3 ms', '4.1 kHz', '2 h')
    >>> quantity(3.1e-21, "strain")
    '3.1e-21 strain'
    """
    if not math.isfinite(value):
        return DASH
    if unit in _SECONDS:
        return _duration(float(f"{value:.3g}"))
    if unit not in {"Hz", "V", "A"} or value == 0:
        return f"{_three(value)} {unit}".strip()
    value = float(f"{value:.3g}")
    power = min(max(3 * math.floor(math.log10(abs(value)) / 3 + 1e-12), -12), 9)
    return f"{_three(value / 10**power)} {_PREFIXES[power]}{unit}"


def _duration(value: float) -> str:
    if abs(value) >= 2 * 3600:
        return f"{_three(value / 3600)} h"
    if abs(value) >= 600:
        return f"{_three(value / 60)} min"
    if value == 0 or abs(value) >= 1:
        return f"{_three(value)} s"
    power = max(3 * math.floor(math.log10(abs(value)) / 3 + 1e-12), -9)
    return f"{_three(value / 10**power)} {_PREFIXES[power]}s"


def _three(value: float) -> str:
    """Three significant digits, no exponent between 0.001 and a million."""
    rounded = float(f"{value:.3g}")
    return f"{value:,.0f}" if 1000 <= abs(rounded) < 1e6 else f"{rounded:.3g}"


def times(shape: Iterable[object]) -> str:
    """Return a shape as it is read, on one line.

    Examples
    --------
    >>> times((64, 7)) == "64\u00a0×\u00a07"
    True
    """
    return "\u00a0×\u00a0".join(f"{size:,}" if isinstance(size, int) else str(size) for size in shape)


def unit_or_blank(text: str) -> str:
    """Return a unit, or "" for what files write where there is none.

    Examples
    --------
    >>> unit_or_blank("volts"), unit_or_blank("n.a.")
    ('volts', '')
    """
    unit = text.strip()
    return "" if unit.lower() in {"none", "n.a.", "n/a", "na", "no unit", "unknown", "dimensionless"} else unit


def per_root_hertz(units: str) -> str:
    """Return the unit of an amplitude spectral density.

    Examples
    --------
    >>> per_root_hertz("V"), per_root_hertz("dF/F"), per_root_hertz("")
    ('V/√Hz', '(dF/F)/√Hz', 'units/√Hz')
    """
    units = unit_or_blank(units)
    return f"{f'({units})' if '/' in units or ' ' in units else units or 'units'}/√Hz"


def sentence(text: str) -> str:
    """Return text with a capital first and a period last.

    Examples
    --------
    >>> sentence("3 channels are constant"), sentence("no clock.")
    ('3 channels are constant.', 'No clock.')
    """
    return text[:1].upper() + text[1:] + ("" if text.endswith(".") else ".")


def series(items: Iterable[str], last: str = "and") -> str:
    """Return items as a sentence lists them.

    Examples
    --------
    >>> series(["60 Hz"]), series(["60 Hz", "331.9 Hz", "500 Hz"])
    ('60 Hz', '60 Hz, 331.9 Hz and 500 Hz')
    """
    words = list(items)
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} {last} {words[-1]}" if words else ""


def cell(value: Any) -> str:
    """Return the text of a table cell: integers in full, other numbers to four digits, a dash for none.

    Examples
    --------
    >>> cell(131072), cell(0.123456), cell(1083.74), cell(None), cell(float("inf")), cell(True)
    ('131,072', '0.1235', '1,083.7', '–', '∞', 'yes')
    """
    if value is None:
        return DASH
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return _float_cell(value)
    if isinstance(value, list | tuple):
        return ", ".join(cell(item) for item in value) or DASH
    return clean(value)


def _float_cell(value: float) -> str:
    if math.isnan(value):
        return DASH
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    return f"{value:,.1f}" if 1000 <= abs(value) < 1e6 else f"{value:.4g}"


def flatten(mapping: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    """Return the leaves of a nested mapping as (dotted name, value).

    Examples
    --------
    >>> flatten({"train": {"lr": 0.001}, "seed": 0})
    [('train.lr', 0.001), ('seed', 0)]
    """
    leaves: list[tuple[str, Any]] = []
    for name, value in mapping.items():
        key = f"{prefix}{name}"
        leaves += flatten(value, f"{key}.") if isinstance(value, Mapping) and value else [(key, value)]
    return leaves
