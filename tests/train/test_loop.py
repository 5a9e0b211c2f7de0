"""The loop: it learns what can be learned, stops when it should, leaves no trace, and says what went wrong."""

import errno
import os
import signal
import threading
from typing import Any

import numpy as np
import pytest
import scipy.stats
import torch
from torch import nn

from sciml.data import Preprocess
from sciml.errors import (
    CheckpointError,
    ConfigError,
    DataError,
    DivergedError,
    InterruptedRunError,
    ScimlWarning,
    StorageError,
)
from sciml.train import FitData, TrainConfig, checkpoint, fit
from sciml.train.reading import as_batches, batch_order
from sciml.train.steps import make_schedule

torch.set_num_threads(1)


def net(n_channels=1, n_times=8, n_outputs=2, seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Flatten(), nn.Linear(n_channels * n_times, n_outputs))


def labeled(n, *, seed=0, n_times=8):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 1, n_times)).astype(np.float32)
    return X, (X.mean(axis=(1, 2)) + 0.1 * rng.normal(size=n) > 0).astype(np.int64)


def quick(**changes):
    return TrainConfig(
        **{"epochs": 4, "batch_size": 16, "lr": 0.05, "label_smoothing": 0.0, "device": "cpu", **changes}
    )


def weight(result):
    """The weight of the linear layer of a trained `net`."""
    trained: Any = result.model
    return trained[1].weight


def data(n=64, m=32):
    return FitData(labeled(n), labeled(m, seed=1))


# ---- what can be learned


def waveform(n, *, rho, seed, n_times=32):
    """A known waveform of either sign in white noise: distance of the means over sigma is rho."""
    rng = np.random.default_rng(seed)
    shape = np.sin(np.linspace(0, 4 * np.pi, n_times)) * np.hanning(n_times)
    shape *= rho / 2 / np.linalg.norm(shape)
    y = rng.integers(0, 2, n)
    X = rng.normal(size=(n, 1, n_times)) + (2 * y - 1)[:, None, None] * shape
    return X.astype(np.float32), y


def test_a_known_waveform_is_found_as_well_as_can_be_and_not_better():
    """Optimum: accuracy Phi(rho/2). Above it by three standard errors is leakage; a small net comes near."""
    rho, n_test = 2.0, 8000
    model = nn.Sequential(nn.Conv1d(1, 4, 9, padding=4), nn.ReLU(), nn.AvgPool1d(2), nn.Flatten(), nn.LazyLinear(2))
    parts = FitData(waveform(4000, rho=rho, seed=0), waveform(1000, rho=rho, seed=1))
    result = fit(model, parts, quick(epochs=10, batch_size=64, lr=0.01))
    X, y = waveform(n_test, rho=rho, seed=2)
    with torch.no_grad():
        accuracy = float((result.model(torch.from_numpy(X)).argmax(dim=1).numpy() == y).mean())
    best = scipy.stats.norm.cdf(rho / 2)
    error = np.sqrt(best * (1 - best) / n_test)
    assert best - 0.03 < accuracy < best + 3 * error


def test_permuted_labels_stay_in_the_chance_band():
    """Chance canary: the band is two-sided at 1e-4."""
    rng = np.random.default_rng(4)
    X, y = waveform(900, rho=3.0, seed=5)
    y = rng.permutation(y)
    result = fit(net(n_times=32), FitData((X[:300], y[:300]), (X[300:500], y[300:500])), quick(epochs=5))
    with torch.no_grad():
        right = int((result.model(torch.from_numpy(X[500:])).argmax(dim=1).numpy() == y[500:]).sum())
    assert scipy.stats.binomtest(right, 400, 0.5).pvalue > 1e-4


