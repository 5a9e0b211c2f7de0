r"""Mean-field theory of wide random networks: how signals and gradients grow from layer to layer.

In a wide layer with weights of variance σ_w²/fan_in and biases of variance σ_b² the pre-activations are Gaussian.
Their second moment q and the factor χ₁ by which a squared gradient grows per layer obey

.. math::
    q' = \sigma_w^2 E[\varphi(\sqrt q z)^2] + \sigma_b^2, \qquad
    \chi_1 = \sigma_w^2 E[\varphi'(\sqrt q z)^2], \qquad
    \chi_q = dq'/dq = \sigma_w^2 E[\varphi(\sqrt q z)\, \varphi'(\sqrt q z)\, z] / \sqrt q,
    \qquad z \sim N(0, 1).

A net is critical where q' = q and χ₁ = 1: gradients neither vanish nor explode with depth. χ_q says whether the length
map returns to that q (χ_q < 1), stays wherever it is put (= 1), or leaves it (> 1).

References
----------
Poole, Lahiri, Raghu, Sohl-Dickstein, Ganguli (2016), arXiv:1606.05340; Schoenholz, Gilmer, Ganguli, Sohl-Dickstein
(2017), arXiv:1611.01232; Pennington, Schoenholz, Ganguli (2017), arXiv:1711.04735; the half-stable points of GELU and
SiLU: Roberts, Yaida, Hanin (2021), arXiv:2106.10165.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
