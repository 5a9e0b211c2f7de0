"""Recordings end to end: gaps between them, masks and events of each kept, and what belongs to what known."""

import numpy as np
import pytest
import xarray as xr

from sciml.data import Piece, end_to_end, sliding_windows
from sciml.errors import DataError


def wave(n=40, rate=10.0, start=0.0, seed=0, **coords):
    values = np.random.default_rng(seed).normal(size=(n, 2))
    known = {"channel": ["A", "B"], "time": start + np.arange(n) / rate, **coords}
    return xr.DataArray(
        values, dims=("time", "channel"), coords=known, attrs={"sampling_rate": rate, "units": "V", "sha256": str(seed)}
    )


def trials(starts, **columns):
    table = {"start_time": starts, "stop_time": np.asarray(starts) + 1.0, **columns}
    return xr.Dataset({name: ("event", np.asarray(values)) for name, values in table.items()})


def test_no_window_straddles_two_pieces_and_each_knows_its_own():
    pieces = [Piece(f"{k}.nwb", wave(seed=k, start=100.0 * k), {"file": str(k)}) for k in range(3)]
    whole, events, spans = end_to_end(pieces)
    assert events is None
    np.testing.assert_array_equal(whole.values, np.concatenate([piece.recording.values for piece in pieces]))
    windows = sliding_windows(whole, length=1.0, step=0.1)
    units = spans.of(windows.starts)["file"]
    assert units.tolist() == [str(k) for k in range(3) for _ in range(31)]
    own = windows.times - spans.shifts[spans.piece(windows.starts)]
    np.testing.assert_allclose(own[:31], np.arange(31) / 10, atol=1e-9)
    np.testing.assert_allclose(own[31:62], 100 + np.arange(31) / 10, atol=1e-9)
    assert whole.attrs["sha256"] == "0 1 2"
    assert len(set(spans.digests)) == 3


def test_one_piece_stays_as_it_is():
    one = wave()
    assert end_to_end([Piece("a", one)])[0] is one


def test_events_move_with_their_piece_and_keep_the_columns_that_all_have():
    first = Piece("a", wave(), events=trials([0.5, 1.5], kind=["x", "y"], extra=[1, 2]))
    second = Piece("b", wave(start=50.0), events=trials([50.5], kind=["z"]))
    _, events, spans = end_to_end([first, second])
    assert events is not None
    np.testing.assert_allclose(events["start_time"].values, [0.5, 1.5, 50.5 + spans.shifts[1]])
    assert events["kind"].values.tolist() == ["x", "y", "z"]
    assert "extra" not in events


@pytest.mark.parametrize("turned", [False, True])
def test_a_mask_that_one_piece_has_masks_nothing_of_the_others(turned):
    rows, values = np.arange(40) < 3, np.zeros((40, 2), np.bool_)
    values[5, 1] = True
    plain, by_row, by_value = (
        wave(), wave(mask=("time", rows)), wave(mask=(("time", "channel"), values)))  # fmt: skip
    pair = [plain, by_row][:: -1 if turned else 1]
    whole, _, _ = end_to_end([Piece("a", pair[0]), Piece("b", pair[1])])
    assert whole["mask"].dims == ("time",)
    assert int(whole["mask"].sum()) == 3
    whole, _, _ = end_to_end([Piece("a", by_row), Piece("b", by_value), Piece("c", plain)])
    assert whole["mask"].transpose("time", "channel").values.sum() == 7
    assert "quality" not in end_to_end([Piece("a", plain), Piece("b", wave(quality=("time", rows)))])[0].coords


def test_rates_that_differ_by_jitter_go_together_and_others_do_not():
    end_to_end([Piece("a", wave()), Piece("b", wave(rate=10.004))])
    with pytest.raises(DataError, match=r"b: expected a sampling rate \[Hz\] of 10.0, as a has, got 10.1"):
        end_to_end([Piece("a", wave()), Piece("b", wave(rate=10.1))])
    with pytest.raises(DataError, match="expected units of V"):
        end_to_end([Piece("a", wave()), Piece("b", wave().assign_attrs(units="mV"))])
