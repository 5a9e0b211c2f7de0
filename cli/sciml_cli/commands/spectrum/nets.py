"""`sciml spectrum weights|activations|jacobian|track`: the spectra of a net, as tables, JSON and netCDF."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from sciml_cli.options import FILE, Command, json_option, net_option, overwrite_option
from sciml_cli.output import emit, note, number, say, table, warn

__all__ = ["activations", "jacobian", "track", "weights"]

F = TypeVar("F", bound=Callable[..., Any])

ALPHA = click.FloatRange(0, 1, min_open=True, max_open=True)
SAMPLES = click.IntRange(3)


def netcdf_option(function: F) -> F:
    """Add `--netcdf`."""
    return click.option("--netcdf", type=FILE, help="Write all arrays to this netCDF file.")(function)


def refuse_missing(target: Path, what: str) -> None:
    """Say that there is nothing before torch is loaded."""
    if not target.exists():
        from sciml.errors import CheckpointError

        raise CheckpointError(f"expected {what} at {target}, found nothing")


def keep(record: Any, netcdf: Path | None, overwrite: bool) -> None:
    """Write the arrays of a record to a netCDF file, if one is asked for."""
    if netcdf is not None:
        from sciml.pipeline.spectra import save_spectra

        save_spectra(record, netcdf, overwrite=overwrite)


def check_output(path: Path | None, overwrite: bool) -> None:
    """Say that an output exists before the work, not after it."""
    if path is not None and path.exists() and not overwrite:
        from sciml.errors import StorageError

        raise StorageError(f"{path} exists; choose another name, or replace it with --overwrite")


def _analyze(target: Path, netcdf: Path | None, overwrite: bool, **asked: Any) -> Any:
    check_output(netcdf, overwrite)
    from sciml.pipeline.spectra import analyze

    record = analyze(target, **asked, progress=note)
    keep(record, netcdf, overwrite)
    return record


def _warn(record: Any) -> None:
    for text in record.notes:
        warn(text)


@click.command("weights", cls=Command)
@click.argument("target", type=FILE)
@click.option("--alpha", type=ALPHA, default=0.05, show_default=True, help="Level of the test, over all layers.")
@netcdf_option
@net_option
@overwrite_option
@json_option
def weights(target: Path, alpha: float, netcdf: Path | None, net: str | None, overwrite: bool, as_json: bool) -> None:
    """Test the singular values of each weight matrix against noise of its size, and say which layers learned.

    TARGET is a run directory (its best epoch), a checkpoint, a .safetensors file or index, an ONNX file, or a saved
    state dict. No model is built of a file.
    """
    refuse_missing(target, "a run directory or a file of weights")
    record = _analyze(target, netcdf, overwrite, parts=(), alpha=alpha, net=net)
    _warn(record)
    if as_json:
        emit("weights", {"target": target, **record.weights.to_dict()})
        return
    say(record.weights.summary() + "\n")
    columns = ("layer", "matrix", "verdict", "p, adj.", "largest", "edge", "norm")
    click.echo(table(columns, [_layer_row(layer) for layer in record.weights]))
    note("norm: spectral norm over the root of fan out / fan in")
    for layer in record.weights:
        for warning in layer.warnings:
            warn(f"{layer.name}: {warning}")


_SHORT = {
    "like its initialization": "like start",
    "directions learned on a noise bulk": "like start",  # none after false-discovery control
    "no noise bulk left": "no bulk left",
    "orthogonal: nothing to test": "orthogonal",
    "undetermined": "undetermined",
}


def _layer_row(layer: Any) -> tuple[object, ...]:
    from sciml.wording import p_number

    return (
        layer.name,
        " x ".join(map(str, layer.matrix_shape)),
        f"{layer.rank} learned" if layer.rank else _SHORT[layer.verdict],
        "-" if layer.q_value is None else p_number(layer.q_value),
        number(float(layer.tested_values[0])),
        number(layer.edge),
        number(layer.relative_norm),
    )


@click.command("activations", cls=Command)
@click.argument("run", type=FILE)
@click.option("--samples", type=SAMPLES, default=256, show_default=True, help="Windows of the train part, at most.")
@click.option("--alpha", type=ALPHA, default=0.05, show_default=True, help="Level of the test of shared components.")
@netcdf_option
@net_option
@overwrite_option
@json_option
def activations(
    run: Path, samples: int, alpha: float, netcdf: Path | None, net: str | None, overwrite: bool, as_json: bool
) -> None:
    """Measure what each layer of a run's net reads: dimensions, beside random weights and units that share nothing."""
    refuse_missing(run, "a run directory")
    record = _analyze(run, netcdf, overwrite, parts=("activations",), samples=samples, alpha=alpha, net=net)
    found = _there(record.activations, run, record)
    _warn(record)
    if as_json:
        emit("activations", {"run": run, **found.to_dict()})
        return
    columns = ("layer", "units", "const.", "dims", "random", "no sharing", "NC1")
    click.echo(table(columns, [_activation_row(each) for each in found]))
    note(f"{found.n_samples} windows of the train part; dims: participation ratio, biased down by few windows")
    note("random: with random weights in the layer before; no sharing: if units shared nothing; const.: same for all")
    note("NC1: scatter within the classes over that between them, 0 where they have collapsed")


