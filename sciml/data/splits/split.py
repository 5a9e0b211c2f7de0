"""A split of windows into train, validation and test: what was kept whole, how far parts are apart, and its hash."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sciml.data.splits.parts import PARTS, TOLERANCE, class_counts, nearest_parts
from sciml.data.windows import Windows
from sciml.errors import DataError
from sciml.result import card, shown

__all__ = ["RANDOM", "TIME_BLOCK", "Block", "Split", "make_split"]

TIME_BLOCK, RANDOM = "time block", "random window"
FORMAT = 2
OLD = 1  # the blocks of this format have no names


@dataclass(frozen=True)
class Block:
    """A piece that is kept whole: its first and last moment in seconds, the part it belongs to, and its name if any."""

    start: float
    stop: float
    part: str
    name: str = ""


@dataclass(frozen=True, eq=False, repr=False)
class Split:
    """Which windows train, which choose the best epoch, which evaluate; no two parts of a file closer than `gap`.

    Attributes
    ----------
    train, validation, test
        Indices into the windows, sorted by time.
    gap
        Smallest distance in seconds between windows of different parts in one file.
    blocks
        What was kept whole: blocks of time in order, or units such as sessions.
    block
        Number of the block of each window, shape (n_windows,): the unit of independence.
    dropped
        Windows left out for the gap, by part.
    seed
        Seed of the assignment of blocks.
    windows
        Fingerprint of the windows that were split.
    unit
        What a block is: "time block", "session", ...; "random window" where windows were dealt one by one.
    """

    train: NDArray[np.int64]
    validation: NDArray[np.int64]
    test: NDArray[np.int64]
    gap: float
    blocks: tuple[Block, ...]
    block: NDArray[np.int64]
    dropped: Mapping[str, int] = field(default_factory=dict)
    seed: int = 0
    windows: str = ""
    unit: str = TIME_BLOCK

    @property
    def parts(self) -> dict[str, NDArray[np.int64]]:
        """Indices by name of the part."""
        return {"train": self.train, "validation": self.validation, "test": self.test}

    @property
    def sha256(self) -> str:
        """Hash of the split: equal hashes mean equal parts of equal windows."""
        return _digest({key: value for key, value in self.to_dict().items() if key != "sha256"})

    def class_counts(self, windows: Windows) -> dict[str, dict[str, int]]:
        """Return the number of windows of each class in each part; empty where windows have no label.

        Examples
        --------
        >>> import xarray as xr
        >>> from sciml.data import sliding_windows, split_by_time
        >>> wave = xr.DataArray(np.zeros(9), dims="time", attrs={"sampling_rate": 1.0})
        >>> windows = sliding_windows(wave, length=1, step=1)
        >>> split_by_time(windows, gap=0, seed=0).class_counts(windows)
        {}
        """
        if windows.labels is None:
            return {}
        return {part: class_counts(windows, indices) for part, indices in self.parts.items()}

    @property
    def leaks(self) -> bool:
        """Whether windows were dealt one by one, so that neighbors in time are in different parts."""
        return self.unit == RANDOM

    def check(self, windows: Windows) -> float:
        """Verify the split against windows; return the smallest distance in seconds between two parts.

        Raises
        ------
        DataError
            The windows are not those that were split, a window is in two parts, or two parts are closer than `gap`.

        Examples
        --------
        >>> import xarray as xr
        >>> from sciml.data import sliding_windows, split_by_time
        >>> wave = xr.DataArray(np.zeros(60), dims="time", attrs={"sampling_rate": 1.0})
        >>> windows = sliding_windows(wave, length=2, step=1)
        >>> split_by_time(windows, n_blocks=5, seed=0).check(windows)
        2.0
        """
        if fingerprint(windows) != self.windows:
            raise DataError(
                f"expected the {len(self.block)} windows that were split, got {len(windows)} windows "
                "with other starts or lengths; split these windows anew, or cut them as before"
            )
        chosen = np.concatenate(list(self.parts.values()))
        if len(np.unique(chosen)) != len(chosen):
            raise DataError(f"expected each window in one part, got {len(chosen) - len(np.unique(chosen))} in two")
        nearest = nearest_parts(windows, self.parts)
        allowed = -np.inf if self.leaks else max(0.0, self.gap) - TOLERANCE / windows.rate
        if nearest.seconds < allowed:
            first, second = nearest.parts
            raise DataError(
                f"expected {self.gap:g} s between windows of different parts, got {nearest.seconds:g} s between "
                f"{first} and {second} at {windows.times[nearest.windows[1]]:g} s; split the windows anew"
            )
        return nearest.seconds

    def independence(self) -> str:
        """Return what was kept whole, and how many of it there are, in words.

        Examples
        --------
        >>> import xarray as xr
        >>> from sciml.data import sliding_windows, split_by_time
        >>> wave = xr.DataArray(np.zeros(60), dims="time", attrs={"sampling_rate": 1.0})
        >>> split_by_time(sliding_windows(wave, length=2, step=1), n_blocks=5, seed=0).independence()
        'unit of independence: time block, n = 5'
        """
        if self.leaks:
            return "no unit of independence: windows dealt at random (allow_leakage), their scores are no test"
        return f"unit of independence: {self.unit}, n = {len(self.blocks)}"

    def summary(self) -> str:
        """Return the sizes of the parts in one line."""
        sizes = ", ".join(f"{len(indices)} {part}" for part, indices in self.parts.items())
        return f"{sizes}; {self.independence()}; {self.gap:g} s apart"

    def __repr__(self) -> str:
        sizes = ", ".join(f"{len(indices)} {part}" for part, indices in self.parts.items())
        return shown(f"Split: {sizes} windows", self.independence(), self._apart())

    def _repr_html_(self) -> str:
        n = {part: sum(block.part == part for block in self.blocks) for part in PARTS}
        whole = "blocks" if self.leaks else f"{self.unit}s"
        rows = [(part, len(found), n[part], self.dropped.get(part, 0)) for part, found in self.parts.items()]
        answer = f"{self.independence()}; {self._apart()}"
        return card("Split", answer, ("part", "windows", whole, "left out for the gap"), rows)

    def _apart(self) -> str:
        """Say how far parts are apart."""
        return f"parts are {self.gap:g} s apart or more" if np.isfinite(self.gap) and self.gap >= 0 else ""

    def to_dict(self) -> dict[str, Any]:
        """Return the split as plain numbers and strings, with its hash, to be stored as JSON.

        Examples
        --------
        >>> import xarray as xr
        >>> from sciml.data import sliding_windows, split_by_time
        >>> wave = xr.DataArray(np.zeros(60), dims="time", attrs={"sampling_rate": 1.0})
        >>> split = split_by_time(sliding_windows(wave, length=2, step=1), n_blocks=5, seed=0)
        >>> Split.from_dict(split.to_dict()).sha256 == split.sha256
        True
        """
        content: dict[str, Any] = {
            "format": FORMAT,
            **{part: indices.tolist() for part, indices in self.parts.items()},
            "gap": self.gap,
            "blocks": [[block.start, block.stop, block.part, block.name] for block in self.blocks],
            "block": self.block.tolist(),
            "dropped": dict(self.dropped),
            "seed": self.seed,
            "windows": self.windows,
            "unit": self.unit,
        }
        return {**content, "sha256": _digest(content)}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> "Split":
        """Return the split that `to_dict` described.

        Raises
        ------
        DataError
            A key is missing, the format is another, or the content does not match its hash.

        Examples
        --------
        >>> Split.from_dict({"format": 1})
        Traceback (most recent call last):
        sciml.errors.DataError: expected a stored split with its hash, got keys ['format']; split the windows anew
        """
        stored = content.get("sha256")
        if stored is None or content.get("format") not in (OLD, FORMAT):
            raise DataError(
                f"expected a stored split with its hash, got keys {sorted(content)}; split the windows anew"
            )
        if _digest({key: value for key, value in content.items() if key != "sha256"}) != stored:
            raise DataError(
                f"expected a split with sha256 {stored[:12]}, got another content: the stored split was changed; "
                "restore it, or split the windows anew"
            )
        fields: dict[str, Any] = {name: content[name] for name in ("gap", "dropped", "seed", "windows", "unit")}
        fields |= {name: np.asarray(content[name], dtype=np.int64) for name in (*PARTS, "block")}
        return cls(blocks=tuple(Block(*each) for each in content["blocks"]), **fields)


def make_split(
    windows: Windows,
    unit_of: NDArray[np.int64],
    part_of_unit: NDArray[np.int64],
    kept: NDArray[np.bool_],
    *,
    gap: float,
    seed: int,
    unit: str,
    names: tuple[str, ...] = (),
) -> Split:
    """Return the split that puts each window of a unit into its part, those that are kept.

    Parameters
    ----------
    windows
        The windows.
    unit_of
        Number of the unit of each window, shape (n,).
    part_of_unit
        Number of the part of each unit, as in train, validation, test; shape (n_units,).
    kept
        Which windows were not dropped, shape (n,).
    gap, seed, unit
        As in `Split`.
    names
        Of the units; empty for blocks of time.
    """
    part = part_of_unit[unit_of]
    order = np.argsort(windows.starts, kind="stable")
    indices = {name: order[kept[order] & (part[order] == p)] for p, name in enumerate(PARTS)}
    dropped = {name: int(np.count_nonzero(~kept & (part == p))) for p, name in enumerate(PARTS)}
    return Split(
        **indices,
        gap=gap,
        blocks=_blocks(windows, unit_of, part_of_unit, names),
        block=unit_of,
        dropped=dropped,
        seed=seed,
        windows=fingerprint(windows),
        unit=unit,
    )


def _blocks(
    windows: Windows, unit_of: NDArray[np.int64], part_of_unit: NDArray[np.int64], names: tuple[str, ...]
) -> tuple[Block, ...]:
    """Return the first and last moment of each unit."""
    start, stop = np.full(len(part_of_unit), np.inf), np.full(len(part_of_unit), -np.inf)
    np.minimum.at(start, unit_of, windows.times)
    np.maximum.at(stop, unit_of, windows.stops)
    labels = names or ("",) * len(part_of_unit)
    rows = zip(start.tolist(), stop.tolist(), part_of_unit.tolist(), labels, strict=True)
    return tuple(Block(first, last, PARTS[part], name) for first, last, part, name in rows)


def fingerprint(windows: Windows) -> str:
    """Return a hash of what the windows are: their lengths, starts and targets, but not their samples."""
    digest = hashlib.sha256(f"{windows.length} {windows.horizon} {windows.classes}".encode())
    digest.update(np.ascontiguousarray(windows.starts).tobytes())
    for known in (windows.labels, windows.targets, windows.lengths, windows.weights):
        if known is not None:
            digest.update(np.ascontiguousarray(known).tobytes())
    return digest.hexdigest()


def _digest(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
