"""A net as a chain of steps, and what mean-field theory says of signal and gradient along it.

A chain names each step of an architecture at its start: weights with their variance (`Affine`), activations by name or
as functions (`Activate`), norms (`Normalize`), residual blocks (`Branch`), self-attention (`Attention`), means over
positions (`Pool`); `Mark` names points inside.
`follow` takes the moments of a pair of inputs through it, and a gradient back; `plain_net` and
`residual_net` write common chains.
"""

from sciml.theory.chain.attention import Attention
from sciml.theory.chain.follow import ChainMoments, follow
from sciml.theory.chain.marks import Mark, Marked, Measured, Scale
from sciml.theory.chain.nets import plain_net, residual_net
from sciml.theory.chain.positions import Pad, Pool, Reshape
from sciml.theory.chain.steps import Activate, Affine, Branch, Normalize, Step
from sciml.theory.chain.taps import Taps

__all__ = [
    "Activate",
    "Affine",
    "Attention",
    "Branch",
    "ChainMoments",
    "Mark",
    "Marked",
    "Measured",
    "Normalize",
    "Pad",
    "Pool",
    "Reshape",
    "Scale",
    "Step",
    "Taps",
    "follow",
    "plain_net",
    "residual_net",
]
