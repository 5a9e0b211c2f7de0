"""Opening a file for a while; what was found in it is kept while its size and time of change stay."""

import os
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sciml.io.hdf5.guard import DEFAULT_LIMITS, Limits, checked_path
from sciml.io.hdf5.links import Files
from sciml.io.hdf5.tree.walk import Tree

__all__ = ["open_tree"]

MOST_NODES = 200_000  # of all trees that are kept
TICK = 0.01  # seconds within which some file systems give two changes one time
COARSE = 2.0  # seconds within which those do that know whole seconds alone
_KEPT: OrderedDict[Any, Tree] = OrderedDict()
_LOCK = threading.Lock()


@contextmanager
def open_tree(path: str | os.PathLike[str], limits: Limits = DEFAULT_LIMITS) -> Iterator[Tree]:
    """Open a file and list what is in it; the nodes can be read until the block ends.

    A file is listed once a process: its tree is kept, closed, while size and time of change of the file stay, unless
    another file was asked for what is in it, or a program writes it.
    """
    where = checked_path(path)
    key = _key(where, limits) if isinstance(where, Path) else None
    with Files(where) as files:
        tree = _take_out(key)
        if tree is None:
            tree = Tree(files, limits)
        else:
            tree.start(files)
        try:
            yield tree
        finally:
            tree.stop()
            if key is not None and files.alone and not tree.growing:
                _keep(key, tree)


def _key(path: Path, limits: Limits) -> Any:
    """Return what a file is known by; a change that comes from now on changes it. None if it may not."""
    stat = path.stat()
    age = time.time() - stat.st_mtime
    if stat.st_mtime_ns % 10**9 == 0 and age < COARSE:
        return None
    if 0 <= age < TICK:
        time.sleep(TICK - age)
    return os.getpid(), str(path), stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, limits


def _take_out(key: Any) -> Tree | None:
    """Return the tree that is kept of a file; nobody else has it until it is kept again."""
    with _LOCK:
        return _KEPT.pop(key, None) if key is not None else None


def _keep(key: Any, tree: Tree) -> None:
    with _LOCK:
        _KEPT[key] = tree
        while sum(map(len, _KEPT.values())) > MOST_NODES and len(_KEPT) > 1:
            _KEPT.popitem(last=False)
