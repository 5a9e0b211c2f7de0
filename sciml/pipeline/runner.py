"""A run from end to end: recording, noise floor, windows, split, denoiser, net, training, scores, spectra, report."""

import os
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from torch import nn

from sciml.data import Preprocess, Split
from sciml.data.identity import Items, hash_items
from sciml.data.parts.augment import Augment
from sciml.errors import ScimlWarning
from sciml.nn import init
from sciml.noise import NoiseFloor
from sciml.pipeline.config import Config
from sciml.pipeline.denoising import LearnedDenoiser, augmentation, learn_denoiser
from sciml.pipeline.evaluation import Tested, covariances_by_session, pool
from sciml.pipeline.following import fit_data, follow
from sciml.pipeline.load import Loaded
from sciml.pipeline.model import build_net, inference_state, n_parameters
from sciml.pipeline.record import make_record, spectra_of
from sciml.pipeline.run_folder import RunFolder
from sciml.pipeline.spectra.tracking import tracked
from sciml.pipeline.start import first_batch, start
from sciml.pipeline.tasks.base import get_task
from sciml.pipeline.training_overlap import FILE, intervals_learned_from
from sciml.pipeline.windows import (
    DryRun,
    SplitWindows,
    load_for,
    plan,
    resolve,
    split_windows,
    train_config,
)
from sciml.report import RunRecord, report
from sciml.result import shown
from sciml.spectra import WeightSpectra
from sciml.train import Callback, FitResult, ProgressBar, TrainState, fit
from sciml.train.processes import Processes, started

__all__ = ["RunResult", "dry_run", "run"]

SPLIT_SCHEMA = "sciml.split/2"

Progress = Callable[[str], None]


