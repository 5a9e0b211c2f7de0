"""Laws of a coherence matrix: size by simulation, the exact law of a pair, and the case of two channels."""

import numpy as np
import pytest
from numpy.typing import NDArray

from sciml.errors import ConfigError
from sciml.rmt.coherence import largest_eigenvalue, pair_p_value


def coherences(n_channels: int, looks: int, draws: int) -> NDArray[np.complex128]:
    rng = np.random.default_rng(n_channels * looks)
    y = rng.normal(size=(draws, looks, n_channels)) + 1j * rng.normal(size=(draws, looks, n_channels))
    y /= np.linalg.norm(y, axis=1, keepdims=True)
    return np.asarray(y.conj().transpose(0, 2, 1) @ y)


@pytest.mark.parametrize(("n_channels", "looks"), [(6, 40), (8, 24), (16, 12), (16, 100), (40, 16)])
def test_largest_eigenvalue_has_its_size(n_channels: int, looks: int) -> None:
    draws = 3000
    largest = np.linalg.eigvalsh(coherences(n_channels, looks, draws))[:, -1]
    p = largest_eigenvalue(n_channels, looks).p_value(largest)
    for level in (0.05, 0.01):
        size, error = np.mean(p < level), np.sqrt(level / draws)
        # Measured 3.5 to 4.4 % and 0.5 to 1.0 %: conservative, but not by more than a factor of four.
        assert level / 4 - 3 * error < size < level + 3 * error


def test_pair_law_is_exact() -> None:
    draws, looks = 20_000, 9
    squared = np.abs(coherences(2, looks, draws)[:, 0, 1]) ** 2
    p = np.sort(pair_p_value(squared, looks))
    # Kolmogorov-Smirnov distance to the uniform law: 1.95 / sqrt(n) is exceeded once in a thousand.
    assert np.max(np.abs(p - np.arange(draws) / draws)) < 1.95 / np.sqrt(draws)


def test_a_perfect_pair_has_no_chance_and_an_absent_one_is_certain() -> None:
    assert pair_p_value([0.0, 1.0], 20).tolist() == [1.0, 0.0]


def test_sides_below_one_are_refused() -> None:
    with pytest.raises(ConfigError, match="at least one channel"):
        largest_eigenvalue(0, 5)
