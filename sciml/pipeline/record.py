"""Everything that a run found, gathered for its report and for `metrics.json`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

from sciml.nn.init import InitReport
from sciml.pipeline.config import Config
from sciml.pipeline.denoising import Floors
from sciml.pipeline.evaluation import Judgment
from sciml.pipeline.windows import Prepared, describe_recording, dropped
from sciml.recording import TIME
from sciml.report import Denoising, RunSummary, SplitSummary, Training
from sciml.spectra import LayerSpectrum
from sciml.train import FitResult

__all__ = ["Found", "numbers", "summarize"]

LIBRARIES = ("sciml", "torch", "numpy", "scipy", "xarray", "h5py", "scikit-learn")


@dataclass(frozen=True, eq=False)
class Found:
    """What the steps of a run gave."""

    config: Config
    prepared: Prepared
    floors: Floors
    denoising: Denoising | None
    began: InitReport
    parameters: int
    trained: FitResult
    judgment: Judgment
    spectra_before: Sequence[LayerSpectrum]
    spectra: Sequence[LayerSpectrum]
    truth: Mapping[str, Any]
    warnings: tuple[str, ...]


def summarize(found: Found) -> RunSummary:
    """Return what the report of a run shows."""
    config, judgment, trained = found.config, found.judgment, found.trained
    windows = found.prepared.windows
    title, question = _question(found)
    return RunSummary(
        title=title,
        question=question,
        task=config.task,
        data={**describe_recording(windows), "duration": windows.recording.sizes[TIME] / windows.rate},
        recording=windows.recording,
        split=_split(found.prepared),
        noise_floor=found.floors.whole,
        denoising=found.denoising,
        initialization=found.began,
        training=Training(
            history=[vars(record) for record in trained.history],
            best_epoch=trained.best_epoch,
            monitor=config.train.monitor,
            stopped_early=trained.stopped_early,
            seconds=trained.seconds,
            device=trained.device,
        ),
        metric=judgment.metric,
        greater_is_better=judgment.greater_is_better,
        scores=judgment.scores,
        n_test=judgment.n_test,
        chance_level=judgment.chance_level,
        chance_band=judgment.chance_band,
        chance_p_value=judgment.chance_p_value,
        confusion=judgment.confusion,
        classes=windows.classes,
        forecast=judgment.forecast,
        layers=found.spectra,
        layers_before=found.spectra_before,
        model=config.model.name,
        n_parameters=found.parameters,
        truth=found.truth,
        warnings=found.warnings,
        config=config.model_dump(mode="json", exclude_none=True),
        versions={name: version(name) for name in LIBRARIES},
        seed=config.seed,
    )


def _question(found: Found) -> tuple[str, str]:
    """Return the title of a run, and the question that it answers."""
    windows, asked = found.prepared.windows, found.config.windows
    signal = windows.recording.attrs.get("signal", "the recording")
    length = f"{windows.length / windows.rate:.3g} s"
    if found.config.task == "forecast":
        ahead = f"{windows.horizon / windows.rate:.3g} s"
        question = f"How well do the last {length} of {windows.n_channels} channels foretell the next {ahead}?"
        return f"The next {ahead} of {signal}", question
    _, _, column = (found.config.data.labels or "").rpartition(":")
    start = f", from {asked.before:.3g} s before the event" if asked.before else ""
    question = f"Can {column} ({', '.join(windows.classes)}) be told from {length} of {signal}{start}?"
    return f"{column.capitalize()} from {signal}", question


def _split(prepared: Prepared) -> SplitSummary:
    split = prepared.split
    return SplitSummary(
        unit=split.unit,
        n_units=len(split.blocks),
        gap=split.gap,
        windows={part: len(indices) for part, indices in split.parts.items()},
        class_counts=split.class_counts(prepared.windows),
        checked=True,
        smallest_gap=prepared.smallest_gap,
        dropped=sum(dropped(prepared).values()),
    )


def numbers(found: Found) -> dict[str, Any]:
    """Return the content of `metrics.json`: what a program wants to know of a run."""
    judgment, trained, whole = found.judgment, found.trained, found.floors.whole
    split = _split(found.prepared)
    project = found.floors.project
    return {
        "task": found.config.task,
        "metric": judgment.metric,
        "n_test": judgment.n_test,
        **judgment.numbers,
        "noise_floor": None
        if whole is None
        else {
            name: getattr(whole, name)
            for name in (
                "model",
                "rank",
                "sigma",
                "edge",
                "alpha",
                "correlation_time",
                "mp_rank",
                "converged",
                "warnings",
            )
        },
        "denoised_components": None if project is None else project.rank,
        "truth": dict(found.truth),
        "split": {**vars(split), "dropped": dropped(found.prepared), "sha256": found.prepared.split.sha256},
        "model": {"name": found.config.model.name, "parameters": found.parameters, "init": found.began.method},
        "layers": [
            {"name": layer.name, "rank": layer.rank, "edge": layer.edge, "largest": float(layer.singular_values[0])}
            for layer in found.spectra
        ],
        "training": {key: value for key, value in trained.to_dict().items() if key != "history"},
        "warnings": list(found.warnings),
    }
