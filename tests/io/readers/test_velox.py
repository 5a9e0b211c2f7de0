"""Velox EMD: real micrographs of a camera and of four scanning detectors, and files written to the layout."""

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from sciml.io import describe, list_signals, open_recording
from sciml.io.hdf5.tree import open_tree
from sciml.io.readers.velox.reader import Velox

CAMERA, SCANNED = "emd_velox_ceta.emd", "emd_velox_stem4.emd"
STATED = {
    "Instrument": {"Manufacturer": "Maker", "InstrumentModel": "Model"},
    "BinaryResult": {
        "Detector": "HAADF",
        "DetectorIndex": "1",
        "PixelSize": {"width": "2e-9", "height": "3e-9"},
        "PixelUnitX": "m",
        "PixelUnitY": "m",
        "Offset": {"x": "-1e-9", "y": "0"},
    },
    "Detectors": {"Detector-1": {"Dispersion": "5", "OffsetEnergy": "-1000"}},
}


def velox(path: Path, data: Any, *, metadata: bytes | None = None, kind: str = "Image") -> Path:
    with h5py.File(path, "w") as file:
        group = file.create_group(f"Data/{kind}/0123")
        group["Data"] = data
        frames = np.shape(data)[-1] if np.ndim(data) > 1 else 1
        text = json.dumps(STATED).encode() if metadata is None else metadata
        column = np.frombuffer(text.ljust(2000, b"\0"), dtype=np.uint8)
        group["Metadata"] = np.repeat(column[:, None], frames, axis=1)
    return path


def test_only_files_of_velox_are_recognized(data_dir: Path) -> None:
    found = set()
    for path in sorted(data_dir.iterdir()):
        if h5py.is_hdf5(path):
            with open_tree(path) as tree:
                if Velox().sniff(tree):
                    found.add(path.name)
    assert found == {CAMERA, SCANNED}


def test_camera_image_equals_h5py_with_frames_first_and_positions_of_its_pixels(data_dir: Path) -> None:
    image = open_recording(data_dir / CAMERA, raw=True)
    with h5py.File(data_dir / CAMERA) as file:
        stored = next(iter(file["Data/Image"].values()))["Data"][()]
    assert image.dims == ("frame", "y", "x")
    np.testing.assert_array_equal(image.values, stored.transpose(2, 0, 1))
    np.testing.assert_array_equal(image[0, 10:20, 3].values, stored[10:20, 3, 0])
    # 512 pixels of 3.138837... nm; the offset puts the origin at pixel 256.
    assert image["x"].attrs["units"] == "m"
    np.testing.assert_allclose(np.diff(image["x"].values), 3.1388370544495519e-09)
    np.testing.assert_allclose(image["y"].values[256], 0.0, atol=1e-20)
    assert image.attrs["detector"] == "BM-Ceta"
    assert image.attrs["acceleration_voltage"] == 300_000.0
    assert image.attrs["start"] == "2020-07-29T16:48:19+00:00"


def test_four_detectors_of_one_scan_stack_along_channel(data_dir: Path) -> None:
    path = data_dir / SCANNED
    assert [signal.kind for signal in list_signals(path)] == ["image HAADF", "image DF2", "image BF", "image DF4"]
    stack = open_recording(path, "Data/Image/*/Data")
    assert stack.dims == ("frame", "channel", "y", "x")
    with h5py.File(path) as file:
        for name in stack["channel"].values:
            np.testing.assert_array_equal(stack.sel(channel=name)[0].values, file[str(name)][..., 0])
    assert describe(path).attrs["instrument"] == "FEI Company Titan"


def test_series_of_frames_come_first_and_lazily(tmp_path: Path) -> None:
    data = np.arange(4 * 5 * 3, dtype=np.int16).reshape(4, 5, 3)
    image = open_recording(velox(tmp_path / "a.emd", data), raw=True)
    np.testing.assert_array_equal(image.isel(frame=1).values, data[..., 1])
    np.testing.assert_allclose(image["x"].values, -1e-9 + 2e-9 * np.arange(5))
    np.testing.assert_allclose(image["y"].values, 3e-9 * np.arange(4))


def test_spectra_have_an_energy_axis_in_electronvolts(tmp_path: Path) -> None:
    data = np.arange(6, dtype=np.uint32).reshape(6, 1)
    spectrum = open_recording(velox(tmp_path / "a.emd", data, kind="Spectrum"))
    assert spectrum.dims == ("frame", "energy")
    np.testing.assert_allclose(spectrum["energy"].values, -1000 + 5 * np.arange(6))
    assert spectrum["energy"].attrs["units"] == "eV"
    np.testing.assert_array_equal(spectrum[0].values, data[:, 0])


def test_of_very_many_images_the_first_are_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = velox(tmp_path / "a.emd", np.ones((4, 5, 1)))
    with h5py.File(path, "a") as file:
        for number in range(3):
            file.copy("Data/Image/0123", f"Data/Image/{number}")
    monkeypatch.setattr("sciml.io.readers.velox.reader.MOST", 2)
    found = describe(path)
    assert len(found.signals) == 2
    assert "holds 4 images and spectra; only the first 2 are listed" in found.findings[0].message


@pytest.mark.parametrize(
    "metadata",
    [b"", b"{", b"[1]", b'{"BinaryResult": 3}', b'{"BinaryResult": {"PixelSize": {"width": "wide"}}}', b"[" * 1900],
)
def test_metadata_that_is_damaged_costs_the_positions_only(tmp_path: Path, metadata: bytes) -> None:
    data = np.ones((4, 5, 1), dtype=np.int16)
    path = velox(tmp_path / "a.emd", data, metadata=metadata)
    image = open_recording(path)
    np.testing.assert_array_equal(image.values, np.ones((1, 4, 5)))
    assert "x" not in image.coords
    assert "no size of the pixels" in image.attrs["history"]


@pytest.mark.parametrize("data", [np.ones((4, 5)), np.zeros((2, 2, 1), dtype="f4,f4"), np.empty((0, 2, 1))])
def test_images_of_another_shape_or_type_are_a_finding(tmp_path: Path, data: Any) -> None:
    found = describe(velox(tmp_path / "a.emd", data))
    assert "it is not listed" in found.findings[0].message
    assert found.reason is not None


def test_streams_of_counts_are_spectrum_images(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    expected = rng.poisson(0.4, (2, 3, 4, 8))  # frame, y, x, channel
    stream = []
    for pixel in expected.reshape(-1, 8):
        stream += [*np.repeat(np.arange(8), pixel).tolist(), 65535]
    with h5py.File(tmp_path / "a.emd", "w") as file:
        group = file.create_group("Data/SpectrumStream/f0")
        group["Data"] = np.array(stream, np.uint16)[:, None]
        group["Metadata"] = np.frombuffer(b"{}" + bytes(30), np.uint8)[:, None]
        group["AcquisitionSettings"] = [b'{"bincount": "8", "RasterScanDefinition": {"Width": "4", "Height": "3"}}']
    recording = open_recording(tmp_path / "a.emd")
    total = expected.sum(axis=0)
    assert recording.dims == ("y", "x", "energy")
    np.testing.assert_array_equal(recording.values, total)
    np.testing.assert_array_equal(recording.isel(y=1, energy=[6, 2]).values, total[1][:, [6, 2]])
    np.testing.assert_array_equal(recording.isel(x=slice(None, None, -1), y=slice(0, 2)).values, total[:2, ::-1])
