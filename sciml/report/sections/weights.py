"""Weight spectra in a report: which layers hold more than random numbers of their size would."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from sciml.report.document.parts import Finding, Section, Table
from sciml.report.figures.eigen import layer_spectra
from sciml.wording import count, p_number, series, times

if TYPE_CHECKING:  # named only: a report of a recording loads no torch
    from sciml.spectra import LayerSpectrum

__all__ = ["METHODS", "weight_finding", "weight_numbers", "weight_section"]

CITES = ("marchenko", "martin", "tracy")
METHODS = (
    "Each weight matrix was compared with random weights of the same shape and bulk variance: singular values beyond "
    "the upper edge of the Marchenko–Pastur law (Marchenko and Pastur 1967), by more than its Tracy–Widom fluctuation "
    "(Tracy and Widom 1996), count as outliers (compare Martin and Mahoney 2021)."
)


def weight_finding(layers: "Sequence[LayerSpectrum]") -> Finding:
    """Return in one sentence how many layers carry outliers, and in another which have no bulk of noise."""
    carrying = [layer for layer in layers if layer.rank]
    outliers = sum(layer.rank or 0 for layer in layers)
    numbers = {"layers": len(layers), "with_outliers": len(carrying), "outliers": outliers}
    if not layers:
        return Finding("The net has no weight matrix large enough to test.", "note", numbers)
    text = _carrying(layers, carrying) if carrying else _random(layers)
    bare = [layer.name for layer in layers if layer.verdict == "no noise bulk left"]
    if bare:
        text += f" No noise bulk is left in {series(bare[:3])}{f' and {len(bare) - 3} more' if len(bare) > 3 else ''}."
    return Finding(text, numbers=numbers)


def _random(layers: "Sequence[LayerSpectrum]") -> str:
    alike = sum(layer.verdict == "like its initialization" for layer in layers)
    if alike < len(layers):
        return f"{alike} of {count(len(layers), 'weight matrix')} look random: no singular value above the noise edge."
    subject = "The weight matrix looks" if len(layers) == 1 else f"All {len(layers)} weight matrices look"
    return f"{subject} random: no singular value above the noise edge."


def _carrying(layers: "Sequence[LayerSpectrum]", carrying: "Sequence[LayerSpectrum]") -> str:
    strongest = sorted(carrying, key=lambda layer: (layer.edge or 0.0) / float(np.max(layer.tested_values)))[:3]
    named = series(f"{layer.name} ({layer.rank})" for layer in strongest)
    head = f"{len(carrying)} of {count(len(layers), 'weight matrix')}"
    verb = "has" if len(carrying) == 1 else "have"
    lead = "" if len(carrying) <= 3 else "most clearly "
    return f"{head} {verb} singular values above the edge of random weights: {lead}{named}."


def weight_section(layers: "Sequence[LayerSpectrum]", before: "Sequence[LayerSpectrum]" = ()) -> Section:
    """Return the singular values of each layer beside their edge, and a table with p-values."""
    ranks = {layer.name: layer.rank for layer in before}
    columns = ("layer", "kind", "shape", "sigma", "edge", "largest", "outliers", *(("at the start",) if before else ()),
               "p of the largest", "caution")  # fmt: skip
    rows = tuple(
        (
            layer.name, layer.kind, times(layer.shape), layer.sigma, layer.edge,
            _first(layer.tested_values), layer.rank, *((ranks.get(layer.name),) if before else ()),
            None if layer.p_values is None else p_number(float(layer.p_values[0])), "; ".join(layer.warnings) or None,
        )
        for layer in layers
    )  # fmt: skip
    drawn = [(x.name, x.tested_values, x.edge, x.rank or 0) for x in layers if x.edge]
    return Section(
        "Weight spectra",
        text=f"{METHODS}{_notes(layers)}",
        figures=(layer_spectra(drawn),) if drawn else (),
        tables=(Table("Layers", columns, rows),),
    )


def _notes(layers: "Sequence[LayerSpectrum]") -> str:
    """Return once for each kind of layer how its weight was read as a matrix."""
    kinds: dict[str, list[str]] = {}
    for layer in layers:
        if layer.note:
            kinds.setdefault(layer.note, []).append(layer.kind)
    return "".join(f"\n\n{series(dict.fromkeys(names))}: {note}." for note, names in kinds.items())


def _first(values: Any) -> float | None:
    return float(values[0]) if len(values) else None


def weight_numbers(layers: "Sequence[LayerSpectrum]") -> list[dict[str, Any]]:
    """Return name, shape, edge, rank and singular values of each layer."""
    return [
        {
            "name": layer.name, "kind": layer.kind, "shape": layer.shape, "sigma": layer.sigma, "edge": layer.edge,
            "rank": layer.rank, "singular_values": layer.singular_values, "p_values": layer.p_values,
        }
        for layer in layers
    ]  # fmt: skip
