from .node import Node
from .open import open_tree
from .walk import Tree

__all__ = [
    "Node",
    "Tree",
    "open_tree",
]