def _activation_row(each: Any) -> tuple[object, ...]:
    collapse = None if each.collapse is None else each.collapse.within
    ratios = (each.dimension, each.random_dimension, each.independent_dimension, collapse)
    return (each.name, each.n_units, each.n_constant, *map(number, ratios))


@click.command("jacobian", cls=Command)
@click.argument("run", type=FILE)
@click.option("--samples", type=SAMPLES, default=32, show_default=True, help="Windows of the train part, at most.")
@click.option("--start", "begin", metavar="MODULE", help="Start after this module of the net. [default: the input]")
@click.option("--end", metavar="MODULE", help="End after this module. [default: the output]")
@netcdf_option
@net_option
@overwrite_option
@json_option
def jacobian(
    run: Path,
    samples: int,
    begin: str | None,
    end: str | None,
    netcdf: Path | None,
    net: str | None,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Measure the singular values of a run's net as a map, now and at its start, beside the law of random weights."""
    refuse_missing(run, "a run directory")
    record = _analyze(run, netcdf, overwrite, parts=("jacobian",), samples=samples, between=(begin, end), net=net)
    found = _there(record.jacobian, run, record)
    _warn(record)
    start = record.initial_jacobian
    if as_json:
        emit("jacobian", {"run": run, "net": found.to_dict(), "start": None if start is None else start.to_dict()})
        return
    click.echo(f"{found.start} to {found.end}: {found.n_out} x {found.n_in} at {len(found.singular_values)} windows\n")
    columns = ("net", "largest", "smallest", "squared gain", "std. error", "theory")
    shown = [(name, each) for name, each in (("now", found), ("at the start", start)) if each is not None]
    click.echo(table(columns, [_jacobian_row(name, each) for name, each in shown]))
    note("squared gain: of a random direction of the input, the sum of s² over the number of inputs")
    if found.note:
        note(f"theory: {found.note}")


def _jacobian_row(name: str, found: Any) -> tuple[object, ...]:
    smallest = float(found.singular_values.min()) if found.exact else None
    values = (
        found.largest,
        smallest,
        float(found.squared_gain.mean()),
        found.squared_gain_se,
        found.expected_squared_gain,
    )
    return (name, *map(number, values))


@click.command("track", cls=Command)
@click.argument("run", type=FILE)
@json_option
def track(run: Path, as_json: bool) -> None:
    """Show the spectra that a run followed while it trained (`sciml fit ... --set 'track.what=["weights"]'`)."""
    refuse_missing(run, "a run directory")
    from sciml.pipeline.spectra import read_track

    found = read_track(run)
    if not found.rows:
        from sciml.errors import CheckpointError

        raise CheckpointError(
            f'{run} followed no spectra; train with --set \'track.what=["weights", "hessian"]\', '
            "or measure the net as it is with sciml spectrum report"
        )
    if as_json:
        emit("track", {"run": run, "steps": found.steps, "variables": found.to_dict()})
        return
    click.echo(table(("step", *_COLUMNS), _track_rows(found)))


_COLUMNS = {
    "directions above noise": ("rank", "sum"),
    "largest norm": ("relative_norm", "max"),
    "lowest stable rank": ("stable_rank", "min"),
    "Hessian, largest": ("hessian_eigenvalue", "max"),
}


def _track_rows(found: Any) -> list[tuple[object, ...]]:
    import numpy as np

    rows = []
    for row in found.rows:
        cells = []
        for name, how in _COLUMNS.values():
            values = np.asarray(row.values[name][1]) if name in row.values else np.empty(0)
            values = values[np.isfinite(values)]
            cells.append(number(float(getattr(values, how)())) if values.size else "-")
        rows.append((row.step, *cells))
    return rows


def _there(found: Any, run: Path, record: Any) -> Any:
    """Return what was measured, or say why it was not."""
    if found is None:
        from sciml.errors import DataError

        raise DataError(f"nothing was measured of {run}: {'; '.join(record.notes) or 'it is no run directory'}")
    return found
