"""From a recording to its noise floor."""

from functools import partial
from typing import Literal

import numpy as np
import xarray as xr

from sciml._typing import AnyArray, FloatArray
from sciml.errors import ConfigError, DataError
from sciml.linalg import few_threads
from sciml.noise.channels.extend import extended_components
from sciml.noise.channels.names import channel_names
from sciml.noise.channels.read import Progress, read_channels
from sciml.noise.channels.select import exclusion_words
from sciml.noise.channels.statistics import ChannelStatistics
from sciml.noise.floor.components import Components, components_of
from sciml.noise.floor.parts import (
    Channels,
    MarchenkoPasturEdge,
    ModelChoice,
    NoiseDensity,
    Outliers,
    Samples,
)
from sciml.noise.floor.result import NoiseFloor
from sciml.noise.floor.select_model import Choice, fit_requested, select_model
from sciml.noise.matrix.gram import Matrix
from sciml.noise.models.base import Fit, ReadAll
from sciml.noise.models.registry import NOISE_MODELS, Model, noise_model
from sciml.recording import check, sampling_rate
from sciml.rmt.laws import MarchenkoPastur

__all__ = ["check_options", "floor_of", "noise_floor"]


MANY = 0.25  # of the dimensions: simulated noise common to neighboring channels converged with .3 to .5 of them
N_BINS = 1024  # of the power spectrum that is kept
REFERENCE_TOLERANCE = 0.05  # how far the weights of a null direction may be from equal to be an average reference


def noise_floor(
    recording: xr.DataArray,
    model: Model | Literal["auto"] = "auto",
    alpha: float = 0.05,
    *,
    progress: Progress | None = None,
) -> NoiseFloor:
    r"""Estimate the noise of a recording and find the components that rise above it.

    The recording X (T samples, N channels; pixels count as channels) is demeaned, each channel divided by the
    standard deviation of its noise, and the eigenvalues of X^H X / (T - 1) compared with the largest that noise
    reaches. All models but `counts` say that channels are independent, of variances S_i(f) at frequency f:

    - `white`, `heteroscedastic`: S_i(f) = sigma_i²: Marchenko-Pastur bulk, Tracy-Widom edge (Johnstone 2001);
    - `colored`: S_i(f) = sigma_i² S(f): generalized Marchenko-Pastur bulk, El Karoui's edge (2007);
    - `heteroscedastic+colored`: any S_i(f): the edge of a Gram matrix with a variance profile
      (`sciml.rmt.variance_profile.VarianceProfile`);
    - `counts`: X holds Poisson counts of mean a_i b_t; what is tested is whether channels have more in common.

    The spectra are those of the recording itself. No smoothing blunts their peaks: the law averages over channels and
    frequencies, and only bins that the data cannot tell apart are merged. In other words, this is the limit of
    infinitely many phase-randomized surrogates, solved instead of drawn.

    Noise and rank depend on each other. Both are re-estimated from what remains after removing the found components
    until they agree and the bulk fits, be it after a few were removed that do not stand out by themselves. Where that
    never is (within 12 rounds, or the count runs past half of the channels), the estimate from the whole recording is
    kept, an upper bound on the noise, `converged` is False and a warning says so.

    A recording too large to hold is read once, in blocks; memory does not depend on its length. Of more than 8192
    channels that do not fit, a random choice decides on the floor, and a second reading extends components to all.

    Parameters
    ----------
    recording
        Dims `time` and any others, real or complex, any unit and scale. Samples at which most channels are missing or
        masked are left out; other missing values count as the channel's mean. Constant and mostly missing channels,
        and duplicates of another channel, are excluded and named.
    model
        Kind of noise, or "auto" to choose by tests on the recording: whole numbers whose variance is their mean; color
        in time; spectra that differ between channels; unequal variances.
    alpha
        Probability with which pure noise is given a component.
    progress
        Called with the samples read and the samples in all.

    Raises
    ------
    DataError
        Fewer than two channels or samples, values that are not numbers, nothing but missing values, or no counts where
        `model="counts"`.
    ConfigError
        An unknown model, or alpha outside (0, 1).

    References
    ----------
    Marchenko and Pastur (1967), doi:10.1070/SM1967v001n04ABEH001994; Johnstone (2001), doi:10.1214/aos/1009210544;
    El Karoui (2007), doi:10.1214/009117906000000917, theorem 1; Alt, Erdos and Krueger (2017), doi:10.1214/17-EJP42;
    Landa, Zhang and Kluger (2022), doi:10.1137/21M1456807.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> shared = rng.normal(size=(2000, 1)) @ rng.normal(size=(1, 20))
    >>> floor = noise_floor(xr.DataArray(shared + rng.normal(size=(2000, 20)), dims=("time", "channel")))
    >>> floor.rank
    1
    """
    check_options(model, alpha)
    hold = model != "auto" and noise_model(model).needs_values
    statistics = read_channels(check(recording), progress, hold=hold)
    read_all = partial(read_channels, recording, hold=True) if statistics.standardized is not None else None
    return floor_of(statistics, recording, model, alpha, progress=progress, read_all=read_all)


