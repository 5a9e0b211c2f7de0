"""Several processes that train one net together, as `torchrun` starts them; one alone where there are none."""

from sciml.train.processes.group import ALONE, Processes
from sciml.train.processes.spread import spread_over
from sciml.train.processes.start import started

__all__ = ["ALONE", "Processes", "spread_over", "started"]
