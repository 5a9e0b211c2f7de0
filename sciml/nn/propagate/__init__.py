"""How signals and gradients travel through a net: measured on a batch, beside what mean-field theory says of it."""

from sciml.nn.propagate.law import jacobian_law
from sciml.nn.propagate.propagation import propagation
from sciml.nn.propagate.result import Propagation, PropagationPoint
from sciml.nn.propagate.trial import InitComparison, InitTrial, RateTrial

__all__ = ["InitComparison", "InitTrial", "Propagation", "PropagationPoint", "RateTrial", "jacobian_law", "propagation"]
