"""Formats of facilities: each reader knows its own files only, and damaged ones end in our error."""

from pathlib import Path

import h5py
import numpy as np
import pytest

from sciml.errors import DataError
from sciml.io import describe, open_recording
from sciml.io.hdf5.tree import open_tree
from sciml.io.readers.cxi import Cxi
from sciml.io.readers.eventlist import EventList
from sciml.io.readers.fast5 import Fast5
from sciml.io.readers.lh5.reader import Lh5
from sciml.io.readers.nexus.events import NexusEvents
from sciml.io.readers.trains import EuXfel, Flash
from sciml.io.readers.uvh5 import Uvh5
from sciml.io.registry import choose
from sciml.io.schema.declarations import Reader

FILES: dict[str, Reader] = {
    "cxi_petra3_p25_ptycho.cxi": Cxi(),
    "flash_hextof_run43878.h5": Flash(),
    "mpes_event_Scan0030_2.h5": EventList(),
    "legend_hpge_LDQTA_r117.lh5": Lh5(),
    "hera_2459114.uvh5": Uvh5(),
    "nanopore_multi_zip.fast5": Fast5(),
    "nexus_sns_REF_L_70977_event.nxs": NexusEvents(),
}
READERS = (*FILES.values(), EuXfel())


def test_each_reader_knows_its_own_files_and_no_others(data_dir: Path) -> None:
    for path in sorted(data_dir.iterdir()):
        if not h5py.is_hdf5(path):
            continue
        with open_tree(path) as tree:
            sure = [type(reader) for reader in READERS if reader.sniff(tree)]
            chosen = type(choose(tree))
        expected = [type(FILES[path.name])] if path.name in FILES else []
        assert sure == expected, path.name
        assert (chosen in sure) == (path.name in FILES), path.name


@pytest.mark.parametrize("name", FILES)
def test_corrupted_and_cut_copies_raise_only_our_error(data_dir: Path, tmp_path: Path, name: str) -> None:
    whole = (data_dir / name).read_bytes()
    for seed in range(12):
        draw = np.random.default_rng(seed)
        damaged = bytearray(whole)
        # Half of the time in the head, where HDF5 keeps its structure.
        for place in draw.integers(0, len(whole) if seed % 2 else 40_000, 20):
            damaged[place] = draw.integers(256)
        path = tmp_path / f"{seed}.h5"
        path.write_bytes(damaged[: draw.integers(len(whole))] if seed % 5 == 4 else damaged)
        try:
            for signal in describe(path).signals[:4]:
                recording = open_recording(path, signal.path)
                recording[(slice(0, 3),) * recording.ndim].load()
        except DataError:
            pass
        path.unlink()


def test_attributes_of_rows_of_any_length_are_not_read(tmp_path: Path) -> None:
    """HDF5 2.0 ends the process on some that are damaged."""
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["trace"] = [1.0, 2.0]
        rows = np.empty(1, dtype=object)
        rows[0] = np.array([1, 2])
        file["trace"].attrs.create("units", rows, dtype=h5py.vlen_dtype(np.int64))
    info = describe(tmp_path / "a.h5")
    assert any("attribute units of trace holds rows of any length" in finding.message for finding in info.findings)
    assert info.signals[0].unit == ""
