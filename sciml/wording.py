"""Numbers as words: counts that agree with their noun, p-values, quantities with their unit.

What a person reads, in a report, a summary or a terminal, is made here from numbers: one format for each kind of
number, and the grammar right for none, one and many.
"""

import math
import re
from collections.abc import Iterable, Mapping
from typing import Any

from sciml._printable import UNSAFE

__all__ = [
    "DASH",
    "cell",
    "clean",
    "count",
    "cut",
    "flatten",
    "natural",
    "p_number",
    "p_value",
    "per_root_hertz",
    "percent",
    "quantity",
    "sentence",
    "series",
    "share",
    "times",
    "unit_or_blank",
]

DASH = "–"  # what a table shows where there is no number
SMALLEST_P = 1e-6  # below it a person reads "p < 1e-6": no law is known further out; JSON keeps the digits

_PREFIXES = {-12: "p", -9: "n", -6: "µ", -3: "m", 0: "", 3: "k", 6: "M", 9: "G"}
_POWERS = {prefix: power for power, prefix in _PREFIXES.items()} | {"u": -6, "μ": -6}
_BASES = {"Hz", "V", "A", "T", "Pa", "W", "J", "N", "eV", "s"}
_SPELLED = {
    "hertz": "Hz", "volt": "V", "volts": "V", "ampere": "A", "amperes": "A", "tesla": "T", "pascal": "Pa", "watt": "W",
    "joule": "J", "newton": "N", "s": "s", "sec": "s", "second": "s", "seconds": "s",
}  # fmt: skip
_SPELLED_PREFIXES = {
    "pico": "p",
    "nano": "n",
    "micro": "µ",
    "milli": "m",
    "": "",
    "kilo": "k",
    "mega": "M",
    "giga": "G",
}
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


def cut(text: str, most: int) -> str:
    """Return text of at most so many characters; of longer text its first, with an ellipsis.

    Examples
    --------
    >>> cut("a long name", 7), cut("short", 7)
    ('a long…', 'short')
    """
    return text if len(text) <= most else text[: most - 1].rstrip() + "…"


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


def p_number(p: float) -> str:
    """Return a p-value as a table writes it, under a head that says what it is.

    Examples
    --------
    >>> p_number(0.0), p_number(0.0123), p_number(float("nan"))
    ('< 1e-6', '0.012', '–')
    """
    if math.isnan(p):
        return DASH
    return p_value(p).removeprefix("p ").removeprefix("= ")


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


def share(fraction: float) -> str:
    """Return a part of a whole that may be tiny: in percent, else as a power of ten.

    Examples
    --------
    >>> share(0.423), share(0.00042), share(3e-9), share(1.0)
    ('42 %', '0.042 %', '3e-09', '100 %')
    """
    if not math.isfinite(fraction):
        return DASH
    return f"{100 * fraction:.{3 if fraction >= 0.9995 else 2}g} %" if fraction >= 1e-5 else f"{fraction:.1g}"


def quantity(value: float, unit: str = "", digits: int = 3) -> str:
    """Return a number of a few digits with its unit, in engineering style: physical units take the prefix that fits.

    Examples
    --------
    >>> quantity(8.21, "s"), quantity(0.0123, "s"), quantity(4096, "Hz"), quantity(7200, "s")
    ('8.21 s', '12.3 ms', '4.1 kHz', '2 h')
    >>> quantity(3.78e-5, "volts"), quantity(0.0378, "mV"), quantity(3.1e-21, "strain"), quantity(49.97, "Hz", digits=4)
    ('37.8 µV', '37.8 µV', '3.1e-21 strain', '49.97 Hz')
    """
    if not math.isfinite(value):
        return DASH
    known = _known(unit)
    if known is None or value == 0:
        return f"{_rounded(value, digits)} {unit}".strip()
    prefix, base = known
    value = float(f"{value:.{digits}g}") * 10.0 ** _POWERS[prefix]
    if base == "s" and abs(value) >= 600:
        return _duration(value, digits)
    value = float(f"{value:.{digits}g}")
    power = min(max(3 * math.floor(math.log10(abs(value)) / 3 + 1e-12), -12), 0 if base == "s" else 9)
    return f"{_rounded(value / 10.0**power, digits)} {_PREFIXES[power]}{base}"


def _known(unit: str) -> tuple[str, str] | None:
    """Return prefix and base of a physical unit that takes prefixes, however it is spelled; None for others."""
    for prefix in ("", *_POWERS):
        if unit.startswith(prefix) and unit[len(prefix) :] in _BASES:
            return prefix, unit[len(prefix) :]
    word = unit.lower()
    for spelled, prefix in _SPELLED_PREFIXES.items():
        if word.startswith(spelled) and word[len(spelled) :] in _SPELLED:
            return prefix, _SPELLED[word[len(spelled) :]]
    return None


def _duration(value: float, digits: int) -> str:
    hours = abs(value) >= 2 * 3600
    return f"{_rounded(value / (3600 if hours else 60), digits)} {'h' if hours else 'min'}"


def _rounded(value: float, digits: int) -> str:
    """Return significant digits, no exponent between 0.001 and a million."""
    rounded = float(f"{value:.{digits}g}")
    return f"{value:,.0f}" if 10**digits <= abs(rounded) < 1e6 else f"{rounded:.{digits}g}"


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


def natural(name: str) -> tuple[tuple[bool, float, str], ...]:
    """Return a key by which names sort as people count: numbers in them by their value.

    Examples
    --------
    >>> sorted(["180", "90", "0", "-45", "trial 10", "trial 9"], key=natural)
    ['-45', '0', '90', '180', 'trial 9', 'trial 10']
    """
    if re.fullmatch(r"[+-]?\d+(\.\d+)?", name):
        return ((False, float(name), ""),)
    parts = re.split(r"(\d+(?:\.\d+)?)", name)
    return tuple(
        (i % 2 == 0, float(part) if i % 2 else 0.0, part if i % 2 == 0 else "") for i, part in enumerate(parts)
    )


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
