"""Spectra through training: the budget is kept, training is not changed, a resumed run goes on with its track."""

import itertools

import numpy as np
import pytest
import torch
from torch import nn

from sciml.errors import ConfigError
from sciml.spectra import hessian
from sciml.spectra.tracking import Hessian, SpectrumTrack, SpectrumTracker, Weights
from sciml.spectra.tracking.track import Row
from sciml.train import FitData, TrainConfig, fit


class Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


class Sum:
    """The sum of the weights, at a cost."""

    name = "sum"

    def __init__(self, clock, cost, guess=None):
        self.clock, self.seconds, self.guess = clock, cost, cost if guess is None else guess
        self.n = 0

    def cost(self, model):
        return self.guess

    def measure(self, model):
        self.clock.now += self.seconds
        self.n += 1
        total = sum(float(each.detach().sum()) for each in model.parameters())
        return {"total": ((), np.array(total), {})}


class Tick:
    """A callback before the tracker's, that lets a step take a second."""

    def __init__(self, clock):
        self.clock = clock

    def on_step_end(self, state):
        self.clock.now += 1.0


class Memory:
    def __init__(self):
        self.kept = SpectrumTrack()

    def read(self):
        return self.kept

    def write(self, track):
        self.kept = track


def data():
    generator = torch.Generator().manual_seed(0)
    X = torch.randn(32, 2, 4, generator=generator)
    return FitData((X, (X.mean(dim=(1, 2)) > 0).long()), (X[:8], (X[:8].mean(dim=(1, 2)) > 0).long()))


def net():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(nn.Flatten(), nn.Linear(8, 6), nn.ReLU(), nn.Dropout(0.3), nn.Linear(6, 2))


def config(**changes):
    return TrainConfig(**{"epochs": 5, "batch_size": 4, "patience": None, "device": "cpu", **changes})


def trained(callbacks, **changes):
    model = net()
    fit(model, data(), config(**changes), callbacks)
    return model


@pytest.mark.parametrize("cost", [0.05, 0.3, 1.0, 100.0])
@pytest.mark.parametrize("budget", [0.05, 0.2])
def test_the_budget_is_kept(cost, budget):
    clock = Clock()
    measure = Sum(clock, cost)
    tracker = SpectrumTracker([measure], every=1, budget=budget, clock=clock)
    trained([Tick(clock), tracker])
    training = clock.now - tracker.seconds
    assert tracker.seconds <= budget * training
    assert tracker.seconds == pytest.approx(measure.n * cost)
    if cost < budget * training / 4:
        assert 0 in tracker.track.steps  # the start is made up for


def test_a_guess_that_was_too_low_is_made_up_for():
    clock = Clock()
    tracker = SpectrumTracker([Sum(clock, 1.0, guess=0.0)], every=1, budget=0.1, clock=clock)
    trained([Tick(clock), tracker])
    # the first measurement went over: nothing more until training has taken ten times as long
    assert all(later - earlier >= 10 for earlier, later in itertools.pairwise(tracker.track.steps[1:]))
    assert tracker.n_skipped > 20


def test_training_is_not_changed():
    clock = Clock()
    tracker = SpectrumTracker(["weights", Sum(clock, 0.0)], every=3, budget=1.0)
    with_it, without = trained([tracker]).state_dict(), trained([]).state_dict()
    assert all(torch.equal(with_it[name], without[name]) for name in without)


def test_the_start_is_measured_as_it_was():
    clock = Clock()
    tracker = SpectrumTracker([Sum(clock, 0.5)], every=7, budget=0.05, clock=clock)
    trained([Tick(clock), tracker])
    steps, totals = tracker.track.series("total")
    expected = sum(float(each.detach().sum()) for each in net().parameters())
    assert steps[0] == 0
    assert totals[0] == pytest.approx(expected, rel=1e-6)
    assert totals[-1] != pytest.approx(expected, rel=1e-3)


