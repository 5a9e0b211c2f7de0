"""`sciml preprocess FILE -o OUT --bandpass 300,6000 --notch 50`: filters, references, rates, parts of a recording."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from sciml_cli.options import FILE, SOURCE, Command, json_option, overwrite_option, signal_option
from sciml_cli.output import emit, progress_bar, size

__all__ = ["preprocess"]

STEPS = "sciml_cli.preprocess.steps"  # where the steps of a call are kept, in the order in which they were given


class Numbers(click.ParamType[tuple[float, ...]]):
    """Numbers between commas or colons, as many as names."""

    name = "numbers"

    def __init__(self, n: int, separator: str = ",") -> None:
        self.n, self.separator = n, separator

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[float, ...]:
        """Return the numbers; a usage error says how many were expected."""
        try:
            numbers = tuple(float(each) for each in str(value).split(self.separator))
        except ValueError:
            numbers = ()
        if len(numbers) != self.n:
            self.fail(f"expected {self.n} numbers as in 1{self.separator}40, got {value!r}", param, ctx)
        return numbers


Arguments = Callable[[Any], dict[str, Any]]


def step(flag: str, name: str, arguments: Arguments, **settings: Any) -> Callable[[Any], Any]:
    """Return an option that adds a step of `sciml.signal` when it is given."""

    def remember(ctx: click.Context, _param: click.Parameter, value: Any) -> None:
        if value is not None and value is not False:
            ctx.meta.setdefault(STEPS, []).append((name, arguments(value)))

    return click.option(flag, callback=remember, expose_value=False, **settings)


def _span(text: str) -> dict[str, Any]:
    start, _, stop = text.partition(":")
    try:
        return {"start": float(start) if start else None, "stop": float(stop) if stop else None}
    except ValueError:
        raise click.UsageError(f"--crop: expected seconds FROM:TO, as 10:60 or 10:, got {text!r}") from None


def _reference(text: str) -> dict[str, Any]:
    kind, _, by = text.partition(":")
    return {"kind": kind, "by": by or None}


def _around(text: str) -> dict[str, Any]:
    table, _, rest = text.rpartition("=")
    try:
        before, after = (float(each) for each in rest.split(":"))
    except ValueError:
        table, before, after = "", 0.0, 0.0
    if not table:
        raise click.UsageError(f"--around: expected TABLE=BEFORE:AFTER, as trials=0.5:2, got {text!r}")
    return {"times": table, "before": before, "after": after}


OPTIONS = (
    step("--crop", "crop", _span, metavar="FROM:TO", help="Seconds to keep, as 10:60 or 10:."),
    step("--around", "crop_around", _around, metavar="TABLE=BEFORE:AFTER",
         help="Keep the seconds about the events of a table, as intervals/trials=0.5:2."),
    step("--drop-bad", "drop_bad_channels", lambda _: {}, is_flag=True,
         help="Leave out channels that the file calls bad, flat and noisy ones."),
    step("--reference", "rereference", _reference, metavar="average|median[:COORDINATE]",
         help="Subtract what all channels, or those of one value of a coordinate, have in common."),
    step("--detrend", "detrend", lambda order: {"order": order}, type=click.IntRange(0, 3), metavar="ORDER",
         help="Subtract a polynomial in time: 0 the mean, 1 a line."),
    step("--highpass", "highpass", lambda hz: {"frequency": hz}, type=float, metavar="HZ", help="Keep what is faster."),
    step("--lowpass", "lowpass", lambda hz: {"frequency": hz}, type=float, metavar="HZ", help="Keep what is slower."),
    step("--bandpass", "bandpass", lambda band: {"low": band[0], "high": band[1]}, type=Numbers(2), metavar="LOW,HIGH",
         help="Keep what lies between two frequencies in Hz, as 300,6000."),
    step("--notch", "notch", lambda hz: {"frequency": hz}, type=float, metavar="HZ",
         help="Remove a line and its multiples, as 50 or 60 of the mains."),
    step("--decimate", "decimate", lambda n: {"factor": n}, type=click.IntRange(1), metavar="N",
         help="Keep every N-th sample, low-passed first."),
    step("--resample", "resample", lambda hz: {"rate": hz}, type=float, metavar="HZ", help="Another sampling rate."),
    step("--dff", "dff", lambda seconds: {"window": seconds}, type=float, metavar="SECONDS",
         help="Relative change of fluorescence over a running baseline."),
    step("--whiten", "whiten", lambda _: {}, is_flag=True, help="Make each channel's spectrum flat."),
)  # fmt: skip


def steps(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of all steps."""
    for option in reversed(OPTIONS):
        function = option(function)
    return function


