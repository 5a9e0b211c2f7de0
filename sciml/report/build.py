"""From whatever there is to report on to a `Report`: a recording, a noise floor, a net's weights, a run.

Estimators are called here alone; sections are given what they show.
"""

import inspect
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import xarray as xr

from sciml.errors import ConfigError, DataError
from sciml.noise import NoiseFloor, SpectralNoiseFloor, noise_floor, spectral_noise_floor
from sciml.recording import TIME, check, feature_dims, n_features
from sciml.report.document.parts import Figure, Finding, Section
from sciml.report.document.report import Report
from sciml.report.figures.overview import movie_figure
from sciml.report.initialization import initialization_report
from sciml.report.leading import leading_figure
from sciml.report.measure_denoising import measure_denoising, parts_of
from sciml.report.measure_recording import measure_recording
from sciml.report.measure_values import measure_values
from sciml.report.measures import RecordingMeasures
from sciml.report.net_record import NetRecord
from sciml.report.nets import net_report
from sciml.report.record import RunRecord
from sciml.report.sections.coherence import coherence_evidence
from sciml.report.sections.denoising import denoising_findings, denoising_sections
from sciml.report.sections.methods import cite, floor_methods, versions
from sciml.report.sections.nets.findings import weights_findings
from sciml.report.sections.nets.weights import WEIGHT_CITES, WEIGHT_METHODS, weights_section
from sciml.report.sections.noise_floor import floor_facts, floor_findings, floor_numbers, floor_section
from sciml.report.sections.recordings import (
    components_section,
    facts,
    quality_section,
    recording_name,
    spectrum_evidence,
)
from sciml.report.sections.run import fit_sections, run_facts, run_findings, run_numbers, split_section
from sciml.report.sections.run_methods import fit_methods
from sciml.report.sections.values import values_facts, values_findings, values_lead, values_sections
from sciml.wording import count, series

__all__ = [
    "denoising_report",
    "noise_floor_report",
    "recording_report",
    "report",
    "run_report",
    "weights_report",
]

COHERENCE_VALUES = 2**26  # samples times channels up to which the floor in frequency is part of a report
SHARED_NOISE = (
    "Left out: this floor compares channels with ones that share nothing, and here neighbors share noise; every band "
    "in which the noise has power would stand out."
)
COHERENCE_CHANNELS = 512


def report(target: Any, **context: Any) -> Report:
    """Report on a recording, a noise floor, the weights of a net, or a run.

    Parameters
    ----------
    target
        - recording (`xr.DataArray` with a `time` dim): `recording_report`;
        - `NoiseFloor`: `noise_floor_report`;
        - `torch.nn.Module`, its state dict, or its `WeightSpectra`: `weights_report`;
        - `NetRecord`, of `sciml.pipeline.spectra.analyze`: `net_report`;
        - `Propagation` or `InitComparison` of `sciml.nn`: `initialization_report`;
        - `RunRecord`, or a mapping with its fields: `run_report`.
    context
        What that function takes beside its target.

    Raises
    ------
    ConfigError
        A target of another kind, or an unknown name in `context`.
    DataError
        A recording that cannot be analyzed (`sciml.recording.check`).

    Examples
    --------
    >>> import numpy as np
    >>> noise = xr.DataArray(np.random.default_rng(1).normal(size=(600, 8)), dims=("time", "channel"))
    >>> report(noise.assign_attrs(sampling_rate=10.0)).findings[0].text
    'No components above the noise floor (the strongest has p = ...'
    """
    build = next((build for is_kind, build in _KINDS if is_kind(target)), None)
    if build is None:
        raise ConfigError(
            "expected a recording (xarray.DataArray), a NoiseFloor, a torch.nn.Module or its state dict, or a "
            f"RunRecord; got {type(target).__name__}. Open a file first with sciml.io.open_recording"
        )
    names = [name for name, each in inspect.signature(build).parameters.items() if each.kind is each.KEYWORD_ONLY]
    unknown = sorted(set(context) - set(names))
    if unknown:
        raise ConfigError(
            f"unknown argument {series(map(repr, unknown))} for a report on this target; it takes {series(names)}"
        )
    return build(target, **context)


