"""Where tensors are: steps on torch's meta device, where mixing with the CPU raises; reads of a device counted."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from sciml.nn import models
from sciml.train import FitData, TrainConfig, fit
from sciml.train.objective import CrossEntropy, MeanSquare
from sciml.train.reading import Batch
from sciml.train.steps import RunningSums, Stepper, WeightAverage, make_optimizer, optimizers, stepper

torch.set_num_threads(1)
META = torch.device("meta")
READS = {"aten::_local_scalar_dense", "aten::is_nonzero", "aten::equal", "aten::nonzero", "aten::masked_select"}


@pytest.fixture(autouse=True)
def fused_on_meta(monkeypatch: pytest.MonkeyPatch) -> None:
    """AdamW has a meta kernel, but torch refuses to make it there; SGD has none, and takes its step unfused."""
    monkeypatch.setattr(optimizers, "FUSED", [*optimizers.FUSED, "meta"])
    monkeypatch.setattr(sys.modules["torch.optim.adam"], "_device_dtype_check_for_fused", lambda *_: None)


def batch(n_outputs: int, *, weighted: bool, forecast: bool) -> Batch:
    x = torch.empty(10, 4, 300, device=META)
    y = torch.empty(10, n_outputs, device=META) if forecast else torch.empty(10, dtype=torch.long, device=META)
    return Batch(np.arange(10), x, y, torch.empty(10, device=META) if weighted else None, 9, np.arange(10))


def taken(model: nn.Module, config: TrainConfig, *, weighted: bool = False, known: bool = True) -> Stepper:
    """Take two steps with everything on the meta device, average included."""
    forecast = config.loss == "mse"
    classes = torch.empty(3, device=META) if weighted else None
    objective = MeanSquare() if forecast else CrossEntropy(classes, 0.1, known)
    found = Stepper(model, make_optimizer(model, config), objective, config, META)
    average, sums = WeightAverage(model, window=10), RunningSums(META)
    model.train()
    for step in range(2):
        found.take(batch(3, weighted=weighted, forecast=forecast), sums, number=step, epoch=0, lr=0.1)
        average.update(step + 1)
    assert {tensor.device.type for tensor in (*model.state_dict().values(), *average.values.values())} == {"meta"}
    assert (found.last_loss.device.type, sums.values.device.type) == ("meta", "meta")
    return found


@pytest.mark.parametrize("name", sorted({*models.MODELS} - {"gru"}))  # the time loop of which takes ten seconds there
def test_a_step_of_every_model_stays_on_its_device(name: str) -> None:
    with META:
        model = models.build(name, n_channels=4, n_times=300, n_outputs=3)
    taken(model, TrainConfig(device="cpu"))


def small() -> nn.Module:
    with META:
        inner = nn.Sequential(nn.Conv1d(4, 6, 5), nn.BatchNorm1d(6), nn.ReLU(), nn.Dropout(), nn.Conv1d(6, 6, 5))
        return nn.Sequential(inner, nn.Flatten(), nn.Linear(6 * 292, 3))


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("known", [False, True])
@pytest.mark.parametrize("loss", ["cross_entropy", "mse"])
def test_a_step_of_every_loss_stays_on_its_device(loss: str, known: bool, weighted: bool) -> None:
    taken(small(), TrainConfig(loss=loss), weighted=weighted, known=known)


@pytest.mark.parametrize(
    "options",
    [
        {"optimizer": "muon"}, {"nonfinite": "skip"}, {"micro_batch": 3}, {"clip_norm": None}, {"precision": "fp16"},
        {"precision": "fp16", "nonfinite": "skip", "optimizer": "muon", "micro_batch": 4},
    ],
    ids=str,
)  # fmt: skip
def test_a_step_with_every_option_stays_on_its_device(options: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stepper, "autocast", lambda *_: nullcontext())  # there is none of the meta device
    found = taken(small(), TrainConfig(**options))
    assert found.scaler.is_enabled() == (options.get("precision") == "fp16")


def test_sgd_stays_on_its_device(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(optimizers, "FUSED", ["cpu", "cuda"])
    taken(small(), TrainConfig(optimizer="sgd", nonfinite="skip"))


def test_the_meta_device_finds_what_it_is_asked_to_find() -> None:
    with pytest.raises(RuntimeError):
        taken(small(), TrainConfig(loss="mse")).last_loss.item()
    with pytest.raises((RuntimeError, NotImplementedError)):
        bool(torch.empty(3, device=META).isfinite().all())
    with pytest.raises(RuntimeError):
        torch.empty(3, device=META) + torch.empty(3)


# ---- reads


class Reads(TorchDispatchMode):
    """Counts what makes the CPU wait for a device: numbers made of tensors, and copies to the CPU."""

    def __init__(self) -> None:
        super().__init__()
        self.n = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.n += func.name().split(".")[0] in READS
        return func(*args, **(kwargs or {}))


@contextmanager
def counted(monkeypatch: pytest.MonkeyPatch) -> Iterator[Reads]:
    reads = Reads()

    def also(name: str) -> Any:
        original = getattr(torch.Tensor, name)

        def counting(self: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
            reads.n += 1
            return original(self, *args, **kwargs)

        return counting

    with monkeypatch.context() as patch, reads:
        for name in ("item", "cpu", "tolist", "__bool__", "__float__", "__int__"):
            patch.setattr(torch.Tensor, name, also(name))
        yield reads


def reads_of(n_steps: int, monkeypatch: pytest.MonkeyPatch, callbacks: Any = (), **changes: Any) -> int:
    """Count the reads of one epoch of so many steps, whatever else it does included."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(8 * n_steps, 2, 12)).astype(np.float32)
    y = rng.integers(0, 2, len(X))
    part: Any = (X, rng.normal(size=(len(X), 2)).astype(np.float32)) if changes.get("loss") == "mse" else (X, y)
    model = nn.Sequential(
        nn.Conv1d(2, 4, 3),
        nn.BatchNorm1d(4),
        nn.ReLU(),
        nn.Dropout(),
        nn.Conv1d(4, 4, 3),
        nn.Flatten(),
        nn.Linear(32, 2),
    )
    config = TrainConfig(
        **{"epochs": 1, "batch_size": 8, "patience": None, "monitor": "loss", "device": "cpu", **changes}
    )
    with counted(monkeypatch) as reads:
        fit(model, FitData(part, tuple(each[:16] for each in part)), config, callbacks)
    return reads.n


