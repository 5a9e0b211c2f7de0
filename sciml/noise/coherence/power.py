"""How much of a recording's power lies in each band, and where there is nothing but what a filter left."""

from dataclasses import dataclass

import numpy as np
import scipy.ndimage

from sciml._typing import BoolArray, FloatArray, IntArray
from sciml.noise.coherence.bands import BandPlan
from sciml.noise.coherence.cross_spectra import CrossSpectra
from sciml.noise.coherence.whiten import Whitener

__all__ = ["BandPower", "band_power"]

LEAST_SHARE = 1e-6  # of a recording's power, below which a band holds nothing of it
STOP = 1e4  # 40 dB within half an octave are a filter's: a spectrum f^-4 falls by 6
AGAIN = 1e3  # beyond a cliff all lies this far below its top
HALF_OCTAVE = 2**0.5
LEVEL_BANDS = 9  # of overlapping bands, whose median passes over lines


@dataclass(frozen=True)
class BandPower:
    """The part of the recording's power at each tested frequency, and whether there `is_held` anything of it."""

    parts: FloatArray
    is_held: BoolArray

    def share(self, bands: IntArray) -> float:
        """Return the part of the recording's power that lies in neighboring bands."""
        return float(min(self.parts[bands].sum(), 1.0))


def band_power(cross: CrossSpectra, plan: BandPlan, whitener: Whitener, *, complex_data: bool) -> BandPower:
    """Return how much of the power of all channels lies in each band, in the units of the data."""
    gain = np.abs(whitener.response(plan.frequency / plan.rate)) ** 2
    whitened = np.stack([cross.power(band) for band in range(len(plan.center))])
    density = (whitened / np.maximum(gain, np.finfo(float).tiny)).sum(axis=1) / whitener.variance.sum()
    per_hertz = density * (1 if complex_data else 2) / plan.rate
    steps = np.abs(np.gradient(plan.frequency)) if len(density) > 1 else plan.bandwidth.copy()
    steps[[0, -1]] = np.maximum(steps[[0, -1]] + plan.bandwidth[[0, -1]], steps[[0, -1]]) / 2  # to the outer limits
    wide = per_hertz * plan.bandwidth >= LEAST_SHARE
    return BandPower(per_hertz * steps, wide & ~_stopped(np.abs(plan.frequency), density))


def _stopped(frequency: FloatArray, density: FloatArray) -> BoolArray:
    """Return which bands lie in the stop band of a filter: beyond a cliff, and nowhere back at its height."""
    level = scipy.ndimage.median_filter(density, size=LEVEL_BANDS, mode="nearest")
    order = np.argsort(frequency, kind="stable")
    f, level = frequency[order], level[order]
    stopped = np.zeros(len(f), np.bool_)
    stopped[order] = _beyond_cliff(f, level) | _beyond_cliff(1 / np.maximum(f[::-1], f[f > 0].min()), level[::-1])[::-1]
    return stopped


def _beyond_cliff(f: FloatArray, level: FloatArray) -> BoolArray:
    """Return what lies beyond the first cliff of a level over an ascending axis that it does not climb again."""
    before = np.minimum(np.searchsorted(f, f / HALF_OCTAVE), np.arange(len(f)))
    for foot in np.flatnonzero(level * STOP < level[before]):
        last = int(np.flatnonzero(level * AGAIN >= level[before[foot]])[-1])
        if last < foot:
            return np.asarray(np.arange(len(f)) > last)
    return np.zeros(len(f), np.bool_)
