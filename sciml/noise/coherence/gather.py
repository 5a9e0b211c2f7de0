"""From the tests of all bands to the result: control over bands, modes, peaks, channels, warnings in words."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import scipy.ndimage
import scipy.stats
import xarray as xr

from sciml._typing import AnyArray, BoolArray, FloatArray, IntArray
from sciml.noise.channels.names import channel_names
from sciml.noise.channels.select import exclusion_words
from sciml.noise.coherence.bands import BandPlan
from sciml.noise.coherence.cross_spectra import CrossSpectra
from sciml.noise.coherence.merge import Part, merged_parts
from sciml.noise.coherence.modes import FEW_CHANNELS, BandModes, BandTest, find_modes, line_frequency, participation
from sciml.noise.coherence.power import BandPower, band_power
from sciml.noise.coherence.result import CoherentBand, CoherentMode, Control, SpectralNoiseFloor
from sciml.noise.coherence.whiten import Whitener
from sciml.recording import n_features
from sciml.rmt import shrink
from sciml.rmt.coherence import largest_eigenvalue
from sciml.rmt.laws import TracyWidom

__all__ = ["Measured", "gather"]

MAX_MODES = 16
NEIGHBORS = 10  # bands on each side that say what averages are usually worth
PARTLY = 0.9  # of the segments, below which a warning says how many were left out


@dataclass(frozen=True)
class Measured:
    """A recording after it was read: its cross-spectra, the bands and channels they belong to."""

    recording: xr.DataArray
    cross: CrossSpectra
    plan: BandPlan
    whitener: Whitener
    segments_left_out: int


def gather(measured: Measured, tests: list[BandTest], *, alpha: float, control: Control) -> SpectralNoiseFloor:
    """Control the tests over bands, look for further modes where there is one, and merge neighbors."""
    cross, plan, recording = measured.cross, measured.plan, measured.recording
    adjusted, factor = _controlled(np.array([test.p_value for test in tests]), control)
    found = np.flatnonzero(adjusted < alpha)
    n_tests, usual = factor(len(found)), _usual_dof(cross)
    eigenvalues = _padded([test.eigenvalues for test in tests])
    modes = {
        int(b): find_modes(
            cross, int(b), tests[b], n_tests=n_tests, alpha=alpha, dof=float(usual[b]),
            n_null=measured.whitener.n_null, most=MAX_MODES,
        )
        for b in found
    }  # fmt: skip
    p_values = _all_p_values(adjusted, modes, n_tests, eigenvalues.shape[1])
    strength = _possible_strength(tests, modes, cross.n_channels, usual)
    power = band_power(cross, plan, measured.whitener, complex_data=recording.dtype.kind == "c")
    names = channel_names(recording)
    return SpectralNoiseFloor(
        frequency=plan.frequency,
        bandwidth=plan.bandwidth,
        n_tapers=plan.n_tapers,
        degrees_of_freedom=cross.dof,
        eigenvalues=eigenvalues,
        edge=_edges(cross, len(tests), alpha),
        p_values=p_values,
        rank=np.array([len(modes[b].p_values) if b in modes else 0 for b in range(len(tests))]),
        components=_components(modes, len(tests), measured),
        bands=tuple(
            _band(measured, modes, p_values, usual, strength, power, part, alpha)
            for part in _parts(measured, modes, strength, usual, power.is_held)
        ),
        alpha=alpha,
        control=control,
        n_segments=plan.n_segments - measured.segments_left_out,
        segment=plan.length / plan.rate,
        sampling_rate=plan.rate,
        excluded=measured.whitener.excluded,
        names=names,
        units=str(recording.attrs.get("units", "")),
        warnings=_warnings(measured, names),
        attrs={name: str(recording.attrs[name]) for name in ("source", "signal", "sha256") if name in recording.attrs},
    )


def _controlled(p: FloatArray, control: Control) -> tuple[FloatArray, Callable[[int], float]]:
    """Return p-values controlled over bands, and by what those of further modes are multiplied, given what is found."""
    n = len(p)
    if control == "family":
        order = np.argsort(p)
        adjusted = np.empty(n)
        adjusted[order] = np.minimum(np.maximum.accumulate(p[order] * np.arange(n, 0, -1)), 1.0)
        return adjusted, lambda _: float(n)
    method: Literal["bh", "by"] = "bh" if control == "fdr" else "by"
    penalty = 1.0 if control == "fdr" else float(np.sum(1 / np.arange(1, n + 1)))
    adjusted = np.asarray(scipy.stats.false_discovery_control(p, method=method))
    return adjusted, lambda found: n * penalty / max(found, 1)


def _usual_dof(cross: CrossSpectra) -> FloatArray:
    """Return the dof that averages have in the neighborhood: at a narrow line, what they would have without it."""
    fraction = cross.dof / cross.n_averages
    around = scipy.ndimage.median_filter(fraction, size=2 * NEIGHBORS + 1, mode="nearest")
    return np.asarray(np.maximum(fraction, around) * cross.n_averages)


def _all_p_values(adjusted: FloatArray, modes: dict[int, BandModes], n_tests: float, n_kept: int) -> FloatArray:
    p_values = np.full((len(adjusted), n_kept), np.nan)
    p_values[:, 0] = adjusted
    for b, each in modes.items():
        more = np.minimum(n_tests * each.p_values[1:], 1.0)
        p_values[b, 1 : len(each.p_values)] = np.maximum(np.maximum.accumulate(more), adjusted[b])
    return p_values


def _mode_strengths(eigenvalues: FloatArray, n_channels: int, dof: float) -> FloatArray:
    """Return the power of modes in noise variances: the eigenvalue less noise and bias."""
    gamma = n_channels / dof
    return shrink.spike_strength(eigenvalues, gamma, below=np.sqrt(gamma))


def _padded(rows: list[FloatArray]) -> FloatArray:
    width = max(map(len, rows))
    return np.stack([np.pad(row, (0, width - len(row)), constant_values=np.nan) for row in rows])


def _edges(cross: CrossSpectra, n_bands: int, alpha: float) -> FloatArray:
    """Return the eigenvalue that noise exceeds in one of all bands with probability alpha."""
    n = cross.n_channels
    if n < FEW_CHANNELS:  # two channels of coherence c have the eigenvalue 1 + c
        level = alpha / n_bands / (n * (n - 1) / 2)
        return np.asarray(1 + np.sqrt(-np.expm1(np.log(level) / np.maximum(cross.dof - 1, 1e-3))))
    laws = [largest_eigenvalue(n, dof) for dof in cross.dof]
    quantile = float(TracyWidom(2).isf(alpha / (2 * n_bands)))
    return np.array([law.center + quantile * law.scale for law in laws])


def _components(modes: dict[int, BandModes], n_bands: int, measured: Measured) -> AnyArray:
    most = max((len(each.p_values) for each in modes.values()), default=0)
    out = np.zeros((n_bands, n_features(measured.recording), most), dtype=np.complex64)
    for b, each in modes.items():
        out[b, measured.whitener.used, : each.patterns.shape[1]] = each.patterns
    return out


def _parts(
    measured: Measured, modes: dict[int, BandModes], strength: FloatArray, usual: FloatArray, is_held: BoolArray
) -> list[Part]:
    """Return the bands of something in common, those that hold nothing of the recording apart from the others."""

    def narrow(band: int) -> bool:
        return line_frequency(measured.cross, measured.plan, band, modes[band]) is not None

    parts = [
        part
        for held in (True, False)
        for part in merged_parts(
            measured.plan, {b: each for b, each in modes.items() if is_held[b] == held}, strength, usual, narrow=narrow
        )
    ]
    return sorted(parts, key=lambda part: part.peak)


def _possible_strength(tests: list[BandTest], modes: dict[int, BandModes], n: int, usual: FloatArray) -> FloatArray:
    """Return the strength of the strongest mode of each band, or of what could hide there."""
    found = [_mode_strengths(test.eigenvalues[:1], n, dof)[0] for test, dof in zip(tests, usual, strict=True)]
    for band, each in modes.items():
        found[band] = _mode_strengths(each.eigenvalues, n, usual[band])[0]
    return np.array(found)


def _band(
    measured: Measured,
    modes: dict[int, BandModes],
    p_values: FloatArray,
    usual: FloatArray,
    strength: FloatArray,
    power: BandPower,
    part: Part,
    alpha: float,
) -> CoherentBand:
    plan, peak, bands = measured.plan, part.peak, part.bands
    near = bands[np.abs(bands - peak) <= 1]
    frequency, width = plan.frequency, plan.bandwidth
    line = line_frequency(measured.cross, plan, peak, modes[peak])
    explained, channel_p = participation(measured.cross, peak, modes[peak], float(usual[peak]))
    return CoherentBand(
        low=float(np.min(frequency[bands] - width[bands] / 2)),
        high=float(np.max(frequency[bands] + width[bands] / 2)),
        frequency=line if line is not None else float(np.average(frequency[near], weights=strength[near])),
        narrow=line is not None,
        bandwidth=float(width[peak]),
        degrees_of_freedom=float(measured.cross.dof[peak]),
        modes=tuple(
            _mode(
                measured, modes[peak], peak, k, explained[:, k], channel_p[:, k], p_values[peak, k], usual[peak], alpha
            )
            for k in range(len(modes[peak].p_values))
        ),
        share=power.share(np.arange(bands[0], bands[-1] + 1)),
        is_held=bool(power.is_held[peak]),
    )


def _mode(
    measured: Measured,
    modes: BandModes,
    peak: int,
    k: int,
    explained: FloatArray,
    channel_p: FloatArray,
    p_value: float,
    dof: float,
    alpha: float,
) -> CoherentMode:
    """Describe one mode channel by channel, in the recording's own unit and phase."""
    plan, used = measured.plan, measured.whitener.used
    strength = float(_mode_strengths(modes.eigenvalues, measured.cross.n_channels, dof)[k])
    response = measured.whitener.response(plan.frequency[peak : peak + 1] / plan.rate)[0]
    pattern = modes.patterns[:, k] * modes.noise / response
    sides = 1 if measured.recording.dtype.kind == "c" else 2
    amplitude = np.abs(pattern) * np.sqrt(strength * sides * plan.bandwidth[peak] / plan.rate)
    taking_part = np.flatnonzero(_holm(channel_p) < alpha)
    ordered = taking_part[np.argsort(-explained[taking_part], kind="stable")]
    reference = ordered[0] if len(ordered) else int(np.argmax(np.abs(modes.patterns[:, k])))
    phase = np.angle(pattern * np.conj(pattern[reference]))
    everywhere = [
        _spread(each, used, n_features(measured.recording)) for each in (explained, channel_p, phase, amplitude)
    ]
    return CoherentMode(
        float(modes.eigenvalues[k]), float(p_value), strength, tuple(int(used[i]) for i in ordered), *everywhere
    )


def _holm(p: FloatArray) -> FloatArray:
    return _controlled(p, "family")[0]


def _spread(values: FloatArray, used: IntArray, n: int) -> FloatArray:
    out = np.full(n, np.nan)
    out[used] = values
    return out


def _warnings(measured: Measured, names: tuple[str, ...]) -> tuple[str, ...]:
    """Say in words what the user should know before trusting the result."""
    whitener, plan, n = measured.whitener, measured.plan, n_features(measured.recording)
    found = []
    found += exclusion_words(whitener.excluded, n, names)
    if whitener.n_null:
        found.append(
            f"{whitener.n_null} combination of channels is always zero, as after a common reference; where channels "
            "differ in power, the reference itself is shared: quiet channels then have a mode of equal phase"
        )
    if measured.segments_left_out > (1 - PARTLY) * plan.n_segments:
        found.append(
            f"{measured.segments_left_out} of {plan.n_segments} segments have a missing or masked value in some "
            "channel and were left out"
        )
    if measured.cross.n_channels < FEW_CHANNELS:
        found.append("fewer than 6 channels: the largest pairwise coherence is tested, not the eigenvalue")
    return tuple(found)
