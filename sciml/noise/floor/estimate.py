"""From a recording to its noise floor."""

import warnings
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Literal

import xarray as xr

from sciml._typing import AnyArray
from sciml.errors import ConfigError, NoiseFloorWarning
from sciml.linalg import few_threads
from sciml.noise.channels.layout import Layout
from sciml.noise.channels.patterns import COMMON, Patterns, patterns_of, spanned
from sciml.noise.channels.read import Progress, read_channels
from sciml.noise.channels.reference import Reference, split_reference
from sciml.noise.channels.statistics import ChannelStatistics
from sciml.noise.floor.assemble import assembled
from sciml.noise.floor.doubts import neighbors_correlate, verdict_of
from sciml.noise.floor.result import NoiseFloor
from sciml.noise.floor.select_model import Choice, fit_requested, select_model
from sciml.noise.floor.stationarity import noise_level
from sciml.noise.matrix.gram import Matrix
from sciml.noise.models.base import Given
from sciml.noise.models.registry import NOISE_MODELS, Model, noise_model
from sciml.recording import check, feature_shape
from sciml.signal.reference import NULL_PATTERNS

FROM_REFERENCE: Model = "reference"
SHARED = 0.1  # correlation of neighbors, above which noise is shared whatever its level does
LEVEL_PASSES = 4  # at least two: of samples weighed by a first level, and by that of what their fit leaves

__all__ = ["check_options", "floor_of", "noise_floor", "warn_of_doubt"]


def noise_floor(
    recording: xr.DataArray,
    *,
    model: Model | Literal["auto"] = "auto",
    alpha: float = 0.05,
    reference: Reference | None = None,
    patterns: Patterns | None = None,
    progress: Progress | None = None,
) -> NoiseFloor:
    r"""Estimate the noise of a recording and find the components that rise above it.

    The recording X (T samples, N channels; pixels count as channels) is demeaned, each channel divided by the
    standard deviation of its noise, and the eigenvalues of X^H X / (T - 1) compared with the largest that noise
    reaches. The first models say that channels are independent, of variances S_i(f) at frequency f:

    - `white`, `heteroscedastic`: S_i(f) = sigma_i²: Marchenko-Pastur bulk, Tracy-Widom edge (Johnstone 2001);
    - `colored`: S_i(f) = sigma_i² S(f): generalized Marchenko-Pastur bulk, El Karoui's edge (2007);
    - `heteroscedastic+colored`: any S_i(f): the edge of a Gram matrix with a variance profile
      (`sciml.rmt.variance_profile.VarianceProfile`);
    - `counts`: X holds Poisson counts of mean a_i b_t; what is tested is whether channels have more in common;
    - `spatial`: neighbors on a grid share noise, of covariance s_i s_j c(x_i - x_j) S(f), the log spectrum of c few
      cosines (Bloomfield 1973), with noise of whole rows and columns where there is such. Channels are whitened by it;
      a smooth component may stand out among the smoothest of the whitened directions only, and the level is shared
      between them (alpha / 3 each). `components` are maps in units of each channel's noise, of unit norm, and `filters`
      read their time courses. Beyond 2048 channels, each is whitened by its neighbors alone.

    The spectra are those of the recording itself. No smoothing blunts their peaks: the law averages over channels and
    frequencies, and only bins that the data cannot tell apart are merged. In other words, this is the limit of
    infinitely many phase-randomized surrogates, solved instead of drawn.

    Noise and rank depend on each other. Both are re-estimated from what remains after removing the found components
    until they agree and the bulk fits, be it after a few were removed that do not stand out by themselves. Where that
    never is (within 12 rounds, or the count runs past half of the channels), the estimate from the whole recording is
    kept, an upper bound on the noise, and the rank is a lower one. Where a held recording is louder at some samples
    than at others (bursts, drifts), each is divided by the level of the noise at its time. What is left is tested, too:
    do neighboring channels correlate, does its power vary over time, is it heavy-tailed, do its eigenvalues follow the
    law? Then the number of components is not determined. `converged` is False in both cases, and `doubt` is the reason.

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
    reference
        Noise alone: from and to in seconds, a part of the recording that is then not tested, or another recording of
        the same channels (dark frames, an empty room). The covariance of noise over channels is taken from it, whatever
        it is; five independent samples a channel are plenty. Fewer than about one a channel make a model of noise that
        neighbors share, fitted to the reference. Its two halves are compared first.
    patterns
        What is taken out first and not tested: "common", the same in all channels; the name of a dim or coordinate of
        the channels, or labels (N,): the same in all channels of one value, as rows, converters (ADC) or modules have
        it; or directions (N, q), numbers in the units of the data. Default: what `sciml.signal.rereference` subtracted.
    progress
        Called with the samples read and the samples in all.

    Raises
    ------
    DataError
        Fewer than two channels or samples, values that are not numbers, nothing but missing values, or no counts where
        `model="counts"`.
    ConfigError
        An unknown model, alpha outside (0, 1), a reference with a model that takes none, or patterns that do not fit.

    Warns
    -----
    NoiseFloorWarning
        The number of components is not determined.

    References
    ----------
    Marchenko and Pastur (1967), doi:10.1070/SM1967v001n04ABEH001994; Johnstone (2001), doi:10.1214/aos/1009210544;
    El Karoui (2007), doi:10.1214/009117906000000917, theorem 1; Alt, Erdos and Krueger (2017), doi:10.1214/17-EJP42;
    Landa, Zhang and Kluger (2022), doi:10.1137/21M1456807; reference: Wachter (1980), doi:10.1214/aos/1176345134,
    Johnstone (2008), doi:10.1214/08-AOS605.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> shared = rng.normal(size=(2000, 1)) @ rng.normal(size=(1, 20))
    >>> floor = noise_floor(xr.DataArray(shared + rng.normal(size=(2000, 20)), dims=("time", "channel")))
    >>> floor.rank
    1
    """
    check_options(model, alpha)
    recording, noise = check(recording), None
    if reference is not None:
        recording, noise = split_reference(recording, _demand_model_of_reference(model, reference))
    hold = model != "auto" and noise_model(model).needs_values
    statistics = read_channels(recording, progress, hold=hold)
    reference_statistics = None if noise is None else read_channels(noise)
    patterns = _subtracted(recording) if patterns is None else patterns
    if patterns is not None:
        directions, words = patterns_of(recording, patterns)
        statistics = _without(statistics, directions, words)
        reference_statistics = reference_statistics and _without(reference_statistics, directions, words)
    read_all = partial(read_channels, recording, hold=True) if statistics.standardized is not None else None
    given = Given(read_all, Layout.of(recording), reference_statistics)
    floor = floor_of(statistics, recording, model, alpha, progress=progress, given=given)
    warn_of_doubt(floor)
    return floor


