"""How signals and gradients travel through a net: measured on a batch, beside what mean-field theory says of it."""

from sciml.nn.propagate.propagation import propagation
from sciml.nn.propagate.result import Propagation, PropagationPoint

__all__ = ["Propagation", "PropagationPoint", "propagation"]
