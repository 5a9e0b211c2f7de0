"""Optimizers and rates: which weights each moves, steps that are left out, and rates as torch's own schedulers give."""

from typing import Any, get_args

import numpy as np
import pytest
import torch
from torch import nn
from torch.optim import lr_scheduler

from sciml.pipeline.config import Train
from sciml.train import TrainConfig
from sciml.train.config import CHOICES
from sciml.train.steps import OPTIMIZERS, SCHEDULES, make_optimizer, make_schedule
from sciml.train.steps.optimizers import inner_matrices

torch.set_num_threads(1)
SKIP, TAKE = torch.tensor(True), torch.tensor(False)


def net(seed: int = 0) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv1d(2, 6, 3), nn.BatchNorm1d(6), nn.ReLU(), nn.Conv1d(6, 6, 3, groups=6), nn.Conv1d(6, 5, 3),
        nn.Flatten(), nn.Linear(50, 7), nn.Linear(7, 2),
    )  # fmt: skip


def backward(model: nn.Module, seed: int = 1) -> None:
    torch.manual_seed(seed)
    model(torch.randn(8, 2, 16)).square().sum().backward()


def snapshot(model: nn.Module, optimizer: Any) -> list[torch.Tensor]:
    state = [value for part in optimizer.parts for each in part.state.values() for value in each.values()]
    return [tensor.detach().clone() for tensor in (*model.parameters(), *state)]


def equal(before: list[torch.Tensor], after: list[torch.Tensor]) -> bool:
    return len(before) == len(after) and all(torch.equal(a, b) for a, b in zip(before, after, strict=True))


def test_the_choices_are_those_of_the_registries() -> None:
    assert CHOICES["optimizer"] == tuple(OPTIMIZERS)
    assert CHOICES["schedule"] == tuple(SCHEDULES)
    for key in ("optimizer", "schedule", "precision", "nonfinite"):
        assert get_args(Train.model_fields[key].annotation) == CHOICES[key]


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_a_step_that_is_left_out_changes_nothing_also_the_first(name: str, momentum: float) -> None:
    config = TrainConfig(optimizer=name, lr=0.01, momentum=momentum)
    with_gap, without = net(), net()
    skipping, plain = make_optimizer(with_gap, config), make_optimizer(without, config)
    for step in range(4):
        backward(with_gap)
        if step in (0, 2):
            before = snapshot(with_gap, skipping)
            for parameter in skipping.parameters:
                assert parameter.grad is not None
                parameter.grad.fill_(torch.nan)
            skipping.step(SKIP)
            if step:
                assert equal(before, snapshot(with_gap, skipping))
        else:
            backward(without)
            skipping.step(TAKE)
            plain.step(TAKE)
            plain.clear()
        skipping.clear()
    assert equal(snapshot(with_gap, skipping), snapshot(without, plain))


