"""Figures of results and recordings on matplotlib axes: what the reports draw, in your own figures and style.

Every function returns the axes that it drew on, takes `ax=` (else it makes a figure), and uses the colors of
`matplotlib.rcParams`: the first of the color cycle for what was measured, the second for signal, the color of text for
limits.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
