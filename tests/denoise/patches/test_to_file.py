"""From file to file, tile by tile: the same values as in memory, whatever interrupts it and whoever computes it."""

import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
import xarray as xr

from sciml.denoise import denoise_patches, denoise_patches_to_file
from sciml.denoise.patches import to_file as tofile_module
from sciml.errors import DataError, InterruptedRunError, ScimlWarning, StorageError
from sciml.io import open_recording, save_recording
from sciml.io.write.regions import RegionFile
from sciml.simulate import smooth_phantom

PATCH = {"z": 4, "y": 4, "x": 4}
MAPS = ["sigma", "rank", "variance", "removed", "coverage"]
CHILD = """
    import sys, time
    from sciml.denoise import denoise_patches_to_file
    from sciml.denoise.patches import to_file as tofile
    from sciml.io import open_recording
    tofile.voxels_that_fit = lambda *_: 1500
    def slowly(done, total):
        print(done, total, flush=True)
        time.sleep(0.5 if done else 0)
    denoise_patches_to_file(open_recording(sys.argv[1]), sys.argv[2], patch={"z": 4, "y": 4, "x": 4}, progress=slowly)
"""


@pytest.fixture
def small_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tofile_module, "voxels_that_fit", lambda *_: 1500)


@pytest.fixture
def recording() -> xr.DataArray:
    found = smooth_phantom((16, 12, 9), n_samples=30).recording
    return found.assign_coords(time=np.arange(30) / 10.0).assign_attrs(units="mV", sampling_rate=10.0)


@pytest.fixture
def stored(recording: xr.DataArray, tmp_path: Path) -> Path:
    return save_recording(recording, tmp_path / "movie.nc")


def assert_same(path: Path, whole: xr.Dataset) -> None:
    with xr.open_dataset(path) as found:
        np.testing.assert_allclose(found["denoised"], whole["denoised"], rtol=1e-6)
        for name in MAPS:
            np.testing.assert_allclose(found[name], whole[name], rtol=5e-3, atol=1e-6)  # float32 sums of squares


