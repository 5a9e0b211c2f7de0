"""What the spectra of a run's net, or of a file of weights, come to."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from sciml.errors import CheckpointError, ConfigError, ScimlError
from sciml.pipeline.model import is_checkpoint, load_weights
from sciml.pipeline.spectra.curvature import CurvatureSettings, measure_curvature
from sciml.pipeline.spectra.dataset import FileStore
from sciml.pipeline.spectra.tracking import FILE
from sciml.pipeline.spectra.trained import Learned, TrainedRun, open_run
from sciml.report.net_record import NetRecord
from sciml.spectra import (
    WeightSpectra,
    activation_spectra,
    jacobian_spectrum,
    weight_spectra,
)
from sciml.spectra.activations import input_components
from sciml.spectra.tracking import SpectrumTrack
from sciml.wording import series

__all__ = ["PARTS", "analyze", "read_track"]

PARTS = ("weights", "activations", "jacobian", "curvature", "track")
SAMPLES = 256  # windows that activations are taken of
JACOBIANS = 32  # windows that Jacobians are taken at

CURVATURE = CurvatureSettings()

Progress = Callable[[str], None]


@dataclass(frozen=True)
class _Asked:
    """What holds for all parts."""

    alpha: float
    samples: int
    between: tuple[str | None, str | None]
    curvature: CurvatureSettings
    say: Progress


def analyze(
    target: str | Path,
    *,
    parts: Sequence[str] = PARTS,
    alpha: float = 0.05,
    samples: int = SAMPLES,
    between: tuple[str | None, str | None] = (None, None),
    curvature: CurvatureSettings = CURVATURE,
    net: str | None = None,
    progress: Progress | None = None,
) -> NetRecord:
    """Measure the spectra of a net: of a run its weights, and on its train windows activations and Jacobians.

    Parameters
    ----------
    target
        A run directory; or a checkpoint, a .safetensors file or index, an ONNX file, a saved state dict, of which the
        weights alone are known.
    parts
        Which of `PARTS`; weights always are.
    alpha
        Level of the test of weights, over all layers.
    samples
        Windows of the train part, at most; Jacobians are taken at 32 of them.
    curvature
        How many windows the loss is taken of, how many eigenvalues are found, and the rest of it.
    between
        Modules after which the Jacobian starts and ends; the input and the output where None.
    net
        Import path of the net, where the run was trained with one of your own: no code is imported because a run names
        it.
    progress
        Called with a line at each step.

    Raises
    ------
    CheckpointError
        Nothing there, or nothing that holds weights.
    ConfigError
        An unknown part, too few samples, or a net of your own that is not named.

    Examples
    --------
    >>> analyze("nowhere")
    Traceback (most recent call last):
    sciml.errors.CheckpointError: expected a run directory or a file of weights at nowhere, found nothing; ...
    """
    unknown = [part for part in parts if part not in PARTS]
    if unknown or samples < 3:
        raise ConfigError(f"expected parts among {', '.join(PARTS)} and samples >= 3, got {list(parts)} and {samples}")
    path, say = Path(target), progress or (lambda _: None)
    if not path.exists():
        raise CheckpointError(f"expected a run directory or a file of weights at {path}, found nothing; check the path")
    if not path.is_dir():
        say(f"{path.name}: weights")
        # the hash of a checkpoint of a run is checked, and its names are those of the net
        source = load_weights(path) if is_checkpoint(path) else path
        weights = weight_spectra(source, alpha=alpha, power_laws=True)
        return NetRecord(name=path.name, subject="a file of weights", weights=weights)
    asked = _Asked(alpha, samples, between, curvature, say)
    return _of_run(open_run(path, net=net), parts, asked, say)


def _of_run(run: TrainedRun, parts: Sequence[str], asked: _Asked, say: Progress) -> NetRecord:
    name, notes = run.path.name, list[str]()
    say(f"{name}: weights")
    found: dict[str, Any] = {"weights": _weights(run, asked.alpha)}
    on_windows = [part for part in parts if part in _ON_WINDOWS]
    learned = run.learned
    if isinstance(learned, Learned):
        for part in on_windows:
            say(f"{name}: {part}")
            try:
                found |= _ON_WINDOWS[part](run, learned, asked)
            except ScimlError as error:
                notes.append(f"not measured: {part}; {error}")
    elif on_windows:
        notes.append(f"not measured: {series(on_windows)}; {learned.rstrip('.?')}")
    if run.config.split.folds is not None:
        notes.append(
            f"the run has {run.config.split.folds} folds, each with a net of its own; this is that of the first"
        )
    if isinstance(learned, Learned) and isinstance(run.initial, str):
        notes.append(run.initial)
    track = read_track(run.path) if "track" in parts else None
    return NetRecord(
        name=name,
        subject=_subject(run),
        track=track if track is not None and track.rows else None,
        learning_rate=run.config.train.lr,
        optimizer={"adamw": "AdamW", "sgd": "SGD", "muon": "Muon"}[run.config.train.optimizer],
        notes=tuple(notes),
        config=run.config.model_dump(mode="json", exclude_none=True),
        provenance={"checkpoint": run.restored.path.name},
        **found,
    )


def _subject(run: TrainedRun) -> str:
    folds = run.config.split.folds
    of = "the run" if folds is None else f"the first of {folds} folds"
    return f"{run.config.model.name}, weights of epoch {run.restored.epoch} of {of}"


def _weights(run: TrainedRun, alpha: float) -> WeightSpectra:
    """Test the weights, and their change since the start, where that can be drawn again, beside what they read."""
    start, learned = run.initial, run.learned
    if isinstance(start, str) or isinstance(learned, str):
        return weight_spectra(run.net, alpha=alpha, power_laws=True)
    components = input_components(run.net, learned.sample(SAMPLES)[0])
    return weight_spectra(run.net, alpha=alpha, start=start, components=components, power_laws=True)


def _activations(run: TrainedRun, learned: Learned, asked: _Asked) -> dict[str, Any]:
    x, y = learned.sample(asked.samples)
    labels = None if y.is_floating_point() else y.numpy()
    return {"activations": activation_spectra(run.net, x, labels=labels, alpha=asked.alpha)}


def _jacobian(run: TrainedRun, learned: Learned, asked: _Asked) -> dict[str, Any]:
    x = learned.sample(min(asked.samples, JACOBIANS))[0]
    start, end = asked.between
    found = {"jacobian": jacobian_spectrum(run.net, x, start=start, end=end)}
    if isinstance(run.initial, torch.nn.Module):
        found["initial_jacobian"] = jacobian_spectrum(run.initial, x, start=start, end=end)
    return found


def _curvature(run: TrainedRun, learned: Learned, asked: _Asked) -> dict[str, Any]:
    return {"curvature": measure_curvature(run, learned, asked.curvature, asked.say)}


_ON_WINDOWS: dict[str, Callable[[TrainedRun, Learned, _Asked], dict[str, Any]]] = {
    "activations": _activations,
    "jacobian": _jacobian,
    "curvature": _curvature,
}


def read_track(run: str | Path) -> SpectrumTrack:
    """Return what a run followed while it trained (of one with folds, the first); empty where it followed nothing.

    Raises
    ------
    CheckpointError
        A file that holds something else.
    """
    path = Path(run)
    first = path / "folds" / "1" / FILE
    return FileStore(first if first.exists() else path / FILE).read()
