r"""How weights start, and a report of whether they started as theory says.

A method gives each `Linear` and `ConvNd` layer a law and a strength σ_w² = fan_in · Var(w):

============== ================================ ============================================================
method         σ_w²                             biases
============== ================================ ============================================================
``he``         2                                0
``lecun``      1                                0
``orthogonal`` gain² (square layers)            0
``taki``       c / L^e in branches, 2 elsewhere 0
``critical``   mean-field critical value        variance σ_b² of the critical point
``default``    1/3, torch's own draw            torch's own draw, U(±fan_in^-1/2)
============== ================================ ============================================================

Norm layers start as torch starts them: weight 1, bias 0, fresh running statistics (``default`` leaves them alone). The
draws come from the `generator` given, in float64 on its device, so that they are the same for every dtype and device of
the net; the global random state is never touched. Frozen parameters (`requires_grad=False`) stay as they are.
"""

from sciml.nn.init.apply import initialize
from sciml.nn.init.methods import METHODS
from sciml.nn.init.report import InitReport, LayerInit
from sciml.nn.init.rules import Plan, Rule

__all__ = ["METHODS", "InitReport", "LayerInit", "Plan", "Rule", "initialize"]