def _demand_model_of_reference(model: str, reference: Reference) -> Reference:
    if model not in ("auto", FROM_REFERENCE):
        raise ConfigError(f"expected the model 'reference' or 'auto' where a reference is given, got {model!r}")
    return reference


def _subtracted(recording: xr.DataArray) -> str | None:
    """Return what a reference subtracted from the recording, in words of `patterns`; None where none is known."""
    name = str(recording.attrs.get(NULL_PATTERNS, ""))
    return name if name == COMMON or name in recording.coords else None


def _without(statistics: ChannelStatistics, directions: AnyArray, words: str) -> ChannelStatistics:
    """Return the statistics without patterns over all channels."""
    basis = spanned(directions[statistics.used])
    n = basis.shape[1]
    said = f"{words} {'was' if n == 1 else f'({n} directions) were'} taken out first, and not tested: a signal of that"
    return statistics.without(basis, f"{said} pattern cannot be told from such noise")


def floor_of(
    statistics: ChannelStatistics,
    template: xr.DataArray,
    model: Model | Literal["auto"],
    alpha: float,
    *,
    progress: Progress | None = None,
    given: Given | None = None,
) -> NoiseFloor:
    """Return the noise floor that follows from the statistics of channels; clock, units, names are the template's."""
    check_options(model, alpha)
    with few_threads(min(len(statistics.used), statistics.n_samples)):
        matrix, choose = (
            Matrix(statistics),
            partial(_chosen, model=model, alpha=alpha, given=given or Given(layout=Layout.of(template))),
        )
        choice = _weighed(choose(matrix), feature_shape(template), choose)
        return assembled(template, matrix, choice, requested=model, alpha=alpha, progress=progress)


def _weighed(choice: Choice, shape: tuple[int, ...], choose: Callable[[Matrix], Choice]) -> Choice:
    """Return the choice for samples divided by the level of their noise, where it varies and that mends it."""
    weighed = choice
    for n_weighed in range(1, LEVEL_PASSES + 1):
        level = noise_level(weighed)
        # Of noise that neighbors share nothing is claimed, whatever its level does.
        if level is None or neighbors_correlate(weighed, shape, least=SHARED):
            break
        before, weighed = weighed, choose(Matrix(weighed.matrix.statistics.weighed(level)))
        if n_weighed > 1 and weighed.fit.rank == before.fit.rank and not verdict_of(weighed, shape).reason:
            return weighed
    return choice


def _chosen(matrix: Matrix, model: Model | Literal["auto"], alpha: float, given: Given) -> Choice:
    if model == "auto" and given.reference is not None:
        choice = fit_requested(noise_model(FROM_REFERENCE), matrix, alpha, given)
        return replace(choice, reason=choice.model.chosen(choice.fit, choice.prepared))
    if model == "auto":
        return select_model(matrix, alpha, given)
    return fit_requested(noise_model(model), matrix, alpha, given)


def warn_of_doubt(floor: NoiseFloor) -> None:
    """Warn the caller's caller of a number of components that is not determined."""
    if floor.doubt:
        warnings.warn(floor.summary(), NoiseFloorWarning, stacklevel=3)


def check_options(model: str, alpha: float) -> None:
    """Raise a ConfigError if there is no such model, or alpha is no probability."""
    names = ["auto", *(each.name for each in NOISE_MODELS)]
    if model not in names:
        raise ConfigError(f"expected a noise model of {', '.join(names)}; got {model!r}")
    if not 0 < alpha < 1:
        raise ConfigError(f"expected alpha between 0 and 1, got {alpha}")
