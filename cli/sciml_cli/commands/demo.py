"""`sciml demo --out DIR`: everything on a recording whose truth is known."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from sciml_cli.commands.scores import score_table
from sciml_cli.options import FILE, Command, json_option, overwrite_option
from sciml_cli.output import emit, is_quiet, note, say

__all__ = ["demo"]


@click.command("demo", cls=Command)
@click.option("--out", default="demo", show_default=True, type=FILE, help="Folder for the recording and the run.")
@click.option("--duration", type=click.FloatRange(60), default=600.0, show_default=True, help="Of the recording [s].")
@click.option("--epochs", type=click.IntRange(1), default=60, show_default=True, help="Passes over the data at most.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Decides every random draw.")
@overwrite_option
@json_option
def demo(out: Path, duration: float, epochs: int, seed: int, overwrite: bool, as_json: bool) -> None:
    """Simulate a population of neurons as an NWB file, and tell the stimulus from its activity.

    The signal in the recording has a known rank, its noise is correlated in time and unequal over neurons; the report
    says whether the rank was found, and how the net scores beside chance and beside linear models.
    """
    from sciml import pipeline
    from sciml.train import ProgressBar

    result = pipeline.demo(
        out,
        overwrite=overwrite,
        duration=duration,
        epochs=epochs,
        seed=seed,
        progress=note,
        callbacks=(ProgressBar(quiet=is_quiet()),),
    )
    if as_json:
        emit("demo", {**result.metrics, "out": out, "report": result.report})
    else:
        say(_summary(result.metrics))
        click.echo(f"recording: {out / 'demo.nwb'}\nopen the report: {result.report}")
        if result.verdict:
            say(f"\n{result.verdict}")


def _summary(metrics: Mapping[str, Any]) -> str:
    from sciml.wording import percent

    net, chance, floor = metrics["net"], metrics["chance"], metrics["noise_floor"]
    return "\n".join(
        [
            score_table(metrics),
            "",
            f"held-out accuracy {percent(net['accuracy'])}, {chance['verdict']} (band "
            f"{percent(chance['band'][0])} to {percent(chance['band'][1])}); linear baseline "
            f"{percent(metrics['baselines']['linear']['accuracy'])}",
            f"rank found {floor['rank']}, true {metrics['truth']['rank']} "
            f"(the Marchenko-Pastur edge says {floor['mp_rank']})",
        ]
    )
