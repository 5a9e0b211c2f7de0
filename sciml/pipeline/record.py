"""The record of a run: everything that its steps found, from which its report and `metrics.json` are made."""

from collections.abc import Sequence
from importlib.metadata import version

from torch import nn

from sciml.nn.init import InitReport
from sciml.pipeline.denoising import LearnedDenoiser, describe_denoising
from sciml.pipeline.load import ground_truth
from sciml.pipeline.model import n_parameters
from sciml.pipeline.tasks.base import get_task
from sciml.pipeline.windows import SplitWindows, describe_recording
from sciml.recording import TIME
from sciml.report import Evaluation, RunRecord, SplitSummary
from sciml.spectra import LayerSpectrum, weight_spectra
from sciml.train import FitResult

__all__ = ["make_record"]

LIBRARIES = ("sciml", "torch", "numpy", "scipy", "xarray", "h5py", "scikit-learn")


def make_record(
    cut: SplitWindows,
    learned: LearnedDenoiser,
    net: nn.Module,
    *,
    initialization: InitReport,
    spectra_before: Sequence[LayerSpectrum],
    training: FitResult,
    evaluation: Evaluation,
    warnings: Sequence[str],
) -> RunRecord:
    """Gather what the steps of a run found; `net` is the trained one."""
    config, windows = cut.config, cut.windows
    title, question = get_task(config.task).question(config, windows)
    truth = ground_truth(config.data.files)
    return RunRecord(
        title=title,
        question=question,
        task=config.task,
        data={**describe_recording(windows), "duration": windows.recording.sizes[TIME] / windows.rate},
        recording=windows.recording,
        split=_split(cut),
        noise_floor=learned.floor,
        denoising=describe_denoising(windows.recording, learned, truth=truth.signal if truth else None),
        denoised_components=None if learned.denoiser is None else learned.denoiser.rank,
        initialization=initialization,
        training=training,
        evaluation=evaluation,
        spectra=weight_spectra(net.state_dict()),
        spectra_before=spectra_before,
        model=config.model.name,
        n_parameters=n_parameters(net),
        truth={"rank": truth.rank} if truth else {},
        warnings=tuple(dict.fromkeys((*warnings, *learned.warnings, *evaluation.warnings))),
        config=config.model_dump(mode="json", exclude_none=True),
        versions={name: version(name) for name in LIBRARIES},
    )


def _split(cut: SplitWindows) -> SplitSummary:
    split = cut.split
    return SplitSummary(
        unit=split.unit,
        n_units=len(split.blocks),
        gap=split.gap,
        windows={part: len(indices) for part, indices in split.parts.items()},
        class_counts=split.class_counts(cut.windows),
        checked=True,
        smallest_gap=cut.smallest_gap,
        dropped=cut.dropped,
        sha256=split.sha256,
    )
