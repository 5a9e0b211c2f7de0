"""The report on the spectra of a net, or of several side by side."""

from collections.abc import Sequence
from dataclasses import replace

from sciml.report.document.parts import Finding, Section, Table
from sciml.report.document.report import Report
from sciml.report.leading import leading_figure
from sciml.report.net_record import NetRecord
from sciml.report.sections.methods import cite, versions
from sciml.report.sections.nets.findings import net_findings
from sciml.report.sections.nets.parts import net_sections
from sciml.report.sections.nets.weights import WEIGHT_CITES, WEIGHT_METHODS
from sciml.wording import series

__all__ = ["net_report"]

METHODS = (
    f"{WEIGHT_METHODS} Jacobians are those of the net in evaluation mode; theory is the law of products of free random "
    "matrices (Pennington et al. 2017) or the mean-field limit."
)


def net_report(records: NetRecord | Sequence[NetRecord], *, title: str | None = None) -> Report:
    """Report on the spectra of nets: findings in words, then weights, activations, Jacobian, curvature, tracks.

    Parameters
    ----------
    records
        One net, or several to be read side by side.
    title
        Heading of the page.

    Examples
    --------
    >>> import torch
    >>> from sciml.spectra import weight_spectra
    >>> weights = weight_spectra({"head.weight": torch.randn(40, 30, generator=torch.Generator().manual_seed(0))})
    >>> net_report(NetRecord(name="net", weights=weights)).kind
    'weights'
    """
    nets = [records] if isinstance(records, NetRecord) else list(records)
    alone = len(nets) == 1
    sections = (
        *(() if alone else (_side_by_side(nets),)),
        *(x for net in nets for x in _sections(net, alone=alone)),
    )
    return Report(
        title=title or (f"Spectra of {nets[0].name}" if alone else f"Spectra of {series(net.name for net in nets)}"),
        kind="weights",
        subject=nets[0].subject if alone else "",
        facts=_facts(nets[0]) if alone else (),
        findings=tuple(each for net in nets for each in _findings(net, alone=alone)),
        lead=leading_figure(sections),
        sections=sections,
        numbers=nets[0].to_dict() if alone else {"nets": [net.to_dict() for net in nets]},
        config=dict(nets[0].config) if alone else {net.name: dict(net.config) for net in nets},
        provenance={**({} if not alone else nets[0].provenance), "versions": versions("torch")},
        methods=METHODS if any(net.jacobian is not None for net in nets) else WEIGHT_METHODS,
        references=cite((*WEIGHT_CITES, *(["pennington"] if any(net.jacobian is not None for net in nets) else []))),
    )


def _facts(net: NetRecord) -> tuple[tuple[str, str], ...]:
    weights = net.weights
    learned = sum(1 for layer in weights.own if layer.rank)
    return (
        ("parameters", f"{weights.n_parameters:,}"),
        ("weight matrices", str(len(weights.own))),
        ("with learned directions", str(learned)),
        ("like their start", str(len(weights.verdicts.get("like its initialization", ())))),
    )


def _findings(net: NetRecord, *, alone: bool) -> tuple[Finding, ...]:
    found = net_findings(net)
    return found if alone else tuple(replace(each, text=f"{net.name}: {each.text}") for each in found)


def _sections(net: NetRecord, *, alone: bool) -> tuple[Section, ...]:
    found = net_sections(net)
    return found if alone else tuple(replace(each, title=f"{each.title}: {net.name}") for each in found)


def _side_by_side(nets: Sequence[NetRecord]) -> Section:
    """Return the verdicts, norms and ranks of the layers that bear one name in all nets."""
    names = [layer.name for layer in nets[0].weights]
    shared = [name for name in names if all(any(x.name == name for x in net.weights) for net in nets)]
    columns = tuple(f"{net.name}: {what}" for net in nets for what in ("verdict", "norm"))
    rows = tuple((name, *(cell for net in nets for cell in _cells(net, name))) for name in shared)
    text = (
        f"{len(shared)} weight matrices bear the same name in all {len(nets)} nets."
        if shared
        else "No weight matrix bears the same name in all nets."
    )
    tables = (Table("Layers side by side", ("layer", *columns), rows),) if shared else ()
    return Section("Side by side", text, tables=(_overview(nets), *tables))


def _cells(net: NetRecord, name: str) -> tuple[object, ...]:
    layer = net.weights.named(name)
    return (layer.words, layer.relative_norm)


def _overview(nets: Sequence[NetRecord]) -> Table:
    columns = ("net", "parameters", "matrices", "learned", "like their start", "Jacobian, squared gain",
               "last participation ratio", "largest Hessian eigenvalue")  # fmt: skip
    return Table("Nets", columns, tuple(_overview_row(net) for net in nets))


def _overview_row(net: NetRecord) -> tuple[object, ...]:
    read = net.activations[-2].dimension if net.activations is not None and len(net.activations) > 1 else None
    return (
        net.name, net.weights.n_parameters, len(net.weights.own), sum(1 for x in net.weights.own if x.rank),
        len(net.weights.verdicts.get("like its initialization", ())),
        None if net.jacobian is None else float(net.jacobian.squared_gain.mean()), read,
        None if net.curvature is None else net.curvature.top.sharpness,
    )  # fmt: skip
