"""What is hidden from denoisers that are compared, and how holes are filled to begin with."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from sciml.errors import DataError
from sciml.noise import NoiseFloor
from sciml.recording import TIME

__all__ = ["SHARE", "Hidden", "interpolated"]

SHARE = 0.1  # of the channels, hidden at any time
MARGIN = 3.0  # correlation times after which noise is forgotten: exp(-6) of AR(1) noise
N_BLOCKS = 3  # at least, so that there is something to learn from beside what is hidden


@dataclass(frozen=True, eq=False)
class Hidden:
    """What is hidden in each draw, and what of it is scored: the inside of each block, (draw, time, channel)."""

    hidden: tuple[NDArray[np.bool_], ...]
    scored: tuple[NDArray[np.bool_], ...]
    length: int
    margin: int

    @classmethod
    def draw(cls, part: xr.DataArray, floor: NoiseFloor, n_draws: int, rng: np.random.Generator) -> "Hidden":
        """Choose what is held out of a recording in memory."""
        n = part.sizes[TIME]
        length, margin = _block(n, part, floor)
        shape = (n, part.size // n)
        live = np.isin(np.arange(shape[1]), floor.used)
        present = np.isfinite(part.values.reshape(shape))
        hidden, scored = [], []
        for _ in range(n_draws):
            # Blocks begin at random, the same for all channels; the first and last samples stay, to interpolate from.
            start = int(rng.integers(1, length + 1))
            n_blocks = (n - 1 - start) // length
            chosen = np.repeat(rng.random((n_blocks, shape[1])) < SHARE, length, axis=0)
            inside = np.tile(_inside(length, margin), n_blocks)[:, None] & chosen
            pad = ((start, n - start - n_blocks * length), (0, 0))
            hidden.append(np.pad(chosen, pad) | ~present)
            scored.append(np.pad(inside, pad) & present & live)
        return cls(tuple(hidden), tuple(scored), length, margin)


def _inside(length: int, margin: int) -> NDArray[np.bool_]:
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


def interpolated(flat: NDArray[Any], holes: NDArray[np.bool_]) -> NDArray[Any]:
    """Return the values with holes filled linearly along time; a channel of holes alone becomes zero."""
    out, time_ = flat.copy(), np.arange(len(flat))
    for channel in np.flatnonzero(holes.any(axis=0)):
        lost = holes[:, channel]
        known = out[~lost, channel]
        out[lost, channel] = np.interp(time_[lost], time_[~lost], known) if known.size else 0.0
    return out
