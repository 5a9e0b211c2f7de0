"""A run from end to end on a recording whose truth is known."""

from collections.abc import Callable, Sequence
from pathlib import Path

from sciml.errors import StorageError
from sciml.pipeline.config import Config, validate
from sciml.pipeline.runner import RunResult, run
from sciml.simulate import population_recording, write_nwb

__all__ = ["demo"]

RECORDING = "demo.nwb"
LABELS = "intervals/trials:stimulus"


def demo(
    out: str | Path,
    *,
    overwrite: bool = False,
    duration: float = 600.0,
    n_neurons: int = 64,
    epochs: int = 60,
    seed: int = 0,
    progress: Callable[[str], None] | None = None,
    callbacks: Sequence[object] = (),
) -> RunResult:
    """Simulate a population recording, write it as NWB beside the run, and fit a net to its trials.

    The directory `out` then holds `demo.nwb` and the run in `run`.

    Parameters
    ----------
    out
        Folder for the recording and the run.
    overwrite
        Replace what an earlier demo left there.
    duration, n_neurons, seed
        Of `sciml.simulate.population_recording`.
    epochs
        At most; training stops early.
    progress, callbacks
        As for `run`.

    Raises
    ------
    StorageError
        `out` holds something already, or cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> result = demo(Path(tempfile.mkdtemp()) / "demo", duration=180.0, n_neurons=16, epochs=2)
    >>> result.metrics["truth"], result.metrics["noise_floor"]["rank"]
    ({'rank': 3}, 3)
    """
    folder = Path(out)
    _claim(folder, overwrite)
    if progress is not None:
        progress(f"simulating {duration:g} s of {n_neurons} neurons")
    simulation = population_recording(n_neurons=n_neurons, duration=duration, seed=seed)
    file = write_nwb(simulation, folder / RECORDING, overwrite=overwrite)
    return run(
        _config(file, epochs, seed),
        out=folder / "run",
        overwrite=overwrite,
        progress=progress,
        callbacks=callbacks,
    )


def _config(file: Path, epochs: int, seed: int) -> Config:
    """Return the settings of the demo: a net small enough for two cores and a few hundred trials."""
    return validate(
        {
            "task": "classify",
            "seed": seed,
            "data": {"files": [str(file)], "labels": LABELS},
            "model": {"name": "fcn", "options": {"width": 32, "norm": "none", "dropout": 0.5}},
            "train": {"epochs": epochs, "batch_size": 32, "lr": 2e-3},
        }
    )


def _claim(folder: Path, overwrite: bool) -> None:
    """Make the folder, and refuse it where it holds something that a demo did not make."""
    if folder.is_file():
        raise StorageError(f"{folder} is a file; choose another folder for the demo")
    holds = {entry.name for entry in folder.iterdir()} if folder.is_dir() else set()
    if holds and not overwrite:
        raise StorageError(f"{folder} exists; replace it with --overwrite, or choose another folder")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(f"could not make the folder {folder}: {error.strerror or error}") from error
