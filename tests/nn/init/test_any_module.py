"""Are users' own nets understood: gates, projections, shared and parametrized weights, and what does not fit said?"""

import copy
import math
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations

from sciml.nn.init import METHODS, InitReport, initialize
from sciml.nn.structure import weight_slots

WIDTH = 256
RESIDUAL = ("taki", "balanced", "fixup", "skipinit", "rezero")


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


class Own(nn.Module):
    """A user's own block: m layers, functional ReLU before each of them, or one at the end."""

    def __init__(self, m: int, *, closing: bool = False) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(WIDTH, WIDTH, bias=False) for _ in range(m))
        self.closing = closing

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = x
        for layer in self.layers:
            y = torch.relu(layer(y)) if self.closing else layer(torch.relu(y))
        return x + y


def growth(net: nn.Module, generator: torch.Generator) -> tuple[float, float]:
    x = torch.randn(64, WIDTH, generator=generator).requires_grad_()
    v = torch.randn(64, WIDTH, generator=generator)
    y = net(x)
    (gradient,) = torch.autograd.grad(y, x, v)
    forward = y.detach().square().mean() / x.detach().square().mean()
    return float(forward), float(gradient.square().mean() / v.square().mean())


def mean_growth(
    n_blocks: int, m: int, *, closing: bool = False, n_seeds: int = 3, **options: Any
) -> tuple[float, float]:
    found = []
    for seed in range(n_seeds):
        net = nn.Sequential(*(Own(m, closing=closing) for _ in range(n_blocks)))
        initialize(net, generator=seeded(seed), **options)
        found.append(growth(net, seeded(100 + seed)))
    forward, backward = torch.tensor(found).mean(dim=0).tolist()
    return forward, backward


# Table of section 1.1 of the reference: n = 256, 64 samples, 3 seeds. Blocks, layers, method, growth of signal and
# gradient, relative band: about four standard errors of the mean of three nets.
TABLE = [
    (10, 1, {"method": "taki", "c": 1.0}, 1.05**10, 0.07),
    (50, 1, {"method": "taki", "c": 1.0}, 1.01**50, 0.07),
    (100, 1, {"method": "taki", "c": 1.0}, 1.005**100, 0.07),
    (10, 1, {"method": "taki", "c": 2.0}, 1.1**10, 0.18),
    (50, 1, {"method": "taki", "c": 2.0}, 1.02**50, 0.18),
    (100, 1, {"method": "taki", "c": 2.0}, 1.01**100, 0.18),
    (10, 2, {"method": "taki", "c": 1.0}, 1.0025**10, 0.012),
    (100, 2, {"method": "taki", "c": 1.0}, 1.000025**100, 0.012),
    (10, 2, {"method": "balanced", "c": 2.0}, 1.1**10, 0.2),
    (100, 2, {"method": "balanced", "c": 2.0}, 1.01**100, 0.2),
    (10, 1, {"method": "he"}, 2.0**10, 0.4),
]


@pytest.mark.parametrize(("n_blocks", "m", "options", "expected", "band"), TABLE)
def test_a_users_own_blocks_grow_as_theory_says(
    n_blocks: int, m: int, options: dict[str, Any], expected: float, band: float
) -> None:
    forward, backward = mean_growth(n_blocks, m, **options)
    assert forward == pytest.approx(expected, rel=band)
    assert backward == pytest.approx(expected, rel=band)


@pytest.mark.parametrize(("n_blocks", "signal", "gradient"), [(10, 4.38, 1.66), (50, 84.9, 2.29), (100, 797, 8.7)])
def test_a_closing_relu_breaks_takis_rule_and_the_report_says_so(n_blocks: int, signal: float, gradient: float) -> None:
    forward, backward = mean_growth(n_blocks, 1, closing=True, method="taki", c=1.0)
    assert forward == pytest.approx(signal, rel=0.25)  # measured there with three seeds too
    assert backward == pytest.approx(gradient, rel=0.25)
    net = nn.Sequential(*(Own(1, closing=True) for _ in range(n_blocks)))
    report = initialize(net, "taki", c=1.0)
    (note,) = [note for note in report.notes if "end in relu" in note]
    assert "does not hold" in note
    predicted = float(note.split("multiplied by ")[1].split()[0])
    assert predicted == pytest.approx(signal, rel=0.25)
    assert not any("end in" in note for note in initialize(nn.Sequential(Own(1), Own(1)), "taki").notes)


