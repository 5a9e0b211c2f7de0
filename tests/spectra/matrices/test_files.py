"""Weights in files: read one by one, in one order, and nothing believed that a file says of itself."""

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors
import torch
from safetensors.torch import save_file
from torch import nn

from sciml.errors import CheckpointError, ConfigError
from sciml.spectra.matrices import matrices
from sciml.train import checkpoint


@pytest.fixture
def net() -> nn.Module:
    torch.manual_seed(0)
    parts = {"lstm": nn.LSTM(3, 4), "up": nn.ConvTranspose1d(4, 6, 3), "attention": nn.MultiheadAttention(8, 2)}
    parts |= {"blocks": nn.Sequential(*[nn.Linear(2, 2) for _ in range(11)])}
    return nn.ModuleDict(parts)


def same(found: Any, net: nn.Module) -> None:
    expected = {each.name: each for each in matrices(net)}
    assert {each.name for each in found if not each.derived} == {n for n, each in expected.items() if not each.derived}
    for each in found:
        if each.name in expected:
            assert torch.equal(each.values(), expected[each.name].values())
    assert found.n_parameters == sum(each.numel() for each in net.parameters())


def test_safetensors_file_is_its_net(net: nn.Module, tmp_path: Path) -> None:
    save_file(net.state_dict(), tmp_path / "model.safetensors")
    same(matrices(tmp_path / "model.safetensors"), net)
    same(matrices(tmp_path), net)
    names = [each.name for each in matrices(tmp_path) if each.name.startswith("blocks")]
    assert names == [f"blocks.{i}" for i in range(11)]  # 10 after 9


def test_torch_file_is_its_net(net: nn.Module, tmp_path: Path) -> None:
    torch.save(
        {"model": net.state_dict(), "optimizer": {"state": {0: {"exp_avg": torch.ones(2, 2)}}}}, tmp_path / "a.pt"
    )
    same(matrices(tmp_path / "a.pt"), net)
    same(matrices(checkpoint.save(tmp_path, {"model": net.state_dict(), "epoch": 3}, step=1)), net)


def shard(net: nn.Module, folder: Path) -> Path:
    state, names = net.state_dict(), {}
    for i, key in enumerate(state):
        name = f"model-{i % 3}.safetensors"
        names[key] = name
    for name in set(names.values()):
        save_file({key: state[key] for key in state if names[key] == name}, folder / name)
    path = folder / "model.safetensors.index.json"
    path.write_text(json.dumps({"metadata": {}, "weight_map": names}))
    return path


