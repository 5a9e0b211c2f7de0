"""What is trained for: rare classes, weights, metrics that are monitored, steps instead of epochs, averaged weights."""

from typing import get_args

import numpy as np
import pytest
import torch
from torch import nn

from sciml.errors import ConfigError, DataError
from sciml.pipeline.config import Train
from sciml.train import FitData, TrainConfig, fit
from sciml.train.metrics import METRICS
from sciml.train.objective import CrossEntropy, MeanSquare, sampling_chances
from sciml.train.reading import as_batches, batch_order
from sciml.train.steps import WeightAverage

torch.set_num_threads(1)


def net(n_times=8, n_outputs=2, seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Flatten(), nn.Linear(n_times, n_outputs))


def rare(n, *, seed, fraction=0.05, shift=1.5):
    """A class of 5 % that is shifted in each sample."""
    rng = np.random.default_rng(seed)
    y = (np.arange(n) < fraction * n).astype(np.int64)
    return (rng.normal(size=(n, 1, 8)) + shift * y[:, None, None] / np.sqrt(8)).astype(np.float32), y


def quick(**changes):
    return TrainConfig(**{"epochs": 15, "batch_size": 32, "lr": 0.03, "device": "cpu", **changes})


def test_the_best_epoch_recognizes_a_rare_class():
    """5 % positives: accuracy would choose an epoch that names none of them."""
    data = FitData(rare(600, seed=0), rare(400, seed=1))
    found = fit(net(), data, quick(class_weights="balanced"))
    assert found.monitor == "balanced_accuracy"
    X, y = rare(2000, seed=2)
    with torch.no_grad():
        score = METRICS["balanced_accuracy"](found.model(torch.from_numpy(X)), y)
    # best possible: a distance of 1.5 standard deviations, Phi(0.75) = .77; one that names no positive has .5
    assert score > 0.65
    assert found.best_value == max(record.monitored or 0.0 for record in found.history)


@pytest.mark.parametrize("class_weights", ["balanced", "sampled"])
def test_rare_classes_count_alike_by_weight_or_by_drawing(class_weights):
    found = fit(net(), FitData(rare(800, seed=0), rare(400, seed=1)), quick(class_weights=class_weights, epochs=25))
    X, y = rare(4000, seed=2)
    with torch.no_grad():
        named = found.model(torch.from_numpy(X)).argmax(dim=1).numpy()
    assert (named[y == 1] == 1).mean() > 0.6
    assert (named[y == 0] == 0).mean() > 0.6


def test_sampling_draws_classes_equally_often():
    part = as_batches(rare(1000, seed=0), "train")
    chances = sampling_chances(quick(class_weights="sampled"), part)
    drawn = np.concatenate(batch_order(1000, 32, seed=0, epoch=3, chances=chances))
    assert len(drawn) == 1000
    assert abs(part.batch(drawn)[1].double().mean().item() - 0.5) < 4 * 0.5 / np.sqrt(1000)


def test_what_is_monitored_by_default():
    balanced = FitData(rare(60, seed=0, fraction=0.4), rare(40, seed=1, fraction=0.4))
    assert fit(net(), balanced, quick(epochs=1)).monitor == "loss"
    X, y = rare(40, seed=0)
    part = X, y[:, None].astype(np.float32)
    assert fit(net(n_outputs=1), FitData(part, part), quick(epochs=1, loss="mse")).monitor == "loss"


@pytest.mark.parametrize("name", [name for name, metric in METRICS.items() if metric.kind == "class"])
def test_each_metric_of_classes_can_be_monitored(name):
    found = fit(net(), FitData(rare(200, seed=0), rare(100, seed=1, fraction=0.2)), quick(epochs=6, monitor=name))
    values = [record.monitored or 0.0 for record in found.history]
    assert found.best_value == (max(values) if METRICS[name].greater_is_better else min(values))
    X, y = rare(100, seed=1, fraction=0.2)
    with torch.no_grad():
        assert METRICS[name](found.model(torch.from_numpy(X)), y) == pytest.approx(found.best_value, rel=1e-6)


@pytest.mark.parametrize("name", [name for name, metric in METRICS.items() if metric.kind == "value"])
def test_each_metric_of_values_can_be_monitored(name):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(120, 1, 8)).astype(np.float32)
    part = X, X[:, 0, :2] + 0.1 * rng.normal(size=(120, 2)).astype(np.float32)
    found = fit(net(n_outputs=2), FitData(part, part), quick(epochs=6, loss="mse", monitor=name))
    values = [record.monitored or 0.0 for record in found.history]
    assert found.best_value == (max(values) if METRICS[name].greater_is_better else min(values))


def test_a_metric_without_a_value_is_refused_and_not_mistaken():
    X, y = rare(100, seed=0)
    with pytest.raises(ConfigError, match="validation part that auc has a value on"):
        fit(net(), FitData((X, y), (X[50:], y[50:])), quick(monitor="auc"))
    with pytest.raises(ConfigError, match=r"'loss' or one of accuracy, balanced_accuracy, auc, .* got 'r2'"):
        quick(monitor="r2")


def test_the_configuration_of_a_run_knows_the_same_metrics():
    known = Train.model_fields["monitor"].annotation
    assert known is not None
    assert set(get_args(known)) == {"auto", "loss", *METRICS}
    assert Train().model_dump() == {
        key: getattr(TrainConfig(), key) for key in Train.model_fields if key != "clip_norm"
    } | {"clip_norm": 1.0}


