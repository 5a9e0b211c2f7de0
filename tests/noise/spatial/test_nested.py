"""The smoothest directions: a fixed subspace of whitened samples, that holds smooth maps."""

import numpy as np

from sciml.noise.spatial.nested import smooth_basis, smooth_maps
from sciml.noise.spatial.whiten import Whitening


def test_smooth_maps_are_the_lowest_cosines_of_the_grid() -> None:
    places = np.indices((8, 6)).reshape(2, -1).T
    found = smooth_maps(places, 12)
    products = found.T @ found
    np.testing.assert_allclose(products - np.diag(np.diag(products)), 0, atol=1e-9)  # orthogonal on a full grid
    np.testing.assert_allclose(found[:, 0], 1)
    turns = (np.diff(np.sign(found.reshape(8, 6, 12)), axis=0) != 0).sum(axis=0).max(axis=0)
    assert turns.max() <= 4


def test_the_whitened_image_of_a_smooth_map_lies_in_the_basis() -> None:
    places = np.arange(64)[:, None]
    whitening = Whitening.of(0.6 ** np.abs(places - places.T))
    rough = np.where(places % 2, 1.0, -1.0) / 8
    basis = smooth_basis(places, whitening.whiten, rough, 4)
    assert basis is not None
    np.testing.assert_allclose(basis.T @ basis, np.eye(17), atol=1e-9)
    bump = np.exp(-((places[:, 0] - 30) ** 2) / 200)
    image = whitening.whiten.T @ bump
    assert np.linalg.norm(basis.T @ image) / np.linalg.norm(image) > 0.999
    np.testing.assert_allclose(basis @ (basis.T @ rough), rough, atol=1e-9)
    assert smooth_basis(places, whitening.whiten, image[:, None] / np.linalg.norm(image), 4).shape[1] == 16  # type: ignore[union-attr]
    assert smooth_basis(places, whitening.whiten, rough, 12) is None