def floor_of(
    statistics: ChannelStatistics,
    template: xr.DataArray,
    model: Model | Literal["auto"],
    alpha: float,
    *,
    progress: Progress | None = None,
    read_all: ReadAll | None = None,
) -> NoiseFloor:
    """Return the noise floor that follows from the statistics of channels; clock, units, names are the template's."""
    check_options(model, alpha)
    with few_threads(min(len(statistics.used), statistics.n_samples)):
        matrix = Matrix(statistics)
        if model == "auto":
            choice = select_model(matrix, alpha, read_all)
        else:
            choice = fit_requested(noise_model(model), matrix, alpha, read_all)
        return _result(template, matrix, choice, requested=model, alpha=alpha, progress=progress)


def check_options(model: str, alpha: float) -> None:
    """Raise a ConfigError if there is no such model, or alpha is no probability."""
    names = ["auto", *(each.name for each in NOISE_MODELS)]
    if model not in names:
        raise ConfigError(f"expected a noise model of {', '.join(names)}; got {model!r}")
    if not 0 < alpha < 1:
        raise ConfigError(f"expected alpha between 0 and 1, got {alpha}")


def _result(
    recording: xr.DataArray,
    plain: Matrix,
    choice: Choice,
    *,
    requested: str,
    alpha: float,
    progress: Progress | None,
) -> NoiseFloor:
    fit, matrix = choice.fit, choice.matrix
    statistics, rate = matrix.statistics, _rate(recording)
    tau = fit.spectra.tau if choice.model.colored else 1.0  # white samples and counts stand for themselves
    found = components_of(choice)
    sigma = float(np.sqrt(np.mean(found.channel_noise**2)))
    components, mean, scale = _all_channels(recording, choice, found, progress)
    parameters = 2 * matrix.n_channels * statistics.n_samples / tau * (2 if matrix.is_complex else 1)
    return NoiseFloor(
        choice=ModelChoice(choice.model.name, requested, choice.reason, alpha),
        rank=fit.rank,
        edge=float(fit.law.threshold(alpha)),
        eigenvalues=fit.eigenvalues,
        p_values=fit.p_values,
        sigma=sigma,
        sigma_se=sigma / float(np.sqrt(parameters)),
        detection_limit=float(np.sqrt(fit.profile.detection_limit)) * sigma,
        converged=fit.converged,
        bulk_ratio=fit.bulk_ratio,
        profile=fit.profile,
        channels=Channels(
            n_features=statistics.n_features,
            n_used=matrix.n_channels,
            excluded=statistics.excluded,
            channel_names=channel_names(recording),
            channel_mean=mean,
            channel_scale=scale,
            n_null=matrix.null.shape[1],
            complex_data=matrix.is_complex,
        ),
        samples=Samples(statistics.n_samples, statistics.n_samples / tau, tau / rate if rate else None),
        outliers=Outliers(
            strengths=found.strengths,
            strength_intervals=found.intervals,
            overlaps_channel=found.overlaps_channel,
            overlaps_time=found.overlaps_time,
            components=components,
            singular_values=found.singular_values,
        ),
        marchenko_pastur=_marchenko_pastur(plain),
        density=_density(fit, matrix, sigma, rate),
        units=str(recording.attrs.get("units", "")),
        warnings=tuple(_warnings(choice)),
        attrs={name: str(recording.attrs[name]) for name in ("source", "signal", "sha256") if name in recording.attrs},
    )