def test_a_linear_forecast_reaches_least_squares():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(400, 2, 4)).astype(np.float32)
    W = rng.normal(size=(8, 6))
    y = (X.reshape(400, 8) @ W + 0.1 * rng.normal(size=(400, 6))).astype(np.float32).reshape(400, 2, 3)
    config = quick(loss="mse", epochs=60, lr=0.03, weight_decay=0.0, patience=None)
    result = fit(net(2, 4, 6), FitData((X[:300], y[:300]), (X[300:], y[300:])), config)
    flat = np.hstack([X.reshape(400, 8), np.ones((400, 1))])
    solution = np.linalg.lstsq(flat[:300], y[:300].reshape(300, 6), rcond=None)[0]
    exact = float(np.mean((flat[300:] @ solution - y[300:].reshape(100, 6)) ** 2))
    assert result.best_value == pytest.approx(exact, rel=0.05)
    assert result.history[-1].validation_accuracy is None


@pytest.mark.parametrize("changes", [{"optimizer": "sgd"}, {"precision": "bf16"}, {"schedule": "constant"}])
def test_each_setting_learns(changes):
    result = fit(net(), data(256, 128), quick(epochs=8, **changes))
    accuracy = result.history[-1].validation_accuracy
    assert accuracy is not None
    assert accuracy > 0.85


@pytest.mark.gpu
def test_a_gpu_gives_the_same_bits_twice(device):
    results = [fit(net(), data(), quick(device=device, precision="bf16")) for _ in range(2)]
    for a, b in zip(*(result.model.state_dict().values() for result in results), strict=True):
        assert torch.equal(a, b)


# ---- what is measured


def test_losses_are_means_over_windows_not_over_batches():
    """45 items in batches of 16 and a rest of 13; smoothing and rate zero: the loss is that of the first weights."""
    model = net()
    X, y = labeled(45)
    with torch.no_grad():
        logits = model(torch.from_numpy(X))
    weights = torch.tensor([0.2, 3.0])
    plain = nn.functional.cross_entropy(logits, torch.from_numpy(y)).item()
    weighted = nn.functional.cross_entropy(logits, torch.from_numpy(y), weights).item()
    for class_weights, expected in ((None, plain), ((0.2, 3.0), weighted)):
        result = fit(net(), FitData((X, y), (X, y)), quick(epochs=1, lr=0.0, class_weights=class_weights))
        record = result.history[0]
        assert record.train_loss == pytest.approx(expected, rel=1e-6)
        assert record.validation_loss == pytest.approx(expected, rel=1e-6)
        assert record.train_accuracy == record.validation_accuracy == float((logits.argmax(1).numpy() == y).mean())


def test_smoothing_enters_training_and_not_validation():
    X, y = (torch.from_numpy(array) for array in labeled(32))
    with torch.no_grad():
        plain, smooth = (nn.functional.cross_entropy(net()(X), y, label_smoothing=amount).item() for amount in (0, 0.3))
    result = fit(net(), FitData((X, y), (X, y)), quick(epochs=1, lr=0.0, label_smoothing=0.3))
    assert result.history[0].train_loss == pytest.approx(smooth, rel=1e-6)
    assert result.history[0].validation_loss == pytest.approx(plain, rel=1e-6)


def test_balanced_weights_make_classes_count_alike():
    X, y = labeled(100)
    keep = np.concatenate([np.flatnonzero(y == 0), np.flatnonzero(y == 1)[:5]])
    few = X[keep], y[keep]
    result = fit(net(), FitData(few, few), quick(epochs=1, lr=0.0, class_weights="balanced"))
    with torch.no_grad():
        losses = nn.functional.cross_entropy(
            net()(torch.from_numpy(few[0])), torch.from_numpy(few[1]), reduction="none"
        )
    by_class = [losses[few[1] == k].mean().item() for k in (0, 1)]
    assert result.history[0].validation_loss == pytest.approx(np.mean(by_class), rel=1e-5)


