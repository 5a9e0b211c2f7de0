"""Findings that take reading: each on a file made for it, and none on good values."""

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from sciml.errors import DataError
from sciml.io import Limits, check_values, describe, open_recording

RNG = np.random.default_rng(0)
NOISE = RNG.normal(size=(2000, 4))


def write(path: Path, values: Any, timestamps: Any = None, **attrs: Any) -> Path:
    with h5py.File(path, "w") as file:
        file["x"] = values
        file["x"].attrs.update({"units": "mV", **attrs})
        if timestamps is not None:
            file["time"] = timestamps
            file["time"].attrs["units"] = "s"
    return path


def codes(path: Path, **options: Any) -> dict[str, str]:
    return {found.code: str(found) for found in check_values(path, **options)}


@pytest.mark.parametrize(
    "values",
    [
        NOISE,
        NOISE[:, 0],
        (NOISE * 1000).astype("i2"),
        RNG.poisson(0.1, (2000, 4)).astype("u2"),  # sparse counts: mostly zeros, often at their largest value
        np.tile(np.arange(2000)[:, None] // 500, 4),  # steps
        RNG.integers(0, 2, (2000, 4)).astype("u1"),
    ],
)
def test_good_values_are_not_talked_about(tmp_path: Path, values: np.ndarray) -> None:
    assert check_values(write(tmp_path / "a.h5", values)) == ()


def test_channels_that_say_nothing_are_named(tmp_path: Path) -> None:
    values = NOISE.copy()
    values[:, 1], values[:, 2] = 0, 7.5
    found = codes(write(tmp_path / "a.h5", values))
    assert found == {"dead": "x: 1 of 4 channels is 0 throughout: 1", "constant": "x: 1 of 4 channels is constant: 2"}


def test_values_held_at_an_extreme_are_clipped(tmp_path: Path) -> None:
    smooth = np.clip(3 * np.sin(np.arange(2000) / 30)[:, None] * np.ones(4), -1, 1)
    smooth[:, 1] /= 1 + 2 * np.arange(2000)  # a channel that is not
    share = (np.abs(smooth[:, [0, 2, 3]]) == 1).mean()
    found = codes(write(tmp_path / "a.h5", smooth))
    assert found == {
        "clipped": f"x: 3 of 4 channels are clipped: {share:.2%} of the values are held at an extreme: 0, 2, 3"
    }


def test_values_at_the_end_of_their_type_are_clipped(tmp_path: Path) -> None:
    values = np.clip(NOISE * 20000, -32768, 32767).astype("i2")
    assert "4 of 4 channels are clipped" in codes(write(tmp_path / "a.h5", values))["clipped"]


def test_the_share_that_is_no_number_is_told(tmp_path: Path) -> None:
    values = NOISE.copy()
    values[:500, 0] = np.nan
    assert codes(write(tmp_path / "a.h5", values)) == {"not_finite": "x: 6.25% of the values are not finite or missing"}


def test_gaps_are_counted_and_drift_is_told_from_them(tmp_path: Path) -> None:
    gapped = np.arange(2000) / 100 + 3.0 * (np.arange(2000) >= 700) + 5.0 * (np.arange(2000) >= 900)
    assert codes(write(tmp_path / "a.h5", NOISE, gapped)) == {"gaps": "x: the clock has 2 gaps, 8.02 s in all"}
    drifting = np.cumsum(np.linspace(0.01, 0.011, 2000))
    found = codes(write(tmp_path / "b.h5", NOISE, drifting))
    assert set(found) == {"clock_drift"}
    assert "step is 0.0100" in found["clock_drift"]


def test_drift_is_told_at_open_where_the_ends_of_the_clock_show_it(tmp_path: Path) -> None:
    drifting = np.cumsum(np.linspace(0.01, 0.02, 5000))
    found = {one.code: str(one) for one in describe(write(tmp_path / "a.h5", np.zeros(5000), drifting)).findings}
    assert "the rate changes from" in found["clock_drift"]
    assert "gaps" not in found


def test_units_that_nobody_stated_are_told_once(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        for name in "abc":
            file[name] = NOISE
    assert codes(tmp_path / "a.h5") == {"blank_unit": "a and 2 more: no unit is stated"}


def test_what_cannot_be_read_is_a_finding_and_the_others_are_checked(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("empty", (2**30, 2**20), dtype="f8", chunks=(64, 64)).attrs["units"] = "V"
        file["zeros"] = np.zeros((50, 2))
        file["zeros"].attrs["units"] = "V"
    assert set(codes(tmp_path / "a.h5")) == {"never_written", "dead"}
    with pytest.raises(DataError, match="no signal"):
        check_values(tmp_path / "a.h5", "nothing")


def test_only_so_much_is_read_of_a_large_signal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A signal of 64 MiB in chunks of 1 MiB: samples of it take an eighth."""
    with h5py.File(tmp_path / "a.h5", "w") as file:
        x = file.create_dataset("x", (2**20, 8), dtype="f8", chunks=(2**14, 8), compression="gzip", shuffle=True)
        x[: 2**14] = 1.0
    read = []
    get = h5py.Dataset.__getitem__

    def spy(dataset: h5py.Dataset, key: Any, **more: Any) -> Any:
        values = get(dataset, key, **more)
        read.append(values.nbytes)
        return values

    monkeypatch.setattr(h5py.Dataset, "__getitem__", spy)
    found = codes(tmp_path / "a.h5", limits=Limits(read_bytes=2**24))
    assert sum(read) <= 2**23 + 2**20
    assert set(found) == {"blank_unit", "unwritten"}


def test_progress_counts_the_signals(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["a"], file["b"] = NOISE, NOISE
    said: list[tuple[int, int]] = []
    check_values(tmp_path / "a.h5", progress=lambda done, total: said.append((done, total)))
    assert said == [(0, 2), (1, 2)]


def test_a_missing_filter_names_its_remedy_and_never_reads_zeros(tmp_path: Path) -> None:
    plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plist.set_chunk((5,))
    plist.set_filter(32020, h5py.h5z.FLAG_OPTIONAL, ())
    space, kind = h5py.h5s.create_simple((5,)), h5py.h5t.NATIVE_DOUBLE
    with h5py.File(tmp_path / "a.h5", "w") as file:
        h5py.h5d.create(file.id, b"x", kind, space, plist).write(space, space, np.arange(5.0))
    assert codes(tmp_path / "a.h5")["unknown_filter"].endswith("install ont-vbz-hdf-plugin and set HDF5_PLUGIN_PATH")
    recording = open_recording(tmp_path / "a.h5")
    with pytest.raises(DataError, match="install ont-vbz-hdf-plugin"):
        recording.load()
    masked = open_recording(tmp_path / "a.h5", allow_missing="mask")
    assert np.isnan(masked.values).all()
    assert masked["mask"].values.all()
