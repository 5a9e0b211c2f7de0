"""Whether data are those that a run was started with: a hash of each window's samples, and of what is told of it."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sciml.data.windows import Windows

__all__ = ["Items", "hash_items"]

HASHED = (
    2**16
)  # values of a window that are hashed: all up to so many, else from half of them to all, spread evenly over it
AT_ONCE = 2**24  # values read at a time
SHOWN = 3  # windows that are named


@dataclass(frozen=True, eq=False)
class Items:
    """Hashes of windows: `samples` of the samples of each, `targets` of what is told of it (class, numbers, weight)."""

    samples: Sequence[str]
    targets: Sequence[str]

    def to_dict(self) -> dict[str, list[str]]:
        """Return the hashes by name."""
        return {"samples": list(self.samples), "targets": list(self.targets)}

    def differences(self, stored: Mapping[str, Sequence[str]], windows: Windows) -> str:
        """Return in words which windows are not as they were stored, empty if all are.

        Examples
        --------
        >>> import xarray as xr
        >>> from sciml.data import sliding_windows
        >>> wave = xr.DataArray(np.arange(6.0), dims="time", attrs={"sampling_rate": 1.0})
        >>> windows = sliding_windows(wave, length=2, step=2)
        >>> stored = hash_items(windows).to_dict()
        >>> hash_items(sliding_windows(wave + (wave > 3), length=2, step=2)).differences(stored, windows)
        '1 of 3 windows has other samples (window 2 at 4 s)'
        """
        if len(stored["samples"]) != len(self.samples):
            return f"{len(self.samples)} windows instead of {len(stored['samples'])}"
        found = []
        for what, words in (("samples", "other samples"), ("targets", "another class, number or weight")):
            pairs = enumerate(zip(stored[what], getattr(self, what), strict=True))
            other = [k for k, (before, now) in pairs if before != now]
            if other:
                has = "has" if len(other) == 1 else "have"
                found.append(f"{len(other)} of {len(self.samples)} windows {has} {words} ({_places(windows, other)})")
        return " and ".join(found)


def _places(windows: Windows, indices: Sequence[int]) -> str:
    file = windows.units.get("file")
    named = [f"window {k} at {windows.times[k]:g} s{'' if file is None else f' of {file[k]}'}" for k in indices[:SHOWN]]
    return ", ".join([*named, *(["..."] if len(indices) > SHOWN else [])])


def hash_items(windows: Windows) -> Items:
    """Return hashes of the samples of each window and of what is told of it.

    Of up to 65536 samples all are hashed, of more at least half as many, spread evenly.

    Examples
    --------
    >>> import xarray as xr
    >>> from sciml.data import sliding_windows
    >>> wave = xr.DataArray([0.0, 1, 0, 1, 2, 3], dims="time", attrs={"sampling_rate": 1.0})
    >>> a, b, c = hash_items(sliding_windows(wave, length=2, step=2)).samples
    >>> a == b, a == c
    (True, False)
    """
    size, samples, ahead = windows.n_channels * windows.span, list[str](), list[str]()
    for start in range(0, len(windows), max(1, AT_ONCE // size)):
        chosen = np.arange(start, min(start + max(1, AT_ONCE // size), len(windows)))
        X, y = windows.arrays(chosen)
        samples += _hashes(X)
        ahead += _hashes(np.asarray(y)) if windows.horizon else []
    return Items(samples, ahead or _hashes(_told(windows)))


def _told(windows: Windows) -> NDArray[np.uint8]:
    """Return what is told of each window as bytes, shape (n, bytes): its class by name, numbers, weight, length."""
    columns: list[NDArray[Any]] = [np.zeros(len(windows))]
    if windows.labels is not None:
        names = np.array([hashlib.blake2b(name.encode(), digest_size=8).digest() for name in windows.classes])
        columns.append(names[windows.labels])
    columns += [known for known in (windows.targets, windows.weights, windows.lengths) if known is not None]
    as_bytes = [np.ascontiguousarray(known).reshape(len(windows), -1).view(np.uint8) for known in columns]
    return np.concatenate(as_bytes, axis=1)


def _hashes(values: NDArray[Any]) -> list[str]:
    """Return a hash of each row of an array (n, ...): of all its values, or of 65536 spread evenly over it."""
    rows = values.reshape(len(values), -1)
    rows = np.ascontiguousarray(rows[:, :: max(1, -(-rows.shape[1] // HASHED))])
    return [hashlib.blake2b(row.tobytes(), digest_size=8).hexdigest() for row in rows]
