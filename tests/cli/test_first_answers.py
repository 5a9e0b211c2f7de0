"""Mistakes are answered before what is slow to load is loaded: torch, figures, for options even xarray and SciPy."""

import subprocess
import sys
from pathlib import Path

import pytest

from sciml.simulate import population_recording, write_nwb

PROGRAM = """
import sys
from sciml_cli.app import run
code = run(sys.argv[1:])
print(code, *sorted({"torch", "matplotlib", "xarray", "scipy"} & set(sys.modules)))
"""


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("recording") / "demo.nwb"
    return write_nwb(population_recording(n_neurons=4, duration=20.0), path)


def answered(*args: object) -> tuple[int, set[str], str]:
    """Return the exit code, what was loaded, and what was said."""
    words = [sys.executable, "-c", PROGRAM, *map(str, args)]
    done = subprocess.run(words, capture_output=True, text=True, check=True, timeout=120)
    code, *loaded = done.stdout.split()
    return int(code), set(loaded), done.stderr


LABELS = "intervals/trials:stimulus"


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (("--modle", "fcn"), 2, "--model"),
        (("--task", "clasify"), 2, "classify"),
        (("--set", "train.lrr=3"), 4, "did you mean train.lr"),
        (("--set", "noise.model=whit"), 4, "expected 'auto'"),
        (("--labels", LABELS, "--model", "fnc"), 4, "model.name: expected 'fcn'"),
    ],
)
def test_an_option_or_a_name_of_fit(file: Path, tmp_path: Path, options: tuple[str, ...], code: int, said: str) -> None:
    found, loaded, text = answered("fit", file, "--out", tmp_path / "run", *options)
    assert (found, loaded) == (code, set()), text
    assert said in text


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        ((), 4, "expected TABLE:COLUMN"),
        (("--labels", LABELS, "--signal", "nothing"), 3, "no signal 'nothing'"),
        (("--labels", "intervals/trails:stimulus"), 3, "intervals/trials"),
        (("--labels", "intervals/trials:stimulas"), 3, "did you mean 'stimulus'"),
        (("--task", "forecast", "--signal", "nothing"), 3, "no signal 'nothing'"),
    ],
)
@pytest.mark.parametrize("dry", [(), ("--dry-run",)])
def test_a_signal_or_a_column_of_fit(
    file: Path, tmp_path: Path, options: tuple[str, ...], code: int, said: str, dry: tuple[str, ...]
) -> None:
    found, loaded, text = answered("fit", file, "--out", tmp_path / "run", *options, *dry)
    assert found == code, text
    assert not loaded & {"torch", "matplotlib"}
    assert said in text
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("args", "code"),
    [
        (("denoise", "FILE", "-o", "a.nc", "--model", "whte"), 2),
        (("spectrum", "noise", "FILE", "--model", "whte"), 2),
        (("spectrum", "weights", "nothing.pt"), 5),
    ],
)
def test_a_name_of_other_commands(file: Path, args: tuple[str, ...], code: int) -> None:
    found, loaded, text = answered(*(file if word == "FILE" else word for word in args))
    assert (found, loaded) == (code, set()), text


@pytest.mark.parametrize(
    "args",
    [
        ("denoise", "FILE", "-o", "a.nc", "--signal", "nothing"),
        ("spectrum", "noise", "FILE", "--signal", "nothing"),
        ("spectrum", "report", "FILE", "-o", "a.html", "--signal", "nothing"),
        ("spectrum", "report", "nothing.nwb", "-o", "a.html"),
        ("convert", "FILE", "-o", "a.nc", "--signal", "nothing"),
        ("predict", "nothing", "FILE", "-o", "a.nc"),
        ("fit", "nothing.nwb", "--out", "run", "--labels", LABELS),
    ],
)
def test_a_signal_or_a_file_of_other_commands(
    file: Path, args: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    found, loaded, text = answered(*(file if word == "FILE" else word for word in args))
    assert found in (3, 5), text
    assert not loaded & {"torch", "matplotlib"}