@pytest.mark.parametrize("name", ["adamw", "sgd"])
def test_fused_steps_are_torchs_own(name: str) -> None:
    """Against the plain loop of torch over weights, in float64, where rounding is far below the tolerance."""
    ours, reference = net().double(), net().double()
    optimizer = make_optimizer(ours, TrainConfig(optimizer=name, lr=0.01))
    groups = [
        {"params": [p for p in reference.parameters() if p.ndim > 1], "weight_decay": 0.01},
        {"params": [p for p in reference.parameters() if p.ndim == 1], "weight_decay": 0.0},
    ]
    plain: torch.optim.Optimizer = (
        torch.optim.AdamW(groups, lr=0.01)
        if name == "adamw"
        else torch.optim.SGD(groups, lr=0.01, momentum=0.9, nesterov=True)
    )
    x = torch.randn(8, 2, 16, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    for _ in range(5):
        for model in (ours, reference):
            model.zero_grad()
            model(x).square().mean().backward()
        optimizer.step(TAKE)
        plain.step()
    for a, b in zip(ours.parameters(), reference.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-11)


def test_muon_moves_the_inner_matrices_as_torchs_own_does() -> None:
    model, reference = net(), net()
    inner = inner_matrices(model)
    assert [tuple(weight.shape) for weight in inner] == [(5, 6, 3), (7, 50)]  # not first, last, nor the one in groups
    optimizer = make_optimizer(model, TrainConfig(optimizer="muon", lr=0.02, weight_decay=0.1))
    matrices = [weight.detach().flatten(1).clone().requires_grad_() for weight in inner_matrices(reference)]
    plain = torch.optim.Muon(matrices, lr=0.02, weight_decay=0.1, momentum=0.9, adjust_lr_fn="match_rms_adamw")
    for seed in range(3):
        optimizer.clear()
        backward(model, seed)
        for matrix, weight in zip(matrices, inner, strict=True):
            assert weight.grad is not None
            matrix.grad = weight.grad.flatten(1).clone()
        optimizer.step(TAKE)
        plain.step()
    for matrix, weight in zip(matrices, inner, strict=True):
        assert torch.equal(matrix, weight.detach().flatten(1))


def test_muons_steps_are_as_large_as_those_of_adamw() -> None:
    """The root mean square of an orthogonal step is .2 lr (Liu et al. 2025), within what five iterations leave."""
    torch.manual_seed(0)
    inner = nn.Linear(40, 60)
    model = nn.Sequential(nn.Linear(4, 40), inner, nn.Linear(60, 2))
    before = inner.weight.detach().clone()
    optimizer = make_optimizer(model, TrainConfig(optimizer="muon", lr=1.0, weight_decay=0.0))
    model(torch.randn(80, 4)).square().sum().backward()
    inner.weight.grad = torch.randn(60, 40)
    optimizer.step(TAKE)
    moved = (inner.weight.detach() - before).square().mean().sqrt().item()
    assert 0.2 * 0.7 < moved < 0.2 * 1.2


def test_norms_and_biases_are_not_decayed_whatever_their_shape() -> None:
    class Biased(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm = nn.LayerNorm((3, 4))
            self.linear = nn.Linear(12, 2)
            self.bias_of_all = nn.Parameter(torch.ones(2, 2))

    for name in OPTIMIZERS:
        groups = [g for part in make_optimizer(Biased(), TrainConfig(optimizer=name)).parts for g in part.param_groups]
        decayed = [tuple(p.shape) for group in groups if group["weight_decay"] for p in group["params"]]
        kept = sorted(tuple(p.shape) for group in groups if not group["weight_decay"] for p in group["params"])
        assert decayed == [(2, 12)]
        assert kept == [(2,), (2, 2), (3, 4), (3, 4)]


# ---- rates


def torchs(schedule: Any, n: int) -> list[float]:
    rates = []
    for _ in range(n):
        rates.append(schedule.get_last_lr()[0])
        schedule.optimizer.step()
        schedule.step()
    return rates


def sgd() -> torch.optim.Optimizer:
    return torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.4)


@pytest.mark.parametrize("total", [7, 40, 200])
def test_rates_are_those_of_torchs_schedulers(total: int) -> None:
    cosine = make_schedule(TrainConfig(lr=0.4, warmup=0.0), total=total)
    expected = torchs(lr_scheduler.CosineAnnealingLR(sgd(), total), total)
    np.testing.assert_allclose([cosine.rate(t) for t in range(total)], expected, rtol=1e-9, atol=1e-12)
    cycle = make_schedule(TrainConfig(lr=0.4, schedule="one_cycle"), total=total)
    expected = torchs(lr_scheduler.OneCycleLR(sgd(), 0.4, total_steps=total), total - 1)
    np.testing.assert_allclose([cycle.rate(t) for t in range(total - 1)], expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("total", [1, 2, 3, 4])
@pytest.mark.parametrize("name", SCHEDULES)
def test_rates_of_very_short_runs_are_positive_and_finite(name: str, total: int) -> None:
    schedule = make_schedule(TrainConfig(lr=0.4, schedule=name), total=total)
    rates = [schedule.rate(t) for t in range(total)]
    assert all(0 < rate <= 0.4 * (1 + 1e-12) for rate in rates)


def test_a_plateau_is_that_of_torch() -> None:
    """Losses of a random walk; an epoch is better where it is the best so far."""
    rng = np.random.default_rng(3)
    schedule = make_schedule(TrainConfig(lr=0.4, warmup=0.0, schedule="plateau", plateau_patience=2), total=400)
    reference = lr_scheduler.ReduceLROnPlateau(sgd(), factor=0.5, patience=2, threshold=0.0, eps=0.0)
    best = np.inf
    for step, loss in enumerate(np.abs(np.cumsum(rng.normal(size=80)))):
        schedule.end_epoch(improved=bool(loss < best))
        best = min(best, loss)
        reference.step(loss)
        assert schedule.rate(step) == pytest.approx(reference.get_last_lr()[0], rel=1e-12)
    assert schedule.rate(80) < 0.4 / 8
    again = make_schedule(TrainConfig(lr=0.4, warmup=0.0, schedule="plateau", plateau_patience=2), total=400)
    again.load(schedule.state())
    assert (again.rate(0), again.state()) == (schedule.rate(0), schedule.state())
