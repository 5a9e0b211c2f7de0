"""Low-rank adapters are one matrix against the weight that they are added to."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from sciml.spectra.matrices import matrices

A, B, W = (
    torch.randn(shape, generator=torch.Generator().manual_seed(i)) for i, shape in enumerate(((2, 7), (5, 2), (5, 7)))
)
NAMES = {
    "peft": ("m.q_proj.lora_A.default.weight", "m.q_proj.lora_B.default.weight", "m.q_proj.base_layer.weight"),
    "peft file": ("base_model.model.m.lora_A.weight", "base_model.model.m.lora_B.weight", "other.weight"),
    "loralib": ("m.lora_A", "m.lora_B", "m.weight"),
    "kohya": ("m.lora_down.weight", "m.lora_up.weight", "m.weight"),
    "torchtune": ("m.lora_a.weight", "m.lora_b.weight", "m.weight"),
    "diffusers": ("m.lora.down.weight", "m.lora.up.weight", "m.weight"),
}


@pytest.mark.parametrize("name", NAMES)
def test_factors_are_one_matrix(name: str) -> None:
    a, b, w = NAMES[name]
    found = matrices({w: W, a: A, b: B})
    (adapter,) = [each for each in found if each.role == "adapter"]
    assert len(found) == 2
    torch.testing.assert_close(adapter.values(), B.double() @ A.double())
    assert (adapter.rank_limit, adapter.n_parameters, adapter.matrix_shape) == (2, 24, (5, 7))
    assert "unscaled" in adapter.note
    if w != "other.weight":
        assert adapter.base is not None
        assert torch.equal(adapter.base(), W)
    else:
        assert adapter.base is None
        assert "not here" in adapter.note
    assert found.coverage == 1.0


def test_scale_stands_in_the_configuration_beside_the_file(tmp_path: Path) -> None:
    save_file({"m.lora_A.weight": A, "m.lora_B.weight": B}, tmp_path / "adapter_model.safetensors")
    for config, scale in (({"lora_alpha": 8, "r": 2}, 4.0), ({"lora_alpha": 8, "use_rslora": True}, 8 / 2**0.5)):
        (tmp_path / "adapter_config.json").write_text(json.dumps(config))
        (adapter,) = matrices(tmp_path)
        torch.testing.assert_close(adapter.values(), scale * B.double() @ A.double())
        assert f"times {scale:g}" in adapter.note


class Adapted(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.base_layer = nn.Linear(7, 5)
        self.lora_A = nn.ModuleDict({"default": nn.Linear(7, 2, bias=False), "other": nn.Linear(7, 3, bias=False)})
        self.lora_B = nn.ModuleDict({"default": nn.Linear(2, 5, bias=False), "other": nn.Linear(3, 5, bias=False)})
        self.scaling = {"default": 4.0, "other": 0.5}


def test_modules_with_several_adapters_have_one_matrix_each() -> None:
    net: Any = nn.ModuleDict({"head": Adapted()})
    found = matrices(net)
    assert [each.part for each in found] == ["", "LoRA", "LoRA other"]
    for name, part in (("default", "LoRA"), ("other", "LoRA other")):
        (adapter,) = [each for each in found if each.part == part]
        layer = net["head"]
        product = layer.lora_B[name].weight.double() @ layer.lora_A[name].weight.double()
        torch.testing.assert_close(adapter.values(), layer.scaling[name] * product.detach())
        assert torch.equal(adapter.base(), layer.base_layer.weight)  # type: ignore[misc]


def test_adapters_of_convolutions_and_tables() -> None:
    down, up = torch.randn(2, 3, 5), torch.randn(4, 2, 1)
    found = matrices({"c.weight": torch.randn(4, 3, 5), "c.lora_A.weight": down, "c.lora_B.weight": up})
    (adapter,) = [each for each in found if each.role == "adapter"]
    torch.testing.assert_close(adapter.values(), up[:, :, 0].double() @ down.flatten(1).double())
    assert adapter.base is not None


def test_factors_that_do_not_fit_stay_two_matrices() -> None:
    found = matrices({"m.lora_A": A, "m.lora_B": torch.randn(5, 3)})
    assert [each.name for each in found] == ["m.lora_A", "m.lora_B"]
