r"""Low-rank adapters: the two thin factors as the one matrix that they add to the weight of a layer.

.. math:: W = W_0 + s\, B A, \qquad A: (r, n_{in}),\ B: (n_{out}, r),\ s = \alpha / r.

References
----------
Hu and others (2021), arXiv:2106.09685, section 4.1.
"""

import re
from collections.abc import Callable, Iterator, Sequence

import torch

from sciml.spectra.matrices.matrix import LeftOut, Matrix

__all__ = ["Scale", "with_adapters"]

Scale = Callable[[tuple[str, str], int], tuple[float, str]]
"""The factor s of an adapter, by its layer, its name and its rank, and what is said of it."""

_FACTOR = re.compile(
    r"(?P<layer>.*?)[._]?lora[._]?(embedding[._])?(?P<side>A|B|a|b|down|up)(\.(?P<name>(?!weight$)[^.]+))?(\.weight)?$"
)
_BASES = ("{}.base_layer", "{}.original_layer", "{}.linear", "{}")
Items = Sequence[Matrix | LeftOut]


def with_adapters(items: Items, scale: Scale) -> Iterator[Matrix | LeftOut]:
    """Yield the items with each pair of low-rank factors, in the place of its first, as their product."""
    pairs = _pairs(items)
    members = {id(each): key for key, pair in pairs.items() for each in pair}
    by_layer = {each.layer: each for each in items if isinstance(each, Matrix) and id(each) not in members}
    done: set[tuple[str, str]] = set()
    for each in items:
        key = members.get(id(each))
        if key is None:
            yield each
        elif key not in done:
            done.add(key)
            names = (name.format(key[0]).removeprefix(".") for name in _BASES)
            base = next((by_layer[name] for name in names if name in by_layer), None)
            yield _adapter(key, *pairs[key], base, scale)


def _pairs(items: Items) -> dict[tuple[str, str], tuple[Matrix, Matrix]]:
    """Return the factors A and B of each layer and adapter."""
    found: dict[tuple[str, str], dict[str, Matrix]] = {}
    for each in items:
        told = _FACTOR.fullmatch(each.name) if isinstance(each, Matrix) else None
        if told is not None and isinstance(each, Matrix):
            side = "A" if told["side"] in ("A", "a", "down") else "B"
            found.setdefault((told["layer"], told["name"] or ""), {})[side] = each
    fit = {key: pair for key, pair in found.items() if len(pair) == 2}
    return {
        key: (pair["A"], pair["B"])
        for key, pair in fit.items()
        if pair["A"].matrix_shape[0] == pair["B"].matrix_shape[1]
    }


def _adapter(key: tuple[str, str], a: Matrix, b: Matrix, base: Matrix | None, scale: Scale) -> Matrix:
    layer, adapter = key
    rank, shape = a.matrix_shape[0], (b.matrix_shape[0], a.matrix_shape[1])
    factor, said = scale(key, rank)
    part = "LoRA" if adapter in ("", "default") else f"LoRA {adapter}"

    def factors() -> tuple[torch.Tensor, torch.Tensor]:
        return factor * b.values().double(), a.values().double()

    def load() -> torch.Tensor:
        left, right = factors()
        return left @ right

    fits = base is not None and base.matrix_shape == shape
    against = (
        f"; it is added to {base.name}" if base is not None and fits else "; the weight it is added to is not here"
    )
    return Matrix(
        f"{layer}[{part}]", layer, base.kind if base is not None else "Linear", shape, shape,
        a.n_parameters + b.n_parameters, a.dtype, load, part=part, fan_in=float(shape[1]), fan_out=float(shape[0]),
        role="adapter", note=f"B A, of rank {rank} at most, {said}{against}", factors=factors, inner=rank,
        base=base.values if base is not None and fits else None,
    )  # fmt: skip
