"""Untrained weights of every law keep the level; directions are found in them, as strong as they are."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from sciml.spectra import WeightSpectra, weight_spectra

Draw = Callable[[np.random.Generator, tuple[int, int]], np.ndarray]


def scales(rng: np.random.Generator, n: int) -> np.ndarray:
    return np.exp(rng.normal(size=n))


def unit_rows(rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    weights = rng.normal(size=shape)
    return weights / np.linalg.norm(weights, axis=1, keepdims=True)


def pruned(rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    weights = rng.normal(size=shape)
    return weights * (np.abs(weights) >= np.quantile(np.abs(weights), 0.8))


def eight_bit(rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    weights = rng.normal(size=shape)
    step = np.abs(weights).max() / 127
    return np.round(weights / step) * step


LAWS: dict[str, Draw] = {
    "uniform": lambda rng, shape: rng.uniform(-1, 1, size=shape),
    "truncated": lambda rng, shape: np.clip(rng.normal(size=shape), -2, 2),
    "Laplace": lambda rng, shape: rng.laplace(size=shape),
    "Student t": lambda rng, shape: rng.standard_t(5, size=shape),
    "rows": lambda rng, shape: rng.normal(size=shape) * scales(rng, shape[0])[:, None],
    "columns": lambda rng, shape: rng.normal(size=shape) * scales(rng, shape[1]),
    "rows and columns": lambda rng, shape: (
        rng.normal(size=shape) * scales(rng, shape[0])[:, None] * scales(rng, shape[1])
    ),
    "unit rows": unit_rows,
    "pruned": pruned,
    "pruned at random": lambda rng, shape: rng.normal(size=shape) * (rng.random(size=shape) < 0.2),
    "8-bit": eight_bit,
    "bfloat16": lambda rng, shape: torch.as_tensor(rng.normal(size=shape)).bfloat16().double().numpy(),
}
SHAPES = ((16, 64), (128, 16), (48, 108), (96, 150))


def spectra_of(matrices: list[np.ndarray], **options: Any) -> WeightSpectra:
    return weight_spectra({f"layer{i}.weight": torch.as_tensor(each) for i, each in enumerate(matrices)}, **options)


def flagged(spectra: WeightSpectra) -> list[str]:
    verdicts = ("directions learned on a noise bulk", "no noise bulk left")
    return [each.summary() for each in spectra if each.verdict in verdicts]


@pytest.mark.parametrize("law", LAWS)
def test_untrained_weights_keep_the_level_in_each_law(law: str) -> None:
    rng = np.random.default_rng(0)
    spectra = spectra_of([LAWS[law](rng, SHAPES[i % 4]) for i in range(60)])
    # 5 % of layers may be flagged after false-discovery control; of 1000 a law 0.0 to 0.3 % were (benchmarks).
    assert len(flagged(spectra)) <= 1
    first = np.array([each.p_values[0] for each in spectra if each.p_values is not None])
    # Before it, at most the nominal 5 % of p-values lie below .05: more than 9 of 60 in 1 run of 500.
    assert np.count_nonzero(first < 0.05) <= 9


@pytest.mark.parametrize("groups", [1, 4, 32])
def test_orthogonal_weights_are_not_tested_grouped_and_depthwise_ones_too(groups: int) -> None:
    layer: Any = nn.Conv1d(32, 64, 3, groups=groups)
    for block in layer.weight.data.chunk(groups):
        nn.init.orthogonal_(block)
    (spectrum,) = weight_spectra(layer)
    assert spectrum.verdict == "orthogonal: nothing to test"
    assert (spectrum.rank, spectrum.p_values, spectrum.to_dict()["rank"]) == (None, None, None)


def planted(
    rng: np.random.Generator, shape: tuple[int, int], factor: float, rows: np.ndarray | None = None
) -> tuple[np.ndarray, float]:
    """Return noise with one direction, and its strength; on rows of unequal scale it is scaled as they are."""
    u, v = (each / np.linalg.norm(each) for each in (rng.normal(size=side) for side in shape))
    signal = factor * (shape[0] * shape[1]) ** 0.25 * np.outer(u, v)
    scale = np.ones((shape[0], 1)) if rows is None else rows[:, None]
    return scale * (rng.normal(size=shape) + signal), float(np.linalg.norm(scale * signal))


@pytest.mark.parametrize("unequal", [False, True])
@pytest.mark.parametrize(("shape", "factor"), [((200, 210), 1.3), ((48, 216), 1.5)])
def test_direction_is_found_after_false_discovery_control(shape: tuple[int, int], factor: float, unequal: bool) -> None:
    rng, n = np.random.default_rng(2), 30
    rows = [np.exp(0.7 * rng.normal(size=shape[0])) if unequal else None for _ in range(2 * n)]
    matrices = [planted(rng, shape, factor if i < n else 0.0, rows[i])[0] for i in range(2 * n)]
    spectra = spectra_of(matrices)
    # 80 % are asked for; of 100 a cell 82 to 97 % were found (benchmarks): fewer than 20 of 30 at 82 % in 1 run of 100.
    assert sum(bool(each.rank) for each in spectra[:n]) >= 20
    assert sum(bool(each.rank) for each in spectra[n:]) <= 5


@pytest.mark.parametrize("unequal", [False, True])
@pytest.mark.parametrize("factor", [1.5, 3.0])
def test_strength_lies_in_its_interval(factor: float, unequal: bool) -> None:
    rng, shape, inside, ratio = np.random.default_rng(3), (60, 120), [], []
    for _ in range(50):
        rows = np.exp(0.7 * rng.normal(size=shape[0])) if unequal else None
        weights, strength = planted(rng, shape, factor, rows)
        (layer,) = spectra_of([weights])
        if layer.outliers is not None and len(layer.outliers):
            inside.append(bool(layer.outliers.low[0] <= strength <= layer.outliers.high[0]))
            ratio.append(layer.outliers.strengths[0] / strength)
    assert len(inside) >= 35
    assert np.mean(inside) >= 0.82  # of 50 at 95 %: fewer in 1 run of 1000
    assert np.median(ratio) == pytest.approx(1.0, abs=0.08)


def test_alignment_is_that_of_the_singular_vectors() -> None:
    rng, shape, factor = np.random.default_rng(4), (200, 300), 2.0
    theta = factor * (shape[0] * shape[1]) ** 0.25
    weights = rng.normal(size=shape)

    u, v = (each / np.linalg.norm(each) for each in (rng.normal(size=side) for side in shape))
    weights = weights + theta * np.outer(u, v)
    (layer,) = spectra_of([weights])
    left, _, right = np.linalg.svd(weights)
    assert layer.outliers is not None
    # c² = (x⁴ - β) / (x⁴ + β x²) and so on; scatter of the squared cosine about 1 / sqrt(200)
    assert layer.outliers.left_alignment[0] == pytest.approx(float(left[:, 0] @ u) ** 2, abs=0.15)
    assert layer.outliers.right_alignment[0] == pytest.approx(float(right[0] @ v) ** 2, abs=0.15)


@pytest.mark.parametrize("unequal", [False, True])
def test_many_directions_on_a_bulk_are_counted(unequal: bool) -> None:
    rng, shape, k = np.random.default_rng(5), (128, 256), 30
    sides = [np.linalg.qr(rng.normal(size=(side, k))).Q for side in shape]
    weights = rng.normal(size=shape)
    if unequal:
        weights *= np.exp(0.7 * rng.normal(size=shape[0]))[:, None]
    (layer,) = spectra_of([weights + 5.0 * weights.std() * math.sqrt(math.sqrt(128 * 256)) * sides[0] @ sides[1].T])
    assert layer.words == "30 directions learned on a noise bulk"
    assert layer.bulk_distance is not None
    assert layer.bulk_distance < 0.1


def test_layer_of_which_most_stands_out_has_no_rank() -> None:
    rng = np.random.default_rng(6)
    u, v = (np.linalg.qr(rng.normal(size=(side, 64))).Q for side in (64, 128))
    weights = (u * np.geomspace(1000, 1e-2, 64)) @ v.T + 1e-3 * rng.normal(size=(64, 128))
    (layer,) = spectra_of([weights])
    assert layer.verdict == "no noise bulk left"
    plain = layer.to_dict()
    assert {plain[name] for name in ("rank", "q_value", "sigma", "edge", "mp_edge")} == {None}
    assert plain["p_values"] is None
    assert plain["outliers"] is None
    assert "rank" not in layer.summary()


def test_cutoff_is_that_of_benjamini_and_hochberg() -> None:
    rng = np.random.default_rng(7)
    matrices = [planted(rng, (60, 90), 3.0 if i < 5 else 0.0)[0] for i in range(20)]
    spectra = spectra_of(matrices)
    assert [bool(each.rank) for each in spectra] == [True] * 5 + [False] * 15
    assert {each.cutoff for each in spectra} == {0.05 * 5 / 20}
    one = spectra_of(matrices[5:6])[0]
    assert one.cutoff == 0.05
    assert one.q_value == pytest.approx(float((one.p_values if one.p_values is not None else [0])[0]))


def test_arrays_of_all_layers_have_dims_and_meaning() -> None:
    rng = np.random.default_rng(8)
    spectra = spectra_of([planted(rng, (30, 40), 4.0)[0], rng.normal(size=(20, 60)), np.zeros((5, 5))])
    variables = spectra.variables()
    assert variables["singular_values"][1].shape == (3, 30)
    assert np.isnan(variables["singular_values"][1][1, 20:]).all()
    assert np.isnan(variables["rank"][1]).tolist() == [False, False, True]
    assert all(attributes["long_name"] for _, _, attributes in variables.values())
    assert all(len(dims) == values.ndim for dims, values, _ in variables.values())
    assert spectra.named("layer1") is spectra[1]
    with pytest.raises(KeyError, match="layer0"):
        spectra.named("layer9")


@pytest.mark.parametrize("shape", [(2, 50), (3, 27), (7, 9)])
def test_few_rows_of_unequal_scale_are_not_taken_for_directions(shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    spectra = spectra_of([LAWS["rows"](rng, shape) for _ in range(40)])
    assert flagged(spectra) == []
    assert "too few rows or columns" in spectra[0].test.unequal
