from .average import WeightAverage
from .nonfinite import cause_in
from .optimizers import OPTIMIZERS, Optimizer, make_optimizer
from .schedules import SCHEDULES, Schedule, make_schedule
from .stepper import Stepper, autocast, seed_generators
from .sums import EpochSums, RunningSums, summands

__all__ = [
    "OPTIMIZERS",
    "SCHEDULES",
    "EpochSums",
    "Optimizer",
    "RunningSums",
    "Schedule",
    "Stepper",
    "WeightAverage",
    "autocast",
    "cause_in",
    "make_optimizer",
    "make_schedule",
    "seed_generators",
    "summands",
]
