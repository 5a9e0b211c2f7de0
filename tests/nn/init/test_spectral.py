"""The start that chooses by structure and data: each part against what it promises, on data of known answer."""

import math

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression, Ridge
from torch import nn

from sciml.errors import ConfigError, DataError
from sciml.nn import models, propagation
from sciml.nn.init import initialize
from sciml.nn.init.draws import paraunitary
from sciml.nn.init.spectral.readout import solve_readout
from sciml.nn.init.spectral.subspace import first_weight, patches, signal_subspace
from sciml.nn.models.blocks import TimeMean
from sciml.nn.structure import weight_slots


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def plain(depth: int, n_channels: int, width: int = 8, n_outputs: int = 2) -> nn.Sequential:
    parts: list[nn.Module] = []
    for i in range(depth):
        parts += [nn.Conv1d(width if i else n_channels, width, 3, padding=1), nn.ReLU()]
    return nn.Sequential(*parts, TimeMean(), nn.Linear(width, n_outputs))


def two_classes(n: int, n_channels: int = 6, n_times: int = 32, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Noise, and in one class a wave of three samples a period along one direction."""
    x = torch.randn(n, n_channels, n_times, generator=seeded(seed))
    y = torch.arange(n) % 2
    wave = torch.sin(2 * math.pi * torch.arange(n_times) / 6)
    x += 2.5 * y[:, None, None] * torch.ones(n_channels, 1) / math.sqrt(n_channels) * wave
    return x, y


@pytest.mark.parametrize("kernel", [(3,), (4,), (3, 2), (2, 2, 2)])
@pytest.mark.parametrize(("n_out", "n_in"), [(5, 5), (7, 4), (4, 7)])
def test_kernels_over_all_taps_are_isometries_at_every_frequency(
    kernel: tuple[int, ...], n_out: int, n_in: int
) -> None:
    weight = paraunitary(2, n_out, n_in, kernel, seeded(1))[1]
    size = tuple(each + 3 for each in kernel)
    blocks = torch.fft.fftn(weight, s=size, dim=tuple(range(2, weight.ndim))).flatten(2).permute(2, 0, 1)
    assert torch.linalg.svdvals(blocks).sub(1.0).abs().max() < 1e-12
    used = weight.square().sum(dim=(0, 1)).flatten()
    assert (used > 0).sum() == min(used.numel(), min(n_out, n_in))


def test_rows_of_the_first_layer_are_divided_by_what_new_data_show() -> None:
    """A spike of 3 over noise of 1 at gamma = .5: sqrt(2.4) on new data, where the sample itself shows sqrt(3.75)."""
    p, n = 400, 800
    direction = torch.zeros(p, dtype=torch.float64)
    direction[:4] = 0.5
    draws = []
    for seed in range(4):
        x = torch.randn(n, p, generator=seeded(seed), dtype=torch.float64)
        x += math.sqrt(2.0) * torch.randn(n, 1, generator=seeded(100 + seed), dtype=torch.float64) * direction
        found = signal_subspace(x)
        assert found.rank == 1
        u = torch.from_numpy(found.directions[:, 0])
        true = 1.0 + 2.0 * float(u @ direction) ** 2
        draws.append((found.deviations[0] ** 2, true))
    said, true_values = np.mean(draws, axis=0)
    assert said == pytest.approx(2.4, rel=0.04)
    assert said == pytest.approx(true_values, rel=0.04)


def test_a_first_layer_has_unit_variance_and_the_share_of_noise_that_was_asked_for() -> None:
    x = torch.randn(4000, 30, generator=seeded(0), dtype=torch.float64)
    x[:, :2] *= torch.tensor([6.0, 4.0])
    found = signal_subspace(x)
    assert found.rank == 2
    weight = first_weight(found, 64, noise_share=0.2, generator=seeded(1))
    new = torch.randn(20000, 30, generator=seeded(2), dtype=torch.float64)
    new[:, :2] *= torch.tensor([6.0, 4.0])
    assert (new @ weight.mT).var(dim=0).mean() == pytest.approx(1.0, rel=0.03)
    noise = new.clone()
    noise[:, :2] = 0.0
    assert (noise @ weight.mT).var(dim=0).mean() == pytest.approx(0.2, rel=0.1)


def test_noise_that_differs_between_features_is_not_taken_for_signal() -> None:
    scale = torch.logspace(-1, 1, 40, dtype=torch.float64)
    x = torch.randn(600, 40, generator=seeded(3), dtype=torch.float64) * scale
    assert signal_subspace(x).rank == 0
    x += 3.0 * torch.randn(600, 1, generator=seeded(4), dtype=torch.float64) * scale * math.sqrt(1 / 4)
    assert 1 <= signal_subspace(x).rank <= 3  # parallel analysis may keep a few too many beside a strong one


def test_patches_are_what_the_rows_of_a_convolution_meet() -> None:
    layer = nn.Conv2d(2, 3, (3, 2), padding=(1, 0), dilation=(2, 1), bias=False).double()
    x = torch.randn(2, 2, 9, 6, generator=seeded(5), dtype=torch.float64)
    found = patches(x, weight_slots(layer)[0])
    values = (found @ layer.weight.detach().flatten(1).mT).flatten()
    output = layer(x).detach().flatten()
    assert all(((output - value).abs() < 1e-12).any() for value in values)


@pytest.mark.parametrize("n_classes", [2, 4])
def test_the_readout_of_classes_is_that_of_scikit_learn(n_classes: int) -> None:
    x = torch.randn(300, 6, generator=seeded(6)) * torch.tensor([1.0, 2.0, 3.0, 0.1, 1.0, 1.0])
    y = (x[:, :n_classes] + torch.randn(300, n_classes, generator=seeded(7))).argmax(dim=1)
    found = solve_readout(x, y, n_classes)
    z = ((x - x.mean(0)) / x.std(0, correction=0)).numpy()
    # of two classes scikit-learn penalizes the one difference, which is twice the norm of both rows
    strength = 1.0 / (300 * found.penalty) * (2.0 if n_classes == 2 else 1.0)
    other = LogisticRegression(C=strength, tol=1e-9, max_iter=5000).fit(z, y.numpy())
    logits = x.numpy() @ found.weight.T + found.bias
    shown = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    assert np.abs(shown - other.predict_proba(z)).max() < 2e-3


def test_the_readout_of_numbers_is_that_of_scikit_learn_and_leaves_out_what_is_missing() -> None:
    x = torch.randn(120, 5, generator=seeded(8), dtype=torch.float64)
    y = torch.stack([3 * x[:, 0] + 7, x[:, 1] + torch.randn(120, generator=seeded(9), dtype=torch.float64)], dim=1)
    y[:20, 1] = math.nan
    found = solve_readout(x, y, 2)
    z = ((x - x.mean(0)) / x.std(0, correction=0)).numpy()
    for k, rows in ((0, slice(0, None)), (1, slice(20, None))):
        n = len(z[rows])
        other = Ridge(alpha=n * found.penalty).fit(z[rows], y[rows, k].numpy())
        predicted = x[rows].numpy() @ found.weight[k] + found.bias[k]
        assert np.abs(predicted - other.predict(z[rows])).max() < 1e-9
    assert found.clearly_better


def test_more_features_than_samples_change_nothing_but_the_cost() -> None:
    x = torch.randn(60, 100, generator=seeded(10), dtype=torch.float64)
    y = (x[:, 0] > 0).long()
    found = solve_readout(x, y, 2)
    z = ((x - x.mean(0)) / x.std(0, correction=0)).numpy()
    other = LogisticRegression(C=2.0 / (60 * found.penalty), tol=1e-9, max_iter=5000).fit(z, y.numpy())
    logits = x.numpy() @ found.weight.T + found.bias
    assert np.abs(np.diff(logits)[:, 0] - other.decision_function(z)).max() < 0.02


def test_labels_that_say_nothing_leave_the_last_layer_zero() -> None:
    x = torch.randn(200, 12, generator=seeded(11))
    chosen = [solve_readout(x, torch.randint(0, 2, (200,), generator=seeded(seed)), 2) for seed in range(40)]
    assert sum(each.clearly_better for each in chosen) <= 3


def test_units_stay_together_in_cross_validation() -> None:
    """Each unit has a fingerprint and one label: told apart by samples, not by units."""
    unit = torch.arange(20).repeat_interleave(10)
    fingerprint = torch.randn(20, 15, generator=seeded(12))[unit]
    x, y = fingerprint + 0.05 * torch.randn(200, 15, generator=seeded(13)), unit % 2
    assert solve_readout(x, y, 2).clearly_better
    assert not solve_readout(x, y, 2, groups=unit.tolist()).clearly_better
    with pytest.raises(DataError, match="two independent units"):
        solve_readout(x, y, 2, groups=[0] * 200)


@pytest.mark.parametrize("depth", [6, 60])
def test_a_plain_relu_net_starts_linear_with_unit_variance_in_each_layer(depth: int) -> None:
    x, _ = two_classes(64)
    net = plain(depth, 6)
    report = initialize(net, "spectral", sample=x, head="random", generator=seeded(0))
    moments = [row.preactivation or math.nan for row in report.layers[:-1]]
    assert moments == pytest.approx([moments[0]] * depth, rel=0.01)
    assert moments[0] == pytest.approx(1.0, rel=0.15)
    stretch = nn.Sequential(*list(net)[: 2 * depth - 1])
    with torch.no_grad():
        # the last pre-activations are linear in the input: zero biases, and f(x + y) = f(x) + f(y)
        total, parts = stretch(x[:1] + x[1:2]), stretch(x[:1]) + stretch(x[1:2])
    assert (total - parts).abs().max() < 1e-3 * total.abs().max()


@pytest.mark.parametrize("blocks", [5, 40])
@pytest.mark.parametrize("options", [{"layers": 1}, {"layers": 2}, {"layers": 2, "activation": "tanh"}])
def test_residual_branches_multiply_signal_and_gradient_by_what_was_asked(
    blocks: int, options: dict[str, object]
) -> None:
    x, _ = two_classes(32)
    net = models.build(
        "resnet1d", n_channels=6, n_times=32, n_outputs=2, norm="none", width=16, kernel=3, blocks=blocks, **options
    )
    report = initialize(net, "spectral", sample=x, head="random", c=1.0)
    said = next(note for note in report.notes if "branches calibrated" in note)
    stream = torch.Tensor(net.get_submodule("stem")(x).detach()).requires_grad_()
    out = stream
    for i in range(1, blocks + 1):
        out = net.get_submodule(f"block{i}")(out)
    growth = float((out.square().mean() / stream.square().mean()).detach())
    probe = torch.randn(out.shape, generator=seeded(1))
    (gradient,) = torch.autograd.grad(out, stream, probe)
    backward = float(gradient.square().mean() / probe.square().mean())
    assert f"{blocks} residual branches" in said
    assert math.exp(0.4) < growth < math.exp(1.7)
    assert math.exp(0.4) < backward < math.exp(1.7)


def test_a_solved_start_reads_new_data_at_step_zero_and_permuted_labels_do_not() -> None:
    x, y = two_classes(120)
    new, truth = two_classes(400, seed=1)
    net = plain(20, 6)
    report = initialize(net, "spectral", sample=x, targets=y)
    with torch.no_grad():
        assert nn.functional.cross_entropy(net(new), truth) < 0.5
    assert any(note.startswith("last layer: solved") for note in report.notes)
    report = initialize(net, "spectral", sample=x, targets=y[torch.randperm(120, generator=seeded(2))])
    assert any(note.startswith("last layer: zero") for note in report.notes)
    assert not any(each.any() for each in net[-1].parameters())


def test_norm_layers_keep_their_scale_and_the_ends_of_branches_are_set() -> None:
    x, _ = two_classes(32)
    net = models.build("resnet1d", n_channels=6, n_times=32, n_outputs=2, norm="group", width=16, blocks=8)
    report = initialize(net, "spectral", sample=x)
    assert any("norm layers set the scale" in note for note in report.notes)
    ends = [row for row in report.layers if row.name.endswith("conv2")]
    assert all("scaled by" in row.note for row in ends)
    assert all(row.note == "" for row in report.layers if row.name.endswith("conv1"))


def test_a_smooth_net_starts_near_an_isometry() -> None:
    depth, width = 30, 64
    layers = [part for _ in range(depth) for part in (nn.Linear(width, width), nn.Tanh())]
    net = nn.Sequential(*layers, nn.Linear(width, 3)).double()
    x = torch.randn(16, width, generator=seeded(0), dtype=torch.float64)
    initialize(net, "spectral", sample=x, first=False)
    jacobian = torch.func.jacrev(net[:-1])(0.1 * x[0])
    singular = torch.linalg.svdvals(jacobian.detach())
    assert 0.3 < float(singular.min()) < float(singular.max()) < 3.0


def test_what_cannot_be_done_is_said() -> None:
    net = plain(4, 6)
    assert any("no sample was given" in note for note in initialize(net, "spectral").notes)
    deep = models.build("resnet1d", n_channels=6, n_times=32, n_outputs=2, norm="none", width=16, blocks=30)
    ends = [row for row in initialize(deep, "spectral").layers if row.name.endswith("conv2")]
    assert [row.measured for row in ends] == pytest.approx([2.0 * math.expm1(2.0 / 30)] * 30, rel=0.1)
    x, _ = two_classes(16)
    assert any("no targets were given" in note for note in initialize(net, "spectral", sample=x).notes)
    with pytest.raises(ConfigError, match="head"):
        initialize(net, "spectral", sample=x, head="big")
    with pytest.raises(ConfigError, match="noise_share"):
        initialize(net, "spectral", sample=x, noise_share=2.0)


def test_the_start_is_the_same_for_every_dtype_and_leaves_the_gradients_alone() -> None:
    x, y = two_classes(48)
    single, double = plain(10, 6), plain(10, 6).double()
    for net in (single, double):
        initialize(net, "spectral", sample=x, targets=y, generator=seeded(3))
        assert all(each.grad is None for each in net.parameters())
    for a, b in zip(single.state_dict().values(), double.state_dict().values(), strict=True):
        assert (a - b).abs().max() < 1e-5 * max(1.0, float(b.abs().max()))


class Loop(nn.Module):
    """Residual blocks that no module of their own holds."""

    def __init__(self, depth: int) -> None:
        super().__init__()
        self.stem, self.head = nn.Conv1d(4, 16, 3, padding=1), nn.Linear(16, 3)
        self.inner, self.outer = (
            nn.ModuleList(nn.Conv1d(16, 16, 3, padding=1) for _ in range(depth)) for _ in range(2)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem(x)
        for inner, outer in zip(self.inner, self.outer, strict=True):
            x = x + outer(torch.relu(inner(torch.relu(x))))
        out: torch.Tensor = self.head(x.mean(dim=-1))
        return out


def test_branches_that_cannot_be_measured_are_made_weaker_by_rule_and_named() -> None:
    net = Loop(50)
    x = torch.randn(16, 4, 32, generator=seeded(0))
    report = initialize(net, "spectral", sample=x)
    assert any("50 ends of residual branches made weaker by rule, not measured" in note for note in report.notes)
    assert 1e-2 < propagation(net, x).growth * 16 < 1e4
    encoder = nn.TransformerEncoder(
        nn.TransformerEncoderLayer(16, 2, 32, batch_first=True, norm_first=True, dropout=0.0),
        num_layers=3,
        enable_nested_tensor=False,
    )
    report = initialize(encoder, "spectral", sample=torch.randn(8, 5, 16, generator=seeded(1)))
    assert any("6 ends of residual branches" in note for note in report.notes)


class Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.table, self.layer = nn.Embedding(20, 16), nn.Linear(16, 16)
        self.head = nn.Linear(16, 20, bias=False)
        self.head.weight = self.table.weight

    def forward(self, i: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.head(torch.relu(self.layer(self.table(i))))
        return out


def test_a_weight_that_an_embedding_shares_is_never_zero() -> None:
    i = torch.arange(20)
    net = Tied()
    report = initialize(net, "spectral", sample=i, targets=i)
    assert net.table.weight.abs().min() > 0
    assert any("not that of one linear layer of its own" in note for note in report.notes)


@pytest.mark.parametrize("end", [nn.Sigmoid(), nn.LogSoftmax(dim=1), nn.Softplus()])
def test_a_last_layer_that_something_follows_is_not_solved(end: nn.Module) -> None:
    x, y = two_classes(60)
    net = nn.Sequential(*plain(4, 6), end)
    report = initialize(net, "spectral", sample=x, targets=y)
    assert any(note.startswith("last layer: as the others") for note in report.notes)
    assert all(each.any() for name, each in net.named_parameters() if name.endswith("weight"))


def test_a_norm_that_is_never_called_changes_nothing() -> None:
    x, _ = two_classes(16)
    net = plain(6, 6)
    net[1].register_module("unused", nn.LayerNorm(3))
    report = initialize(net, "spectral", sample=x)
    assert not any("norm layers" in note for note in report.notes)
    assert {row.law for row in report.layers[1:-1]} == {"looks_linear"}


def test_a_parametrized_last_layer_is_left_to_its_parametrization() -> None:
    x = torch.randn(60, 10, generator=seeded(0))
    net = nn.Sequential(nn.Linear(10, 8), nn.ReLU(), nn.utils.parametrizations.spectral_norm(nn.Linear(8, 3)))
    initialize(net, "spectral", sample=x, targets=torch.arange(60) % 3)
    with torch.no_grad():
        assert net(x).isfinite().all()


def test_targets_that_no_output_has_are_refused() -> None:
    x, y = two_classes(60)
    for wrong, said in (
        (y - 1, "labels from 0 to 1"),
        (y + 10, "labels from 0 to 1"),
        (y[:40], "one target an item"),
        (torch.full((60, 2), math.nan), "none that is finite"),
    ):
        with pytest.raises(DataError, match=said):
            initialize(plain(4, 6), "spectral", sample=x, targets=wrong)
    with pytest.raises(DataError, match="unit of each item"):
        initialize(plain(4, 6), "spectral", sample=x, targets=y, groups=[0])
    report = initialize(plain(4, 6), "spectral", sample=x, targets=y.double())
    assert any("not what 2 outputs say" in note for note in report.notes)
    report = initialize(plain(4, 6), "spectral", sample=x, targets=torch.zeros(60, dtype=torch.long))
    assert any("last layer: zero, for that is not clearly below chance" in note for note in report.notes)


def test_samples_that_hold_nothing_are_refused_or_said() -> None:
    with pytest.raises(DataError, match="sample with items"):
        initialize(plain(4, 6), "spectral", sample=torch.zeros(0, 6, 32))
    report = initialize(plain(4, 6), "spectral", sample=torch.zeros(8, 6, 32))
    assert any("the input is zero" in note for note in report.notes)
