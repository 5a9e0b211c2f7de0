"""What is held out from denoisers that are compared, and how missing values are filled to begin with."""

from dataclasses import dataclass

import numpy as np
import scipy.ndimage
import xarray as xr

from sciml._typing import AnyArray, BoolArray
from sciml.errors import DataError
from sciml.noise import NoiseFloor
from sciml.recording import TIME

__all__ = ["FRACTION", "HeldOut", "interpolated"]

FRACTION = 0.1  # of the channels, held out at any time
MARGIN = 3.0  # correlation times after which noise is forgotten: exp(-6) of AR(1) noise
N_BLOCKS = 3  # at least, so that there is something to learn from besides what is held out


@dataclass(frozen=True, eq=False)
class HeldOut:
    """What is held out in each draw, and what of it is scored: the inside of each block, (draw, time, channel).

    Where neighboring channels share noise, all that share it are held out together, and the one in the middle scored.
    """

    held_out: tuple[BoolArray, ...]
    scored: tuple[BoolArray, ...]
    length: int
    margin: int

    @classmethod
    def draw(
        cls,
        part: xr.DataArray,
        floor: NoiseFloor,
        n_draws: int,
        rng: np.random.Generator,
        reach: tuple[int, ...] | None = None,
    ) -> "HeldOut":
        """Choose what is held out of a recording in memory; noise is shared up to `reach` along each dim but time."""
        n = part.sizes[TIME]
        length, margin = _block(n, part, floor)
        shape = (n, part.size // n)
        used = np.isin(np.arange(shape[1]), floor.used)
        present = np.isfinite(part.values.reshape(shape))
        held_out, scored = [], []
        for _ in range(n_draws):
            # Blocks begin at random, the same for all channels; the first and last samples stay, to interpolate from.
            start = int(rng.integers(1, length + 1))
            n_blocks = (n - 1 - start) // length
            around, centers = _with_neighbors(rng, n_blocks, part.shape[1:], reach)
            chosen = np.repeat(around, length, axis=0)
            inside = np.tile(_inside(length, margin), n_blocks)[:, None] & np.repeat(centers, length, axis=0)
            pad = ((start, n - start - n_blocks * length), (0, 0))
            held_out.append(np.pad(chosen, pad) | ~present)
            scored.append(np.pad(inside, pad) & present & used)
        return cls(tuple(held_out), tuple(scored), length, margin)


def _with_neighbors(
    rng: np.random.Generator, n_blocks: int, space: tuple[int, ...], reach: tuple[int, ...] | None
) -> tuple[BoolArray, BoolArray]:
    """Return channels at random with the neighbors that share their noise, and these channels, (block, channel)."""
    size = int(np.prod(space))
    if reach is None or not any(reach):
        chosen = rng.random((n_blocks, size)) < FRACTION
        return chosen, chosen
    box = tuple(2 * each + 1 for each in reach)
    centers = (rng.random((n_blocks, size)) < FRACTION / np.prod(box)).reshape(n_blocks, *space)
    around = scipy.ndimage.maximum_filter(centers, size=(1, *box), mode="constant")
    return around.reshape(n_blocks, -1), centers.reshape(n_blocks, -1)


def _inside(length: int, margin: int) -> BoolArray:
    position = np.arange(length)
    return np.asarray((position >= margin) & (position < length - margin))


def _block(n: int, part: xr.DataArray, floor: NoiseFloor) -> tuple[int, int]:
    """Return samples of a block, and those at either end that noise outside still says something about.

    White noise forgets at once. Colored noise has three correlation times to do so, in a short recording one at least.
    """
    if not floor.noise_model.colored:
        return 1, 0
    tau = part.sizes[TIME] / floor.n_effective if floor.n_effective else 1.0
    margin = int(np.ceil(MARGIN * tau))
    length = min(3 * margin, n // N_BLOCKS)
    margin = min(margin, (length - 1) // 2)
    if margin < tau:
        least = N_BLOCKS * (2 * int(np.ceil(tau)) + 1)
        raise DataError(
            f"expected at least {least} samples, {N_BLOCKS} blocks of the noise's correlation, got {n}; give a longer "
            'recording or, if the samples are not in order of time, model="heteroscedastic"'
        )
    return length, margin


def interpolated(flat: AnyArray, missing: BoolArray) -> AnyArray:
    """Return the values, missing ones filled linearly along time; a channel of missing values alone becomes zero."""
    out, time_ = flat.copy(), np.arange(len(flat))
    for channel in np.flatnonzero(missing.any(axis=0)):
        missing_here = missing[:, channel]
        known = out[~missing_here, channel]
        out[missing_here, channel] = np.interp(time_[missing_here], time_[~missing_here], known) if known.size else 0.0
    return out
