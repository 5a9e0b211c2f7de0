"""Clocks with gaps and large origins, zero points of channels, and tables stored row after row."""

import pickle
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import xarray as xr

from sciml.io import Limits
from sciml.io.arrays import Scale, Stored, lazy
from sciml.io.hdf5.tree import Node, Tree, open_tree
from sciml.io.schema.clock import Rate, RegularSegments, Span, Timestamps, segmented, time_axis_of


def _node(tree: Tree, path: str) -> Node:
    node = tree.get(path)
    assert node is not None
    return node


def _stored(path: Path, values: np.ndarray, **arguments: Any) -> Stored:
    with h5py.File(path, "w") as file:
        file["values"] = values
    with open_tree(path) as tree:
        return Stored(_node(tree, "values").source(), **arguments)


def test_runs_of_samples_become_one_clock_with_gaps() -> None:
    clock = segmented(10.0, [0, 3, 5], [1.0, 1.3, 9.0])
    assert clock == RegularSegments(10.0, (0, 5), (1.0, 9.0))
    times = time_axis_of(clock, 7)
    np.testing.assert_allclose(times.variable.values, [1.0, 1.1, 1.2, 1.3, 1.4, 9.0, 9.1])
    assert times.rate is None
    assert times.notes == ("the clock has 1 gap",)
    span = clock.span(7)
    assert (span.rate, span.start) == (10.0, 1.0)
    assert span.duration == pytest.approx(8.2)


def test_a_clock_of_complex_numbers_is_refused_in_words(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["times"] = np.array([1j, 2j])
    with open_tree(tmp_path / "a.h5") as tree:
        clock = Timestamps(_node(tree, "times"))
        assert "holds complex numbers; expected times" in str(clock.problem(2))
        assert clock.span(2) == Span()


def test_a_long_clock_with_gaps_is_computed_where_it_is_read() -> None:
    times = time_axis_of(RegularSegments(1.0, (0, 10), (0.0, 100.0)), 2**23).variable
    np.testing.assert_allclose(times[[9, 10, 2**23 - 1]].values, [9.0, 100.0, 100.0 + 2**23 - 11])


@pytest.mark.parametrize(
    ("clock", "reason"),
    [
        (RegularSegments(0.0, (0,), (0.0,)), "sampling rate"),
        (RegularSegments(1.0, (0, 9), (0.0, 1.0)), "rise from 0"),
        (RegularSegments(1.0, (1,), (0.0,)), "rise from 0"),
        (RegularSegments(1.0, (0,), (float("nan"),)), "start at"),
    ],
)
def test_an_impossible_clock_says_why(clock: RegularSegments, reason: str) -> None:
    assert reason in str(clock.problem(5))
    assert clock.span(5) == Span()


def test_one_run_is_a_regular_clock() -> None:
    assert segmented(10.0, [0, 5], [1.0, 1.5]) == Rate(10.0, 1.0)


def test_integer_stamps_keep_their_steps_beyond_53_bits(tmp_path: Path) -> None:
    origin = 1_700_000_000 * 10**9
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["stamps"] = origin + np.arange(5) * 3
    with open_tree(tmp_path / "a.h5") as tree:
        clock = Timestamps(_node(tree, "stamps"), 1e-9, origin)
        np.testing.assert_allclose(clock.read(), np.arange(5) * 3e-9, rtol=1e-12)


def test_each_channel_has_its_zero(tmp_path: Path) -> None:
    counts = np.arange(12, dtype=np.uint16).reshape(3, 4)
    scale = Scale(0.5, per_channel=(1.0, 2.0, 3.0), axis=0, zero=(5, 0, 100))
    stored = _stored(tmp_path / "a.h5", counts, scale=scale, order=(1, 0))
    expected = (counts.astype(int) - np.array([5, 0, 100])[:, None]) * 0.5 * np.array([1, 2, 3])[:, None]
    array = xr.DataArray(lazy(stored), dims=("time", "channel"))
    np.testing.assert_array_equal(array.values, expected.T)
    np.testing.assert_array_equal(array[2].values, expected.T[2])
    np.testing.assert_array_equal(array[1:3, 2].values, expected.T[1:3, 2])
    np.testing.assert_array_equal(array[:, [2, 0]].values, expected.T[:, [2, 0]])
    assert "stored - (5, 0, 100)" in scale.formula


def test_rows_stored_one_after_the_other_read_as_a_table(tmp_path: Path) -> None:
    table = np.arange(200 * 3).reshape(200, 3)
    stored = _stored(tmp_path / "a.h5", table.ravel())
    stored = Stored(stored.source.folded(3))
    array = xr.DataArray(lazy(pickle.loads(pickle.dumps(stored))), dims=("time", "channel"))  # noqa: S301
    for key in (
        (slice(None), slice(None)),
        (slice(3, 50, 7), 1),
        (4, slice(None)),
        (4, [0, 2]),
        ([1, 5, 199], slice(1, 3)),
        (slice(4, 4), 0),
        (slice(9, 2, -3), [2, 0]),
        (5, 2),
    ):
        np.testing.assert_array_equal(array[key].values, table[key])


def test_the_budget_counts_the_rows_that_must_be_read(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["values"] = np.arange(3000)
    with open_tree(tmp_path / "a.h5", Limits(read_bytes=8000)) as tree:
        stored = Stored(_node(tree, "values").source().folded(3))
    with pytest.raises(ValueError, match="exceeds the limit"):
        xr.DataArray(lazy(stored), dims=("time", "channel"))[:, 0].values.sum()


def test_runs_that_begin_before_the_last_one_ended_are_odd() -> None:
    assert RegularSegments(10.0, (0, 5), (0.0, 0.9)).oddity(10) is None
    found = RegularSegments(10.0, (0, 5), (0.0, 0.1)).oddity(10)
    assert found is not None
    assert found.code == "clock_order"
