"""Errors of sciml: each knows the exit code that the command line ends with.

Every message says what was expected, what came, and what to do next. What it quotes from a file is shown by its escapes
where a terminal would obey it.
"""

from sciml._printable import escaped

__all__ = [
    "CheckpointError",
    "ConfigError",
    "DataError",
    "DivergedError",
    "InterruptedRunError",
    "MissingDependencyError",
    "NoiseFloorWarning",
    "NumericalError",
    "ProcessError",
    "ScimlError",
    "ScimlWarning",
    "StorageError",
    "WorkerError",
]


class ScimlError(Exception):
    """Base of all errors that sciml raises on purpose."""

    exit_code = 1

    def __str__(self) -> str:
        return escaped(super().__str__())


class DataError(ScimlError, ValueError):
    """A file or a recording is not what the operation needs."""

    exit_code = 3


class ConfigError(ScimlError, ValueError):
    """A configuration is wrong: an unknown key, a value out of range, an argument that does not fit."""

    exit_code = 4


class CheckpointError(ScimlError, RuntimeError):
    """A checkpoint or a run directory is missing, damaged, or made for another model or configuration."""

    exit_code = 5


class DivergedError(ScimlError, ArithmeticError):
    """Training produced a loss or a gradient that is not finite."""

    exit_code = 7


class NumericalError(ScimlError, ArithmeticError):
    """An equation was not solved to the accuracy that its result needs; no number is returned in its place."""


class StorageError(ScimlError, OSError):
    """A result could not be written: disk full, read-only folder, or the file exists already."""

    exit_code = 74


class InterruptedRunError(ScimlError):
    """A signal ended the run after its state was saved; `--resume` continues it.

    `exit_code` is 75 after SIGINT (resumable) and 143 after SIGTERM.
    """

    exit_code = 75

    def __init__(self, message: str, *, exit_code: int = 75) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class WorkerError(ScimlError, RuntimeError):
    """A process that reads for training was killed; the last checkpoint stays, and `--resume` continues from it."""

    exit_code = 71


class ProcessError(ScimlError):
    """Another process of the same training failed; `exit_code` is that of its error."""

    def __init__(self, message: str, *, exit_code: int = 1) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class MissingDependencyError(ScimlError, ImportError):
    """An optional package is not installed; the message names the extra that brings it."""


class ScimlWarning(UserWarning):
    """Something the user can change and should know about."""

    def __str__(self) -> str:
        return escaped(super().__str__())


class NoiseFloorWarning(ScimlWarning):
    """The noise of a recording is none of the models: how many components rise above it is not determined."""
