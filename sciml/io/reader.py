"""What a reader of another format is written with; `CONTRIBUTING.md` shows one.

A reader is a class with a `name`, `sniff(tree)` and `scan(tree)`, registered under the entry point group
`sciml.readers`. It declares where things are; the engine walks, guards, scales and stays lazy.
"""

from sciml.io._clock import Rate, Stamps
from sciml.io._lazy import Scale
from sciml.io._model import Contents, Reader, Signal, Table
from sciml.io._tree import Node, Tree

__all__ = ["Contents", "Node", "Rate", "Reader", "Scale", "Signal", "Stamps", "Table", "Tree"]
