"""What a user meets when something is wrong: one sentence, an exit code, and nothing half-written."""

import errno
import os
import re
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

SIGNAL = "processing/ophys/DfOverF/RoiResponseSeries"


def write(path: Path, **datasets: object) -> Path:
    with h5py.File(path, "w") as file:
        for name, values in datasets.items():
            file[name] = values
            file[name].attrs["sampling_rate"] = 100.0
    return path


def constant(folder: Path) -> Path:
    return write(folder / "constant.h5", trace=np.ones((500, 4)))


def one_constant(folder: Path) -> Path:
    values = np.random.default_rng(0).normal(size=(500, 9))
    values[:, 3] = 2.0
    return write(folder / "one.h5", trace=values)


def all_nan(folder: Path) -> Path:
    return write(folder / "nan.h5", trace=np.full((500, 4), np.nan))


def empty(folder: Path) -> Path:
    return write(folder / "empty.h5", trace=np.empty((0, 4)), other=np.ones(3))


def strings(folder: Path) -> Path:
    return write(folder / "strings.h5", names=["a", "b"], trace=np.ones((500, 4)))


def truncated(folder: Path) -> Path:
    path = write(folder / "cut.h5", trace=np.random.default_rng(0).normal(size=(5000, 4)))
    path.write_bytes(path.read_bytes()[:60_000])
    return path


def text(folder: Path) -> Path:
    path = folder / "text.h5"
    path.write_text("time,volts\n0,1\n")
    return path


CASES: list[tuple[Callable[[Path], Path], list[str], str]] = [
    (lambda folder: folder / "none.h5", [], "none.h5"),
    (text, [], "not HDF5"),
    (truncated, [], "truncated|cut short|incomplete"),
    (strings, ["--signal", "names"], "names"),
    (strings, ["--signal", "trase"], "no signal 'trase'.*trace"),
    (empty, ["--signal", "trace"], "empty|no samples|values|time samples"),
    (constant, [], "at least two channels that vary, got 0 of 4"),
    (all_nan, [], "missing|no value|NaN"),
]


@pytest.mark.parametrize("command", ["noise", "report", "denoise"])
@pytest.mark.parametrize(("make", "options", "message"), CASES)
def test_data_that_cannot_be_used_end_with_3_and_a_sentence(
    sciml, tmp_path: Path, make: Callable[[Path], Path], options: list[str], message: str, command: str
) -> None:
    path, out = make(tmp_path), tmp_path / "out"
    words = {
        "noise": ["spectrum", "noise", path],
        "report": ["spectrum", "report", path, "-o", out],
        "denoise": ["denoise", path, "-o", out],
    }[command]
    done = sciml(*words, *options)
    if command == "report" and make in (constant, all_nan):  # a report on such a recording says what is the matter
        assert done.code == 0
        assert out.stat().st_size > 1000
        return
    assert done.code == 3, done
    assert re.search(message, done.err), done.err
    assert done.err.count("Error: ") == 1
    assert done.err.startswith("Error: ")
    assert not out.exists()


def test_a_constant_channel_is_left_out_and_said(sciml, tmp_path: Path) -> None:
    done = sciml("spectrum", "noise", one_constant(tmp_path))
    assert done.code == 0
    assert "warning: 1 of 9 channels are constant or mostly missing and were left out" in done.err


def test_an_unknown_signal_lists_those_that_exist(sciml, recording: Path) -> None:
    done = sciml("spectrum", "noise", recording, "--signal", "acquisition/V1")
    assert done.code == 3
    assert SIGNAL in done.err


@pytest.mark.parametrize(
    "words",
    [
        ["denoise", "{file}", "-o", "{out}"],
        ["spectrum", "report", "{file}", "-o", "{out}"],
        ["spectrum", "report", "{file}", "-o", "{page}", "--json-file", "{out}"],
        ["datasets", "make", "demo", "-o", "{out}"],
    ],
)
def test_an_output_that_exists_stays_as_it_is(sciml, recording: Path, tmp_path: Path, words: list[str]) -> None:
    out = tmp_path / "out.nc"
    out.write_text("precious")
    done = sciml(*(word.format(file=recording, out=out, page=tmp_path / "page.html") for word in words))
    assert done.code == 74
    assert "out.nc exists" in done.err
    assert "--overwrite" in done.err
    assert out.read_text() == "precious"


def test_overwrite_replaces_it(sciml, recording: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.nc"
    out.write_text("worthless")
    assert sciml("denoise", recording, "-o", out, "--overwrite", "-q").code == 0
    assert out.read_bytes()[:4] == b"\x89HDF"


@pytest.mark.parametrize(
    "words", [["denoise", "{file}", "-o", "{folder}/out.nc"], ["spectrum", "report", "{file}", "-o", "{folder}/r.html"]]
)
def test_a_full_disk_ends_with_74_and_leaves_nothing(
    sciml, monkeypatch, recording: Path, tmp_path: Path, words: list[str]
) -> None:
    def full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    done = sciml(*(word.format(file=recording, folder=tmp_path) for word in words))
    assert done.code == 74
    assert re.search("disk is full|No space left", done.err)
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_config_key_suggests_the_nearest(sciml, recording: Path, tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    config.write_text("[train]\nepoch = 3\n")
    done = sciml("fit", config, recording, "--out", tmp_path / "run")
    assert (done.code, done.err) == (4, "Error: config.toml: train.epoch: no such key; did you mean train.epochs?\n")
    done = sciml("fit", recording, "--out", tmp_path / "run", "--set", "modle.name=fcn")
    assert (done.code, done.err) == (4, "Error: modle.name: no such key; did you mean model.name?\n")
    assert not (tmp_path / "run").exists()


def test_labels_that_are_not_there_are_answered_with_the_tables(sciml, recording: Path, tmp_path: Path) -> None:
    done = sciml("fit", recording, "--out", tmp_path / "run")
    assert done.code == 4
    assert "intervals/trials (start_time, stop_time, stimulus)" in done.err
    done = sciml("fit", recording, "--out", tmp_path / "run", "--labels", "intervals/trials:stimulos")
    assert done.code == 3
    assert "did you mean 'stimulus'?" in done.err
    done = sciml("fit", recording, "--out", tmp_path / "run", "--labels", "intervals/trails:stimulus")
    assert done.code == 3
    assert "intervals/trials" in done.err


def test_a_model_that_is_not_there_is_an_error_of_config(sciml, recording: Path, tmp_path: Path) -> None:
    labels = ["--labels", "intervals/trials:stimulus"]
    done = sciml("fit", recording, *labels, "--out", tmp_path / "run", "--model", "fnc", "-q")
    assert done.code == 4
    assert "did you mean 'fcn'" in done.err


def test_what_is_no_run_cannot_be_applied(sciml, recording: Path, tmp_path: Path) -> None:
    done = sciml("predict", tmp_path, recording, "-o", tmp_path / "out.nc")
    assert done.code == 5
    assert "expected a run directory" in done.err
    done = sciml("spectrum", "weights", recording)
    assert done.code == 5
    assert "expected a checkpoint" in done.err