def recording_report(
    recording: xr.DataArray,
    *,
    title: str | None = None,
    alpha: float = 0.05,
    model: Any = "auto",
    floor: NoiseFloor | None = None,
    config: Mapping[str, Any] | None = None,
) -> Report:
    """Report on a recording: what it is, its spectrum, its noise floor as white and as found, its components.

    The recording is read three times at most: for its noise floor, for the floor in frequency, and for all else. One
    without time (pictures, histograms, scans) gets a page on its values.

    Parameters
    ----------
    recording
        Dims `time` and any others, or without time.
    title
        Default its source.
    alpha, model
        Level, and kind of noise (`sciml.noise.noise_floor`).
    floor
        A noise floor of this recording that was found before.
    config
        Settings to be listed.

    Raises
    ------
    DataError
        A recording that cannot be analyzed (`sciml.recording.check`).

    Examples
    --------
    >>> import numpy as np
    >>> noise = xr.DataArray(np.random.default_rng(1).normal(size=(600, 8)), dims=("time", "channel"))
    >>> [section.title for section in recording_report(noise).sections][2:4]
    ['Noise floor', 'Components']
    """
    if TIME not in recording.dims:
        return _values_report(recording, title=title, config=config)
    recording = check(recording, minimum=8)
    floor, why_not = (floor, "") if floor is not None else _floor_or_reason(recording, model, alpha)
    found = SHARED_NOISE if floor is not None and floor.spatial else _coherence_or_reason(recording, alpha)
    coherent = coherence_evidence(found, rank=None if floor is None else floor.rank)
    measured = measure_recording(recording, floor)
    quality, spectrum = quality_section(recording, measured), spectrum_evidence(recording, measured)
    sections = [quality.section, spectrum.section]
    if floor is None:
        findings = (*spectrum.findings, Finding(why_not, "note"), *coherent.findings, *quality.findings)
        sections.append(Section("Noise floor", text=why_not))
        text, cites = "", list[str]()
    else:
        findings = (*floor_findings(floor), *coherent.findings, *spectrum.findings, *quality.findings)
        sections += [floor_section(floor), components_section(recording, floor, measured.components)]
        text, cites = floor_methods(floor)
    if n_features(recording) > 1:
        sections.append(coherent.section)
    numbers = {
        "recording": quality.numbers,
        "spectrum": spectrum.numbers,
        "noise_floor": None if floor is None else floor_numbers(floor),
        "by_frequency": coherent.numbers,
    }
    return Report(
        title=title or str(recording.attrs.get("source") or recording_name(recording)),
        kind="recording",
        subject=_subject(recording),
        facts=(*facts(recording, measured.quality), *(floor_facts(floor) if floor is not None else ())),
        findings=findings,
        lead=_lead(measured, sections, floor),
        sections=tuple(sections),
        numbers=numbers,
        config={"model": model, "alpha": alpha, **(config or {})},
        provenance={"data": _origin(recording, measured.sha256), "versions": versions()},
        methods=" ".join(part for part in (spectrum.methods, text, coherent.methods) if part),
        references=cite([*spectrum.cites, *cites, *coherent.cites]),
    )


def _values_report(recording: xr.DataArray, *, title: str | None, config: Mapping[str, Any] | None) -> Report:
    """Report on a recording without time."""
    measured = measure_values(recording)
    return Report(
        title=title or str(recording.attrs.get("source") or recording_name(recording)),
        kind="values",
        subject=f"{recording_name(recording)} · {' × '.join(map(str, recording.dims))}",
        facts=values_facts(recording),
        findings=values_findings(recording, measured),
        lead=values_lead(recording, measured),
        sections=values_sections(recording, measured),
        numbers={"quantiles": measured.quantiles, "mean": measured.mean, "sd": measured.sd},
        config=dict(config or {}),
        provenance={"data": _origin(recording, recording.attrs.get("sha256")), "versions": versions()},
    )


