"""Frames that were repeated, interpolated or smoothed: their noise is not new, which a noise floor takes it to be.

A frame is repeated where each of its voxels has the value of the frame before, and interpolated where each is the mean
of the frames before and after; both only if that is no chance, as it is in sparse counts. Noise that is independent
from frame to frame has the same power at all frequencies; smoothing in time takes it from the higher ones. What the
denoiser removed is looked at, of which signal has no part, in three bands up to half the frame rate.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import reduce
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from sciml._typing import AnyArray, BoolArray, FloatArray

__all__ = ["Frames", "frames", "said_of_frames"]

LEAST = 16  # frames below which spectra say little
SURE = math.log(1e-12)  # the probability that frames are alike by chance
TYPICAL = 0.1  # of the frames are less alike than what is taken for chance
BANDS = (1 / 8, 1 / 4, 3 / 8, 1 / 2)  # of the frame rate
SMOOTH = 0.6  # power in a higher band over that in the lowest, below which noise was smoothed
FEWEST = 300.0  # values of power spectra that tell
ROUNDING = 4  # last digits by which a mean of two numbers may be off
NAMED = 8
SLAB = 2**20


@dataclass(frozen=True)
class Frames:
    """What a part of a movie says of its frames.

    `same`, `between`: frames of which all voxels are the one before, or the mean of both neighbors; `odds`: logarithms
    of the probabilities of that by chance; `ratios`: number, sum and sum of squares of the voxels' variance ratios.
    """

    same: tuple[int, ...] = ()
    between: tuple[int, ...] = ()
    odds: tuple[float, float] = (0.0, 0.0)
    voxels: int = 0
    bands: tuple[float, float, float] = (0.0, 0.0, 0.0)

    def to_dict(self) -> dict[str, Any]:
        """Return the fields, for a journal in JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, found: Mapping[str, Any]) -> "Frames":
        """Return what a journal says."""
        tuples: dict[str, Any] = {name: tuple(each) if name != "voxels" else each for name, each in found.items()}
        return cls(**tuples)

    def __add__(self, other: "Frames") -> "Frames":
        same, between = (
            tuple(sorted({*mine} & {*theirs}))
            for mine, theirs in ((self.same, other.same), (self.between, other.between))
        )
        odds = (self.odds[0] + other.odds[0], self.odds[1] + other.odds[1])
        low, middle, high = (a + b for a, b in zip(self.bands, other.bands, strict=True))
        return Frames(same, between, odds, self.voxels + other.voxels, (low, middle, high))


