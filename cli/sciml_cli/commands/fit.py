"""`sciml fit [CONFIG.toml] [FILE...] --out RUN`: from a recording to a reported model."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from sciml_cli.commands.scores import leakage_lines, score_table, verdict
from sciml_cli.options import FILE, TASK, Command, json_option, overwrite_option, signal_option
from sciml_cli.output import emit, is_follower, is_quiet, note, number, say, size, table

__all__ = ["fit"]

STRICT = 6


HELP = """Learn from a recording: noise floor, denoising, windows, split, net, training, scores, report.

Windows are split by the coarsest unit that fills three parts (subject, session, file, else blocks of time):
--set split.by=session, --set split.folds=5.

Settings come from flags, then --set, then CONFIG.toml, then defaults; the run directory keeps what was used.

\b
sciml fit demo.nwb --labels intervals/trials:stimulus --out run
sciml fit worm.nwb --signal 'acquisition/Activity_*' --task forecast --out run
sciml fit worm.nwb --signal 'acquisition/Activity_*' \\
    --task regress --target ss_2D --out run
sciml fit --resume --out run
torchrun --standalone --nproc-per-node 2 -m -- sciml_cli \\
    fit demo.nwb --labels intervals/trials:stimulus --out run
"""


@click.command("fit", cls=Command, help=HELP)
@click.argument("inputs", metavar="[CONFIG.toml] [FILE]...", nargs=-1, type=FILE)
@click.option("--out", type=FILE, help="Run directory to write.")
@click.option("--task", type=TASK, help="What to learn: classify, regress, forecast. [default: classify]")
@click.option("--labels", metavar="TABLE:COLUMN", help="Classes (or numbers) of events, as intervals/trials:stimulus.")
@click.option("--target", metavar="SIGNAL", help="Signal whose values --task regress is to tell.")
@signal_option
@click.option("--model", metavar="NAME",
              help="Net: fcn, resnet, resnet1d, inceptiontime, shallow, eegnet, atcnet, tcn, gru, linear, a plug-in or "
              "one of your own by its import path, my_package.nets:MyNet. [default: fcn]")  # fmt: skip
@click.option("--epochs", type=click.IntRange(1), help="Passes over the train part at most.")
@click.option("--device", help="auto, cpu, cuda or cuda:1. [default: auto]")
@click.option("--seed", type=click.IntRange(0), help="Decides every random draw. [default: 0]")
@click.option("--set", "assignments", metavar="KEY=VALUE", multiple=True,
              help="Set a key of the configuration, as train.lr=1e-4; may be repeated.")  # fmt: skip
@click.option("--assume-channels", is_flag=True, help="Channels of several files agree by their order, not by name.")
@click.option("--dry-run", is_flag=True, help="Say what would be done; write nothing.")
@click.option("--resume", is_flag=True, help="Go on with the run in --out.")
@click.option(
    "--strict",
    is_flag=True,
    help="Exit with 6 if the net is not above chance, a baseline beats it, or something leaks.",
)
@overwrite_option
@json_option
def fit(
    inputs: tuple[Path, ...],
    out: Path | None,
    assignments: tuple[str, ...],
    dry_run: bool,
    resume: bool,
    strict: bool,
    overwrite: bool,
    as_json: bool,
    **flags: Any,
) -> int:
    """Learn from a recording, as HELP says."""
    from sciml import pipeline

    if out is None and not dry_run:
        raise click.UsageError("expected --out RUN, the directory of the run (or --dry-run)")
    config = _config(inputs, out if resume else None, assignments, flags)
    from sciml.pipeline.load import check_inputs  # xarray: once the configuration is right

    check_inputs(config)  # before torch is loaded
    if dry_run:
        if not is_follower():
            _show_plan(pipeline.dry_run(config), as_json)
        return 0
    assert out is not None  # noqa: S101 - checked above
    result = pipeline.run(
        config,
        out=out,
        resume=resume,
        overwrite=overwrite,
        progress=note,
        callbacks=_progress_bar(),
    )
    if is_follower():
        return 0
    if result.already_finished:
        note(f"{out} is finished already; nothing to resume")
    _show_result(out, result.metrics, as_json)
    return STRICT if strict and not verdict(result.metrics) else 0


def _config(inputs: tuple[Path, ...], stored: Path | None, assignments: tuple[str, ...], flags: dict[str, Any]) -> Any:
    """Lay flags over assignments over the file; a resumed run brings its own configuration."""
    from sciml.pipeline import assign, load_config
    from sciml.pipeline.config import check_named, parse_assignment
    from sciml.pipeline.run_folder import RunFolder

    configs = [path for path in inputs if path.suffix == ".toml"]
    files = [str(path.absolute()) for path in inputs if path.suffix != ".toml"]
    if len(configs) > 1:
        raise click.UsageError(f"expected one configuration, got {', '.join(map(str, configs))}")
    given = {
        "task": flags["task"],
        "seed": flags["seed"],
        "data__files": files or None,
        "data__signal": flags["signal"],
        "data__labels": flags["labels"],
        "data__target": flags["target"],
        "data__channels": "position" if flags["assume_channels"] else None,
        "model__name": flags["model"],
        "train__epochs": flags["epochs"],
        "train__device": flags["device"],
    }
    if configs:
        return load_config(configs[0], assignments, **given)
    if stored is None:
        return assign({}, assignments, **given)
    config = RunFolder(stored).config()
    named = dict(map(parse_assignment, assignments)).get("model.name", flags["model"])
    check_named(config.model.name, named, run=stored, option="--model")
    return assign(config.model_dump(mode="json", exclude_none=True), assignments, **given)


def _progress_bar() -> tuple[object, ...]:
    from sciml.train import ProgressBar

    return (ProgressBar(quiet=is_quiet()),)


def _show_plan(plan: Any, as_json: bool) -> None:
    if as_json:
        emit("dry-run", {**vars(plan), "config": plan.config.model_dump(mode="json")})
        return
    found = plan.recording
    shape = ", ".join(f"{dim} {length}" for dim, length in zip(found["dims"], found["shape"], strict=True))
    click.echo(f"{found['source']}: {found['signal']} ({shape}) [{found['units'] or 'no unit'}], "
               f"{found['sampling_rate']:.6g} Hz\n")  # fmt: skip
    classes = list(next(iter(plan.class_counts.values()), {}))
    rows = [(part, n, *(plan.class_counts[part][name] for name in classes)) for part, n in plan.windows.items()]
    click.echo(table(("part", "windows", *classes), rows))
    apart = f"; parts are at least {plan.gap:.3g} s apart" if math.isfinite(plan.gap) and plan.gap >= 0 else ""
    say(f"\n{plan.independence}{apart}")
    for text in (*leakage_lines(plan.leakage), *(f"note: {each}" for each in plan.notes)):
        say(text)
    for reason, n in plan.dropped.items():
        click.echo(f"dropped: {n} windows {reason}")
    method = {"auto": "critical, or glorot where that does not apply"}.get(plan.config.init.method)
    begins = method or plan.config.init.method
    say(f"net: {plan.config.model.name}, {plan.parameters:,} parameters, begins by {begins}")
    for name, part in plan.batch.items():
        dims = ", ".join(f"{dim} {length}" for dim, length in zip(part["dims"], part["shape"], strict=True))
        say(f"batch {name}: {dims} [{part['unit'] or 'no unit'}]")
    say("memory: " + ", ".join(f"{name} {size(n)}" for name, n in plan.memory.items()))
    say(f"reading: {plan.reading}")


def _show_result(out: Path, metrics: Mapping[str, Any], as_json: bool) -> None:
    if as_json:
        emit("fit", {**metrics, "out": out, "report": out / "report.html"})
        return
    say(score_table(metrics))
    floor = metrics["noise_floor"]
    if floor is not None:
        from sciml.noise import noise_model

        time = number(floor["correlation_time"], "s") if noise_model(floor["model"]).colored else ""
        known = floor["rank_words"]
        count = (
            f"components {known}" if known == "not determined" else f"{known} component{'' if known == '1' else 's'}"
        )
        click.echo(f"\nnoise floor: {count} ({floor['model']}{', ' + time if time else ''})")
    click.echo(f"report: {out / 'report.html'}")
    from sciml.pipeline.run_folder import RunFolder

    finding = RunFolder(out).verdict()
    if finding:
        say(f"\n{finding}")
