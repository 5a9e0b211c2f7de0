"""The noise floor of a recording: what pure noise of this size and color would look like.

Noise of N channels and T samples spreads its covariance eigenvalues over a bulk whose upper edge random-matrix
theory knows. An eigenvalue beyond the edge, by more than the edge's Tracy-Widom fluctuation, is signal with a
p-value. Where the edge lies depends on the noise: its variance in each channel, and its correlation in time.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, Literal, get_args

import numpy as np
import scipy.linalg
import scipy.stats
import xarray as xr
from numpy.typing import NDArray

from sciml import linalg
from sciml.errors import ConfigError, DataError
from sciml.recording import TIME, blocks, check, n_features, sampling_rate
from sciml.rmt import edges, laws
from sciml.rmt.rank import white_test
from sciml.signal.correlation import autocorrelation, correlation_samples, whiteness_p_value

__all__ = ["MODELS", "Model", "NoiseFloor", "noise_floor"]

Model = Literal["white", "heteroscedastic", "colored"]
MODELS: dict[Model, str] = {
    "white": "one variance for all channels, no correlation in time",
    "heteroscedastic": "a variance per channel, no correlation in time",
    "colored": "a variance per channel, one spectrum in time for all channels",
}

MEMORY = 2**30  # recordings up to this size (as float64) are held; larger ones are read anew in each pass
BLOCK_BYTES = 2**28
MAX_PASSES = 12  # how often rank and noise are re-estimated from each other before the floor counts as unsettled
BULK_TOLERANCE = 1.05  # measured on noise of the right model: 0.98 to 1.01; on a model that is wrong: above 1.1
TEST_LEVEL = 1e-3  # of the tests that choose the model: a wrong "colored" costs a little power, no false alarms
N_LAGS = 20
MIN_SAMPLES = 8
SMALLEST_NOISE = 1e-4  # share of a channel's variance
N_AXIS_STEPS = 4  # after three the channels' scales move by less than 1e-3 (measured)


@dataclass(frozen=True)
class NoiseFloor:
    """The noise floor of a recording of N channels and T samples, and what rises above it.

    Eigenvalues are those of X^H X / (T - 1) after each channel was demeaned and divided by `channel_scale`, so that
    noise has mean eigenvalue 1 (`model="white"`: one common scale).
    """

    model: Model
    requested: str
    reason: str
    alpha: float
    sigma: float
    sigma_se: float
    rank: int
    edge: float
    eigenvalues: NDArray[np.float64]
    p_values: NDArray[np.float64]
    components: NDArray[Any]
    channel_mean: NDArray[Any]
    channel_scale: NDArray[np.float64]
    n_samples: int
    n_features: int
    n_effective: float
    correlation_time: float | None
    textbook_rank: int
    textbook_edge: float
    textbook_eigenvalues: NDArray[np.float64]
    frequency: NDArray[np.float64]
    psd: NDArray[np.float64]
    units: str
    bulk_ratio: float
    settled: bool
    dead_channels: tuple[int, ...] = ()
    warnings: tuple[str, ...] = ()
    attrs: dict[str, Any] = field(default_factory=dict)

    @property
    def gamma(self) -> float:
        """Channels per sample, N/T, over the channels that carry noise."""
        return len(self.live) / self.n_samples

    @property
    def live(self) -> NDArray[np.int64]:
        """Indices of the channels that were used: neither constant nor mostly missing."""
        return np.setdiff1d(np.arange(self.n_features), np.array(self.dead_channels, dtype=np.int64))

    def to_dataset(self) -> xr.Dataset:
        """Return all numbers as a Dataset with dims `component`, `outlier`, `channel` and `frequency`.

        Examples
        --------
        >>> noise = xr.DataArray(np.random.default_rng(1).normal(size=(500, 8)), dims=("time", "channel"))
        >>> int(noise_floor(noise).to_dataset().sizes["component"])
        8
        """
        dims = {
            "eigenvalues": ("component",),
            "p_values": ("component",),
            "textbook_eigenvalues": ("component",),
            "components": ("channel", "outlier"),
            "channel_mean": ("channel",),
            "channel_scale": ("channel",),
            "psd": ("frequency",),
        }
        values = {each.name: getattr(self, each.name) for each in fields(self)}
        attrs = {name: value for name, value in values.items() if isinstance(value, str)}
        numbers = {name: value for name, value in values.items() if isinstance(value, int | float)}
        return xr.Dataset(
            {name: (dim, getattr(self, name)) for name, dim in dims.items()} | numbers,
            coords={"frequency": ("frequency", self.frequency, {"units": "Hz"})},
            attrs={**self.attrs, **attrs, "warnings": "\n".join(self.warnings)},
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the scalars, eigenvalues and p-values as plain Python values, for JSON."""
        skipped = {"components", "channel_mean", "channel_scale", "frequency", "psd"}
        plain = {name: value for name, value in asdict(self).items() if name not in skipped}
        return {name: value.tolist() if isinstance(value, np.ndarray) else value for name, value in plain.items()}

    def summary(self) -> str:
        """Return the result in one or two sentences."""
        count = "1 component" if self.rank == 1 else f"{self.rank} components"
        text = f"{count} above the noise floor ({self.model} noise, level {self.alpha:g})"
        if self.rank == self.textbook_rank:
            return text + ", as the textbook Marchenko-Pastur edge says too."
        text += f"; the textbook Marchenko-Pastur edge would have said {self.textbook_rank}"
        if self.correlation_time and self.model == "colored" and self.rank < self.textbook_rank:
            text += f", because the noise is correlated over {self.correlation_time:.3g} s"
        return text + "."


