"""`sciml spectrum noise`: the noise floor of a recording, and what rises above it."""

import warnings
from pathlib import Path
from typing import Any

import click

from sciml_cli.options import (
    FILE,
    Command,
    KnownNoise,
    json_option,
    known_noise_options,
    model_option,
    signal_option,
    verbose_option,
)
from sciml_cli.output import emit, is_verbose, note, number, progress_bar, say, spelled, table, warn

__all__ = ["noise"]

ALPHA = click.FloatRange(0, 1, min_open=True, max_open=True)
FIRST_ROWS = 5  # of a table, but with --verbose
MOST_NAMES = 12  # of channels in one row of a table


@click.command("noise", cls=Command)
@click.argument("file", type=FILE)
@signal_option
@model_option
@known_noise_options
@click.option("--alpha", type=ALPHA, default=0.05, show_default=True, help="Level of the test.")
@click.option("--shared", is_flag=True, help="Say how many time courses two random halves of the channels share.")
@click.option("--by-frequency", is_flag=True, help="Test each frequency: which oscillations do channels share?")
@click.option("--band", nargs=2, type=float, metavar="LOW HIGH", help="With --by-frequency: frequencies in Hz.")
@click.option("--bandwidth", type=float, metavar="HZ", help="With --by-frequency: width of the bands.")
@verbose_option
@json_option
def noise(
    file: Path,
    signal: str | None,
    model: str,
    known: KnownNoise,
    alpha: float,
    shared: bool,
    by_frequency: bool,
    band: tuple[float, float] | None,
    bandwidth: float | None,
    as_json: bool,
) -> None:
    """Estimate the noise of a recording and find the components that rise above it."""
    if by_frequency:
        if known.asked() or shared:
            raise click.UsageError("--reference, --patterns and --shared are not for --by-frequency")
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
        floor = noise_floor(recording, model=model, alpha=alpha, **known.options(), progress=progress)
    for warning in floor.warnings:
        warn(warning)
    halves = _shared(recording, alpha) if shared else None
    if as_json:
        emit("noise", floor.to_dict() | ({} if halves is None else {"shared": halves.to_dict()}))
        return
    say(spelled(floor.summary()) if halves is None else f"{spelled(floor.summary())}\n{halves.summary()}")
    rows, verbose = _noise_rows(floor), is_verbose()
    click.echo("\n" + table(("quantity", "value"), rows if verbose else rows[:FIRST_ROWS]))
    _print_components(floor, verbose=verbose)
    if not verbose:
        note("--verbose shows all numbers and components")


def _print_components(floor: Any, *, verbose: bool) -> None:
    """Print the components above the floor, and those next below it; the first five unless `verbose`."""
    n = min(len(floor.eigenvalues), floor.rank + 3)
    columns = (
        "component",
        f"strength [{floor.units}]" if floor.units else "strength",
        "95 % interval",
        "p-value",
        "channels",
        *(("eigenvalue", "loadings", "time course") if verbose else ()),
    )
    shown = range(n if verbose else min(n, FIRST_ROWS))
    click.echo("\n" + table(columns, [_component_row(floor, k)[: len(columns)] for k in shown]))
    if floor.rank:
        say("\nstrength: standard deviation before the noise added to it, all channels together")
    if floor.rank and verbose:
        say("loadings, time course: squared cosine with the true pattern over channels and in time")


def _shared(recording: Any, alpha: float) -> Any:
    from sciml.noise import shared_between_halves

    return shared_between_halves(recording, alpha=alpha)


def _component_row(floor: Any, k: int) -> tuple[object, ...]:
    from sciml.wording import p_number

    p_value, eigenvalue = "" if floor.doubt else p_number(float(floor.p_values[k])), number(float(floor.eigenvalues[k]))
    if k >= floor.rank:
        return k + 1, "noise", "", p_value, "", eigenvalue, "", ""
    low, high = floor.strength_intervals[k]
    strongest = abs(floor.components[:, k]).argsort()[::-1][:3]
    return (
        k + 1,
        number(float(floor.strengths[k])),
        f"{number(float(low))} to {number(float(high))}",
        p_value,
        ", ".join(floor.channel_names[i] for i in strongest),
        eigenvalue,
        f"{floor.overlaps_channel[k]:.2f}",
        f"{floor.overlaps_time[k]:.2f}",
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
        warn(warning)
    if as_json:
        emit("noise-by-frequency", floor.to_dict())
        return
    say(floor.summary().splitlines()[0])
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
        say(line)
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
        ("rank", f"{floor.rank_words} (components above the noise floor)"),
        ("sigma", f"{number(floor.sigma, floor.units)} (standard error {number(floor.sigma_se, floor.units)})"),
        ("detection limit", number(floor.detection_limit, floor.units)),
        ("model", f"{floor.model} ({spelled(floor.reason)})"),
        ("edge", f"{number(floor.edge)} at level {floor.alpha:g}"),
        ("correlation time", number(_memory(floor), "s")),
        ("Marchenko-Pastur", f"{floor.mp_rank} components (edge {number(floor.mp_edge)})"),
        ("samples", f"{floor.n_samples} ({number(floor.n_effective)} independent)"),
        ("channels", f"{floor.n_features} ({floor.n_used} used)"),
        ("bulk", f"{number(floor.bulk_distance)} from the law of this noise (Kolmogorov-Smirnov)"),
        ("spacings", f"mean ratio {number(floor.spacing_ratio)} (noise: {'0.60' if floor.complex_data else '0.53'})"),
    ]
