"""Text as files store it: bytes or strings, UTF-8 or Latin-1, padded, alone in an array; and the units in it."""

import re
from typing import Any

import h5py
import numpy as np

__all__ = ["METERS", "clean_unit", "decode", "decode_array", "seconds_per", "split_unit", "text", "unit_symbol"]

BLANK_UNITS = frozenset({"", "none", "no unit", "nounit", "n.a.", "n/a", "na", "unknown", "-", "null"})

# Spellings that no unit library reads, and what they mean.
UNIT_SPELLINGS = {
    "micro.second": "microsecond",
    "milli.second": "millisecond",
    "nano.second": "nanosecond",
    "micron": "micrometer",
    "microns": "micrometer",
    "a.u.": "arbitrary",
    "arb. unit": "arbitrary",
    "arbitrary units": "arbitrary",
}

# How many meters a length is in.
METERS = {"": 1.0, "m": 1.0, "meter": 1.0, "meters": 1.0, "km": 1e3, "cm": 1e-2, "mm": 1e-3, "ft": 0.3048}

# Words and the symbols of the same units, as physicists write them.
NAMES = {
    "V": ("volt", "volts"),
    "mV": ("millivolt", "millivolts"),
    "uV": ("microvolt", "microvolts", "\u00b5v"),
    "A": ("ampere", "amperes", "amp", "amps"),
    "nA": ("nanoampere", "nanoamperes"),
    "pA": ("picoampere", "picoamperes"),
    "s": ("sec", "second", "seconds"),
    "ms": ("millisecond", "milliseconds"),
    "us": ("microsecond", "microseconds", "\u00b5s"),
    "ns": ("nanosecond", "nanoseconds"),
    "Hz": ("hertz",),
    "m": ("meter", "meters", "metre", "metres"),
    "mm": ("millimeter", "millimeters", "millimetre"),
    "um": ("micrometer", "micrometers", "micrometre", "\u00b5m"),
    "nm": ("nanometer", "nanometers", "nanometre"),
    "angstrom": ("angstroms", "\u00e5"),
    "1/angstrom": ("1/a", "1/angstroms", "angstrom^-1", "a^-1", "1/\u00e5"),
    "deg": ("degree", "degrees"),
    "rad": ("radian", "radians"),
    "count": ("counts",),
    "eV": ("electronvolt", "electronvolts"),
    "K": ("kelvin", "kelvins"),
    "degC": ("celsius", "degree_celsius", "\u00b0c"),
    "C": ("coulomb", "coulombs"),
    "pC": ("picocoulomb", "picocoulombs"),
}
SYMBOLS = {word: symbol for symbol, words in NAMES.items() for word in words}

# Symbols of the SI and of laboratories, with prefixes.
SYMBOL = re.compile(
    "(?:da|[yzafpnu\u00b5\u03bcmcdhkMGTPEZY])?"
    "(?:m|g|s|A|K|mol|cd|Hz|N|Pa|J|W|C|V|F|\u03a9|ohm|Ohm|S|Wb|T|H|eV|L|l|bar|rad|Gs|G|B|dB|cps|sr|Bq|Gy|M)"
    "|%|\u00b0|\u00b0C|\u00c5|A\u0308|px|deg|min|h|d|dB|Oe|Torr|torr|ppm|ppb|rpm"
)

SECONDS = {
    1.0: ("s", "sec", "secs", "second", "seconds"),
    1e-3: ("ms", "msec", "msecs", "millisecond", "milliseconds"),
    1e-6: ("us", "µs", "usec", "usecs", "microsecond", "microseconds"),
    1e-9: ("ns", "nsec", "nsecs", "nanosecond", "nanoseconds"),
    1e-12: ("ps", "picosecond", "picoseconds"),
    1e-15: ("fs", "femtosecond", "femtoseconds"),
    60.0: ("min", "mins", "minute", "minutes"),
    3600.0: ("h", "hr", "hrs", "hour", "hours"),
    86400.0: ("d", "day", "days"),
}
SECONDS_PER = {spelling: factor for factor, spellings in SECONDS.items() for spelling in spellings}
WORDS = {*SYMBOLS, *(name.lower() for name in NAMES), *SECONDS_PER, *UNIT_SPELLINGS, "counts", "samples", "pixels"}


def text(value: str | bytes) -> str:
    r"""Return text as `str`: UTF-8, and Latin-1 where the bytes are not UTF-8.

    Examples
    --------
    >>> text(b"\xb5m"), text("caf\u00e9".encode())
    ('µm', 'café')
    """
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError:  # h5py hands over bytes that are not UTF-8 as surrogates
            return text(value.encode("utf-8", "surrogateescape"))
        return value
    value = value.rstrip(b"\0")
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")


