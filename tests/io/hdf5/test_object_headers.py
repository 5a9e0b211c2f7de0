"""What texts of any length say of themselves is seen before HDF5 allocates it."""

import resource
import struct
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

from sciml.io import describe
from sciml.io.hdf5.object_headers import declared_texts


@pytest.mark.parametrize("userblock", [0, 512])
@pytest.mark.parametrize("libver", ["earliest", "latest"])
@pytest.mark.parametrize("count", [1, 7, 40])
def test_stated_sizes_are_those_of_the_texts(tmp_path: Path, libver: str, userblock: int, count: int) -> None:
    with h5py.File(tmp_path / "a.h5", "w", libver=libver, userblock_size=userblock) as file:
        x = file.create_dataset("x", data=[1.0])
        x.attrs["number"] = 3.0
        for k in range(count):
            x.attrs[f"text {k}"] = "\u00b5" * (k + 1)
        x.attrs["list"] = np.array(["a", "bcd", ""], h5py.string_dtype())
    with h5py.File(tmp_path / "a.h5") as file:
        found = declared_texts(file["x"].id)
    dense = libver == "latest" and count + 2 > 8  # then they lie in a heap of their own
    assert found.get(b"list") == (None if dense else 4)
    for k in range(0 if dense else count):
        assert found[f"text {k}".encode()] == 2 * (k + 1)


def _limited() -> None:
    resource.setrlimit(resource.RLIMIT_DATA, (2**30, 2**30))


@pytest.mark.parametrize("damaged", [False, True])
def test_a_giant_text_in_an_attribute_is_named_and_not_loaded(tmp_path: Path, damaged: bool) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:  # the latest format has checksums
        file["x"] = np.arange(10.0)
        file["x"].attrs["units"] = "V" if damaged else "V" * 2**22
    if damaged:
        content = bytearray(path.read_bytes())
        place = content.find(struct.pack("<IQ", 1, content.find(b"GCOL")))
        content[place : place + 4] = b"\xff" * 4
        path.write_bytes(content)
    code = "import sys; from sciml.io import describe; print(*describe(sys.argv[1]).findings)"
    words = [sys.executable, "-c", code, str(path)]
    done = subprocess.run(words, preexec_fn=_limited, capture_output=True, text=True, check=True)
    size = 2**32 - 1 if damaged else 2**22
    assert f"attribute units of x is of {size} bytes and was not read" in done.stdout


def test_a_header_that_leads_nowhere_is_left_to_hdf5(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file["x"] = [1.0, 2.0]
        for k in range(20):
            file["x"].attrs[f"a{k}"] = "text"
    content = bytearray(path.read_bytes())
    rng = np.random.default_rng(0)
    for _ in range(200):
        damaged = content.copy()
        for place in rng.integers(600, len(content), 20):
            damaged[place] = rng.integers(256)
        path.write_bytes(damaged)
        try:
            with h5py.File(path) as file:
                declared_texts(file["x"].id)
        except (OSError, KeyError, RuntimeError, ValueError):
            continue  # HDF5 refuses it
    path.write_bytes(content)
    assert describe(path).signals[0].shape == (2,)
