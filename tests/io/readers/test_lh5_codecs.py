"""Encoded waveforms of LH5: what an encoder written from the specification made comes back, sample by sample."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from sciml.errors import DataError
from sciml.io import describe, open_recording

WAVES = np.random.default_rng(3).integers(-40, 40, (6, 200)).cumsum(axis=1) + 30000


def packed(values: np.ndarray, bits: int) -> list[int]:
    """Return unsigned integers of some bits as words of 16, the highest bit first."""
    text = "".join(format(int(value), f"0{bits}b") for value in values)
    text += "0" * (-len(text) % 16)
    return [int(text[at : at + 16], 2) for at in range(0, len(text), 16)]


def radware(wave: np.ndarray, shift: int, sections: tuple[int, ...] = (7, 90, 103)) -> np.ndarray:
    """Encode sections by turns as values and as differences."""
    words, at = [len(wave)], 0
    for number, size in enumerate(sections):
        part = wave[at : at + size] + shift
        body = np.diff(part) if number % 2 else part
        low = int(body.min())
        bits = max(2, int(body.max() - low).bit_length())
        head = [size, bits + 32, int(part[0]) % 2**16] if number % 2 else [size, bits]
        words += [*head, low % 2**16, *packed(body - low, bits)]
        at += size
    words += [0] * (len(words) % 2)
    return np.array(words, ">u2").view(np.uint8)


def uleb128(wave: np.ndarray, _shift: int) -> np.ndarray:
    found = []
    for step in np.diff(wave, prepend=0).tolist():
        value = 2 * step if step >= 0 else -2 * step - 1
        while value >= 0x80:
            found.append(value % 0x80 | 0x80)
            value //= 0x80
        found.append(value)
    return np.array(found, np.uint8)


ENCODERS: dict[str, Callable[[Any, int], np.ndarray]] = {"radware_sigcompress": radware, "uleb128_zigzag_diff": uleb128}


def written(path: Path, codec: str, shift: int = -32768) -> Path:
    rows = [ENCODERS.get(codec, uleb128)(wave, shift) for wave in WAVES]
    with h5py.File(path, "w") as file:
        table = file.create_group("raw")
        table.attrs["datatype"] = "table{waveform,channel}"
        table["channel"] = np.arange(6)
        table["channel"].attrs["datatype"] = "array<1>{real}"
        group = table.create_group("waveform")
        group.attrs["datatype"] = "table{values,t0,dt}"
        for name, value in (("t0", 0.0), ("dt", 16.0)):
            group[name] = np.full(6, value)
            group[name].attrs.update(datatype="array<1>{real}", units="ns")
        values = group.create_group("values")
        values.attrs.update(datatype="array_of_encoded_equalsized_arrays<1,1>{real}", codec=codec, codec_shift=shift)
        values["decoded_size"] = WAVES.shape[1]
        inside = values.create_group("encoded_data")
        inside.attrs["datatype"] = "array<1>{array<1>{real}}"
        inside["flattened_data"] = np.concatenate(rows)
        inside["cumulative_length"] = np.cumsum([len(row) for row in rows])
    return path


@pytest.mark.parametrize("codec", ENCODERS)
def test_encoded_waveforms_come_back(tmp_path: Path, codec: str) -> None:
    recording = open_recording(written(tmp_path / "a.lh5", codec), "raw/waveform")
    assert recording.dims == ("time", "event")
    np.testing.assert_array_equal(recording.values, WAVES.T)
    np.testing.assert_array_equal(recording.isel(event=[4, 1], time=slice(5, 50)).values, WAVES[[4, 1], 5:50].T)
    assert recording.attrs["sampling_rate"] == pytest.approx(62.5e6)
    assert recording["channel"].values.tolist() == list(range(6))


def test_an_unknown_code_is_named_with_a_remedy(tmp_path: Path) -> None:
    found = describe(written(tmp_path / "a.lh5", "secret"))
    assert any("stored as secret" in text.message and "pip install" in text.message for text in found.findings)


def test_damaged_waveforms_are_an_error(tmp_path: Path) -> None:
    path = written(tmp_path / "a.lh5", "radware_sigcompress")
    with h5py.File(path, "r+") as file:
        stored = file["raw/waveform/values/encoded_data/flattened_data"]
        stored[2:4] = 255
    with pytest.raises(DataError, match="waveform 0 is damaged"):
        _ = open_recording(path, "raw/waveform").isel(event=0).values
