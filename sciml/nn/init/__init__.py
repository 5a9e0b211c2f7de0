r"""How weights start, and a report of whether they started as theory says.

A method gives each weight matrix a law and a strength σ_w² = fan_in · Var(w); L is the number of residual branches:

==================== ============================================================================================
method               σ_w²; biases are 0 where nothing is said
==================== ============================================================================================
``he``               2, or 2 / (1 + a²) after a leaky ReLU of slope a
``lecun``, ``selu``  1
``glorot``           2 fan_in / (fan_in + fan_out)
``orthogonal``       gain² (square layers), all singular values equal
``delta_orthogonal`` the same in the central tap of a convolution, zero in the others
``looks_linear``     mirrored orthogonal blocks: a ReLU net that starts linear and isometric
``taki``             c / L^e in residual branches, 2 elsewhere
``balanced``         c / L^(1/m) in branches of m layers, 2 elsewhere
``fixup``            2 / L^(1/(m-1)) in branches, their last layer and the classifier zero
``skipinit``         2, the learned factor at the end of each branch zero
``rezero``           2 after ReLU, 1 elsewhere; the learned factor at the end of each branch zero
``lsuv``             orthogonal, then each layer scaled until its output on a sample has variance 1
``critical``         mean-field critical value; biases of variance σ_b²
``spectral_mup``     largest singular value √(n_out / fan_in)
``default``          1/3, torch's own draw; biases too, U(±fan_in^-1/2)
==================== ============================================================================================

Gates of recurrent layers, projections of attention and embeddings have rules of their own (`rules.usual`). Norm layers
start as torch starts them: weight 1, bias 0, fresh running statistics (``default`` leaves them alone). The draws come
from the `generator` given, in float64 on its device, so that they are the same for every dtype and device of the net;
the global random state is never touched. Frozen parameters (`requires_grad=False`) stay as they are.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
