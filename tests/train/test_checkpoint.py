"""Checkpoints: whole or refused, and never at the cost of the one before."""

import errno
import os
import resource
import zipfile
from pathlib import Path

import pytest
import torch

from sciml.errors import CheckpointError, ScimlWarning, StorageError
from sciml.train import checkpoint

torch.set_num_threads(1)


def state(value=1.0, size=2000):
    return {"model": {"weight": torch.full((size,), value)}, "epoch": 3, "history": [{"loss": 0.25}], "note": None}


def flip(path, position):
    content = bytearray(path.read_bytes())
    content[position] ^= 1
    path.write_bytes(bytes(content))


def test_what_is_saved_is_loaded(tmp_path):
    path = checkpoint.save(tmp_path / "a" / "b", state(), step=7)
    loaded = checkpoint.load(path)
    assert torch.equal(loaded["model"]["weight"], state()["model"]["weight"])
    assert (loaded["epoch"], loaded["history"], loaded["note"]) == (3, [{"loss": 0.25}], None)
    assert (loaded["step"], loaded["format"]) == (7, checkpoint.FORMAT)
    assert [entry.name for entry in path.parent.iterdir()] == ["step-00000007.pt"]


def test_torch_and_zip_read_it_too(tmp_path):
    path = checkpoint.save(tmp_path, state(), step=7)
    assert torch.load(path, weights_only=True)["epoch"] == 3
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        assert archive.comment.decode().endswith(checkpoint.verify(path))


def test_every_flipped_bit_is_found(tmp_path):
    path = checkpoint.save(tmp_path, state(size=50), step=1)
    size = path.stat().st_size
    for position in [*range(0, size, 37), *range(size - 110, size)]:
        flip(path, position)
        with pytest.raises(CheckpointError, match=r"damaged|does not end|format"):
            checkpoint.load(path)
        flip(path, position)
    checkpoint.verify(path)


@pytest.mark.parametrize("keep", [0, 1, 100, -1, -90])
def test_a_file_cut_short_is_found(tmp_path, keep):
    path = checkpoint.save(tmp_path, state(), step=1)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(CheckpointError, match="does not end as a checkpoint does"):
        checkpoint.load(path)


def test_the_newest_whole_one_is_taken_with_a_warning(tmp_path):
    for step in (1, 2, 3):
        checkpoint.save(tmp_path, state(float(step)), step=step)
    flip(tmp_path / "step-00000003.pt", 500)
    (tmp_path / "step-00000004.pt").write_bytes(b"")
    (tmp_path / "step-xyz.pt").write_bytes(b"not ours")
    with pytest.warns(ScimlWarning) as said:
        found = checkpoint.load_latest(tmp_path)
    assert found.step == 2
    assert found.state["model"]["weight"][0] == 2.0
    assert ["00000004" in str(said[0].message), "00000003.pt is damaged" in str(said[1].message)] == [True, True]


def test_a_checkpoint_whose_best_weights_are_damaged_is_passed_over(tmp_path):
    for step in (1, 2):
        checkpoint.save(tmp_path, {"value": step}, step=step, kind="best")
        checkpoint.save(tmp_path, {"best_step": step}, step=step)
    flip(tmp_path / "best-00000002.pt", 100)
    with pytest.warns(ScimlWarning, match=r"best-00000002.pt is damaged"):
        found = checkpoint.load_latest(tmp_path)
    assert found.best is not None
    assert (found.step, found.best["value"]) == (1, 1)
    with pytest.warns(ScimlWarning, match=r"best-00000002.pt is damaged"):
        assert checkpoint.load_best(tmp_path).step == 1


def test_nothing_whole_is_an_error_that_names_files_and_causes(tmp_path):
    with pytest.raises(CheckpointError, match="the folder does not exist"):
        checkpoint.load_latest(tmp_path / "nowhere")
    with pytest.raises(CheckpointError, match="the folder holds none"):
        checkpoint.load_latest(tmp_path)
    flip(checkpoint.save(tmp_path, state(), step=1), 300)
    with pytest.warns(ScimlWarning), pytest.raises(CheckpointError, match=r"1 damaged: .*step-00000001.pt is damaged"):
        checkpoint.load_latest(tmp_path)