def decode(value: Any) -> Any:
    """Return an attribute value as plain Python: `str`, number, tuple of strings, array, or None if it is empty.

    An array of one element becomes that element. References stay references: nothing is followed.

    Examples
    --------
    >>> decode(np.array([b"NXdata"])), decode(np.float32(0.5)), decode(h5py.Empty("f"))
    ('NXdata', 0.5, None)
    """
    if isinstance(value, h5py.Empty):
        return None
    if isinstance(value, (str, bytes)):
        return text(value)
    if isinstance(value, np.ndarray):
        if value.size == 1:
            return decode(value.reshape(-1)[0])
        return tuple(decode(item) for item in value.ravel()) if value.dtype.kind in "SOU" else value
    return value.item() if isinstance(value, np.generic) and value.dtype.kind in "iufcb" else value


def decode_array(values: Any) -> np.ndarray[Any, Any]:
    """Return an array with text as `str`; numbers are left as they are."""
    array = np.asarray(values)
    if array.dtype.kind not in "SO":
        return array
    flat = [text(item) if isinstance(item, (str, bytes)) else item for item in array.ravel().tolist()]
    if all(isinstance(item, str) for item in flat):
        return np.array(flat, dtype=str).reshape(array.shape)
    mixed = np.empty(len(flat), dtype=object)
    mixed[:] = flat
    return mixed.reshape(array.shape)


def clean_unit(raw: str) -> str:
    """Return a unit as text that a unit library can read: blanks for "none", one spelling for odd ones.

    Examples
    --------
    >>> clean_unit(" volts "), clean_unit("No unit"), clean_unit("micro.second")
    ('volts', '', 'microsecond')
    >>> clean_unit("time (s)"), clean_unit("[n_m]"), clean_unit("[n_m^-1]")
    ('s', 'nm', 'nm^-1')
    """
    unit = raw.strip().replace("\u03bc", "\u00b5")  # Greek mu and the micro sign look alike and differ
    if re.fullmatch(r"\[.*\]", unit):  # the first EMD files write nanometers as [n_m]
        unit = unit[1:-1].replace("_", "").strip()
    if unit.lower() in BLANK_UNITS:
        return ""
    name, inside = split_unit(unit)
    if inside and not is_unit(name):
        unit = inside
    return UNIT_SPELLINGS.get(unit.lower(), unit)


def split_unit(name: str) -> tuple[str, str]:
    """Return a name and the unit that it ends with in brackets, "" if it ends with none.

    Examples
    --------
    >>> split_unit("time (s)"), split_unit("Frequency [Hz]"), split_unit("S(q)"), split_unit("energy")
    (('time', 's'), ('Frequency', 'Hz'), ('S(q)', ''), ('energy', ''))
    """
    found = re.fullmatch(r"\s*(\S.*?)[\s_]*[(\[]\s*([^()\[\]]+?)\s*[)\]]\s*", name)
    return (found[1], found[2]) if found and is_unit(found[2]) else (name, "")


def is_unit(word: str) -> bool:
    """Whether a text is made of units: names, or symbols with prefixes, powers, products and quotients.

    Examples
    --------
    >>> is_unit("mV"), is_unit("1/cm"), is_unit("kg m^-2"), is_unit("seconds"), is_unit("a label")
    (True, True, True, True, False)
    """
    parts = [part for part in re.split(r"[\s*/.]+|(?:\^|\*\*)?[-+]?\d+", word.strip()) if part]
    return bool(parts) and all(part.lower() in WORDS or SYMBOL.fullmatch(part) for part in parts)


def unit_symbol(unit: str) -> str | None:
    """Return the symbol of a unit that is written as a word, or in an odd way; None if it is a symbol, or unknown.

    Examples
    --------
    >>> unit_symbol("volts"), unit_symbol("micrometer"), unit_symbol("1/A"), unit_symbol("mV"), unit_symbol("lumens")
    ('V', 'um', '1/angstrom', None, None)
    """
    return SYMBOLS.get(unit.strip().lower())


def seconds_per(unit: str) -> float | None:
    """Return how many seconds one unit of time is, None if the text is no unit of time.

    The form "seconds since 2020-01-01" is understood.

    Examples
    --------
    >>> seconds_per("micro.second"), seconds_per("minutes since 2020-01-01"), seconds_per("volts")
    (1e-06, 60.0, None)
    """
    return SECONDS_PER.get(clean_unit(unit).split(" since ")[0].strip().lower())
