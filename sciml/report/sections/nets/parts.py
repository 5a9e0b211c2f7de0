"""The evidence on a net's spectra: figures and tables, a section for each kind of spectrum."""

from collections.abc import Callable
from typing import Any

from sciml.report.document.parts import Section, Table
from sciml.report.figures.nets.activations import activation_figure, dimension_figure
from sciml.report.figures.nets.jacobians import jacobian_figure
from sciml.report.figures.nets.tracks import track_figure
from sciml.report.net_record import NetRecord
from sciml.report.sections.nets.curvature import curvature_section
from sciml.report.sections.nets.weights import weights_section

__all__ = ["net_sections"]


def net_sections(record: NetRecord) -> tuple[Section, ...]:
    """Return the sections on one net, of what was measured."""
    parts: tuple[tuple[Any, Callable[[NetRecord], Section]], ...] = (
        (record.weights, lambda net: weights_section(net.weights)),
        (record.activations, _activations),
        (record.jacobian, _jacobian),
        (record.curvature, curvature_section),
        (record.track, _track),
    )
    return tuple(section(record) for part, section in parts if part is not None)


def _activations(record: NetRecord) -> Section:
    found = record.activations
    assert found is not None  # noqa: S101 (asked only where it is there)
    columns = ("layer", "reads", "units", "constant", "participation ratio", "random weights", "by",
               "units that share nothing", "components shared", "within / between classes")  # fmt: skip
    rows = tuple(
        (
            x.name, x.source, x.n_units, x.n_constant, x.dimension, x.random_dimension, x.random_by,
            x.independent_dimension, x.n_shared, None if x.collapse is None else x.collapse.within,
        )
        for x in found
    )  # fmt: skip
    text = (
        f"Covariance of what each layer reads over {found.n_samples} windows of the train part, of convolutions one "
        "position of each. The participation ratio is a number of dimensions, biased down by few windows; beside it "
        "that of units that share nothing, in as many windows, and that of random weights of the same size in the "
        "layer before, on the same inputs: by law (the generalized Marchenko-Pastur law of the layer's kernel; "
        "Pennington and Worah 2017, Louart et al. 2018) where a few draws agree with it, else by draws. Windows that "
        "overlap are not independent, and make the number of shared components too large."
    )
    return Section(
        "Activations",
        text,
        figures=(dimension_figure(found.layers), activation_figure(found.layers)),
        tables=(Table("What the layers read", columns, rows),),
    )


def _jacobian(record: NetRecord) -> Section:
    now, start = record.jacobian, record.initial_jacobian
    assert now is not None  # noqa: S101 (asked only where it is there)
    law = start if start is not None else now
    how = "formed entry by entry" if now.exact else f"largest {now.singular_values.shape[1]} by Lanczos steps"
    text = (
        f"Singular values of ∂output/∂input at {len(now.singular_values)} windows of the train part ({how}), behind "
        "the preprocessing. Theory is that of wide nets of random weights with the variances of the start, independent "
        f"of the signal.{f' {law.note[:1].upper()}{law.note[1:]}.' if law.note else ''}"
    )
    return Section("Jacobian", text, figures=(jacobian_figure(now, start),))


def _track(record: NetRecord) -> Section:
    track = record.track
    assert track is not None  # noqa: S101 (asked only where it is there)
    text = f"Measured at {len(track.steps)} steps, from {track.steps[0]} to {track.steps[-1]}."
    return Section("Over training", text, figures=(track_figure(track),))
