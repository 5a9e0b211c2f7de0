"""Whether the values of a dataset can be had at all: filters, chunks, storage, the sources of virtual datasets.

HDF5 answers with fill values, silently, where a virtual dataset's source file is absent. It is decided here, before a
value is read.
"""

import math
import re
from importlib import import_module

import h5py

from sciml.errors import DataError
from sciml.io.hdf5.guard import Limits, guard
from sciml.io.hdf5.issues import Issue, code_of
from sciml.io.hdf5.links import Files, folder_of, follow
from sciml.io.hdf5.text import text

__all__ = ["Box", "filters", "missing_regions", "read_error"]

Box = tuple[tuple[int, int], ...]  # start and stop along each axis

BUILT_IN = {1: "deflate", 2: "shuffle", 3: "fletcher32", 4: "szip", 5: "nbit", 6: "scaleoffset"}
FILTERS = {
    307: "bzip2",
    32000: "LZF",
    32001: "Blosc",
    32004: "LZ4",
    32008: "bitshuffle",
    32013: "ZFP",
    32015: "Zstandard",
    32017: "SZ",
    32020: "VBZ",
    32026: "Blosc2",
}
PACKAGED = "run `pip install --force-reinstall hdf5plugin`, which comes with sciml"
VENDOR = (
    "if it is the filter of a maker of instruments, install their HDF5 plugin and set HDF5_PLUGIN_PATH to its folder"
)
REMEDIES = {32020: "install ont-vbz-hdf-plugin and set HDF5_PLUGIN_PATH"}


def read_error(dataset: h5py.Dataset, files: Files, limits: Limits, *, hops: int = 4) -> Issue | None:
    """Return why the values of a dataset cannot be read, in words with the remedy, or None if they can."""
    try:
        with guard(f"{dataset.name}"):
            plist = dataset.id.get_create_plist()
            if plist.get_external_count():
                refused = "its values lie in a raw file beside it, which sciml refuses to read; copy it with `h5repack`"
                return Issue("external_storage_refused", refused)
            if dataset.is_virtual:
                return _missing_source(dataset, files, limits, hops)
            return _missing_filter(plist) or _unread(dataset, limits)
    except DataError as error:
        return Issue(code_of(error, "unreadable"), str(error))


def missing_regions(dataset: h5py.Dataset, files: Files) -> tuple[Box, ...] | None:
    """Return where a virtual dataset has no source, as bounding boxes; None if none of its values can be had.

    HDF5 fills such places; any other obstacle may not be read around.
    """
    folder = folder_of(dataset)
    found = []
    try:
        with guard(f"{dataset.name}"):
            for source in dataset.virtual_sources() if dataset.is_virtual else ():
                try:
                    where = dataset.file if source.file_name == "." else None
                    where = where or files.open(files.locate(source.file_name, folder=folder))
                    follow(where["/"], "/" + source.dset_name, files)
                except DataError as error:
                    if code_of(error) != "dangling_link":
                        return None
                    lowest, highest = source.vspace.get_select_bounds()
                    found.append(tuple((int(a), int(b) + 1) for a, b in zip(lowest, highest, strict=True)))
    except DataError:
        return None
    return tuple(found) or None


def filters(dataset: h5py.Dataset) -> tuple[str, ...]:
    """Return the filters of a dataset in the order in which they were applied, for example ("shuffle", "deflate 4")."""
    with guard(f"{dataset.name}"):
        plist = dataset.id.get_create_plist()
        found = [plist.get_filter(number) for number in range(plist.get_nfilters())]
        return tuple(
            f"deflate {options[0]}"
            if code == h5py.h5z.FILTER_DEFLATE and options
            else BUILT_IN.get(code) or FILTERS.get(code) or text(name) or f"filter {code}"
            for code, _, options, name in found
        )


def _missing_filter(plist: h5py.h5p.PropDCID) -> Issue | None:
    for number in range(plist.get_nfilters()):
        code, _, _, name = plist.get_filter(number)
        if h5py.h5z.filter_avail(code) or (_load_plugins() and h5py.h5z.filter_avail(code)):
            continue
        label = FILTERS.get(code) or text(name) or "unknown"
        remedy = REMEDIES.get(code, PACKAGED if code in FILTERS else VENDOR)
        missing = f"its values are compressed with HDF5 filter {code} ({label}), which is not installed; {remedy}"
        return Issue("unknown_filter", missing)
    return None


def _load_plugins() -> bool:
    try:
        import_module("hdf5plugin")
    except ImportError:
        return False
    return True


def _unread(dataset: h5py.Dataset, limits: Limits) -> Issue | None:
    if dataset.size and not dataset.id.get_storage_size():
        return Issue(
            "never_written",
            f"it declares the shape {dataset.shape}, but no value was ever written (0 bytes are stored); "
            "check that the recording was finished and copied whole",
        )
    chunk_bytes = math.prod(dataset.chunks) * dataset.dtype.itemsize if dataset.chunks else 0
    if chunk_bytes > limits.chunk_bytes:
        return Issue(
            "large_chunk",
            f"its chunks are {chunk_bytes / 2**20:.0f} MiB each and must be read whole, more than the limit of "
            f"{limits.chunk_bytes / 2**20:.0f} MiB; rewrite it with `h5repack`, or raise limits.chunk_bytes",
        )
    return None


def _missing_source(dataset: h5py.Dataset, files: Files, limits: Limits, hops: int) -> Issue | None:
    if hops <= 0:
        return Issue("missing_source", "it is a virtual dataset of virtual datasets without end")
    folder = folder_of(dataset)
    for file_name, dataset_name in sorted(
        {(source.file_name, source.dset_name) for source in dataset.virtual_sources()}
    ):
        if "%" in re.sub("%%", "", file_name + dataset_name):
            return Issue(
                "missing_source",
                f"it is a virtual dataset over the open-ended series {file_name}:{dataset_name}; sciml reads fixed "
                "ones",
            )
        try:
            where = dataset.file if file_name == "." else files.open(files.locate(file_name, folder=folder))
            source = follow(where["/"], "/" + dataset_name, files)
        except DataError as error:
            code = code_of(error)
            code = code if code == "external_link_refused" else "missing_source"
            return Issue(code, f"it is a virtual dataset, and its source {dataset_name} {error}")
        if not isinstance(source, h5py.Dataset):
            trouble = f"it is a virtual dataset, and its source {dataset_name} is no dataset"
            return Issue("missing_source", trouble)
        if found := read_error(source, files, limits, hops=hops - 1):
            return Issue(found.code, f"it is a virtual dataset, and of its source {dataset_name}: {found}")
    return None
