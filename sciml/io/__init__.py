"""Recordings in and out of HDF5: open lazily in physical values with clock and tables, and save without loss.

Which formats are read, and which of them were tried on files of laboratories, is in `docs/formats.md`; how another is
added, in `CONTRIBUTING.md`.
"""

from sciml.io.hdf5.guard import Limits
from sciml.io.hdf5.issues import Issue
from sciml.io.hdf5.structure import Entry, structure
from sciml.io.recordings.check_values import check_values
from sciml.io.recordings.open import describe, list_signals, matching_signals, open_recording, read_events
from sciml.io.recordings.signal_detail import SignalDetail, signal_detail
from sciml.io.schema.listing import FileInfo, SignalInfo, TableInfo
from sciml.io.write.nwb_copy import save_into_nwb_copy
from sciml.io.write.save import save_recording

__all__ = [
    "Entry",
    "FileInfo",
    "Issue",
    "Limits",
    "SignalDetail",
    "SignalInfo",
    "TableInfo",
    "check_values",
    "describe",
    "list_signals",
    "matching_signals",
    "open_recording",
    "read_events",
    "save_into_nwb_copy",
    "save_recording",
    "signal_detail",
    "structure",
]