def test_norms_at_the_end_of_branches_are_said() -> None:
    class Normed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear, self.norm = nn.Linear(8, 8), nn.BatchNorm1d(8)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            out: torch.Tensor = x + self.norm(self.linear(torch.relu(x)))
            return out

    assert "2 branches end in a norm layer" in initialize(nn.Sequential(Normed(), Normed()), "taki").notes[-1]


def test_what_was_asked_for_is_in_the_report() -> None:
    net = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4))
    report = initialize(net, "taki", c=1.0, branches=("0", "2"), forget_bias=2.0)
    assert report.options == {"c": 1.0, "branches": ["0", "2"], "forget_bias": 2.0}
    assert initialize(net, "he").options == {}


def test_he_says_that_it_lets_a_residual_net_grow() -> None:
    net = nn.Sequential(*(Own(1) for _ in range(100)))
    (note,) = initialize(net, "he").notes
    signal, gradient = (float(part.split()[0]) for part in note.split("by ")[1:3])
    assert math.log2(signal) == pytest.approx(100, abs=3)
    assert math.log2(gradient) == pytest.approx(100, abs=3)
    assert "taki" in note
    assert initialize(net, "balanced").notes == ("L = 100 residual branches, c = 2",)
    assert initialize(nn.Sequential(*(Own(1) for _ in range(9))), "he").notes == ()  # 512


def test_plain_nets_that_vanish_or_explode_are_told() -> None:
    deep = nn.Sequential(*(part for _ in range(40) for part in (nn.Linear(32, 32), nn.ReLU())))
    (note,) = initialize(deep, "lecun").notes
    # From the first layer to the last but one 38 factors of one half, each with the relative variance 2 / 32² of one
    # draw: 0.4 of a factor two in all, and three times that.
    assert math.log2(float(note.split("signals by ")[1].split()[0])) == pytest.approx(-38, abs=1.2)
    assert initialize(deep, "he").notes == ()
    saturated = nn.Sequential(*(part for _ in range(60) for part in (nn.Linear(64, 64), nn.Tanh())))
    assert "gradients by" in initialize(saturated, "glorot", gain=5.0 / 3.0 * 1.5).notes[0]
    assert len(initialize(saturated, "critical").notes) == 1