def noise_floor(recording: xr.DataArray, model: Model | Literal["auto"] = "auto", alpha: float = 0.05) -> NoiseFloor:
    r"""Estimate the noise of a recording and find the components that rise above it.

    The recording X (T samples, N channels; pixels count as channels) is demeaned, each channel divided by the
    standard deviation of its noise, and the eigenvalues of X^H X / (T - 1) compared with the largest that noise
    reaches:

    - `white`, `heteroscedastic`: Marchenko-Pastur bulk, Tracy-Widom edge (Johnstone 2001);
    - `colored`: independent channels of common power spectrum S(f) up to scale follow the generalized
      Marchenko-Pastur law with population spectrum {S(f)}; the edge is El Karoui's (2007), with S estimated from
      the recording itself, averaged over channels.

    Noise and rank depend on each other. Both are re-estimated from what is left after the found components until
    they agree. Where they never do (the count runs past half of the channels), the estimate from the whole
    recording is kept, an upper bound on the noise, `settled` is False and a warning says so.

    Parameters
    ----------
    recording
        Dims `time` and any others, real or complex, any unit and scale. Masked samples, and samples at which a
        channel has no value, are left out; constant and mostly missing channels are left out and named.
    model
        Kind of noise, or "auto" to test the recording for correlation in time and for unequal variances.
    alpha
        Probability with which pure noise is given a component.

    Raises
    ------
    DataError
        Fewer than two channels or samples, values that are not numbers, nothing but missing values, or more
        channels than samples in a recording too large to hold.
    ConfigError
        An unknown model, or alpha outside (0, 1).

    References
    ----------
    Marchenko and Pastur (1967), doi:10.1070/SM1967v001n04ABEH001994; Johnstone (2001), doi:10.1214/aos/1009210544;
    El Karoui (2007), doi:10.1214/009117906000000917, theorem 1.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> shared = rng.normal(size=(2000, 1)) @ rng.normal(size=(1, 20))
    >>> floor = noise_floor(xr.DataArray(shared + rng.normal(size=(2000, 20)), dims=("time", "channel")))
    >>> floor.rank
    1
    """
    if model not in ("auto", *get_args(Model)):
        raise ConfigError(f"expected a noise model of auto, {', '.join(MODELS)}; got {model!r}")
    if not 0 < alpha < 1:
        raise ConfigError(f"expected alpha between 0 and 1, got {alpha}")
    source = _Source(check(recording))
    chosen, reason, fit, gram = _choose(source, model, alpha)
    return _result(recording, gram, fit, model=chosen, requested=model, reason=reason, alpha=alpha)


