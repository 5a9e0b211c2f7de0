from .attention import Attention
from .follow import ChainMoments, follow
from .marks import Mark, Marked, Measured, Scale
from .nets import plain_net, residual_net
from .positions import Pad, Pool, Reshape
from .steps import Activate, Affine, Branch, Normalize, Step
from .taps import Taps

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
