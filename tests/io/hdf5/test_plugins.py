"""What detectors write with, blosc and bitshuffle above all, opens after a plain installation."""

import subprocess
import sys
from pathlib import Path

import h5py
import hdf5plugin
import numpy as np
import pytest

from sciml.io import list_signals, open_recording
from sciml.io.hdf5 import read_errors

FILTERS = {
    "bitshuffle": hdf5plugin.Bitshuffle(),
    "bitshuffle of an Eiger": hdf5plugin.Bitshuffle(cname="lz4"),
    "blosc": hdf5plugin.Blosc(),
    "blosc2": hdf5plugin.Blosc2(),
    "lz4": hdf5plugin.LZ4(),
    "zstd": hdf5plugin.Zstd(),
    "bzip2": hdf5plugin.BZip2(),
}
FRESH = """
    import sys
    import sciml.io
    assert "hdf5plugin" not in sys.modules
    recording = sciml.io.open_recording(sys.argv[1], dims=("time", "y", "x"), rate=10.0)
    print(int(recording.sum()))
"""


@pytest.mark.parametrize("name", FILTERS)
def test_frames_open_in_a_process_that_knows_no_plugins(tmp_path: Path, name: str) -> None:
    values = np.random.default_rng(0).poisson(5, size=(40, 32, 32)).astype(np.uint16)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("frames", data=values, chunks=(1, 32, 32), **FILTERS[name])
    code = "\n".join(line[4:] for line in FRESH.splitlines())
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "a.h5")], capture_output=True, text=True, check=True, timeout=120
    )
    assert int(done.stdout) == values.sum()
    (signal,) = list_signals(tmp_path / "a.h5")
    assert signal.shape == values.shape
    recording = open_recording(tmp_path / "a.h5", dims=("time", "y", "x"), rate=10.0)
    np.testing.assert_array_equal(recording[3:9, 5], values[3:9, 5])


def test_a_damaged_installation_is_told_how_to_mend_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("frames", data=np.zeros((4, 8, 8)), chunks=(1, 8, 8), **hdf5plugin.Bitshuffle())
    monkeypatch.setattr(h5py.h5z, "filter_avail", lambda _: False)
    with h5py.File(tmp_path / "a.h5") as file:
        found = read_errors._missing_filter(file["frames"].id.get_create_plist())
    assert str(found).endswith("run `pip install --force-reinstall hdf5plugin`, which comes with sciml")
