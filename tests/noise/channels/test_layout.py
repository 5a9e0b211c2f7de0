"""Where channels are, from the dims of a recording and from the table of its electrodes."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from sciml.io import open_recording
from sciml.noise.channels.layout import Layout
from sciml.noise.channels.positions import lattice_of


def channels(n: int, **table: Any) -> xr.DataArray:
    coords = {name: ("channel", np.asarray(values)) for name, values in table.items()}
    return xr.DataArray(np.zeros((4, n)), dims=("time", "channel"), coords=coords)


def test_a_staggered_probe_is_a_lattice_with_holes() -> None:
    row = np.arange(20)
    found = Layout.of(channels(40, rel_x=np.ravel([[16, 48], [0, 32]] * 10), rel_y=np.repeat(20.0 * row, 2)))
    assert found.is_grid
    assert found.dims == ("rel_x", "rel_y")
    assert found.shape == (4, 20)
    assert found.spacing == (16.0, 20.0)
    assert found.places[:4].tolist() == [[1, 0], [3, 0], [0, 1], [2, 1]]
    some = found.of_channels(np.array([2, 0]))
    assert some.places.tolist() == [[0, 1], [1, 0]]
    assert some.positions is not None
    assert some.positions.tolist() == [[0.0, 20.0], [16.0, 0.0]]


@pytest.mark.parametrize("angle", [0.0, 0.3])
def test_a_hexagonal_layout_is_a_lattice_unless_it_is_turned(angle: float) -> None:
    i, j = np.meshgrid(np.arange(6), np.arange(5))
    x, y = (i + 0.5 * (j % 2)).ravel(), np.sqrt(0.75) * j.ravel()
    turned = np.stack([np.cos(angle) * x - np.sin(angle) * y, np.sin(angle) * x + np.cos(angle) * y], axis=1)
    found = lattice_of(turned)
    if angle:
        assert found is None
        return
    assert found is not None
    assert np.allclose(found[0] * found[1], turned - turned.min(axis=0))


def test_random_and_repeated_positions_are_no_lattice_but_positions() -> None:
    random = np.random.default_rng(0).uniform(0, 100, (30, 3))
    found = Layout.of(channels(30, x=random[:, 0], y=random[:, 1], z=random[:, 2]))
    assert not found.is_grid
    assert found.positions is not None
    assert np.array_equal(found.positions, random)
    repeated = Layout.of(channels(4, rel_x=[0.0, 20.0, 0.0, 20.0], shank=[0, 0, 1, 1]))
    assert not repeated.is_grid
    assert repeated.groups is not None
    assert repeated.groups.tolist() == [0, 0, 1, 1]


def test_what_says_nothing_is_nothing() -> None:
    found = Layout.of(channels(3, x=[np.nan] * 3, y=[2.0] * 3, group=["a"] * 3, shank=[0, 1, 2]))
    assert found.positions is None
    assert found.groups is None
    assert not found.is_grid


def test_a_partly_known_probe_keeps_what_is_known() -> None:
    found = Layout.of(channels(3, x=[0.0, 10.0, np.nan], y=[1.0, 1.0, np.nan]))
    assert not found.is_grid
    assert found.positions is not None
    assert found.positions.shape == (3, 1)


def test_images_keep_their_dims() -> None:
    movie = xr.DataArray(np.zeros((3, 4, 5)), dims=("time", "y", "x"), coords={"x": 2.0 * np.arange(5)})
    found = Layout.of(movie)
    assert found.shape == (4, 5)
    assert found.is_grid
    assert found.positions is None


def test_tetrodes_of_a_file_are_groups(data_dir: Path) -> None:
    found = Layout.of(open_recording(data_dir / "nwb_openephys_tetrodes_rate.nwb", "acquisition/ElectricalSeries"))
    assert found.positions is None  # unknown in the file: NaN
    assert found.groups is not None
    assert np.bincount(found.groups).tolist() == [4, 4, 4, 4]
    assert found.grouped_by == "group_name"
