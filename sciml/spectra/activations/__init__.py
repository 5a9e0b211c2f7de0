"""What the layers of a net read: the spectrum of its covariance, beside what random weights would give.

`activation_spectra` takes a sample of inputs through a net and looks at what each weight layer reads: the eigenvalues
of its covariance and their participation ratio, how many of them stand above units that share nothing, the law of
random weights for what that layer's source would give, and, with labels, how far classes have collapsed.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
