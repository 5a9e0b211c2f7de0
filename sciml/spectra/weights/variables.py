"""The spectra of all layers as arrays with dims and meaning: what a netCDF file is made of."""

from collections.abc import Sequence
from operator import attrgetter
from typing import Any

import numpy as np

from sciml._typing import AnyArray, FloatArray
from sciml.spectra.weights.layers import LayerSpectrum

__all__ = ["Variables", "layer_variables"]

Variables = dict[str, tuple[tuple[str, ...], AnyArray, dict[str, str]]]
"""Name -> dims, values, attributes (`units`, `long_name`)."""

# Name -> where it is in a layer, and what it is.
ARRAYS = {
    "singular_values": ("singular_values", "singular values of the weight matrix"),
    "tested_values": ("tested_values", "singular values of the equalized matrix"),
    "p_values": ("p_values", "p-value against noise, stronger directions taken out"),
    "strengths": ("outliers.strengths", "singular value of the direction, noise taken out"),
    "low": ("outliers.low", "lower end of the 95 % interval of the strength"),
    "high": ("outliers.high", "upper end of the 95 % interval of the strength"),
    "left_alignment": ("outliers.left_alignment", "expected squared cosine of left singular vector and direction"),
    "right_alignment": ("outliers.right_alignment", "expected squared cosine of right singular vector and direction"),
    "data_alignment": ("data_alignment.squared_cosines", "squared cosine of the outlier and the data components"),
    "change_singular_values": ("change.singular_values", "singular values of the change since the start"),
}
NUMBERS = {
    "rank": ("rank", "number of directions above noise"),
    "q_value": ("q_value", "p-value of the layer, adjusted over layers"),
    "sigma": ("sigma", "standard deviation of the noise entries"),
    "edge": ("edge", "singular value above which a direction counts"),
    "mp_edge": ("mp_edge", "end of the bulk in the limit of large matrices"),
    "bulk_distance": ("bulk_distance", "Kolmogorov-Smirnov distance of the bulk from the Marchenko-Pastur law"),
    "stable_rank": ("stable_rank", "squared Frobenius over squared spectral norm"),
    "effective_rank": ("effective_rank", "exponential of the entropy of the singular values"),
    "relative_norm": ("relative_norm", "spectral norm over sqrt(fan_out / fan_in)"),
    "operator_norm": ("operator_norm", "norm of the layer as a linear map"),
    "operator_bound": ("operator_bound", "upper bound of that norm"),
    "power_law_alpha": ("power_law.alpha", "exponent of a power law in the squared singular values"),
    "power_law_low": ("power_law.low", "lower end of its 95 % interval"),
    "power_law_high": ("power_law.high", "upper end of its 95 % interval"),
    "power_law_p": ("power_law.p_value", "p-value of its fit"),
    "change_size": ("change.relative_size", "Frobenius norm of the change since the start over that of the start"),
    "change_rank": ("change.rank", "number of directions of the change above its noise"),
    "change_effective_rank": ("change.effective_rank", "effective rank of the change since the start"),
}
WORDS = {
    "layer": ("name", "weight matrix"),
    "verdict": ("words", "verdict of the test against noise"),
    "power_law_verdict": ("power_law.verdict", "whether the squared singular values follow a power law"),
}
OPTIONAL = ("power_law", "change", "data_alignment")


def layer_variables(layers: Sequence[LayerSpectrum]) -> Variables:
    """Return arrays of dims layer and index, NaN or "" where there is no value; what no layer has is left out."""
    given = {part for part in OPTIONAL if any(getattr(each, part) is not None for each in layers)}
    found: Variables = {}
    for name, (path, title) in WORDS.items():
        if _wanted(path, given):
            words = np.array([_at(each, path) or "" for each in layers], dtype=np.str_)
            found[name] = (("layer",), words, {"long_name": title})
    for name, (path, title) in ARRAYS.items():
        if _wanted(path, given):
            table = _padded([_at(each, path) for each in layers])
            found[name] = (("layer", "index"), table, {"units": "1", "long_name": title})
    for name, (path, title) in NUMBERS.items():
        if _wanted(path, given):
            values = np.array([np.nan if (x := _at(each, path)) is None else float(x) for each in layers])
            found[name] = (("layer",), values, {"units": "1", "long_name": title})
    width = max((values.shape[1] for dims, values, _ in found.values() if len(dims) == 2), default=0)
    return {name: (dims, _widened(values, len(dims), width), about) for name, (dims, values, about) in found.items()}


def _wanted(path: str, given: set[str]) -> bool:
    head = path.partition(".")[0]
    return head not in OPTIONAL or head in given


def _at(layer: LayerSpectrum, path: str) -> Any:
    """Return what is at a dotted path of a layer, None where a part of it is None."""
    head, _, rest = path.partition(".")
    part = getattr(layer, head)
    return part if not rest or part is None else attrgetter(rest)(part)


def _padded(rows: Sequence[FloatArray | None]) -> FloatArray:
    width = max((len(row) for row in rows if row is not None), default=0)
    table = np.full((len(rows), width), np.nan)
    for i, row in enumerate(rows):
        if row is not None:
            table[i, : len(row)] = row
    return table


def _widened(values: AnyArray, n_dims: int, width: int) -> AnyArray:
    """Return a table of the width that all have in common: the dim index is one."""
    if n_dims < 2 or values.shape[1] == width:
        return values
    return np.pad(values, ((0, 0), (0, width - values.shape[1])), constant_values=np.nan)
