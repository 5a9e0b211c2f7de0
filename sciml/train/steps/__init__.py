"""Steps of an optimizer: which one, how large, on what, and what is added up over an epoch."""

from sciml.train.steps.average import WeightAverage
from sciml.train.steps.optimizers import make_optimizer
from sciml.train.steps.schedules import learning_rate
from sciml.train.steps.stepper import Stepper, autocast
from sciml.train.steps.sums import EpochSums

__all__ = ["EpochSums", "Stepper", "WeightAverage", "autocast", "learning_rate", "make_optimizer"]
