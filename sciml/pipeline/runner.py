"""The whole journey: recording, noise floor, windows, split, denoiser, net, training, scores, spectra, report."""

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn

from sciml.data import Preprocess, WindowDataset
from sciml.nn import init
from sciml.pipeline import denoising, model
from sciml.pipeline.config import Config
from sciml.pipeline.evaluation import judge
from sciml.pipeline.load import Source, open_source, planted, resolve
from sciml.pipeline.record import Found, numbers, summarize
from sciml.pipeline.run_folder import RunFolder
from sciml.pipeline.windows import DryRun, Prepared, account, prepare, train_config
from sciml.report import report
from sciml.spectra import weight_spectra
from sciml.train import Callback, FitData, FitResult, ProgressBar, TrainState, fit

__all__ = ["RunResult", "dry_run", "run"]

SAMPLE = 64  # train windows that the initialization is measured on

Progress = Callable[[str], None]


@dataclass(frozen=True)
class RunResult:
    """A finished run: its directory and the content of its `metrics.json`.

    `already_finished` says that the directory held the result and nothing was done.
    """

    out: Path
    metrics: Mapping[str, Any] = field(repr=False)
    already_finished: bool = False

    @property
    def report(self) -> Path:
        """The report to open."""
        return self.out / "report.html"


def run(
    config: Config,
    *,
    out: str | Path,
    resume: bool = False,
    overwrite: bool = False,
    progress: Progress | None = None,
    callbacks: Sequence[object] = (),
) -> RunResult:
    """Go the whole way from a configuration to a run directory.

    The directory then holds `config.toml` (as it was used), `split.json`, `checkpoints/`, `metrics.json`,
    `report.html`, `report.json`, `status.json` and `log.txt` (a line an epoch). A recording that `sciml.simulate` wrote
    carries its truth, which the report then compares with what was found.

    Parameters
    ----------
    config
        From `load_config`, `assign` or `validate`.
    out
        The run directory, made if it is not there.
    resume
        Go on with the run in `out`; a finished one returns at once.
    overwrite
        Replace the run in `out`.
    progress
        Called with a line at each step.
    callbacks
        For `sciml.train.fit`.

    Raises
    ------
    ConfigError
        Settings that do not fit the recording or each other.
    DataError
        A file, signal or table that is not there, or a recording that cannot be learned from.
    StorageError
        `out` holds something, is in use, or cannot be written.
    CheckpointError
        A run to resume that is not there, or was made with another configuration or other data.
    DivergedError
        Training produced a value that is not finite.
    InterruptedRunError
        Ctrl-C or SIGTERM; the state is saved.

    Examples
    --------
    >>> import tempfile
    >>> from sciml.pipeline import validate
    >>> from sciml.simulate import population_recording, write_nwb
    >>> folder = Path(tempfile.mkdtemp())
    >>> file = write_nwb(population_recording(n_neurons=8, duration=60.0), folder / "small.nwb")
    >>> settings = {"data": {"files": [str(file)]}, "task": "forecast", "train": {"epochs": 1, "device": "cpu"}}
    >>> result = run(validate(settings), out=folder / "run")
    >>> sorted(result.metrics["baselines"]), result.report.name
    (['persistence', 'ridge'], 'report.html')
    """
    folder = RunFolder(Path(out))
    folder.check(resume=resume, overwrite=overwrite)
    source = open_source(config)
    config, data = resolve(config, source), _identity(source)
    train_config(config)  # its own check, before anything is read or written
    if resume:
        folder.match(config, data)
        if folder.finished:
            return RunResult(folder.path, folder.metrics(), already_finished=True)
    with _heard() as heard:  # what does not fit is found out before an older run is overwritten
        prepared = prepare(config, source.held())
        model.build_net(config, prepared.windows)
    with folder.hold(config, data, resume=resume, overwrite=overwrite):
        return _Journey(folder, prepared, progress or _silent, heard).go(callbacks, resume=resume)


def dry_run(config: Config) -> DryRun:
    """Say what `run` would do: sizes, classes, dropped windows, parameters, memory, one batch. Writes nothing.

    Raises
    ------
    ConfigError, DataError
        As `run`.

    Examples
    --------
    >>> import tempfile
    >>> from sciml.pipeline import validate
    >>> from sciml.simulate import population_recording, write_nwb
    >>> file = write_nwb(population_recording(n_neurons=8, duration=120.0), Path(tempfile.mkdtemp()) / "small.nwb")
    >>> found = dry_run(validate({"data": {"files": [str(file)], "labels": "intervals/trials:stimulus"}}))
    >>> found.batch["x"]["dims"], found.batch["x"]["unit"], found.config.windows.length
    (['window', 'channel', 'time'], 'dF/F', 1.0)
    """
    source = open_source(config)
    config = resolve(config, source)
    train_config(config)
    return account(prepare(config, source))


def _silent(_: str) -> None:
    pass


