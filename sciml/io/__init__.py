"""Recordings in and out of HDF5: open lazily in physical values with clock and tables, and save without loss.

Which formats are read, and which of them were tried on files of laboratories, is in `docs/formats.md`; how another is
added, in `CONTRIBUTING.md`.
"""

from sciml.io._checks import check
from sciml.io._detail import SignalDetail, examine
from sciml.io._findings import Finding
from sciml.io._guard import Limits
from sciml.io._model import FileInfo, SignalInfo, TableInfo
from sciml.io._nwb_copy import save_into_nwb_copy
from sciml.io._open import describe, list_signals, open_recording, read_events
from sciml.io._outline import Entry, outline
from sciml.io._save import save_recording

__all__ = [
    "Entry",
    "FileInfo",
    "Finding",
    "Limits",
    "SignalDetail",
    "SignalInfo",
    "TableInfo",
    "check",
    "describe",
    "examine",
    "list_signals",
    "open_recording",
    "outline",
    "read_events",
    "save_into_nwb_copy",
    "save_recording",
]
