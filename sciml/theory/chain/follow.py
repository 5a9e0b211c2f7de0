"""Following signal and gradient through a chain of steps."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from sciml._typing import FloatArray
from sciml.errors import ConfigError
from sciml.theory.chain.signal import Gradient, Signal
from sciml.theory.chain.steps import Step, run_steps

__all__ = ["ChainMoments", "follow"]


@dataclass(frozen=True, repr=False, eq=False)
class ChainMoments:
    r"""Signal and gradient through a chain: what wide random nets do in the mean, and how single nets scatter.

    Attributes
    ----------
    second
        (steps + 1,) second moment E[h²], mean over the positions; `second[0]` is that of the input.
    mean
        (steps + 1,) mean over the units.
    correlation
        (steps + 1,) E[h h'] / E[h²] of the two inputs, of sums over the positions.
    gradient
        (steps + 1,) expected squared norm of the gradient, over that at the end of the chain.
    chi_1
        (steps,) factor by which a step multiplies a squared gradient that goes back through it.
    chi_q
        (steps,) d E[h²]_after / d E[h²]_before.
    variance, gradient_variance
        (steps + 1,) relative variance of both over nets of the widths given, to first order in 1 / width in each
        layer; exact for plain linear and ReLU nets. Of one input at one position: means over both scatter less.
        Gradients that drift with the mean of a stream, where a ReLU closes branches, scatter more than this says.
    profile
        (positions) second moment at the end.
    """

    second: FloatArray
    mean: FloatArray
    correlation: FloatArray
    gradient: FloatArray
    chi_1: FloatArray
    chi_q: FloatArray
    variance: FloatArray
    gradient_variance: FloatArray
    profile: FloatArray

    @property
    def typical(self) -> FloatArray:
        """Second moment of a typical net, exp E[ln], of log-normal scatter: the mean is carried by few large ones."""
        return np.asarray(self.second / np.sqrt(1.0 + self.variance))

    @property
    def typical_gradient(self) -> FloatArray:
        """Squared gradient of a typical net."""
        return np.asarray(self.gradient / np.sqrt(1.0 + self.gradient_variance))

    @property
    def growth(self) -> float:
        """Second moment at the end over that at the start."""
        return float(self.second[-1] / self.second[0])

    @property
    def gradient_growth(self) -> float:
        """Squared gradient at the start over that at the end."""
        return float(self.gradient[0])

    def band(self, z: float = 2.0) -> tuple[FloatArray, FloatArray]:
        """Return the second moments within which a net lies that is z standard deviations of ln E[h²] from typical."""
        return _band(self.typical, self.variance, z)

    def gradient_band(self, z: float = 2.0) -> tuple[FloatArray, FloatArray]:
        """Return the same of the squared gradient."""
        return _band(self.typical_gradient, self.gradient_variance, z)

    def __repr__(self) -> str:
        return f"ChainMoments({self.chi_1.size} steps, growth {self.growth:.4g}, gradient {self.gradient_growth:.4g})"

    def summary(self) -> str:
        """Return growth and scatter in a few words."""
        return (
            f"over {self.chi_1.size} steps the second moment grows {self.growth:.4g} times (typical net "
            f"{self.typical[-1] / self.typical[0]:.4g}), the squared gradient {self.gradient_growth:.4g} times on its "
            f"way back (typical net {self.typical_gradient[0]:.4g}); two inputs end at correlation "
            f"{self.correlation[-1]:.4g}"
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the arrays as lists."""
        return {name: np.asarray(value).tolist() for name, value in asdict(self).items()}


def _band(typical: FloatArray, variance: FloatArray, z: float) -> tuple[FloatArray, FloatArray]:
    factor = np.exp(z * np.sqrt(np.log1p(variance)))
    return typical / factor, typical * factor


def follow(
    steps: Sequence[Step],
    *,
    q: float | FloatArray = 1.0,
    correlation: float | FloatArray = 0.0,
    positions: tuple[int, ...] = (),
) -> ChainMoments:
    r"""Follow second moment, correlation and squared gradient through a chain of steps, in the limit of wide layers.

    The weights of a layer are independent of all that comes before, so that its units are independent Gaussians given
    the second moments of its input; a gradient is taken as independent of the weights it meets on its way back.

    Parameters
    ----------
    steps
        `Affine`, `Activate`, `Normalize`, `Branch`, `Attention`, `Pool`, in the order of execution.
    q
        Second moment of the input: a number, or one at each position.
    correlation
        E[x x'] / q of two inputs.
    positions
        Spatial shape of the input of a net of convolutions; () where there is none.

    Raises
    ------
    ConfigError
        A chain without steps, or a moment that is negative or not finite.
    NumericalError
        A second moment that outgrows floating point, or a norm without a signal.

    References
    ----------
    Poole et al. (2016), arXiv:1606.05340; Schoenholz et al. (2017), arXiv:1611.01232; residual: Yang and Schoenholz
    (2017), arXiv:1712.08969; convolutions: Xiao et al. (2018), arXiv:1806.05393; batch norm: Yang et al. (2019),
    arXiv:1902.08129; fluctuations: Hanin and Rolnick (2018), arXiv:1803.01719.

    Examples
    --------
    >>> from sciml.theory.chain import Activate, Affine
    >>> moments = follow([Affine(2.0), Activate("relu")] * 10, q=1.0)
    >>> moments.growth, moments.gradient_growth
    (1.0, 1.0)
    """
    if not steps:
        raise ConfigError("expected at least one step in the chain, got none")
    signal = _start(q, correlation, positions)
    signals, backwards, slopes = [signal], [], []
    for step in steps:
        signal, back = run_steps([step], replace(signal, elasticity=1.0))
        slopes.append(signal.elasticity)
        signals.append(signal)
        backwards.append(back)
    gradients = [Gradient(np.full(signal.second.shape, 1.0 / signal.second.size))]
    for back in reversed(backwards):
        gradients.append(back(gradients[-1]))
    return _collect(signals, gradients[::-1], np.array(slopes))


def _start(q: float | FloatArray, correlation: float | FloatArray, positions: tuple[int, ...]) -> Signal:
    second = np.broadcast_to(np.asarray(q, dtype=np.float64), positions).copy() if np.ndim(q) == 0 else np.asarray(q)
    rho = np.asarray(correlation, dtype=np.float64)
    if not np.isfinite(second).all() or (second < 0).any() or (np.abs(rho) > 1).any():
        raise ConfigError(
            f"expected a second moment q >= 0 and a correlation within [-1, 1], got {q} and {correlation}"
        )
    return Signal(np.zeros_like(second), second, rho * second)


def _collect(signals: list[Signal], gradients: list[Gradient], elasticity: FloatArray) -> ChainMoments:
    second = np.array([each.second.mean() for each in signals])
    cross = np.array([each.cross.mean() for each in signals])
    gradient = np.array([each.power.sum() for each in gradients])
    with np.errstate(divide="ignore", invalid="ignore"):
        return ChainMoments(
            second=second,
            mean=np.array([each.mean.mean() for each in signals]),
            correlation=np.nan_to_num(cross / second),
            gradient=gradient,
            chi_1=np.nan_to_num(gradient[:-1] / gradient[1:]),
            chi_q=np.nan_to_num(elasticity * second[1:] / second[:-1]),
            variance=np.array([each.variance for each in signals]),
            gradient_variance=np.array([each.variance for each in gradients]),
            profile=signals[-1].second,
        )
