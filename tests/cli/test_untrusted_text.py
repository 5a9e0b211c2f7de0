"""Whatever names, units and notes a file holds, a terminal, a page and a program are shown text."""

import json
import os
import pty
import sys
import warnings
from pathlib import Path

import h5py
import numpy as np
import pytest
import xarray as xr

from sciml.denoise import denoise
from sciml.errors import DataError, ScimlWarning
from sciml.io import open_recording, save_recording
from sciml.report import denoising_report
from sciml_cli.app import run

EVIL = "sig\x1b]0;owned\x07\x1b[2J\x1b[31m\u202egnp.\u2066\x9b5m"
RAW = ("\x1b", "\x07", "\x9b", "\u202e", "\u2066")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A file whose name, datasets, attributes, units and attribute names are all of that kind."""
    path = tmp_path / f"{EVIL}.h5"
    rng = np.random.default_rng(0)
    with h5py.File(path, "w") as made:
        made.attrs[EVIL] = EVIL
        for name in (EVIL, f"other {EVIL}", f"table {EVIL}"):
            made[name] = rng.normal(size=(400, 4)) * [1, 0, 1, np.nan]
            made[name].attrs.update(units=EVIL, sampling_rate=10.0, long_name=EVIL, scale=EVIL)
    return path


def on_a_terminal(*args: object) -> str:
    """Return what a command prints on a terminal of its own, as bytes of UTF-8 read."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.execv(sys.executable, [sys.executable, "-m", "sciml_cli", *map(str, args)])  # noqa: S606
    printed = b""
    while True:
        try:
            part = os.read(terminal, 4096)
        except OSError:
            break
        if not part:
            break
        printed += part
    os.waitpid(pid, 0)
    return printed.decode("utf-8", "surrogateescape")


@pytest.mark.parametrize(
    "args",
    [
        ("info",),
        ("info", "--findings"),
        ("info", "--signal", "sig*"),
        ("info", "--signal", f"none {EVIL}"),
        ("convert", "-o", EVIL),
    ],
)
def test_a_terminal_is_shown_escapes(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, args: tuple[str, ...]
) -> None:
    monkeypatch.chdir(tmp_path)
    printed = on_a_terminal(args[0], file, *args[1:])
    assert "owned" in printed
    assert [raw for raw in RAW if raw in printed] == []
    assert "\\x1b" in printed


@pytest.mark.parametrize(
    "args",
    [("info",), ("info", "--findings"), ("denoise", "-o", "a.nc"), ("spectrum", "noise"), ("fit", "--out", "run")],
)
@pytest.mark.parametrize("options", [(), ("--debug",), ("--json",)])
def test_both_streams_of_all_commands(
    file: Path, sciml, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, args: tuple[str, ...], options: tuple[str, ...]
) -> None:
    monkeypatch.chdir(tmp_path)
    done = sciml(args[0], file, *args[1:], *options)
    assert [raw for raw in RAW if raw in done.out + done.err] == []
    if done.code == 0 and options == ("--json",):
        assert EVIL in json.dumps(json.loads(done.out), ensure_ascii=False).replace("\\u001b", "\x1b").replace(
            "\\u0007", "\x07"
        )


def test_options_that_are_mistyped_are_shown_too(sciml) -> None:
    for args in ((EVIL,), ("info", f"--{EVIL}"), ("denoise", EVIL, "--model", EVIL), ("datasets", "show", EVIL)):
        done = sciml(*args)
        assert done.code != 0
        assert [raw for raw in RAW if raw in done.out + done.err] == []


def test_errors_and_warnings_of_the_library_are_text() -> None:
    assert str(DataError(EVIL)) == "sig\\x1b]0;owned\\x07\\x1b[2J\\x1b[31m\\u202egnp.\\u2066\\x9b5m"
    assert str(DataError("two\nlines")) == "two\nlines"
    with pytest.warns(ScimlWarning) as told:
        warnings.warn(EVIL, ScimlWarning, stacklevel=1)
    assert "\x1b" not in str(told[0].message)


def test_pages_and_documents_hold_text(tmp_path: Path) -> None:
    values = np.random.default_rng(0).normal(size=(200, 6))
    movie = xr.DataArray(
        values, dims=("time", "channel"), name=EVIL, attrs={"units": EVIL, "source": EVIL, "signal": EVIL}
    )
    movie = movie.assign_attrs(sampling_rate=10.0)
    made = denoising_report(movie, denoise(movie, sigma=1.0))
    page, document = made.to_html(), made.to_json()
    assert [raw for raw in RAW if raw in page + document] == []
    assert json.loads(document)


def test_values_survive_what_is_shown(tmp_path: Path) -> None:
    recording = xr.DataArray(np.ones(4), dims="time", attrs={"note": EVIL})
    assert open_recording(save_recording(recording, tmp_path / "a.nc")).attrs["note"] == EVIL


def test_a_line_that_is_asked_for_in_python_gives_streams_back(capsys: pytest.CaptureFixture[str]) -> None:
    before = (sys.stdout, sys.stderr)
    run(["--version"])
    assert (sys.stdout, sys.stderr) == before
