"""Processes of one machine hold one copy of what they read, and leave nothing behind."""

import os
import signal
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from sciml.data import shared
from sciml.data.samples import read_samples
from sciml.errors import DataError, ProcessError

SHM = Path("/dev") / "shm"
linux = pytest.mark.skipif(not hasattr(os, "memfd_create"), reason="files in memory are Linux's")
torchrun = {"LOCAL_WORLD_SIZE": "2", "MASTER_PORT": str(os.getpid())}


def second_process(work: Callable[[], bool]) -> int:
    """Fork the process of local rank 1; its exit status is 0 where `work` returns True."""
    child = os.fork()
    if child:
        return child
    status = 1
    try:
        os.environ["LOCAL_RANK"] = "1"
        status = 0 if work() else 2
    finally:
        os._exit(status)


@pytest.fixture(autouse=True)
def two_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in torchrun.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("LOCAL_RANK", "0")


def wave() -> xr.DataArray:
    values = np.random.default_rng(0).normal(size=(500, 3)).astype(np.float32)
    return xr.DataArray(values, dims=("time", "channel"), attrs={"sampling_rate": 10.0})


def is_shared(values: np.ndarray) -> bool:
    """Whether the array lies in a file in memory that other processes map as well."""
    address = values.__array_interface__["data"][0]
    for line in Path("/proc/self/maps").read_text().splitlines():
        first, last = (int(end, 16) for end in line.split()[0].split("-"))
        if first <= address < last:
            return "memfd:sciml" in line
    return False


@linux
def test_both_read_the_same_copy() -> None:
    def work() -> bool:
        found = read_samples(wave()).values
        return found is not None and is_shared(found) and np.array_equal(found, wave().values)

    child = second_process(work)
    found = read_samples(wave())
    assert found.values is not None
    assert is_shared(found.values)
    np.testing.assert_array_equal(found.values, wave().values)
    assert found.valid is not None
    assert found.valid.all()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@linux
def test_only_one_of_them_reads() -> None:
    def work() -> bool:
        return bool((shared.shared_bytes(8, lambda _: os._exit(3)) == 7).all())

    child = second_process(work)
    shared.shared_bytes(8, lambda found: found.fill(7))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@linux
def test_an_error_is_raised_in_both() -> None:
    def work() -> bool:
        with pytest.raises(DataError, match="masked or missing throughout"):
            read_samples(wave() * np.nan)
        return True

    child = second_process(work)
    with pytest.raises(DataError, match="masked or missing throughout"):
        read_samples(wave() * np.nan)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@linux
def test_a_killed_process_leaves_nothing_and_does_not_hold_up_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    before = set(SHM.iterdir())
    monkeypatch.setattr(shared, "PATIENCE", 0.2)

    def first() -> bool:
        os.environ["LOCAL_RANK"] = "0"
        shared.shared_bytes(8, lambda _: os.kill(os.getpid(), signal.SIGKILL))
        return True

    child = second_process(first)
    monkeypatch.setenv("LOCAL_RANK", "1")
    with pytest.raises((DataError, ProcessError), match=r"own words|it did not come"):
        shared.shared_bytes(8, refuse)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    assert set(SHM.iterdir()) == before


def refuse(_: np.ndarray) -> None:
    raise DataError("own words")
