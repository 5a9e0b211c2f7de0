"""The kernel of a wide net as a kernel of scikit-learn."""

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from sklearn.gaussian_process.kernels import Hyperparameter, Kernel
from torch.autograd import forward_ad

from sciml._typing import AnyArray, FloatArray
from sciml.errors import ConfigError, DataError
from sciml.theory.kernels import ARCHITECTURES, Net, kernel_diagonal, kernel_matrices
from sciml.theory.kernels.evaluate import MEMORY

__all__ = ["NetKernel"]

_dual: Any = forward_ad.make_dual  # torch has no types for them
_unpacked: Any = forward_ad.unpack_dual


class NetKernel(Kernel):  # type: ignore[misc]  # scikit-learn has no types
    """The NNGP or the tangent kernel of a wide net, for `GaussianProcessRegressor`, `KernelRidge`, `SVC` and our own.

    The kernel is divided by its value at an input of ones, so that depth and weights change its shape, not its size;
    inputs are best standardized. Hyper-parameters to fit are σ_w² and σ_b², on a logarithmic scale.

    Parameters
    ----------
    depth
        Hidden layers, residual blocks or convolutions.
    activation
        A name in `sciml.theory.meanfield.ACTIVATIONS`, an `Activation`, or a function of an array.
    sigma_w2, sigma_b2
        Weight variance times fan-in, and bias variance.
    sigma_w2_bounds, sigma_b2_bounds
        Where an optimizer searches, or "fixed".
    kind
        "nngp" (the net at its start) or "ntk" (the net in training, by gradient descent with small steps).
    architecture
        "fully_connected", "residual" or "convolutional".
    options
        Further arguments of the architecture (see `sciml.theory.kernels`). Of a convolutional net "channels" says how
        the features of a sample are divided, channel by channel; 1 by default.
    memory
        Bytes of intermediate arrays at most.

    Examples
    --------
    >>> from sklearn.gaussian_process import GaussianProcessRegressor
    >>> X = np.random.default_rng(0).normal(size=(30, 4))
    >>> model = GaussianProcessRegressor(NetKernel(depth=2), alpha=1e-2, optimizer=None).fit(X, X[:, 0] * X[:, 1])
    >>> model.predict(X[:2]).shape
    (2,)
    """

    def __init__(
        self,
        depth: int = 2,
        activation: Any = "relu",
        *,
        sigma_w2: float = 2.0,
        sigma_b2: float = 0.1,
        sigma_w2_bounds: Any = (0.1, 10.0),
        sigma_b2_bounds: Any = (1e-4, 10.0),
        kind: str = "nngp",
        architecture: str = "fully_connected",
        options: Mapping[str, Any] | None = None,
        memory: int = MEMORY,
    ) -> None:
        self.depth = depth
        self.activation = activation
        self.sigma_w2 = sigma_w2
        self.sigma_b2 = sigma_b2
        self.sigma_w2_bounds = sigma_w2_bounds
        self.sigma_b2_bounds = sigma_b2_bounds
        self.kind = kind
        self.architecture = architecture
        self.options = options
        self.memory = memory

    @property
    def hyperparameter_sigma_w2(self) -> Any:
        """σ_w² for scikit-learn."""
        return Hyperparameter("sigma_w2", "numeric", self.sigma_w2_bounds)

    @property
    def hyperparameter_sigma_b2(self) -> Any:
        """σ_b² for scikit-learn; none to fit where there are no biases."""
        return Hyperparameter("sigma_b2", "numeric", self.sigma_b2_bounds if self.sigma_b2 > 0 else "fixed")

    def __call__(self, X: Any, Y: Any = None, eval_gradient: bool = False) -> Any:
        """Return the kernel, shape (n, m), and its derivatives by the logarithms of what is fitted, (n, n, k)."""
        rows, columns = self._inputs(X), None if Y is None else self._inputs(Y)
        if not eval_gradient:
            return self._matrix(self._net(), rows, columns).numpy()
        if Y is not None:
            raise ConfigError("expected eval_gradient with X alone, got Y too: it is the gradient of a square matrix")
        free = [each.name for each in self.hyperparameters if not each.fixed]
        if not free:
            K = self._matrix(self._net(), rows, None).numpy()
            return K, np.empty((*K.shape, 0))
        found = [self._with_derivative(name, rows) for name in free]
        return found[0][0], np.stack([each[1] for each in found], axis=-1)

    def _with_derivative(self, name: str, rows: AnyArray) -> tuple[FloatArray, FloatArray]:
        value = torch.tensor(getattr(self, name), dtype=torch.float64)
        with warnings.catch_warnings(), forward_ad.dual_level(), torch.no_grad():
            warnings.simplefilter("ignore", DeprecationWarning)  # torch's own, when its forward mode is first used
            net = self._net(**{name: _dual(value, value.clone())})
            found = _unpacked(self._matrix(net, rows, None))
            return found.primal.numpy(), found.tangent.numpy()

    def diag(self, X: Any) -> FloatArray:
        """Return the diagonal of the kernel, shape (n,)."""
        found = kernel_diagonal(
            self._net(), self._inputs(X), tangent=self.kind == "ntk", normalize=True, memory=self.memory
        )
        return np.asarray(found.numpy())

    def is_stationary(self) -> bool:
        """Return False: the kernel depends on the lengths of inputs."""
        return False

    def __repr__(self) -> str:
        name = self.activation if isinstance(self.activation, str) else getattr(self.activation, "__name__", "function")
        return (
            f"NetKernel({self.kind}, {self.architecture}, depth={self.depth}, {name}, "
            f"sigma_w2={self.sigma_w2:.3g}, sigma_b2={self.sigma_b2:.3g})"
        )

    def _net(self, **overrides: Any) -> Net:
        if self.architecture not in ARCHITECTURES:
            raise ConfigError(f"expected architecture among {', '.join(ARCHITECTURES)}, got {self.architecture!r}")
        if self.kind not in ("nngp", "ntk"):
            raise ConfigError(f"expected kind 'nngp' or 'ntk', got {self.kind!r}")
        options = {key: value for key, value in (self.options or {}).items() if key != "channels"}
        numbers = {"sigma_w2": self.sigma_w2, "sigma_b2": self.sigma_b2, **overrides}
        return ARCHITECTURES[self.architecture](self.depth, self.activation, **numbers, **options)

    def _matrix(self, net: Net, rows: AnyArray, columns: AnyArray | None) -> torch.Tensor:
        tangent = self.kind == "ntk"
        found = kernel_matrices(net, rows, columns, tangent=tangent, normalize=True, memory=self.memory)
        return found.nngp if found.ntk is None else found.ntk

    def _inputs(self, X: Any) -> AnyArray:
        x = np.asarray(X, dtype=np.float64)
        if self.architecture != "convolutional":
            return x.reshape(len(x), -1)
        if x.ndim == 3:
            return x
        channels = int((self.options or {}).get("channels", 1))
        if x.ndim != 2 or x.shape[1] % channels:
            raise DataError(f"expected features that {channels} channels divide, got shape {x.shape}")
        return x.reshape(len(x), channels, -1)
