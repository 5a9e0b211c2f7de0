"""Whether what a run learns from exists: files, signal, table of events and column; asked before torch is loaded."""

import difflib

import xarray as xr

from sciml.errors import ConfigError, DataError
from sciml.io import describe
from sciml.pipeline.config import Config
from sciml.pipeline.load import load

__all__ = ["LABELED", "check_column", "check_inputs", "labels"]

LABELED = frozenset({"classify"})  # tasks that read a table of events beside the recording


def check_inputs(config: Config) -> None:
    """Raise if something that a configuration names is not there; values are not read.

    Raises
    ------
    ConfigError
        No file, or no labels where the task needs them.
    DataError
        A file, signal, table or column that is not there.
    """
    table, label = labels(config) if config.task in LABELED and config.data.files else ("", "")
    loaded = load(config, table, label)
    if loaded.events is not None:
        check_column(loaded.events, label)


def labels(config: Config) -> tuple[str, str]:
    """Return the table and the column that `data.labels` names.

    Raises
    ------
    ConfigError
        It names none; the message lists the tables of the file.
    """
    table, _, column = (config.data.labels or "").rpartition(":")
    if not table or not column:
        raise ConfigError(
            f"data.labels: expected TABLE:COLUMN, as intervals/trials:stimulus, got {config.data.labels!r}; "
            f"{_tables(config.data.files[0])}"
        )
    return table, column


def _tables(file: str) -> str:
    found = [f"{table.name} ({', '.join(table.columns)})" for table in describe(file).tables]
    return f"tables of the file: {'; '.join(found)}" if found else "the file has no tables: try task = 'forecast'"


def check_column(events: xr.Dataset, label: str) -> None:
    """Raise a DataError that suggests the nearest if a table of events has no such column."""
    if label not in events.variables:
        columns = sorted(map(str, events.variables))
        near = difflib.get_close_matches(label, columns, n=1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise DataError(f"no column {label!r} in the table of events; {hint}it has {', '.join(columns)}")