def test_the_model_comes_back_in_eval_mode_with_its_best_weights():
    model = nn.Sequential(nn.Flatten(), nn.BatchNorm1d(8), nn.Dropout(0.5), nn.Linear(8, 2))
    parts = data(32, 32)
    result = fit(model, parts, quick(epochs=12, lr=0.3, weight_decay=0.0, schedule="constant", patience=None))
    values = [record.validation_loss for record in result.history]
    assert result.best_value == min(values)
    assert result.best_epoch == int(np.argmin(values)) + 1 < 12
    assert not model.training
    with torch.no_grad():
        logits = model(torch.from_numpy(parts.validation[0]))
    loss = nn.functional.cross_entropy(logits, torch.from_numpy(parts.validation[1])).item()
    assert loss == pytest.approx(result.best_value, rel=1e-6)


def test_training_stops_when_the_validation_part_says_so():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(40, 1, 8)), rng.integers(0, 2, 40)
    result = fit(net(), FitData((X, y), (X[:20], 1 - y[:20])), quick(epochs=50, lr=0.1, patience=3))
    assert result.stopped_early
    assert result.epochs_run == result.best_epoch + 3


def test_accuracy_can_be_monitored():
    result = fit(net(), data(), quick(epochs=6, monitor="accuracy"))
    assert result.best_value == max(record.validation_accuracy or 0.0 for record in result.history)


def test_learning_rate_rises_and_falls_as_its_formula():
    schedule = make_schedule(TrainConfig(lr=2.0, warmup=0.1), total=100)
    rates = [schedule.rate(t) for t in range(100)]
    np.testing.assert_allclose(rates[:10], 2.0 * np.arange(1, 11) / 10)
    assert rates[10] == 2.0
    assert rates[55] == pytest.approx(1.0)
    assert 0 < rates[99] < 0.01
    assert make_schedule(TrainConfig(lr=2.0, schedule="constant"), total=100).rate(70) == 2.0


def test_gradients_are_clipped():
    result = fit(net(), data(), quick(epochs=1, optimizer="sgd", momentum=0.0, lr=1.0, warmup=0.0, clip_norm=1e-6))
    start = net()
    with torch.no_grad():
        moved = [float((a - b).norm()) for a, b in zip(start.parameters(), result.model.parameters(), strict=True)]
    # Four steps of at most 1e-6, plus the rounding of float32 weights; decay is the rest: lr * 1e-2 a step.
    decay = 4 * 1e-2 * float(start[1].weight.detach().norm())
    assert max(moved) <= decay + 4e-6 + 1e-5
    assert moved[1] <= 4e-6 + 1e-6
    assert result.history[0].gradient_norm > 1e-3


# ---- what is drawn


def test_every_item_comes_once_an_epoch_in_an_order_of_its_own():
    orders = [np.concatenate(batch_order(33, 8, seed=1, epoch=epoch)) for epoch in (0, 1)]
    assert [len(batch) for batch in batch_order(33, 8, seed=1, epoch=0)] == [8, 8, 8, 9]
    for order in orders:
        assert sorted(order.tolist()) == list(range(33))
    assert orders[0].tolist() != orders[1].tolist()
    assert [len(batch) for batch in batch_order(1, 8, seed=1, epoch=0)] == [1]


def test_the_seed_decides_and_the_callers_generators_do_not():
    def outcome(seed, state):
        torch.manual_seed(state)
        model = nn.Sequential(nn.Flatten(), nn.Dropout(0.5), nn.Linear(8, 2))
        model.load_state_dict({f"2.{name}": tensor for name, tensor in net()[1].state_dict().items()})
        trained: Any = fit(model, data(), quick(seed=seed)).model
        return trained[2].weight

    assert torch.equal(outcome(1, 0), outcome(1, 99))
    assert not torch.equal(outcome(1, 0), outcome(2, 0))


def _numpy_state():
    state: Any = np.random.get_state()  # noqa: NPY002 (the subject)
    return state[1].copy()


