"""Steps of an optimizer: which one, how large, on what, and what is added up over an epoch."""

from sciml.train.steps.average import WeightAverage
from sciml.train.steps.nonfinite import cause_in
from sciml.train.steps.optimizers import OPTIMIZERS, Optimizer, make_optimizer
from sciml.train.steps.schedules import SCHEDULES, Schedule, make_schedule
from sciml.train.steps.stepper import Stepper, autocast, seed_generators
from sciml.train.steps.sums import EpochSums, RunningSums, summands

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
