"""Is every weight of a net found, as the matrix that acts on the signal, and is the rest listed?"""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations, prune

from sciml.errors import CheckpointError, ConfigError, DataError
from sciml.nn.structure import weight_slots
from sciml.spectra.matrices import Matrices, matrices


def drawn(layer: nn.Module) -> nn.Module:
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for each in layer.parameters():
            each.copy_(torch.randn(each.shape, generator=generator))
    return layer


class Attention(nn.Module):
    """An attention of its own, with fewer heads of keys and values than of queries."""

    def __init__(self) -> None:
        super().__init__()
        self.num_heads, self.num_kv_heads = 4, 2
        self.q_proj, self.k_proj, self.v_proj = nn.Linear(16, 16), nn.Linear(16, 8), nn.Linear(16, 8)
        self.o_proj = nn.Linear(16, 16)


class Others(nn.Module):
    """Parameters of a module that is of no known type."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.randn(5, 7))
        self.position = nn.Parameter(torch.randn(1, 5, 7))
        self.token = nn.Parameter(torch.randn(1, 1, 7))
        self.experts = nn.Parameter(torch.randn(3, 4, 5))
        self.scale = nn.Parameter(torch.randn(7))
        self.norm = nn.LayerNorm((4, 5))


# Layers whose state dict tells as much as the layer itself.
TOLD: dict[str, Callable[[], nn.Module]] = {
    "linear": lambda: nn.Sequential(nn.Linear(3, 4)),
    "conv1d": lambda: nn.Sequential(nn.Conv1d(6, 8, 5, stride=2, dilation=3)),
    "conv3d": lambda: nn.Sequential(nn.Conv3d(2, 4, (1, 2, 3))),
    "transposed": lambda: nn.Sequential(nn.ConvTranspose1d(4, 6, 5)),
    "transposed, grouped": lambda: nn.Sequential(nn.ConvTranspose2d(4, 6, 3, groups=2)),
    "lstm": lambda: nn.Sequential(nn.LSTM(3, 5, 2, bidirectional=True)),
    "lstm, projected": lambda: nn.Sequential(nn.LSTM(3, 5, proj_size=2)),
    "gru": lambda: nn.Sequential(nn.GRU(3, 5)),
    "rnn": lambda: nn.Sequential(nn.RNN(3, 5)),
    "cell": lambda: nn.Sequential(nn.LSTMCell(3, 5)),
    "attention": lambda: nn.Sequential(nn.MultiheadAttention(8, 1)),
    "attention of other sizes": lambda: nn.Sequential(nn.MultiheadAttention(8, 1, kdim=3, vdim=5)),
    "weight norm": lambda: nn.Sequential(parametrizations.weight_norm(nn.Conv1d(2, 3, 4))),
    "weight norm of columns": lambda: nn.Sequential(parametrizations.weight_norm(nn.Linear(4, 3), dim=1)),
    "weight norm of all": lambda: nn.Sequential(
        parametrizations.weight_norm(nn.Linear(4, 3), dim=None)  # type: ignore[arg-type]
    ),
    "weight norm of a gate": lambda: nn.Sequential(parametrizations.weight_norm(nn.LSTM(3, 5), "weight_hh_l0")),
    "spectral norm": lambda: nn.Sequential(parametrizations.spectral_norm(nn.Linear(4, 3))),
    "spectral norm, transposed": lambda: nn.Sequential(parametrizations.spectral_norm(nn.ConvTranspose1d(4, 3, 2))),
}


@pytest.mark.parametrize("name", TOLD)
def test_module_and_state_dict_give_the_same_matrices(name: str) -> None:
    net = drawn(TOLD[name]())
    by_module, by_state = matrices(net), matrices(net.state_dict())
    whole = [each for each in by_module if not each.derived]
    assert [each.name for each in by_state] == [each.name for each in whole]
    for one, other in zip(whole, by_state, strict=True):
        assert one.matrix_shape == other.matrix_shape
        assert one.shape == other.shape
        assert one.part == other.part
        assert one.n_parameters == other.n_parameters
        torch.testing.assert_close(one.values(), other.values())
    assert by_module.left_out == by_state.left_out == ()
    assert by_module.n_parameters == by_state.n_parameters == sum(each.numel() for each in net.parameters())


@pytest.mark.parametrize("name", TOLD)
def test_every_stored_number_is_counted_once(name: str) -> None:
    net = TOLD[name]()
    vectors = sum(each.numel() for key, each in net.named_parameters() if "bias" in key)
    found = matrices(net)
    assert sum(each.n_parameters for each in found) == found.n_parameters - vectors
    assert found.coverage == pytest.approx(1 - vectors / found.n_parameters)


@pytest.mark.parametrize("name", TOLD)
def test_values_are_those_of_the_slots(name: str) -> None:
    net = drawn(TOLD[name]())
    net.eval()  # in which a slot forms a spectral norm without a step
    slots = {slot.name: slot for slot in weight_slots(net)}
    for each in matrices(net):
        if not each.derived:
            torch.testing.assert_close(each.values(), slots[each.name].weight.detach().flatten(1))
            torch.testing.assert_close(each.blocks(), slots[each.name].blocks())
            assert each.fan_in == slots[each.name].fan_in


def test_gates_are_named_and_split() -> None:
    found = matrices(nn.Sequential(nn.LSTM(3, 5)))
    assert [each.part for each in found] == [
        f"{gate} gate, {side}" for side in ("input", "hidden") for gate in ("input", "forget", "cell", "output")
    ]
    assert {each.matrix_shape for each in found} == {(5, 3), (5, 5)}


def named(found: Matrices, part: str) -> torch.Tensor:
    (value,) = [each.values() for each in found if each.part == part]
    return value.double()


def test_products_of_a_head_are_those_in_which_it_acts() -> None:
    net = drawn(nn.MultiheadAttention(8, 2, bias=False, batch_first=True)).double()
    found = matrices(net)
    x = torch.randn(1, 6, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        expected, _ = net(x, x, x)
    total = torch.zeros_like(x[0])
    for head in range(2):
        scores = x[0] @ named(found, f"QK, head {head}") @ x[0].mT / math.sqrt(4)
        total += scores.softmax(-1) @ x[0] @ named(found, f"OV, head {head}").mT
    torch.testing.assert_close(total, expected[0])


def test_heads_share_keys_and_values_where_there_are_fewer() -> None:
    attention: Any = drawn(Attention())
    found = matrices(nn.ModuleDict({"attention": attention}))
    weights = {name: each.weight.detach() for name, each in attention.named_children()}
    for head in range(4):
        query = weights["q_proj"][4 * head : 4 * head + 4].double()
        key = weights["k_proj"][4 * (head // 2) : 4 * (head // 2) + 4].double()
        torch.testing.assert_close(named(found, f"QK, head {head}"), query.mT @ key)
    assert sum(each.part.startswith("key, head") for each in found) == 2
    assert [each.part for each in found if not each.derived] == ["query", "key", "value", "output"]
    assert all(each.n_parameters == 0 for each in found if each.derived)
    product = next(each for each in found if each.part == "OV, head 1")
    assert product.rank_limit == 4
    assert product.factors is not None
    left, right = product.factors()
    torch.testing.assert_close(left @ right, product.values())


@pytest.mark.parametrize("heads", [3, 5])
def test_heads_that_do_not_divide_the_projections_are_not_shown(heads: int) -> None:
    net = Attention()
    net.num_heads = heads
    assert not any(each.derived for each in matrices(net))


def test_packed_projections_are_split() -> None:
    for key, shape in (("a.qkv.weight", (24, 8)), ("a.c_attn.weight", (8, 24))):
        weight = torch.randn(shape, generator=torch.Generator().manual_seed(0))
        found = matrices({key: weight, "a.proj.weight": torch.randn(8, 8)})
        assert [each.part for each in found] == ["query", "key", "value", "output"]
        rows = weight if shape[0] > shape[1] else weight.mT
        assert torch.equal(torch.cat([each.values() for each in found][:3]), rows)


def test_what_is_no_matrix_is_listed_with_the_reason() -> None:
    found = matrices(Others())
    assert [each.name for each in found] == ["table", "position"]
    assert found["position"].matrix_shape == (5, 7)
    reasons = {each.name: each.reason for each in found.left_out}
    assert reasons.keys() == {"token", "experts", "norm.weight", "norm.bias"}
    assert "vector" in reasons["token"]
    assert "3 dims" in reasons["experts"]
    assert "normalization" in reasons["norm.weight"]
    assert "left out: experts (3, 4, 5)" in found.summary()
    listed = sum(each.n_parameters for each in (*found, *found.left_out))
    assert listed == found.n_parameters - 7  # the scale is a vector by itself
    assert [each.name for each in matrices(Others().state_dict())] == ["table", "position"]


def test_tied_weights_are_counted_once_and_said() -> None:
    net = nn.ModuleDict({"embedding": nn.Embedding(9, 4), "head": nn.Linear(4, 9, bias=False)})
    net["head"].weight = net["embedding"].weight
    for found in (matrices(net), matrices(net.state_dict())):
        assert [each.name for each in found] == ["embedding"]
        assert found.coverage == 1.0
        assert len(found.notes) == 1
        assert "embedding" in found.notes[0]
    copied = {key: each.clone() for key, each in net.state_dict().items()}
    assert len(matrices(copied)) == 2  # equal values alone are no proof: layers that are copies start equal


def test_hooks_form_the_weight_of_the_next_pass() -> None:
    with pytest.warns(FutureWarning):
        net = nn.utils.weight_norm(nn.Conv1d(3, 4, 2))
    drawn(net)  # the attribute `weight` is now an old one
    value = matrices(net)[""].values()
    net(torch.zeros(1, 3, 4))
    torch.testing.assert_close(value, net.weight.detach().flatten(1))
    state = nn.Sequential(net).state_dict()
    torch.testing.assert_close(matrices(state)["0"].values(), value)


def test_reading_leaves_no_trace_on_the_net() -> None:
    net = nn.Sequential(parametrizations.spectral_norm(nn.Linear(4, 3)), nn.Conv1d(3, 4, 2, padding=1)).train()
    before = {key: each.clone() for key, each in net.state_dict().items()}
    random = torch.get_rng_state()
    for each in matrices(net, grid=8):
        each.values()
        assert each.operator_norm is not None
    assert all(torch.equal(each, before[key]) for key, each in net.state_dict().items())
    assert all(module.training for module in net.modules())
    assert torch.equal(torch.get_rng_state(), random)
    assert all(each.grad is None and each.requires_grad for each in net.parameters())


def test_unknown_parametrization_is_read_from_the_module_and_listed_in_its_state() -> None:
    net = nn.Sequential(parametrizations.orthogonal(nn.Linear(5, 4)))
    value = matrices(net)["0"].values()
    torch.testing.assert_close(value @ value.mT, torch.eye(4))
    with pytest.raises(DataError, match="give the module"):
        matrices(net.state_dict())
    found = matrices({**net.state_dict(), "head.weight": torch.ones(2, 2)})
    assert all("give the module" in each.reason for each in found.left_out)


def test_pruned_weight_is_masked() -> None:
    layer = nn.Sequential(nn.Linear(6, 6))
    prune.l1_unstructured(layer[0], "weight", 0.5)
    for found in (matrices(layer), matrices(layer.state_dict())):
        assert int((found["0"].values() == 0).sum()) == 18
        assert len(found) == 1


@pytest.mark.parametrize("bias", [True, False])
def test_transposed_convolution_without_a_bias_is_told_by_its_name_or_said(bias: bool) -> None:
    named_up = nn.ModuleDict({"up": nn.ConvTranspose1d(4, 6, 3, bias=bias)})
    assert matrices(named_up.state_dict())["up"].matrix_shape == (6, 12)
    plain = nn.ModuleDict({"main": nn.ConvTranspose1d(4, 6, 3, bias=bias)})
    found = matrices(plain.state_dict())["main"]
    assert found.matrix_shape == ((6, 12) if bias else (4, 18))
    assert bias or "not told" in found.note


@pytest.mark.parametrize(
    "wrapped",
    [
        lambda state: {"model": state, "optimizer": {"state": {0: {"exp_avg": torch.ones(3, 3)}}}, "epoch": 3},
        lambda state: {"epoch": 3, "state_dict": state, "ema": {k: v.clone() for k, v in state.items()}},
        lambda state: {"net": {"module": state}},
        lambda state: {f"module.{key}": value for key, value in state.items()},
        lambda state: {f"_orig_mod.{key}": value for key, value in state.items()},
    ],
)
def test_nested_checkpoints_are_opened(wrapped: Any) -> None:
    state = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2)).state_dict()
    found = matrices(wrapped(state))
    assert [each.name.removeprefix("module.") for each in found] == ["0", "2"]
    assert found.n_parameters == 3 * 4 + 4 + 8 + 4 * 2 + 2


def test_two_nets_of_one_checkpoint_are_both_read() -> None:
    found = matrices({"encoder": nn.Linear(3, 4).state_dict(), "decoder": nn.Linear(4, 3).state_dict()})
    assert [each.name for each in found] == ["encoder", "decoder"]


def test_nets_of_one_shape_are_both_read_unless_one_is_a_copy_by_its_name() -> None:
    states = [nn.Linear(3, 4).state_dict() for _ in range(2)]
    assert len(matrices({"forth": states[0], "back": states[1]})) == 2
    assert len(matrices({"net": states[0], "net_ema": states[1]})) == 1
    assert [each.name for each in matrices({"nets": states})] == ["0", "1"]


def test_parts_with_a_name_of_no_weights_are_passed_over_with_a_word() -> None:
    state = nn.Linear(3, 4).state_dict()
    found = matrices({"net": {"module": state, "optimizer": {"momentum": torch.ones(3, 3)}}})
    assert [each.name for each in found] == ["weight"]
    assert any("'net.optimizer'" in each for each in found.notes)


def test_arrays_are_weights_too() -> None:
    weight = torch.randn(4, 3).numpy()
    assert torch.equal(matrices({"a.weight": weight})["a"].values(), torch.from_numpy(weight))


def test_bias_tells_which_side_is_out() -> None:
    in_first, table = torch.randn(3, 5), torch.randn(9, 4)
    found = matrices({"c_fc.weight": in_first, "c_fc.bias": torch.zeros(5), "embed.weight": table})
    assert torch.equal(found["c_fc"].values(), in_first.mT)
    assert "as its bias tells" in found["c_fc"].note
    assert found["embed"].kind == "Embedding"
    assert matrices({"embed.weight": table, "embed.bias": torch.zeros(9)})["embed"].kind == "Linear"


def test_masks_are_no_matrices() -> None:
    found = matrices(
        {"attn.bias": torch.ones(1, 1, 9, 9).tril(), "attn.causal_mask": torch.ones(9, 9), "w.weight": torch.ones(2, 2)}
    )
    assert [each.name for each in found] == ["w"]
    assert [each.name for each in found.left_out] == ["attn.bias", "attn.causal_mask"]
    assert all("a mask" in each.reason for each in found.left_out)


def test_what_was_passed_over_is_said() -> None:
    state = nn.Linear(3, 4).state_dict()
    notes = matrices({"model": state, "optimizer": {"0": torch.ones(3, 3)}, "ema": dict(state)}).notes
    assert any("'optimizer'" in each for each in notes)
    assert any("'ema' has the names and shapes of 'model'" in each for each in notes)


@pytest.mark.parametrize(
    ("source", "error", "message"),
    [
        (nn.ReLU(), ConfigError, "without any"),
        ({"bias": torch.zeros(3)}, ConfigError, "without any"),
        ({"a.weight": torch.zeros(3, 3, dtype=torch.complex64)}, DataError, "real floating-point"),
        ({"a.weight": torch.zeros(3, 3, dtype=torch.int8)}, DataError, "real floating-point"),
        ({"a.weight": torch.zeros(0, 3)}, DataError, "empty"),
        (nn.LazyLinear(3), DataError, "lazy or meta"),
        (nn.Linear(3, 3, device="meta"), DataError, "lazy or meta"),
        ("nowhere.safetensors", CheckpointError, "found nothing"),
    ],
    ids=["no weights", "vectors", "complex", "integers", "empty", "lazy", "meta", "no file"],
)
def test_a_source_without_a_matrix_is_refused(source: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        matrices(source)


def test_values_that_are_not_finite_are_refused_when_read() -> None:
    found = matrices({"a.weight": torch.full((3, 3), math.nan)})
    with pytest.raises(DataError, match="'a': expected finite weights, got 9 of 9"):
        found["a"].values()


def test_sparse_weights_are_read() -> None:
    weight = torch.eye(4)
    assert torch.equal(matrices({"a.weight": weight.to_sparse()})["a"].values(), weight)


def test_matrices_beyond_the_memory_are_listed() -> None:
    found = matrices({"a.weight": torch.ones(10, 10), "b.weight": torch.ones(100, 100)}, memory=10_000)
    assert [each.name for each in found] == ["a"]
    assert "raise memory" in found.left_out[0].reason
    assert found.coverage == pytest.approx(100 / 10_100)


def test_results_are_plain_values_and_may_be_iterated_again() -> None:
    found = matrices(nn.GRU(3, 4))
    assert [each.name for each in found] == [each.name for each in found]
    assert repr(found) == "Matrices(6 matrices of 108 parameters cover 77.8 %)"
    assert found.to_dict()["matrices"][0]["matrix_shape"] == [4, 3]
    with pytest.raises(KeyError):
        found["nothing"]