def _lead(measured: RecordingMeasures, sections: Sequence[Section], floor: NoiseFloor | None) -> Figure | None:
    """Return the figure of the answer: maps of a movie, eigenvalues against noise, the loudest moment, the values."""
    if measured.maps is not None:
        strongest = floor.components[:, 0] if floor is not None and floor.rank else None
        shown = None if strongest is None else np.abs(strongest) if np.iscomplexobj(strongest) else strongest
        return movie_figure(measured.maps, None if shown is None else shown.reshape(measured.maps.mean.shape))
    if floor is not None:
        found = next(section for section in sections if section.title == "Noise floor")
        return replace(found.figures[1])  # a copy: the section has it too, beside the law of white noise
    if measured.moment is not None:
        return next(each for section in sections for each in section.figures if "loudest moment" in each.title)
    return leading_figure(sections, "The recording", "Power spectrum")


def _floor_or_reason(recording: xr.DataArray, model: Any, alpha: float) -> tuple[NoiseFloor | None, str]:
    """Return the noise floor, or None and the reason why this recording has none."""
    if n_features(recording) < 2:
        return None, (
            "One channel has no covariance noise floor: that compares channels, and needs at least 2."
            + ("" if recording.dtype.kind == "c" else " The spectrum shows what stands out of the noise in frequency.")
        )
    try:
        return noise_floor(recording, model=model, alpha=alpha), ""
    except DataError as error:
        return None, f"No noise floor: {error}."


def _coherence_or_reason(recording: xr.DataArray, alpha: float) -> SpectralNoiseFloor | str:
    """Return what channels share at which frequency, or the reason why this recording does not say."""
    n = n_features(recording)
    if n < 2:
        return "One channel shares nothing: this floor compares channels."
    if n > COHERENCE_CHANNELS or recording.size > COHERENCE_VALUES:
        return (
            f"Left out to keep this report quick: {count(n, 'channel')} of {count(recording.sizes[TIME], 'sample')}. "
            "sciml spectrum noise FILE --by-frequency finds it."
        )
    try:
        return spectral_noise_floor(recording, alpha=alpha)
    except DataError as error:
        return f"Not shown: {error}."


def _subject(recording: xr.DataArray) -> str:
    dims = " × ".join(["time", *feature_dims(recording)])
    return f"{recording_name(recording)} · {dims}" if recording.attrs.get("source") else dims


def _origin(recording: xr.DataArray, sha256: str | None) -> dict[str, Any]:
    kept = {name: str(recording.attrs[name]) for name in ("source", "signal", "reader") if name in recording.attrs}
    history = recording.attrs.get("history", [])
    steps = history.splitlines() if isinstance(history, str) else [str(step) for step in history]
    return {**kept, "sha256": sha256, "history": "; ".join(steps)}


def noise_floor_report(
    floor: NoiseFloor, *, title: str | None = None, config: Mapping[str, Any] | None = None
) -> Report:
    """Report on a noise floor alone.

    Parameters
    ----------
    floor
        From `sciml.noise.noise_floor`.
    title
        Default the signal that it is of.
    config
        Settings to be listed.

    Examples
    --------
    >>> import numpy as np
    >>> noise = xr.DataArray(np.random.default_rng(1).normal(size=(600, 8)), dims=("time", "channel"))
    >>> noise_floor_report(noise_floor(noise)).kind
    'noise floor'
    """
    section = floor_section(floor)
    text, cites = floor_methods(floor)
    shape = (("channels", f"{floor.n_features:,}"), ("samples", f"{floor.n_samples:,}"))
    return Report(
        title=title or floor.attrs.get("signal") or "Noise floor",
        kind="noise floor",
        subject=floor.attrs.get("source", ""),
        facts=(*shape, *floor_facts(floor)),
        findings=floor_findings(floor),
        lead=replace(section.figures[1]),
        sections=(section,),
        numbers={"noise_floor": floor_numbers(floor)},
        config={"model": floor.requested, "alpha": floor.alpha, **(config or {})},
        provenance={"data": dict(floor.attrs), "versions": versions()},
        methods=text,
        references=cite(cites),
    )


