"""What a noise floor is: the numbers, their words, and their labeled forms."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from functools import cached_property
from typing import Any

import numpy as np
import xarray as xr

from sciml._typing import AnyArray, FloatArray, IntArray
from sciml.noise.models.base import NoiseModel
from sciml.noise.models.registry import Model, noise_model
from sciml.rmt.profile import VarianceProfile
from sciml.rmt.spacing import r_ratio

__all__ = ["NoiseFloor"]


@dataclass(frozen=True)
class NoiseFloor:
    """The noise floor of a recording of N channels and T samples, and what rises above it.

    Eigenvalues are those of X^H X / (T - 1) after each channel was demeaned and divided by the standard deviation of
    its noise in these samples, so that noise has mean eigenvalue 1 (`model="white"`: one common scale; `"counts"`: the
    independent expectation was taken away and each count divided by its standard deviation). Noise that differs between
    channels no more than by chance has the same `channel_scale`; `components` are orthonormal after division by it, and
    `singular_values` are all those of the demeaned recording then. Of each component k above the floor:

    - `p_values[k]`: probability that noise alone reaches its eigenvalue;
    - `strengths[k]`, `strength_intervals[k]`: its standard deviation before the noise added to it, all channels
      together (the root of its summed mean squares), in the units of the data, with its 95 % interval
      (`sciml.rmt.shrink.optshrink`, beside the noise at the frequencies of its course); `detection_limit` is the
      weakest that can stand out, of a component spread evenly over channels and frequencies;
    - `overlaps_channel[k]`, `overlaps_time[k]`: squared cosine between its map over the channels, its course in time,
      and those of the signal: how far to trust its shape. Components of nearly equal strength mix, and have less of it.
    """

    model: Model
    requested: str
    reason: str
    alpha: float
    sigma: float
    sigma_se: float
    rank: int
    edge: float
    detection_limit: float
    eigenvalues: FloatArray
    p_values: FloatArray
    strengths: FloatArray
    strength_intervals: FloatArray
    overlaps_channel: FloatArray
    overlaps_time: FloatArray
    components: AnyArray
    singular_values: FloatArray
    channel_mean: AnyArray
    channel_scale: FloatArray
    n_samples: int
    n_features: int
    n_used: int
    n_effective: float
    correlation_time: float | None
    mp_rank: int
    mp_edge: float
    mp_eigenvalues: FloatArray
    frequency: FloatArray
    psd: FloatArray
    units: str
    bulk_ratio: float
    converged: bool
    profile: VarianceProfile
    complex_data: bool = False
    excluded: Mapping[int, str] = field(default_factory=dict)
    n_null: int = 0
    channel_names: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    attrs: dict[str, Any] = field(default_factory=dict)

    @property
    def gamma(self) -> float:
        """Channels per sample, N/T, over the channels that carry noise."""
        return self.n_used / self.n_samples

    @property
    def used(self) -> IntArray:
        """Indices of the channels that carry noise of their own: all but the `excluded` ones."""
        return np.setdiff1d(np.arange(self.n_features), np.array([*self.excluded], dtype=np.int64))

    @property
    def noise_model(self) -> NoiseModel:
        """The noise model itself: what it says of channels and samples."""
        return noise_model(self.model)

    def bulk_cdf(self, eigenvalues: AnyArray) -> FloatArray:
        """Return the cdf that the noise model predicts for the noise eigenvalues, at given ones."""
        noise = self.eigenvalues[self.rank :]
        return self.profile.bulk_cdf(eigenvalues / (noise.mean() or 1.0) * self.profile.mean_eigenvalue)

    @cached_property
    def bulk_distance(self) -> float:
        """Largest distance between the cdf of the noise eigenvalues and the model's law (Kolmogorov-Smirnov)."""
        noise = np.sort(self.eigenvalues[self.rank :])
        expected = self.bulk_cdf(noise)
        steps = np.arange(len(noise) + 1) / len(noise)
        return float(max(np.abs(expected - steps[1:]).max(), np.abs(expected - steps[:-1]).max()))

    @cached_property
    def spacing_ratio(self) -> float | None:
        """Mean ratio of neighboring spacings in the middle half of the noise eigenvalues; None for fewer than 16.

        Eigenvalues of noise repel each other: .5307 real, .5996 complex; independent levels have .3863
        (`sciml.rmt.spacing.r_ratio`).
        """
        n = len(self.eigenvalues) - self.rank
        middle = np.unique(self.eigenvalues[self.rank + n // 4 : self.rank + n - n // 4])
        return r_ratio(middle).mean if len(middle) >= 8 else None

    def to_dataset(self) -> xr.Dataset:
        """Return all numbers as a Dataset with dims `component`, `outlier`, `channel` and `frequency`.

        Examples
        --------
        >>> from sciml.noise import noise_floor
        >>> noise = xr.DataArray(np.random.default_rng(1).normal(size=(500, 8)), dims=("time", "channel"))
        >>> int(noise_floor(noise).to_dataset().sizes["component"])
        8
        """
        dims = {
            "eigenvalues": ("component",),
            "p_values": ("component",),
            "mp_eigenvalues": ("mp_component",),
            "strengths": ("outlier",),
            "strength_intervals": ("outlier", "bound"),
            "overlaps_channel": ("outlier",),
            "overlaps_time": ("outlier",),
            "components": ("channel", "outlier"),
            "singular_values": ("component",),
            "channel_mean": ("channel",),
            "channel_scale": ("channel",),
            "psd": ("frequency",),
        }
        values = {each.name: getattr(self, each.name) for each in fields(self)}
        attrs = {name: value for name, value in values.items() if isinstance(value, str)}
        numbers = {name: value for name, value in values.items() if isinstance(value, int | float)}
        return xr.Dataset(
            {name: (dim, getattr(self, name)) for name, dim in dims.items()} | numbers,
            coords={"frequency": ("frequency", self.frequency, {"units": "Hz"}), "bound": ["low", "high"]},
            attrs={**self.attrs, **attrs, "warnings": "\n".join(self.warnings)},
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the scalars, eigenvalues and p-values as plain Python values, for JSON."""
        skipped = {
            "channel_names", "components", "singular_values", "channel_mean", "channel_scale", "frequency", "psd",
            "profile",
        }  # fmt: skip
        plain = {name: value for name, value in asdict(self).items() if name not in skipped}
        plain |= {"bulk_distance": self.bulk_distance, "spacing_ratio": self.spacing_ratio}
        return {name: value.tolist() if isinstance(value, np.ndarray) else value for name, value in plain.items()}

    def summary(self) -> str:
        """Return the result in one or two sentences."""
        count = "1 component" if self.rank == 1 else f"{self.rank} components"
        text = f"{count} above the noise floor ({self.model} noise, level {self.alpha:g})"
        if self.rank == self.mp_rank:
            return text + ", as the textbook Marchenko-Pastur edge says too."
        text += f"; the textbook Marchenko-Pastur edge would have said {self.mp_rank}"
        if self.correlation_time and self.noise_model.colored and self.rank < self.mp_rank:
            text += f", because the noise is correlated over {self.correlation_time:.3g} s"
        return text + "."
