"""Whether the values of a dataset can be had at all, and from where: filters, other files, links.

HDF5 answers with fill values, silently, where a virtual dataset's source file is absent, and reads any file on the
machine where a dataset or a link says so. Both are decided here, before a value is read.
"""

import math
import re
from contextlib import ExitStack
from functools import cached_property
from importlib import import_module
from pathlib import Path

import h5py

from sciml.errors import DataError
from sciml.io.hdf5.global_heap import endless_heap
from sciml.io.hdf5.guard import Limits, checked_path, guard, open_file
from sciml.io.hdf5.issues import Finding, code_of
from sciml.io.hdf5.remote import Place, Remote
from sciml.io.hdf5.text import text

__all__ = ["Box", "Files", "filters", "follow", "holes", "obstacle"]

Box = tuple[tuple[int, int], ...]  # start and stop along each axis

MAX_HOPS = 32
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
PACKAGED = "run `pip install sciml[filters]`"
VENDOR = (
    f"{PACKAGED}, or, if it is the filter of a maker of instruments, install their HDF5 plugin and set "
    "HDF5_PLUGIN_PATH to its folder"
)
REMEDIES = {32020: "install ont-vbz-hdf-plugin and set HDF5_PLUGIN_PATH"}


class Files:
    """The files that one opened file leads to; only those in its folder or below it are opened."""

    def __init__(self, main: Place) -> None:
        self.main = main
        self._stack = ExitStack()
        self._open: dict[Place, h5py.File] = {}

    def __enter__(self) -> "Files":
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @cached_property
    def root(self) -> Path:
        """The folder that links may not leave."""
        if isinstance(self.main, Remote):
            refused = "points at another file, which sciml refuses for files that lie elsewhere; download both"
            raise DataError(Finding(refused, code="external_link_refused"))
        return self.main.resolve().parent

    def locate(self, name: str, *, beside: Path) -> Path:
        """Return where HDF5 would find the file `name` that a file in the folder `beside` points at.

        An absolute name that does not exist is looked for by its last part, as HDF5 does.
        """
        root = self.root
        given = Path(name)
        candidates = [given, beside / given.name] if given.is_absolute() else [beside / given]
        for candidate in candidates:
            resolved = candidate.resolve()
            if resolved.exists():
                if not resolved.is_relative_to(root):
                    refused = (
                        f"points at {name}, outside the folder of the file; "
                        "copy that file into the folder, where links may lead"
                    )
                    raise DataError(Finding(refused, code="external_link_refused"))
                return resolved
        absent = f"points at the file {name}, which is not there; copy it into the folder {beside}"
        raise DataError(Finding(absent, code="dangling_link"))

    def place(self, handle: h5py.File) -> Place:
        """Return where an open file lies."""
        return self.main if isinstance(self.main, Remote) else Path(handle.filename).resolve()

    def open(self, path: Place) -> h5py.File:
        """Open a file once; it closes with this collection."""
        if path not in self._open:
            file = self._stack.enter_context(open_file(checked_path(path)))
            # A remote file is looked at block by block, as it comes.
            if not isinstance(path, Remote) and (place := endless_heap(path)) is not None:
                raise DataError(
                    f"{path}: the heap of text at byte {place} is damaged in a way that HDF5 would read forever; "
                    "compare the checksum of the file with the original or copy it again"
                )
            self._open[path] = file
        return self._open[path]


def follow(
    start: h5py.Group, path: str, files: Files, *, hops: int = MAX_HOPS
) -> h5py.Group | h5py.Dataset | h5py.Datatype:
    """Return the object at `path`, link by link, so that no link is followed before it was looked at.

    Raises
    ------
    DataError
        A link dangles, leads out of the folder, or leads in a circle.
    """
    with guard(f"link to {path}"):
        place = start.file["/"] if path.startswith("/") else start
        for part in path.split("/"):
            if part in ("", "."):
                continue
            if not isinstance(place, h5py.Group):
                raise DataError(f"points at {path}, but {place.name} is a dataset and holds nothing")
            place, hops = _step(place, part, path, files, hops)
        return place


def _step(
    group: h5py.Group, part: str, path: str, files: Files, hops: int
) -> tuple[h5py.Group | h5py.Dataset | h5py.Datatype, int]:
    if not group.id.links.exists(part.encode("utf-8", "surrogateescape")):
        absent = f"points at {path}, which is not in the file {Path(str(group.file.filename)).name}"
        raise DataError(Finding(absent, code="dangling_link"))
    link = group.get(part, getlink=True)
    if isinstance(link, h5py.HardLink):
        return group[part], hops
    if hops <= 0:
        raise DataError(Finding(f"points at {path}, and from there in a circle of links", code="link_cycle"))
    if isinstance(link, h5py.SoftLink):
        return follow(group, text(link.path), files, hops=hops - 1), hops - 1
    if isinstance(link, h5py.ExternalLink):
        target = files.locate(text(link.filename), beside=_beside(group))
        return follow(files.open(target)["/"], "/" + text(link.path), files, hops=hops - 1), hops - 1
    raise DataError(f"points at {path} through a link of a kind that sciml does not follow")


