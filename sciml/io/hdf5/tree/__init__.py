"""The groups and datasets of a file, walked once."""

from sciml.io.hdf5.tree.node import Node
from sciml.io.hdf5.tree.open import open_tree
from sciml.io.hdf5.tree.walk import Tree

__all__ = ["Node", "Tree", "open_tree"]
