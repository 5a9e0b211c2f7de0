"""What a reader of another format is written with; `CONTRIBUTING.md` shows one.

A reader is a class with a `name`, `sniff(tree)` and `scan(tree)`, registered under the entry point group
`sciml.readers`. It declares where things are; the engine walks, guards, scales and stays lazy.
"""

from sciml.io.arrays import Scale
from sciml.io.hdf5.tree import Node, Tree
from sciml.io.schema.clock import Rate, Timestamps
from sciml.io.schema.declarations import Contents, Reader, Signal, Table
from sciml.io.schema.values import computed, folded, scaled

__all__ = [
    "Contents",
    "Node",
    "Rate",
    "Reader",
    "Scale",
    "Signal",
    "Table",
    "Timestamps",
    "Tree",
    "computed",
    "folded",
    "scaled",
]
