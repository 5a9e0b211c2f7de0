"""A spectrum with its shape: checked once, the same for every rule."""

import numpy as np
import pytest

from sciml.errors import ConfigError, DataError
from sciml.rmt import Spectrum


def test_values_are_held_in_descending_order_in_double_precision() -> None:
    spectrum = Spectrum(np.array([1, 3, 2], dtype=np.float32), 3, 12, "complex")
    assert spectrum.values.tolist() == [3.0, 2.0, 1.0]
    assert spectrum.values.dtype == np.float64
    assert (spectrum.gamma, spectrum.sides, spectrum.complex_data) == (0.25, (3, 12), True)


def test_a_matrix_and_its_transpose_have_one_spectrum_by_their_long_side() -> None:
    X = np.random.default_rng(0).normal(size=(12, 5))
    lam = np.linalg.svd(X, compute_uv=False) ** 2
    tall, wide = Spectrum(lam / 12, 5, 12), Spectrum(lam / 5, 12, 5)
    np.testing.assert_allclose(tall.by_long_side, wide.by_long_side, rtol=1e-14)


def test_demeaned_wide_data_may_leave_out_the_zero() -> None:
    assert Spectrum(np.ones(9), 30, 10).sides == (9, 30)


@pytest.mark.parametrize(
    ("values", "n_features", "n_samples", "field", "error", "text"),
    [
        ([1.0, np.nan], 2, 10, "real", DataError, "finite eigenvalues"),
        ([1.0, -1.0], 2, 10, "real", DataError, "zero or more"),
        ([], 2, 10, "real", DataError, "list of real numbers"),
        ([1.0], 0, 10, "real", ConfigError, "at least one feature"),
        ([1.0, 1.0], 2, 10, "quaternion", ConfigError, "field"),
    ],
)
def test_what_is_no_spectrum_is_refused(values, n_features, n_samples, field, error, text) -> None:
    with pytest.raises(error, match=text):
        Spectrum(values, n_features, n_samples, field)


def test_a_part_of_a_spectrum_has_no_sides() -> None:
    with pytest.raises(DataError, match="compute the full spectrum"):
        Spectrum(np.ones(3), 5, 10).sides  # noqa: B018