def test_the_callers_generators_and_settings_are_left_alone():
    model, parts = nn.Sequential(nn.Flatten(), nn.Dropout(0.5), nn.Linear(8, 2)), data()
    torch_state, numpy_state = torch.get_rng_state(), _numpy_state()
    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    fit(model, parts, quick())
    assert torch.equal(torch.get_rng_state(), torch_state)
    assert np.array_equal(_numpy_state(), numpy_state)
    assert not torch.are_deterministic_algorithms_enabled()
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == handlers


# ---- what stands in the way


def test_settings_that_cannot_be_are_refused():
    for changes, text in (
        ({"optimizer": "adam"}, "one of adamw, sgd, muon, got 'adam'"),
        ({"epochs": 0}, "epochs of at least 1"),
        ({"lr": -1.0}, r"lr in \[0, inf\)"),
        ({"lr": float("nan")}, "lr in"),
        ({"label_smoothing": 1.0}, "label_smoothing in"),
        ({"clip_norm": 0.0}, "clip_norm above 0"),
        ({"class_weights": "equal"}, "class_weights None, 'balanced', 'sampled'"),
        ({"device": "abacus"}, "device auto, cpu or cuda, got 'abacus'"),
    ):
        with pytest.raises(ConfigError, match=text):
            fit(net(), data(), quick(**changes))


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_refused():
    with pytest.raises(ConfigError, match="torch finds none"):
        fit(net(), data(), quick(device="cuda"))


def test_models_and_data_that_do_not_fit_are_refused_before_training():
    X, y = labeled(20)
    forecast = X.copy()
    for part, config, text in (
        ((X, y.astype(float)), quick(), "integer labels"),
        ((X, forecast), quick(loss="mse"), r"as many outputs as target values for mse, got \(1, 2\) and \(1, 1, 8\)"),
        ((X, y), quick(class_weights=(1.0,)), "expected 2 class_weights, one a class, got 1"),
        ((X, y + 1), quick(class_weights="balanced"), "every class in the training part"),
        ((X, y + 5), quick(), "labels below 2"),
    ):
        with pytest.raises(ConfigError, match=text):
            fit(net(), FitData(part, part), config)
    with pytest.raises(DataError, match="at least one item in the validation part"):
        fit(net(), FitData((X, y), (X[:0], y[:0])), quick())
    with pytest.raises(DataError, match="as many targets as inputs in the train part, got 19 and 20"):
        fit(net(), FitData((X, y[1:]), (X, y)), quick())
    with pytest.raises(ConfigError, match="none that requires a gradient"):
        fit(nn.Sequential(nn.Flatten(), nn.Identity()), FitData((X, y), (X, y)), quick())


def test_any_data_set_of_pairs_will_do():
    X, y = labeled(40)
    pairs = [(torch.from_numpy(a), int(b)) for a, b in zip(X, y, strict=True)]
    by_pairs = fit(net(), FitData(pairs, pairs), quick())
    by_arrays = fit(net(), FitData((X, y), (X, y)), quick())
    assert by_pairs.history == by_arrays.history


def test_divergence_names_step_epoch_rate_and_the_value_to_blame():
    X, y = labeled(40)
    X[23, 0, 3] = np.nan
    where = r"loss nan at step \d \(epoch 1, lr 0\.\d+\), batch of 8: the input holds 1 value that is not finite"
    with pytest.raises(DivergedError, match=f"{where}, the first in item 23, channel 0, sample 3"):
        fit(net(), FitData((X, y), labeled(20)), quick(epochs=2, batch_size=8))
    with pytest.raises(DivergedError, match=r"input is finite, its largest magnitude \d.*e\+30 in item .*; lower lr"):
        fit(net(), FitData((X[:20] * 1e30, np.ones((20, 1, 2))), (X[:20], np.ones((20, 1, 2)))), quick(loss="mse"))
    with pytest.raises(DivergedError, match="validation loss nan after step 2"):
        fit(net(), FitData(labeled(20), (X, y)), quick())


