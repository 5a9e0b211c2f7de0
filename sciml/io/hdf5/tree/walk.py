"""What is in a file: its groups and datasets, each under one path; links are looked at before they are followed."""

from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import h5py

from sciml.errors import DataError
from sciml.io.hdf5.guard import Limits, guard
from sciml.io.hdf5.issues import Issue, Remark, code_of
from sciml.io.hdf5.links import Files
from sciml.io.hdf5.text import text
from sciml.io.hdf5.tree.node import Node, Place, Shared

__all__ = ["Tree"]

T = TypeVar("T")
KINDS = (h5py.h5o.TYPE_GROUP, h5py.h5o.TYPE_DATASET)


class Tree:
    """All nodes of a file by path, without a leading slash; the root has the path "".

    Hard-link aliases and soft links lead to the same `Node`. Whatever cannot be listed is in `findings`.

    Attributes
    ----------
    contents
        What was made of the file by whoever knows its format, kept with the tree.
    """

    def __init__(self, files: Files, limits: Limits) -> None:
        self.limits = limits
        self.contents: Any = None
        self._shared = Shared(limits)
        self._links: deque[tuple[Node, bytes]] = deque()
        self._full = False
        self._derived: dict[Callable[[Tree], Any], Any] = {}
        self.start(files)
        with guard(str(files.main)):
            root = self._shared.handle["/"].id
            self.root = self._add(None, h5py.h5o.get_info(root), "", 0)
            # Links come last, so that the path of an object is the one under which it is stored. A link may lead
            # into another file, which may hold further links.
            while self._links:
                self._resolve(*self._links.popleft())

    def start(self, files: Files) -> None:
        """Take files that have just been opened: those that were walked, unchanged."""
        self.files = files
        with guard(str(files.main)):
            self._shared.start(files)

    def stop(self) -> None:
        """Let go of everything that is open, and keep what is known."""
        self._shared.stop()

    @property
    def findings(self) -> list[Remark]:
        """What is odd about the file; whoever reads it adds to it."""
        return self._shared.findings

    @property
    def growing(self) -> bool:
        """Whether a program is writing the file, in SWMR mode."""
        return self._shared.growing

    @property
    def digest(self) -> dict[str, str]:
        """The checksum of the file, as attributes of a recording."""
        return self._shared.digest

    def __len__(self) -> int:
        """Return the number of nodes."""
        return len(self._shared.nodes)

    def __iter__(self) -> Iterator[Node]:
        """Iterate over all nodes in the order of the file."""
        return iter(self._shared.nodes.values())

    def datasets(self) -> list[Node]:
        """Return all datasets in the order of the file."""
        return [node for node in self if node.is_dataset]

    def once(self, derive: Callable[["Tree"], T]) -> T:
        """Return what a function makes of the tree, made once: thousands of arrays may ask what else is in the file."""
        if derive not in self._derived:
            self._derived[derive] = derive(self)
        return self._derived[derive]  # type: ignore[no-any-return]

    def get(self, path: str) -> Node | None:
        """Return the node that a path leads to, over aliases and links too."""
        node: Node | None = self.root
        for part in path.strip("/").split("/"):
            node = node.children.get(part) if node is not None and part else node
        return node

    def parent(self, node: Node) -> Node:
        """Return the group that holds a node; the root holds itself."""
        return self.get(node.path.rpartition("/")[0]) or self.root

    def broken(self, path: str) -> str | None:
        """Return why the link at `path` leads nowhere, None if it is no such link."""
        parent, _, name = path.strip("/").rpartition("/")
        node = self.get(parent)
        return node.broken.get(name) if node is not None else None

    def referred(self, reference: Any, holder: Node) -> Node | None:
        """Return the node that an object reference stored in `holder` leads to, None if it leads nowhere."""
        try:
            with guard(f"reference in {holder.path}"):
                found = h5py.h5r.dereference(reference, holder.identifier) if reference else None
                return self._shared.nodes.get(self._shared.address(found)) if found else None
        except DataError:
            return None

    def _add(self, place: Place | None, info: Any, path: str, depth: int) -> Node:
        is_dataset = info.type == h5py.h5o.TYPE_DATASET
        node = Node(self._shared, place, path, is_dataset=is_dataset, n_attributes=info.num_attrs)
        self._shared.nodes[self._shared.number(info.fileno), info.addr] = node
        if not is_dataset:
            self._list(node, depth, self._shared.number(info.fileno))
        return node

    def _list(self, node: Node, depth: int, file_number: int) -> None:
        if depth >= self.limits.depth:
            self.findings.append(f"{node.path} is {depth} groups deep; what is below it is not listed")
            return
        # A link holds the address of its object: no need to open it to know it. None: it is a link to a path.
        found: list[tuple[bytes, int | None]] = []
        room = self.limits.objects - len(self) - len(self._links)

        def note(name: bytes, link: Any) -> bool | None:
            found.append((name, link.u if link.type == h5py.h5l.TYPE_HARD else None))
            return True if len(found) > room else None  # True ends it

        node.identifier.links.iterate(note, info=True)
        for name, address in found:
            if len(self) + len(self._links) >= self.limits.objects:
                self._fill_up()
                return
            try:
                with guard(f"{node.path}/{text(name)}".lstrip("/")):
                    self._enter(node, name, address, depth, file_number)
            except DataError as error:
                node.broken[text(name)] = str(error)
                self.findings.append(str(error))

    def _fill_up(self) -> None:
        if not self._full:
            self.findings.append(f"more than {self.limits.objects} objects; the rest is not listed")
        self._full = True

    def _enter(self, node: Node, link: bytes, address: int | None, depth: int, file_number: int) -> None:
        if address is None:
            self._links.append((node, link))
            return
        label = text(link)
        path = f"{node.path}/{label}".lstrip("/")
        if (known := self._shared.nodes.get((file_number, address))) is not None:
            node.children[label] = known
            known.aliases.append(path)
            return
        info = h5py.h5o.get_info(node.identifier, link)
        if info.type in KINDS:
            node.children[label] = self._add((node, link, True), info, path, depth + 1)

    def _resolve(self, node: Node, link: bytes) -> None:
        name = text(link)
        path = f"{node.path}/{name}".lstrip("/")
        try:
            target = node.follow(link).id
            with guard(path):
                info = h5py.h5o.get_info(target)
                known = self._shared.nodes.get(self._shared.address(target))
                if known is None:
                    known = self._add((node, link, False), info, path, path.count("/"))
                else:
                    known.aliases.append(path)
            node.children[name] = known
        except DataError as error:
            exact = link.decode("utf-8", "surrogateescape")
            reason = str(error).removeprefix(f"link to {exact}: ")
            node.broken[name] = reason
            self.findings.append(Issue(code_of(error, "unreadable"), f"the link {path} {reason}", path))
