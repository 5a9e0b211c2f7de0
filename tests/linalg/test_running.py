"""Running sums are the sums over everything, weighted as promised."""

import numpy as np
import pytest

from sciml.errors import ConfigError
from sciml.linalg import RunningCovariance


@pytest.mark.parametrize("memory", [None, 30.0])
@pytest.mark.parametrize("complex_data", [False, True])
def test_blocks_give_the_weighted_covariance(memory: float | None, complex_data: bool) -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(size=(100, 4)) + 1e6
    if complex_data:
        values = values + 1j * rng.normal(size=(100, 4))
    running = RunningCovariance(4, memory=memory)
    for part in np.split(values, [1, 40, 40, 77]):
        running.add(part)
    weights = np.ones(100) if memory is None else np.exp(-np.arange(100)[::-1] / memory)
    mean = weights @ values / weights.sum()
    centered = values - mean
    np.testing.assert_allclose(running.mean, mean, rtol=1e-12)
    # An offset of 1e6 deviations takes six of sixteen digits off each deviation.
    np.testing.assert_allclose(running.scatter, (centered.conj().T * weights) @ centered, rtol=1e-7, atol=1e-7)
    assert running.n_effective == pytest.approx(weights.sum() ** 2 / (weights**2).sum())


def test_a_memory_too_short_is_refused() -> None:
    with pytest.raises(ConfigError, match="at least two samples"):
        RunningCovariance(3, memory=1)
