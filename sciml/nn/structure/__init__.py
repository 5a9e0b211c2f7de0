"""What a net is made of: every weight matrix, the activation and norm that follow it, the residual branches.

`structure(model, sample)` runs the net once and records the functions that it calls, so that a net of any classes is
understood, not only those of this package. `weight_slots(model)` lists the matrices alone, without running it.
"""

from sciml.nn.structure.activations import Activation
from sciml.nn.structure.inputs import arguments_of, check_sample, undisturbed, unwrapped
from sciml.nn.structure.kinds import NORMS, weight_slots
from sciml.nn.structure.read import structure
from sciml.nn.structure.result import Branch, Layer, Step, Structure
from sciml.nn.structure.slots import CONVOLUTIONS, TRANSPOSED, Slot

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
