"""The noise floor that a choice of model makes: its numbers, components over all channels, and spectrum."""

import numpy as np
import xarray as xr

from sciml._typing import AnyArray, FloatArray
from sciml.errors import DataError
from sciml.noise.channels.extend import extended_components
from sciml.noise.channels.layout import Layout
from sciml.noise.channels.names import channel_coordinates, channel_names
from sciml.noise.channels.read import Progress
from sciml.noise.channels.statistics import ChannelStatistics
from sciml.noise.floor.cautions import cautions
from sciml.noise.floor.components import Components, components_of
from sciml.noise.floor.doubts import verdict_of
from sciml.noise.floor.parts import Channels, MarchenkoPasturEdge, ModelChoice, NoiseDensity, Outliers, Samples
from sciml.noise.floor.result import NoiseFloor
from sciml.noise.floor.select_model import Choice
from sciml.noise.matrix.density import density
from sciml.noise.matrix.gram import Matrix
from sciml.recording import feature_shape, sampling_rate
from sciml.rmt.laws import MarchenkoPastur

__all__ = ["assembled"]


def assembled(
    recording: xr.DataArray,
    plain: Matrix,
    choice: Choice,
    *,
    requested: str,
    alpha: float,
    progress: Progress | None,
) -> NoiseFloor:
    """Return the noise floor that a choice of model makes; `plain` is the matrix of the standardized channels."""
    fit, matrix = choice.fit, choice.matrix
    statistics, rate = matrix.statistics, _rate(recording)
    tau = fit.spectra.tau if choice.model.colored else 1.0  # white samples and counts stand for themselves
    found = components_of(choice)
    sigma = float(np.sqrt(np.mean(found.recorded_noise**2)))
    channels, outliers = _all_channels(recording, choice, found, progress)
    verdict = verdict_of(choice, feature_shape(recording))
    # Of noise that is not of the model, nothing is said.
    spatial = None if verdict.reason else choice.model.shared(choice.prepared, Layout.of(recording))
    n_channels = matrix.plain.n_channels
    n_dimensions = n_channels - found.null.shape[1]
    parameters = 2 * n_dimensions * statistics.n_samples / tau * (2 if matrix.is_complex else 1)
    return NoiseFloor(
        choice=ModelChoice(choice.model.name, requested, choice.reason, alpha, verdict.rank_is, verdict.reason),
        rank=fit.rank,
        edge=float(fit.law.threshold(alpha / choice.model.n_tests)),
        eigenvalues=fit.eigenvalues,
        p_values=fit.p_values,
        sigma=sigma,
        sigma_se=sigma / float(np.sqrt(parameters)),
        # Of noise that fills fewer dimensions than there are channels, each holds more.
        detection_limit=float(np.sqrt(fit.profile.detection_limit)) * sigma * float(np.sqrt(n_channels / n_dimensions)),
        converged=not verdict.reason,
        bulk_ratio=fit.bulk_ratio,
        profile=fit.profile,
        channels=channels,
        samples=Samples(statistics.n_samples, statistics.n_samples / tau, tau / rate if rate else None),
        outliers=outliers,
        marchenko_pastur=_marchenko_pastur(plain),
        density=_density(choice, found.recorded_noise, rate),
        units=str(recording.attrs.get("units", "")),
        spatial=spatial,
        warnings=(*cautions(choice, verdict, found), *([] if spatial is None else [spatial.caution])),
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
) -> tuple[Channels, Outliers]:
    """Return what is said of all channels, the excluded ones too, and the components over all of them."""
    matrix, statistics = choice.matrix, choice.matrix.statistics
    components, filters, mean, scale = _extended(recording, statistics, found, progress)
    null = np.zeros((statistics.n_features, found.null.shape[1]), dtype=found.null.dtype)
    null[statistics.used] = found.null.conj()  # columns of X = C F^T, as the components are
    channels = Channels(
        n_features=statistics.n_features,
        n_used=matrix.plain.n_channels,
        excluded=statistics.excluded,
        channel_names=channel_names(recording),
        channel_mean=mean,
        channel_scale=scale,
        n_null=matrix.plain.null.shape[1],
        null=null,
        complex_data=matrix.is_complex,
        coordinates=channel_coordinates(recording),
    )
    outliers = Outliers(
        strengths=found.strengths,
        strength_intervals=found.intervals,
        overlaps_channel=found.overlaps_channel,
        overlaps_time=found.overlaps_time,
        components=components,
        filters=filters,
        singular_values=found.singular_values,
    )
    return channels, outliers


def _extended(
    recording: xr.DataArray, statistics: ChannelStatistics, found: Components, progress: Progress | None
) -> tuple[AnyArray, AnyArray, AnyArray, FloatArray]:
    """Return components and filters (N, rank), mean and noise standard deviation of all channels.

    An excluded channel has no part in any component. Columns of X = C F^T: conjugate to the eigenvectors of X^H X.
    """
    used, n = statistics.used, statistics.n_features
    if statistics.n_unread:
        components, mean, scale = extended_components(
            recording, statistics, found.maps.conj(), found.channel_noise, progress
        )
        return components, components, mean, scale
    components, filters = (np.zeros((n, found.maps.shape[1]), each.dtype) for each in (found.maps, found.filters))
    scale = np.zeros(n)
    components[used], filters[used], scale[used] = found.maps.conj(), found.filters.conj(), found.channel_noise
    return components, filters, statistics.every_mean, scale


def _density(choice: Choice, noise: FloatArray, rate: float | None) -> NoiseDensity:
    """Return the one-sided densities of noise and recording, two-sided ones of complex values."""
    matrix, fit = choice.matrix, choice.fit
    present, own = matrix.statistics.fraction_present, choice.prepared.channel_scale
    unit = matrix.statistics.total_scale * (1 / np.sqrt(present) if own is None else own / fit.scale)
    found = density(matrix, fit.scale, fit.rank, noise=noise, unit=unit)
    hertz = rate or 1.0
    return NoiseDensity(found.frequency * hertz, found.noise / hertz, found.recording / hertz)
