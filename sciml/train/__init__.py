"""Training that can be killed and resumed, its checkpoints, its scores, and the baselines it must beat.

`SignalClassifier`, `SignalRegressor`, `NNGPClassifier`, `NNGPRegressor` and `NetKernel` are loaded when they are asked
for: scikit-learn takes long to load.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
