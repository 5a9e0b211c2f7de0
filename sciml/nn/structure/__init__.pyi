from .activations import Activation
from .inputs import (
    arguments_of,
    check_sample,
    undisturbed,
    unwrapped,
)
from .kinds import NORMS, weight_slots
from .read import structure
from .result import Branch, Layer, Step, Structure
from .slots import CONVOLUTIONS, TRANSPOSED, Slot

__all__ = [
    "CONVOLUTIONS",
    "NORMS",
    "TRANSPOSED",
    "Activation",
    "Branch",
    "Layer",
    "Slot",
    "Step",
    "Structure",
    "arguments_of",
    "check_sample",
    "structure",
    "undisturbed",
    "unwrapped",
    "weight_slots",
]
