"""The parts of a noise floor: its model, channels, samples, components, spectrum, and the edge of textbooks."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, Literal, TypeVar

import numpy as np

from sciml._typing import AnyArray, FloatArray
from sciml.noise.models.registry import Model
from sciml.rmt.variance_profile import VarianceProfile

__all__ = [
    "Channels",
    "MarchenkoPasturEdge",
    "ModelChoice",
    "NoiseDensity",
    "Outliers",
    "PartOf",
    "RankIs",
    "Samples",
    "bulk_cdf",
    "bulk_distance",
]

RankIs = Literal["determined", "lower bound", "not determined"]

T = TypeVar("T")


@dataclass(frozen=True)
class ModelChoice:
    """Name of the noise model that was fitted, the one that was asked for, why, and the level of the test.

    `rank_is` says what the number of components is worth, and `doubt` why it is not determined: what is left of the
    recording is no noise of this model. It is empty where nothing speaks against it.
    """

    model: Model
    requested: str
    reason: str
    alpha: float
    rank_is: RankIs = "determined"
    doubt: str = ""


@dataclass(frozen=True)
class Channels:
    """All channels that there are, the excluded ones among them, and `n_used` that the floor was found from.

    `channel_scale` is the standard deviation of each channel's noise, zero where it is excluded; `n_null` combinations
    of channels are constant, as after a subtracted reference. Where they were projected out, their loadings `null`
    (N, n_null) are orthonormal, and `channel_scale` is that of the noise before. `coordinates` are those of the
    recording over its channels, (N,) each.
    """

    n_features: int
    n_used: int
    excluded: Mapping[int, str]
    channel_names: tuple[str, ...]
    channel_mean: AnyArray
    channel_scale: FloatArray
    n_null: int
    null: AnyArray
    complex_data: bool
    coordinates: Mapping[str, AnyArray] = field(default_factory=dict)


@dataclass(frozen=True)
class Samples:
    """How many samples there are, how many independent ones they are worth, over how many seconds they correlate."""

    n_samples: int
    n_effective: float
    correlation_time: float | None


@dataclass(frozen=True)
class Outliers:
    """Components above the floor, (N, rank), their strengths and overlaps, among all singular values.

    `filters` (N, rank) read their time courses: they are the components where channels share no noise.
    """

    strengths: FloatArray
    strength_intervals: FloatArray
    overlaps_channel: FloatArray
    overlaps_time: FloatArray
    components: AnyArray
    filters: AnyArray
    singular_values: FloatArray


@dataclass(frozen=True)
class MarchenkoPasturEdge:
    """What the Marchenko-Pastur edge says of the channels divided by their standard deviations."""

    mp_rank: int
    mp_edge: float
    mp_eigenvalues: FloatArray


@dataclass(frozen=True)
class NoiseDensity:
    """One-sided power densities at frequencies in Hz, mean over the used channels: of the noise, and of all there is.

    Both are tapered (`sciml.noise.matrix.tapered`), and `psd` of the noise is nowhere above `recording_psd`.
    """

    frequency: FloatArray
    psd: FloatArray
    recording_psd: FloatArray


class PartOf(Generic[T]):
    """An attribute of one of the parts, as an attribute of the whole."""

    def __init__(self, part: str) -> None:
        self.part = part

    def __set_name__(self, owner: type, name: str) -> None:
        """Take the name that the part has it by."""
        self.name = name

    def __get__(self, whole: Any, owner: type | None = None) -> T:
        """Return what the part has."""
        if whole is None:
            raise AttributeError(f"{self.name} is an attribute of {owner.__name__ if owner else 'an object'}s")
        return getattr(getattr(whole, self.part), self.name)  # type: ignore[no-any-return]


def bulk_cdf(noise: FloatArray, profile: VarianceProfile, eigenvalues: AnyArray) -> FloatArray:
    """Return the cdf at `eigenvalues` that a profile predicts for those of the noise, of their mean."""
    return profile.bulk_cdf(eigenvalues / (noise.mean() or 1.0) * profile.mean_eigenvalue)


def bulk_distance(noise: FloatArray, profile: VarianceProfile) -> float:
    """Return the largest distance between the cdf of noise eigenvalues and that of their profile."""
    ordered = np.sort(noise)
    expected = bulk_cdf(ordered, profile, ordered)
    steps = np.arange(len(ordered) + 1) / len(ordered)
    return float(max(np.abs(expected - steps[1:]).max(), np.abs(expected - steps[:-1]).max()))
