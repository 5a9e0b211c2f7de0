"""The noise floor in frequency: which oscillations several channels have, how many modes, in which channels."""

from collections.abc import Callable, Iterator
from typing import get_args

import numpy as np
import xarray as xr

from sciml import linalg
from sciml._typing import AnyArray
from sciml.errors import ConfigError, DataError
from sciml.noise.coherence.bands import FEWEST_AVERAGES, MIN_LENGTH, BandPlan, Resolution, plan_bands
from sciml.noise.coherence.cross_spectra import CrossSpectra, cross_spectra
from sciml.noise.coherence.gather import Measured, gather
from sciml.noise.coherence.modes import screen
from sciml.noise.coherence.result import CoherentBand, CoherentMode, Control, SpectralNoiseFloor
from sciml.noise.coherence.whiten import first_samples, fit_whitener, whitened_segments
from sciml.recording import TIME, check, n_features, sampling_rate, segments

__all__ = ["CoherentBand", "CoherentMode", "Control", "SpectralNoiseFloor", "spectral_noise_floor"]

Progress = Callable[[int, int], None]

MEMORY = 2**28
N_KEPT = 16  # eigenvalues of each band that are kept
MANY_BANDS = 128  # that double precision must have room for


def spectral_noise_floor(
    recording: xr.DataArray,
    *,
    n_tapers: int | None = None,
    bandwidth: float | None = None,
    segment: float | None = None,
    frequencies: tuple[float, float] | None = None,
    alpha: float = 0.05,
    control: Control = "family",
    memory: int = MEMORY,
    progress: Progress | None = None,
) -> SpectralNoiseFloor:
    r"""Find the oscillations that channels have in common: at which frequencies, by how many modes, in which channels.

    Each channel is whitened by a short filter of its own, cut into segments without overlap, and transformed under K
    sine tapers. In a band the n = K times segments transforms Y (n, N), each channel divided by its own power, give a
    matrix Y^H Y / n of coherences, and noise that is independent between channels, whatever its color, power or
    steadiness, reaches a largest eigenvalue of known law (`sciml.rmt.coherence`). Few channels may have much in common
    without moving that eigenvalue (always so with more channels than n): the largest pairwise coherence is
    tested too, each at half the level.

    Averages that correlate (a spectrum that is steep within the band, a line, bursts) count as
    :math:`(\mathrm{tr} B)^2 / \mathrm{tr} B^2` of them, B their covariance averaged over the channels.

    In a band that has a mode, the noise of the channels is estimated anew after removing it and the next eigenvalue
    tested with one channel and one average less, until one is noise. A channel takes part in a mode if it is coherent
    with the mode as the other channels have it (Holm's test over the channels at level `alpha`). Neighboring bands are
    merged.

    By default segments are a twelfth of the recording. Bands overlap by half and are f / 16 wide, as rhythms are, but
    at least as many inverse durations as there are channels (24 to 96) and at most the square root of the number of
    averages over the whole recording (or twice the channels), so that lines at high frequencies stay lines.

    Parameters
    ----------
    recording
        Dims `time` and any others, real or complex, any unit and scale, in memory or lazy (read once, in blocks).
        Segments with a missing or masked sample are left out; constant, mostly missing and copied channels too.
    n_tapers, bandwidth
        Fixed number of tapers, or full width of the bands in Hz, instead of the rule.
    segment
        Length of the segments in s.
    frequencies
        Lowest and highest band center in Hz. Fewer tests, and room for narrower bands.
    alpha
        Probability with which pure noise is given a band anywhere ("family"), or the expected fraction of false
        ones among the bands found ("fdr").
    control
        "family" (Holm), "fdr" (Benjamini-Hochberg) or "fdr-dependent" (Benjamini-Yekutieli).
    memory
        Bytes for what is accumulated. Recordings that fit are held; of others one matrix a band is summed, and where
        those do not fit, bands become wider.
    progress
        Called with the number of samples read and of all.

    Raises
    ------
    DataError
        No clock, fewer than two channels that vary, or too few samples for eight averages.
    ConfigError
        Options out of range, or both `n_tapers` and `bandwidth`.

    References
    ----------
    Thomson (1982), doi:10.1109/PROC.1982.12433; sine tapers: Riedel and Sidorenko (1995), doi:10.1109/78.365298;
    largest eigenvalue: Johansson (2000), doi:10.1007/s002200050027.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> t = np.arange(10_000) / 500.0
    >>> values = rng.normal(size=(10_000, 16))
    >>> values[:, [2, 5, 11]] += 0.3 * np.sin(2 * np.pi * 40 * t)[:, None]
    >>> floor = spectral_noise_floor(xr.DataArray(values, dims=("time", "channel"), attrs={"sampling_rate": 500.0}))
    >>> [(round(band.frequency), sorted(band.channels)) for band in floor.bands]
    [(40, [2, 5, 11])]
    """
    wanted = _checked(Resolution(n_tapers, bandwidth, segment, frequencies), alpha, control)
    measured = _measure(check(recording, minimum=8), wanted, memory, progress)
    cross, n_null = measured.cross, measured.whitener.n_null
    with linalg.few_threads(n_features(recording)):
        tests = [screen(cross, band, n_null=n_null, n_kept=N_KEPT) for band in range(len(cross.n_averages))]
        return gather(measured, tests, alpha=alpha, control=control)


