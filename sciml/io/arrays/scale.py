"""From stored to physical values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sciml.io.hdf5.source import is_integer

__all__ = ["Missing", "Scale", "physical"]


@dataclass(frozen=True)
class Missing:
    """Which stored values stand for none: some single ones, and those below `low` or above `high`."""

    values: tuple[float, ...] = ()
    low: float | None = None
    high: float | None = None

    def of(self, stored: NDArray[Any]) -> NDArray[np.bool_]:
        """Return whether each stored value stands for none."""
        found = np.zeros(stored.shape, dtype=bool)
        for value in self.values:
            found |= stored == value
        if self.low is not None:
            found |= stored < self.low
        if self.high is not None:
            found |= stored > self.high
        return found

    @property
    def words(self) -> str:
        """What is missing, in words."""
        said = [", ".join(f"{value:g}" for value in self.values)] if self.values else []
        said += [] if self.low is None else [f"what is below {self.low:g}"]
        said += [] if self.high is None else [f"what is above {self.high:g}"]
        return f"{' and '.join(said)} is missing (NaN)"


@dataclass(frozen=True)
class Scale:
    """From stored to physical values: `(stored - zero) * factor * per_channel + offset`, with `missing` as NaN.

    `per_channel`, and `zero` if there are several, run along `axis` of the stored array. `kind` "u" or "i": stored
    integers are read as unsigned or signed ones of the same bytes, as the `_Unsigned` of netCDF asks for.
    """

    factor: float = 1.0
    offset: float = 0.0
    per_channel: tuple[float, ...] | None = None
    axis: int = 1
    missing: Missing | None = None
    zero: float | tuple[float, ...] = 0
    kind: str = ""

    @property
    def identity(self) -> bool:
        """Whether stored values are the physical ones."""
        return self == Scale(axis=self.axis)

    @property
    def formula(self) -> str:
        """What `apply` computes, in words."""
        stored = "stored" if self.zero == 0 else f"(stored - {self.zero})"
        gains = "" if self.per_channel is None else " * the gain of the channel"
        return f"{stored} * {self.factor}{gains} + {self.offset}"

    def apply(self, stored: NDArray[Any], key: tuple[Any, ...]) -> NDArray[Any]:
        """Return physical values (float64 or complex128) of the stored values that `key` selected."""
        stored = self.retyped(stored)
        values = self.centered(stored, key)
        values *= self.factor if self.per_channel is None else self._along(self.per_channel, key) * self.factor
        values += self.offset
        if self.missing is not None:
            values[self.missing.of(stored)] = np.nan
        return values

    def converted(self, stored: NDArray[Any], key: tuple[Any, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
        """Return what `apply` does as values of a dtype; if that is but a factor, in one pass through memory."""
        if not self._is_factor or stored.dtype.kind not in "iuf" or dtype.kind != "f":
            return self.apply(stored, key).astype(dtype, copy=False)
        found = np.empty(stored.shape, dtype)
        np.multiply(self.retyped(stored), self.factor, out=found, dtype=np.float64, casting="unsafe")
        return found

    @property
    def _is_factor(self) -> bool:
        return self == Scale(factor=self.factor, axis=self.axis, kind=self.kind)

    def retyped(self, stored: NDArray[Any]) -> NDArray[Any]:
        """Return stored integers as signed or unsigned ones, whichever they are meant to be."""
        return stored.astype(f"{self.kind}{stored.dtype.itemsize}") if self.kind else stored

    def centered(self, stored: NDArray[Any], key: tuple[Any, ...]) -> NDArray[Any]:
        """Return `stored - zero` in float64 or complex128; integers are subtracted as such, exact beyond 2**53."""
        wide = np.result_type(stored.dtype, np.float64)
        if self.zero == 0:
            return stored.astype(wide)
        if stored.dtype.kind in "iu":
            stored = stored.astype(np.int64)
        zero = self._along(self.zero, key) if isinstance(self.zero, tuple) else self.zero
        return np.asarray(stored - zero).astype(wide)

    def _along(self, values: tuple[float, ...], key: tuple[Any, ...]) -> NDArray[Any]:
        """Return the values of the channels that `key` selected, shaped to broadcast against what it selected."""
        chosen = np.asarray(np.asarray(values)[key[self.axis]])
        behind = sum(not is_integer(item) for item in key[self.axis + 1 :])
        return chosen.reshape(chosen.shape + (1,) * behind) if chosen.ndim else chosen


def physical(stored: np.dtype[Any], *, scaled: bool) -> np.dtype[Any]:
    """Return the dtype in which physical values of a stored dtype are handed out."""
    if stored.kind in "iuf" and stored.itemsize <= 2:
        return np.dtype(np.float32)
    if not scaled:
        return stored.newbyteorder("=")
    return np.dtype(np.complex128 if stored.kind == "c" else np.float64)
