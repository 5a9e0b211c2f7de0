"""What a terminal shows: no line wider than it, the answer before the warnings, the first rows before the rest."""

import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from sciml.errors import ScimlWarning
from sciml_cli import output
from sciml_cli.output import folded, spelled, table

WIDTHS = (60, 80, 120)


@pytest.fixture(params=WIDTHS)
def width(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """The width of a terminal that both streams are said to be."""
    columns: int = request.param
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setattr(output, "terminal_width", lambda _stream: columns)
    return columns


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve channels of long names, some hostile, that share six time courses in pairs."""
    rng = np.random.default_rng(0)
    values = rng.normal(size=(1000, 12)) + np.repeat(rng.normal(size=(1000, 6)) * np.arange(4, 10), 2, axis=1)
    names = [f"electrode_of_a_long_name_{i}" for i in range(11)] + ["\x1b[31mred"]
    attrs = {"sampling_rate": 100.0, "units": "V"}
    recording = xr.DataArray(values, dims=("time", "channel"), coords={"channel": names}, attrs=attrs, name="potential")
    path = tmp_path_factory.mktemp("shared") / "shared.nc"
    recording.assign_coords(time=np.arange(1000) / 100).to_netcdf(path, engine="h5netcdf")
    return path


def widest(text: str) -> int:
    return max(map(len, text.splitlines()))


def test_help_fits(width: int, sciml) -> None:
    for args in ((), ("spectrum",), ("spectrum", "noise"), ("denoise",)):
        assert widest(sciml(*args, "--help").out) <= width
    assert widest(sciml("fit", "--help").out) <= max(width, 80)  # examples are lines to copy


@pytest.mark.parametrize("options", [(), ("--verbose",), ("--by-frequency",)], ids=["first", "verbose", "frequency"])
def test_a_noise_floor_fits(width: int, shared: Path, sciml, options: tuple[str, ...]) -> None:
    done = sciml("spectrum", "noise", shared, *options)
    assert done.code == 0
    assert widest(done.out) <= width
    assert widest(done.err) <= width
    assert "\x1b" not in done.out


def test_what_is_piped_is_not_cut(shared: Path, sciml) -> None:
    out = sciml("spectrum", "noise", shared, "--verbose").out
    assert widest(out) > 120
    assert "…" not in out


def test_five_rows_come_first_and_the_rest_with_verbose(shared: Path, sciml) -> None:
    first, whole = (sciml("spectrum", "noise", shared, *options).out for options in ((), ("--verbose",)))
    assert first.startswith("6 components above the noise floor")
    assert ("eigenvalue" in first, "eigenvalue" in whole) == (False, True)
    assert "Marchenko-Pastur  " in whole
    assert len(first.splitlines()) < len(whole.splitlines())


def test_numbers_of_a_table_are_cut_after_its_text(width: int) -> None:
    lines = table(["name", "value", "note"], [["n" * 90, "12345.678 V", "t" * 90]]).splitlines()
    assert {len(line) <= width for line in lines} == {True}
    assert "12345.678 V" in lines[2]
    assert lines[2].count("…") == 2


def test_text_is_folded_between_words(width: int) -> None:
    text = "a sentence of words " * 12 + "--an-option-that-is-kept"
    folds = folded(text, sys.stderr)
    assert widest(folds) <= width
    assert folds.split() == text.split()


def test_arguments_of_python_are_options_of_the_command_line() -> None:
    assert spelled("patterns=\"common\" takes it out; a_b='c'") == "--patterns common takes it out; --a-b c"
    assert spelled("p = 0.05, x=3") == "p = 0.05, x=3"


def test_warnings_come_after_the_answer_in_their_order(monkeypatch, sciml) -> None:
    import click

    from sciml_cli import app

    @click.command("tell")
    def tell() -> None:
        for text in ("first", "second", "first"):
            warnings.warn(text, ScimlWarning, stacklevel=1)
        click.echo("answer", err=True)

    monkeypatch.setattr(app.cli, "get_command", lambda _ctx, _name: tell)
    monkeypatch.setitem(app.cli.table, "tell", app.cli.table["info"])
    assert sciml("tell").err.splitlines() == ["answer", "warning: first", "warning: second"]


def test_what_a_file_holds_fits(width: int, shared: Path, sciml) -> None:
    lines = sciml("info", shared).out.splitlines()
    told = [line for line in lines if str(shared) not in line]  # paths and commands are there to be copied
    assert widest("\n".join(told)) <= width
    assert any(line.strip() == f"sciml spectrum report {shared} -o report.html" for line in lines)
