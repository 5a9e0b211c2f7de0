"""The phantom is what its docstring says: low rank, one sharp box, white noise of the stated level."""

import numpy as np
import pytest

from sciml.errors import ConfigError
from sciml.simulate import smooth_phantom


def test_the_signal_has_the_stated_rank_and_the_noise_the_stated_level() -> None:
    found = smooth_phantom((10, 20, 20), n_samples=40, sigma=3.0, rank=3)
    signal = found.signal.values.reshape(40, -1)
    assert np.linalg.matrix_rank(signal - signal.mean(axis=0), tol=1e-6 * np.abs(signal).max()) == 4  # and the box
    noise = found.recording - found.signal
    assert abs(float(noise.std()) / 3.0 - 1) < 5 / np.sqrt(2 * noise.size)
    assert found.recording.dims == ("time", "z", "y", "x")
    assert found.recording.dtype == np.float32


def test_equal_seeds_give_equal_recordings() -> None:
    first, same, other = (smooth_phantom((8, 8), n_samples=10, seed=seed).recording for seed in (1, 1, 2))
    assert first.equals(same)
    assert not first.equals(other)


def test_sizes_that_make_no_recording_are_refused() -> None:
    with pytest.raises(ConfigError, match="expected one to three sizes"):
        smooth_phantom((4, 4, 4, 4))
