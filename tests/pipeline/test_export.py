"""What is exported says the same as the run, holds no code, and shows when it was changed."""

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open

from sciml.errors import CheckpointError, StorageError
from sciml.pipeline import export_run, load_weights, predict, run, validate
from sciml.pipeline.export.folder import digest
from sciml.pipeline.model import restore
from sciml.pipeline.run_folder import RunFolder
from sciml.pipeline.spectra import analyze
from sciml.simulate import population_recording, write_nwb
from sciml.train import checkpoint

TASKS = {"classify": {}, "forecast": {}, "folds": {"split": {"folds": 3}}}


@pytest.fixture(scope="module")
def another(tmp_path_factory: pytest.TempPathFactory) -> Path:
    recording = population_recording(n_neurons=8, duration=60.0, seed=2)
    return write_nwb(recording, tmp_path_factory.mktemp("another") / "another.nwb")


@pytest.fixture(scope="module", params=TASKS)
def done(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run to classify (denoised, with calibration), to forecast, and one with folds."""
    folder = tmp_path_factory.mktemp(request.param)
    file = write_nwb(population_recording(n_neurons=8, duration=120.0, seed=1), folder / "small.nwb")
    labels = {} if request.param == "forecast" else {"labels": "intervals/trials:stimulus"}
    values: dict[str, Any] = {
        "task": "forecast" if request.param == "forecast" else "classify",
        "data": {"files": [str(file)], **labels},
        "model": {"options": {"width": 4}},
        "train": {"steps": 3, "device": "cpu"},
        **TASKS[request.param],
    }
    return run(validate(values), out=folder / "run").out


def said(folder: Path, file: Path) -> Any:
    with pytest.WarningsRecorder(_ispytest=True) as caught:
        found = predict(folder, file).dataset
    return found, sorted({str(each.message).replace(str(folder), "RUN") for each in caught})


def test_an_export_predicts_bit_for_bit_what_its_run_does(done, another, tmp_path):
    export_run(done, tmp_path / "export")
    assert sorted(each.name for each in (tmp_path / "export").iterdir()) == ["model.json", "model.safetensors"]
    shutil.copytree(tmp_path / "export", tmp_path / "elsewhere" / "export")
    expected, warned = said(done, another)
    found, again = said(tmp_path / "elsewhere" / "export", another)
    assert set(expected.variables) == set(found.variables)
    for name in expected.variables:
        np.testing.assert_array_equal(found[name].values, expected[name].values)
    assert [text for text in again if "folds" not in text] == [text for text in warned if "folds" not in text]
    assert (found.attrs["epoch"], found.attrs["checkpoint"]) == (expected.attrs["epoch"], "model.safetensors")


def test_windows_of_the_training_are_known_to_an_export(done, tmp_path):
    export_run(done, tmp_path / "export")
    file = Path(RunFolder(done).config().data.files[0])
    (expected, _), (found, warned) = said(done, file), said(tmp_path / "export", file)
    assert any("overlap" in text for text in warned)
    np.testing.assert_array_equal(found["in_training"].values, expected["in_training"].values)
    assert found["in_training"].values.any()


def test_the_document_says_what_the_model_is_for_and_how_it_was_made(done, tmp_path):
    document = json.loads((export_run(done, tmp_path / "export").path / "model.json").read_text())
    folder, best = RunFolder(done), checkpoint.load_best(RunFolder(done).checkpoints())
    preprocess = best.state["extra"]["preprocess"]
    for key, value in (
        ("units", preprocess["units"]),
        ("sampling_rate", preprocess["sampling_rate"]),
        ("channels", list(preprocess["labels"])),
        ("classes", list(best.state["extra"]["classes"])),
        ("net", best.state["extra"]["net"]),
        ("step", best.step),
    ):
        assert document[key] == value, key
    assert document["split"]["sha256"] == [split.sha256 for split in folder.splits()]
    assert document["checkpoint"]["sha256"] == hashlib.sha256(best.path.read_bytes()).hexdigest()
    assert document["versions"]["torch"] == torch.__version__
    assert document["data"] == folder.status()["data"]
    assert document["config"]["data"]["files"] == ["small.nwb"]  # no folders of somebody's machine
    assert str(done.parent) not in json.dumps(document)


def test_the_weights_are_tensors_that_any_reader_opens(done, tmp_path):
    path = export_run(done, tmp_path / "export").path
    best = checkpoint.load_best(RunFolder(done).checkpoints()).state["model"]
    with safe_open(path / "model.safetensors", "pt") as file:
        names = set(file.keys())
        for name, value in best.items():
            assert torch.equal(file.get_tensor(f"model.{name}"), value)
    assert {name for name in names if name.startswith("preprocessing.")} >= {
        "preprocessing.mean",
        "preprocessing.scale",
    }
    weights = load_weights(path)
    assert all(torch.equal(weights[name], value) for name, value in best.items())


def rewritten(path: Path, **changes: Any) -> None:
    document = json.loads((path / "model.json").read_text()) | changes
    document["sha256"] = digest(document)
    (path / "model.json").write_text(json.dumps(document))


def flipped(path: Path, at: int) -> None:
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(bytes(content))


def weights_flipped(path: Path) -> None:
    flipped(path / "model.safetensors", -3)


def rate_changed(path: Path) -> None:
    file = path / "model.json"
    file.write_text(file.read_text().replace('"sampling_rate": ', '"sampling_rate": 1', 1))


def cut_short(path: Path) -> None:
    file = path / "model.json"
    file.write_bytes(file.read_bytes()[:-100])


def without_weights(path: Path) -> None:
    (path / "model.safetensors").unlink()


def of_another_schema(path: Path) -> None:
    rewritten(path, schema="sciml.export/99")


def no_dict(path: Path) -> None:
    (path / "model.json").write_text("[1]")


def without_net(path: Path) -> None:
    rewritten(path, net=None)


def with_other_config(path: Path) -> None:
    rewritten(path, config={"modle": 1})


def no_safetensors(path: Path) -> None:
    (path / "model.safetensors").write_bytes(b"PK")
    rewritten(path, weights={"sha256": hashlib.sha256(b"PK").hexdigest()})


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (weights_flipped, "model.safetensors is damaged"),
        (rate_changed, "model.json is damaged"),
        (cut_short, "expected the document of an export"),
        (without_weights, "expected the weights of an export"),
        (of_another_schema, "expected schema 'sciml.export/1'"),
        (no_dict, "expected schema 'sciml.export/1'"),
        (without_net, "holds what was not expected"),
        (with_other_config, "expected the configuration of a run"),
        (no_safetensors, "cannot be read"),
    ],
)
@pytest.mark.parametrize("done", ["classify"], indirect=True)
def test_what_was_changed_is_said_and_not_used(done, another, tmp_path, damage, message):
    path = export_run(done, tmp_path / "export").path
    damage(path)
    with pytest.raises(CheckpointError, match=message):
        predict(path, another)


@pytest.mark.parametrize("done", ["classify"], indirect=True)
def test_nothing_else_is_overwritten(done, tmp_path):
    (tmp_path / "file").write_text("")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "notes.txt").write_text("mine")
    for name, message in (("file", "is a file"), ("folder", "other things than an export")):
        with pytest.raises(StorageError, match=message):
            export_run(done, tmp_path / name, overwrite=True)
    export_run(done, tmp_path / "export")
    with pytest.raises(StorageError, match="--overwrite"):
        export_run(done, tmp_path / "export")
    assert restore(export_run(done, tmp_path / "export", overwrite=True).path).epoch > 0
    with pytest.raises(CheckpointError, match="expected a run directory"):
        export_run(tmp_path / "export", tmp_path / "again")


@pytest.mark.parametrize("done", ["classify"], indirect=True)
def test_the_weights_of_an_export_are_measured_and_what_needs_windows_is_not(done, tmp_path):
    record = analyze(export_run(done, tmp_path / "export").path, parts=("jacobian",))
    assert [layer.name for layer in record.weights] == [layer.name for layer in analyze(done, parts=()).weights]
    assert record.jacobian is None
    assert any("an export holds none; measure the run itself" in note for note in record.notes)


def test_checkpoints_of_every_fold_are_known(done):
    folders = RunFolder(done).all_checkpoints()
    assert list(folders) == ([1, 2, 3] if (done / "folds").exists() else [None])
    for folder in folders.values():
        found = checkpoint.listing(folder)
        assert {each.kind for each in found} == {"step", "best"}
        assert all(each.whole and each.sha256 == hashlib.sha256(each.path.read_bytes()).hexdigest() for each in found)
    assert RunFolder(done).checkpoints() == next(iter(folders.values()))


def test_a_checkpoint_that_is_deleted_while_they_are_listed_is_left_out(tmp_path, monkeypatch):
    kept, gone = (checkpoint.save(tmp_path, {}, step=step) for step in (1, 2))

    def paths(directory, kind="step"):
        return [gone, kept] if kind == "step" else []

    monkeypatch.setattr("sciml.train.checkpoint.paths", paths)
    gone.unlink()
    assert [each.path for each in checkpoint.listing(tmp_path)] == [kept]
