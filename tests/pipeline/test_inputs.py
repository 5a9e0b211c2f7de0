"""What runs are given: files that agree by name, sessions, trials, spikes in bins, missing samples; predictions."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import xarray as xr

from sciml.errors import ConfigError, DataError, ScimlWarning
from sciml.io import save_recording
from sciml.pipeline import Config, assign, dry_run, predict, run
from sciml.pipeline.load import load
from sciml.pipeline.windows import cut_windows, load_for, resolve


def wave(names: tuple[str, ...] = ("A", "B", "C"), n: int = 600, seed: int = 0) -> xr.DataArray:
    rng = np.random.default_rng(seed)
    values = 1e-3 * rng.normal(size=(n, len(names))).cumsum(axis=0)
    attrs = {"sampling_rate": 10.0, "units": "V"}
    return xr.DataArray(values, dims=("time", "channel"), coords={"channel": [*names]}, attrs=attrs, name="wave")


def forecast(files: list[Path], *assignments: str) -> Config:
    values: dict[str, Any] = {
        "task": "forecast",
        "data": {"files": [str(file) for file in files]},
        "windows": {"length": 2.0, "horizon": 0.5},
        "model": {"options": {"width": 4}},
        "train": {"epochs": 1, "device": "cpu"},
    }
    return assign(values, assignments)


@pytest.fixture
def saved(tmp_path: Path) -> Callable[..., Path]:
    def save(recording: xr.DataArray, name: str) -> Path:
        return Path(save_recording(recording, tmp_path / name))

    return save


def nwb(path: Path, *, identifier: str, session: str = "", subject: str = "", trials: bool = True, seed: int = 0,
        lengths: tuple[float, ...] = (1.0,) * 8, n: int = 900, rate: float = 20.0) -> Path:  # fmt: skip
    """Write a series with trials of two kinds and what NWB says of a session."""
    rng = np.random.default_rng(seed)
    with h5py.File(path, "w") as file:
        file.attrs.update(neurodata_type="NWBFile", nwb_version="2.7.0")
        file["identifier"] = identifier
        if session:
            file["general/session_id"] = session
        if subject:
            file["general/subject/subject_id"] = subject
        series = file.create_group("acquisition/wave")
        series.attrs["neurodata_type"] = "TimeSeries"
        series["data"] = rng.normal(size=(n, 3))
        series["data"].attrs.update(unit="volts", conversion=1.0)
        series["starting_time"] = 0.0
        series["starting_time"].attrs["rate"] = rate
        if trials:
            table = file.create_group("intervals/trials")
            table.attrs["colnames"] = ["start_time", "stop_time", "kind"]
            table["start_time"] = 1.0 + 5.0 * np.arange(len(lengths))
            table["stop_time"] = table["start_time"][:] + lengths
            table["kind"] = ["a", "b"] * (len(lengths) // 2)
    return path


@pytest.mark.filterwarnings("ignore:split by time block")  # two files cannot fill three parts
def test_files_of_another_order_are_reordered_and_said(saved, tmp_path: Path) -> None:
    one, two = saved(wave(), "one.nc"), saved(wave(("C", "A", "B"), seed=1), "two.nc")
    config = forecast([one, two])
    loaded = load(config)
    expected = wave(("C", "A", "B"), seed=1).sel(channel=["A", "B", "C"]).values
    np.testing.assert_allclose(loaded.recording.values[600:], expected, rtol=1e-6)
    said = f"{two}: 3 channels were brought by their names into the order of {one}"
    assert dry_run(config).notes == (said,)
    lines: list[str] = []
    result = run(config, out=tmp_path / "run", progress=lines.append)
    assert said in lines
    assert said in result.metrics["warnings"]
    assert "brought by their names into the order" in (tmp_path / "run" / "report.html").read_text()


def test_files_of_another_set_are_refused_unless_common(saved) -> None:
    files = [saved(wave(), "one.nc"), saved(wave(("C", "A", "D")), "two.nc")]
    with pytest.raises(DataError, match=r"has no B and has besides D; set data.channels = 'common'"):
        load(forecast(files))
    assert load(forecast(files, "data.channels=common")).recording.channel.values.tolist() == ["A", "C"]


def test_duplicate_names_are_refused_in_one_file_too(saved) -> None:
    with pytest.raises(DataError, match="'A' twice"):
        load(forecast([saved(wave(("A", "B", "A")), "one.nc")]))


def test_windows_know_their_file_session_and_subject(tmp_path: Path) -> None:
    files = [
        nwb(tmp_path / "a.nwb", identifier="1", session="day 1", subject="m1", trials=False),
        nwb(tmp_path / "b.nwb", identifier="2", session="day 1", subject="m1", trials=False, seed=1),
        nwb(tmp_path / "c.nwb", identifier="3", session="day 1", subject="m2", trials=False, seed=2),
    ]
    config = resolve(forecast(files), loaded := load_for(forecast(files)))
    units = cut_windows(config, loaded).units
    found = {name: list(dict.fromkeys(values.tolist())) for name, values in units.items()}
    assert found == {
        "file": ["a.nwb", "b.nwb", "c.nwb"],
        "session": ["m1/day 1", "m2/day 1"],
        "subject": ["m1", "m2"],
    }


def test_files_of_one_identifier_are_one_session_and_others_are_called_by_their_file(tmp_path: Path) -> None:
    files = [
        nwb(tmp_path / "a.nwb", identifier="part of day 1", trials=False),
        nwb(tmp_path / "b.nwb", identifier="part of day 1", trials=False, seed=1),
        nwb(tmp_path / "c.nwb", identifier="25f5d94e-493c", trials=False, seed=2),
    ]
    spans = load(forecast(files)).spans
    assert spans is not None
    assert spans.names["session"].tolist() == ["part of day 1", "part of day 1", "c.nwb"]
    assert "identifier" not in spans.names


def test_a_file_that_says_nothing_is_a_session_of_its_own(saved) -> None:
    files = [saved(wave(), "one.nc"), saved(wave(seed=1), "two.nc")]
    spans = load(forecast(files)).spans
    assert spans is not None
    assert "subject" not in spans.names
    assert len(set(spans.names["session"])) == 2


def sweeps(path: Path, sizes: tuple[int, ...]) -> Path:
    with h5py.File(path, "w") as file:
        file.attrs.update(neurodata_type="NWBFile", nwb_version="2.7.0")
        for k, size in enumerate(sizes):
            series = file.create_group(f"acquisition/Sweep_{k:02d}")
            series.attrs["neurodata_type"] = "CurrentClampSeries"
            series["data"] = np.random.default_rng(k).normal(size=size).cumsum()
            series["data"].attrs.update(unit="volts", conversion=1e-3)
            series["starting_time"] = 0.0
            series["starting_time"].attrs["rate"] = 100.0
    return path


@pytest.mark.parametrize("sizes", [(300,) * 6, (300, 250, 420, 310, 275, 330)], ids=["equal", "unequal"])
def test_sweeps_are_trials_end_to_end(tmp_path: Path, sizes: tuple[int, ...]) -> None:
    file = sweeps(tmp_path / "sweeps.nwb", sizes)
    config = forecast([file], "data.signal=acquisition/Sweep_*", "windows.length=0.5", "windows.horizon=0.1")
    loaded = load_for(config)
    assert loaded.recording.sizes["time"] == sum(sizes)
    windows = cut_windows(resolve(config, loaded), loaded)
    edges = np.cumsum([0, *sizes])
    for start, name in zip(windows.starts, windows.units["trial"], strict=True):
        k = int(name[-2:])
        assert edges[k] <= start
        assert start + windows.span <= edges[k + 1]
    assert len(set(windows.units["trial"])) == 6
    result = run(config, out=tmp_path / "run")
    assert np.isfinite(result.metrics["net"]["error"])
    with pytest.warns(ScimlWarning, match="trained"):
        found = predict(tmp_path / "run", file).dataset
    # the windows of a prediction need no horizon, and may lie between those of training
    assert 0 < found["in_training"].sum() < found.sizes["window"]


def spikes(path: Path, counts: tuple[int, ...]) -> Path:
    rng = np.random.default_rng(0)
    with h5py.File(path, "w") as file:
        file.attrs.update(neurodata_type="NWBFile", nwb_version="2.7.0")
        units = file.create_group("units")
        units.attrs.update(neurodata_type="Units", colnames=["spike_times"])
        times = [np.sort(rng.uniform(0, 60, n)) for n in counts]
        units["spike_times"] = np.concatenate([*times, np.zeros(0)])
        units["spike_times_index"] = np.cumsum(counts, dtype=np.int64)
        units["id"] = 10 + np.arange(len(counts))
    return path


def test_spike_times_are_counted_in_bins_and_silent_units_kept(tmp_path: Path) -> None:
    file = spikes(tmp_path / "units.nwb", (500, 0, 300))
    for signal in (None, "units/spike_times", "units/binned"):
        config = forecast([file], "data.bin=0.25", *([f"data.signal={signal}"] if signal else []))
        loaded = load(config)
        assert loaded.recording.unit.values.tolist() == [10, 11, 12]
        assert loaded.recording.sum("time").values.tolist() == [500, 0, 300]
        assert loaded.recording.attrs["sampling_rate"] == 4.0
        assert loaded.recording.time.values[0] % 0.25 == 0.125  # the middle of a bin
        assert loaded.notes == (f"{file}: no event of unit 11: 1 channels are constant, and kept",)
    rooted = load(forecast([file], "data.bin=0.25", "data.counts=sqrt")).recording
    np.testing.assert_allclose(rooted.values**2, loaded.recording.values, rtol=1e-5)
    with pytest.warns(ScimlWarning, match=r"1 of 3 channels \(11\) are constant"):
        run(forecast([file], "data.bin=0.25"), out=tmp_path / "run")
    with pytest.warns(ScimlWarning, match="trained"):
        predict(tmp_path / "run", file)


def test_what_has_no_spikes_says_so(tmp_path: Path, saved) -> None:
    with pytest.raises(DataError, match="none of the 2 units has a spike"):
        load(forecast([spikes(tmp_path / "silent.nwb", (0, 0))], "data.bin=0.25"))
    with pytest.raises(DataError, match="has no unit"):
        load(forecast([spikes(tmp_path / "none.nwb", ())], "data.bin=0.25"))
    with pytest.raises(ConfigError, match=r"leave data.bin out"):
        load(forecast([saved(wave(), "wave.nc")], "data.bin=0.25", "data.signal=wave"))
    with pytest.raises(DataError, match=r"set data.bin to the width of a bin"):
        load(forecast([spikes(tmp_path / "units.nwb", (50, 20))], "data.signal=units/spike_times"))


def test_a_table_of_events_is_counted_one_channel_a_label(tmp_path: Path) -> None:
    file = nwb(tmp_path / "a.nwb", identifier="1")
    with h5py.File(file, "a") as opened:
        table = opened.create_group("intervals/licks")
        table.attrs["colnames"] = ["start_time", "stop_time", "label"]
        table["start_time"] = [1.0, 1.5, 4.0]
        table["stop_time"] = [1.1, 1.6, 4.1]
        table["label"] = ["left", "right", "left"]
    counted = load(forecast([file], "data.bin=1.0", "data.signal=intervals/licks")).recording
    assert counted.unit.values.tolist() == ["left", "right"]
    assert counted.values.tolist() == [[1, 1], [0, 0], [0, 0], [1, 0]]


def classify(files: list[Path], *assignments: str) -> Config:
    values: dict[str, Any] = {
        "data": {"files": [str(file) for file in files], "labels": "intervals/trials:kind"},
        "model": {"options": {"width": 4}},
        "train": {"epochs": 1, "device": "cpu"},
        "noise": {"denoise": False},
    }
    return assign(values, assignments)


UNEQUAL = tuple(1.0 + 0.1 * k for k in range(40))


def test_trials_of_unequal_length_are_told_and_can_be_padded(tmp_path: Path) -> None:
    file = nwb(tmp_path / "a.nwb", identifier="1", lengths=UNEQUAL, n=4200)
    [note] = dry_run(classify([file])).notes
    assert "40 trials last 1 to 4.9 s, windows 2.95 s: 19 trials are cropped, 19 windows run past" in note
    [note] = dry_run(classify([file], "windows.length=crop")).notes
    assert note == "40 trials last 1 to 4.9 s: 39 are cropped to the shortest"
    config = classify([file], "windows.length=trial")
    plan = dry_run(config)
    assert plan.notes == ("40 trials last 1 to 4.9 s: 39 are padded to the longest, and masked there",)
    assert plan.batch["x"]["shape"][2] == 98
    run(config, out=tmp_path / "run")
    other = nwb(tmp_path / "b.nwb", identifier="2", lengths=UNEQUAL[::-1], n=4200, seed=3)
    found = predict(tmp_path / "run", other).dataset
    assert found.sizes["window"] == 40
    shorter = nwb(tmp_path / "c.nwb", identifier="3", lengths=(1.0, 2.0) * 4, seed=3)
    assert predict(tmp_path / "run", shorter).dataset.sizes["window"] == 8
    with pytest.raises(ConfigError, match="expected seconds for a forecast, got 'trial'"):
        dry_run(forecast([file], "windows.length=trial"))


def test_missing_samples_are_masked_from_configuration_to_prediction(saved, tmp_path: Path) -> None:
    holed = wave(n=1200)
    holed[::50, 0] = np.nan
    holed[300:900, 1] = np.nan
    file = saved(holed, "holed.nc")
    [note] = [text for text in dry_run(forecast([file])).notes if "missing" in text]
    assert "data.missing = 'mask' keeps them" in note
    config = forecast([file], "data.missing=mask")
    plan = dry_run(config)
    assert sum(plan.windows.values()) + sum(plan.dropped.values()) == 236
    assert "masked or missing samples" not in plan.dropped


def test_a_prediction_reads_the_rows_of_its_windows_alone(tmp_path: Path, monkeypatch) -> None:
    run(classify([nwb(tmp_path / "a.nwb", identifier="1", lengths=(1.0,) * 40, n=4200)]), out=tmp_path / "run")
    other = nwb(tmp_path / "b.nwb", identifier="2", n=4200, seed=1)
    read: list[int] = []
    from sciml.data.samples import Samples

    rows = Samples.rows

    def counted(self: Samples, start: int, stop: int) -> Any:
        read.append(stop - start)
        return rows(self, start, stop)

    monkeypatch.setattr(Samples, "rows", counted)
    monkeypatch.setattr("sciml.data.samples.read_samples", None)
    monkeypatch.setattr("sciml.data.samples.GAP_BYTES", 0)  # short gaps between windows are read with them
    found = predict(tmp_path / "run", other).dataset
    assert read == [20] * 8
    assert found["beyond_training"].attrs["rule"].startswith("true where")
    read.clear()
    assert predict(tmp_path / "run", other, step=2.0).dataset.sizes["window"] == 105
    assert sum(read) == 105 * 20


def test_a_window_gives_the_same_bits_whichever_others_are_looked_at(tmp_path: Path) -> None:
    run(classify([nwb(tmp_path / "a.nwb", identifier="1", lengths=(1.0,) * 40, n=4200)]), out=tmp_path / "run")
    other = nwb(tmp_path / "b.nwb", identifier="2", n=7200, seed=1)
    every = predict(tmp_path / "run", other, step=0.5).dataset
    again = predict(tmp_path / "run", other, step=0.5).dataset
    few = predict(tmp_path / "run", other).dataset
    xr.testing.assert_identical(every, again)
    place = {round(float(time), 6): k for k, time in enumerate(every["time"].values)}
    chosen = [place[round(float(time), 6)] for time in few["time"].values]
    np.testing.assert_array_equal(every["logits"].values[chosen], few["logits"].values)


def test_windows_in_gaps_and_missing_samples_are_left_out_of_a_prediction(saved, tmp_path: Path) -> None:
    run(forecast([saved(wave(), "one.nc")]), out=tmp_path / "run")
    holed = wave(seed=2)
    holed[100:120, 1] = np.nan
    with pytest.warns(ScimlWarning, match=r"\d+ of \d+ windows have no whole window"):
        found = predict(tmp_path / "run", saved(holed, "two.nc")).dataset
    times = found["time"].values
    assert not ((times + 2.0 > 10.0) & (times < 12.0)).any()
    with pytest.raises(DataError, match=r"every channel to have samples|without missing samples"):
        predict(tmp_path / "run", saved(wave().where(False), "none.nc"))


def test_windows_unlike_those_of_training_are_flagged(saved, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    noise = [wave(n=3000).copy(data=rng.normal(size=(3000, 3))) for _ in range(2)]
    run(forecast([saved(noise[0], "one.nc")]), out=tmp_path / "run")
    strange = noise[1]
    strange[1000:1500] += 100.0
    found = predict(tmp_path / "run", saved(strange, "two.nc"))
    inside = (found.dataset["time"].values >= 100) & (found.dataset["time"].values < 148)
    assert found.dataset["beyond_training"].values[inside].all()
    assert found.n_beyond_training < 0.4 * len(inside)
    assert "beyond the range of its training" in found.summary()


def test_channels_of_a_prediction_are_those_of_training(saved, tmp_path: Path) -> None:
    run(forecast([saved(wave(), "one.nc")]), out=tmp_path / "run")
    plain = predict(tmp_path / "run", saved(wave(seed=3), "same.nc")).dataset
    turned = saved(wave(seed=3).isel(channel=[2, 0, 1]), "turned.nc")
    nameless = saved(wave(seed=3).drop_vars("channel"), "nameless.nc")
    twice = saved(wave(("A", "A", "B"), seed=3), "twice.nc")
    with pytest.raises(DataError, match="'A' twice"):
        predict(tmp_path / "run", twice)
    with pytest.raises(DataError, match="--reorder"):
        predict(tmp_path / "run", turned)
    with pytest.raises(DataError, match="--assume-channels"):
        predict(tmp_path / "run", nameless)
    for found in (
        predict(tmp_path / "run", turned, reorder=True),
        predict(tmp_path / "run", nameless, assume_channels=True),
        predict(tmp_path / "run", twice, assume_channels=True),
    ):
        np.testing.assert_array_equal(found.dataset["forecast"].values, plain["forecast"].values)


@pytest.mark.filterwarnings("ignore:split by time block")  # two files cannot fill three parts
def test_of_several_files_the_windows_that_were_trained_on_are_told_apart(saved, tmp_path: Path) -> None:
    files = [saved(wave(seed=k), f"{k}.nc") for k in range(2)]
    run(forecast(files), out=tmp_path / "run")
    for file in files:
        with pytest.warns(ScimlWarning, match="trained"):
            found = predict(tmp_path / "run", file)
        assert 0 < found.n_in_training <= found.dataset.sizes["window"]


def test_a_forecast_learns_around_missing_samples(saved, tmp_path: Path) -> None:
    holed = wave(n=1200)
    holed[::50, 0] = np.nan
    holed[300:900, 1] = np.nan
    file = saved(holed, "holed.nc")
    result = run(forecast([file], "data.missing=mask"), out=tmp_path / "run")
    assert np.isfinite(result.metrics["net"]["error"])
    assert all(np.isfinite(found["error"]) for found in result.metrics["baselines"].values())
    assert "their mask was given to the net" in (tmp_path / "run" / "report.html").read_text()
    with pytest.warns(ScimlWarning, match="trained"):
        found = predict(tmp_path / "run", file).dataset
    assert np.isfinite(found["forecast"]).all()


def test_sweeps_are_events_of_their_own(tmp_path: Path) -> None:
    file = sweeps(tmp_path / "sweeps.nwb", tuple(200 + 10 * k for k in range(12)))
    with h5py.File(file, "a") as opened:
        for k in range(12):
            opened[f"acquisition/Sweep_{k:02d}"].attrs["sweep_number"] = k
    values = {
        "task": "regress",
        "data": {"files": [str(file)], "signal": "acquisition/Sweep_*", "labels": "sweeps:sweep_number"},
        "windows": {"length": "trial"},
        "model": {"options": {"width": 4}},
        "train": {"device": "cpu"},
    }
    config = assign(values, ["train.epochs=1"])
    windows = cut_windows(resolve(config, loaded := load_for(config)), loaded)
    assert windows.lengths is not None
    assert windows.lengths.tolist() == [200 + 10 * k for k in range(12)]
    assert windows.targets is not None
    assert windows.targets.ravel().tolist() == list(range(12))
    run(config, out=tmp_path / "run")
    with pytest.warns(ScimlWarning, match="trained"):
        assert predict(tmp_path / "run", file).dataset.sizes["window"] == 12
