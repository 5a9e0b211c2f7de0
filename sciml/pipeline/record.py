"""The record of a run: everything that its steps found, from which its report and `metrics.json` are made."""

from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

from torch import nn

from sciml.errors import ConfigError
from sciml.nn.init import InitReport
from sciml.pipeline.denoising import LearnedDenoiser, describe_denoising
from sciml.pipeline.load import ground_truth
from sciml.pipeline.model import n_parameters
from sciml.pipeline.tasks.base import get_task
from sciml.pipeline.windows import SplitWindows, describe_recording
from sciml.recording import TIME
from sciml.report import Evaluation, RunRecord, SplitSummary
from sciml.spectra import WeightSpectra, weight_spectra
from sciml.train import FitResult
from sciml.wording import series

__all__ = ["make_record", "spectra_of"]

LIBRARIES = ("sciml", "torch", "numpy", "scipy", "xarray", "h5py", "scikit-learn")


def make_record(
    cut: SplitWindows,
    learned: LearnedDenoiser,
    net: nn.Module,
    *,
    initialization: InitReport,
    spectra_before: WeightSpectra | None,
    training: Sequence[FitResult],
    evaluation: Evaluation,
    warnings: Sequence[str],
) -> RunRecord:
    """Gather what the steps of a run found; `net` is the trained one, `training` that of each fold, the first shown."""
    config, windows = cut.config, cut.windows
    title, question = get_task(config.task).question(config, windows)
    truth = ground_truth(config.data.files)
    return RunRecord(
        title=title,
        question=question,
        task=config.task,
        data={**describe_recording(windows), "duration": windows.recording.sizes[TIME] / windows.rate},
        recording=windows.recording,
        split=_split(cut, training),
        noise_floor=learned.floor,
        denoising=describe_denoising(windows.recording, learned, truth=truth.signal if truth else None),
        denoised_components=None if learned.denoiser is None else learned.denoiser.rank,
        initialization=initialization,
        training=training[0],
        evaluation=evaluation,
        spectra=spectra_of(net),
        spectra_before=spectra_before,
        model=config.model.name,
        n_parameters=n_parameters(net),
        truth={"rank": truth.rank} if truth else {},
        warnings=tuple(dict.fromkeys((*warnings, *learned.warnings, *evaluation.warnings))),
        config=config.model_dump(mode="json", exclude_none=True),
        versions={name: version(name) for name in LIBRARIES},
    )


def spectra_of(net: nn.Module) -> WeightSpectra | None:
    """Return the spectra of the weights of a net; None of one of the user's own that has no matrix among them."""
    try:
        return weight_spectra(net)
    except ConfigError:
        return None


def _split(cut: SplitWindows, training: Sequence[FitResult]) -> SplitSummary:
    split = cut.split
    return SplitSummary(
        unit=split.unit,
        n_units=len(split.blocks),
        gap=split.gap,
        windows={part: len(indices) for part, indices in cut.parts.items()},
        class_counts=cut.class_counts,
        checked=True,
        smallest_gap=cut.smallest_gap,
        dropped=cut.dropped,
        sha256=" ".join(each.sha256 for each in cut.splits),
        independence=cut.independence,
        leakage=cut.leakage.to_dict(),
        folds=_folds(cut, training) if len(training) > 1 else (),
    )


def _folds(cut: SplitWindows, training: Sequence[FitResult]) -> tuple[dict[str, Any], ...]:
    """Return what was tested in each fold, and how its training went."""
    return tuple(
        {
            "fold": number,
            "tested": series(block.name or str(k) for k, block in enumerate(split.blocks) if block.part == "test"),
            "windows": len(split.test),
            "epochs": done.epochs_run,
            "best_epoch": done.best_epoch,
            "best_value": done.best_value,
        }
        for number, (split, done) in enumerate(zip(cut.splits, training, strict=True), start=1)
    )