# ---- weights


def test_weights_of_items_scale_their_part_of_the_loss():
    rng = np.random.default_rng(0)
    logits, y = torch.from_numpy(rng.normal(size=(20, 3))), torch.from_numpy(rng.integers(0, 3, 20))
    w = torch.from_numpy(rng.integers(1, 4, 20))
    for weights in (None, torch.tensor([0.5, 1.0, 2.0])):
        objective = CrossEntropy(weights, 0.1)
        total, weight = objective.total(logits, y, w.float(), training=True)
        again = objective.total(logits.repeat_interleave(w, dim=0), y.repeat_interleave(w), training=True)
        assert total.item() / weight.item() == pytest.approx(again[0].item() / again[1].item(), rel=1e-6)
    z, target = torch.from_numpy(rng.normal(size=(2, 20, 2)))
    total, weight = MeanSquare().total(z, target, w.float(), training=True)
    again = MeanSquare().total(z.repeat_interleave(w, dim=0), target.repeat_interleave(w, dim=0), training=True)
    assert total.item() / weight.item() == pytest.approx(again[0].item() / again[1].item(), rel=1e-6)


def test_items_that_weigh_nothing_are_not_learned():
    X, y = rare(400, seed=0, fraction=0.5, shift=4)
    wrong = np.arange(400) % 4 < 2
    part = X, np.where(wrong, 1 - y, y), np.where(wrong, 0.0, 1.0)
    found = fit(net(), FitData(part, part), quick())
    with torch.no_grad():
        assert METRICS["accuracy"](found.model(torch.from_numpy(X)), y) > 0.9
    assert found.best_value < 0.4
    for weights in (-np.ones(400), np.zeros(400), np.ones(3)):
        with pytest.raises(DataError, match="expected a weight of at least 0"):
            fit(net(), FitData((X, y, weights), (X, y)), quick())


def test_targets_that_are_missing_do_not_count():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 1, 8)).astype(np.float32)
    y = X[:, 0, :2].copy()
    y[::2, 1] = np.nan
    found = fit(net(n_outputs=2), FitData((X, y), (X, y)), quick(loss="mse", epochs=30))
    assert found.best_value < 0.05


# ---- steps


@pytest.mark.parametrize(("n", "steps", "wanted"), [(40, None, 819), (40, 100, 100), (400, 50, 50), (400, 7, 7)])
def test_steps_are_counted_where_epochs_are_not_given(n, steps, wanted):
    config = TrainConfig(steps=steps, lr=1e-6, average=0.0, patience=None, device="cpu")
    X, y = rare(n, seed=0, fraction=0.5)
    found = fit(net(), FitData((X, y), (X[:16], y[:16])), config)
    assert found.history[-1].step == wanted
    assert found.epochs_run <= 50
    assert found.batch_size == (16 if n == 40 else 25)


def test_passes_of_an_epoch_have_orders_of_their_own():
    class Seen:
        def __init__(self):
            self.batches = []

        def __len__(self):
            return 20

        def batch(self, indices):
            self.batches.append(indices.tolist())
            return torch.zeros(len(indices), 1, 8), torch.zeros(len(indices), dtype=torch.long)

    part = Seen()
    X, y = rare(16, seed=0, fraction=0.5)
    fit(net(), FitData(part, (X, y)), TrainConfig(steps=150, batch_size=10, patience=None, device="cpu"))
    taken = [batch for batch in part.batches if len(batch) == 10][-150:]
    passes = [sorted(a + b) for a, b in zip(taken[::2], taken[1::2], strict=True)]
    assert passes == [list(range(20))] * 75
    assert len({tuple(batch) for batch in taken}) > 100


# ---- the average


def test_the_average_is_that_of_its_formula():
    model = nn.Linear(1, 1, bias=False)
    average = WeightAverage(model, window=4)
    expected = float(model.weight.detach())
    for step in range(1, 30):
        with torch.no_grad():
            model.weight.fill_(float(np.sin(step)))
        average.update(step)
        beta = min(1 - 1 / 4, (step - 1) / (step + 8))
        expected = beta * expected + (1 - beta) * float(np.float32(np.sin(step)))
    assert float(average.values["weight"]) == pytest.approx(expected, rel=1e-5)
    with average.applied():
        assert float(model.weight.detach()) == pytest.approx(expected, rel=1e-5)
    assert float(model.weight.detach()) == pytest.approx(np.sin(29), rel=1e-6)


def test_the_average_is_validated_and_kept_and_training_goes_on_without_it():
    data = FitData(rare(200, seed=0, fraction=0.5), rare(100, seed=1, fraction=0.5))
    plain, averaged = (
        fit(net(), data, quick(average=average, schedule="constant", lr=0.3, patience=None)) for average in (0.0, 0.3)
    )
    assert [r.train_loss for r in plain.history] == [r.train_loss for r in averaged.history]
    assert averaged.best_value < plain.history[-1].validation_loss
    X, y = data.validation
    with torch.no_grad():
        loss = nn.functional.cross_entropy(averaged.model(torch.from_numpy(X)), torch.from_numpy(y))
    assert loss.item() == pytest.approx(averaged.best_value, rel=1e-5)
