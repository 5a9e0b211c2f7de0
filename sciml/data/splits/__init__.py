"""Splits that do not leak: by subject, session, file, trial, a column of events, or blocks of time; and folds."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