def test_the_file_holds_what_memory_would(small_tiles: None, recording: xr.DataArray, tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    out = tmp_path / "clean.nc"
    found = denoise_patches_to_file(recording, out, patch=PATCH, progress=lambda *counts: told.append(counts))
    assert found.n_tiles > 3
    assert told == [(done, found.n_tiles) for done in range(found.n_tiles + 1)]
    whole = denoise_patches(recording, patch=PATCH)
    assert_same(out, whole)
    np.testing.assert_allclose(found.sigma, whole["sigma"].mean(), rtol=1e-6)
    np.testing.assert_allclose(found.rank, whole["rank"].mean(), rtol=1e-6)
    opened = open_recording(out)
    assert opened.attrs["units"] == "mV"
    assert opened.attrs["history"] == whole["denoised"].attrs["history"]
    xr.testing.assert_equal(opened["time"], recording["time"])
    assert sorted(each.name for each in tmp_path.iterdir()) == ["clean.nc"]


@pytest.mark.parametrize("kind", [float, complex])
def test_a_zarr_folder_goes_on_where_it_stopped_and_holds_the_same(
    small_tiles: None, recording: xr.DataArray, tmp_path: Path, kind: type
) -> None:
    pytest.importorskip("zarr")
    movie, out = recording.astype(kind), tmp_path / "clean.zarr"

    def stop(done: int, _: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(InterruptedRunError):
        denoise_patches_to_file(movie, out, patch=PATCH, progress=stop)
    assert not out.exists()
    assert denoise_patches_to_file(movie, out, patch=PATCH).n_resumed == 2
    whole = denoise_patches(movie, patch=PATCH)
    opened = open_recording(out)
    np.testing.assert_allclose(opened.values, whole["denoised"], rtol=1e-6)
    assert opened.attrs["history"] == whole["denoised"].attrs["history"]
    with xr.open_zarr(out, consolidated=False) as found:
        np.testing.assert_allclose(found["sigma"], whole["sigma"], rtol=5e-3)
    with pytest.raises(StorageError, match="exists"):
        denoise_patches_to_file(movie, out, patch=PATCH)
    assert denoise_patches_to_file(movie, out, patch=PATCH, overwrite=True).n_resumed == 0
    assert [each.name for each in tmp_path.iterdir()] == ["clean.zarr"]


def test_masks_sigma_maps_and_complex_numbers_reach_the_file(
    small_tiles: None, recording: xr.DataArray, tmp_path: Path
) -> None:
    mask = xr.DataArray(np.ones((16, 12, 9), bool), dims=("z", "y", "x"))
    mask[:4] = False
    level = xr.full_like(mask, 2.0, dtype=float)
    transformed = (recording * np.exp(0.3j)).astype(np.complex64)
    found = denoise_patches_to_file(transformed, tmp_path / "a.nc", patch=PATCH, sigma=level, mask=mask, maps=False)
    whole = denoise_patches(transformed, patch=PATCH, sigma=level, mask=mask)
    np.testing.assert_allclose(open_recording(found.path), whole["denoised"], rtol=1e-6)
    with h5py.File(found.path) as file:
        assert "sigma" not in file
    assert found.sigma == pytest.approx(2.0)


def test_a_killed_run_goes_on_and_loses_nothing_finished(
    small_tiles: None, recording: xr.DataArray, stored: Path, tmp_path: Path
) -> None:
    out = tmp_path / "clean.nc"
    program = [sys.executable, "-c", textwrap.dedent(CHILD), str(stored), str(out)]
    with subprocess.Popen(program, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        for line in child.stdout:
            if line.startswith("2 "):
                os.kill(child.pid, signal.SIGKILL)
                break
        child.wait()
    assert not out.exists()
    found = denoise_patches_to_file(open_recording(stored), out, patch=PATCH)
    assert found.n_resumed == 2
    assert_same(out, denoise_patches(recording, patch=PATCH))


def test_ctrl_c_keeps_the_tiles_and_says_so(
    small_tiles: None, recording: xr.DataArray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(done: int, _total: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    out = tmp_path / "clean.nc"
    with pytest.raises(InterruptedRunError, match="stopped with 2 of"):
        denoise_patches_to_file(recording, out, patch=PATCH, progress=stop)
    with pytest.raises(StorageError, match="unfinished run with other data or settings"):
        denoise_patches_to_file(recording, out, patch=PATCH, shrinkage="hard")
    assert denoise_patches_to_file(recording, out, patch=PATCH).n_resumed == 2
    with pytest.raises(StorageError, match="exists"):
        denoise_patches_to_file(recording, out, patch=PATCH)
    assert denoise_patches_to_file(recording, out, patch=PATCH, shrinkage="hard", overwrite=True).n_resumed == 0


def test_two_workers_of_a_cluster_give_the_same(
    small_tiles: None, recording: xr.DataArray, stored: Path, tmp_path: Path
) -> None:
    distributed = pytest.importorskip("distributed")
    options = {"n_workers": 2, "threads_per_worker": 1, "processes": True, "dashboard_address": None}
    with distributed.LocalCluster(**options) as cluster:
        whole = denoise_patches(recording, patch=PATCH)
        for name, each in (("file", open_recording(stored)), ("chunks", recording.chunk(z=8, time=10))):
            out = tmp_path / f"{name}.nc"
            found = denoise_patches_to_file(each, out, patch=PATCH, scheduler=cluster.scheduler_address)
            assert found.n_tiles > 3
            assert_same(out, whole)


@pytest.mark.slow
def test_memory_stays_bounded_on_a_file_several_times_larger(tmp_path: Path) -> None:
    """240 MB of movie, 100 MB of allowance for data: the process must stay far below holding it twice."""
    source, out = tmp_path / "movie.h5", tmp_path / "clean.nc"
    rng = np.random.default_rng(0)
    with h5py.File(source, "w") as file:
        movie = file.create_dataset("movie", (400, 416, 416), "f4", chunks=(100, 52, 52))
        for row in range(0, 416, 52):
            movie[:, row : row + 52] = rng.standard_normal((400, 52, 416), np.float32)
    code = f"""
        import pathlib, re

        def peak():
            # Not ru_maxrss: a child starts with the peak of the process that forked it.
            return int(re.search(r"VmHWM:\\s+(\\d+)", pathlib.Path("/proc/self/status").read_text())[1])

        from sciml.denoise import denoise_patches_to_file
        from sciml.io import open_recording
        import torch, dask.array, h5netcdf
        before = peak()
        patch = {{"y": 6, "x": 6}}
        movie = open_recording({str(source)!r}, "movie", dims=("time", "y", "x"), rate=10.0)
        found = denoise_patches_to_file(movie, {str(out)!r}, patch=patch, stride=6, memory="800MB", maps=False)
        print(before, peak(), found.n_tiles, found.sigma)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=True, timeout=250
    )
    before, after, n_tiles, sigma = map(float, done.stdout.split())
    assert n_tiles > 4
    assert after * 1024 < 800e6
    assert (after - before) * 1024 < 400e6
    assert sigma == pytest.approx(1, rel=0.01)


def test_unfinished_work_is_not_taken_for_the_result(
    small_tiles: None, recording: xr.DataArray, tmp_path: Path
) -> None:
    """A torn last line of the journal is a tile that is done again."""

    def stop(done: int, _total: int) -> None:
        if done == 3:
            raise KeyboardInterrupt

    out = tmp_path / "clean.nc"
    with pytest.raises(InterruptedRunError):
        denoise_patches_to_file(recording, out, patch=PATCH, progress=stop)
    journal = tmp_path / ".clean.nc.journal"
    journal.write_text(journal.read_text()[:-5])
    assert denoise_patches_to_file(recording, out, patch=PATCH).n_resumed == 2
    assert_same(out, denoise_patches(recording, patch=PATCH))


def stop_after(tiles: int) -> Callable[[int, int], None]:
    def stop(done: int, _total: int) -> None:
        if done == tiles:
            raise KeyboardInterrupt

    return stop


@pytest.mark.parametrize("ending", ["nc", "zarr"])
@pytest.mark.parametrize("how", ["memory", "chunks", "file", "mask"])
def test_other_data_are_computed_anew_and_it_is_said(
    small_tiles: None, recording: xr.DataArray, tmp_path: Path, how: str, ending: str
) -> None:
    """The second recording has the dims, dtype, name and attributes of the first, and other values."""
    if ending == "zarr":
        pytest.importorskip("zarr")

    def given(each: xr.DataArray) -> xr.DataArray:
        if how == "file":
            save_recording(each, tmp_path / "movie.nc", overwrite=True)
            return open_recording(tmp_path / "movie.nc")
        if how == "mask":
            return recording.assign_coords(mask=("time", np.arange(30) == (3 if each is recording else 4)))
        return each.chunk(z=8) if how == "chunks" else each

    other = recording.copy(data=recording.values[::-1])
    out = tmp_path / f"clean.{ending}"
    with pytest.raises(InterruptedRunError):
        denoise_patches_to_file(given(recording), out, patch=PATCH, progress=stop_after(2))
    assert denoise_patches_to_file(given(recording), tmp_path / "whole.nc", patch=PATCH).restarted is False
    with pytest.warns(ScimlWarning, match="other data, and is discarded"):
        found = denoise_patches_to_file(given(other), out, patch=PATCH)
    assert found.n_resumed == 0
    assert found.restarted
    expected = denoise_patches(given(other), patch=PATCH)["denoised"]
    np.testing.assert_allclose(open_recording(out), expected, rtol=1e-6)


def test_a_file_changed_in_its_middle_at_the_same_time_and_size_is_other_data(
    small_tiles: None, tmp_path: Path
) -> None:
    rng = np.random.default_rng(0)
    path, out = tmp_path / "movie.nc", tmp_path / "clean.nc"
    movie = xr.DataArray(rng.normal(size=(300, 100, 100)).astype(np.float32), dims=("time", "y", "x"), name="movie")
    save_recording(movie, path)
    patch, before = {"y": 5, "x": 5}, path.stat()
    with pytest.raises(InterruptedRunError):
        denoise_patches_to_file(open_recording(path), out, patch=patch, stride=5, progress=stop_after(2))
    with h5py.File(path, "r+") as file:
        file["movie"][140:160] += 1
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_size == before.st_size
    with pytest.warns(ScimlWarning, match="other data"):
        denoise_patches_to_file(open_recording(path), out, patch=patch, stride=5, progress=stop_after(-1))


def test_what_is_missing_and_constant_is_counted_in_the_file(
    small_tiles: None, recording: xr.DataArray, tmp_path: Path
) -> None:
    holed = recording.copy()
    holed[{"time": 3}] = np.nan
    holed[{"z": slice(4)}] = 0
    holed[{"z": 8, "y": 8, "x": 5, "time": 9}] = np.nan
    for fill in (False, True):
        out = tmp_path / f"clean{fill}.nc"
        found = denoise_patches_to_file(holed, out, patch=PATCH, fill=fill)
        whole = denoise_patches(holed, patch=PATCH, fill=fill)
        assert_same(out, whole)
        assert found.n_untouched == whole.attrs["n_untouched"] == 4 * 12 * 9
        assert found.n_voxels == 16 * 12 * 9
        opened = open_recording(out)
        assert opened.attrs["history"] == whole["denoised"].attrs["history"]
        assert opened.attrs["n_untouched"] == found.n_untouched
        assert np.isfinite(opened[{"z": 8, "y": 8, "x": 5, "time": 9}]) == fill


def test_nothing_denoised_leaves_nothing(small_tiles: None, recording: xr.DataArray, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="all 1728 voxels"):
        denoise_patches_to_file(recording * np.nan, tmp_path / "clean.nc", patch=PATCH)
    assert list(tmp_path.iterdir()) == []


def test_a_second_writer_ends_at_once(small_tiles: None, recording: xr.DataArray, tmp_path: Path) -> None:
    out = tmp_path / "clean.nc"

    def second(done: int, _total: int) -> None:
        if done == 1:
            denoise_patches_to_file(recording, out, patch=PATCH)

    with pytest.raises(StorageError, match="is being written by another run"):
        denoise_patches_to_file(recording, out, patch=PATCH, progress=second)
    assert denoise_patches_to_file(recording, out, patch=PATCH).n_resumed == 1


def test_a_kill_while_the_last_attributes_are_written_starts_anew(
    small_tiles: None, recording: xr.DataArray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "clean.nc"
    with monkeypatch.context() as patched:
        patched.setattr(RegionFile, "finish", lambda _: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(InterruptedRunError):
            denoise_patches_to_file(recording, out, patch=PATCH)
    assert denoise_patches_to_file(recording, out, patch=PATCH).n_resumed == 0
    assert_same(out, denoise_patches(recording, patch=PATCH))
