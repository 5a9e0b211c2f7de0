"""Does a trace find what users' own nets do, and leave nothing behind?"""

from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn
from torch.utils.checkpoint import checkpoint

from sciml.errors import ConfigError
from sciml.nn.models import Residual, build
from sciml.nn.structure import Activation, structure


def name(activation: Activation | None) -> str:
    return activation.name if activation else ""


def applied(function: Any) -> nn.Module:
    class Applied(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            out: torch.Tensor = function(x)
            return out

    return Applied()


def of_activation(activation: nn.Module) -> Activation:
    found = structure(nn.Sequential(nn.Linear(4, 4), activation, nn.Linear(4, 4)))
    first, second = (found.layer(each) for each in ("0", "2"))
    assert first.activation is not None
    assert first.activation == second.reads
    assert (first.reads_input, first.gives_output) == (True, False)
    assert (second.reads_input, second.gives_output) == (False, True)
    return first.activation


ACTIVATION_NAMES = ("relu", "gelu", "elu", "hardtanh", "sin", "tanh", "exp")


class Rectify(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:  # noqa: ARG004
        return x.clamp(min=0.0)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> torch.Tensor:  # noqa: ARG004
        return gradient


ACTIVATIONS: list[tuple[Any, str, Any]] = [
    (nn.ReLU(inplace=True), "relu", lambda x: np.maximum(x, 0)),
    (applied(F.relu), "relu", lambda x: np.maximum(x, 0)),
    (applied(lambda x: x.clone().relu_()), "relu", lambda x: np.maximum(x, 0)),
    (applied(lambda x: torch.where(x > 0, x, 0.2 * x)), "leaky_relu", lambda x: np.where(x > 0, x, 0.2 * x)),
    (applied(lambda x: torch.maximum(x, 0.3 * x)), "leaky_relu", lambda x: np.where(x > 0, x, 0.3 * x)),
    (applied(Rectify.apply), "relu", lambda x: np.maximum(x, 0)),
    (nn.LeakyReLU(0.3), "leaky_relu", lambda x: np.where(x > 0, x, 0.3 * x)),
    (nn.PReLU(init=0.1), "leaky_relu", lambda x: np.where(x > 0, x, 0.1 * x)),
    (nn.Tanh(), "tanh", np.tanh),
    (applied(torch.tanh), "tanh", np.tanh),
    (applied(lambda x: x.tanh()), "tanh", np.tanh),
    (applied(lambda x: x * torch.sigmoid(x)), "silu", lambda x: x / (1 + np.exp(-x))),
    (applied(F.silu), "silu", lambda x: x / (1 + np.exp(-x))),
    (nn.GELU(), "gelu", None),
    (nn.GELU(approximate="tanh"), "", None),
    (nn.ELU(0.5), "", lambda x: np.where(x > 0, x, 0.5 * np.expm1(x))),
    (nn.SELU(), "selu", None),
    (nn.Hardtanh(-1, 1), "hardtanh", lambda x: np.clip(x, -1, 1)),
    (nn.Hardtanh(-2, 1), "", lambda x: np.clip(x, -2, 1)),
    (nn.Mish(), "mish", None),
    (nn.Hardswish(), "hardswish", None),
    (nn.Softsign(), "softsign", lambda x: x / (1 + np.abs(x))),
    (applied(torch.sin), "sin", np.sin),
    (applied(lambda x: torch.sin(30 * x)), "", lambda x: np.sin(30 * x)),
    (applied(lambda x: x + torch.sin(x) ** 2), "", lambda x: x + np.sin(x) ** 2),
    (applied(lambda x: F.elu(x) + 1), "", lambda x: np.where(x > 0, x + 1.0, np.exp(x))),
    (applied(lambda x: 1.7 * torch.tanh(x)), "", lambda x: 1.7 * np.tanh(x)),
    (applied(lambda x: torch.exp(-(x**2))), "", lambda x: np.exp(-(x**2))),
    (nn.Sequential(nn.Dropout(0.5), nn.ReLU(), nn.Dropout(0.5)), "relu", None),
]


@pytest.mark.parametrize(("module", "expected", "function"), ACTIVATIONS, ids=[str(i) for i in range(len(ACTIVATIONS))])
def test_activations_are_found_whoever_wrote_them(module: nn.Module, expected: str, function: Any) -> None:
    found = of_activation(module)
    assert found.name == expected if expected else found.name not in ACTIVATION_NAMES
    x = np.linspace(-3.0, 3.0, 41)
    reference = function(x) if function else module.eval()(torch.from_numpy(x)).detach().numpy()
    np.testing.assert_allclose(found(x), reference, rtol=1e-7, atol=1e-12)
    h = 1e-6
    inner = np.abs(x - np.round(x)) > 0.01  # kinks are at whole numbers
    np.testing.assert_allclose(
        found.derivative(x)[inner], ((found(x + h) - found(x - h)) / (2 * h))[inner], rtol=1e-6, atol=1e-7
    )


def test_functions_of_one_form_and_other_constants_are_not_equal() -> None:
    first, second, third = (of_activation(applied(lambda x, w=w: x + torch.sin(w * x))) for w in (1.0, 3.0, 1.0))
    assert first != second
    assert hash(first) != hash(second)
    assert first == third
    assert first.__name__ == first.name


def test_slopes_of_what_is_linear_on_both_sides() -> None:
    assert of_activation(nn.LeakyReLU(0.3)).slope == 0.3
    assert of_activation(nn.ReLU()).slope == 0.0
    assert of_activation(nn.ELU()).slope is None


class Block(nn.Module):
    """Post-activation block with an optional projection, functional activations and an addition in place."""

    def __init__(self, n_in: int, n_out: int, stride: int = 1) -> None:
        super().__init__()
        self.first, self.norm1 = nn.Conv2d(n_in, n_out, 3, stride, 1), nn.BatchNorm2d(n_out)
        self.second, self.norm2 = nn.Conv2d(n_out, n_out, 3, 1, 1), nn.BatchNorm2d(n_out)
        self.skip = nn.Conv2d(n_in, n_out, 1, stride) if n_in != n_out else None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        skip = x if self.skip is None else self.skip(x)
        out = self.norm2(self.second(F.relu(self.norm1(self.first(x)), inplace=True)))
        out += skip
        return F.relu(out)


class Scaled(nn.Module):
    """x + g relu(W x), closed by its activation and multiplied by a parameter."""

    def __init__(self) -> None:
        super().__init__()
        self.linear, self.gain = nn.Linear(8, 8), nn.Parameter(torch.zeros(1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.gain * torch.relu(self.linear(x))


class Checkpointed(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.gamma = nn.Linear(8, 16), nn.Linear(16, 8), nn.Parameter(torch.ones(8))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = checkpoint(self.body, x, use_reentrant=False)
        return out

    def body(self, x: torch.Tensor) -> torch.Tensor:
        return torch.add(x, self.gamma * self.b(F.gelu(self.a(x))), alpha=0.5)


class Looped(nn.Module):
    """Residual steps in the forward of the net itself, at random left out in training."""

    def __init__(self) -> None:
        super().__init__()
        self.layers, self.head = nn.ModuleList(nn.Linear(8, 8) for _ in range(3)), nn.Linear(8, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for layer in self.layers:
            if not self.training or torch.rand(()) < 0.5:
                x = x + 0.1 * layer(torch.tanh(x))
        out: torch.Tensor = self.head(torch.tanh(x))
        return out


class Parallel(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.f, self.g = nn.Linear(8, 8), nn.Linear(8, 8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = x + self.f(torch.tanh(x)) + self.g(torch.tanh(x))
        return out


class HandWrittenRNN(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner, self.recurrent, self.head = nn.Linear(3, 8), nn.Linear(8, 8), nn.Linear(8, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = torch.zeros(x.shape[0], 8)
        for step in x.unbind(1):
            h = torch.tanh(self.inner(step) + self.recurrent(h))
        out: torch.Tensor = self.head(h)
        return out


class Gated(nn.Module):
    """SwiGLU: a product of two layers is no activation, and its addition is a residual branch."""

    def __init__(self) -> None:
        super().__init__()
        self.norm, self.a, self.b, self.c = nn.LayerNorm(8), nn.Linear(8, 16), nn.Linear(8, 16), nn.Linear(16, 8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.norm(x)
        out: torch.Tensor = x + self.c(F.silu(self.a(y)) * self.b(y))
        return out


class Conditioned(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.t, self.b = nn.Linear(8, 8), nn.Linear(3, 8), nn.Linear(8, 8)

    def forward(self, x: torch.Tensor, c: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = x + self.b(F.silu(self.a(x) + self.t(c)))
        return out


def test_post_activation_blocks_with_and_without_projection() -> None:
    net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), Block(8, 8), Block(8, 16, 2), nn.Flatten())
    found = structure(net, torch.randn(2, 3, 12, 12))
    first, second = found.branches
    assert (first.layers, first.depth, first.last) == (("2.first", "2.second"), 2, ("2.second",))
    assert (name(first.closing), name(first.after)) == ("", "relu")
    assert first.norms == ("2.norm1", "2.norm2")
    assert first.normed_end
    assert not first.normed_after
    assert (first.shortcut, second.shortcut) == ((), ("3.skip",))
    skip = found.layer("3.skip")
    assert skip.shortcut
    assert (skip.branch, name(skip.reads)) == (None, "relu")
    assert found.layer("2.first").norm == "2.norm1"
    assert [step.kind for step in found.steps] == [
        "affine",
        "activation",
        "branch",
        "activation",
        "branch",
        "activation",
    ]
    assert [step.kind for step in found.steps[4].shortcut] == ["affine"]


def test_scale_parameters_and_a_closing_activation() -> None:
    found = structure(nn.Sequential(Scaled(), Scaled(), nn.Linear(8, 2)))
    assert [branch.scale for branch in found.branches] == [("0.gain",), ("1.gain",)]
    assert {name(branch.closing) for branch in found.branches} == {"relu"}
    # a factor that is a parameter is no part of the activation: zero would make it nothing
    activation = found.layer("0.linear").activation
    assert activation is not None
    assert activation(np.array([2.0])) == 2.0


def test_constants_gains_of_channels_and_checkpoints() -> None:
    found = structure(nn.Sequential(Checkpointed(), Checkpointed()))
    assert [branch.scale for branch in found.branches] == [("0.gamma",), ("1.gamma",)]
    assert {branch.constant for branch in found.branches} == {0.5}
    assert name(found.layer("0.a").activation) == "gelu"
    loop = structure(Looped().train())
    assert [branch.layers for branch in loop.branches] == [("layers.0",), ("layers.1",), ("layers.2",)]
    assert {branch.constant for branch in loop.branches} == {0.1}
    assert loop.layer("layers.2").branch == "layers.2"


def test_parallel_branches_are_branches_each() -> None:
    found = structure(nn.Sequential(Parallel(), Parallel()))
    assert [branch.layers for branch in found.branches] == [("0.f",), ("0.g",), ("1.f",), ("1.g",)]
    assert {len(found.siblings(branch)) for branch in found.branches} == {4}


def test_nested_branches_know_their_parent_and_count_by_stream() -> None:
    inner = [Residual(nn.Sequential(nn.ReLU(), nn.Linear(8, 8))) for _ in range(2)]
    net = nn.Sequential(*(Residual(nn.Sequential(nn.Linear(8, 8), *inner, nn.Linear(8, 8))) for _ in range(1)))
    found = structure(net)
    outer = found.branch("0.branch")
    assert outer is not None
    assert (outer.depth, outer.parent, len(found.siblings(outer))) == (4, None, 1)
    nested = found.branch_of("0.branch.1.branch.1")
    assert nested is not None
    assert (nested.parent, len(found.siblings(nested))) == ("0.branch", 2)


def test_what_is_no_residual_branch() -> None:
    assert structure(HandWrittenRNN(), torch.randn(2, 5, 3)).branches == ()

    class Sum(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Linear(4, 4), nn.Linear(4, 4)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            out: torch.Tensor = self.a(x) + self.b(x)
            return out

    assert structure(Sum()).branches == ()
    assert structure(nn.Sequential(nn.Linear(4, 4), applied(lambda x: x + torch.sin(x)))).branches == ()


def test_gates_and_conditions() -> None:
    found = structure(nn.Sequential(Gated(), Gated()))
    assert [branch.layers for branch in found.branches] == [("0.a", "0.b", "0.c"), ("1.a", "1.b", "1.c")]
    assert {branch.depth for branch in found.branches} == {2}
    assert (name(found.layer("0.a").activation), name(found.layer("0.b").activation)) == ("silu", "")
    assert found.steps == ()
    assert "mul of 1 has 2 inputs" in found.notes[-1]
    (branch,) = structure(Conditioned(), (torch.randn(2, 8), torch.randn(2, 3))).branches
    assert branch.layers == ("a", "b")


class WaveNet(nn.Module):
    """Gated residual steps whose parts are split off one layer's output, and sums of the other parts."""

    def __init__(self) -> None:
        super().__init__()
        self.gates = nn.ModuleList(nn.Conv1d(8, 16, 3, padding=2**i, dilation=2**i) for i in range(3))
        self.outs = nn.ModuleList(nn.Conv1d(8, 16, 1) for _ in range(3))
        self.stem, self.head = nn.Conv1d(1, 8, 1), nn.Conv1d(8, 1, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x, total = self.stem(x), torch.zeros(())
        for gate, out in zip(self.gates, self.outs, strict=True):
            a, b = gate(x).chunk(2, 1)
            step, skip = out(torch.tanh(a) * torch.sigmoid(b)).chunk(2, 1)
            x, total = x + step, total + skip
        found: torch.Tensor = self.head(F.relu(total))
        return found


class Backcast(nn.Module):
    """x minus what a block explains of it, and a sum of forecasts beside."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(nn.Sequential(nn.Linear(10, 16), nn.ReLU(), nn.Linear(16, 14)) for _ in range(3))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        total = torch.zeros(())
        for block in self.blocks:
            y = block(x)
            x, total = x - y[:, :10], total + y[:, 10:]
        return total


class RMS(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(8))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6) * self.weight


def test_parts_of_one_layer_are_no_block_and_differences_are() -> None:
    # The last step of both feeds nothing; what it adds to the sum is no residual branch.
    wave = structure(WaveNet())
    assert [branch.layers for branch in wave.branches] == [("gates.0", "outs.0"), ("gates.1", "outs.1")]
    back = structure(Backcast())
    assert [branch.layers for branch in back.branches] == [("blocks.0.0", "blocks.0.2"), ("blocks.1.0", "blocks.1.2")]


def test_factors_in_the_addition_itself_and_linear_maps_in_two_parts() -> None:
    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear, self.gain = nn.Linear(8, 8), nn.Parameter(torch.ones(8))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.addcmul(x, self.gain, self.linear(torch.relu(x.detach())))

    assert structure(nn.Sequential(Scaled(), nn.Linear(8, 8))).branches[0].scale == ("0.gain",)

    class LowRankUpdate(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.whole, self.down, self.up = nn.Linear(8, 8), nn.Linear(8, 2), nn.Linear(2, 8)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            out: torch.Tensor = self.whole(x) + 0.5 * self.up(self.down(x))
            return out

    assert structure(nn.Sequential(LowRankUpdate(), nn.ReLU(), nn.Linear(8, 8))).branches == ()


def test_norms_of_users_own_are_found_by_what_they_do() -> None:
    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm, self.linear = RMS(), nn.Linear(8, 8)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            out: torch.Tensor = x + self.linear(torch.relu(self.norm(x)))
            return out

    found = structure(nn.Sequential(nn.Linear(4, 8), Block(), Block(), RMS(), nn.Linear(8, 3)))
    assert [branch.norms for branch in found.branches] == [("1.norm",), ("2.norm",)]
    assert [step.kind for step in found.steps] == ["affine", "branch", "branch", "norm", "affine"]
    assert [name(layer.activation) for layer in found.layers] == ["relu", "", "", ""]
    pool = structure(nn.Sequential(nn.Linear(4, 8), applied(lambda x: x - x.mean(-1, keepdim=True)), nn.Linear(8, 3)))
    assert {layer.norm for layer in pool.layers} == {""}  # a mean taken away is no norm


def test_a_table_of_positions_is_a_layer_but_no_step_of_the_stream() -> None:
    class Tokens(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.tokens, self.positions, self.head = nn.Embedding(9, 8), nn.Embedding(32, 8), nn.Linear(8, 9)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            out: torch.Tensor = self.head(self.tokens(x) + self.positions(torch.arange(x.shape[1])))
            return out

    found = structure(Tokens())
    assert [layer.name for layer in found.layers] == ["tokens", "positions", "head"]
    assert found.layer("head").sources == ("tokens", "positions")
    assert [layer.reads_input for layer in found.layers] == [True, False, False]


def encoder(*, norm_first: bool) -> nn.Module:
    return nn.TransformerEncoderLayer(16, 2, 32, batch_first=True, norm_first=norm_first)


BRANCHED: list[tuple[nn.Module, Any]] = [
    (nn.Sequential(nn.Conv2d(3, 8, 3), Block(8, 8), Block(8, 16, 2)), torch.randn(2, 3, 12, 12)),
    (nn.Sequential(Scaled(), Scaled()), torch.randn(2, 8)),
    (nn.Sequential(Checkpointed(), Checkpointed()), torch.randn(2, 8)),
    (Looped(), torch.randn(2, 8)),
    (nn.Sequential(Parallel(), Parallel()), torch.randn(2, 8)),
    (nn.Sequential(Gated(), Gated()), torch.randn(2, 8)),
    (Conditioned(), (torch.randn(2, 8), torch.randn(2, 3))),
    (WaveNet(), torch.randn(2, 1, 30)),
    (nn.Sequential(encoder(norm_first=True), encoder(norm_first=False)), torch.randn(2, 5, 16)),
]


@pytest.mark.parametrize(("net", "sample"), BRANCHED, ids=lambda each: type(each).__name__)
def test_with_its_last_layers_at_zero_a_branch_says_nothing(net: nn.Module, sample: Any) -> None:
    """What a branch is, by what it does: nothing inside matters once its last layers, or its factors, are zero."""
    arguments = sample if isinstance(sample, tuple) else (sample,)
    found = structure(net.eval(), sample)
    assert found.branches
    last = {name for branch in found.branches for name in branch.last}
    with torch.no_grad():
        for layer in found.layers:
            if layer.name in last:
                layer.slot.write(torch.zeros_like(layer.slot.weight))
                layer.slot.write_bias(0.0)
        before = net(*arguments)
        for branch in found.branches:
            for each in set(branch.layers) - last:
                slot = found.layer(each).slot
                slot.write(torch.randn(slot.weight.shape))
        torch.testing.assert_close(net(*arguments), before)


@pytest.mark.parametrize("norm_first", [False, True])
def test_transformers(norm_first: bool) -> None:
    make: Any = lambda: nn.TransformerEncoderLayer(16, 2, 32, batch_first=True, norm_first=norm_first)  # noqa: E731
    found = structure(nn.Sequential(make(), make()).eval(), torch.randn(2, 5, 16))
    assert len(found.branches) == 4
    attention, feedforward = found.branches[:2]
    assert len(attention.layers) == 4
    assert (attention.depth, attention.last) == (2, ("0.self_attn.out_proj",))
    assert (feedforward.layers, feedforward.last) == (("0.linear1", "0.linear2"), ("0.linear2",))
    assert name(found.layer("0.linear1").activation) == "relu"
    # in a pre-norm net the stream goes on beside the norm
    assert {branch.normed_after for branch in found.branches[:3]} == {not norm_first}
    assert found.steps


def test_tied_weights_are_used_where_they_run() -> None:
    class Language(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table, self.mixer = nn.Embedding(10, 16), nn.LSTM(16, 16, 2, batch_first=True)
            self.head = nn.Linear(16, 10, bias=False)
            self.head.weight = self.table.weight

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y, _ = self.mixer(self.table(x))
            out: torch.Tensor = self.head(torch.tanh(y))
            return out

    found = structure(Language())
    assert (found.layers[0].name, found.layers[-1].name) == ("table", "head")
    assert (found.layers[0].reads_input, found.layers[-1].gives_output) == (True, True)
    assert len(found.layers) == 18


def test_unused_layers_come_last_and_are_named() -> None:
    net = build("fcn", n_channels=3, n_times=20, n_outputs=2, width=8)
    net[-1].register_module("spare", nn.Linear(3, 3))  # type: ignore[index]
    found = structure(net)
    assert found.layers[-1].uses == 0
    assert any("never called: head.spare" in note for note in found.notes)


@pytest.mark.parametrize("length", [37, 60])
def test_a_batch_is_made_up_for_a_net_of_one_length(length: int) -> None:
    layers = nn.Sequential(nn.Conv1d(3, 6, 3, padding=1), nn.ReLU(), nn.Conv1d(6, 4, 3, padding=1), nn.ReLU())
    assert structure(nn.Sequential(*layers, nn.Flatten(), nn.Linear(4 * length, 2))).traced
    pooled = nn.Sequential(*layers, nn.MaxPool1d(2), nn.MaxPool1d(2), nn.Flatten(), nn.Linear(4 * (length // 4), 2))
    assert structure(pooled).traced


def test_without_a_batch_that_fits_modules_tell_what_they_can() -> None:
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), Residual(nn.Sequential(nn.Tanh(), nn.Linear(4, 4))))

        def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
            return self.body(x) * y

    found = structure(Two())
    assert not found.traced
    assert "not traced" in found.notes[0]
    assert [name(layer.activation) for layer in found.layers] == ["relu", ""]
    assert [branch.name for branch in found.branches] == ["body.2.branch"]
    traced = structure(Two(), (torch.randn(2, 4), torch.randn(2, 4)))
    assert traced.traced
    assert [branch.layers for branch in traced.branches] == [branch.layers for branch in found.branches]
    assert structure(Two(), {"x": torch.randn(2, 4), "y": torch.randn(2, 4)}).traced


def test_a_pass_that_cannot_be_recorded_is_no_error() -> None:
    class Stubborn(nn.Module):
        """Runs, but not where its functions are recorded."""

        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(4, 4)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            if torch.overrides._get_current_function_mode() is not None:
                raise RuntimeError("no modes here")
            out: torch.Tensor = self.linear(x)
            return out

    found = structure(nn.Sequential(Stubborn(), nn.ReLU(), nn.Linear(4, 2)), torch.randn(2, 4))
    assert not found.traced
    assert "cannot be recorded (no modes here)" in found.notes[0]
    assert [name(layer.activation) for layer in found.layers] == ["relu", ""]


def test_a_trace_leaves_nothing_behind() -> None:
    net = nn.Sequential(nn.Conv1d(3, 8, 3), nn.BatchNorm1d(8), nn.Dropout(), nn.ReLU(), nn.Flatten(), nn.Linear(48, 2))
    net[1].eval()
    state = {key: value.clone() for key, value in net.state_dict().items()}
    modes, random = [module.training for module in net.modules()], torch.get_rng_state()
    structure(net, torch.randn(4, 3, 8, generator=torch.Generator().manual_seed(0)))
    assert all(torch.equal(value, state[key]) for key, value in net.state_dict().items())
    assert [module.training for module in net.modules()] == modes
    assert torch.equal(torch.get_rng_state(), random)
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in net.modules())
    assert all(parameter.grad is None for parameter in net.parameters())
    with pytest.raises(RuntimeError):
        structure(net, torch.randn(4, 5, 8))
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in net.modules())


def test_nets_without_layers_and_lazy_nets_are_refused() -> None:
    with pytest.raises(ConfigError, match="without any"):
        structure(nn.ReLU())
    with pytest.raises(ConfigError, match="lazy"):
        structure(nn.Sequential(nn.LazyLinear(3)))
    with pytest.raises(ConfigError, match="'nine'"):
        structure(nn.Linear(3, 3), branches=["nine"])
