"""What the caller knows better than the file: axes, unit, rate and scale of a signal, in words or from TOML."""

import os
import tomllib
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from sciml.errors import ConfigError
from sciml.io.arrays import Scale
from sciml.io.schema.clock import Rate
from sciml.io.schema.declarations import Signal
from sciml.io.schema.values import with_order, with_scale
from sciml.recording import TIME

__all__ = ["Overrides", "overrides_from"]


@dataclass(frozen=True)
class Overrides:
    """What replaces the facts that a reader found; None leaves them.

    Attributes
    ----------
    signal
        Path of the values in the file.
    dims
        Names of the axes in the order in which they are stored; "time" comes first in the recording.
    units
        Of the physical values.
    rate
        Samples per second in Hz.
    scale, offset
        Physical value = stored * scale + offset.
    """

    signal: str | None = None
    dims: tuple[str, ...] | None = None
    units: str | None = None
    rate: float | None = None
    scale: float | None = None
    offset: float | None = None

    def apply(self, signal: Signal) -> Signal:
        """Return the declaration of a signal with what is stated here in place of what was found."""
        changes = [
            f"{name} = {value!r}" for name, value in vars(self).items() if name != "signal" and value is not None
        ]
        if not changes:
            return signal
        if signal.values.is_restored:
            raise ConfigError(
                f"{signal.path}: expected no {', '.join(changes)} for a recording that sciml saved; change its attrs"
            )
        signal = self._scaled(signal if self.dims is None else self._reordered(signal, self.dims))
        if self.units is not None:
            signal = replace(signal, unit=self.units, raw_unit=self.units)
        if self.rate is not None and signal.rebin is not None and self.rate > 0:
            signal = signal.rebin(self.rate)
        elif self.rate is not None:
            if signal.dims[:1] != (TIME,):
                raise ConfigError(f"rate={self.rate}: expected dims that name an axis 'time', got {signal.dims}")
            start = signal.clock.start if isinstance(signal.clock, Rate) else 0.0
            signal = replace(signal, clock=Rate(self.rate, start))
        return replace(signal, notes=(*signal.notes, f"stated by the caller: {', '.join(changes)}"))

    def _reordered(self, signal: Signal, dims: tuple[str, ...]) -> Signal:
        """Return the signal with other names of the stored axes, time first."""
        stored = signal.data.shape or ()
        if signal.values.is_folded or not signal.values.is_scaled:
            raise ConfigError(f"dims={dims}: the axes of {signal.path} are made by its reader and cannot be renamed")
        if len(dims) != len(stored) or len(set(dims)) != len(dims):
            raise ConfigError(f"dims={dims}: expected {len(stored)} different names for the stored shape {stored}")
        before = signal.values.order or tuple(range(len(stored)))
        order = tuple(sorted(range(len(dims)), key=lambda axis: dims[axis] != TIME))
        same = order == before and tuple(dims[axis] for axis in order) == signal.dims
        keeps_time = TIME in dims and signal.dims[:1] == (TIME,) and order[0] == before[0]
        return replace(
            signal,
            dims=tuple(dims[axis] for axis in order),
            values=with_order(signal.values, order),
            clock=signal.clock if keeps_time else None,
            coords=signal.coords if same else None,
        )

    def _scaled(self, signal: Signal) -> Signal:
        if self.scale is None and self.offset is None:
            return signal
        if not signal.values.is_scaled:
            raise ConfigError(f"scale, offset: the values of {signal.path} are made by its reader; scale the recording")
        found, offset = signal.values.scale, self.offset or 0.0
        scale = replace(found, offset=offset)
        if self.scale is not None:
            scale = Scale(self.scale, offset, missing=found.missing, kind=found.kind)
        return replace(signal, values=with_scale(signal.values, scale))


def overrides_from(file: str | os.PathLike[str] | None, **changes: Any) -> Overrides:
    """Return a mapping from a TOML file, if one is given, and from what is stated besides, which wins.

    Raises
    ------
    ConfigError
        The file is missing or no TOML, or a key or a value does not fit.
    """
    known = {one.name for one in fields(Overrides)}
    found = _read(Path(file)) if file is not None else {}
    if unknown := sorted(set(found) - known):
        raise ConfigError(f"{file}: unknown {', '.join(unknown)}; expected some of {', '.join(sorted(known))}")
    facts = {**found, **{name: value for name, value in changes.items() if value is not None}}
    for name, value in facts.items():
        facts[name] = _checked(name, value)
    return Overrides(**facts)


def _read(path: Path) -> dict[str, Any]:
    try:
        with path.expanduser().open("rb") as stream:
            return tomllib.load(stream)
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: expected a TOML file with signal, dims, units, rate: {error}") from error


def _checked(name: str, value: Any) -> Any:
    if name == "dims":
        if isinstance(value, str) or not all(isinstance(dim, str) and dim for dim in value):
            raise ConfigError(f"dims={value!r}: expected names of the stored axes, for example ['channel', 'time']")
        return tuple(value)
    if name in ("signal", "units"):
        if not isinstance(value, str):
            raise ConfigError(f"{name}={value!r}: expected text")
        return value
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ConfigError(f"{name}={value!r}: expected a number")
    return float(value)
