"""The run directory: who may write into it, what it holds, and how the last run in it ended."""

import contextlib
import json
import os
import shutil
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from sciml import files
from sciml._printable import json_text
from sciml.errors import CheckpointError, ConfigError, InterruptedRunError, ScimlError, StorageError
from sciml.pipeline.config import Config, to_toml, validate
from sciml.result import card, shown

if TYPE_CHECKING:
    from sciml.data import Split, Windows
    from sciml.data.identity import Items

__all__ = ["RunFolder"]

FILES = (
    "config.toml",
    "split.json",
    "training.json",
    "metrics.json",
    "report.html",
    "report.json",
    "spectra.nc",
    "status.json",
    "log.txt",
    ".lock",
)
FOLDERS = ("checkpoints", "folds")
# keys that change nothing in the result: they may differ on resume
FREE = (
    "data.files", "train.checkpoint_every", "train.keep", "train.workers", "train.timeout",
    "track.what", "track.every", "track.budget", "track.samples",
)  # fmt: skip
EPOCHS = "train.epochs"  # may grow on resume, see `match`
KEPT = ("data", "fold", "epoch", "step", "best_epoch")  # of the status from one note to the next
EXTRA = ("schema", "items", "leakage")  # of a split in its file


@dataclass(frozen=True, repr=False)
class RunFolder:
    """A run directory by its path.

    Examples
    --------
    >>> RunFolder(Path("nowhere")).finished
    False
    """

    path: Path

    @property
    def finished(self) -> bool:
        """Whether a run came to its end here."""
        return self.status().get("state") == "finished" and (self.path / "metrics.json").is_file()

    def verdict(self) -> str:
        """Return what the net is worth, in words: the first finding of the report; empty where there is none."""
        try:
            stored = json.loads((self.path / "report.json").read_text(encoding="utf-8"))
            return str(stored["findings"][0]["text"])
        except (OSError, ValueError, LookupError, TypeError):
            return ""

    def __repr__(self) -> str:
        """Return where it is, how its last run ended, and what the net is worth."""
        return shown(f"RunFolder: {self.path}", self.status().get("state", "no run yet"), self.verdict())

    def _repr_html_(self) -> str:
        rows = [(name, value) for name, value in self.status().items() if isinstance(value, str | int | float)]
        return card(f"Run {self.path}", self.verdict() or "No verdict yet.", ("what", "value"), rows)

    def fold(self, number: int | None) -> Path:
        """Return the folder that a fold, counted from 1, is trained in, made if it is not there; of no fold, this."""
        folder = self.path if number is None else self.path / "folds" / str(number)
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def checkpoints(self) -> Path:
        """Return the folder of the checkpoints of the run; of one with folds, those of the first."""
        first = self.path / "folds" / "1" / "checkpoints"
        return first if first.is_dir() else self.path / "checkpoints"

    def all_checkpoints(self) -> dict[int | None, Path]:
        """Return the folders of checkpoints by their fold, counted from 1; of a run without folds by None."""
        found = sorted((int(each.name), each) for each in (self.path / "folds").glob("*") if each.name.isdecimal())
        return {fold: each / "checkpoints" for fold, each in found} or {None: self.path / "checkpoints"}

    def intervals(self) -> Mapping[str, Any] | None:
        """Return by piece the intervals of time that the run learned from; None where it kept none."""
        try:
            stored = json.loads((self.path / "training.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        found = stored.get("intervals") if isinstance(stored, dict) else None
        return found if isinstance(found, Mapping) else None

    def status(self) -> dict[str, Any]:
        """Return how the last run in this folder stands; empty where there was none."""
        try:
            found = json.loads((self.path / "status.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def config(self) -> Config:
        """Return the configuration that the run was made with.

        Raises
        ------
        CheckpointError
            There is no run here.
        """
        file = self.path / "config.toml"
        try:
            return validate(tomllib.loads(file.read_text(encoding="utf-8")), source=str(file))
        except (OSError, tomllib.TOMLDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else error
            raise CheckpointError(
                f"expected a run directory with a config.toml at {self.path}, got: {why}; name the folder that "
                "sciml fit --out wrote"
            ) from None

    def metrics(self) -> dict[str, Any]:
        """Return the numbers of a finished run."""
        file = self.path / "metrics.json"
        try:
            found = json.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise CheckpointError(f"expected the numbers of a finished run in {file}, got: {error}") from error
        if not isinstance(found, dict):
            raise CheckpointError(f"expected a dict in {file}, got {type(found).__name__}; start the run anew")
        return found

    def splits(self) -> "tuple[Split, ...]":
        """Return how the windows of the run were split: one split, or one a fold.

        Raises
        ------
        DataError
            What is stored is no split, or was changed.
        """
        from sciml.data import Split  # torch: only once a split is asked for

        stored = self._stored_split()
        return tuple(
            Split.from_dict({key: value for key, value in each.items() if key not in EXTRA})
            for each in stored.get("folds", [stored])
        )

    def alarms(self) -> tuple[str, ...]:
        """Return what was found to leak when the run was made, in sentences; nothing where no split is stored.

        Raises
        ------
        DataError
            The stored split was changed since.
        """
        try:
            stored = self._stored_split()
        except OSError:
            return ()
        self.splits()
        return tuple(stored.get("leakage", {}).get("alarms", ()))

    def changed(self, file: Path, digest: str) -> bool:
        """Return whether a file that the run was made with has another digest now."""
        digests = str(self.status().get("data", {}).get("sha256", "")).split()
        known = file.absolute() in [Path(each) for each in self.config().data.files]
        return known and bool(digest) and bool(digests) and digest not in digests

    def _stored_split(self) -> dict[str, Any]:
        stored: dict[str, Any] = json.loads((self.path / "split.json").read_text(encoding="utf-8"))
        return stored

    def match_split(self, windows: "Windows", splits: "Sequence[Split]", items: "Items") -> None:
        """Refuse to resume a run whose windows were split otherwise, or whose windows or targets were others.

        Raises
        ------
        CheckpointError
            Naming the windows that differ, or saying that the split does.
        """
        try:
            stored, before = self._stored_split(), [split.sha256 for split in self.splits()]
        except OSError:  # killed before it was written
            return
        changed = items.differences(stored["items"], windows) if "items" in stored else ""
        if changed:
            raise CheckpointError(
                f"expected the data that {self.path} was started with, got others: {changed}; "
                "resume with those, or start another run"
            )
        if before != [split.sha256 for split in splits]:
            raise CheckpointError(
                f"expected the split that {self.path} was started with, got another one "
                f"({splits[0].independence()}): units, windows, or how they are dealt differ; start another run"
            )

    def check(self, *, resume: bool, overwrite: bool) -> None:
        """Refuse what cannot start here, before anything is read.

        Raises
        ------
        ConfigError
            Both resume and overwrite.
        StorageError
            The folder holds something, and neither was asked for; or what it holds is no run.
        CheckpointError
            There is nothing to resume.
        """
        if resume and overwrite:
            raise ConfigError("expected either resume or overwrite, got both; resume goes on, overwrite starts anew")
        if self.path.exists() and not self.path.is_dir():
            raise StorageError(f"{self.path} is a file; choose another folder for the run")
        holds = self._holds()
        is_run = "config.toml" in holds
        if resume and not is_run:
            raise CheckpointError(f"expected a run to resume at {self.path}, found none; start it without --resume")
        if holds and not (resume or overwrite):
            more = "; --resume goes on with it, --overwrite starts anew" if is_run else " and is no run directory"
            raise StorageError(f"{self.path} exists{more}, or choose another folder")
        if overwrite and holds and not is_run:
            raise StorageError(
                f"{self.path} holds other things than a run, and is not overwritten; choose another folder"
            )

    def _holds(self) -> set[str]:
        return {entry.name for entry in self.path.iterdir()} - {".lock"} if self.path.is_dir() else set()

    def match(self, config: Config, data: Mapping[str, Any]) -> bool:
        """Refuse to resume a run that was made with another configuration or from other data.

        More epochs may be asked for where the rate was constant; returns whether they are.

        Raises
        ------
        CheckpointError
            Naming the keys that differ, with both values.
        """
        stored, now = _flat(self.config()), _flat(config)
        keys = [key for key in sorted({*stored, *now}) if key not in FREE and stored.get(key) != now.get(key)]
        extended = keys == [EPOCHS]
        if extended:
            self._check_extension(stored[EPOCHS], now[EPOCHS], config.train.schedule)
        elif keys:
            shown = ", ".join(f"{key} ({stored.get(key)}, now {now.get(key)})" for key in keys)
            raise CheckpointError(
                f"expected the configuration that {self.path} was started with, got other {shown}; "
                "resume without these options, or start another run"
            )
        from sciml.report.document.plain import plain

        before = self.status().get("data", data)
        if before != plain(data, flags={}):
            raise CheckpointError(
                f"expected the recording that {self.path} was started with ({before}), got {dict(data)}"
                f"{_changed_files(before, data, config)}; resume with that one, or start another run"
            )
        return extended

    def _check_extension(self, before: int | None, after: int | None, schedule: str) -> None:
        from sciml.train.extension import not_extended

        training = self.metrics().get("training") or {} if self.finished else {}
        stopped = training.get("stopped_early", False) and not self.metrics().get("folds")  # of folds some may go on
        reason = not_extended(before, after, schedule, done=training.get("epochs_run", 0), stopped=stopped)
        if reason:
            raise CheckpointError(
                f"the run in {self.path} cannot be extended from {before} to {after} epochs: {reason}; resume without "
                f"{EPOCHS}, or start another run"
            )

    @contextlib.contextmanager
    def hold(self, config: Config, data: Mapping[str, Any], *, resume: bool, overwrite: bool) -> Iterator["RunFolder"]:
        """Own the folder while a run writes into it, and note how the run ended in `status.json`.

        Ctrl-C becomes an `InterruptedRunError` that says how to go on.

        Raises
        ------
        StorageError
            Another process is at it, or the folder cannot be written.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            lock = (self.path / ".lock").open("a", encoding="utf-8")
        except OSError as error:
            raise StorageError(f"could not write into {self.path}: {error.strerror or error}") from error
        with lock, contextlib.ExitStack() as ended:
            _lock(lock, self.path)
            ended.callback((self.path / ".lock").unlink, missing_ok=True)
            self.check(resume=resume, overwrite=overwrite)  # again: another run may have begun here since
            if overwrite:
                self._clear()
            if not resume or self.config().train.epochs != config.train.epochs:
                self._write("config.toml", to_toml(config))
            with self._noted(data):
                yield self

    def _clear(self) -> None:
        """Remove what a run writes, and nothing else."""
        for name in FILES:
            if name != ".lock":
                (self.path / name).unlink(missing_ok=True)
        for name in FOLDERS:
            shutil.rmtree(self.path / name, ignore_errors=True)

    @contextlib.contextmanager
    def _noted(self, data: Mapping[str, Any]) -> Iterator[None]:
        self.note("running", data=data)
        try:
            yield
        except (KeyboardInterrupt, InterruptedRunError, SystemExit) as error:
            code = error.code if isinstance(error, SystemExit) else getattr(error, "exit_code", 75)
            code = code if isinstance(code, int) else InterruptedRunError.exit_code
            said = {KeyboardInterrupt: "stopped by Ctrl-C", SystemExit: "stopped by SIGTERM"}.get(
                type(error), str(error)
            )
            self.note("interrupted", message=said, exit_code=code)
            raise InterruptedRunError(
                f"{said}\nto go on: sciml fit --resume --out {self.path}", exit_code=code
            ) from error
        except BaseException as error:
            with contextlib.suppress(OSError):  # on a full disk the first error is the one to report
                self._leave(error)
            raise
        self.note("finished", exit_code=0)

    def _leave(self, error: BaseException) -> None:
        """Note why a run failed; where nothing was learned yet, leave nothing that the next try would run into."""
        if any(self.path.glob("checkpoints/*.pt")) or any(self.path.glob("folds/*/checkpoints/*.pt")):
            self.note("failed", message=str(error), exit_code=_exit_code(error))
            return
        self._clear()
        if not self._holds():
            (self.path / ".lock").unlink(missing_ok=True)
            self.path.rmdir()

    def note(self, state: str, **values: Any) -> None:
        """Write into `status.json` how the run stands."""
        kept = {key: value for key, value in self.status().items() if key in KEPT}
        content = {**kept, "state": state, "pid": os.getpid(), "time": datetime.now(UTC).isoformat("T", "seconds")}
        self.write_json("status.json", {**content, **values}, schema="sciml.status/1")

    def write_json(self, name: str, content: Mapping[str, Any], *, schema: str) -> Path:
        """Write one document of the run; NaN and infinity become null."""
        from sciml.report.document.plain import plain

        document = plain({"schema": schema, **content}, flags={})
        text = json_text(document, indent=1) + "\n"
        return self._write(name, text)

    def _write(self, name: str, text: str) -> Path:
        return files.write_bytes(self.path / name, text.encode("utf-8"), overwrite=True)


def _flat(config: Config) -> dict[str, Any]:
    """Return the values of a configuration by dotted path."""
    flat: dict[str, Any] = {}
    for name, value in config.model_dump(mode="json").items():
        inner = value if isinstance(value, dict) else None
        flat |= {name: value} if inner is None else {f"{name}.{key}": each for key, each in inner.items()}
    return flat


def _changed_files(before: Mapping[str, Any], now: Mapping[str, Any], config: Config) -> str:
    """Return in words which files are not as they were."""
    old, new = (str(each.get("sha256", "")).split() for each in (before, now))
    if not len(old) == len(new) == len(config.data.files):
        return ""
    other = [Path(file).name for file, a, b in zip(config.data.files, old, new, strict=True) if a != b]
    return f"; changed since: {', '.join(other)}" if other else ""


def _exit_code(error: BaseException) -> int:
    if isinstance(error, ScimlError):
        return error.exit_code
    return error.code if isinstance(error, SystemExit) and isinstance(error.code, int) else 1


def _lock(file: IO[str], path: Path) -> None:
    """Take the lock of the folder, which the system frees when the process ends, however it ends."""
    try:
        import fcntl
    except ImportError:  # Windows has no such lock, and refuses to delete a file that is open
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        is_there = os.path.samestat(os.fstat(file.fileno()), Path(file.name).stat())  # or its owner removed it since
    except OSError:
        is_there = False
    if not is_there:
        raise StorageError(f"{path} is in use by another run; wait for it, or choose another folder")
