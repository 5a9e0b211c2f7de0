"""Preprocessing makes no components: the floor of preprocessed noise stays calibrated."""

import warnings

import numpy as np
import pytest

import sciml
from sciml.noise import noise_floor

PREPROCESSED = {
    "average": lambda r: r.sciml.rereference(),
    "median": lambda r: r.sciml.rereference("median"),
    "groups": lambda r: r.assign_coords(g=("channel", np.arange(16) // 8)).sciml.rereference("median", by="g"),
    "narrow band": lambda r: r.sciml.bandpass(1, 40),
    "reference, band, notch": lambda r: r.sciml.rereference().sciml.notch(50).sciml.bandpass(5, 200),
}


@pytest.mark.parametrize("name", PREPROCESSED)
def test_the_floor_of_preprocessed_noise_has_no_components(name) -> None:
    """At alpha = 0.05 more than 3 of 12 come by chance in 2 of 1000 runs; `bench_preprocessing` draws 200."""
    found = 0
    for seed in range(12):
        noise = sciml.from_numpy(np.random.default_rng(seed).normal(size=(2000, 16)), 1000.0)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found += noise_floor(PREPROCESSED[name](noise)).rank > 0
    assert found <= 3


@pytest.mark.parametrize("name", PREPROCESSED)
def test_a_component_is_still_found(name) -> None:
    rng = np.random.default_rng(7)
    shared = rng.normal(size=(3000, 1)) @ rng.normal(size=(1, 16))
    floor = noise_floor(PREPROCESSED[name](sciml.from_numpy(shared + rng.normal(size=(3000, 16)), 1000.0)))
    assert floor.rank == 1


def test_a_group_that_the_recording_no_longer_names_is_not_asked_for() -> None:
    noise = sciml.from_numpy(np.random.default_rng(0).normal(size=(2000, 16)), 1000.0)
    grouped = noise.assign_coords(g=("channel", np.arange(16) // 8)).sciml.rereference(by="g")
    assert noise_floor(grouped).n_null == 2
    assert noise_floor(grouped.drop_vars("g")).n_null == 2  # found in the values themselves