def weights_report(
    target: Any, *, title: str | None = None, alpha: float = 0.05, config: Mapping[str, Any] | None = None
) -> Report:
    """Report on the weights of a net: which of its matrices hold more than noise.

    Parameters
    ----------
    target
        A `torch.nn.Module`, its state dict, or the `WeightSpectra` of either.
    title
        Default the name of its class.
    alpha
        Level of the test, where the spectra are not given.
    config
        Settings to be listed.

    Examples
    --------
    >>> import torch
    >>> weights_report({"head.weight": torch.randn(40, 30)}).kind
    'weights'
    """
    weights = target if hasattr(target, "verdicts") else _spectra(target, alpha)
    name = title or (type(target).__name__ if hasattr(target, "state_dict") else "Weights of a net")
    return net_report(NetRecord(name=name, weights=weights, config={"alpha": alpha, **(config or {})}), title=name)


def _spectra(target: Any, alpha: float) -> Any:
    from sciml.spectra import weight_spectra  # torch: only once a net is here

    return weight_spectra(target, alpha=alpha)


def denoising_report(
    before: xr.DataArray, after: xr.DataArray | xr.Dataset, *, title: str | None = None, settings: Any = None
) -> Report:
    """Report on a denoised recording beside the one it was made from.

    Of large recordings the middle is looked at, 4 million values at most.

    Parameters
    ----------
    before
        The recording: `time` (else its first dim is taken for the samples) and one to three dims more.
    after
        What `sciml.denoise.denoise` or `denoise_patches` made of it: a recording, or a Dataset with `denoised` and
        maps.
    title
        Default the source of the recording.
    settings
        A mapping, to be listed.

    Raises
    ------
    ConfigError
        A Dataset without `denoised`.
    DataError
        The two are not of the same dims and sizes, or have no dim beside the samples.

    Examples
    --------
    >>> import numpy as np
    >>> from sciml.denoise import denoise_patches
    >>> movie = xr.DataArray(np.random.default_rng(0).normal(size=(40, 16, 16)), dims=("time", "y", "x"))
    >>> found = denoising_report(movie, denoise_patches(movie, patch={"y": 7, "x": 7}))
    >>> [section.title for section in found.sections]
    ['Before and after', 'What was removed', 'How far to trust the result']
    """
    denoised, maps = parts_of(after)
    measured = measure_denoising(before, denoised, maps)
    sections = tuple(denoising_sections(measured, maps))
    return Report(
        title=title or str(before.attrs.get("source", "A denoised recording")),
        kind="denoising",
        subject=" × ".join(map(str, before.dims)),
        facts=tuple((str(dim), f"{size:,}") for dim, size in before.sizes.items()),
        findings=tuple(denoising_findings(measured)),
        lead=sections[0].figures[0],
        sections=sections,
        numbers={
            "variance_removed": measured.removed_fraction,
            "neighbor_correlation_of_removed": measured.neighbor_correlations,
            **({"neighbor_correlation_of_noise": found} if (found := measured.noise_correlations) else {}),
            **measured.medians,
        },
        config=dict(settings or {}),
        provenance={
            "history": "; ".join(str(denoised.attrs.get("history", "")).splitlines()),
            "versions": versions(),
        },
        references=cite(["gavish", "welch"]),
    )