def test_sharded_file_is_its_net_and_read_matrix_by_matrix(
    net: nn.Module, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = shard(net, tmp_path)
    same(matrices(path), net)
    same(matrices(tmp_path), net)
    read: list[str] = []
    from sciml.spectra.matrices import storage

    opened = safetensors.safe_open

    def watched(*args: Any, **options: Any) -> Any:
        read.append(str(args[0]))
        return opened(*args, **options)

    monkeypatch.setattr(storage, "safe_open", watched)
    found = matrices(path)
    assert len(read) == 3  # the headers alone
    next(iter(found)).values()
    assert len(read) == 4


def test_shards_of_torch_are_read_too(net: nn.Module, tmp_path: Path) -> None:
    state = net.state_dict()
    names = {key: f"part-{i % 2}.bin" for i, key in enumerate(state)}
    for name in set(names.values()):
        torch.save({key: state[key] for key in state if names[key] == name}, tmp_path / name)
    (tmp_path / "pytorch_model.bin.index.json").write_text(json.dumps({"weight_map": names}))
    same(matrices(tmp_path), net)


def test_heads_stand_in_the_configuration_beside_the_file(net: nn.Module, tmp_path: Path) -> None:
    save_file(net.state_dict(), tmp_path / "model.safetensors")
    assert not any(each.derived for each in matrices(tmp_path))
    (tmp_path / "config.json").write_text(json.dumps({"num_attention_heads": 2}))
    expected = {each.name for each in matrices(net) if each.derived}
    assert {each.name for each in matrices(tmp_path) if each.derived} == expected


@pytest.mark.parametrize(
    ("weight_map", "message"),
    [
        ({"a.weight": "../model-0.safetensors"}, "expected a file beside it, got one outside its folder"),
        ({"a.weight": "/etc/passwd"}, "expected a file beside it, got one outside its folder"),
        ({"a.weight": "missing.safetensors"}, "fetch all its parts"),
        ({"nothing.weight": "model-0.safetensors"}, "weights that its files lack, such as 'nothing.weight'"),
        ({"a.weight": 3}, "expected a mapping 'weight_map'"),
        ([], "expected a mapping 'weight_map'"),
    ],
    ids=["up", "absolute", "missing", "lacking", "number", "list"],
)
def test_index_that_leads_elsewhere_is_refused(net: nn.Module, tmp_path: Path, weight_map: Any, message: str) -> None:
    path = shard(net, tmp_path)
    path.write_text(json.dumps({"weight_map": weight_map}))
    with pytest.raises(CheckpointError, match=message):
        matrices(path)


@pytest.mark.parametrize("content", [b"", b"\xff" * 100, b"\x08" + b"\x00" * 20, b"{" * 100_000])
@pytest.mark.parametrize("name", ["a.safetensors", "a.pt", "a.onnx", "a.safetensors.index.json"])
def test_damaged_files_are_refused(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(CheckpointError):
        matrices(tmp_path / name)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.json", b"[1, 2]", "got text"),
        ("broken.json", b"{broken", "got text"),
        ("a.txt", b"hello", "got text"),
        ("a.npy", b"", r"got an array of numpy \(.npy\)"),
        ("a.npz", b"", r"got arrays of numpy \(.npz\)"),
    ],
    ids=["list", "broken", "txt", "npy", "npz"],
)
def test_file_of_another_kind_is_called_that(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    path = tmp_path / name
    if name.endswith(".npy"):
        np.save(path, np.ones((3, 4)))
    elif name.endswith(".npz"):
        np.savez(path, a=np.ones((3, 4)))
    else:
        path.write_bytes(content)
    with pytest.raises(CheckpointError, match=f"torch.save wrote at .*{name}, {message}"):
        matrices(path)


def test_file_of_vectors_is_named(tmp_path: Path) -> None:
    torch.save({"a.bias": torch.ones(3)}, tmp_path / "a.pt")
    with pytest.raises(ConfigError, match=r"got the file .*a\.pt without any"):
        matrices(tmp_path / "a.pt")


def test_what_torch_warns_of_is_said_by_us_or_not_at_all(tmp_path: Path) -> None:
    torch.save({"a.weight": torch.ones(3, 4)}, tmp_path / "four.pt", pickle_protocol=4)
    with pytest.raises(CheckpointError, match="another pickle protocol"):
        matrices(tmp_path / "four.pt")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        whole = torch.quantize_per_tensor(torch.ones(3, 4), 0.1, 0, torch.qint8)
    torch.save({"a.weight": torch.ones(3, 4), "q.weight": whole}, tmp_path / "quantized.pt")
    found = matrices(tmp_path / "quantized.pt")
    assert [each.name for each in found] == ["a"]
    assert [each.reason for each in found.left_out] == [
        "expected real floating-point weights, got torch.qint8; convert them first"
    ]


def test_folder_with_several_files_is_refused(tmp_path: Path) -> None:
    for name in "ab":
        save_file({"a.weight": torch.ones(2, 2)}, tmp_path / f"{name}.safetensors")
    with pytest.raises(CheckpointError, match="name the file"):
        matrices(tmp_path)


def test_programs_are_not_run(tmp_path: Path) -> None:
    with pytest.warns(DeprecationWarning, match="jit"):
        program = torch.jit.trace(nn.Linear(3, 2), torch.ones(1, 3))
    program.save(str(tmp_path / "a.pt"))
    with pytest.raises(CheckpointError, match="sciml runs no program of a file"):
        matrices(tmp_path / "a.pt")
    (found,) = matrices(program)
    assert (found.kind, found.matrix_shape) == ("Linear", (2, 3))


def test_low_precision_is_read_as_it_is(tmp_path: Path) -> None:
    weight = torch.randn(4, 5, generator=torch.Generator().manual_seed(0))
    kinds = (torch.bfloat16, torch.float16, torch.float8_e4m3fn)
    save_file({f"{i}.weight": weight.to(kind) for i, kind in enumerate(kinds)}, tmp_path / "a.safetensors")
    for each, kind in zip(matrices(tmp_path), kinds, strict=True):
        assert each.dtype == kind
        assert torch.equal(each.values().float(), weight.to(kind).float())


# ---- ONNX: the fields that a file needs, written by hand


def number(value: int) -> bytes:
    out = b""
    while value > 127:
        out, value = out + bytes([value & 127 | 128]), value >> 7
    return out + bytes([value])


def part(at: int, content: bytes | str | int) -> bytes:
    if isinstance(content, int):
        return number(at << 3) + number(content)
    content = content.encode() if isinstance(content, str) else content
    return number(at << 3 | 2) + number(len(content)) + content


def tensor(name: str, value: torch.Tensor, *, code: int = 1) -> bytes:
    dims = b"".join(part(1, size) for size in value.shape)
    return dims + part(2, code) + part(8, name) + part(9, value.contiguous().numpy().tobytes())


def node(kind: str, inputs: list[str], outputs: list[str], name: str = "", **numbers: int | list[int] | bytes) -> bytes:
    names = b"".join(part(1, each) for each in inputs) + b"".join(part(2, each) for each in outputs)
    attributes = b""
    for key, value in numbers.items():
        if isinstance(value, bytes):
            content = part(1, key) + part(5 if key == "value" else 6, value)
        elif isinstance(value, list):
            content = part(1, key) + b"".join(part(8, each) for each in value)
        else:
            content = part(1, key) + part(3, value)
        attributes += part(5, content)
    return names + part(3, name) + part(4, kind) + attributes


def graph(tensors: list[bytes], nodes: list[bytes]) -> bytes:
    return b"".join(part(1, each) for each in nodes) + b"".join(part(5, each) for each in tensors)


def onnx(folder: Path, tensors: list[bytes], nodes: list[bytes]) -> Any:
    (folder / "a.onnx").write_bytes(part(7, graph(tensors, nodes)))
    return matrices(folder / "a.onnx")


def drawn(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape)))