@contextmanager
def _heard() -> Iterator[list[str]]:
    """Collect the warnings of a block for the report, and hand them on at its end."""
    heard: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        yield heard
    heard += dict.fromkeys(str(each.message) for each in caught)
    for each in caught:
        warnings.warn_explicit(each.message, each.category, each.filename, each.lineno)


def _identity(source: Source) -> dict[str, Any]:
    """Return what tells this recording from another one."""
    attrs = source.recording.attrs
    return {name: str(attrs.get(name, "")) for name in ("signal", "sha256")}


@dataclass(frozen=True, eq=False)
class _Journey:
    """One run under way."""

    folder: RunFolder
    prepared: Prepared
    say: Progress
    heard: list[str]  # warnings so far

    @property
    def config(self) -> Config:
        return self.prepared.config

    def go(self, callbacks: Sequence[object], *, resume: bool) -> RunResult:
        windows, split = self.prepared.windows, self.prepared.split
        self.tell_split()
        with _heard() as heard:
            floors = self.learn()
            matrix = None if floors.project is None else floors.project.matrix
            preprocess = Preprocess.fit(windows, split.train, matrix=matrix)
        net, began = self.build(preprocess)
        before = weight_spectra(net.state_dict())
        trained = self.train(preprocess, net, callbacks, resume=resume)
        self.say("scoring on the held-out part, beside baselines")
        judgment = judge(trained.model, preprocess, windows, split, seed=self.config.seed)
        truth = planted(self.config.data.files)
        found = Found(
            config=self.config,
            prepared=self.prepared,
            floors=floors,
            denoising=denoising.show(windows.recording, floors, truth=truth.signal if truth else None),
            began=began,
            parameters=_size(net),
            trained=trained,
            judgment=judgment,
            spectra_before=before,
            spectra=weight_spectra(net.state_dict()),
            truth={"rank": truth.rank} if truth else {},
            warnings=tuple(dict.fromkeys((*self.heard, *heard, *floors.warnings, *judgment.warnings))),
        )
        return self.write(found)

    def tell_split(self) -> None:
        split = self.prepared.split
        self.folder.write_json("split.json", split.to_dict(), schema="sciml.split/1")
        counts = ", ".join(f"{len(indices)} {part}" for part, indices in split.parts.items())
        gap = self.prepared.smallest_gap
        self.say(f"{len(self.prepared.windows)} windows: {counts}, at least {gap:.3g} s apart")

    def learn(self) -> denoising.Floors:
        floors = denoising.learn(self.prepared.windows, self.prepared.split, self.config.noise)
        if floors.whole is not None:
            self.say(floors.whole.summary())
        for warning in floors.warnings:
            self.say(warning)
        return floors

    def build(self, preprocess: Preprocess) -> tuple[nn.Module, init.InitReport]:
        """Return the net as it begins, and how it began: measured on what the net will see of train windows."""
        windows = self.prepared.windows
        net = model.build_net(self.config, windows)
        X, _ = windows.arrays(self.prepared.split.train[:SAMPLE])
        began = init.initialize(
            net,
            method=self.config.init.method,
            sample=torch.from_numpy(preprocess.apply(X)),
            generator=torch.Generator().manual_seed(self.config.seed),
            **self.config.init.options,
        )
        self.say(f"{self.config.model.name}, {_size(net):,} parameters, initialized by method {began.method}")
        return net, began

    def train(self, preprocess: Preprocess, net: nn.Module, callbacks: Sequence[object], *, resume: bool) -> FitResult:
        windows, split = self.prepared.windows, self.prepared.split
        parts = [
            WindowDataset(windows, indices, target_transform=preprocess.standardize)
            for indices in (split.train, split.validation)
        ]
        with (self.folder.path / "log.txt").open("a", encoding="utf-8") as log:
            return fit(
                model.assemble(self.config.task, preprocess, net),
                FitData(*parts),
                train_config(self.config),
                (*callbacks, ProgressBar(stream=log), _Status(self.folder)),
                run_dir=self.folder.path,
                resume=resume,
                extra_state=model.baggage(self.config, windows, preprocess, net),
            )

    def write(self, found: Found) -> RunResult:
        """Write report and metrics; `metrics.json` comes last, for it says that the run has an end."""
        self.say("writing the report")
        document = report(summarize(found))
        document.to_html(self.folder.path / "report.html", overwrite=True)
        document.to_json(self.folder.path / "report.json", overwrite=True)
        self.folder.write_json("metrics.json", numbers(found), schema="sciml.run/1")
        return RunResult(self.folder.path, self.folder.metrics())


class _Status(Callback):
    """Keep `status.json` at the epoch that is done."""

    def __init__(self, folder: RunFolder) -> None:
        self.folder = folder

    def on_epoch_end(self, state: TrainState) -> None:
        self.folder.note("running", epoch=state.epoch, step=state.step, best_epoch=state.best_epoch)


def _size(net: nn.Module) -> int:
    return sum(each.numel() for each in net.parameters() if each.requires_grad)
