"""`sciml spectrum report|noise|weights`: the spectra of recordings and nets."""

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from sciml_cli.options import (
    FILE,
    Command,
    Entry,
    LazyGroup,
    json_option,
    model_option,
    overwrite_option,
    signal_option,
)
from sciml_cli.output import alert, emit, note, number, progress_bar, table

__all__ = ["noise", "report", "spectrum", "weights"]

ALPHA = click.FloatRange(0, 1, min_open=True, max_open=True)
MOST_NAMES = 12  # of channels in one row of a table

spectrum = LazyGroup(
    "spectrum",
    help="Spectra of recordings and nets.",
    table={
        "report": Entry("sciml_cli.commands.spectrum:report", "One HTML page on a recording, a run or a checkpoint."),
        "noise": Entry("sciml_cli.commands.spectrum:noise", "The noise floor of a recording, and what rises above it."),
        "weights": Entry(
            "sciml_cli.commands.spectrum:weights", "Singular values of a net's layers against their noise edge."
        ),
    },
)


@click.command("report", cls=Command)
@click.argument("targets", metavar="TARGET...", nargs=-1, required=True, type=FILE)
@click.option("-o", "--out", default="report.html", show_default=True, type=FILE, help="HTML page to write.")
@click.option("--json-file", type=FILE, help="Write the numbers to this file too.")
@signal_option
@model_option
@click.option("--alpha", type=ALPHA, default=0.05, show_default=True, help="Level of the noise floor and of outliers.")
@overwrite_option
@json_option
def report(
    targets: tuple[Path, ...],
    out: Path,
    json_file: Path | None,
    signal: str | None,
    model: str,
    alpha: float,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Report on a recording, a run directory or a checkpoint: findings in words first, then the evidence.

    Of several TARGETs each gets its page: OUT is then a folder, or report.html becomes report-1.html, ...
    """
    from sciml.pipeline import report_on

    names = _numbered(out, len(targets))
    json_names = _numbered(json_file, len(targets)) if json_file else [None] * len(targets)
    _refuse_existing([*names, *(name for name in json_names if name)], overwrite)
    documents = []
    for target, page, numbers in zip(targets, names, json_names, strict=True):
        found = report_on(target, signal=signal, model=model, alpha=alpha)
        found.to_html(page, overwrite=overwrite)
        if numbers is not None:
            found.to_json(numbers, overwrite=overwrite)
        for finding in found.findings:
            note(f"- {finding.text}")
        if not as_json:
            click.echo(page)
        documents.append({"page": page, **found.to_dict()})
    if as_json:
        emit("reports", {"reports": documents})


def _numbered(path: Path, n: int) -> list[Path]:
    return [path] if n == 1 else [path.with_name(f"{path.stem}-{k + 1}{path.suffix}") for k in range(n)]


def _refuse_existing(paths: Sequence[Path], overwrite: bool) -> None:
    """Say that an output exists before the work, not after it."""
    from sciml.errors import StorageError

    for path in paths:
        if path.exists() and not overwrite:
            raise StorageError(f"{path} exists; choose another name, or replace it with --overwrite")


@click.command("noise", cls=Command)
@click.argument("file", type=FILE)
@signal_option
@model_option
@click.option("--alpha", type=ALPHA, default=0.05, show_default=True, help="Level of the test.")
@click.option("--by-frequency", is_flag=True, help="Test each frequency: which oscillations do channels share?")
@click.option("--band", nargs=2, type=float, metavar="LOW HIGH", help="With --by-frequency: frequencies in Hz.")
@click.option("--bandwidth", type=float, metavar="HZ", help="With --by-frequency: width of the bands.")
@json_option
def noise(
    file: Path,
    signal: str | None,
    model: str,
    alpha: float,
    by_frequency: bool,
    band: tuple[float, float] | None,
    bandwidth: float | None,
    as_json: bool,
) -> None:
    """Estimate the noise of a recording and find the components that rise above it."""
    if by_frequency:
        _noise_by_frequency(file, signal, alpha, band, bandwidth, as_json)
        return
    if band is not None or bandwidth is not None:
        raise click.UsageError("--band and --bandwidth need --by-frequency")
    from sciml.io import open_recording
    from sciml.noise import noise_floor

    recording = open_recording(file, signal)
    from sciml.errors import NoiseFloorWarning

    with progress_bar("reading") as progress, warnings.catch_warnings():
        warnings.simplefilter("ignore", NoiseFloorWarning)  # said in the cautions
        floor = noise_floor(recording, model=model, alpha=alpha, progress=progress)
    for warning in floor.warnings:
        alert(f"warning: {warning}")
    if as_json:
        emit("noise", floor.to_dict())
        return
    click.echo(f"{floor.summary()}\n")
    click.echo(table(("quantity", "value"), _noise_rows(floor)))
    columns = (
        "component",
        "eigenvalue",
        "p-value",
        f"strength [{floor.units}]" if floor.units else "strength",
        "95 % interval",
        "loadings",
        "time course",
        "channels",
    )
    shown = range(min(len(floor.eigenvalues), floor.rank + 3))
    click.echo("\n" + table(columns, [_component_row(floor, k) for k in shown]))
    if floor.rank:
        click.echo(
            "\nstrength: standard deviation before the noise added to it, all channels together; loadings, time "
            "course: squared cosine with the true pattern over channels and in time"
        )


def _component_row(floor: Any, k: int) -> tuple[object, ...]:
    from sciml.wording import p_number

    p_value = "" if floor.doubt else p_number(float(floor.p_values[k]))
    row = (k + 1, number(float(floor.eigenvalues[k])), p_value)
    if k >= floor.rank:
        return (*row, "noise", "", "", "", "")
    low, high = floor.strength_intervals[k]
    strongest = abs(floor.components[:, k]).argsort()[::-1][:3]
    return (
        *row,
        number(float(floor.strengths[k])),
        f"{number(float(low))} to {number(float(high))}",
        f"{floor.overlaps_channel[k]:.2f}",
        f"{floor.overlaps_time[k]:.2f}",
        ", ".join(floor.channel_names[i] for i in strongest),
    )


def _noise_by_frequency(
    file: Path,
    signal: str | None,
    alpha: float,
    band: tuple[float, float] | None,
    bandwidth: float | None,
    as_json: bool,
) -> None:
    from sciml.io import open_recording
    from sciml.noise import spectral_noise_floor

    recording = open_recording(file, signal)
    floor = spectral_noise_floor(recording, frequencies=band, bandwidth=bandwidth, alpha=alpha)
    for warning in floor.warnings:
        alert(f"warning: {warning}")
    if as_json:
        emit("noise-by-frequency", floor.to_dict())
        return
    click.echo(floor.summary().splitlines()[0])
    if floor.held_bands:
        columns = (
            "peak [Hz]",
            "from [Hz]",
            "to [Hz]",
            "of the power",
            "mode",
            "p-value",
            "strength",
            "channels",
            "which, strongest first",
        )
        rows = [_mode_row(floor, shared, k) for shared in floor.held_bands for k in range(len(shared.modes))]
        click.echo("\n" + table(columns, rows))
        note("strength: power of the mode over the noise of one channel in the band, summed over channels")
        note("a line is marked =: narrower than its band")
    for line in floor.summary().splitlines()[1 + len(floor.held_bands) :]:
        click.echo(line)
    narrowest, widest = (number(float(each), "Hz") for each in (floor.bandwidth.min(), floor.bandwidth.max()))
    note(f"{floor.n_segments} segments of {number(floor.segment, 's')}; bands {narrowest} to {widest} wide")


def _mode_row(floor: Any, shared: Any, k: int) -> tuple[object, ...]:
    from sciml.wording import p_number, share

    mode = shared.modes[k]
    named = ", ".join(floor.names[i] for i in mode.channels[:MOST_NAMES])
    more = ", ..." if len(mode.channels) > MOST_NAMES else ""
    peak = number(shared.frequency) + ("=" if shared.narrow else "")
    first = (peak, number(shared.low), number(shared.high), share(shared.share))
    return (
        *(first if k == 0 else ("",) * len(first)),
        k + 1,
        p_number(mode.p_value),
        number(mode.strength),
        len(mode.channels),
        named + more,
    )


def _memory(floor: Any) -> float | None:
    """Return over how many seconds the noise is correlated; None where its samples are independent."""
    return floor.correlation_time if floor.n_samples > floor.n_effective else None


def _noise_rows(floor: Any) -> list[tuple[str, str]]:
    return [
        ("model", f"{floor.model} ({floor.reason})"),
        ("sigma", f"{number(floor.sigma, floor.units)} (standard error {number(floor.sigma_se, floor.units)})"),
        ("edge", f"{number(floor.edge)} at level {floor.alpha:g}"),
        ("detection limit", number(floor.detection_limit, floor.units)),
        ("rank", floor.rank_words),
        ("correlation time", number(_memory(floor), "s")),
        ("Marchenko-Pastur", f"{floor.mp_rank} components (edge {number(floor.mp_edge)})"),
        ("samples", f"{floor.n_samples} ({number(floor.n_effective)} independent)"),
        ("channels", f"{floor.n_features} ({floor.n_used} used)"),
        ("bulk", f"{number(floor.bulk_distance)} from the law of this noise (Kolmogorov-Smirnov)"),
        ("spacings", f"mean ratio {number(floor.spacing_ratio)} (noise: {'0.60' if floor.complex_data else '0.53'})"),
    ]


@click.command("weights", cls=Command)
@click.argument("target", type=FILE)
@click.option("--alpha", type=ALPHA, default=0.05, show_default=True, help="Level of the test of outliers.")
@json_option
def weights(target: Path, alpha: float, as_json: bool) -> None:
    """Test the singular values of each layer against the noise edge of a matrix of its size.

    TARGET is a run directory (its best epoch), a checkpoint, a .safetensors file, or a saved state dict.
    """
    if not target.exists():  # before torch is loaded
        from sciml.errors import CheckpointError

        raise CheckpointError(f"expected a run directory or a checkpoint at {target}, found nothing")
    from sciml.pipeline import load_weights
    from sciml.spectra import weight_spectra

    layers = weight_spectra(load_weights(target), alpha=alpha)
    if as_json:
        emit("weights", {"target": target, "alpha": alpha, "layers": [layer.to_dict() for layer in layers]})
        return
    columns = ("layer", "kind", "matrix", "sigma", "edge", "largest", "outliers", "p-value")
    click.echo(table(columns, [_layer_row(layer) for layer in layers]))
    for layer in layers:
        for warning in layer.warnings:
            alert(f"warning: {layer.name}: {warning}")


def _layer_row(layer: Any) -> tuple[object, ...]:
    from sciml.wording import p_number

    return (
        layer.name,
        layer.kind,
        " x ".join(map(str, layer.matrix_shape)),
        number(layer.sigma),
        number(layer.edge),
        number(float(layer.singular_values[0])),
        layer.rank,
        None if layer.p_values is None else p_number(float(layer.p_values[0])),
    )