def test_operations_say_how_a_weight_acts(tmp_path: Path) -> None:
    product, dense, up, kernel, table = drawn(3, 5), drawn(4, 5), drawn(4, 3, 5), drawn(6, 2, 3), drawn(9, 4)
    found = onnx(
        tmp_path,
        [
            tensor("onnx::MatMul_7", product), tensor("fc.weight", dense), tensor("up.weight", up),
            tensor("conv.weight", kernel), tensor("onnx::Gather_1", table),
        ],
        [
            node("MatMul", ["x", "onnx::MatMul_7"], ["y"], "/encoder/linear/MatMul"),
            node("Gemm", ["y", "fc.weight"], ["z"], "/fc/Gemm", transB=1),
            node("ConvTranspose", ["z", "up.weight"], ["u"], "/up/ConvTranspose", group=2),
            node("Conv", ["u", "conv.weight"], ["v"], "/conv/Conv", group=3),
            node("Gather", ["onnx::Gather_1", "x"], ["w"], "/table/Gather"),
        ],
    )  # fmt: skip
    assert torch.equal(found["encoder.linear"].values(), product.mT)
    assert torch.equal(found["fc"].values(), dense)
    assert (found["up"].kind, found["up"].matrix_shape, found["up"].groups) == ("ConvTranspose1d", (6, 10), 2)
    layer = nn.ConvTranspose1d(4, 6, 5, groups=2)
    with torch.no_grad():
        layer.weight.copy_(up)
    assert torch.equal(found["up"].values(), matrices(layer)[""].values())
    assert (found["conv"].kind, found["conv"].groups) == ("Conv1d", 3)
    conv = nn.Conv1d(6, 6, 3, groups=3, padding=1)
    with torch.no_grad():
        conv.weight.copy_(found["conv"].values().reshape(conv.weight.shape))
    assert found["conv"].operator_bound == matrices(conv)[""].operator_bound
    assert torch.equal(found["table"].values(), table.mT)
    assert found["table"].kind == "Embedding"


def test_gates_are_in_the_order_of_torch(tmp_path: Path) -> None:
    torch.manual_seed(0)
    lstm, gru = nn.LSTM(3, 5, bidirectional=True), nn.GRU(3, 5)

    def stacked(layer: Any, side: str, order: list[int]) -> torch.Tensor:
        suffixes = ("", "_reverse")[: 1 + layer.bidirectional]
        whole = [getattr(layer, f"weight_{side}_l0{suffix}").detach().chunk(len(order)) for suffix in suffixes]
        return torch.stack([torch.cat([gates[i] for i in order]) for gates in whole])

    tensors = [
        tensor(f"{name}_{side}", stacked(layer, side, order))
        for name, layer, order in (("a", lstm, [0, 3, 1, 2]), ("b", gru, [1, 0, 2]))  # ONNX: i o f c; z r h
        for side in ("ih", "hh")
    ]
    nodes = [
        node("LSTM", ["x", "a_ih", "a_hh"], ["y"], "/lstm/LSTM"),
        node("GRU", ["x", "b_ih", "b_hh"], ["z"], "/gru/GRU"),
    ]
    found = onnx(tmp_path, tensors, nodes)
    expected = matrices(nn.ModuleDict({"lstm": lstm, "gru": gru}))
    assert sorted(each.name for each in found) == sorted(each.name for each in expected)
    for each in expected:
        assert torch.equal(found[each.name].values(), each.values())
    assert found.n_parameters == sum(each.n_parameters for each in expected)


