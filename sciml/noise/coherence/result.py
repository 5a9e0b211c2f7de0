"""What is found in frequency: modes of several channels, the bands they lie in, and the floor they rise above."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal

import numpy as np
import xarray as xr

from sciml._typing import AnyArray, FloatArray, IntArray
from sciml.result import Plots, card, shown
from sciml.wording import count, p_number, p_value, quantity, series, share

__all__ = ["CoherentBand", "CoherentMode", "Control", "SpectralNoiseFloor"]

Control = Literal["family", "fdr", "fdr-dependent"]


@dataclass(frozen=True)
class CoherentMode:
    """One thing that channels have in common in a band. Modes of nearly equal strength are mixtures of each other.

    Attributes
    ----------
    eigenvalue, p_value
        In units of the channels' noise; p-value controlled over all bands.
    strength
        Power of the mode over that of the noise, summed over channels, corrected for the bias of the eigenvalue.
    channels
        Those that take part (Holm's test over channels), strongest first.
    coherence, channel_p
        Of every channel: fraction of its power in the band that follows the time course of the mode as the other
        channels have it, and the p-value of that; NaN where a channel was left out.
    phase
        Of every channel relative to the strongest, in radians, positive where it leads.
    amplitude
        Root mean square of the mode in each channel, in the recording's unit.
    """

    eigenvalue: float
    p_value: float
    strength: float
    channels: tuple[int, ...]
    coherence: FloatArray
    channel_p: FloatArray
    phase: FloatArray
    amplitude: FloatArray


@dataclass(frozen=True)
class CoherentBand:
    """Neighboring bands of something in common: limits, peak and width in Hz, the modes at the peak.

    `narrow`: one line, much narrower than the band, carries most of the strongest mode; `frequency` is then the line's.
    `share` is the part of the recording's power that lies between the limits. Where that is next to nothing, or a
    filter took what there was, the band `is_held` no more: what channels share there is numerical.
    """

    low: float
    high: float
    frequency: float
    narrow: bool
    bandwidth: float
    degrees_of_freedom: float
    modes: tuple[CoherentMode, ...]
    share: float
    is_held: bool

    @property
    def words(self) -> str:
        """The band by its range, as in "4 Hz to 125 Hz, strongest at 14 Hz"; a line by its frequency."""
        if self.narrow:
            return f"line at {quantity(self.frequency, 'Hz', digits=4)}"
        low, high, peak = (quantity(each, "Hz") for each in (self.low, self.high, self.frequency))
        return f"{low} to {high}, strongest at {peak}"

    @property
    def p_value(self) -> float:
        """That of the strongest mode, controlled over all bands."""
        return self.modes[0].p_value

    @property
    def channels(self) -> tuple[int, ...]:
        """Channels that take part in any of the modes."""
        return tuple(dict.fromkeys(channel for mode in self.modes for channel in mode.channels))


@dataclass(frozen=True, repr=False)
class SpectralNoiseFloor:
    """What channels of pure noise would have in common at each frequency, and what rises above it.

    `eigenvalues (frequency, component)` are those of the coherence matrix, of mean 1; `edge (frequency)` is what the
    largest of noise exceeds in one of the bands with probability `alpha`. `p_values (frequency, component)` are
    controlled over all bands; NaN where a component was not tested because an earlier one was noise.
    `components (frequency, channel, outlier)` are patterns in units of each channel's noise, of unit length.
    """

    frequency: FloatArray
    bandwidth: FloatArray
    n_tapers: IntArray
    degrees_of_freedom: FloatArray
    eigenvalues: FloatArray
    edge: FloatArray
    p_values: FloatArray
    rank: IntArray
    components: AnyArray
    bands: tuple[CoherentBand, ...]
    alpha: float
    control: Control
    n_segments: int
    segment: float
    sampling_rate: float
    excluded: Mapping[int, str]
    names: tuple[str, ...]
    units: str
    warnings: tuple[str, ...] = ()
    attrs: dict[str, Any] = field(default_factory=dict)

    plot = Plots("spectral_floor")

    @property
    def n_features(self) -> int:
        """Channels that there are."""
        return len(self.names)

    @property
    def used(self) -> IntArray:
        """Indices of the channels that were compared: all but the `excluded` ones."""
        return np.setdiff1d(np.arange(self.n_features), np.array([*self.excluded], dtype=np.int64))

    def __repr__(self) -> str:
        """Return what it is a floor of, the bands that channels share, and its doubt."""
        bands = [band.words for band in self.held_bands]
        return shown(self._heading(), self.summary().splitlines()[0], series(bands), *self.warnings[:2])

    def _repr_html_(self) -> str:
        columns = ("strongest at", "from", "to", "of the power", "modes", "p-value", "channels")
        rows = [_band_cells(band) for band in self.held_bands]
        return card(self._heading(), self.summary().splitlines()[0], columns, rows, " ".join(self.warnings[:2]))

    def _heading(self) -> str:
        """Say what the floor is of."""
        of = f"{count(len(self.used), 'channel')}, {count(len(self.frequency), 'band')}"
        return f"SpectralNoiseFloor: {of} in {count(self.n_segments, 'segment')} of {quantity(self.segment, 's')}"

    @property
    def modes(self) -> tuple[tuple[float, CoherentMode], ...]:
        """All modes as (peak frequency in Hz, mode), in order of frequency."""
        return tuple((band.frequency, mode) for band in self.bands for mode in band.modes)

    def to_dataset(self) -> xr.Dataset:
        """Return all numbers as a Dataset with dims `frequency`, `component`, `channel`, `outlier` and `mode`.

        Examples
        --------
        >>> from sciml.noise import spectral_noise_floor
        >>> noise = np.random.default_rng(0).normal(size=(2000, 8))
        >>> recording = xr.DataArray(noise, dims=("time", "channel"), attrs={"sampling_rate": 100.0})
        >>> spectral_noise_floor(recording).to_dataset()["eigenvalues"].dims
        ('frequency', 'component')
        """
        by_frequency = ("bandwidth", "n_tapers", "degrees_of_freedom", "edge", "rank")
        modes = [mode for _, mode in self.modes]
        per_mode = {name: np.array([getattr(m, name) for m in modes]) for name in ("eigenvalue", "p_value", "strength")}
        per_channel = {
            name: np.array([getattr(m, name) for m in modes]).reshape(len(modes), self.n_features)
            for name in ("coherence", "channel_p", "phase", "amplitude")
        }
        takes_part = np.array([np.isin(np.arange(self.n_features), m.channels) for m in modes], dtype=bool)
        return xr.Dataset(
            {
                **{name: ("frequency", getattr(self, name)) for name in by_frequency},
                "eigenvalues": (("frequency", "component"), self.eigenvalues),
                "p_values": (("frequency", "component"), self.p_values),
                "components_real": (("frequency", "channel", "outlier"), self.components.real),
                "components_imag": (("frequency", "channel", "outlier"), self.components.imag),
                **{f"mode_{name}": ("mode", values) for name, values in per_mode.items()},
                **{f"mode_{name}": (("mode", "channel"), values) for name, values in per_channel.items()},
                "mode_takes_part": (("mode", "channel"), takes_part.reshape(len(modes), self.n_features)),
                "mode_frequency": ("mode", np.array([f for f, _ in self.modes]), {"units": "Hz"}),
            },
            coords={
                "frequency": ("frequency", self.frequency, {"units": "Hz"}),
                "channel_name": ("channel", np.array(self.names, dtype=str)),
            },
            attrs={
                **self.attrs, "alpha": self.alpha, "control": self.control, "sampling_rate": self.sampling_rate,
                "segment": self.segment, "n_segments": self.n_segments, "units": self.units,
                "warnings": "\n".join(self.warnings),
            },
        )  # fmt: skip

    def to_dict(self) -> dict[str, Any]:
        """Return bands, modes and the tests at each frequency as plain Python values, for JSON."""
        left_out = {"components", "names"}
        plain = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in left_out}
        plain["n_features"] = self.n_features
        plain["excluded"] = {str(channel): reason for channel, reason in self.excluded.items()}
        plain["bands"] = [{**asdict(band), "p_value": band.p_value} for band in self.bands]
        for band in plain["bands"]:
            for mode in band["modes"]:
                mode["channel_names"] = [self.names[i] for i in mode["channels"]]
        return {name: _plain(value) for name, value in plain.items()}

    def summary(self) -> str:
        """Return the result in words, one line a band.

        Examples
        --------
        >>> from sciml.noise import spectral_noise_floor
        >>> noise = np.random.default_rng(0).normal(size=(2000, 8))
        >>> recording = xr.DataArray(noise, dims=("time", "channel"), attrs={"sampling_rate": 100.0})
        >>> spectral_noise_floor(recording).summary()
        'No oscillation is shared by the 8 channels between ... and ... Hz (level 0.05 over ... bands).'
        """
        low, high = (quantity(float(each), "Hz") for each in (self.frequency[0], self.frequency[-1]))
        where = f"between {low} and {high}"
        level = f"level {self.alpha:g} over {count(len(self.frequency), 'band')}"
        held, other = self.held_bands, [band for band in self.bands if not band.is_held]
        if held:
            head = f"Shared activity in {count(len(held), 'band')} {where} ({level}):"
        else:
            head = f"No oscillation is shared by the {len(self.used)} channels {where} ({level})."
        return "\n".join([head, *(f"- {self._line(band)}" for band in (*held, *other))])

    @property
    def held_bands(self) -> tuple[CoherentBand, ...]:
        """The bands in which the recording holds anything; what channels share in others is numerical."""
        return tuple(band for band in self.bands if band.is_held)

    def _line(self, band: CoherentBand) -> str:
        if not band.is_held:
            return f"{band.words}: below what the recording holds ({share(band.share)} of its power)"
        shared = f"{count(len(band.modes), 'mode')} in {len(band.channels)} of {len(self.used)} channels"
        return (
            f"{band.words}, {share(band.share)} of the recording's power: {shared}, {p_value(band.p_value)}, "
            f"{band.modes[0].strength:.3g} times the noise of one channel"
        )


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else value


def _band_cells(band: CoherentBand) -> tuple[str, ...]:
    """Return what a table shows of a band: numbers with their units."""
    peak, low, high = (quantity(each, "Hz", digits=4) for each in (band.frequency, band.low, band.high))
    modes, channels = str(len(band.modes)), str(len(band.channels))
    return peak, low, high, share(band.share), modes, p_number(band.p_value), channels
