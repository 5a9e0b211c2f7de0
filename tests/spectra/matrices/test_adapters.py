"""Low-rank adapters are one matrix against the weight that they are added to."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from sciml.errors import ConfigError
from sciml.spectra.matrices import adapter_spectra, matrices

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


def test_adapter_along_the_base_is_aligned_and_a_random_one_is_not() -> None:
    generator = torch.Generator().manual_seed(0)
    base = torch.randn(60, 90, generator=generator, dtype=torch.float64)
    u, s, vh = torch.linalg.svd(base, full_matrices=False)
    along = {"m.weight": base, "m.lora_A": vh[:3], "m.lora_B": 0.1 * u[:, :3] * torch.tensor([3.0, 2.0, 1.0])}
    (found,) = adapter_spectra(along)
    np.testing.assert_allclose(found.singular_values, [0.3, 0.2, 0.1], rtol=1e-12)
    assert found.relative_norm == pytest.approx(0.3 / float(s[0]))
    assert found.relative_energy == pytest.approx(0.14 / float(base.square().sum()))
    np.testing.assert_allclose(np.array([found.left, found.right]), 1.0, rtol=1e-10)
    assert "100 % (out)" in found.summary()
    json.dumps(found.to_dict())
    means = np.zeros(2)
    for _ in range(200):
        factors = {
            f"m.lora_{k}": torch.randn(shape, generator=generator).double()
            for k, shape in (("A", (3, 90)), ("B", (60, 3)))
        }
        (found,) = adapter_spectra({"m.weight": base, **factors})
        means += np.array([found.left, found.right], dtype=float).mean(1) / 200
    # 600 directions, each a_i beta distributed of mean 3 / n and sd about √6 / n: 5 standard errors
    np.testing.assert_allclose(means, found.by_chance, rtol=5 * 6**0.5 / 3 / 600**0.5)


def test_adapter_that_has_not_started_is_zero() -> None:
    (found,) = adapter_spectra({"m.weight": W, "m.lora_A": A, "m.lora_B": torch.zeros(5, 2)})
    assert (found.rank, found.relative_norm, found.relative_energy) == (0, 0.0, 0.0)
    assert "zero, as an adapter starts" in found.summary()


def test_adapter_without_its_base_has_its_own_spectrum() -> None:
    (found,) = adapter_spectra({"m.lora_A.weight": A, "m.lora_B.weight": B})
    np.testing.assert_allclose(found.singular_values, torch.linalg.svdvals(B.double() @ A.double())[:2], rtol=1e-12)
    assert found.relative_norm is None
    assert "not here" in found.summary()


def test_net_without_adapters_is_refused() -> None:
    with pytest.raises(ConfigError, match="low-rank adapters"):
        adapter_spectra({"m.weight": W})


def test_adapter_of_rank_one_is_an_adapter() -> None:
    for suffix in ("", ".weight"):
        found = matrices({"m.weight": W, f"m.lora_A{suffix}": A[:1], f"m.lora_B{suffix}": B[:, :1]})
        assert [each.rank_limit for each in found if each.role == "adapter"] == [1]
