"""xarray opens by itself what sciml recognizes, and nothing else."""

from pathlib import Path

import h5py
import numpy as np
import pytest
import xarray as xr

from sciml.errors import DataError
from sciml.io import list_signals, open_recording, save_recording
from sciml.io.xarray_engine import ScimlBackend

NWB = "nwb_suite2p_pixelmask.nwb"


def test_a_dataset_is_the_recording(data_dir: Path) -> None:
    for found in list_signals(data_dir / NWB)[:4]:
        expected = open_recording(data_dir / NWB, found.path)
        opened = xr.open_dataset(data_dir / NWB, engine="sciml", group=found.path)
        (name,) = opened.data_vars
        np.testing.assert_array_equal(opened[name].values, expected.values)
        assert opened[name].attrs == expected.attrs
        assert set(opened.coords) == set(expected.coords)


def test_a_tree_holds_every_signal_and_its_clock(data_dir: Path) -> None:
    tree = xr.open_datatree(data_dir / NWB, engine="sciml")
    signals = list_signals(data_dir / NWB)
    leaves = {node.path.strip("/"): node for node in tree.leaves}
    assert set(leaves) == {found.path for found in signals}
    for found in signals:
        (variable,) = leaves[found.path].data_vars.values()
        assert variable.shape == found.shape
        assert ("time" in variable.coords) == (found.rate is not None)


def test_signals_inside_of_others_keep_their_own_clocks(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.nwb", "w") as file:
        file.attrs.update(neurodata_type="NWBFile", nwb_version="2.7.0")
        for path, size in (("acquisition/x", 5), ("acquisition/x/y", 7)):
            series = file.create_group(path)
            series.attrs["neurodata_type"] = "TimeSeries"
            series["data"] = np.arange(float(size))
            series["starting_time"] = 0.0
            series["starting_time"].attrs["rate"] = 10.0
    tree = xr.open_datatree(tmp_path / "a.nwb", engine="sciml")
    sizes = {node.path: node.sizes["time"] for node in tree.leaves}
    assert sizes == {"/acquisition/x/values": 5, "/acquisition/x/y": 7}


def test_names_of_two_dots_do_not_lead_upward(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["x"], file["a/../x"] = [1.0, 2.0], [3.0, 4.0]
    tree = xr.open_datatree(tmp_path / "a.h5", engine="sciml")
    assert tree["x"].dataset["x"].values.tolist() == [1.0, 2.0]
    assert tree["a/__/x"].dataset["x"].values.tolist() == [3.0, 4.0]


def test_only_what_a_reader_of_a_format_knows_is_claimed(data_dir: Path, tmp_path: Path) -> None:
    with h5py.File(tmp_path / "any.h5", "w") as file:
        file["x"] = [1.0, 2.0]
    (tmp_path / "text.h5").write_text("none")
    xr.Dataset({"x": ("t", [1.0, 2.0])}).to_netcdf(tmp_path / "plain.nc", engine="h5netcdf")
    claims = ScimlBackend().guess_can_open
    assert claims(data_dir / NWB)
    assert claims(str(data_dir / "gwosc_H1_GW150914_4k_32s.hdf5"))
    assert not any(claims(tmp_path / name) for name in ("any.h5", "text.h5", "plain.nc", "absent.h5"))
    assert not claims(b"bytes")


def test_several_files_open_as_one_in_blocks(tmp_path: Path) -> None:
    paths = []
    for number in range(3):
        time = number + np.arange(10) / 10
        part = xr.DataArray(np.full((10, 2), float(number)), dims=("time", "channel"), coords={"time": time}, name="x")
        paths.append(save_recording(part, tmp_path / f"{number}.nc"))
    whole = xr.open_mfdataset(paths, engine="sciml", combine="by_coords")
    assert whole["x"].chunks is not None
    assert whole["x"].mean("channel").values.tolist() == [0.0] * 10 + [1.0] * 10 + [2.0] * 10


def test_an_unknown_group_lists_what_there_is(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["x"] = [1.0, 2.0]
    with pytest.raises(DataError, match="it holds x"):
        xr.open_dataset(tmp_path / "a.h5", engine="sciml", group="y")
    with pytest.raises(DataError, match="no signal below 'y'"):
        xr.open_datatree(tmp_path / "a.h5", engine="sciml", group="y")
