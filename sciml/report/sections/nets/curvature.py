"""The curvature of a net's loss: how sharp the minimum is, and what that means for the learning rate."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import numpy as np

from sciml.report.document.parts import Finding, Section, Table
from sciml.report.figures.nets.curvature import curvature_figure
from sciml.report.net_record import CurvatureRecord, NetRecord

if TYPE_CHECKING:  # named only: a report of a recording loads no torch
    from sciml.spectra import TopEigenvalues

__all__ = ["curvature_findings", "curvature_section"]


def curvature_findings(found: CurvatureRecord, learning_rate: float | None, optimizer: str) -> Iterator[Finding]:
    """Say how sharp the loss is, and whether the learning rate of the run was beyond what gradient descent bears."""
    top = found.top
    numbers = {"sharpness": top.sharpness, "learning_rate_bound": top.learning_rate_bound, "n_samples": top.n_samples}
    yield _sharpness(top, numbers, learning_rate, optimizer)
    if found.noise is not None:
        yield Finding(found.noise.summary(), "note", {"floor": found.noise.floor})
    negative = int((top.values < 0).sum())
    if negative:
        yield Finding(
            f"{negative} of the {len(top.values)} eigenvalues of largest magnitude are negative, the lowest "
            f"{float(top.values.min()):.3g}: the loss bends down along these directions, so that this is no minimum.",
            "note",
        )


def _sharpness(
    top: "TopEigenvalues", numbers: Mapping[str, object], learning_rate: float | None, optimizer: str
) -> Finding:
    """Say how sharp the loss is, or why that is not said: the largest may not be the one of largest magnitude."""
    k = int(np.argmax(top.values))
    if not top.converged[k]:
        text = (
            f"The largest eigenvalue of the Hessian was not found to {100 * top.tolerance:g} %: no sharpness is given."
        )
        return Finding(text, "caution", numbers)
    if not top.values[k] > 0:
        text = (
            f"None of the {len(top.values)} eigenvalues of the Hessian of largest magnitude is positive: no sharpness "
            "and no bound on the learning rate is given."
        )
        return Finding(text, "caution", numbers)
    rate = "" if learning_rate is None else f"; the highest rate of the run was {learning_rate:.3g}, with {optimizer}"
    return Finding(
        f"The sharpest direction of the loss over {top.n_samples} train windows has the curvature {top.sharpness:.4g} "
        f"(± {float(top.errors[k]):.1g}), so that plain gradient descent would leave this point at rates above "
        f"{top.learning_rate_bound:.3g}{rate}.",
        "result",
        numbers,
    )


def curvature_section(record: NetRecord) -> Section:
    """Return the eigenvalues with the bounds on their errors, drawn and as a table."""
    found = record.curvature
    assert found is not None  # noqa: S101 (asked only where it is there)
    text = (
        f"Hessian of the loss that was trained on, over {found.top.n_samples} train windows, dropout off and batch "
        f"norms as in evaluation, all {found.top.n_parameters:,} parameters. {found.top.summary()}"
    )
    other = found.gauss_newton
    more = "" if other is None else f"\n\n{other.summary()} It leaves out how the net itself bends."
    parts = [part.summary() for part in (found.noise, found.classes) if part is not None]
    text = "\n\n".join([f"{text}{more}", *parts, *(f"{note[:1].upper()}{note[1:]}." for note in found.notes)])
    return Section("Curvature", text, figures=(curvature_figure(found),), tables=(_table(found),))


def _table(found: CurvatureRecord) -> Table:
    columns = ("", "Hessian", "error at most", "found", *(("Gauss-Newton",) if found.gauss_newton is not None else ()))
    rows = tuple(
        (k + 1, float(value), float(error), "yes" if ok else "no", *_other(found.gauss_newton, k))
        for k, (value, error, ok) in enumerate(
            zip(found.top.values, found.top.errors, found.top.converged, strict=True)
        )
    )
    return Table("Eigenvalues", columns, rows)


def _other(found: "TopEigenvalues | None", k: int) -> tuple[float | None, ...]:
    if found is None:
        return ()
    return (float(found.values[k]) if k < len(found.values) else None,)
