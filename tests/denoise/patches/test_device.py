"""The engine of the patches with all tensors on torch's meta device, where any mixing with the CPU raises.

What completes missing samples is left out: which patches it computes with follows from the values.
"""

from typing import Any

import numpy as np
import pytest
import torch

from sciml.denoise.patches.decision import Rules
from sciml.denoise.patches.engine import Values, denoise_array
from sciml.denoise.patches.grid import Grid
from sciml.denoise.patches.model import Settings
from sciml.linalg import batched


@pytest.fixture(autouse=True)
def numbers_of_meta_tensors(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, ...]]:
    """Decisions are taken by the CPU from few numbers: on the meta device these are drawn, two large ones a row."""
    asked, rng = list[tuple[int, ...]](), np.random.default_rng(0)

    def drawn(values: torch.Tensor) -> Any:
        assert values.device.type == "meta"
        asked.append(tuple(values.shape))
        found = rng.uniform(0.9, 1.1, size=values.shape)
        if values.ndim > 1:
            found[..., :2] += 100 if len(asked) % 3 else 1e9  # also beyond what single precision holds
        return np.abs(found).astype(torch.empty(0, dtype=values.dtype).numpy().dtype)

    monkeypatch.setattr(batched, "to_numpy", drawn)
    return asked


@pytest.mark.parametrize("dtype", [np.float32, np.complex64])
@pytest.mark.parametrize("n_samples", [12, 40])
@pytest.mark.parametrize("shrinkage", ["frobenius", "hard"])
@pytest.mark.parametrize("shared", [False, True])
def test_no_tensor_of_the_cpu_is_mixed_in(
    dtype: Any, n_samples: int, shrinkage: Any, shared: bool, numbers_of_meta_tensors: list[tuple[int, ...]]
) -> None:
    rng = np.random.default_rng(1)
    values = rng.normal(size=(9, 8, n_samples)).astype(dtype)
    valid = np.ones((9, 8), bool)
    valid[0, :3] = False
    grid = Grid.cover((9, 8), (5, 5), (2, 2))
    correlation = 0.5 ** np.abs(np.subtract.outer(np.arange(25), np.arange(25))) if shared else None
    settings = Settings(Rules(shrinkage=shrinkage), device="meta", workers=1, correlation=correlation)
    denoised, maps = denoise_array(Values(values, valid), grid, settings)
    assert denoised.shape == values.shape
    assert len(numbers_of_meta_tensors) > 3
    assert set(maps) == {"sigma", "rank", "variance", "removed", "coverage"}
