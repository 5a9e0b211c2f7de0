"""`sciml info FILE...`: what is in files, or why nothing is."""

from pathlib import Path
from typing import Any

import click

from sciml_cli.options import SOURCE, Command, json_option
from sciml_cli.output import alert, emit, note, say

__all__ = ["info"]

DATA = 3  # exit code where a file could not be described


@click.command("info", cls=Command)
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=SOURCE)
@click.option("--signal", help="Show one signal in depth: a path, a unique end of it, or a pattern with *.")
@click.option("--tree", is_flag=True, help="Show the HDF5 structure, with links and aliases.")
@click.option("--findings", is_flag=True, help="Show all findings, also those that take reading samples of the values.")
@json_option
def info(files: tuple[Path | str, ...], signal: str | None, tree: bool, findings: bool, as_json: bool) -> int:
    """Say what files are and what is in them, or why nothing is: signals with shape, unit and rate, tables, findings.

    Reads structure and attributes only; --signal and --findings read samples of values too. Exits with 3 if a file is
    missing or is no HDF5; the others are still shown.
    """
    from sciml.errors import DataError

    documents: list[dict[str, Any]] = []
    code = 0
    for file in files:
        try:
            document, page = _look(file, signal=signal, tree=tree, findings=findings)
        except DataError as error:
            code = DATA
            documents.append({"path": str(file), "error": str(error)})
            alert(f"Error: {error}")
            continue
        documents.append(document)
        if not as_json:
            say(page + "\n")
    if as_json:
        emit("info", {"files": documents})
    return code


def _look(file: Path | str, *, signal: str | None, tree: bool, findings: bool) -> tuple[dict[str, Any], str]:
    """Return what is asked of one file, as a document and as a page."""
    from sciml.io import check_values, describe, signal_detail, structure
    from sciml_cli.commands import info_page

    found = describe(file)
    document = found.to_dict()
    parts = [] if signal is not None or tree or findings else [info_page.overview(found)]
    if signal is not None:
        detail = signal_detail(file, signal)
        document["signal"] = detail.to_dict()
        parts.append(info_page.signal(found, detail))
    if tree:
        entries = structure(file)
        document["tree"] = entries
        parts.append(info_page.tree(found, entries))
    if findings:
        said = (*found.findings, *check_values(file, signal, progress=_Progress(file)))
        once = tuple({(one.code, one.message): one for one in said}.values())
        document["findings"] = [issue.to_dict() for issue in once]
        parts.append(info_page.findings(found, once))
    return document, "\n\n".join(parts)


class _Progress:
    """Lines on stderr about signals whose values are being sampled, one a second at most."""

    def __init__(self, file: Path | str) -> None:
        from time import monotonic

        self._file = file
        self._now = monotonic
        self._last = monotonic()

    def __call__(self, done: int, total: int) -> None:
        if self._now() - self._last > 1:
            self._last = self._now()
            note(f"{self._file}: looked at the values of {done} of {total} signals")
