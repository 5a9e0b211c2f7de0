"""Does Lanczos find the largest singular value that a full decomposition finds?"""

import numpy as np
import pytest

from sciml._typing import AnyArray
from sciml.errors import NumericalError
from sciml.linalg.lanczos import largest_singular_value


def noise(*shape: int) -> AnyArray:
    return np.random.default_rng(0).standard_normal(shape)


@pytest.mark.parametrize(
    "matrix",
    [
        noise(300, 200),
        noise(60, 400),
        noise(1, 50),
        np.linalg.qr(noise(200, 200))[0],
        np.ones((40, 70)),
        np.diag([2.0, 2.0, 2.0, 1.0]),
        1e-160 * noise(50, 40),
        1e150 * noise(50, 40),
        noise(200, 3) @ noise(3, 150),
    ],
)
def test_it_is_that_of_a_full_decomposition(matrix: AnyArray) -> None:
    expected = np.linalg.svd(matrix, compute_uv=False)[0]
    assert largest_singular_value(matrix) == pytest.approx(expected, rel=1e-12)


def test_zero_and_single_precision() -> None:
    assert largest_singular_value(np.zeros((5, 4))) == 0.0
    matrix = noise(400, 300)
    found = largest_singular_value(matrix.astype(np.float32), tolerance=1e-4)
    assert found == pytest.approx(np.linalg.norm(matrix, 2), rel=1e-5)


def test_too_few_steps_are_no_answer() -> None:
    with pytest.raises(NumericalError, match="max_steps"):
        largest_singular_value(noise(300, 300), max_steps=4)
