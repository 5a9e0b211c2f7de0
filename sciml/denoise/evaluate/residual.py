"""What was removed: whether it is noise, and of which kind."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import scipy.linalg
import scipy.signal
import xarray as xr

from sciml._typing import AnyArray, FloatArray
from sciml.errors import DataError
from sciml.noise import NoiseFloor, noise_floor
from sciml.recording import TIME, sampling_rate
from sciml.wording import percent

__all__ = [
    "ResidualStatistics",
    "components_above_floor",
    "components_above_own_floor",
    "neighbor_correlation",
    "removed_fraction",
    "residual_spectrum",
    "residual_statistics",
    "spectral_flatness",
]

SEGMENT = 256  # samples of a segment of the spectrum


@dataclass(frozen=True, eq=False)
class ResidualStatistics:
    """What a denoiser removed from a recording, as numbers.

    `removed_fraction` of the variance; `neighbor_correlation` by dim, 0 for white noise; `flatness` of the spectrum, 1
    for white noise; `psd` (frequency), mean over channels, in squared units of the data over `frequency`, in Hz or,
    without a clock, cycles a sample. `rank` components above the recording's noise floor and `p_value` of the
    strongest are None where no floor was given.
    """

    removed_fraction: float
    neighbor_correlation: dict[str, float]
    flatness: float
    frequency: FloatArray
    psd: FloatArray
    rank: int | None = None
    p_value: float | None = None

    def summary(self) -> str:
        """Return the numbers in a sentence or two."""
        alike = ", ".join(f"{value:+.3f} along {dim}" for dim, value in self.neighbor_correlation.items())
        text = f"removed {percent(self.removed_fraction)} of the variance; neighbors correlate by {alike or 'nothing'}"
        return text if self.rank is None else f"{text}; {self.rank} components above the noise floor are in it"

    def to_dict(self) -> dict[str, Any]:
        """Return plain numbers and lists."""
        plain = asdict(self)
        return {**plain, "frequency": self.frequency.tolist(), "psd": self.psd.tolist()}


def residual_statistics(
    before: xr.DataArray, after: xr.DataArray, floor: NoiseFloor | None = None
) -> ResidualStatistics:
    """Return what of a recording was removed.

    Parameters
    ----------
    before, after
        The recording and what was made of it, dims `time` and any others in any order, held in memory; missing samples
        count as noise of which nothing is known.
    floor
        The recording's noise floor.

    Raises
    ------
    DataError
        Recordings of other sizes.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> noisy = xr.DataArray(rng.normal(size=(1000, 8)), dims=("time", "channel"))
    >>> found = residual_statistics(noisy, 0 * noisy)
    >>> round(found.removed_fraction, 2), round(found.flatness, 1), abs(found.neighbor_correlation["time"]) < 0.05
    (1.0, 1.0, True)
    """
    if dict(before.sizes) != dict(after.sizes):
        raise DataError(f"expected what was made of a recording of {dict(before.sizes)}, got {dict(after.sizes)}")
    ordered = before.transpose(TIME, ...)
    residual = ordered - after.transpose(*ordered.dims).values
    frequency, psd = residual_spectrum(residual, rate_of(before))
    rank, p_value = (None, None) if floor is None else components_above_floor(residual, floor)
    return ResidualStatistics(
        removed_fraction=removed_fraction(ordered, residual),
        neighbor_correlation=neighbor_correlation(residual),
        flatness=spectral_flatness(psd),
        frequency=frequency,
        psd=psd,
        rank=rank,
        p_value=p_value,
    )


def rate_of(recording: xr.DataArray) -> float:
    """Return the sampling rate in Hz, or 1 without a clock."""
    try:
        return sampling_rate(recording)
    except DataError:  # no clock: frequencies are in cycles a sample
        return 1.0


def removed_fraction(before: xr.DataArray, residual: xr.DataArray) -> float:
    """Return the variance of what was removed over that of the recording, samples along the first dim."""
    power, removed = (
        float(np.nansum(np.abs((each - each.mean([each.dims[0]])).values) ** 2)) for each in (before, residual)
    )
    return removed / power if power > 0 else 0.0


def components_above_own_floor(residual: xr.DataArray, floor: NoiseFloor) -> tuple[int | None, float | None]:
    """Return how many components of what was removed stand out of its own noise, and the p-value of the strongest.

    Parameters
    ----------
    residual
        What was removed, dims `time` and any others.
    floor
        Of the recording: its model and level are those of the test.

    Returns
    -------
    rank, p_value
        Both None where too few channels or samples are left to say anything.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> noise = xr.DataArray(rng.normal(size=(500, 8)), dims=("time", "channel"))
    >>> components_above_own_floor(noise, noise_floor(noise))[0]
    0
    """
    try:
        own = noise_floor(residual, model=floor.model, alpha=floor.alpha)
    except DataError:
        return None, None
    return own.rank, float(own.p_values[0])


def neighbor_correlation(residual: xr.DataArray) -> dict[str, float]:
    """Return the correlation between neighbors along each dim, the first of which holds the samples; 0 for white noise.

    Along the samples it is the lag-1 autocorrelation.
    """
    values = np.asarray(residual.values)
    centered = values - np.nanmean(values, axis=0)
    power = float(np.nanmean(np.abs(centered) ** 2))
    return dict(_correlations(residual.dims, centered, power)) if power > 0 else {}


def _correlations(dims: tuple[Any, ...], centered: AnyArray, power: float) -> Iterator[tuple[str, float]]:
    for axis, dim in enumerate(dims):
        n = centered.shape[axis]
        if n > 1:
            low, high = (np.take(centered, range(*ends), axis) for ends in ((0, n - 1), (1, n)))
            # Noise less its mean over n samples has correlation -1/n.
            yield str(dim), float(np.nanmean(np.real(low * high.conj())) / power) + (1 / n if axis == 0 else 0)


def residual_spectrum(residual: xr.DataArray, rate: float = 1.0) -> tuple[FloatArray, FloatArray]:
    """Return frequencies and the power spectral density, mean over the channels without missing values (Welch)."""
    flat = np.asarray(residual.values).reshape(len(residual), -1)
    complete = np.isfinite(flat).all(axis=0)
    flat = flat if complete.all() else flat[:, complete]
    frequency, psd = scipy.signal.welch(
        flat, rate, nperseg=min(SEGMENT, len(flat)), axis=0, return_onesided=not np.iscomplexobj(flat)
    )
    return frequency, psd.mean(axis=1)


def spectral_flatness(psd: FloatArray) -> float:
    """Return the geometric over the arithmetic mean of a power spectrum without its value at frequency zero."""
    positive = psd[1:][psd[1:] > 0]
    return float(np.exp(np.log(positive).mean()) / positive.mean()) if positive.size else 1.0


def components_above_floor(residual: xr.DataArray, floor: NoiseFloor) -> tuple[int, float]:
    """Return how many components the residual still has above the recording's own floor, and the strongest's p-value.

    In units of that floor: noise that was removed along the components is missing from the residual of their channels,
    and a floor of its own would take that for unequal noise.
    """
    flat = np.asarray(residual.values).reshape(len(residual), -1)[:, floor.used]
    scale = floor.channel_scale[floor.used]
    X = (flat - np.nanmean(flat, axis=0)) / scale
    X = np.where(np.isnan(X), 0.0, X)  # as in the floor, what is missing counts as no noise
    if floor.null.shape[1]:  # and what was projected out of the recording is, of the channels divided by their noise
        out = np.linalg.qr(floor.null[floor.used].conj() / scale[:, None])[0]
        X = X - X @ out @ out.conj().T
    short = X @ X.conj().T if X.shape[0] < X.shape[1] else X.conj().T @ X
    values = scipy.linalg.eigvalsh(short)[::-1] / (len(X) - 1)
    law = floor.profile.edge_law(complex_data=floor.complex_data)
    return int(np.count_nonzero(values > law.threshold(floor.alpha))), float(law.p_value(values[:1])[0])
