from .apply import initialize
from .methods import METHODS
from .report import InitReport, LayerInit
from .rules import Finished, Net, Plan, Rule

__all__ = [
    "METHODS",
    "Finished",
    "InitReport",
    "LayerInit",
    "Net",
    "Plan",
    "Rule",
    "initialize",
]
