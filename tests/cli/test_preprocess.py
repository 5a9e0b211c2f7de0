"""`sciml preprocess`: steps in the order given, what was done in words or as JSON, errors that say what to do."""

import json

import numpy as np
import pytest

import sciml
from sciml_cli.app import run


@pytest.fixture
def file(tmp_path):
    values = np.random.default_rng(0).normal(size=(4000, 6))
    path = tmp_path / "probe.nc"
    sciml.io.save_recording(sciml.from_numpy(values, 1000.0, "uV"), path)
    return path


def test_steps_are_done_in_the_order_given(file, tmp_path, capsys) -> None:
    out = tmp_path / "out.nc"
    assert run(["preprocess", str(file), "-o", str(out), "--notch", "50", "--reference", "median",
                "--bandpass", "20,200", "--decimate", "2", "--json"]) == 0  # fmt: skip
    document = json.loads(capsys.readouterr().out)
    assert [line.split(":")[0] for line in document["steps"]] == ["notch", "rereference", "bandpass", "decimate"]
    assert document["sampling_rate"] == 500.0
    recording = sciml.open(file)
    expected = recording.sciml.notch(50).sciml.rereference("median").sciml.bandpass(20, 200).sciml.decimate(2)
    saved = sciml.open(out)
    np.testing.assert_allclose(saved.values, expected.values, atol=1e-12)
    assert saved.attrs["null_patterns"] == "common"
    assert "within the 5 dimensions that were not projected out" in sciml.noise_floor(out).summary()


def test_what_was_done_is_told_in_words(file, tmp_path, capsys) -> None:
    out = tmp_path / "out.nc"
    assert run(["preprocess", str(file), "-o", str(out), "--crop", "1:3", "--detrend", "1", "--drop-bad"]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "crop: 1 to 3 s"
    assert said[-1].startswith(f"{out}: 2000 time x 6 channel in uV")


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        ([], 2, "expected a step"),
        (["--bandpass", "300,6000"], 4, "below 500 Hz"),
        (["--bandpass", "300"], 2, "expected 2 numbers"),
        (["--crop", "a:b"], 2, "FROM:TO"),
        (["--around", "trials"], 2, "TABLE=BEFORE:AFTER"),
        (["--reference", "mode"], 4, "average or median"),
    ],
)
def test_what_cannot_be_done_is_refused(file, tmp_path, capsys, options, code, said) -> None:
    assert run(["preprocess", str(file), "-o", str(tmp_path / "out.nc"), *options]) == code
    assert said in capsys.readouterr().err
    assert not (tmp_path / "out.nc").exists()