class _Source:
    """The recording as demeaned blocks of complete samples of the channels that carry noise."""

    def __init__(self, recording: xr.DataArray) -> None:
        self.recording = recording
        self.n_features = n_features(recording)
        itemsize = 16 if recording.dtype.kind == "c" else 8
        fits = recording.size * itemsize <= MEMORY
        self._rows = recording.sizes[TIME] if fits else max(16, BLOCK_BYTES // (itemsize * self.n_features))
        whole = blocks(recording, recording.sizes[TIME], across_gaps=True)
        self._held = next(whole)[1] if fits else None
        rough = linalg.moments(self._read())
        mostly_missing = rough.count < 0.5 * recording.sizes[TIME]
        constant = rough.constant & ~mostly_missing
        self.live = np.flatnonzero(~rough.constant & ~mostly_missing)
        if len(self.live) < 2:
            raise DataError(
                f"expected at least two channels that vary, got {len(self.live)} of {self.n_features} "
                f"({int(constant.sum())} constant, {int(mostly_missing.sum())} mostly missing); a noise floor "
                "compares channels: give a recording of several"
            )
        self.rough_mean = rough.mean
        unbroken = bool((rough.count[self.live] == recording.sizes[TIME]).all())
        complete = rough.select(self.live) if unbroken else linalg.moments(self._complete())
        self.n_samples = int(complete.count[0])
        self.n_dropped = recording.sizes[TIME] - self.n_samples
        if self.n_samples < MIN_SAMPLES:
            raise DataError(
                f"expected at least {MIN_SAMPLES} samples at which every channel has a value, got {self.n_samples} of "
                f"{recording.sizes[TIME]}; give a longer recording, or leave out the channels with most missing values"
            )
        self.freedom = self.n_samples - 1  # the mean takes one degree of freedom
        self.mean, self.variance = complete.mean, complete.variance * self.n_samples / self.freedom
        if len(self.live) > self.n_samples and self._held is None:
            raise DataError(
                f"expected a recording that fits in {MEMORY >> 20} MiB where channels ({len(self.live)}) outnumber "
                f"samples ({self.n_samples}); average neighboring pixels or select a region first"
            )

    def _read(self) -> Iterator[NDArray[Any]]:
        if self._held is not None:
            yield self._held
        else:
            for _, values in blocks(self.recording, self._rows, across_gaps=True):
                yield values

    def _complete(self) -> Iterator[NDArray[Any]]:
        """Yield the samples at which every live channel has a value.

        Samples on either side of a hole or a gap are taken as neighbors. The pooled spectrum only needs an
        orthonormal basis over the samples that is close to the eigenbasis of their covariance, and long waves
        across the gap are closer to it than short ones that end there (Schur-Horn: the diagonal of the covariance
        in any basis is majorized by its eigenvalues, so the blunter estimate is the one that is too low).
        """
        found = False
        for values in self._read():
            used = values[:, self.live] if len(self.live) < values.shape[1] else values
            complete = np.isfinite(used).all(axis=1)
            if complete.any():
                found = True
                yield used if complete.all() else used[complete]
        if not found:
            raise DataError(
                "expected samples at which every channel has a value, found none; "
                "leave out the channels with most missing values"
            )

    def blocks(self, scale: NDArray[np.float64]) -> Iterator[NDArray[Any]]:
        """Yield demeaned blocks divided by `scale`, one value a live channel."""
        for values in self._complete():
            yield (values - self.mean) / scale


@dataclass(frozen=True)
class _Fit:
    """Rank and noise that agree: the spectrum in units of the noise, the law of its edge, the channels' scales.

    `basis` holds the components that were taken out before the noise was estimated, `power` the pooled spectrum
    of what they leave.
    """

    eigenvalues: NDArray[np.float64]
    p_values: NDArray[np.float64]
    components: NDArray[Any]
    scale: NDArray[np.float64]
    law: edges.EdgeLaw
    rank: int
    power: linalg.PooledSpectrum
    settled: bool


class _Gram:
    """The covariance of a source on its short side, for any scaling of the channels."""

    def __init__(self, source: _Source) -> None:
        self.source = source
        self.freedom, self.n_channels = source.freedom, len(source.live)
        self.total_scale = np.sqrt(source.variance)  # signal included
        self.complex = False
        if self.n_channels > self.freedom:
            self._matrix = np.concatenate(list(source.blocks(self.total_scale)))
            self.complex = np.iscomplexobj(self._matrix)
        else:
            gram = linalg.covariance(source.blocks(self.total_scale), self.n_channels) / self.freedom
            self.complex = np.iscomplexobj(gram)
            self._gram = gram

    def eigen(self, scale: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[Any]]:
        """Return the nonzero eigenvalues of X^H X / T, descending, and orthonormal directions over the channels."""
        factor = self.total_scale / scale
        if self.n_channels <= self.freedom:
            values, vectors = scipy.linalg.eigh(self._gram * factor[:, None] * factor, check_finite=False)
            return np.maximum(values[::-1], 0.0), vectors[:, ::-1]
        scaled = self._matrix * factor
        values, left = scipy.linalg.eigh(scaled @ scaled.conj().T / self.freedom, check_finite=False)
        # Demeaning leaves T - 1 nonzero eigenvalues; the null direction has no counterpart over the channels.
        values, left = values[:0:-1], left[:, :0:-1]
        vectors = scaled.conj().T @ left / np.sqrt(np.maximum(values, np.finfo(float).tiny) * self.freedom)
        return np.maximum(values, 0.0), vectors

    def noise_scale(self, scale: NDArray[np.float64], rank: int) -> NDArray[np.float64]:
        """Return each channel's noise standard deviation beside `rank` components, by principal-axis steps."""
        for _ in range(N_AXIS_STEPS if rank else 0):
            scale = self._residual_scale(scale, rank)
        return scale

    def _residual_scale(self, scale: NDArray[np.float64], rank: int) -> NDArray[np.float64]:
        """Return what `rank` components leave of each channel, per degree of freedom."""
        values, vectors = self.eigen(scale)
        found = np.abs(vectors[:, :rank]) ** 2
        left = np.maximum((self.total_scale / scale) ** 2 - found @ values[:rank], 0.0)
        # Fitted directions absorb noise too: a share h_i of channel i's, and `rank` of the degrees of freedom in time.
        freedom = np.maximum(1 - found.sum(axis=1), 0.1) * (1 - rank / self.freedom)
        # A channel that the components explain to the last digit would get no noise, and then all the weight.
        variance = np.maximum(scale**2 * left / freedom, SMALLEST_NOISE * self.total_scale**2)
        return np.asarray(np.sqrt(variance))

    def power(self, scale: NDArray[np.float64], basis: NDArray[Any]) -> linalg.PooledSpectrum:
        """Return the pooled spectrum of what `basis` leaves; its mean is the variance of the noise."""
        pooled = linalg.pooled_spectrum(self.source.blocks(scale), basis)
        return replace(pooled, values=pooled.values * (self.freedom + 1) / (self.freedom - basis.shape[1]))

    def white_law(self, rank: int) -> edges.EdgeLaw:
        """Return the law of the largest noise eigenvalue beside `rank` components, for white noise of variance 1."""
        return edges.white(self.n_channels - rank, self.freedom, complex_data=self.complex)

    def colored_law(self, power: linalg.PooledSpectrum, rank: int) -> edges.EdgeLaw:
        """Return the same law for noise of this power spectrum."""
        return edges.colored(power.values, self.n_channels - rank, self.freedom, complex_data=self.complex)


def _choose(source: _Source, requested: str, alpha: float) -> tuple[Model, str, _Fit, _Gram]:
    """Fit the requested model, or the simplest one that the tests on the residual leave standing."""
    gram = _Gram(source)
    if requested == "colored":
        return "colored", "as requested", _fit_unequal(gram, alpha, colored=True), gram
    if requested == "white":
        return "white", "as requested", _fit_white(gram, alpha), gram
    uncolored = _fit_unequal(gram, alpha, colored=False)
    if requested == "heteroscedastic":
        return "heteroscedastic", "as requested", uncolored, gram
    p_color = _color_p_value(gram, uncolored)
    if p_color < TEST_LEVEL:
        reason = f"neighboring samples of the residual correlate (pooled portmanteau test, p {_below(p_color)})"
        return "colored", reason, _fit_unequal(gram, alpha, colored=True), gram
    p_equal = _equal_variance_p_value(uncolored.scale, gram.freedom)
    if p_equal < TEST_LEVEL:
        reason = f"white in time, but variances differ between channels (Bartlett's test, p {_below(p_equal)})"
        return "heteroscedastic", reason, uncolored, gram
    return "white", "white in time and of equal variance over channels", _fit_white(gram, alpha), gram


def _below(p_value: float) -> str:
    return "< 1e-12" if p_value < 1e-12 else f"= {p_value:.2g}"


def _color_p_value(gram: _Gram, fit: _Fit) -> float:
    """Test what the fit calls noise for correlation in time."""
    rho = autocorrelation(fit.power.grid, min(N_LAGS, fit.power.n_grid // 4))
    return whiteness_p_value(rho, n_samples=gram.freedom, n_channels=gram.n_channels - fit.rank)


def _equal_variance_p_value(scale: NDArray[np.float64], n_samples: int) -> float:
    """Bartlett's test (1937, doi:10.1098/rspa.1937.0109) that independent channels have equal variances."""
    variances, n = scale**2, len(scale)
    statistic = n_samples * n * (np.log(np.mean(variances)) - np.mean(np.log(variances)))
    return float(scipy.stats.chi2.sf(statistic / (1 + (n + 1) / (3 * n * n_samples)), n - 1))


def _fit_white(gram: _Gram, alpha: float) -> _Fit:
    """One sigma for all channels (`sciml.rmt.rank.white_test`)."""
    common = np.full(gram.n_channels, np.sqrt(np.mean(gram.total_scale**2)))
    values, vectors = gram.eigen(common)
    test = white_test(values, gram.n_channels, gram.freedom, alpha=alpha, complex_data=gram.complex)
    scale = common * test.sigma
    power = gram.power(scale, vectors[:, : test.rank])
    scaled = values / test.sigma**2
    return _Fit(scaled, test.p_values, vectors, scale, test.law, test.rank, power, settled=test.converged)


def _fit_unequal(gram: _Gram, alpha: float, *, colored: bool) -> _Fit:
    """Fit a variance per channel; with `colored` also one spectrum for all.

    Rank and noise are settled from below. Many components of equal strength can hide each other there, all of them
    counting as noise; then again from the widest gap of the spectrum.
    """
    below = _settle(gram, alpha, colored=colored)
    if below.settled:
        return below
    values = gram.eigen(gram.total_scale)[0]
    half = len(values) // 2
    gap = int(np.argmax(values[:half] / np.maximum(values[1 : half + 1], np.finfo(float).tiny))) + 1
    above = _settle(gram, alpha, colored=colored, start=gap)
    return above if above.settled else below


def _settle(gram: _Gram, alpha: float, *, colored: bool, start: int = 0) -> _Fit:
    """Re-estimate rank and noise from each other until they agree; if they never do, return where they began."""
    scale, seen = gram.noise_scale(gram.total_scale, start), start
    first = fit = _fit_beside(gram, scale, seen, alpha, colored=colored)
    for _ in range(MAX_PASSES):
        if fit.settled:
            return fit
        if fit.rank == seen or fit.rank > min(gram.n_channels, gram.freedom) // 2:
            break
        scale, seen = gram.noise_scale(scale, fit.rank), fit.rank
        fit = _fit_beside(gram, scale, seen, alpha, colored=colored)
    return first


def _fit_beside(gram: _Gram, scale: NDArray[np.float64], seen: int, alpha: float, *, colored: bool) -> _Fit:
    """Test the spectrum against the noise beside `seen` components; settled if as many are found and the bulk fits."""
    values, vectors = gram.eigen(scale)
    power = gram.power(scale, vectors[:, :seen])
    law = gram.colored_law(power, seen) if colored else gram.white_law(seen)
    rank = _count(values, law, alpha)
    fits = _bulk_ratio(gram, values, seen, power) < BULK_TOLERANCE + 1 / gram.n_channels
    return _Fit(values, law.p_value(values), vectors, scale, law, rank, power, settled=rank == seen and fits)


def _bulk_ratio(gram: _Gram, values: NDArray[np.float64], rank: int, power: linalg.PooledSpectrum) -> float:
    """Return the bulk's second moment over what its law demands: above 1, channels still share something.

    Independent channels of common spectrum have <lambda²> = <lambda>² (1 + tau N/T), tau their correlation length.
    """
    n_left, bulk = gram.n_channels - rank, values[rank:]
    expected = (bulk.sum() / n_left) ** 2 * (1 + correlation_samples(power.values) * n_left / gram.freedom)
    return float((bulk**2).sum() / n_left / expected)


def _count(values: NDArray[np.float64], law: edges.EdgeLaw, alpha: float) -> int:
    """Return how many eigenvalues exceed what the largest noise eigenvalue exceeds with probability alpha."""
    return int(np.count_nonzero(values > law.threshold(alpha)))


def _result(
    recording: xr.DataArray, gram: _Gram, fit: _Fit, *, model: Model, requested: str, reason: str, alpha: float
) -> NoiseFloor:
    source, n_samples, n_channels = gram.source, gram.source.n_samples, gram.n_channels
    tau = correlation_samples(fit.power.values) if model == "colored" else 1.0
    noise_sd = float(np.sqrt(np.mean(fit.scale**2)))
    rate = _rate(recording)
    frequency, psd = _binned(fit.power, noise_sd, rate)
    textbook = gram.eigen(gram.total_scale)[0]
    edge = laws.MarchenkoPastur(n_channels / gram.freedom).support[-1][1]
    kept = source.live
    components = np.zeros((source.n_features, fit.rank), dtype=fit.components.dtype)
    components[kept] = fit.components[:, : fit.rank]
    parameters = 2 * n_channels * n_samples / tau * (2 if gram.complex else 1)
    return NoiseFloor(
        model=model,
        requested=requested,
        reason=reason,
        alpha=alpha,
        sigma=noise_sd,
        sigma_se=noise_sd / float(np.sqrt(parameters)),
        rank=fit.rank,
        edge=float(fit.law.threshold(alpha)),
        eigenvalues=fit.eigenvalues,
        p_values=fit.p_values,
        components=components,
        channel_mean=_spread(source.mean, kept, source.rough_mean),
        channel_scale=_spread(fit.scale, kept, np.zeros(source.n_features)),
        n_samples=n_samples,
        n_features=source.n_features,
        n_effective=n_samples / tau,
        correlation_time=tau / rate if rate else None,
        textbook_rank=int(np.count_nonzero(textbook > edge)),
        textbook_edge=edge,
        textbook_eigenvalues=textbook,
        frequency=frequency,
        psd=psd,
        units=str(recording.attrs.get("units", "")),
        bulk_ratio=_bulk_ratio(gram, fit.eigenvalues, fit.rank, fit.power),
        settled=fit.settled,
        dead_channels=tuple(np.setdiff1d(np.arange(source.n_features), kept).tolist()),
        warnings=_warnings(source, fit, model),
        attrs={name: str(recording.attrs[name]) for name in ("source", "signal", "sha256") if name in recording.attrs},
    )


def _rate(recording: xr.DataArray) -> float | None:
    try:
        return sampling_rate(recording)
    except DataError:
        return None


def _spread(values: NDArray[Any], kept: NDArray[np.int64], otherwise: NDArray[Any]) -> NDArray[Any]:
    """Put values of the live channels among those of the channels that were left out."""
    out = otherwise.astype(np.result_type(otherwise, values))
    out[kept] = values
    return out


def _binned(
    power: linalg.PooledSpectrum, noise_sd: float, rate: float | None, n_bins: int = 1024
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return frequencies and the one-sided density, averaged over channels and into at most `n_bins` bins."""
    n = power.n_grid
    half = n // 2 + 1
    frequency = np.arange(half) * (rate or 1.0) / n
    density = power.grid[:half] * noise_sd**2 * 2 / (rate or 1.0)
    starts = np.arange(1, half, -(-(half - 1) // n_bins))  # the mean was removed: nothing at frequency zero
    widths = np.diff(starts, append=half)
    return np.add.reduceat(frequency, starts) / widths, np.add.reduceat(density, starts) / widths


def _warnings(source: _Source, fit: _Fit, model: Model) -> tuple[str, ...]:
    """Say in words what the user should know before trusting the floor."""
    found = []
    dead = source.n_features - len(source.live)
    if dead:
        found.append(f"{dead} of {source.n_features} channels are constant or mostly missing and were left out")
    if source.n_dropped:
        found.append(f"{source.n_dropped} samples have a missing or masked value in some channel and were left out")
    if not fit.settled:
        found.append(
            f"the noise is not of this model ({MODELS[model]}): ever more components stand out as found ones are "
            "removed; sigma and edge are upper bounds and the rank is a lower one; compare channels of one kind, or "
            "whiten each channel first, to find more"
        )
    if len(source.live) < 8:
        found.append(f"{len(source.live)} channels are few for the large-N laws; p-values are rough")
    return tuple(found)
