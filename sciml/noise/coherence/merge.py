"""Which neighboring bands are one thing: runs parted where their strength dips, and joined where their modes agree."""

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import scipy.signal
import scipy.stats

from sciml._typing import FloatArray, IntArray
from sciml.noise.coherence.bands import BandPlan
from sciml.noise.coherence.modes import BandModes

__all__ = ["Part", "merged_parts"]

DIP = 4.0  # two peaks are two bands where the strength between them falls by this factor
NEAR = 2**0.5  # neighbors lie within half an octave: a harmonic is another band
ALIKE = 0.5  # of the overlap that two estimates of one mode would have
BY_CHANCE = 1e-3  # probability of an overlap of modes that have nothing to do with each other


@dataclass(frozen=True)
class Part:
    """Neighboring bands of something in common, and the one of them in which it is strongest."""

    peak: int
    bands: IntArray


@dataclass(frozen=True)
class _Evidence:
    plan: BandPlan
    modes: Mapping[int, BandModes]
    strength: FloatArray  # of what is found; elsewhere of what could hide
    averages: FloatArray
    narrow: Callable[[int], bool]


def merged_parts(
    plan: BandPlan,
    modes: Mapping[int, BandModes],
    strength: FloatArray,
    averages: FloatArray,
    *,
    narrow: Callable[[int], bool],
) -> list[Part]:
    """Return runs of neighboring bands, parted where the strength dips, joined again where nothing parts their modes.

    Between two bands of weak modes the test may find nothing and the same modes go on: they are one where what could
    hide between them is no dip, they lie within half an octave, neither is a line, and their patterns agree.

    Parameters
    ----------
    strength
        Of the strongest mode of each band; where none was found, of the strongest that could hide there.
    averages
        That each band is worth.
    narrow
        Whether a band holds a line.
    """
    found = np.array(sorted(modes), np.int64)
    evidence = _Evidence(plan, modes, strength, averages, narrow)
    parts: list[Part] = []
    for part in _runs(plan, found, strength):
        if parts and _same(parts[-1], part, evidence):
            bands = np.concatenate([parts[-1].bands, part.bands])
            part = Part(max(parts.pop().peak, part.peak, key=lambda band: strength[band]), bands)
        parts.append(part)
    return parts


def _runs(plan: BandPlan, found: IntArray, strength: FloatArray) -> list[Part]:
    """Return each run of neighboring bands, parted where the strength dips."""
    if not len(found):
        return []
    reach = (plan.bandwidth[found][1:] + plan.bandwidth[found][:-1]) / 2
    cuts = np.flatnonzero(np.diff(plan.frequency[found]) > reach) + 1
    parts: list[Part] = []
    for run in np.split(found, cuts):
        level = np.log(np.maximum(strength[run], np.finfo(float).tiny))
        padded = np.concatenate([[level.min() - 2 * np.log(DIP)], level, [level.min() - 2 * np.log(DIP)]])
        peaks = scipy.signal.find_peaks(padded, prominence=np.log(DIP))[0] - 1
        valleys = [a + int(np.argmin(level[a : b + 1])) for a, b in itertools.pairwise(peaks)]
        pieces = np.split(run, valleys)
        parts += [Part(int(run[peak]), piece) for peak, piece in zip(peaks, pieces, strict=True)]
    return parts


def _same(low: Part, high: Part, evidence: _Evidence) -> bool:
    plan, strength = evidence.plan, evidence.strength
    end, start = low.bands[-1], high.bands[0]
    ends = plan.frequency[end] + plan.bandwidth[end] / 2, plan.frequency[start] - plan.bandwidth[start] / 2
    near = ends[1] < NEAR * ends[0] if ends[0] > 0 else ends[1] <= ends[0]
    valley = strength[low.peak : high.peak + 1].min()
    level = bool(min(strength[low.peak], strength[high.peak]) < DIP * valley)
    return (
        near
        and level
        and not evidence.narrow(low.peak)
        and not evidence.narrow(high.peak)
        and _alike(low.peak, high.peak, evidence)
    )


def _alike(first: int, second: int, evidence: _Evidence) -> bool:
    """Tell whether the strongest mode of one band lies among those of the other, as far as chance lets one see."""
    many, one = sorted((first, second), key=lambda band: -evidence.modes[band].patterns.shape[1])
    basis = np.linalg.qr(evidence.modes[many].patterns)[0]
    pattern = evidence.modes[one].patterns[:, 0]
    overlap = float(np.linalg.norm(basis.conj().T @ pattern) ** 2 / np.linalg.norm(pattern) ** 2)
    n, k = basis.shape
    if k >= n:
        return True
    expected = _accuracy(one, n, evidence) * _accuracy(many, n, evidence)
    return overlap > ALIKE * expected and bool(scipy.stats.beta.sf(overlap, k, n - k) < BY_CHANCE)


def _accuracy(band: int, n_channels: int, evidence: _Evidence) -> float:
    """Return the overlap of the strongest pattern found with the true one (`sciml.rmt.shrink`)."""
    gamma, strength = n_channels / evidence.averages[band], evidence.strength[band]
    return float(max(1 - gamma / strength**2, 0.0) / (1 + gamma / strength))
