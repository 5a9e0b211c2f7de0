from .hdf5.guard import Limits
from .hdf5.issues import Issue
from .hdf5.structure import Entry, structure
from .recordings.check_values import check_values
from .recordings.open import (
    describe,
    list_signals,
    matching_signals,
    open_recording,
    read_events,
)
from .recordings.signal_detail import SignalDetail, signal_detail
from .schema.listing import FileInfo, SignalInfo, TableInfo
from .write.nwb_copy import save_into_nwb_copy
from .write.save import save_recording

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