def test_too_large_a_batch_for_the_gpu_says_what_to_change(monkeypatch):
    def full(self, x):
        if self.training:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return x.flatten(1)[:, :2]

    monkeypatch.setattr(nn.Sequential, "forward", full)
    with pytest.raises(ConfigError, match=r"one item needs more memory than cpu has; use precision 'bf16'"):
        fit(net(), data(), quick())


# ---- callbacks


class Recorder:
    def __init__(self):
        self.calls = []

    def on_step_end(self, state):
        self.calls.append(("step", state.step))
        state.model.eval()  # what a callback may do: look at the model in eval mode, and draw numbers
        torch.rand(3)

    def on_epoch_end(self, state):
        self.calls.append(("epoch", state.epoch, state.history[-1].epoch, state.best_epoch))

    def on_fit_end(self, state):
        self.calls.append(("end", state.epoch))


def test_callbacks_see_each_step_and_epoch_and_change_nothing():
    recorder = Recorder()
    model = nn.Sequential(nn.Flatten(), nn.Dropout(0.5), nn.Linear(8, 2))
    other = nn.Sequential(nn.Flatten(), nn.Dropout(0.5), nn.Linear(8, 2))
    other.load_state_dict(model.state_dict())
    watched = fit(model, data(32, 16), quick(epochs=2), [recorder, object()])
    assert [call[:2] for call in recorder.calls] == [
        ("step", 1), ("step", 2), ("epoch", 1), ("step", 3), ("step", 4), ("epoch", 2), ("end", 2),
    ]  # fmt: skip
    assert watched.history == fit(other, data(32, 16), quick(epochs=2)).history


# ---- run directories


def test_a_run_is_not_overwritten(tmp_path):
    fit(net(), data(), quick(), run_dir=tmp_path)
    with pytest.raises(StorageError, match="holds the checkpoints of a run"):
        fit(net(), data(), quick(), run_dir=tmp_path)


def test_another_configuration_model_or_data_is_refused(tmp_path):
    fit(net(), data(), quick(), run_dir=tmp_path)
    with pytest.raises(CheckpointError, match=r"lr \(0.05, now 0.1\), seed \(0, now 1\)"):
        fit(net(), data(), quick(lr=0.1, seed=1), run_dir=tmp_path, resume=True)
    with pytest.raises(CheckpointError, match="made for another model"):
        fit(nn.Sequential(nn.Flatten(), nn.Sequential(nn.Linear(8, 2))), data(), quick(), run_dir=tmp_path, resume=True)
    with pytest.raises(CheckpointError, match="the data that"):
        fit(net(), data(63), quick(), run_dir=tmp_path, resume=True)
    result = fit(net(), data(), quick(keep=7, checkpoint_every=2), run_dir=tmp_path, resume=True)
    assert result.epochs_run == 4


def test_resuming_from_nowhere_is_an_error(tmp_path):
    with pytest.raises(CheckpointError, match="no such folder"):
        fit(net(), data(), quick(), run_dir=tmp_path / "typo", resume=True)
    with pytest.raises(CheckpointError, match="expected a run_dir"):
        fit(net(), data(), quick(), resume=True)


