r"""What the weight matrices of a net have learned: their singular values against the edge of noise of their own size.

Weights that still look drawn at random, independent with variance σ², have singular values that fill the
Marchenko-Pastur bulk and end, within a Tracy-Widom fluctuation, at

.. math:: \sigma (\sqrt{n} + \sqrt{p}), \qquad n \times p \text{ the shape of the matrix}.

Directions that training built up stand above it. σ is estimated from the bulk itself (median, edge, refit), so that it
needs no record of how the layer started. Rows and columns of unequal scale and heavy-tailed entries (pruned, quantized,
normalized weights) are found out and equalized first. Each layer gets one of five verdicts:

- "like its initialization": noise explains all its singular values;
- "directions learned on a noise bulk": it explains all but some, which are counted;
- "no noise bulk left": so much stands out, or the rest is so unlike noise, that no count would mean anything;
- "orthogonal: nothing to test": all singular values are equal;
- "undetermined".

References
----------
Marchenko, Pastur (1967), doi:10.1070/SM1967v001n04ABEH001994; Johnstone (2001), doi:10.1214/aos/1009210544; sequential
test: Kritchman, Nadler (2009), doi:10.1109/TSP.2009.2022897.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
