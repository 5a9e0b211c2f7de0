"""The fully convolutional net."""

from collections import OrderedDict
from collections.abc import Sequence

import torch  # noqa: F401 (for the example)
from torch import nn

from sciml.nn.models.blocks import Shape, activation_layer, convolution, count, counts, head
from sciml.nn.models.signal_net import SignalNet

__all__ = ["fcn"]


def fcn(
    n_channels: int,
    n_times: int,
    n_outputs: Shape,
    *,
    width: int = 128,
    kernels: Sequence[int] = (8, 5, 3),
    norm: str = "batch",
    activation: str = "relu",
    pool: str = "mean",
    dropout: float = 0.0,
) -> SignalNet:
    """Return the fully convolutional net of Wang, Yan and Oates: conv, norm, ReLU, three times; mean over time; linear.

    Convolutions keep the length ("same" zero padding); they carry a bias only where no norm follows them.

    Parameters
    ----------
    n_channels, n_times, n_outputs
        Window shape, and shape of the output for one window.
    width
        Filters of the outer layers; inner layers have twice as many (128, 256, 128 in the paper).
    kernels
        Filter length of each layer, in samples.
    norm
        "batch" (paper), "group", or "none".
    activation
        A name in `ACTIVATIONS`.
    pool
        "mean" over time (paper), or "last" sample, for forecasts.
    dropout
        Probability of dropping a pooled feature in training.

    References
    ----------
    Wang, Yan, Oates (2017), IJCNN, doi:10.1109/IJCNN.2017.7966039, section II-B. Group norm: Wu and He (2018),
    arXiv:1803.08494.

    Examples
    --------
    >>> net = fcn(6, 100, (4,))
    >>> net(torch.zeros(2, 6, 100)).shape
    torch.Size([2, 4])
    """
    parts: OrderedDict[str, nn.Module] = OrderedDict()
    kernels = counts("kernels", kernels)
    width = count("width", width)
    widths = [width if i in (0, len(kernels) - 1) else 2 * width for i in range(len(kernels))]
    for i, (n_in, n_out, kernel) in enumerate(zip([n_channels, *widths], widths, kernels, strict=False), start=1):
        block = convolution(n_in, n_out, kernel, norm=norm)
        block["activation"] = activation_layer(activation)
        parts[f"block{i}"] = nn.Sequential(block)
    parts.update(head(widths[-1], n_outputs, pool=pool, dropout=dropout))
    return SignalNet(parts, input_shape=(n_channels, n_times), output_shape=n_outputs)