def _checked(wanted: Resolution, alpha: float, control: str) -> Resolution:
    if not 0 < alpha < 1:
        raise ConfigError(f"expected alpha between 0 and 1, got {alpha}")
    if control not in get_args(Control):
        raise ConfigError(f"expected control of {', '.join(get_args(Control))}; got {control!r}")
    for name in ("n_tapers", "bandwidth", "segment"):
        value = getattr(wanted, name)
        if value is not None and not 0 < value < np.inf:
            raise ConfigError(f"expected {name} to be a positive number, got {value!r}")
    return wanted


def _measure(recording: xr.DataArray, wanted: Resolution, memory: int, progress: Progress | None) -> Measured:
    """Read the recording once and sum its cross-spectra."""
    rate, n, total = sampling_rate(recording), n_features(recording), recording.sizes[TIME]
    if n < 2:
        raise DataError(
            "expected at least two channels, got one; coherence compares channels. Its power spectrum is "
            "sciml.signal.psd.power_spectrum(recording)"
        )
    hold = 20 * total * n <= memory  # overlapping bands: about one complex number a sample
    itemsize = 16 if MANY_BANDS * 16 * n * n <= memory else 8
    runs = [run.stop - run.start for run in segments(recording)]
    plan = plan_bands(
        runs,
        rate,
        n,
        wanted,
        complex_data=recording.dtype.kind == "c",
        room=total if hold else memory // (itemsize * n * n),
        largest_segment=max(memory // (64 * n), MIN_LENGTH),
    )
    first = first_samples(recording)
    whitener = fit_whitener(first, max(runs), plan.order)
    left_out: list[int] = []

    def blocks() -> Iterator[AnyArray]:
        at_once = max(1, memory // (160 * n * plan.n_fft))
        for done, dropped, block in whitened_segments(recording, whitener, plan.length, at_once=at_once, first=first):
            left_out.append(dropped)
            yield block
            if progress is not None:
                progress(done, total)

    dtype = np.complex128 if itemsize == 16 else np.complex64
    cross = cross_spectra(blocks(), plan, len(whitener.used), hold=hold, dtype=dtype)
    _demand_averages(cross, plan, sum(left_out))
    return Measured(recording, cross, plan, whitener, sum(left_out))


def _demand_averages(cross: CrossSpectra, plan: BandPlan, n_left_out: int) -> None:
    if int(cross.n_averages.min()) < FEWEST_AVERAGES:
        raise DataError(
            f"expected segments of {plan.length / plan.rate:g} s without a missing value in any channel, got "
            f"{plan.n_segments - n_left_out} of {plan.n_segments}; choose a shorter segment, or leave out the "
            "channels with most missing values"
        )
