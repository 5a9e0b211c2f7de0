"""From whatever there is to report on to a `Report`: a recording, a noise floor, a net's weights, a run."""

import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import xarray as xr

from sciml.errors import ConfigError, DataError
from sciml.noise import NoiseFloor, noise_floor
from sciml.recording import check, feature_dims, n_features
from sciml.report.document.parts import Finding, Section
from sciml.report.document.report import Report
from sciml.report.document.wording import series
from sciml.report.record import RunRecord
from sciml.report.sections.coherence import frequency_evidence
from sciml.report.sections.methods import cite, floor_methods, versions
from sciml.report.sections.noise_floor import floor_facts, floor_findings, floor_numbers, floor_section
from sciml.report.sections.recordings import (
    components_section,
    data_hash,
    facts,
    quality_section,
    recording_name,
    spectrum_evidence,
)
from sciml.report.sections.run import fit_methods, fit_sections, run_facts, run_findings, run_numbers, split_section
from sciml.report.sections.weights import CITES, METHODS, weight_finding, weight_numbers, weight_section

__all__ = ["report"]


def report(target: Any, **context: Any) -> Report:
    """Report on a recording, a noise floor, the weights of a net, or a run.

    Parameters
    ----------
    target
        - recording (`xr.DataArray` with a `time` dim): what it is, its spectrum, its noise floor as white and as
          found, the components above it;
        - `NoiseFloor`: the floor alone;
        - `torch.nn.Module`, its state dict, or a list of `LayerSpectrum`: outliers of each layer;
        - `RunRecord`, or a mapping with its fields: the whole run.
    context
        `title` for any target; `alpha` (level) and `model` (of the noise) for recordings, `alpha` for weights;
        `floor`, a noise floor of that recording found before; `config`, settings to be listed.

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
    build, names = _builder(target)
    unknown = sorted(set(context) - set(names))
    if unknown:
        raise ConfigError(
            f"unknown argument {series(map(repr, unknown))} for a report on this target; it takes {series(names)}"
        )
    return build(target, **context)


def _builder(target: Any) -> tuple[Callable[..., Report], tuple[str, ...]]:
    """Return the function for this kind of target, and the context it takes."""
    if isinstance(target, xr.DataArray):
        return _recording_report, ("title", "alpha", "model", "floor", "config")
    if isinstance(target, NoiseFloor):
        return _floor_report, ("title", "config")
    if isinstance(target, RunRecord):
        return _run_report, ("title",)
    if _is_net(target):
        return _weight_report, ("title", "alpha", "config")
    if isinstance(target, Mapping):
        return _mapping_report, ("title",)
    raise ConfigError(
        "expected a recording (xarray.DataArray), a NoiseFloor, a torch.nn.Module or its state dict, or a RunRecord; "
        f"got {type(target).__name__}. Open a file first with sciml.io.open_recording"
    )


def _is_net(target: Any) -> bool:
    """Tell whether the target is a net, its weights, or their spectra, without importing torch for it."""
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(target, torch.nn.Module):
        return True
    if isinstance(target, Mapping):
        return bool(target) and torch is not None and all(isinstance(v, torch.Tensor) for v in target.values())
    return isinstance(target, Sequence) and bool(target) and all(hasattr(x, "singular_values") for x in target)


def _mapping_report(target: Mapping[str, Any], *, title: str | None = None) -> Report:
    try:
        run = RunRecord(**target)
    except TypeError as error:
        raise ConfigError(f"expected a mapping with the fields of sciml.report.RunRecord: {error}") from error
    return _run_report(run, title=title)


def _recording_report(
    recording: xr.DataArray,
    *,
    title: str | None = None,
    alpha: float = 0.05,
    model: Any = "auto",
    floor: NoiseFloor | None = None,
    config: Mapping[str, Any] | None = None,
) -> Report:
    check(recording, minimum=8)
    quality, spectrum = quality_section(recording), spectrum_evidence(recording)
    floor, why_not = (floor, "") if floor is not None else _try_floor(recording, model, alpha)
    shared = frequency_evidence(recording, alpha=alpha)
    sections = [quality.section, spectrum.section]
    if floor is None:
        findings = (*spectrum.findings, Finding(why_not, "note"), *shared.findings, *quality.findings)
        sections.append(Section("Noise floor", text=why_not))
        text, cites = "", list[str]()
    else:
        findings = (*floor_findings(floor), *shared.findings, *spectrum.findings, *quality.findings)
        sections += [floor_section(floor), components_section(recording, floor)]
        text, cites = floor_methods(floor)
    if n_features(recording) > 1:
        sections.append(shared.section)
    numbers = {
        "recording": quality.numbers,
        "spectrum": spectrum.numbers,
        "noise_floor": None if floor is None else floor_numbers(floor),
        "by_frequency": shared.numbers,
    }
    return Report(
        title=title or str(recording.attrs.get("source") or recording_name(recording)),
        kind="recording",
        subject=_subject(recording),
        facts=(*facts(recording), *(floor_facts(floor) if floor is not None else ())),
        findings=findings,
        sections=tuple(sections),
        numbers=numbers,
        config={"model": model, "alpha": alpha, **(config or {})},
        provenance={"data": _origin(recording), "versions": versions()},
        methods=" ".join(part for part in (spectrum.methods, text, shared.methods) if part),
        references=cite([*spectrum.cites, *cites, *shared.cites]),
    )


def _try_floor(recording: xr.DataArray, model: Any, alpha: float) -> tuple[NoiseFloor | None, str]:
    """Return the noise floor, or None and the reason why this recording has none."""
    if n_features(recording) < 2:
        return None, (
            "One channel has no covariance noise floor: that compares channels, and needs at least 2. "
            "The spectrum shows what stands out of the noise in frequency."
        )
    try:
        return noise_floor(recording, model=model, alpha=alpha), ""
    except DataError as error:
        return None, f"No noise floor: {error}."


def _subject(recording: xr.DataArray) -> str:
    dims = " × ".join(["time", *feature_dims(recording)])
    return f"{recording_name(recording)} · {dims}" if recording.attrs.get("source") else dims


def _origin(recording: xr.DataArray) -> dict[str, Any]:
    kept = {name: str(recording.attrs[name]) for name in ("source", "signal", "reader") if name in recording.attrs}
    history = recording.attrs.get("history", [])
    steps = history.splitlines() if isinstance(history, str) else [str(step) for step in history]
    return {**kept, "sha256": data_hash(recording), "history": "; ".join(steps)}


def _floor_report(floor: NoiseFloor, *, title: str | None = None, config: Mapping[str, Any] | None = None) -> Report:
    text, cites = floor_methods(floor)
    shape = (("channels", f"{floor.n_features:,}"), ("samples", f"{floor.n_samples:,}"))
    return Report(
        title=title or floor.attrs.get("signal") or "Noise floor",
        kind="noise floor",
        subject=floor.attrs.get("source", ""),
        facts=(*shape, *floor_facts(floor)),
        findings=floor_findings(floor),
        sections=(floor_section(floor),),
        numbers={"noise_floor": floor_numbers(floor)},
        config={"model": floor.requested, "alpha": floor.alpha, **(config or {})},
        provenance={"data": dict(floor.attrs), "versions": versions()},
        methods=text,
        references=cite(cites),
    )


def _weight_report(
    target: Any, *, title: str | None = None, alpha: float = 0.05, config: Mapping[str, Any] | None = None
) -> Report:
    layers = target if isinstance(target, Sequence) else _spectra(target, alpha)
    return Report(
        title=title or (type(target).__name__ if hasattr(target, "state_dict") else "Weights of a net"),
        kind="weights",
        facts=(
            ("weight matrices", str(len(layers))),
            ("with outliers", str(sum(layer.rank > 0 for layer in layers))),
            ("outliers", str(sum(layer.rank for layer in layers))),
        ),
        findings=(weight_finding(layers),),
        sections=(weight_section(layers),),
        numbers={"layers": weight_numbers(layers)},
        config={"alpha": alpha, **(config or {})},
        provenance={"versions": versions("torch")},
        methods=METHODS,
        references=cite(CITES),
    )


def _spectra(target: Any, alpha: float) -> Sequence[Any]:
    from sciml.spectra import weight_spectra  # torch: only once a net is here

    return weight_spectra(target, alpha=alpha)


def _run_report(run: RunRecord, *, title: str | None = None) -> Report:
    floor_text, floor_cites = ("", []) if run.noise_floor is None else floor_methods(run.noise_floor)
    fit_text, fit_cites = fit_methods(run)
    weight_cites = list(CITES) if run.spectra else []
    numbers = {
        **run_numbers(run),
        "noise_floor": None if run.noise_floor is None else floor_numbers(run.noise_floor),
        "layers": weight_numbers(run.spectra),
    }
    return Report(
        title=title or run.title,
        kind="run",
        subject=run.question,
        facts=run_facts(run),
        findings=_all_findings(run),
        sections=tuple(_run_sections(run)),
        numbers=numbers,
        config=run.config,
        provenance={"data": dict(run.data), "seed": run.seed, "versions": {**versions("torch"), **run.versions}},
        methods=" ".join(part for part in (floor_text, fit_text, METHODS if run.spectra else "") if part),
        references=cite([*floor_cites, *fit_cites, *weight_cites]),
    )


def _all_findings(run: RunRecord) -> tuple[Finding, ...]:
    """Return the verdict on the net first, then the noise floor and the weights."""
    own = run_findings(run)
    floor = floor_findings(run.noise_floor) if run.noise_floor is not None else ()
    weights = (weight_finding(run.spectra),) if run.spectra else ()
    results = [f for f in (*own, *floor, *weights) if f.severity == "result"]
    return (
        *own[:1],
        *(f for f in results if f not in own[:1]),
        *(f for f in (*own[1:], *floor, *weights) if f not in results),
    )


def _run_sections(run: RunRecord) -> list[Section]:
    sections = [split_section(run)]
    if run.recording is not None:
        sections += [quality_section(run.recording).section, spectrum_evidence(run.recording).section]
    if run.noise_floor is not None:
        sections.append(floor_section(run.noise_floor))
        if run.recording is not None:
            sections.append(components_section(run.recording, run.noise_floor))
    sections += fit_sections(run)
    if run.spectra:
        sections.append(weight_section(run.spectra, run.spectra_before))
    return sections