class Everything(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(11, 16, padding_idx=0)
        self.mixer = nn.LSTM(16, 16, 2, batch_first=True, bidirectional=True)
        self.gru = nn.GRU(32, 16, batch_first=True)
        self.attention = nn.MultiheadAttention(16, 4, batch_first=True)
        self.up = nn.ConvTranspose1d(16, 8, 4, stride=2)
        self.normed = parametrizations.weight_norm(nn.Conv1d(8, 16, 3))
        self.shift = nn.Parameter(torch.ones(16))
        self.head = nn.Linear(16, 11, bias=False)
        self.head.weight = self.table.weight

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        x, _ = self.mixer(self.table(tokens))
        x, _ = self.gru(x)
        x = x + self.attention(x, x, x)[0]
        x = torch.relu(self.normed(torch.relu(self.up(x.mT)))).mean(-1)
        out: torch.Tensor = self.head(x + self.shift)
        return out


def everything(method: str) -> tuple[Any, InitReport]:
    torch.manual_seed(0)
    net = Everything()
    tokens = torch.randint(0, 11, (4, 9))
    return net, initialize(net, method, sample=tokens, generator=seeded(0))


def test_gates_projections_and_tables_start_by_rules_of_their_own() -> None:
    net, report = everything("he")
    rows = {row.name: row for row in report.layers}
    recurrent = net.mixer.weight_hh_l0.detach().chunk(4)
    for gate in recurrent:
        torch.testing.assert_close(gate @ gate.T, torch.eye(16), rtol=1e-5, atol=1e-6)
    assert rows["mixer.weight_hh_l1_reverse[cell]"].largest_singular_value == pytest.approx(1.0, rel=1e-5)
    assert rows["mixer.weight_ih_l1[forget]"].sigma_w2 == pytest.approx(2 * 32 / (32 + 16))
    assert rows["attention.in_proj_weight[query]"].sigma_w2 == 1.0
    assert rows["attention.out_proj"].note == "attention: Glorot"
    assert (net.mixer.bias_ih_l0 + net.mixer.bias_hh_l0).tolist() == [0.0] * 16 + [1.0] * 16 + [0.0] * 32
    assert rows["up"].fan_in == 16 * 4 / 2
    assert rows["up"].measured == pytest.approx(2.0, rel=4.5 * math.sqrt(2 / 512))
    assert rows["table"].note == "shares its weight with head"
    assert rows["head"].measured == pytest.approx(2.0, rel=4.5 * math.sqrt(2 / 176))
    assert report.untouched == ("shift",)
    assert report.untouched_fraction == pytest.approx(16 / sum(p.numel() for p in net.parameters()))
    assert "left untouched, 0.1" in report.summary()


def test_forget_bias_is_an_option_and_padding_stays_zero() -> None:
    layer: Any = nn.LSTM(3, 4)
    initialize(layer, "lecun", forget_bias=2.5)
    assert (layer.bias_ih_l0 + layer.bias_hh_l0)[4:8].tolist() == [2.5] * 4
    table = nn.Sequential(nn.Embedding(50, 40, padding_idx=3), nn.Linear(40, 2))
    initialize(table, "he")
    weight: Any = table[0].weight
    assert torch.count_nonzero(weight[3]) == 0
    assert float(weight.detach().square().sum() / 49 / 40) == pytest.approx(1.0, rel=0.15)


@pytest.mark.parametrize("method", [name for name in METHODS if name not in RESIDUAL])
def test_every_method_sets_every_kind_of_layer(method: str) -> None:
    if method == "lsuv":
        pytest.skip("of tokens: in the grid of convolutional nets")
    net, report = everything(method)
    again, same = everything(method)
    assert report == same
    assert {row.name for row in report.layers} == {slot.name for slot in weight_slots(net)}
    assert all(torch.equal(a, b) for a, b in zip(net.parameters(), again.parameters(), strict=True))
    for row in report.layers:
        if row.law not in ("kept", "uniform"):
            assert row.measured == pytest.approx(row.sigma_w2, rel=0.75), row
    assert torch.isfinite(net(torch.randint(0, 11, (2, 9)))).all()


@pytest.mark.parametrize("dim", [0, 1])
@pytest.mark.filterwarnings("ignore:`torch.nn.utils.weight_norm` is deprecated")
def test_weight_norm_is_set_through_both_of_its_forms(dim: int) -> None:
    for wrap in (parametrizations.weight_norm, nn.utils.weight_norm):
        plain: Any = nn.Linear(20, 30)
        normed: Any = wrap(nn.Linear(20, 30), dim=dim)
        for net in (plain, normed):
            initialize(nn.Sequential(net, nn.ReLU(), nn.Linear(30, 2)), "he", generator=seeded(1))
        x = torch.randn(5, 20)
        torch.testing.assert_close(normed(x), plain(x), rtol=1e-5, atol=1e-6)


def test_wrapped_nets_are_set_inside() -> None:
    plain, wrapped = (nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 2)) for _ in range(2))
    assert initialize(plain, "he") == initialize(nn.DataParallel(wrapped), "he")
    compiled: Any = nn.Sequential()
    object.__setattr__(compiled, "_orig_mod", wrapped)  # what torch.compile returns holds the net by this name
    assert initialize(plain, "lecun") == initialize(compiled, "lecun")
    assert all(torch.equal(a, b) for a, b in zip(plain.parameters(), wrapped.parameters(), strict=True))


