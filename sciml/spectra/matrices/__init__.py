"""What there is to analyze in a net: every weight matrix of a module, a state dict or a file, as the map that it is.

Gates of recurrent layers, query, key, value and output of attention, transposed convolutions, embeddings,
weight-normalized layers and low-rank adapters are each read as the matrix that acts on the signal. Nothing of two or
more dims is passed over in silence: what is no matrix is listed with the reason.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
