"""Signals of recordings: preprocessing (filters, references, rates, parts), power spectra, lines, autocorrelation.

Steps take a recording and return one, lazily where it is lazy: `highpass(rereference(recording, "median"), 300)`.
`STEPS` names them; each is a method of recordings too, `recording.sciml.highpass(300)`.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