def test_a_damaged_newest_checkpoint_costs_only_the_steps_since_the_one_before(tmp_path):
    config = quick(keep=3, checkpoint_every=3)
    whole = fit(net(), data(), config, run_dir=tmp_path)
    newest = checkpoint.paths(tmp_path / "checkpoints")[0]
    content = bytearray(newest.read_bytes())
    content[len(content) // 2] ^= 4
    newest.write_bytes(bytes(content))
    with pytest.warns(ScimlWarning, match=r"00000016.pt is damaged.*trying the one before"):
        again = fit(net(seed=9), data(), config, run_dir=tmp_path, resume=True)
    assert again.resumed_from == 15
    assert again.history == whole.history
    assert torch.equal(weight(again), weight(whole))


def test_checkpoints_carry_what_a_prediction_needs(tmp_path):
    extra = {"preprocess": {"mean": torch.ones(2), "units": "V"}}
    result = fit(net(), data(), quick(), run_dir=tmp_path, extra_state=extra)
    best = checkpoint.load_best(tmp_path / "checkpoints").state
    assert best["extra"]["preprocess"]["units"] == "V"
    assert (best["epoch"], best["value"]) == (result.best_epoch, result.best_value)
    assert torch.equal(best["model"]["1.weight"], weight(result))
    assert len(checkpoint.paths(tmp_path / "checkpoints")) == 2


def test_preprocessing_travels_with_the_weights(tmp_path):
    def layer(mean, scale):
        return Preprocess(mean=np.array([mean]), scale=np.array([scale])).as_module()

    X, y = labeled(64)
    part = 3e-21 + 1e-21 * X, y
    result = fit(nn.Sequential(layer(3e-21, 1e-21), *net()), FitData(part, part), quick(), run_dir=tmp_path)
    other = nn.Sequential(layer(0.0, 1.0), *net(seed=5)).eval()
    other.load_state_dict(checkpoint.load_best(tmp_path / "checkpoints").state["model"])
    x = torch.from_numpy(part[0].astype(np.float32))
    with torch.no_grad():
        assert torch.equal(other(x), result.model(x))
    accuracy = result.history[-1].train_accuracy
    assert accuracy is not None
    assert accuracy > 0.8


def test_other_threads_on_resume_are_said(tmp_path):
    fit(net(), data(), quick(), run_dir=tmp_path)
    torch.set_num_threads(2)
    try:
        with pytest.warns(ScimlWarning, match=r"threads \(1, now 2\).*not to the last bit"):
            fit(net(), data(), quick(), run_dir=tmp_path, resume=True)
    finally:
        torch.set_num_threads(1)


def test_a_disk_that_fills_up_leaves_a_run_that_resumes(tmp_path, monkeypatch):
    whole = fit(net(), data(), quick())
    synced, sync = [], os.fsync

    def full(descriptor):
        synced.append(descriptor)
        if len(synced) > 9:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        sync(descriptor)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(StorageError, match=r"the disk is full; .*the last good one is step-"):
            fit(net(), data(), quick(), run_dir=tmp_path)
    again = fit(net(), data(), quick(), run_dir=tmp_path, resume=True)
    assert again.resumed_from
    assert torch.equal(weight(again), weight(whole))


class Raise:
    """Callback that sends signals to this process at a step."""

    def __init__(self, step, *numbers):
        self.step, self.numbers = step, numbers

    def on_step_end(self, state):
        if state.step == self.step:
            for number in self.numbers:
                signal.raise_signal(number)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 75), (signal.SIGTERM, 143)])
def test_a_signal_saves_and_puts_the_handlers_back(interruptible, tmp_path, number, code):
    before = signal.getsignal(number)
    with pytest.raises(InterruptedRunError, match=r"after step 6 of 16 \(epoch 2\).*resume") as stop:
        fit(net(), data(), quick(), [Raise(6, number)], run_dir=tmp_path)
    assert stop.value.exit_code == code
    assert signal.getsignal(number) == before
    again = fit(net(), data(), quick(), run_dir=tmp_path, resume=True)
    assert again.resumed_from == 6
    assert again.history == fit(net(), data(), quick()).history