def frames(
    values: AnyArray, denoised: AnyArray, known: BoolArray | None, used: BoolArray, dtype: DTypeLike
) -> Frames | None:
    """Return what the voxels in use (*space) say; None if there are none, or few frames.

    Parameters
    ----------
    values, denoised
        Values before and after, (*space, frame).
    known
        Where values were measured, (*space, frame); None: everywhere.
    dtype
        Of the values as they were recorded: means of whole numbers are rounded.
    """
    n = values.shape[-1]
    if n < LEAST or not used.any():
        return None
    which = np.flatnonzero(used)
    before, after = values.reshape(-1, n), denoised.reshape(-1, n)
    there = None if known is None else known.reshape(-1, n)
    counts, bands, rows = np.zeros((4, n)), np.zeros(3), max(1, SLAB // n)
    for start in range(0, len(which), rows):
        part = which[start : start + rows]
        x = before[part] if there is None else np.where(there[part], before[part], np.nan)
        counts += _alike(x, np.dtype(dtype))
        bands += _bands(np.nan_to_num(x - after[part]))
    same, between = (np.flatnonzero((alike == of) & (of > 0)) for alike, of in (counts[:2], counts[2:]))
    odds = (_odds(*counts[:2]), _odds(*counts[2:]))
    low, middle, high = bands.tolist()
    return Frames(tuple(same.tolist()), tuple(between.tolist()), odds, len(which), (low, middle, high))


def _alike(x: AnyArray, dtype: np.dtype[Any]) -> FloatArray:
    """Return how many voxels of each frame are those of the frame before, of how many; the same of means of both."""
    counts = np.zeros((4, x.shape[1]))
    here, before, after = x[:, 1:-1], x[:, :-2], x[:, 2:]
    counts[0, 1:], counts[1, 1:] = (x[:, 1:] == x[:, :-1]).sum(axis=0), np.isfinite(x[:, 1:] - x[:, :-1]).sum(axis=0)
    if dtype.kind in "iub" or bool((np.round(x) == x).all()):
        allowed: Any = 0.5
    else:
        allowed = ROUNDING * np.finfo(x.dtype).eps * np.maximum(np.abs(before), np.abs(after))
    off = np.abs(here - (before + after) / 2)
    counts[2, 1:-1], counts[3, 1:-1] = (off <= allowed).sum(axis=0), np.isfinite(off).sum(axis=0)
    return counts


def _odds(alike: FloatArray, of: FloatArray) -> float:
    """Return the logarithm of the probability that all voxels of a frame are alike, from frames that are not."""
    there = of > 0
    if not there.any():
        return 0.0
    chance = np.quantile((alike[there] + 1) / (of[there] + 2), TYPICAL)
    return float(np.median(of[there]) * np.log(chance))


def _bands(noise: AnyArray) -> FloatArray:
    """Return the power of noise (voxel, frame) in the bands, summed over voxels of power 1 each."""
    frequencies = np.abs(np.fft.fftfreq(noise.shape[1]))
    unit = max(float(np.abs(noise).max(initial=0.0)), np.finfo(noise.dtype).tiny)
    power = np.abs(np.fft.fft(noise / unit, axis=1)) ** 2
    inside = [(low <= frequencies) & (frequencies < high) for low, high in pairwise(BANDS[:-1])]
    inside.append(frequencies >= BANDS[-2])
    table = np.stack([power[:, each].mean(axis=1, dtype=np.float64) for each in inside])
    total = table.sum(axis=0)
    return np.asarray((table / np.where(total > 0, total, np.inf)).sum(axis=1))


def said_of_frames(parts: Iterable[Frames | None], n: int) -> list[str]:
    """Return what the parts of a movie of n frames say together, in words; empty where nothing is odd."""
    known = [part for part in parts if part is not None]
    if not known:
        return []
    whole = reduce(Frames.__add__, known)
    same = whole.same if whole.odds[0] < SURE else ()
    # Of three equal frames the one in the middle is a mean, too.
    between = [t for t in whole.between if not {t, t + 1} & {*same}] if whole.odds[1] < SURE else []
    found = []
    if same:
        found.append(f"{_named(same, n)} the frame before, in every voxel: the noise floor takes copies for new noise")
    if between:
        said = "the mean of the two around it, in every voxel: its noise is not new, and less than that of the others"
        found.append(f"{_named(between, n, 'is')} {said}")
    low, middle, high = whole.bands
    if not found and whole.voxels * n * (BANDS[1] - BANDS[0]) > FEWEST and min(middle, high) < SMOOTH * low:
        found.append(
            f"the noise has {min(middle, high) / low:.0%} of its power at 1/6 of the frame rate left higher up, as it "
            "has after smoothing or interpolation in time; patches take it for independent from frame to frame, so "
            "that sigma is too low and noise is kept: denoise before smoothing"
        )
    return found


def _named(which: Sequence[int], n: int, verb: str = "repeats") -> str:
    shown = ", ".join(map(str, which[:NAMED])) + (f" and {len(which) - NAMED} more" if len(which) > NAMED else "")
    plural = {"repeats": "repeat", "is": "are each"}[verb]
    return f"{len(which)} of {n} frames (counted from 0: {shown}) {verb if len(which) == 1 else plural}"
