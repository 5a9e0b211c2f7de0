r"""What the weight matrices of a net have learned: their singular values against the edge of noise of their own size.

Weights that still look drawn at random, independent with variance σ², have singular values that fill the
Marchenko-Pastur bulk and end, within a Tracy-Widom fluctuation, at

.. math:: \sigma (\sqrt{n} + \sqrt{p}), \qquad n \times p \text{ the shape of the matrix}.

Directions that training built up stand above it. σ is estimated from the bulk itself (median, edge, refit), so that it
needs no record of how the layer started.

References
----------
Marchenko, Pastur (1967), doi:10.1070/SM1967v001n04ABEH001994; Johnstone (2001), doi:10.1214/aos/1009210544; sequential
test: Kritchman, Nadler (2009), doi:10.1109/TSP.2009.2022897.
"""

from sciml.spectra.weights.layers import LayerSpectrum, weight_spectra

__all__ = ["LayerSpectrum", "weight_spectra"]