def test_projections_of_their_own_sizes_and_one_bias() -> None:
    layer: Any = nn.MultiheadAttention(8, 2, kdim=3, vdim=5)
    nn.init.ones_(layer.in_proj_bias)
    report = initialize(layer, "he", sample=(torch.randn(4, 1, 8), torch.randn(6, 1, 3), torch.randn(6, 1, 5)))
    assert torch.count_nonzero(layer.in_proj_bias) == 0
    assert report.untouched == ()
    assert [row.sigma_w2 for row in report.layers] == [1.0, 2 * 3 / 11, 2 * 5 / 13, 1.0]


def test_a_single_tap_with_a_stride_is_said() -> None:
    net = nn.Sequential(nn.Conv1d(3, 8, 5, stride=2), nn.Tanh(), nn.Conv1d(8, 8, 3))
    assert "reads one position a stride and no other: 0" in initialize(net, "delta_orthogonal").notes[0]
    assert initialize(net, "orthogonal").notes == ()


def test_a_weight_norm_of_zero_is_zero_and_learns() -> None:
    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = parametrizations.weight_norm(nn.Linear(8, 8))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            out: torch.Tensor = x + self.linear(torch.relu(x))
            return out

    net = nn.Sequential(Block(), Block())
    report = initialize(net, "fixup")
    assert [row.measured for row in report.layers] == [0.0, 0.0]
    x = torch.randn(3, 8)
    torch.testing.assert_close(net(x), x)
    net(x).square().sum().backward()
    gradients = [each.grad for each in net.parameters() if each.grad is not None]
    assert all(torch.isfinite(each).all() for each in gradients)
    assert any(torch.count_nonzero(each) for each in gradients)


def test_parametrizations_that_change_the_weight_are_said() -> None:
    net = nn.Sequential(parametrizations.spectral_norm(nn.Linear(8, 8)), nn.ReLU(), nn.Linear(8, 8))
    report = initialize(net, "he")
    assert "its parametrization changes what is set" in report.layers[0].note
    assert report.layers[0].measured != pytest.approx(2.0, rel=0.05)


def permuted(net: nn.Sequential, generator: torch.Generator) -> nn.Sequential:
    """The same net with its hidden units in another order."""
    other = copy.deepcopy(net)
    order = torch.arange(12)
    for old, new in zip(net, other, strict=True):
        if isinstance(old, nn.Linear) and isinstance(new, nn.Linear):
            rows = torch.randperm(old.out_features, generator=generator)
            rows = rows if old is not net[-1] else torch.arange(old.out_features)
            with torch.no_grad():
                new.weight.copy_(old.weight[rows][:, order])
                new.bias.copy_(old.bias[rows])
            order = rows
    return other


@pytest.mark.parametrize("width", [40, 160])
def test_permuting_units_leaves_the_report_unchanged(width: int) -> None:
    def parts() -> Iterator[nn.Module]:
        yield nn.Linear(12, width)
        for _ in range(3):
            yield from (nn.ReLU(), nn.Linear(width, width))

    net = nn.Sequential(*parts(), nn.ReLU(), nn.Linear(width, 4)).double()
    initialize(net, "he")
    x = torch.randn(32, 12, dtype=torch.float64)
    other = permuted(net, seeded(0))
    torch.testing.assert_close(net(x), other(x))
    before, after = (initialize(each, "default", sample=x) for each in (net, other))
    assert before.notes == after.notes
    for a, b in zip(before.layers, after.layers, strict=True):
        plain_a, plain_b = ({**vars(row)} for row in (a, b))
        for key in ("largest_singular_value", "measured", "preactivation"):
            assert plain_a.pop(key) == pytest.approx(plain_b.pop(key), rel=1e-6)
        assert plain_a == plain_b
