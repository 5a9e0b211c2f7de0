"""Denoising during the experiment: the noise floor and the components follow the recording as it grows."""

from typing import Any, Literal, Self

from sciml.denoise.lowrank.components import from_floor
from sciml.denoise.lowrank.denoising import make_denoiser
from sciml.denoise.lowrank.estimator import LinearDenoisingTransformer
from sciml.denoise.lowrank.linear_denoiser import LinearDenoiser
from sciml.noise import Model, NoiseFloor, RunningNoiseFloor
from sciml.rmt.shrink import Shrinkage

__all__ = ["StreamingDenoiser"]


class StreamingDenoiser(LinearDenoisingTransformer):
    """A `Denoiser` that learns block by block, and denoises with what it has learned so far.

    Sums are kept, not samples: memory does not depend on how long the recording gets. The floor is estimated when it is
    first asked for after a block, which costs a decomposition of one matrix (N, N). After all blocks it is that of
    the whole recording (`RunningNoiseFloor`).

    Parameters
    ----------
    model, alpha, shrinkage
        As for `Denoiser`; no counts.
    memory
        Number of samples after which a sample weighs 1/e, for recordings that drift; default nothing is forgotten.

    Attributes
    ----------
    floor_, linear_denoiser_, rank_, sigma_
        As those of `Denoiser`, for the samples so far.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> denoiser = StreamingDenoiser()
    >>> for _ in range(5):
    ...     block = rng.normal(size=(400, 1)) @ np.ones((1, 20)) + rng.normal(size=(400, 20))
    ...     cleaned = denoiser.partial_fit(block).transform(block)
    >>> denoiser.rank_, cleaned.shape
    (1, (400, 20))
    """

    def __init__(
        self,
        *,
        model: Model | Literal["auto"] = "auto",
        alpha: float = 0.05,
        shrinkage: Shrinkage = "frobenius",
        memory: float | None = None,
    ) -> None:
        self.model = model
        self.alpha = alpha
        self.shrinkage = shrinkage
        self.memory = memory

    def fit(self, X: Any, y: object = None) -> Self:
        """Forget everything and learn from X, an array (n_samples, n_features) or a recording."""
        if hasattr(self, "running_"):
            del self.running_
        return self.partial_fit(X, y)

    def partial_fit(self, X: Any, y: object = None) -> Self:  # noqa: ARG002
        """Learn from the next samples."""
        begin = not hasattr(self, "running_")
        recording = self._recording(X, reset=begin)
        if begin:
            self.running_ = RunningNoiseFloor(memory=self.memory)
        self.running_.add(recording)
        # Filled in place: that transform computes the floor does not change what the estimator is.
        self._learned: list[tuple[NoiseFloor, LinearDenoiser]] = []
        return self

    @property
    def floor_(self) -> NoiseFloor:
        """The noise floor of the samples so far."""
        return self._learn()[0]

    @property
    def linear_denoiser_(self) -> LinearDenoiser:
        """The map that removes it."""
        return self._learn()[1]

    @property
    def rank_(self) -> int:
        """Number of components above the noise floor."""
        return self.floor_.rank

    @property
    def sigma_(self) -> float:
        """Standard deviation of the noise, in units of the data."""
        return self.floor_.sigma

    def _learn(self) -> tuple[NoiseFloor, LinearDenoiser]:
        if not self._learned:
            floor = self.running_.floor(self.model, self.alpha)
            self._learned.append((floor, make_denoiser(from_floor(floor), floor.rank, self.shrinkage)))
        return self._learned[0]