OPTIONS: dict[str, dict[str, Any]] = {
    "defaults": {},
    "fp16": {"precision": "fp16"},
    "bf16": {"precision": "bf16"},
    "muon": {"optimizer": "muon"},
    "sgd": {"optimizer": "sgd"},
    "skip": {"nonfinite": "skip"},
    "pieces": {"micro_batch": 3},
    "weights": {"class_weights": (1.0, 2.0)},
    "forecast": {"loss": "mse"},
    "plateau": {"schedule": "plateau"},
}


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_a_step_reads_nothing(options: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Sixty steps more read as often as ten: at the epoch's end."""
    few, many = (reads_of(n, monkeypatch, **options) for n in (10, 70))
    assert few == many > 0


def test_a_step_reads_when_somebody_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    class Asks:
        def __init__(self, every: int) -> None:
            self.every, self.losses = every, list[float]()

        def on_step_end(self, state: Any) -> None:
            if state.step % self.every == 0:
                self.losses.append(state.loss)

    silent, asks = Asks(10**6), Asks(5)
    difference = reads_of(50, monkeypatch, [asks]) - reads_of(50, monkeypatch, [silent])
    assert len(asks.losses) == 10
    assert np.isfinite(asks.losses).all()
    assert 10 <= difference <= 30  # each counted by one to three of the ways to read


def test_long_epochs_are_looked_at_in_between(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sciml.train.steps.nonfinite.EVERY", 20)
    few, many = (reads_of(n, monkeypatch) for n in (15, 95))
    assert many - few in range(4, 13)  # four looks