def run_report(run: RunRecord, *, title: str | None = None) -> Report:
    """Report on a run, from its question to its scores.

    Parameters
    ----------
    run
        What it found.
    title
        Default its own.

    Examples
    --------
    >>> run_report(RunRecord(title="Noise", question="Is it noise?", task="classify")).subject
    'Is it noise?'
    """
    floor_text, floor_cites = ("", []) if run.noise_floor is None else floor_methods(run.noise_floor)
    fit_text, fit_cites = fit_methods(run)
    weight_cites = list(WEIGHT_CITES) if run.spectra else []
    sections = tuple(_run_sections(run))
    numbers = {
        **run_numbers(run),
        "noise_floor": None if run.noise_floor is None else floor_numbers(run.noise_floor),
        "layers": [] if run.spectra is None else run.spectra.to_dict()["layers"],
    }
    return Report(
        title=title or run.title,
        kind="run",
        subject=run.question,
        facts=run_facts(run),
        findings=_all_findings(run),
        lead=leading_figure(sections, "Scores", "Training", "Noise floor"),
        sections=sections,
        numbers=numbers,
        config=run.config,
        provenance={"data": dict(run.data), "seed": run.seed, "versions": {**versions("torch"), **run.versions}},
        methods=" ".join(part for part in (floor_text, fit_text, WEIGHT_METHODS if run.spectra else "") if part),
        references=cite([*floor_cites, *fit_cites, *weight_cites]),
    )


def _mapping_report(target: Mapping[str, Any], *, title: str | None = None) -> Report:
    try:
        run = RunRecord(**target)
    except TypeError as error:
        raise ConfigError(f"expected a mapping with the fields of sciml.report.RunRecord: {error}") from error
    return run_report(run, title=title)


def _all_findings(run: RunRecord) -> tuple[Finding, ...]:
    """Return the verdict on the net first, then the noise floor and the weights."""
    own = run_findings(run)
    floor = floor_findings(run.noise_floor) if run.noise_floor is not None else ()
    weights = tuple(weights_findings(run.spectra)) if run.spectra else ()
    results = [f for f in (*own, *floor, *weights) if f.severity == "result"]
    return (
        *own[:1],
        *(f for f in results if f not in own[:1]),
        *(f for f in (*own[1:], *floor, *weights) if f not in results),
    )


def _run_sections(run: RunRecord) -> list[Section]:
    recording, floor = run.recording, run.noise_floor
    measured = None if recording is None else measure_recording(recording, floor)
    sections = [split_section(run)]
    if recording is not None and measured is not None:
        sections += [quality_section(recording, measured).section, spectrum_evidence(recording, measured).section]
    if floor is not None:
        sections.append(floor_section(floor))
    if recording is not None and measured is not None and floor is not None:
        sections.append(components_section(recording, floor, measured.components))
    sections += fit_sections(run)
    if run.spectra:
        sections.append(weights_section(run.spectra, run.spectra_before))
    return sections


def _is_net(target: Any) -> bool:
    """Tell whether the target is a net, its weights, or their spectra, without importing torch for it."""
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(target, torch.nn.Module):
        return True
    if isinstance(target, Mapping):
        return bool(target) and torch is not None and all(isinstance(v, torch.Tensor) for v in target.values())
    return hasattr(target, "verdicts")


# how a kind of target is recognized, and its report; the first that fits is used
_KINDS: tuple[tuple[Callable[[Any], bool], Callable[..., Report]], ...] = (
    (lambda target: isinstance(target, xr.DataArray), recording_report),
    (lambda target: isinstance(target, NoiseFloor), noise_floor_report),
    (lambda target: isinstance(target, RunRecord), run_report),
    (lambda target: type(target).__name__ in ("InitComparison", "Propagation"), initialization_report),
    (lambda target: isinstance(target, NetRecord), net_report),
    (_is_net, weights_report),
    (lambda target: isinstance(target, Mapping), _mapping_report),
)
