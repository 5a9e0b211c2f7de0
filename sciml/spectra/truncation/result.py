"""What truncation made of a net, layer by layer."""

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from torch import nn

__all__ = ["TruncatedLayer", "Truncation"]


@dataclass(frozen=True)
class TruncatedLayer:
    """One weight matrix: what of it is above the noise floor, and whether that replaced it.

    Attributes
    ----------
    name, kind, matrix_shape
        As in `sciml.spectra.weights.LayerSpectrum`.
    verdict
        What the spectrum says of the layer.
    rank
        Number of directions above the noise floor; None where there is no floor to tell.
    energy
        Fraction of the squared norm of the matrix that these directions have; None without a floor.
    replaced
        Whether the net that is returned has this part in the place of the layer.
    form
        "dense", "thin" (two layers), or "" where the layer is as it was.
    n_parameters, n_parameters_after
        Of the matrix before and after.
    loss
        Held-out loss with this layer alone replaced; None where it was not tried.
    reason
        Why the layer is as it was, or why it is dense; "" otherwise.
    """

    name: str
    kind: str
    matrix_shape: tuple[int, int]
    verdict: str
    rank: int | None
    energy: float | None
    replaced: bool
    form: str
    n_parameters: int
    n_parameters_after: int
    loss: float | None = None
    reason: str = ""


@dataclass(frozen=True, repr=False)
class Truncation:
    """A net of which layers are replaced by their part above the noise floor.

    Attributes
    ----------
    model
        The new net; the one that was given is as it was.
    layers
        Every weight matrix, replaced or not, in the order of the net.
    loss_before, loss_after
        Held-out loss; None without data.
    loss_limit
        The largest loss that was allowed; None without data.
    n_parameters_before, n_parameters_after
        Of the whole net.
    flops_before, flops_after
        Operations of matrix products and convolutions for one sample; None without data.
    """

    model: nn.Module
    layers: tuple[TruncatedLayer, ...]
    n_parameters_before: int
    n_parameters_after: int
    loss_before: float | None = None
    loss_after: float | None = None
    loss_limit: float | None = None
    flops_before: float | None = None
    flops_after: float | None = None

    @property
    def n_replaced(self) -> int:
        """Number of matrices that are replaced."""
        return sum(each.replaced for each in self.layers)

    def summary(self) -> str:
        """Return what was replaced, what it costs and what it saves, as plain text."""
        lines = [f"{self.n_replaced} of {len(self.layers)} matrices replaced by their part above the noise floor"]
        if self.loss_before is None or self.loss_after is None:
            lines.append("held-out loss not measured: give loss and data, or the net may be worse than you think")
        else:
            lines.append(
                f"held-out loss {self.loss_before:.4g} -> {self.loss_after:.4g} (allowed {self.loss_limit:.4g})"
            )
        lines.append(f"parameters {self.n_parameters_before} -> {self.n_parameters_after}")
        if self.flops_before is not None:
            lines.append(f"operations a sample {self.flops_before:.4g} -> {self.flops_after:.4g}")
        lines += [_line(each) for each in self.layers]
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """Return everything but the net as plain values."""
        plain = {each.name: getattr(self, each.name) for each in fields(self) if each.name not in ("model", "layers")}
        layers = [{**vars(each), "matrix_shape": list(each.matrix_shape)} for each in self.layers]
        return {**plain, "n_replaced": self.n_replaced, "layers": layers}

    def variables(self) -> dict[str, tuple[tuple[str, ...], np.ndarray[Any, Any], dict[str, str]]]:
        """Return arrays over layers as (dims, values, attrs): rank, energy, parameters, loss of each layer alone."""

        def column(name: str, long_name: str) -> tuple[tuple[str, ...], np.ndarray[Any, Any], dict[str, str]]:
            values = [np.nan if getattr(each, name) is None else float(getattr(each, name)) for each in self.layers]
            return ("layer",), np.array(values), {"long_name": long_name, "units": "1"}

        return {
            "layer": (
                ("layer",),
                np.array([each.name for each in self.layers], dtype=str),
                {"long_name": "weight matrix"},
            ),
            "truncated_rank": column("rank", "directions above the noise floor"),
            "truncated_energy": column("energy", "fraction of the squared norm above the noise floor"),
            "truncated": column("replaced", "replaced by its part above the noise floor"),
            "truncated_parameters": column("n_parameters_after", "parameters after truncation"),
            "truncated_loss": column("loss", "held-out loss with this layer alone truncated"),
        }

    def __repr__(self) -> str:
        return f"Truncation({self.summary().splitlines()[0]})"


def _line(layer: TruncatedLayer) -> str:
    rows, columns = layer.matrix_shape
    rank = "" if layer.rank is None else f", rank {layer.rank}, {100 * (layer.energy or 0.0):.0f} % of the squared norm"
    state = f"{layer.form}" if layer.replaced else "as it was"
    reason = f" ({layer.reason})" if layer.reason else ""
    return f"{layer.name or layer.kind}: {rows} x {columns}{rank}: {state}{reason}"
