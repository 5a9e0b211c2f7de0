"""Intracellular recordings of NWB: the settings of the amplifier, and which sweep and stimulus belong to a response."""

from typing import Any

import h5py
import numpy as np

from sciml.errors import DataError
from sciml.io.hdf5.text import clean_unit
from sciml.io.hdf5.tree import Node, Tree
from sciml.io.schema import tables
from sciml.io.schema.axes import is_real

__all__ = ["settings", "sweeps"]

SETTINGS = (
    "gain",
    "bias_current",
    "bridge_balance",
    "capacitance_compensation",
    "capacitance_fast",
    "capacitance_slow",
    "resistance_comp_bandwidth",
    "resistance_comp_correction",
    "resistance_comp_prediction",
    "whole_cell_capacitance_comp",
    "whole_cell_series_resistance_comp",
)
TABLES = "general/intracellular_ephys"


def settings(series: Node) -> dict[str, Any]:
    """Return the settings of a clamp with their units, and the name of the electrode."""
    found: dict[str, Any] = {}
    for name in SETTINGS:
        node = series.dataset(name)
        if node is None or not is_real(node) or node.shape:
            continue
        found[name] = float(node.scalar(np.nan))
        if unit := clean_unit(node.text("unit")):
            found[f"{name}_units"] = unit
    electrode = series.child("electrode")
    return found | ({"electrode": electrode.name} if electrode is not None else {})


def sweeps(tree: Tree, findings: list[str]) -> dict[str, dict[str, Any]]:
    """Return by the path of a series its sweep (sweep_table), or recording and stimulus (intracellular_recordings).

    A row of intracellular_recordings names spans of samples: first, number of samples, series.
    """
    found: dict[str, dict[str, Any]] = {}
    for name, take in (("sweep_table", _numbered), ("intracellular_recordings", _paired)):
        table = tree.get(f"{TABLES}/{name}")
        try:
            found |= take(table, tree) if table is not None else {}
        except DataError as error:
            findings.append(f"{error}; sweeps are left out")
    return found


def _numbered(table: Node, tree: Tree) -> dict[str, dict[str, Any]]:
    series, index, numbers = (table.dataset(name) for name in ("series", "series_index", "sweep_number"))
    if series is None or index is None or numbers is None or not numbers.is_numeric:
        return {}
    cells, rows = series.read(), numbers.read()
    found = {}
    for row, part in enumerate(tables.ragged_rows(index, len(cells))):
        for cell in cells[part]:
            node = tree.referred(cell, series) if isinstance(cell, h5py.Reference) else None
            if node is not None and row < len(rows):
                found[node.path] = {"sweep_number": int(rows[row])}
    return found


def _paired(table: Node, tree: Tree) -> dict[str, dict[str, Any]]:
    spans = {}
    for category, name in (("stimuli", "stimulus"), ("responses", "response")):
        inside = table.child(category)
        spans[name] = _spans(inside.dataset(name) if inside is not None else None, tree)
    ids = table.dataset("id")
    numbers = ids.read().tolist() if ids is not None and ids.is_numeric else list(range(len(spans["response"])))
    found: dict[str, dict[str, Any]] = {}
    for row, (path, first, count) in enumerate(spans["response"]):
        about: dict[str, Any] = {"recording": numbers[row] if row < len(numbers) else row}
        stimulus = spans["stimulus"][row] if row < len(spans["stimulus"]) else ("", -1, -1)
        if stimulus[0]:
            about["stimulus"] = stimulus[0]
        if count >= 0 and path:
            found[path] = {**about, "response_span": [first, count]}
    return found


def _spans(node: Node | None, tree: Tree) -> list[tuple[str, int, int]]:
    if node is None or node.dtype is None or not {"idx_start", "count", "timeseries"} <= set(node.dtype.names or ()):
        return []
    rows = node.read()
    found = []
    for first, count, reference in zip(rows["idx_start"], rows["count"], rows["timeseries"], strict=True):
        target = tree.referred(reference, node)
        found.append((target.path if target is not None else "", int(first), int(count)))
    return found