def test_a_newer_format_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoint, "FORMAT", 2)
    path = checkpoint.save(tmp_path, state(), step=1)
    monkeypatch.setattr(checkpoint, "FORMAT", 1)
    with pytest.raises(CheckpointError, match="has format 2, this version reads up to 1; update"):
        checkpoint.load(path)


def test_code_in_a_checkpoint_is_not_run(tmp_path):
    class Evil:
        def __reduce__(self):
            return os.system, ("touch evil",)

    path = checkpoint.save(tmp_path, {"payload": Evil()}, step=1)
    with pytest.raises(CheckpointError, match="objects are not loaded") as told:
        checkpoint.load(path)
    assert told.value.__cause__ is None
    assert "weights_only" not in str(told.value)


def test_prune_keeps_the_newest_and_the_best_they_refer_to(tmp_path):
    for step in (1, 2, 4):
        checkpoint.save(tmp_path, {}, step=step, kind="best")
    for step in (1, 2, 3, 4, 5):
        checkpoint.save(tmp_path, {}, step=step)
    checkpoint.prune(tmp_path, keep=3)
    assert [path.name[:13] for path in checkpoint.paths(tmp_path)] == [
        "step-00000005",
        "step-00000004",
        "step-00000003",
    ]
    assert [path.name[:13] for path in checkpoint.paths(tmp_path, "best")] == ["best-00000004", "best-00000002"]
    assert not list(tmp_path.glob(".*"))


def test_what_killed_writers_left_goes_with_the_next_save(tmp_path):
    for name in (".step-00000009.pt.lock", ".step-00000009.pt.0123abcd.part", ".best-00000008.pt.lock"):
        (tmp_path / name).write_bytes(b"")
    path = checkpoint.save(tmp_path, {}, step=12)
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO])
def test_a_failing_disk_leaves_the_one_before(tmp_path, monkeypatch, number):
    first = checkpoint.save(tmp_path, state(1.0), step=1)

    def failing(descriptor):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", failing)
    for step in (1, 2):  # the same name, another name
        with pytest.raises(StorageError, match=r"the last good one is step-00000001.pt") as failure:
            checkpoint.save(tmp_path, state(2.0), step=step)
        assert failure.value.errno == number
    assert checkpoint.load(first)["model"]["weight"][0] == 1.0
    assert [entry.name for entry in tmp_path.iterdir()] == ["step-00000001.pt"]


def test_a_full_disk_leaves_the_one_before(tmp_path):
    """A limit on the size of files stands in for the end of the disk."""
    first = checkpoint.save(tmp_path, state(1.0), step=1)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    try:
        with pytest.raises(StorageError, match="could not save a checkpoint"):
            checkpoint.save(tmp_path, state(2.0), step=1)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert checkpoint.load(first)["model"]["weight"][0] == 1.0
    assert [entry.name for entry in tmp_path.iterdir()] == ["step-00000001.pt"]


def test_a_disk_that_returns_other_bytes_is_noticed_before_the_old_is_deleted(tmp_path, monkeypatch):
    replace = Path.replace

    def rotting(self, target):
        moved = replace(self, target)
        flip(Path(target), 200)
        return moved

    checkpoint.save(tmp_path, state(), step=1)
    monkeypatch.setattr(Path, "replace", rotting)
    with pytest.raises(CheckpointError, match="damaged"):
        checkpoint.save(tmp_path, state(), step=2)
    assert (tmp_path / "step-00000001.pt").exists()


def test_a_folder_that_cannot_be_made_is_a_storage_error(tmp_path):
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(StorageError, match="there is none yet"):
        checkpoint.save(tmp_path / "taken", state(), step=1)


@pytest.mark.parametrize("stored", [[1, 2], 3.0, "text", torch.ones(2)])
def test_a_state_is_a_dict(tmp_path, monkeypatch, stored):
    monkeypatch.setattr(checkpoint, "dict", lambda _: stored, raising=False)
    path = checkpoint.save(tmp_path, {}, step=1)
    monkeypatch.delattr(checkpoint, "dict")
    with pytest.raises(CheckpointError, match="expected a dict of what a run stores"):
        checkpoint.load(path)
    with pytest.warns(ScimlWarning), pytest.raises(CheckpointError):
        checkpoint.load_latest(tmp_path)