def _marchenko_pastur(matrix: Matrix) -> MarchenkoPasturEdge:
    values = matrix.eigen(matrix.total_scale, 0).values
    edge = MarchenkoPastur(matrix.n_channels / matrix.dof).support[-1][1]
    return MarchenkoPasturEdge(int(np.count_nonzero(values > edge)), edge, values)


def _rate(recording: xr.DataArray) -> float | None:
    try:
        return sampling_rate(recording)
    except DataError:
        return None


def _all_channels(
    recording: xr.DataArray, choice: Choice, found: Components, progress: Progress | None
) -> tuple[AnyArray, AnyArray, FloatArray]:
    """Return components (N, rank), mean and noise standard deviation of all channels, those left out included.

    A channel that was left out has no part in any component. Columns of X = C F^T: conjugate to the eigenvectors of
    X^H X.
    """
    statistics, loadings = choice.matrix.statistics, found.directions.conj()
    if statistics.n_unread:
        return extended_components(recording, statistics, loadings, found.channel_noise, progress)
    components = np.zeros((statistics.n_features, loadings.shape[1]), dtype=loadings.dtype)
    scale = np.zeros(statistics.n_features)
    components[statistics.used], scale[statistics.used] = loadings, found.channel_noise
    return components, statistics.every_mean, scale


def _density(fit: Fit, matrix: Matrix, sigma: float, rate: float | None) -> NoiseDensity:
    """Return the one-sided density of the noise, averaged over channels, in at most `N_BINS` bins of frequency."""
    order = np.argsort(matrix.fourier.frequencies, kind="stable")
    frequency = matrix.fourier.frequencies[order] * (rate or 1.0)
    sided = 1.0 if matrix.is_complex else 2.0
    density = fit.spectra.pooled[order] * sigma**2 * sided / (rate or 1.0)
    starts = np.arange(0, len(frequency), -(-len(frequency) // N_BINS))
    widths = np.diff(starts, append=len(frequency))
    return NoiseDensity(np.add.reduceat(frequency, starts) / widths, np.add.reduceat(density, starts) / widths)


def _warnings(choice: Choice) -> list[str]:
    """Say in words what the user should know before trusting the floor."""
    statistics, fit, matrix = choice.matrix.statistics, choice.fit, choice.matrix
    found = exclusion_words(statistics.excluded, statistics.n_features)
    if matrix.null.shape[1] and choice.prepared.channel_scale is None:
        found.append(_null_words(matrix))
    if statistics.n_dropped:
        found.append(f"{statistics.n_dropped} samples at which most channels are missing or masked were left out")
    if statistics.fraction_present.min() < 1:
        found.append(
            f"{100 * (1 - statistics.fraction_present.mean()):.2g} % of the values are missing; they count as their "
            "channel's mean, which weakens components a little"
        )
    if statistics.n_unread:
        found.append(
            f"the floor is that of {len(statistics.used)} channels chosen at random from {statistics.n_features}; "
            "components were extended to the others"
        )
    if not fit.converged:
        found.append(
            f"the noise is not of this model ({choice.model.words}): ever more components stand out as found ones "
            "are removed; sigma and edge are upper bounds and the rank is a lower one; compare channels of one kind, "
            "or whiten each channel first, to find more"
        )
    if fit.converged and fit.rank > MANY * min(matrix.n_channels, statistics.dof):
        found.append(
            f"{fit.rank} components in {min(matrix.n_channels, statistics.dof)} dimensions are many: noise that "
            "neighboring channels have in common looks the same, and then sigma is too low; compare channels that lie "
            "apart"
        )
    if len(statistics.used) < 8:
        found.append(f"{len(statistics.used)} channels are few for the large-N laws; p-values are rough")
    return found


def _null_words(matrix: Matrix) -> str:
    """Say which combinations of channels are constant: what subtracting a reference leaves."""
    null = matrix.null / matrix.total_scale[:, None]
    if null.shape[1] == 1:
        weights = np.abs(null[:, 0])
        if weights.std() < REFERENCE_TOLERANCE * weights.mean():
            return "the channels add up to a constant: their average was subtracted, one dimension fewer is tested"
    return f"{null.shape[1]} combinations of channels are constant (a reference was subtracted), and are not tested"
