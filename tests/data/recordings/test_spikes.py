"""Events in bins: against a histogram, silent units kept, and what cannot be counted named."""

import numpy as np
import pytest

from sciml.data import count_events, root_of_counts
from sciml.data.recordings.spikes import silent_units
from sciml.errors import ConfigError, DataError


def test_counts_are_those_of_a_histogram():
    rng = np.random.default_rng(0)
    times = {"b": rng.uniform(3, 40, 300), "a": rng.uniform(0.5, 20, 100), "silent": np.array([])}
    counts = count_events(times, width=0.25)
    assert counts.dims == ("time", "unit")
    assert counts.unit.values.tolist() == ["b", "a", "silent"]
    edges = np.append(counts.time.values, counts.time.values[-1] + 0.25)
    for name, each in times.items():
        np.testing.assert_array_equal(counts.sel(unit=name).values, np.histogram(each, edges)[0])
    assert int(counts.sum()) == 400
    assert silent_units(counts) == ("silent",)
    assert counts.attrs["sampling_rate"] == 4.0


def test_the_root_of_poisson_counts_has_one_variance():
    """Its variance tends to a quarter; at rates of 9 and 25 it is .257 and .2526, known to .005 from 20000 draws."""
    rng = np.random.default_rng(0)
    for rate in (9, 25):
        times = np.repeat(np.arange(20000), rng.poisson(rate, 20000)) + 0.5
        rooted = root_of_counts(count_events({"u": times}, width=1.0))
        assert rooted.attrs["units"] == "sqrt(counts)"
        assert float(rooted.var()) == pytest.approx(0.25, abs=0.02)


@pytest.mark.parametrize(
    ("events", "width", "text"),
    [
        ({}, 0.1, "at least one unit, got none"),
        ({"a": [], "b": []}, 0.1, "at least one of 2 units, got none"),
        ({"a": [1.0, np.nan]}, 0.1, "finite times of unit 'a'"),
        ({"a": [0.0, 1e12]}, 0.1, "choose wider bins"),
    ],
)
def test_what_cannot_be_counted_is_refused(events, width, text):
    with pytest.raises(DataError, match=text):
        count_events(events, width=width)


def test_bins_have_a_width():
    with pytest.raises(ConfigError, match=r"data.bin"):
        count_events({"a": [1.0]}, width=0.0)