@dataclass(frozen=True, repr=False)
class RunResult:
    """A finished run: its directory and the content of its `metrics.json`.

    `already_finished` says that the directory held the result and nothing was done.
    """

    out: Path
    metrics: Mapping[str, Any] = field(repr=False)
    already_finished: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Return the content of `metrics.json`."""
        return dict(self.metrics)

    def summary(self) -> str:
        """Return where the run is, and the scores of its models, in one line."""
        return f"{self.out}: held-out {self.metrics['metric']} {self._scores()}"

    def _scores(self) -> str:
        key = get_task(self.metrics["task"]).score
        models = {"net": self.metrics["net"], **self.metrics["baselines"]}
        return ", ".join(f"{name} {found[key]:.4g}" for name, found in models.items())

    def __repr__(self) -> str:
        return shown(f"RunResult: {self.out}", self.verdict, f"held-out {self.metrics['metric']} {self._scores()}")

    def _repr_html_(self) -> str:
        return RunFolder(self.out)._repr_html_()

    @property
    def verdict(self) -> str:
        """What the net is worth, in words: the first finding of the report; empty where there is none."""
        return RunFolder(self.out).verdict()

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
    """Execute a configuration: from a recording to a run directory.

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
    (['mean', 'persistence', 'ridge'], 'report.html')
    """
    with started(timeout=config.train.timeout) as processes, _spoken(processes):
        folder = RunFolder(Path(out))
        if processes.share(processes.first(lambda: _is_restarted(folder))):
            resume, overwrite = True, False
        processes.first(lambda: folder.check(resume=resume, overwrite=overwrite))
        loaded = load_for(config)
        config, data = resolve(config, loaded), _identity(loaded)
        train_config(config)  # its own check, before anything is read or written
        extended = bool(resume and processes.share(processes.first(lambda: folder.match(config, data))))
        with _captured_warnings() as captured:  # what does not fit is found out before an older run is overwritten
            cut = split_windows(config, loaded.held())
            build_net(config, cut.windows)
            items = processes.first(lambda: hash_items(cut.windows))
            found = processes.share(processes.first(lambda: _finished(folder, cut, items))) if resume else None
            if found and not extended:
                return RunResult(folder.path, found, already_finished=True)
        if items is None:
            return RunResult(folder.path, follow(cut, folder, processes))
        with folder.hold(config, data, resume=resume, overwrite=overwrite):
            leading = _Run(folder, cut.hashed(items), progress or _silent, captured, processes)
            return leading.execute(callbacks, resume=resume)


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
    loaded = load_for(config)
    config = resolve(config, loaded)
    train_config(config)
    return plan(split_windows(config, loaded))


def _silent(_: str) -> None:
    pass


@contextmanager
def _spoken(processes: Processes) -> Iterator[None]:
    """Let the first process alone speak of what the user should know."""
    with warnings.catch_warnings():
        if not processes.is_first:
            warnings.simplefilter("ignore", ScimlWarning)
        yield


def _is_restarted(folder: RunFolder) -> bool:
    """Return whether torchrun has started the processes again after a failure, with the same words as at first."""
    return os.environ.get("TORCHELASTIC_RESTART_COUNT", "0") != "0" and (folder.path / "config.toml").is_file()


def _finished(folder: RunFolder, cut: SplitWindows, items: Items | None) -> Mapping[str, Any] | None:
    """Return the numbers of a run to be resumed that has come to its end, if it was made from these windows."""
    assert items is not None  # noqa: S101 (the first process has hashed them)
    folder.match_split(cut.windows, cut.splits, items)
    return folder.metrics() if folder.finished else None


@contextmanager
def _captured_warnings() -> Iterator[list[str]]:
    """Collect the warnings of a block for the report, and hand them on at its end."""
    captured: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        yield captured
    captured += dict.fromkeys(str(each.message) for each in caught)
    for each in caught:
        warnings.warn_explicit(each.message, each.category, each.filename, each.lineno)


def _identity(loaded: Loaded) -> dict[str, Any]:
    """Return what distinguishes this recording from another one."""
    attrs = loaded.recording.attrs
    return {name: str(attrs.get(name, "")) for name in ("signal", "sha256")}


@dataclass(frozen=True, eq=False)
class _Begun:
    """What a fold has before it is trained; `state` is what a prediction needs of it, `augment` how it is changed."""

    learned: LearnedDenoiser
    preprocess: Preprocess
    net: nn.Module
    initialization: init.InitReport
    spectra_before: WeightSpectra | None
    state: Mapping[str, Any]
    augment: Augment | None


@dataclass(frozen=True, eq=False)
class _Fold:
    """What one fold gave; a run without folds is one."""

    begun: _Begun
    training: FitResult
    tested: Tested


@dataclass(frozen=True, eq=False)
class _Run:
    """One run under way."""

    folder: RunFolder
    cut: SplitWindows
    log: Progress
    warnings: list[str]  # so far
    processes: Processes

    @property
    def config(self) -> Config:
        return self.cut.config

    def execute(self, callbacks: Sequence[object], *, resume: bool) -> RunResult:
        for note in self.cut.notes:
            self.log(note)
        self.write_split()
        folds: list[_Fold] = []
        for number in range(len(self.cut.splits)):
            whole = folds[0].begun.learned.floor if folds else None
            folds.append(self.fold(number, whole, callbacks, resume=resume))
        self.log("scoring on the held-out part, beside baselines")
        tested = pool([fold.tested for fold in folds])
        task, first = get_task(self.config.task), folds[0].begun
        evaluation = task.evaluate(tested, self.cut.windows, self.cut.splits, seed=self.config.seed)
        record = make_record(
            self.with_session_test(tested, first.preprocess),
            first.learned,
            first.net,
            initialization=first.initialization,
            spectra_before=first.spectra_before,
            training=[fold.training for fold in folds],
            evaluation=evaluation,
            warnings=(*self.cut.notes, *self.warnings),
        )
        result = self.processes.lead(lambda: self.write(record))
        self.processes.share(result.metrics)
        return result

    def fold(self, number: int, whole: NoiseFloor | None, callbacks: Sequence[object], *, resume: bool) -> _Fold:
        """Learn from the train part of a fold, and say what the model tells of its test part."""
        windows, split, task = self.cut.windows, self.cut.splits[number], get_task(self.config.task)
        begun = self.processes.lead(lambda: self.begin(number, whole))
        training = self.train(number, begun, callbacks, resume=resume)
        tested = task.test(training.model, begun.preprocess, windows, split, seed=self.config.seed)
        return _Fold(begun, training, tested)

    def begin(self, number: int, whole: NoiseFloor | None) -> _Begun:
        """Learn what is learned before training, and start the net."""
        windows, split = self.cut.windows, self.cut.splits[number]
        self.log_fold(number)
        with _captured_warnings() as captured:
            learned = self.learn_denoiser(split, whole)
            augment = augmentation(self.config.augment, learned, windows.rate)
            matrix = None if learned.denoiser is None else learned.denoiser.matrix
            preprocess = Preprocess.fit(windows, split.train, matrix=matrix, missing=self.config.data.missing)
        self.warnings.extend(each for each in captured if each not in self.warnings)
        net, began = self.build(preprocess, split)
        state = inference_state(self.config, windows, preprocess, net, began)
        return _Begun(learned, preprocess, net, began, spectra_of(net), state, augment)

    def with_session_test(self, tested: Tested, preprocess: Preprocess) -> SplitWindows:
        """Return windows and splits with the score of covariances where whole sessions are held out."""
        cut, seed = self.cut, self.config.seed
        session = covariances_by_session(cut.windows, tested, cut.splits, preprocess, seed=seed)
        cut = replace(cut, leakage=replace(cut.leakage, session=session))
        self.folder.write_json("split.json", cut.to_dict(), schema=SPLIT_SCHEMA)
        return cut

    def write_split(self) -> None:
        self.folder.write_json("split.json", self.cut.to_dict(), schema=SPLIT_SCHEMA)
        if self.cut.spans is not None:
            learned = intervals_learned_from(self.cut.windows, self.cut.split, self.cut.spans)
            self.folder.write_json(FILE, {"intervals": learned}, schema="sciml.training/1")
        counts = ", ".join(f"{len(indices)} {part}" for part, indices in self.cut.split.parts.items())
        first = "" if len(self.cut.splits) == 1 else " (first fold)"
        self.log(f"{len(self.cut.windows)} windows: {counts}{first}; {self.cut.independence}")
        for alarm in self.cut.leakage.alarms:
            self.log(f"leakage: {alarm}")

    def log_fold(self, number: int) -> None:
        """Say which fold it is, where there are several, in `log.txt` too."""
        if len(self.cut.splits) == 1:
            return
        text = f"fold {number + 1} of {len(self.cut.splits)}"
        self.log(text)
        with (self.folder.path / "log.txt").open("a", encoding="utf-8") as log:
            log.write(f"{text}\n")

    def learn_denoiser(self, split: Split, whole: NoiseFloor | None) -> LearnedDenoiser:
        of_train = self.config.augment.noise > 0
        learned = learn_denoiser(self.cut.windows, split, self.config.noise, whole=whole, of_train=of_train)
        if learned.floor is not None and whole is None:
            self.log(learned.floor.summary())
        for warning in learned.warnings:
            self.log(warning)
        return learned

    def build(self, preprocess: Preprocess, split: Split) -> tuple[nn.Module, init.InitReport]:
        """Return the net as it begins, and how it began: measured on what the net will see of train windows."""
        config, windows = self.config, self.cut.windows
        net = build_net(config, windows)
        batch = first_batch(config, windows, preprocess, split)
        began = start(net, config.init.method, batch, seed=config.seed, options=config.init.options)
        self.log(f"{self.config.model.name}, {n_parameters(net):,} parameters, initialized by method {began.method}")
        return net, began

    def train(
        self,
        number: int,
        begun: _Begun,
        callbacks: Sequence[object],
        *,
        resume: bool,
    ) -> FitResult:
        """Train in the folder of the run, or of the fold; one that was not begun begins."""
        fold = None if len(self.cut.splits) == 1 else number + 1
        run_dir = self.folder.fold(fold)
        state, augment = self.processes.share((begun.state, begun.augment))
        data = fit_data(self.cut, number, begun.preprocess, augment)
        followed = tracked(self.config, data.train, run_dir)
        with (self.folder.path / "log.txt").open("a", encoding="utf-8") as log:
            found = fit(
                get_task(self.config.task).assemble(begun.preprocess, begun.net),
                data,
                train_config(self.config),
                (*callbacks, *followed, ProgressBar(stream=log), _Status(self.folder, fold)),
                run_dir=run_dir,
                resume=resume,
                extra_state=state,
            )
            log.writelines(f"{note}\n" for note in found.notes())
        for note in found.notes():
            self.log(note)
        for tracker in followed:
            self.log(tracker.summary())
        return found

    def write(self, record: RunRecord) -> RunResult:
        """Write report and metrics; `metrics.json` comes last, for it says that the run has an end."""
        self.log("writing the report")
        document = report(record)
        document.to_html(self.folder.path / "report.html", overwrite=True)
        document.to_json(self.folder.path / "report.json", overwrite=True)
        self.folder.write_json("metrics.json", record.to_dict(), schema="sciml.run/1")
        return RunResult(self.folder.path, self.folder.metrics())


class _Status(Callback):
    """Keep `status.json` at the epoch that is done, and its fold if there are several."""

    def __init__(self, folder: RunFolder, fold: int | None) -> None:
        self.folder = folder
        self.fold = {} if fold is None else {"fold": fold}

    def on_epoch_end(self, state: TrainState) -> None:
        self.folder.note("running", **self.fold, epoch=state.epoch, step=state.step, best_epoch=state.best_epoch)