def test_a_second_interrupt_stops_at_once(interruptible, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        fit(net(), data(), quick(), [Raise(6, signal.SIGINT, signal.SIGINT)], run_dir=tmp_path)
    assert signal.getsignal(signal.SIGINT) == signal.default_int_handler
    assert fit(net(), data(), quick(), run_dir=tmp_path, resume=True).resumed_from == 4


def test_without_a_run_directory_an_interrupt_is_pythons_own(interruptible):
    with pytest.raises(KeyboardInterrupt):
        fit(net(), data(), quick(), [Raise(2, signal.SIGINT)])


def test_training_in_another_thread_leaves_signals_alone(tmp_path):
    results = []
    worker = threading.Thread(target=lambda: results.append(fit(net(), data(), quick(), run_dir=tmp_path)))
    worker.start()
    worker.join()
    assert results[0].epochs_run == 4


def test_classes_beyond_the_models_outputs_are_found_late_too():
    X, y = labeled(40)
    y = y.copy()
    y[30] = 7
    with pytest.raises(ConfigError, match="labels below 2, one for each output of the model, got 7"):
        fit(net(), FitData((X, y), (X[:8], y[:8])), quick())
    assert len(as_batches((X, y), "train")) == 40


@pytest.mark.parametrize(
    "weights", [(-1.0, 1.0), (float("nan"), 1.0), (0.0, 0.0), (float("inf"), 1.0), "rare", ("a", 1.0)]
)
def test_weights_of_classes_that_are_none_are_refused(weights):
    with pytest.raises(ConfigError, match="class_weights"):
        TrainConfig(class_weights=weights)


def test_a_loss_without_classes_takes_no_weights_of_classes():
    with pytest.raises(ConfigError, match="knows no classes"):
        TrainConfig(loss="mse", class_weights="balanced")


def test_steps_and_epochs_end_training_by_whichever_comes_first():
    steps = {
        (epochs, n): fit(net(), data(), TrainConfig(epochs=epochs, steps=n, batch_size=8, device="cpu"))
        .history[-1]
        .step
        for epochs, n in ((2, None), (2, 3), (2, 7), (1, 500), (2, 1))
    }
    whole = steps[2, None]
    assert steps == {(2, None): whole, (2, 3): 3, (2, 7): min(7, whole), (1, 500): whole // 2, (2, 1): 1}


def test_a_validation_part_that_is_not_finite_is_named():
    parts = data()
    X, y = (np.array(array, copy=True) for array in parts.validation)
    X[3, 0, 2] = np.nan
    with pytest.raises(DivergedError, match=r"validation part the input holds 1 value .* item 3, channel 0, sample 2"):
        fit(net(), FitData(parts.train, (X, y)), TrainConfig(epochs=1, device="cpu"))


def test_a_train_part_without_any_target_is_refused():
    X = np.zeros((20, 1, 4), np.float32)
    y = np.full((20, 2), np.nan, np.float32)
    model = nn.Sequential(nn.Flatten(), nn.Linear(4, 2))
    held_out = (X[:4], np.ones((4, 2), np.float32))
    with pytest.raises(DataError, match="got none that counts"):
        fit(model, FitData((X, y), held_out), TrainConfig(epochs=1, loss="mse", device="cpu"))


def test_a_state_that_lacks_keys_or_holds_other_things_is_refused_or_goes_on(tmp_path):
    """Each key in turn is removed, then replaced by what nobody expects; then what is inside of each dict."""
    fit(net(), data(), quick(keep=5), run_dir=tmp_path)
    folder = tmp_path / "checkpoints"
    newest, path, *_ = checkpoint.paths(folder)
    newest.unlink()
    state = checkpoint.load(path)
    step, n_refused = state.pop("step"), 0
    cases = []
    for name in sorted(set(state) - {"format"}):
        cases += [{key: value for key, value in state.items() if key != name}, {**state, name: [None]}]
        if isinstance(inner := state[name], dict) and name != "environment":
            cases += [{**state, name: {k: v for k, v in inner.items() if k != one}} for one in list(inner)[:3]]
    for case in cases:
        checkpoint.save(folder, case, step=step)
        for older in checkpoint.paths(folder)[1:]:
            older.unlink()
        try:
            fit(net(), data(), quick(keep=5), run_dir=tmp_path, resume=True)
        except (CheckpointError, ScimlWarning):  # the latter on the way to an older one, which is not there
            n_refused += 1
        for later in checkpoint.paths(folder):
            if later.name > path.name:
                later.unlink()
    assert n_refused > len(cases) // 2