def test_the_hessian_is_followed_from_where_the_last_search_ended():
    X, y = data().train
    batches = [(X[:16], y[:16]), (X[16:], y[16:])]
    measure, clock = Hessian(nn.CrossEntropyLoss(), batches, k=2), Clock()
    tracker = SpectrumTracker([measure], every=10, budget=1.0, clock=clock)
    model = trained([Tick(clock), tracker])
    steps, values = tracker.track.series("hessian_eigenvalue")
    assert steps.tolist() == [0, 10, 20, 30, 40]
    exact = np.linalg.eigvalsh(hessian(model, nn.CrossEntropyLoss(), batches).to_dense().double().numpy())
    assert values[-1, 0] == pytest.approx(exact[np.argmax(np.abs(exact))], rel=2e-2)


def test_a_resumed_run_goes_on_with_the_track_up_to_its_step(tmp_path):
    class Stop:
        def on_step_end(self, state):
            if state.step == 20:
                raise KeyboardInterrupt

    def go_on(store, folder, *more, **how):
        clock = Clock()
        tracker = SpectrumTracker(["weights"], every=8, budget=1.0, store=store, clock=clock)
        settings = config(epochs=5, checkpoint_every=10)
        fit(net(), data(), settings, [Tick(clock), tracker, *more], run_dir=tmp_path / folder, **how)
        return store.kept

    whole, store = go_on(Memory(), "a"), Memory()
    with pytest.raises(KeyboardInterrupt):
        go_on(store, "b", Stop())
    store.kept = store.kept.with_row(Row(39, {"total": ((), np.array(0.0), {})}))  # later than the checkpoint
    resumed = go_on(store, "b", resume=True)
    assert resumed.steps == whole.steps == [0, 8, 16, 24, 32, 40]
    one, two = whole.variables(), resumed.variables()
    assert one.keys() == two.keys()
    assert np.array_equal(one["singular_value"][1], two["singular_value"][1], equal_nan=True)


def test_a_track_is_what_its_variables_say():
    rows = [
        Row(0, {"layer": (("layer",), np.array(["a", "b"]), {}), "rank": (("layer",), np.array([1.0, np.nan]), {})}),
        Row(
            5,
            {
                "rank": (("layer",), np.array([2.0, 0.0]), {}),
                "sharpness": (("index",), np.array([3.0]), {"units": "1"}),
            },
        ),
    ]
    track = SpectrumTrack(tuple(rows))
    found = track.variables()
    assert found["rank"][0] == ("step", "layer")
    assert found["sharpness"][1].shape == (2, 1)
    assert np.isnan(found["sharpness"][1][0, 0])
    again = SpectrumTrack.from_variables(found)
    assert again.steps == [0, 5]
    assert again.series("sharpness")[1].tolist() == [[3.0]]
    assert again.to_dict()["rank"]["values"] == [[1.0, None], [2.0, 0.0]]
    assert "2 steps from 0 to 5" in track.summary()


@pytest.mark.parametrize(
    "options", [{"what": []}, {"every": 0}, {"budget": 0.0}, {"budget": 2.0}, {"what": ["nothing"]}], ids=str
)
def test_bad_settings_are_refused(options):
    with pytest.raises(ConfigError, match="expected"):
        SpectrumTracker(**options)


def test_layer_that_is_no_longer_finite_keeps_its_row():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(20, 30), nn.Linear(30, 25))
    before = Weights().measure(net)
    with torch.no_grad():
        net.get_parameter("0.weight")[0, 0] = float("nan")
    after = Weights().measure(net)
    assert before["layer"][1].tolist() == after["layer"][1].tolist() == ["0", "1"]
    assert np.isnan(after["singular_value"][1][0]).all()
    assert np.isnan(after["sigma"][1][0])
    assert after["singular_value"][1][1] == pytest.approx(
        before["singular_value"][1][1][: len(after["singular_value"][1][1])]
    )
