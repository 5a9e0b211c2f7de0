"""What a table tells of events: classes, numbers, weights; what is missing, rare or of the wrong kind."""

from typing import Any

import numpy as np
import pytest
import xarray as xr

from sciml.data import Windows, windows_around
from sciml.errors import DataError


def cut(columns: dict[str, Any], **settings: Any) -> Windows:
    wave = xr.DataArray(np.zeros((100, 2)), dims=("time", "channel"), attrs={"sampling_rate": 10.0})
    table = {"start_time": 0.5 + np.arange(9.0), **columns}
    events = xr.Dataset({name: ("event", np.asarray(values)) for name, values in table.items()})
    return windows_around(wave, events, **{"label": "x", "before": 0.2, "length": 0.5, **settings})


def test_numbers_are_told_as_they_are() -> None:
    angle = [0.5, 1.5, np.nan, 2.5, 3.0, np.inf, 4.0, 4.5, 5.0]
    found = cut({"x": angle, "y": np.arange(9)}, label=("x", "y"), numbers=True)
    assert found.labels is None
    assert found.target_names == ("x", "y")
    np.testing.assert_array_equal(found.targets, [[angle[k], k] for k in (0, 1, 3, 4, 6, 7, 8)])
    assert found.dropped == {"label missing": 2}
    _, y = found.arrays([1])
    np.testing.assert_array_equal(y, [[1.5, 1.0]])


def test_numbers_that_do_not_vary_and_texts_are_refused() -> None:
    with pytest.raises(DataError, match="expected numbers that vary in column 'x', got one and the same in all 9"):
        cut({"x": np.ones(9)}, numbers=True)
    with pytest.raises(
        DataError, match=r"expected numbers in column 'x', got values of dtype <U1.* or task = 'classify'"
    ):
        cut({"x": list("abcabcabc")}, numbers=True)
    with pytest.raises(
        DataError, match=r"expected classes .* in column 'x', got numbers such as 0.5; .*task = 'regress'"
    ):
        cut({"x": np.arange(9) + 0.5})


def test_rare_classes_are_left_out_by_name() -> None:
    classes = list("aaaabbbcd")
    with pytest.raises(DataError, match=r"got a: 4, b: 3, c: 1, d: 1; .*labels_min"):
        cut({"x": classes})
    found = cut({"x": classes}, least=3)
    assert found.classes == ("a", "b")
    assert found.dropped == {
        "class c, of which there are fewer than 3": 1,
        "class d, of which there are fewer than 3": 1,
    }
    with pytest.raises(DataError, match="at least two classes"):
        cut({"x": classes}, least=4)


def test_weights_go_with_their_windows() -> None:
    weights = [1.0, 2.0, np.nan, 0.0, 1.0, 1.0, 1.0, 1.0, 3.0]
    found = cut({"x": list("ababababa"), "w": weights}, weight="w")
    np.testing.assert_array_equal(found.weights, [1, 2, 0, 1, 1, 1, 1, 3])
    assert found.dropped == {"weight missing": 1}
    assert np.asarray(found.chosen([1, 7]).weights).tolist() == [2, 3]


@pytest.mark.parametrize("weights", [[-1.0] + [1.0] * 8, np.zeros(9)])
def test_weights_below_zero_or_all_zero_are_refused(weights) -> None:
    with pytest.raises(DataError, match="expected weights of at least 0, some above, in column 'w'"):
        cut({"x": list("ababababa"), "w": weights}, weight="w")


def test_trials_are_cropped_to_the_shortest_of_those_that_are_kept() -> None:
    """An event without a label, shorter than the others, decides nothing."""
    stops = 0.5 + np.arange(9.0) + np.array([0.8, 0.1, *[0.8] * 7])
    found = cut({"x": [*"a", "", *"ababab", "b"], "stop_time": stops}, length="crop", before=0.0)
    assert (found.length, found.lengths) == (8, None)
    assert found.dropped == {"label missing": 1}