HELP = """Filter, reference, resample or cut a recording, and write it to OUT with its history.

Steps are done in the order in which they are given, block by block: a file may be larger than memory. Filters have
zero phase; segments between gaps are filtered each by itself; missing samples stay missing.

\b
sciml preprocess probe.nwb -o spikes.nc --reference median:shank --bandpass 300,6000
sciml preprocess eeg.nwb -o eeg.nc --drop-bad --notch 50 --highpass 1 --resample 250
"""


@click.command("preprocess", cls=Command, help=HELP)
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=SOURCE)
@click.option("-o", "--out", required=True, type=FILE, help="netCDF file or .zarr folder to write.")
@signal_option
@click.option("--rate", type=click.FloatRange(0, min_open=True), help="Samples per second, where FILE does not say.")
@steps
@overwrite_option
@json_option
@click.pass_context
def preprocess(
    ctx: click.Context,
    files: tuple[Path | str, ...],
    out: Path,
    signal: str | None,
    rate: float | None,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Preprocess a recording, as HELP says."""
    from sciml.files import check_target
    from sciml.io import open_recording, save_recording

    chosen = ctx.meta.get(STEPS, [])
    if not chosen:
        raise click.UsageError("expected a step, as --bandpass 300,6000 or --notch 50; --help lists them")
    check_target(out, overwrite=overwrite)  # before the work, not after it
    if out.exists() and any(isinstance(file, Path) and file.exists() and file.samefile(out) for file in files):
        raise click.UsageError(f"expected a new file, got -o {out}, which is read from")
    before = open_recording(files[0] if len(files) == 1 else list(files), signal, rate=rate)
    recording = _processed(before, chosen, files[0])
    with progress_bar(f"write {out.name}") as bar:
        save_recording(recording, out, overwrite=overwrite, progress=bar)
    _show(recording, before, out, as_json=as_json)


def _processed(recording: Any, chosen: list[tuple[str, dict[str, Any]]], file: Path | str) -> Any:
    """Return the recording after the steps; the events of a table are read from its file."""
    from sciml.io import read_events
    from sciml.signal import STEPS as FUNCTIONS

    for name, arguments in chosen:
        if name == "crop_around":
            times = read_events(file, arguments["times"])["start_time"].values
            arguments = {**arguments, "times": times}
        recording = FUNCTIONS[name](recording, **arguments)
    return recording


def _show(recording: Any, before: Any, out: Path, *, as_json: bool) -> None:
    known = before.attrs.get("history", "")
    lines = recording.attrs["history"].splitlines()[len(known.splitlines()) if isinstance(known, str) else len(known) :]
    said = [line.removeprefix("sciml.signal.").rpartition("; sciml")[0] for line in lines]
    shape = {str(dim): length for dim, length in recording.sizes.items()}
    found = {
        "out": out, "signal": recording.attrs.get("signal"), "shape": shape, "units": recording.attrs.get("units", ""),
        "sampling_rate": recording.attrs.get("sampling_rate"), "steps": said,
    }  # fmt: skip
    if as_json:
        emit("preprocess", found)
        return
    for line in said:
        click.echo(line)
    lengths = " x ".join(f"{length} {dim}" for dim, length in shape.items())
    where = size(out.stat().st_size) if out.is_file() else "a folder"
    unit = f" in {found['units']}" if found["units"] not in ("", "1") else ""
    click.echo(f"{out}: {lengths}{unit}, {where}")
