"""`sciml export` and `sciml checkpoints`: what is kept of a run, and what can be handed on."""

import hashlib
import json
import shutil
from pathlib import Path


def test_an_export_is_read_by_predict_like_the_run(fitted, recording, sciml, tmp_path):
    done = sciml("export", fitted, "-o", tmp_path / "export")
    assert done.code == 0
    assert "fcn, epoch" in done.out
    for run, name in ((fitted, "run.nc"), (tmp_path / "export", "export.nc")):
        assert sciml("predict", run, recording, "-o", tmp_path / name).code == 0
    again = sciml("export", fitted, "-o", tmp_path / "export")
    assert (again.code, "--overwrite" in again.err) == (74, True)
    found = json.loads(sciml("export", fitted, "-o", tmp_path / "export", "--overwrite", "--json").out)
    assert (found["task"], found["weights"]["file"]) == ("classify", "model.safetensors")


def test_there_must_be_a_run(sciml, tmp_path):
    for command in (("export", tmp_path, "-o", tmp_path / "out"), ("checkpoints", tmp_path)):
        done = sciml(*command)
        assert (done.code, "expected a run directory" in done.err) == (5, True)


def test_checkpoints_are_listed_with_step_hash_size_and_whether_they_are_whole(fitted, sciml, tmp_path):
    folder = shutil.copytree(fitted, tmp_path / "run")
    files = sorted((folder / "checkpoints").glob("step-*.pt"))
    files[-1].write_bytes(files[-1].read_bytes()[:-50])
    found = json.loads(sciml("checkpoints", folder, "--json").out)["checkpoints"]
    assert {each["file"] for each in found} == {str(file) for file in (folder / "checkpoints").glob("*.pt")}
    for each in found:
        damaged = each["file"] == str(files[-1])
        assert each["whole"] != damaged
        assert bool(each["problem"]) == damaged
        file = hashlib.sha256(Path(each["file"]).read_bytes()).hexdigest()
        assert each["sha256"] == (None if damaged else file)
        assert each["step"] == int(each["file"][-11:-3])
        assert each["n_bytes"] > 1000
    done = sciml("checkpoints", folder)
    assert done.code == 0
    assert sum("yes" in line for line in done.out.splitlines()) == len(found) - 1
    assert "does not end as a checkpoint does" in done.err
