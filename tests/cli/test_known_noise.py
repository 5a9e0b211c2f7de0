"""What is known of the noise, from the command line: references, patterns, and what halves of the channels share."""

import json
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from sciml.io import save_recording
from sciml.noise import noise_floor

RATE, N = 100.0, 16


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Return a recording of shared noise and an evoked time course, and one of the noise alone."""
    folder, rng = tmp_path_factory.mktemp("known"), np.random.default_rng(0)
    root = np.linalg.qr(rng.normal(size=(N, N)))[0] * np.geomspace(1, 10, N)
    evoked = 3 * (np.arange(900) > 300)[:, None] * np.sin(np.arange(900) / 9)[:, None] * rng.normal(size=N)
    paths = folder / "recording.nc", folder / "noise.nc"
    for path, signal, n in ((paths[0], evoked, 900), (paths[1], 0.0, 400)):
        values = rng.normal(size=(n, N)) @ root.T + signal
        save_recording(recording(values), path)
    return paths


def recording(values: np.ndarray) -> xr.DataArray:
    coords = {"time": np.arange(len(values)) / RATE, "adc": ("channel", np.arange(N) // 4)}
    attrs = {"sampling_rate": RATE, "units": "V"}
    return xr.DataArray(values, dims=("time", "channel"), coords=coords, attrs=attrs, name="voltage")


@pytest.mark.parametrize("which", ["seconds", "file", "signal"])
def test_a_reference_is_seconds_or_a_file(sciml, files: tuple[Path, Path], which: str) -> None:
    reference = {"seconds": "0:3", "file": str(files[1]), "signal": f"{files[1]}:voltage"}[which]
    found = sciml("spectrum", "noise", files[0], "--reference", reference, "--json")
    assert found.code == 0, found.err
    document = json.loads(found.out)
    assert document["model"] == "reference"
    assert document["rank"] == 1
    assert document["n_samples"] == (600 if which == "seconds" else 900)


def test_patterns_and_shared_time_courses_are_said(sciml, files: tuple[Path, Path]) -> None:
    found = sciml("spectrum", "noise", files[0], "--reference", files[1], "--patterns", "adc", "--shared")
    assert found.code == 0, found.err
    assert "what channels of one adc have in common (4 directions) were taken out first" in found.err
    assert "common to two random halves of the 16 channels" in found.out
    document = json.loads(sciml("spectrum", "noise", files[0], "--shared", "--json").out)
    assert document["shared"]["n_shared"] >= 1


def test_denoising_takes_the_same_floor(sciml, files: tuple[Path, Path], tmp_path: Path) -> None:
    found = sciml("denoise", files[0], "-o", tmp_path / "clean.nc", "--reference", files[1], "--json")
    assert found.code == 0, found.err
    assert json.loads(found.out)["rank"] == 1
    clean = xr.open_dataset(tmp_path / "clean.nc", engine="h5netcdf")["voltage"]
    raw, noise = (xr.open_dataset(each, engine="h5netcdf")["voltage"] for each in files)
    floor = noise_floor(raw, reference=noise)
    assert clean.attrs["noise_rank"] == floor.rank
    # One component is left of 16 channels of noise: next to nothing.
    assert float(clean.isel(time=slice(300)).var()) < 0.1 * float(raw.isel(time=slice(300)).var())


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (("spectrum", "noise", "FILE", "--by-frequency", "--shared"), 2, "not for --by-frequency"),
        (("denoise", "FILE", "-o", "a.nc", "--patterns", "common", "--sigma", "1"), 2, "one noise floor"),
        (("spectrum", "noise", "FILE", "--patterns", "module"), 4, "common, channel, adc"),
        (("spectrum", "noise", "FILE", "--reference", "8:20"), None, ""),
        (("spectrum", "noise", "FILE", "--reference", "20:30"), 4, "within the recording"),
        (("spectrum", "noise", "FILE", "--reference", "absent.h5"), 3, "absent.h5"),
        (("spectrum", "noise", "FILE", "--reference", "0:3", "--model", "white"), 4, "'reference' or 'auto'"),
        (("spectrum", "noise", "FILE", "--model", "reference"), 3, "give reference="),
    ],
)
def test_what_cannot_be_is_said(
    sciml, files: tuple[Path, Path], words: tuple[str, ...], code: int | None, message: str
) -> None:
    found = sciml(*(files[0] if word == "FILE" else word for word in words))
    assert code is None or found.code == code, found.err
    assert message in found.err
