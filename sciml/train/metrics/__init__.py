"""Scores of held-out predictions, each beside the value that chance, the mean or the last sample would give.

`METRICS` are the numbers that training can monitor; `classification_scores`, `regression_scores` and `forecast_scores`
gather those of a test part, with intervals by bootstrap over the units of independence.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
