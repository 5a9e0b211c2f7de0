"""Every net through the loop: resumed to the bit, and within its largest norms."""

import numpy as np
import pytest
import torch

from sciml.train import Callback, FitData, TrainConfig, fit
from tests.nn.small import SMALL, small

torch.set_num_threads(1)
STOPPED_AT = 5


class Stop(Callback):
    """An end in the middle of a pass, after the step but before its checkpoint."""

    def on_step_end(self, state):
        if state.step == STOPPED_AT:
            raise ConnectionError


def parts():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(41, 3, 20)).astype(np.float32)
    y = rng.integers(0, 4, 41)
    return FitData((X[:33], y[:33]), (X[33:], y[33:]))


def weights(result):
    return {key: value.clone() for key, value in result.model.state_dict().items()}


@pytest.mark.parametrize("name", list(SMALL))
def test_a_net_that_was_stopped_goes_on_with_the_same_bits(name, tmp_path):
    config = TrainConfig(epochs=3, batch_size=8, lr=0.05, device="cpu", checkpoint_every=2, patience=None)
    whole = fit(small(name), parts(), config, run_dir=tmp_path / "whole")
    with pytest.raises(ConnectionError):
        fit(small(name), parts(), config, [Stop()], run_dir=tmp_path / "run")
    resumed = fit(small(name, seed=1), parts(), config, run_dir=tmp_path / "run", resume=True)
    assert resumed.resumed_from == 4
    expected, found = weights(whole), weights(resumed)
    assert all(torch.equal(found[key], value) for key, value in expected.items())
    limits = getattr(resumed.model, "max_norms", {})
    reached = [float(found[f"{key}.weight"].flatten(1).norm(dim=1).max()) / limit for key, limit in limits.items()]
    assert all(each <= 1 + 1e-5 for each in reached)  # in float32 the norm of n terms is known to n eps
    assert not reached or max(reached) > 0.99
