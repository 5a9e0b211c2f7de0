"""Numbers told from windows: one of each event, or another signal of the same or another file."""

import json
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest
import xarray as xr

from sciml.errors import CheckpointError, ConfigError, DataError, ScimlWarning
from sciml.io import open_recording
from sciml.pipeline import Config, assign, dry_run, predict, run
from sciml.pipeline.evaluation.trust import against_mean
from sciml_cli.app import run as command

SERIES = "processing/ophys/DfOverF/RoiResponseSeries"
POSITION = "processing/behavior/position"
LAG = 0.2


def _position(file: Path) -> np.ndarray:
    """Return what is planted: the mean of three neurons, `LAG` s later."""
    return open_recording(file, SERIES).values[:, :3].mean(axis=1)


def add_position(file: Path, values: np.ndarray, *, start: float) -> Path:
    with h5py.File(file, "a") as stored:
        group = stored.create_group(POSITION)
        group.attrs.update(namespace="core", neurodata_type="TimeSeries", description="", comments="")
        group["data"] = values
        group["data"].attrs.update(unit="m", conversion=1.0)
        group["starting_time"] = start
        group["starting_time"].attrs.update(rate=20.0, unit="seconds")
    return file


@pytest.fixture(scope="module")
def recorded(file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small recording, with a position that follows three of its neurons, and an angle of each trial."""
    copy = Path(shutil.copy(file, tmp_path_factory.mktemp("regress") / "position.nwb"))
    add_position(copy, _position(file), start=LAG)
    with h5py.File(copy, "a") as stored:
        trials = stored["intervals/trials"]
        angle = np.array([float(int(name) if str(name).isdigit() else len(name)) for name in _stimuli(trials)])
        trials["angle"] = angle
        trials["angle"].attrs.update(namespace="hdmf-common", neurodata_type="VectorData", description="")
        names = [*trials.attrs["colnames"], "angle"]
        trials.attrs["colnames"] = names
    return copy


def _stimuli(trials: h5py.Group) -> list[str]:
    return [name.decode() if isinstance(name, bytes) else str(name) for name in trials["stimulus"][()]]


def config(recorded: Path, *assignments: str, **data: object) -> Config:
    values = {
        "task": "regress",
        "data": {"files": [str(recorded)], "signal": SERIES, **data},
        "windows": {"length": 0.5, "step": 0.25},
        "model": {"options": {"width": 8}},
        "train": {"epochs": 15, "device": "cpu"},
    }
    return assign(values, assignments)


@pytest.fixture(scope="module")
def done(recorded: Path, tmp_path_factory: pytest.TempPathFactory):
    return run(config(recorded, target=POSITION, target_lag=LAG), out=tmp_path_factory.mktemp("runs") / "run")


def test_a_planted_number_is_told_and_the_baselines_say_who_tells_best(done) -> None:
    net, others = done.metrics["net"], done.metrics["baselines"]
    assert set(others) == {"linear", "covariance", "kernels", "gaussian", "mean"}
    assert others["linear"]["mean_r2"] > 0.9
    assert others["mean"]["mean_r2"] <= 0
    assert others["mean"]["mean_r2"] < net["mean_r2"] <= 1
    assert done.metrics["outputs"] == ["position"]
    made = json.loads((done.out / "report.json").read_text())
    assert made["findings"][0]["text"].startswith("Held-out R²")
    assert "position" in made["subject"] or "position" in json.dumps(made["numbers"])
    page = (done.out / "report.html").read_text()
    assert "told over measured" in page
    assert "[m]" in page


def test_scores_are_those_of_numpy(done, recorded: Path) -> None:
    """R2 of the linear baseline's neighbor, the net, from its own predictions on the whole file."""
    with pytest.warns(ScimlWarning, match="overlap ones that the net was trained"):
        found = predict(done.out, recorded, done.out.parent / "told.nc", step=0.25).dataset
    told = found["predicted_value"]
    assert told.attrs["units"] == "m"
    ends = found["time"].values + 0.45 + LAG
    truth = open_recording(recorded, POSITION)
    near = np.searchsorted(truth["time"].values + 1e-6, ends)
    test = ~found["in_training"].values & (near < truth.size)
    y, z = truth.values[near[test]], told.values[test, 0]
    r2 = 1 - np.mean((y - z) ** 2) / np.var(y)
    assert r2 == pytest.approx(done.metrics["net"]["mean_r2"], abs=0.1)  # more windows than the test part's


def test_a_file_without_the_target_is_told_the_same(done, recorded: Path, file: Path) -> None:
    """What is to be told is not needed to tell it; the digest of the values is that of training, wherever they lie."""
    with pytest.warns(ScimlWarning, match="overlap ones that the net was trained"):
        known, unknown = (predict(done.out, each).dataset["predicted_value"] for each in (recorded, file))
    np.testing.assert_array_equal(known.values, unknown.values)


def test_intervals_cover_as_the_report_says(done, recorded: Path) -> None:
    """Half widths are those of the validation part; the coverage is counted anew on the test part's windows."""
    with pytest.warns(ScimlWarning, match="overlap ones that the net was trained"):
        found = predict(done.out, recorded).dataset
    half = ((found["predicted_high"] - found["predicted_low"]) / 2).values
    np.testing.assert_allclose(half, done.metrics["intervals"]["folds"][0]["intervals"]["half_width"][0], rtol=1e-5)
    assert found["predicted_low"].attrs == {"units": "m", "confidence": 0.9}
    assert 0.6 < done.metrics["intervals"]["coverage"][0] <= 1


def test_a_dry_run_names_the_numbers_and_parts_keep_clear_of_the_lag(recorded: Path) -> None:
    planned = dry_run(config(recorded, "train.batch_size=32", target=POSITION, target_lag=LAG))
    assert planned.batch["y"] == {"dims": ["window", "output"], "unit": "m", "shape": [32, 1]}
    assert planned.config.split.gap == pytest.approx(0.5 + LAG)


def test_a_target_of_another_file_is_the_same(recorded: Path, file: Path, tmp_path: Path, done) -> None:
    other = add_position(Path(shutil.copy(file, tmp_path / "other.nwb")), _position(file), start=LAG)
    same = config(file, "train.epochs=1", target=POSITION, target_lag=LAG, target_files=[str(other)])
    found = run(same, out=tmp_path / "run")
    assert found.metrics["baselines"]["linear"]["r2"] == done.metrics["baselines"]["linear"]["r2"]


@pytest.mark.filterwarnings("ignore:split by time block")  # two files cannot fill three parts
def test_two_files_each_have_their_target(recorded: Path, tmp_path: Path) -> None:
    """The second file's clock is shifted behind the first's, and its target with it."""
    again = Path(shutil.copy(recorded, tmp_path / "again.nwb"))
    both = config(recorded, "train.epochs=1", files=[str(recorded), str(again)], target=POSITION, target_lag=LAG)
    found = run(both, out=tmp_path / "run")
    assert found.metrics["baselines"]["linear"]["mean_r2"] > 0.9


def test_a_number_of_each_event(recorded: Path, tmp_path: Path) -> None:
    values = assign(
        {"task": "regress", "data": {"files": [str(recorded)], "signal": SERIES, "labels": "intervals/trials:angle"},
         "model": {"options": {"width": 4}}, "train": {"epochs": 2, "device": "cpu"}}
    )  # fmt: skip
    found = run(values, out=tmp_path / "run")
    assert found.metrics["outputs"] == ["angle"]
    with pytest.warns(ScimlWarning, match="trained"):
        said = predict(tmp_path / "run", recorded, tmp_path / "out.nc").dataset
    assert {"predicted_value", "measured_value"} <= set(said)
    xr.testing.assert_identical(xr.load_dataset(tmp_path / "out.nc", engine="h5netcdf"), said)


@pytest.mark.parametrize(
    ("data", "error", "message"),
    [
        ({}, ConfigError, "expected data.labels .* or data.target .*, got neither"),
        ({"target": POSITION, "labels": "intervals/trials:angle"}, ConfigError, "got both"),
        ({"target": "processing/behavior/speed"}, DataError, "speed"),
        ({"labels": "intervals/trials:stimulus"}, DataError, "expected numbers in column 'stimulus'"),
    ],
)
def test_what_cannot_be_told_is_refused(recorded: Path, tmp_path: Path, data, error, message: str) -> None:
    values = {"task": "regress", "data": {"files": [str(recorded)], "signal": SERIES, **data}}
    with pytest.raises(error, match=message):
        run(assign(values), out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_from_the_command_line(recorded: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["fit", str(recorded), "--signal", SERIES, "--task", "regress", "--set", f"data.target={POSITION}",
             "--epochs", "1", "--device", "cpu", "-q", "--out", str(tmp_path / "run")]  # fmt: skip
    assert command(words) == 0
    said = capsys.readouterr().out
    assert "R²" in said
    assert "linear" in said


@pytest.mark.parametrize(
    ("ends", "better", "words"),
    [
        ((0.1, 0.5), True, "better than the mean of these windows, which scores 0"),
        ((-0.1, 0.5), False, "not shown to be better than the mean of these windows, which scores 0"),
        ((-0.5, -0.1), False, "worse than the mean of these windows, which scores 0"),
        ((None, None), None, "not testable: one unit of independence in the held-out part"),
    ],
)
def test_more_than_the_mean_is_claimed_only_where_the_whole_interval_is_above(ends, better, words: str) -> None:
    above, said = against_mean(*ends, nothing=0.0, greater_is_better=True)
    assert above is better
    assert said.startswith(words)


def test_noise_is_not_told_better_than_its_mean(recorded: Path, file: Path, tmp_path: Path) -> None:
    noise = np.random.default_rng(5).normal(size=len(_position(file)))
    other = add_position(Path(shutil.copy(file, tmp_path / "noise.nwb")), noise, start=LAG)
    found = run(config(other, "train.epochs=2", target=POSITION), out=tmp_path / "run")
    assert found.metrics["net"]["above_chance"] is False
    assert "better than the mean" in found.metrics["verdict"] or found.metrics["verdict"].startswith("worse")
    text = json.loads((tmp_path / "run" / "report.json").read_text())["findings"][0]["text"]
    assert found.metrics["verdict"] in text
    assert command(["fit", "--resume", "--out", str(tmp_path / "run"), "--strict"]) == 6


def test_a_finished_run_refuses_another_target(recorded: Path, file: Path, tmp_path: Path) -> None:
    other = add_position(Path(shutil.copy(file, tmp_path / "other.nwb")), _position(file), start=LAG)
    asked = config(file, "train.epochs=1", target=POSITION, target_lag=LAG, target_files=[str(other)])
    run(asked, out=tmp_path / "run")
    assert run(asked, out=tmp_path / "run", resume=True).already_finished
    with h5py.File(other, "a") as stored:
        stored[f"{POSITION}/data"][...] = stored[f"{POSITION}/data"][...] * 2
    with pytest.raises(CheckpointError, match="windows have another class, number or weight"):
        run(asked, out=tmp_path / "run", resume=True)
