"""A net as a chain of steps, and what mean-field theory says of signal and gradient along it.

A chain names each step of an architecture at its start: weights with their variance (`Affine`), activations by name or
as functions (`Activate`), norms (`Normalize`), residual blocks (`Branch`), self-attention (`Attention`), means over
positions (`Pool`); `Mark` names points inside.
`follow` takes the moments of a pair of inputs through it, and a gradient back; `plain_net` and
`residual_net` write common chains.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
