"""The weight matrices of a net: a histogram and a row for each, and what was not analyzed."""

from typing import TYPE_CHECKING, Any

from sciml.report.document.parts import Section, Table
from sciml.report.figures.nets.weights import MOST, weight_histograms
from sciml.wording import p_number, percent, sentence, times

if TYPE_CHECKING:  # named only: a report of a recording loads no torch
    from sciml.spectra import WeightSpectra

__all__ = ["WEIGHT_CITES", "WEIGHT_METHODS", "weights_section"]

WEIGHT_CITES = ("marchenko", "tracy", "benjamini")
WEIGHT_METHODS = (
    "Each weight matrix was compared with random weights of its shape: rows and columns of unequal scale were "
    "equalized, the variance of the noise was taken from the bulk, and singular values beyond the Tracy–Widom "
    "fluctuation of the Marchenko–Pastur edge (Marchenko and Pastur 1967; Tracy and Widom 1996) count as learned, with "
    "false discoveries controlled over the layers (Benjamini and Hochberg 1995)."
)


def weights_section(weights: "WeightSpectra", before: "WeightSpectra | None" = None) -> Section:
    """Return a histogram and a row of the table for each matrix, and what was left out.

    Parameters
    ----------
    weights
        As they are.
    before
        As they were at the start: their verdicts stand beside.
    """
    drawn = [layer for layer in weights if layer.singular_values.size > 1]
    first = sorted(drawn, key=lambda layer: -(layer.rank or 0)) if len(drawn) > MOST else drawn
    text = (
        f"{len(weights.own)} weight matrices hold {percent(weights.coverage)} of {weights.n_parameters:,} parameters. "
        "A direction counts where its singular value is larger than that of noise of this size would be, after "
        f"false-discovery control over all layers at {weights.alpha:g}. Norms are over √(fan out / fan in)."
    )
    notes = "\n\n".join(sentence(note) for note in dict.fromkeys(layer.note for layer in weights if layer.note))
    return Section(
        "Weights",
        f"{text}{_meaning(weights)}\n\n{notes}",
        figures=(weight_histograms(first),) if first else (),
        tables=(_table(weights, before), *_changes(weights), *_power_laws(weights), *_left_out(weights)),
    )


def _meaning(weights: "WeightSpectra") -> str:
    if not any(layer.change is not None for layer in weights):
        return ""
    return (
        " The change is W less the start, drawn again from the seed; in the span of the data: the squared cosine of "
        "its strongest direction with the ten strongest components of what the layer multiplies, along which gradients "
        "lie."
    )


def _table(weights: "WeightSpectra", before: "WeightSpectra | None") -> Table:
    columns = ("layer", "kind", "matrix", "verdict", "p, adjusted", "sigma", "edge", "largest", "stable rank",
               "effective rank", "norm", "strongest direction", "caution")  # fmt: skip
    if before is None:
        return Table("Weight matrices", columns, tuple(_row(layer) for layer in weights))
    started = {layer.name: layer.words for layer in before}
    rows = tuple((*_row(layer), started.get(layer.name)) for layer in weights)
    return Table("Weight matrices", (*columns, "at the start"), rows)


def _row(layer: Any) -> tuple[Any, ...]:
    strongest = None
    if layer.outliers is not None and len(layer.outliers.strengths):
        low, high = float(layer.outliers.low[0]), float(layer.outliers.high[0])
        strongest = f"{float(layer.outliers.strengths[0]):.3g} ({low:.3g} to {high:.3g})"
    return (
        layer.name, layer.kind, times(layer.matrix_shape), layer.words,
        None if layer.q_value is None else p_number(layer.q_value), layer.sigma, layer.edge,
        float(layer.singular_values[0]), layer.stable_rank, layer.effective_rank, layer.relative_norm, strongest,
        "; ".join(layer.warnings) or None,
    )  # fmt: skip


def _changes(weights: "WeightSpectra") -> tuple[Table, ...]:
    """Return what training added to the start, where that is known."""
    known = [layer for layer in weights if layer.change is not None]
    if not known:
        return ()
    columns = ("layer", "size over the start", "effective rank", "verdict on the change", "outliers that it brought",
               "in the span of the data", "by chance")  # fmt: skip
    return (Table("Change since the start", columns, tuple(_change_row(layer) for layer in known)),)


def _change_row(layer: Any) -> tuple[Any, ...]:
    change, aligned = layer.change, layer.change.data_alignment
    size = None if change.relative_size is None else percent(change.relative_size)
    span = None if aligned is None else float(aligned.squared_cosines[0])
    chance = None if aligned is None else aligned.chance
    return (layer.name, size, change.effective_rank, change.words, change.outlier_overlap, span, chance)


def _power_laws(weights: "WeightSpectra") -> tuple[Table, ...]:
    """Return the fits to the upper tails of the squared singular values, each with its interval and reason."""
    known = [layer for layer in weights if layer.power_law is not None]
    if not known:
        return ()
    columns = ("layer", "verdict", "exponent", "95 % interval", "values in the tail", "p of the fit", "because")
    return (Table("Power laws of the squared singular values", columns, tuple(_power_row(layer) for layer in known)),)


def _power_row(layer: Any) -> tuple[Any, ...]:
    fit = layer.power_law
    holds = fit.alpha is not None and fit.verdict != "not a power law"  # an exponent of what is none says nothing
    alpha, interval = (fit.alpha, f"{fit.low:.3g} to {fit.high:.3g}") if holds else (None, None)
    return (layer.name, fit.verdict, alpha, interval, f"{fit.n_tail} of {fit.n_values}", fit.p_value, fit.reason)


def _left_out(weights: "WeightSpectra") -> tuple[Table, ...]:
    left, n = weights.left_out, max(1, weights.n_parameters)
    if not left:
        return ()
    rows = tuple((x.name, times(x.shape), percent(x.n_parameters / n), x.reason) for x in left)
    return (Table("Not analyzed", ("parameter", "shape", "of the parameters", "reason"), rows),)
