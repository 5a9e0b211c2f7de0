"""Channels agree by name: another order is reordered and said, another set is refused, duplicates are named."""

import numpy as np
import pytest
import xarray as xr

from sciml.data import Preprocess, agree, channel_names, sliding_windows
from sciml.errors import DataError


def recording(names=("A", "B", "C"), seed=0, **coords):
    values = np.random.default_rng(seed).normal(size=(40, len(names)))
    named = {"channel": [*names]} if all(names) else {}
    return xr.DataArray(
        values, dims=("time", "channel"), coords=named | coords, attrs={"sampling_rate": 10.0, "units": "V"}
    )


def test_another_order_is_reordered_and_said():
    one, two = recording(), recording(("C", "A", "B"), seed=1)
    (first, second), notes = agree([one, two], ["a.h5", "b.h5"])
    assert first is one
    np.testing.assert_array_equal(second.values, two.values[:, [1, 2, 0]])
    assert notes == ["b.h5: 3 channels were brought by their names into the order of a.h5"]
    same, silent = agree([one, recording(seed=2)], ["a.h5", "b.h5"])
    assert silent == []
    assert same[1].channel.values.tolist() == ["A", "B", "C"]


def test_another_set_is_refused_naming_the_difference_unless_common():
    one, two = recording(("A", "B", "C")), recording(("D", "C", "A"))
    with pytest.raises(DataError, match=r"b\.h5: .*has no B and has besides D; set data\.channels = 'common'"):
        agree([one, two], ["a.h5", "b.h5"])
    (first, second), notes = agree([one, two], ["a.h5", "b.h5"], how="common")
    assert first.channel.values.tolist() == second.channel.values.tolist() == ["A", "C"]
    np.testing.assert_array_equal(second.values, two.values[:, [2, 1]])
    assert notes[:2] == [
        "a.h5: 1 of 3 channels are not in all files, left out: B",
        "b.h5: 1 of 3 channels are not in all files, left out: D",
    ]
    with pytest.raises(DataError, match="none in common"):
        agree([one, recording(("X", "Y"))], ["a.h5", "b.h5"], how="common")


@pytest.mark.parametrize("how", ["name", "common"])
def test_duplicate_names_are_named(how):
    with pytest.raises(DataError, match=r"b\.h5: expected a name of its own for each channel, got 'A' twice"):
        agree([recording(), recording(("A", "B", "A"))], ["a.h5", "b.h5"], how=how)
    agree([recording(), recording(("A", "B", "A"))], ["a.h5", "b.h5"], how="position")


def test_a_file_without_names_does_not_go_with_one_that_has_some():
    nameless = recording(("", "", ""))
    with pytest.raises(DataError, match=r"b\.h5: expected channels with names, as a\.h5 has .*--assume-channels"):
        agree([recording(), nameless], ["a.h5", "b.h5"])
    found, notes = agree([recording(), nameless], ["a.h5", "b.h5"], how="position")
    assert found[1] is nameless
    assert notes == []
    with pytest.raises(DataError, match=r"expected channels of \(3,\)"):
        agree([nameless, recording(("", ""))], ["a.h5", "b.h5"])


def test_numbers_of_electrodes_give_way_to_a_column_of_names():
    plain = recording().assign_coords(channel=[0, 1, 2])
    assert channel_names(plain) == ("0", "1", "2")
    assert channel_names(plain.assign_coords(channel_name=("channel", ["x", "y", "z"]))) == ("x", "y", "z")
    assert channel_names(plain.assign_coords(channel_name=("channel", ["x", "x", "z"]))) == ("0", "1", "2")
    assert channel_names(recording().assign_coords(label=("channel", ["x", "y", "z"]))) == ("A", "B", "C")
    assert channel_names(plain.drop_vars("channel")) == ()


def fitted():
    return Preprocess.fit(sliding_windows(recording(), length=1.0, step=1.0), np.arange(4))


def test_a_net_that_knows_names_refuses_a_recording_without_unless_it_is_assumed():
    nameless = recording(("", "", ""))
    with pytest.raises(DataError, match=r"expected channels with names, as in training .*--assume-channels"):
        fitted().check(nameless)
    fitted().check(nameless, assume_channels=True)
    assert fitted().fit_to(nameless, assume_channels=True) is nameless
    with pytest.raises(DataError, match="expected 3 channels as in training, got 2"):
        fitted().check(recording(("", "")), assume_channels=True)


def test_what_does_not_fit_a_net_is_named_and_what_can_be_is_reordered():
    turned, more, less = recording(("C", "B", "A")), recording(("A", "X", "B", "C")), recording(("A", "B", "X"))
    with pytest.raises(DataError, match=r"channel 'A' as in training, got 'C': .* another order; --reorder"):
        fitted().check(turned)
    with pytest.raises(DataError, match=r"got 4, 1 of them besides \(X\); --reorder picks"):
        fitted().check(more)
    for each in (turned, more):
        found = fitted().fit_to(each)
        assert found.channel.values.tolist() == ["A", "B", "C"]
        np.testing.assert_array_equal(found.values, each.sel(channel=["A", "B", "C"]).values)
    for apply in (fitted().check, fitted().fit_to):
        with pytest.raises(DataError, match=r"1 are not there \(C\)"):
            apply(less)
    with pytest.raises(DataError, match="'A' twice"):
        fitted().fit_to(recording(("A", "B", "C", "A")))


def test_a_net_of_nameless_channels_takes_any_names():
    nameless = recording(("", "", ""))
    net = Preprocess.fit(sliding_windows(nameless, length=1.0, step=1.0), np.arange(4))
    net.check(recording())
