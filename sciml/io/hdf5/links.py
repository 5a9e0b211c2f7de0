"""Other files and links: which of them are followed, and that none is before it was looked at.

HDF5 reads any file on the machine where a dataset or a link says so; here what lies outside the
folder of the file is refused.
"""

from contextlib import ExitStack
from functools import cached_property
from pathlib import Path

import h5py

from sciml.errors import DataError
from sciml.io.hdf5.global_heap import endless_global_heap
from sciml.io.hdf5.guard import checked_path, guard, open_file
from sciml.io.hdf5.issues import Issue, IssueError
from sciml.io.hdf5.remote import Place, Remote
from sciml.io.hdf5.text import text

__all__ = ["Files", "folder_of", "follow"]

MAX_HOPS = 32


class Files:
    """The files that one opened file leads to; only those in its folder or below it are opened."""

    def __init__(self, main: Place) -> None:
        self.main = main
        self.alone = True  # whether no other file was asked for: else what was found may change though this one stays
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
            raise IssueError(Issue("external_link_refused", refused))
        return self.main.resolve().parent

    def locate(self, name: str, *, folder: Path) -> Path:
        """Return where HDF5 would find the file `name` that a file in the folder `folder` points at.

        An absolute name that does not exist is looked for by its last part, as HDF5 does.
        """
        self.alone = False
        root = self.root
        given = Path(name)
        candidates = [given, folder / given.name] if given.is_absolute() else [folder / given]
        for candidate in candidates:
            resolved = candidate.resolve()
            if resolved.exists():
                if not resolved.is_relative_to(root):
                    refused = (
                        f"points at {name}, outside the folder of the file; "
                        "copy that file into the folder, where links may lead"
                    )
                    raise IssueError(Issue("external_link_refused", refused))
                return resolved
        absent = f"points at the file {name}, which is not there; copy it into the folder {folder}"
        raise IssueError(Issue("dangling_link", absent))

    def place(self, handle: h5py.File) -> Place:
        """Return where an open file lies."""
        return self.main if isinstance(self.main, Remote) else Path(handle.filename).resolve()

    def open(self, path: Place) -> h5py.File:
        """Open a file once; it closes with this collection."""
        if path not in self._open:
            file = self._stack.enter_context(open_file(checked_path(path)))
            # A remote file is looked at block by block, as it comes.
            if not isinstance(path, Remote) and (place := endless_global_heap(path)) is not None:
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
        raise IssueError(Issue("dangling_link", absent))
    link = group.get(part, getlink=True)
    if isinstance(link, h5py.HardLink):
        return group[part], hops
    if hops <= 0:
        raise IssueError(Issue("link_cycle", f"points at {path}, and from there in a circle of links"))
    if isinstance(link, h5py.SoftLink):
        return follow(group, text(link.path), files, hops=hops - 1), hops - 1
    if isinstance(link, h5py.ExternalLink):
        target = files.locate(text(link.filename), folder=folder_of(group))
        return follow(files.open(target)["/"], "/" + text(link.path), files, hops=hops - 1), hops - 1
    raise DataError(f"points at {path} through a link of a kind that sciml does not follow")


def folder_of(handle: h5py.Group | h5py.Dataset) -> Path:
    """Return the folder of the file that holds an object."""
    return Path(str(handle.file.filename)).resolve().parent
