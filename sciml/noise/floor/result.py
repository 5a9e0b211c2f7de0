"""What a noise floor is: the numbers, their words, and their labeled forms."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from sciml._typing import AnyArray, FloatArray, IntArray
from sciml.noise.floor.parts import (
    Channels,
    MarchenkoPasturEdge,
    ModelChoice,
    NoiseDensity,
    Outliers,
    PartOf,
    RankIs,
    Samples,
    bulk_cdf,
    bulk_distance,
)
from sciml.noise.models.base import NoiseModel
from sciml.noise.models.registry import Model, noise_model
from sciml.noise.spatial.result import SpatialNoise
from sciml.result import Plots, card, shown
from sciml.rmt.spacing import r_ratio
from sciml.rmt.variance_profile import VarianceProfile
from sciml.wording import count, p_number, quantity

if TYPE_CHECKING:
    import pandas as pd  # type: ignore[import-untyped]

__all__ = ["NoiseFloor"]

_COLUMNS = ("component", "eigenvalue", "p-value", "strength", "95 % interval", "trust in its map")
PARTS = ("choice", "channels", "samples", "outliers", "marchenko_pastur", "density")


@dataclass(frozen=True, repr=False)
class NoiseFloor:
    """The noise floor of a recording of N channels and T samples, and what rises above it.

    Eigenvalues are those of X^H X / (T - 1) after each channel was demeaned and divided by the standard deviation of
    its noise in these samples, so that noise has mean eigenvalue 1 (`model="white"`: one common scale; `"counts"`: the
    independent expectation was subtracted and each count divided by its standard deviation). Noise that differs between
    channels no more than by chance has the same `channel_scale`; `components` are orthonormal after division by it, and
    `singular_values` are all those of the demeaned recording then. Of each component k above the floor:

    - `p_values[k]`: probability that noise alone reaches its eigenvalue;
    - `strengths[k]`, `strength_intervals[k]`: its standard deviation before the noise added to it, all channels
      together (the root of its summed mean squares), in the units of the data, with its 95 % interval
      (`sciml.rmt.shrink.optshrink`, given the noise at the frequencies of its time course); `detection_limit` is the
      weakest that can stand out, of a component spread evenly over channels and frequencies;
    - `overlaps_channel[k]`, `overlaps_time[k]`: squared cosine between its loadings, its time course, and those of the
      signal: how far to trust its shape. Components of nearly equal strength leak into each other, and have less of it.

    Where `converged` is False, `doubt` says what of the residual is no noise of the model, and `rank_words` what is
    known of the number of components: "at least 2", or "not determined".

    `spatial` says how far noise is shared by neighbors, where it is (`sciml.noise.spatial.result.SpatialNoise`).
    `excluded` says of each channel that was not used why: `constant`, `missing`, or `duplicate of k`. The attributes of
    the parts (`choice`, `channels`, `samples`, `outliers`, `marchenko_pastur`, `density`) are attributes of the floor.
    """

    choice: ModelChoice
    rank: int
    edge: float
    eigenvalues: FloatArray
    p_values: FloatArray
    sigma: float
    sigma_se: float
    detection_limit: float
    converged: bool
    bulk_ratio: float
    profile: VarianceProfile
    channels: Channels
    samples: Samples
    outliers: Outliers
    marchenko_pastur: MarchenkoPasturEdge
    density: NoiseDensity
    spatial: SpatialNoise | None = None
    units: str = ""
    warnings: tuple[str, ...] = ()
    attrs: dict[str, Any] = field(default_factory=dict)

    plot = Plots("eigenvalues", others=("scree", "power_spectrum", "shared_noise", "components"))

    model = PartOf[Model]("choice")
    requested = PartOf[str]("choice")
    reason = PartOf[str]("choice")
    alpha = PartOf[float]("choice")
    rank_is = PartOf[RankIs]("choice")
    doubt = PartOf[str]("choice")
    n_features = PartOf[int]("channels")
    n_used = PartOf[int]("channels")
    excluded = PartOf[Mapping[int, str]]("channels")
    channel_names = PartOf[tuple[str, ...]]("channels")
    channel_mean = PartOf[AnyArray]("channels")
    channel_scale = PartOf[FloatArray]("channels")
    n_null = PartOf[int]("channels")
    null = PartOf[AnyArray]("channels")
    complex_data = PartOf[bool]("channels")
    coordinates = PartOf[Mapping[str, AnyArray]]("channels")
    n_samples = PartOf[int]("samples")
    n_effective = PartOf[float]("samples")
    correlation_time = PartOf[float | None]("samples")
    strengths = PartOf[FloatArray]("outliers")
    strength_intervals = PartOf[FloatArray]("outliers")
    overlaps_channel = PartOf[FloatArray]("outliers")
    overlaps_time = PartOf[FloatArray]("outliers")
    components = PartOf[AnyArray]("outliers")
    filters = PartOf[AnyArray]("outliers")
    singular_values = PartOf[FloatArray]("outliers")
    mp_rank = PartOf[int]("marchenko_pastur")
    mp_edge = PartOf[float]("marchenko_pastur")
    mp_eigenvalues = PartOf[FloatArray]("marchenko_pastur")
    frequency = PartOf[FloatArray]("density")
    psd = PartOf[FloatArray]("density")
    recording_psd = PartOf[FloatArray]("density")

    def __repr__(self) -> str:
        """Return what it is a floor of, its answer, the noise, and its doubt."""
        doubt = "" if self.converged or self.rank_is == "not determined" else f"doubt: {self.doubt}"
        return shown(self._heading(), self.summary(), self._noise_words(), doubt, *self.warnings[:2])

    def _repr_html_(self) -> str:
        rows = [_component_cells(self, k) for k in range(self.rank)]
        answer = f"{self.summary()} {self._noise_words()}"
        return card(self._heading(), answer, _COLUMNS, rows, " ".join(self.warnings[:2]))

    def _heading(self) -> str:
        """Say what the floor is of."""
        used = "" if self.n_used == self.n_features else f" ({self.n_used} used)"
        of = f"{count(self.n_features, 'channel')}{used}, {count(self.n_samples, 'sample')}"
        return f"NoiseFloor: {of}, {self.model} noise"

    def _noise_words(self) -> str:
        """Say how strong the noise is, and what could not be found in it."""
        sigma, error, least = (quantity(x, self.units) for x in (self.sigma, self.sigma_se, self.detection_limit))
        return f"sigma {sigma} (standard error {error}); the weakest component that can stand out has {least}"

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
        return bulk_cdf(self.eigenvalues[self.rank :], self.profile, eigenvalues)

    @cached_property
    def bulk_distance(self) -> float:
        """Largest distance between the cdf of the noise eigenvalues and the model's law (Kolmogorov-Smirnov)."""
        return bulk_distance(self.eigenvalues[self.rank :], self.profile)

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

        Coordinates of the recording's channels, as their places, are coordinates of `channel`; of movies those of
        each pixel.

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
            "filters": ("channel", "outlier"),
            "singular_values": ("component",),
            "channel_mean": ("channel",),
            "channel_scale": ("channel",),
            "psd": ("frequency",),
            "recording_psd": ("frequency",),
        }
        values = self._flat()
        attrs = {name: value for name, value in values.items() if isinstance(value, str)}
        numbers = {name: value for name, value in values.items() if isinstance(value, int | float)}
        own_names = {*dims, *numbers, *attrs, "frequency", "bound"}
        places = {name: ("channel", each) for name, each in self.coordinates.items() if name not in own_names}
        own = {"frequency": ("frequency", self.frequency, {"units": "Hz"}), "bound": ["low", "high"]}
        return xr.Dataset(
            {name: (dim, getattr(self, name)) for name, dim in dims.items()} | numbers,
            coords={"channel_name": ("channel", np.array(self.channel_names, dtype=str)), **places, **own},
            attrs={**self.attrs, **attrs, "warnings": "\n".join(self.warnings)},
        )

    def to_dataframe(self) -> "pd.DataFrame":
        """Return the components above the floor as a table of pandas, one row each, counted from 1.

        Examples
        --------
        >>> from sciml.noise import noise_floor
        >>> noise = xr.DataArray(np.random.default_rng(1).normal(size=(500, 8)), dims=("time", "channel"))
        >>> list(noise_floor(noise).to_dataframe())[:3]
        ['eigenvalue', 'p_value', 'strength']
        """
        import pandas as pd

        values = {
            "eigenvalue": self.eigenvalues[: self.rank],
            "p_value": self.p_values[: self.rank],
            "strength": self.strengths,
            "strength_low": self.strength_intervals[:, 0],
            "strength_high": self.strength_intervals[:, 1],
            "overlap_channel": self.overlaps_channel,
            "overlap_time": self.overlaps_time,
            "strongest_channel": [self.channel_names[i] for i in abs(self.components).argmax(axis=0)],
        }
        return pd.DataFrame(values, index=pd.RangeIndex(1, self.rank + 1, name="component"))

    def to_dict(self) -> dict[str, Any]:
        """Return the scalars, eigenvalues and p-values as plain Python values, for JSON."""
        skipped = {
            "channel_names", "coordinates", "components", "filters", "singular_values", "channel_mean", "channel_scale",
            "null", "frequency", "psd", "recording_psd", "profile",
        }  # fmt: skip
        plain = {name: value for name, value in self._flat().items() if name not in skipped}
        plain["spatial"] = None if self.spatial is None else self.spatial.to_dict()
        plain["excluded"] = {str(channel): reason for channel, reason in self.excluded.items()}
        plain |= {
            "rank_words": self.rank_words,
            "bulk_distance": self.bulk_distance,
            "spacing_ratio": self.spacing_ratio,
        }
        return {name: value.tolist() if isinstance(value, np.ndarray) else value for name, value in plain.items()}

    def _flat(self) -> dict[str, Any]:
        """Return all values by their names, those of the parts too."""
        values = {each.name: getattr(self, each.name) for each in fields(self)}
        parts = [name for name in values if name in PARTS]
        return {**{name: value for part in parts for name, value in vars(values.pop(part)).items()}, **values}

    @property
    def rank_words(self) -> str:
        """How many components there are, as far as that is known: "2", "at least 2", or "not determined"."""
        return {"determined": f"{self.rank}", "lower bound": f"at least {self.rank}"}.get(self.rank_is, self.rank_is)

    def summary(self) -> str:
        """Return the result in one or two sentences; of a rank that is not determined, the reason."""
        above = f"above the noise floor ({self.model} noise, level {self.alpha:g}{self._within()})"
        if self.rank_is == "not determined":
            return f"The number of components {above} is not determined: {self.doubt}."
        count = f"{self.rank_words} component{'' if self.rank == 1 else 's'}"
        if self.doubt:
            return f"{count[0].upper()}{count[1:]} {above}; how many more is not determined: {self.doubt}."
        text = f"{count} {above}"
        if self.rank == self.mp_rank:
            text += ", as the textbook Marchenko-Pastur edge says too."
            return text if self.spatial is None else f"{text} {self.spatial.summary()}"
        text += f"; the textbook Marchenko-Pastur edge would have said {self.mp_rank}"
        if self.spatial is not None:
            text += ", because neighboring channels share noise" if self.rank < self.mp_rank else ""
            return f"{text}. {self.spatial.summary()}"
        if self.correlation_time and self.noise_model.colored and self.rank < self.mp_rank:
            text += f", because the noise is correlated over {self.correlation_time:.3g} s"
        return text + "."

    def _within(self) -> str:
        """Say in which dimensions components were sought, where others were projected out."""
        left = self.n_used - self.n_null
        return f", within the {left} dimensions that were not projected out" if self.null.size else ""


def _component_cells(floor: NoiseFloor, k: int) -> tuple[str, ...]:
    """Return what a table shows of a component: numbers with their units."""
    low, high = (quantity(float(each), floor.units) for each in floor.strength_intervals[k])
    return (
        str(k + 1),
        f"{floor.eigenvalues[k]:.4g}",
        p_number(float(floor.p_values[k])),
        quantity(float(floor.strengths[k]), floor.units),
        f"{low} to {high}",
        f"{floor.overlaps_channel[k]:.2f}",
    )