def _beside(handle: h5py.Group | h5py.Dataset) -> Path:
    return Path(str(handle.file.filename)).resolve().parent


def obstacle(dataset: h5py.Dataset, files: Files, limits: Limits, *, hops: int = 4) -> Finding | None:
    """Return why the values of a dataset cannot be read, in words with the remedy, or None if they can."""
    try:
        with guard(f"{dataset.name}"):
            plist = dataset.id.get_create_plist()
            if plist.get_external_count():
                refused = "its values lie in a raw file beside it, which sciml refuses to read; copy it with `h5repack`"
                return Finding(refused, code="external_storage_refused")
            if dataset.is_virtual:
                return _missing_source(dataset, files, limits, hops)
            return _missing_filter(plist) or _unread(dataset, limits)
    except DataError as error:
        return Finding(str(error), code=code_of(error, "unreadable"))


def holes(dataset: h5py.Dataset, files: Files) -> tuple[Box, ...] | None:
    """Return where a virtual dataset has no source, as bounding boxes; None if none of its values can be had.

    HDF5 fills such places; any other obstacle may not be read around.
    """
    beside = _beside(dataset)
    found = []
    try:
        with guard(f"{dataset.name}"):
            for source in dataset.virtual_sources() if dataset.is_virtual else ():
                try:
                    where = dataset.file if source.file_name == "." else None
                    where = where or files.open(files.locate(source.file_name, beside=beside))
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


def _missing_filter(plist: h5py.h5p.PropDCID) -> Finding | None:
    for number in range(plist.get_nfilters()):
        code, _, _, name = plist.get_filter(number)
        if h5py.h5z.filter_avail(code) or (_load_plugins() and h5py.h5z.filter_avail(code)):
            continue
        label = FILTERS.get(code) or text(name) or "unknown"
        remedy = REMEDIES.get(code, PACKAGED if code in FILTERS else VENDOR)
        missing = f"its values are compressed with HDF5 filter {code} ({label}), which is not installed; {remedy}"
        return Finding(missing, code="unknown_filter")
    return None


def _load_plugins() -> bool:
    try:
        import_module("hdf5plugin")
    except ImportError:
        return False
    return True


def _unread(dataset: h5py.Dataset, limits: Limits) -> Finding | None:
    if dataset.size and not dataset.id.get_storage_size():
        return Finding(
            f"it declares the shape {dataset.shape}, but no value was ever written (0 bytes are stored); "
            "check that the recording was finished and copied whole",
            code="never_written",
        )
    chunk_bytes = math.prod(dataset.chunks) * dataset.dtype.itemsize if dataset.chunks else 0
    if chunk_bytes > limits.chunk_bytes:
        return Finding(
            f"its chunks are {chunk_bytes / 2**20:.0f} MiB each and must be read whole, more than the limit of "
            f"{limits.chunk_bytes / 2**20:.0f} MiB; rewrite it with `h5repack`, or raise limits.chunk_bytes",
            code="large_chunk",
        )
    return None


def _missing_source(dataset: h5py.Dataset, files: Files, limits: Limits, hops: int) -> Finding | None:
    if hops <= 0:
        return Finding("it is a virtual dataset of virtual datasets without end", code="missing_source")
    beside = _beside(dataset)
    for file_name, dataset_name in sorted(
        {(source.file_name, source.dset_name) for source in dataset.virtual_sources()}
    ):
        if "%" in re.sub("%%", "", file_name + dataset_name):
            return Finding(
                f"it is a virtual dataset over the open-ended series {file_name}:{dataset_name}; sciml reads fixed "
                "ones",
                code="missing_source",
            )
        try:
            where = dataset.file if file_name == "." else files.open(files.locate(file_name, beside=beside))
            source = follow(where["/"], "/" + dataset_name, files)
        except DataError as error:
            code = code_of(error)
            code = code if code == "external_link_refused" else "missing_source"
            return Finding(f"it is a virtual dataset, and its source {dataset_name} {error}", code=code)
        if not isinstance(source, h5py.Dataset):
            trouble = f"it is a virtual dataset, and its source {dataset_name} is no dataset"
            return Finding(trouble, code="missing_source")
        if found := obstacle(source, files, limits, hops=hops - 1):
            return Finding(f"it is a virtual dataset, and of its source {dataset_name}: {found}", code=found.code)
    return None
