"""How often a recording is read for its report."""

from typing import Any

import numpy as np
import pytest
import xarray as xr
from xarray.backends import BackendArray
from xarray.core import indexing

from sciml.noise import noise_floor, spectral_noise_floor
from sciml.report import recording_report
from sciml.report.measure_recording import measure_recording


class Counting(BackendArray):
    """An array that counts the values that are read from it."""

    def __init__(self, values: np.ndarray[Any, Any]) -> None:
        self.values, self.shape, self.dtype, self.n_read = values, values.shape, values.dtype, 0

    def __getitem__(self, key: indexing.ExplicitIndexer) -> np.ndarray[Any, Any]:
        return indexing.explicit_indexing_adapter(key, self.shape, indexing.IndexingSupport.OUTER, self.read)

    def read(self, key: tuple[Any, ...]) -> np.ndarray[Any, Any]:
        found = self.values[np.ix_(*(np.arange(n)[k] if isinstance(k, slice) else np.atleast_1d(k)
                                     for n, k in zip(self.shape, key, strict=True)))]  # fmt: skip
        found = found.reshape([len(np.arange(n)[k]) for n, k in zip(self.shape, key, strict=True)
                               if isinstance(k, slice) or np.ndim(k)])  # fmt: skip
        self.n_read += found.size
        return found


def lazy(recording: xr.DataArray) -> tuple[xr.DataArray, Counting]:
    counting = Counting(recording.values)
    variable = xr.Variable(recording.dims, indexing.LazilyIndexedArray(counting), recording.attrs)
    return xr.DataArray(variable, coords=recording.coords, name=recording.name), counting


def colored(n: int = 6000, channels: int = 12, **coords: Any) -> xr.DataArray:
    rng = np.random.default_rng(0)
    values = rng.normal(size=(n, channels)) + 2 * np.sin(np.arange(n) / 20)[:, None] * rng.normal(size=channels)
    named = {"channel": [f"c{i}" for i in range(channels)], **coords}
    attrs = {"sampling_rate": 100.0, "units": "V", "sha256": "ab" * 32}
    return xr.DataArray(values, dims=("time", "channel"), coords=named, attrs=attrs)


def gapped() -> xr.DataArray:
    time = np.arange(6000) / 100 + 7.0 * (np.arange(6000) >= 2500)
    recording = colored(time=time)
    del recording.attrs["sampling_rate"]
    return recording


def masked() -> xr.DataArray:
    return colored(mask=("time", np.arange(6000) % 2000 < 50))


def unhashed() -> xr.DataArray:
    recording = colored()
    del recording.attrs["sha256"]
    return recording


RECORDINGS = {
    "plain": colored,
    "few channels": lambda: colored(channels=3),
    "one channel": lambda: colored(channels=1).isel(channel=0),
    "gap": gapped,
    "mask": masked,
    "not hashed": unhashed,
    "movie": lambda: xr.DataArray(
        np.random.default_rng(1).normal(size=(900, 6, 5)), dims=("time", "y", "x"), attrs={"sampling_rate": 30.0}
    ),
}


@pytest.mark.parametrize("name", RECORDINGS)
def test_a_report_reads_a_recording_once_beside_its_noise_floors(name: str) -> None:
    floors = 0
    for estimate in (noise_floor, spectral_noise_floor):
        recording, counting = lazy(RECORDINGS[name]())
        if recording.ndim > 1:
            estimate(recording)
        floors += counting.n_read
    recording, counting = lazy(RECORDINGS[name]())
    recording_report(recording)
    assert counting.n_read <= floors + recording.size


@pytest.mark.parametrize("name", RECORDINGS)
def test_a_report_reads_a_recording_three_times_at_most(name: str) -> None:
    recording, counting = lazy(RECORDINGS[name]())
    made = recording_report(recording)
    assert counting.n_read <= 3 * recording.size
    held = recording_report(RECORDINGS[name]())
    assert made.to_dict()["numbers"] == held.to_dict()["numbers"]
    assert made.to_dict()["provenance"] == held.to_dict()["provenance"]


@pytest.mark.parametrize("name", RECORDINGS)
def test_all_but_the_floors_is_measured_in_one_pass(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = RECORDINGS[name]()
    floor = noise_floor(whole) if whole.ndim > 1 else None
    held = measure_recording(whole, floor)
    recording, counting = lazy(whole)
    # other blocks than the measures want
    monkeypatch.setattr("sciml.report.measure_recording.BLOCK_VALUES", 701 * (whole.size // whole.sizes["time"]))
    measured = measure_recording(recording, floor)
    assert counting.n_read == recording.size
    assert measured.sha256 == held.sha256
    assert measured.lines == held.lines
    if held.density is not None and measured.density is not None:
        np.testing.assert_array_equal(measured.density.values, held.density.values)
    assert (measured.spectrogram is None) == (held.spectrogram is None)
    if held.spectrogram is not None and measured.spectrogram is not None:
        xr.testing.assert_identical(measured.spectrogram, held.spectrogram)


def test_the_pass_gives_what_each_measure_gives_by_itself() -> None:
    from sciml.signal.psd import power_spectrum

    recording = gapped()
    measured = measure_recording(recording, None)
    assert measured.density is not None
    step = float(1 / measured.density["frequency"].values[1])
    xr.testing.assert_identical(measured.density, power_spectrum(recording, segment=step))
    assert len(measured.traces) == 4
    assert np.isnan(measured.traces[0].value).sum() == 1
    assert measured.quality.longest_gap == pytest.approx(7.01)


def test_a_clock_of_gaps_alone_has_no_spectrum_and_a_report() -> None:
    time = np.arange(5000) / 100 + 10.0 * (np.arange(5000) // 5)
    values = np.random.default_rng(0).normal(size=5000)
    made = recording_report(xr.DataArray(values, dims="time", coords={"time": time}))
    assert made.sections[1].text.startswith("No power spectrum: expected a segment")