def test_constants_and_inner_graphs_are_read(tmp_path: Path) -> None:
    first, second, third = drawn(3, 4), drawn(4, 3), drawn(5, 3)
    inner = graph([tensor("w", second)], [node("Gemm", ["x", "w"], ["y"], "/inner/Gemm", transB=1)])
    nodes = [
        node("Constant", [], ["c"], value=tensor("", third)),
        node("Gemm", ["x", "c"], ["q"], "/c/Gemm", transB=1),
        node("Gemm", ["x", "w"], ["r"], "/outer/Gemm", transB=1),
        node("If", ["x"], ["s"], then_branch=inner),
    ]
    found = onnx(tmp_path, [tensor("w", first)], nodes)
    values = [each.values() for each in found]
    assert len(values) == 3
    for each in (first, second, third):
        assert any(torch.equal(each, value) for value in values if value.shape == each.shape)


def test_transposed_and_quantized_weights_are_read_as_they_act(tmp_path: Path) -> None:
    weight, codes = drawn(4, 3), torch.randint(-9, 9, (5, 4), dtype=torch.int8)
    scale = torch.rand(5)
    tensors = [tensor("t", weight), tensor("q", codes, code=3), tensor("s", scale)]
    nodes = [
        node("Transpose", ["t"], ["tt"], perm=[1, 0]),
        node("MatMul", ["x", "tt"], ["y"], "/a/MatMul"),
        node("DequantizeLinear", ["q", "s"], ["dq"], axis=0),
        node("Gemm", ["y", "dq"], ["z"], "/b/Gemm", transB=1),
    ]
    found = onnx(tmp_path, tensors, nodes)
    assert torch.equal(found["t"].values(), weight)
    torch.testing.assert_close(found["q"].values(), codes.float() * scale[:, None])


def test_table_that_is_read_twice_is_counted_once(tmp_path: Path) -> None:
    table = drawn(9, 4)
    nodes = [
        node("Gather", ["w", "x"], ["y"], "/embed/Gather"),
        node("Gemm", ["y", "w"], ["z"], "/head/Gemm", transB=1),
    ]
    found = onnx(tmp_path, [tensor("w", table)], nodes)
    assert len(found) == 1
    assert found.n_parameters == table.numel()


def test_data_in_another_file_stay_in_the_folder(tmp_path: Path) -> None:
    weight = drawn(4, 3)
    (tmp_path / "data.bin").write_bytes(b"12345678" + weight.numpy().tobytes())

    def external(location: str, length: int = 48) -> bytes:
        told = {"location": location, "offset": "8", "length": str(length)}
        entries = b"".join(part(13, part(1, key) + part(2, value)) for key, value in told.items())
        return part(1, 4) + part(1, 3) + part(2, 1) + part(8, "w.weight") + entries + part(14, 1)

    assert torch.equal(onnx(tmp_path, [external("data.bin")], [])["w"].values(), weight)
    for location in ("../data.bin", "/etc/passwd", "nothing.bin", ""):
        found = onnx(tmp_path, [external(location)], [])
        with pytest.raises(CheckpointError, match="expected a file beside it"):
            next(iter(found)).values()
    with pytest.raises(CheckpointError, match=r"expected 48 bytes of 'w\.weight', got 40"):
        next(iter(onnx(tmp_path, [external("data.bin", 40)], []))).values()


def test_shape_alone_allocates_nothing(tmp_path: Path) -> None:
    huge = part(1, 2**40) + part(1, 2**20) + part(2, 1) + part(8, "w.weight") + part(9, b"1234")
    with pytest.raises(CheckpointError, match="got 4"):
        next(iter(onnx(tmp_path, [huge], []))).values()


def test_graphs_within_graphs_end(tmp_path: Path) -> None:
    inner = graph([tensor("w.weight", drawn(2, 2))], [])
    for _ in range(40):
        inner = graph([], [node("If", ["x"], ["s"], then_branch=inner)])
    (tmp_path / "a.onnx").write_bytes(part(7, inner))
    with pytest.raises(CheckpointError, match="graphs within graphs"):
        matrices(tmp_path / "a.onnx")
