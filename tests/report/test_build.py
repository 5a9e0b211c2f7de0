"""Reports on recordings, floors, nets and runs: what they show, and that their numbers are those of their subject."""

import copy
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import xarray as xr

from sciml.errors import ConfigError, DataError
from sciml.nn.init import initialize
from sciml.noise import NoiseFloor, noise_floor
from sciml.report import (
    Chance,
    Denoising,
    Evaluation,
    Forecast,
    Report,
    RunRecord,
    Score,
    SplitSummary,
    report,
)
from sciml.simulate import population_recording
from sciml.spectra import weight_spectra
from sciml.train import EpochRecord, FitResult

MEGABYTE = 1_000_000


@pytest.fixture(scope="module")
def recording() -> xr.DataArray:
    return population_recording(n_neurons=48, duration=300.0, seed=1).recording


@pytest.fixture(scope="module")
def floor(recording: xr.DataArray) -> NoiseFloor:
    return noise_floor(recording)


@pytest.fixture(scope="module")
def made(recording: xr.DataArray, floor: NoiseFloor) -> Report:
    return report(recording, floor=floor)


def titles(made: Report) -> list[str]:
    return [section.title for section in made.sections]


def figure_titles(made: Report) -> str:
    return "; ".join(figure.title for section in made.sections for figure in section.figures)


def tone(n: int = 8192, rate: float = 1024.0) -> xr.DataArray:
    rng, t = np.random.default_rng(0), np.arange(n) / rate
    return xr.DataArray(
        rng.normal(size=n) + np.sin(2 * np.pi * 60 * t), dims="time", coords={"time": t}, name="voltage",
        attrs={"sampling_rate": rate, "units": "V"},
    )  # fmt: skip


def test_json_carries_the_numbers_of_the_floor(made: Report, floor: NoiseFloor) -> None:
    numbers = json.loads(made.to_json())["numbers"]["noise_floor"]
    for name in ("rank", "mp_rank", "edge", "sigma", "model", "n_samples", "correlation_time"):
        assert numbers[name] == getattr(floor, name)
    np.testing.assert_array_equal(numbers["eigenvalues"], floor.eigenvalues)
    np.testing.assert_array_equal(numbers["p_values"], floor.p_values)


def test_the_true_rank_is_in_the_first_sentence(made: Report) -> None:
    truth = population_recording(n_neurons=48, duration=300.0, seed=1).rank
    assert made.findings[0].text.startswith(f"{truth} components above the noise floor, p < 1e-6")
    assert made.findings[0].numbers["rank"] == truth


def test_page_of_a_recording_shows_both_floors_and_says_why(made: Report) -> None:
    page = made.to_html()
    assert len(page.encode()) < MEGABYTE
    assert titles(made) == [
        "The recording",
        "Power spectrum",
        "Noise floor",
        "Components",
        "The frequency-resolved floor",
    ]
    assert "law of white noise (textbook)" in figure_titles(made)
    assert "law of colored noise" in figure_titles(made)
    assert "Why the two edges differ" in made.sections[2].text
    assert "El Karoui" in made.methods
    assert any("El Karoui N (2007)" in reference for reference in made.references)


def test_what_methods_cite_is_listed_and_what_is_listed_is_cited(made: Report) -> None:
    for reference in made.references:
        surname, year = reference.split(" ")[0].rstrip(","), reference.split("(")[1][:4]
        surname = "El Karoui" if surname == "El" else surname
        assert surname in made.methods
        assert year in made.methods


def test_scale_of_the_data_changes_no_word_but_the_units(recording: xr.DataArray) -> None:
    small = (recording * 1e-21).assign_attrs(recording.attrs)
    first, second = report(recording, model="colored"), report(small, model="colored")
    assert first.findings[0].text == second.findings[0].text
    assert len(second.to_html()) < MEGABYTE


def test_one_channel_gets_a_spectrum_and_a_reason_instead_of_a_floor() -> None:
    made = report(tone())
    assert "narrow line" in made.findings[0].text
    assert "60 Hz" in made.findings[0].text
    assert any("needs at least 2" in finding.text for finding in made.findings)
    assert "Spectrogram" in figure_titles(made)
    content = made.to_dict()
    assert content["numbers"]["noise_floor"] is None
    assert content["numbers"]["spectrum"]["lines"][0]["frequency"] == pytest.approx(60, abs=0.5)


def test_mask_flags_and_gaps_are_shown() -> None:
    n, rate = 4000, 100.0
    time = np.arange(n) / rate
    time[2000:] += 5
    rng = np.random.default_rng(0)
    masked = np.arange(n) >= 3600
    quality = (np.arange(n) < 1000).astype(np.int64) * 2
    recording = xr.DataArray(
        rng.normal(size=(n, 6)), dims=("time", "channel"),
        coords={"time": time, "mask": ("time", masked), "quality": ("time", quality, {"flags": ["DATA", "GLITCH"]})},
    )  # fmt: skip
    made = report(recording)
    strips = next(f for f in made.sections[0].figures if f.title == "Data quality in time")
    assert [row[0] for row in strips.table.rows] == ["left out", "DATA", "GLITCH"]
    assert [row[1] for row in strips.table.rows] == pytest.approx([10, 0, 25])
    text = " ".join(finding.text for finding in made.findings)
    assert "10 % of the samples are masked" in text
    assert "The clock has 1 gap; it lasts 5.01 s" in text
    course = made.sections[0].figures[1]  # after all channels at a glance
    assert course.title.startswith("The first 4 of 6")


def test_missing_samples_and_dead_channels_are_survived_and_said() -> None:
    values = np.random.default_rng(0).normal(size=(1000, 12))
    values[:, 3] = 1.0
    values[100:110, 5] = np.nan
    made = report(xr.DataArray(values, dims=("time", "channel"), attrs={"sampling_rate": 10.0}))
    assert any("constant" in finding.text for finding in made.findings if finding.severity == "caution")
    assert made.to_html()


@pytest.mark.parametrize(
    "recording",
    [
        xr.DataArray(np.random.default_rng(0).normal(size=(300, 5, 7)), dims=("time", "y", "x")),
        xr.DataArray(np.random.default_rng(0).normal(size=(12, 3)), dims=("time", "channel")),
        xr.DataArray(np.random.default_rng(0).integers(0, 99, size=(200, 4)), dims=("time", "channel")),
        xr.DataArray(np.exp(1j * np.random.default_rng(0).normal(size=(200, 4))), dims=("time", "channel")),
        xr.DataArray(np.zeros((100, 4)), dims=("time", "channel")),
        xr.DataArray(np.zeros(5000), dims="time", attrs={"sampling_rate": 100.0}),
        xr.DataArray(np.full((100, 4), np.nan), dims=("time", "channel")),
        xr.DataArray(np.random.default_rng(0).normal(size=(60, 200)), dims=("time", "channel")),
        xr.DataArray(np.random.default_rng(0).normal(size=(90, 4)) > 0, dims=("time", "channel")),
    ],
    ids=["movie", "tiny", "integer", "complex", "constant", "constant line", "missing", "wide", "bool"],
)
def test_odd_recordings_get_a_report_too(recording: xr.DataArray) -> None:
    made = report(recording)
    assert made.findings
    assert len(made.to_html()) < MEGABYTE
    json.loads(made.to_json())


def test_very_many_channels_are_sampled_and_that_is_said() -> None:
    movie = xr.DataArray(np.random.default_rng(0).normal(size=(64, 90, 100)), dims=("time", "y", "x"))
    made = report(movie.assign_attrs(sampling_rate=10.0))
    assert "2,250 of the 9,000 channels, evenly spaced, stand for all." in made.sections[1].text
    assert len(made.to_html()) < MEGABYTE


def test_names_from_a_file_are_escaped() -> None:
    evil = "<script>alert(1)</script> $\\frac{1}$"
    recording = tone().expand_dims(channel=3).transpose("time", "channel") + np.arange(3)
    recording = recording.assign_coords(channel=[evil, "b", "c"]).assign_attrs(
        units=evil, signal=evil, source=evil, sampling_rate=1024.0
    )
    page = report(recording).to_html()
    assert "<script" not in page
    assert "&lt;script" in page


def test_what_cannot_be_reported_on_says_what_can() -> None:
    with pytest.raises(ConfigError, match="got ndarray"):
        report(np.zeros(3))
    with pytest.raises(ConfigError, match="'tilte'"):
        report(tone(), tilte="x")
    with pytest.raises(DataError, match="expected numbers"):
        report(xr.DataArray(np.array([["a"]]), dims=("frame", "channel")))
    with pytest.raises(ConfigError, match="RunRecord"):
        report({"title": "x", "colour": 1})


def test_floor_alone(floor: NoiseFloor) -> None:
    made = report(floor, title="Floor")
    assert made.kind == "noise floor"
    assert made.title == "Floor"
    assert made.to_dict()["numbers"]["noise_floor"]["rank"] == floor.rank


@pytest.fixture(scope="module")
def net() -> torch.nn.Module:
    torch.manual_seed(0)
    net: Any = torch.nn.Sequential(torch.nn.Linear(80, 60), torch.nn.ReLU(), torch.nn.Linear(60, 40))
    with torch.no_grad():
        net[2].weight += 0.2 * torch.ones(40, 60)
    return net


def test_a_net_its_weights_and_their_spectra_give_the_same_numbers(net: torch.nn.Module) -> None:
    first, second, third = (report(x).to_dict() for x in (net, net.state_dict(), weight_spectra(net)))
    numbers = [each["numbers"]["weights"]["layers"] for each in (first, second, third)]
    spectra = [[layer["singular_values"] for layer in layers] for layers in numbers]
    assert spectra[0] == spectra[1] == spectra[2]
    assert [layer["rank"] for layer in numbers[0]] == [0, 1]
    assert first["findings"][0]["text"].startswith(
        "1 of 2 weight matrices holds directions that noise does not explain: 2 (1 of 40, p < 1e-6)"
    )


def run_record(recording: xr.DataArray, floor: NoiseFloor, net: torch.nn.Module) -> RunRecord:
    t = np.arange(200) / 20
    layers = weight_spectra(net)
    began = initialize(copy.deepcopy(net), method="he", generator=torch.Generator().manual_seed(0))
    history = tuple(EpochRecord(i, 10 * i, 1e-3, 1 / i, 1 / i, None, 0.5, 1.0) for i in (1, 2, 3))
    return RunRecord(
        title="Stimulus from activity",
        question="Can the stimulus be told?",
        task="classify",
        data={"source": "demo.nwb", "sha256": "ab" * 32},
        recording=recording,
        split=SplitSummary(
            unit="time block", n_units=12, gap=2.0, windows={"train": 60, "validation": 20, "test": 20},
            class_counts={"train": {"a": 30, "b": 30}, "test": {"a": 10, "b": 10}}, checked=True,
            smallest_gap=2.1, dropped={"masked": 1},
        ),
        noise_floor=floor,
        denoising=Denoising(
            time=t, before=np.sin(t), after=np.cos(t), channel="roi 1", units="dF/F", method="shrinkage",
            variance_kept=0.2,
            residual_rank=0, residual_p_value=0.6, error_before=1.0, error_after=float("nan"),
        ),
        initialization=began,
        training=FitResult(net, history, 2, 0.5, 3, False, 1.5, "cpu"),
        evaluation=Evaluation(
            in_percent=True,
            scores=(Score(name="fcn", value=0.9, low=0.7, high=0.97, role="model"), Score(name="ridge", value=0.6)),
            n_test=20, chance=Chance(level=0.5, low=0.3, high=0.7, above=True, p_value=0.001),
            confusion=np.array([[9, 1], [1, 9]]), classes=("a", "b"),
            forecast=Forecast(horizon=t[1:5], mse={"persistence": t[1:5], "fcn": t[1:5] / 2}),
        ),
        spectra=layers, spectra_before=layers, model="fcn", n_parameters=1234, truth={"rank": 3},
        config={"train": {"lr": 1e-3}, "seed": 7}, versions={"torch": "2.x"},
    )  # fmt: skip


def test_report_of_a_run_holds_every_step(recording: xr.DataArray, floor: NoiseFloor, net: torch.nn.Module) -> None:
    made = report(run_record(recording, floor, net))
    assert titles(made) == [
        "Question and data", "The recording", "Power spectrum", "Noise floor", "Components", "Denoising", "Scores",
        "Training", "Weights",
    ]  # fmt: skip
    assert made.findings[0].text.startswith("Held-out accuracy 90 %")
    page = made.to_html()
    assert len(page.encode()) < MEGABYTE
    for words in ("unit of independence", "train.lr", "ab" * 32, "versions.torch", "never by window"):
        assert words.lower() in page.replace("<wbr>", "").lower()  # where a long word may break
    began = next(
        table for section in made.sections for table in section.tables if table.caption == "How the weights began"
    )
    assert [row[0] for row in began.rows] == ["0", "2"]
    assert "Weights were initialized with variance 2/fan-in (He et al. 2015)." in made.sections[7].text
    assert any(reference.startswith("He K") for reference in made.references)
    content = json.loads(made.to_json())
    assert content["numbers"]["noise_floor"]["rank"] == floor.rank
    assert content["numbers"]["scores"]["fcn"]["value"] == 0.9
    assert content["numbers"]["truth"] == {"rank": 3}
    assert content["not_finite"]
    assert content["config"] == {"train": {"lr": 0.001}, "seed": 7}
    assert content["provenance"]["seed"] == 7


def test_a_mapping_with_the_fields_of_a_run_is_a_run() -> None:
    made = report({"title": "T", "question": "Q?", "task": "classify"})
    assert made.kind == "run"
    assert titles(made) == ["Question and data"]


def test_report_of_a_recording_loads_no_torch_and_no_pyplot() -> None:
    code = (
        "import sys, numpy as np, xarray as xr; from sciml.report import report;"
        "report(xr.DataArray(np.random.default_rng(0).normal(size=(100, 4)), dims=('time', 'channel'))).to_html();"
        "print(sorted({'torch', 'matplotlib.pyplot'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_gravitational_wave_strain_shows_its_known_lines(data_dir: Path) -> None:
    from sciml.io import open_recording

    made = report(open_recording(data_dir / "gwosc_H1_GW150914_4k_32s.hdf5"))
    lines = [line["frequency"] for line in made.to_dict()["numbers"]["spectrum"]["lines"]]
    # Calibration lines of 2015, mains and its harmonics, a suspension's violin modes and their harmonic.
    for known in (36.7, 60.0, 120.0, 180.0, 331.9, 501.7, 1083.7):
        assert min(abs(np.array(lines) - known)) < 0.3, known
    spectrogram = next(f for s in made.sections for f in s.figures if f.title.startswith("Spectrogram"))
    time, frequency, _ = spectrogram.table.rows[0]
    # GW150914 itself: 16.4 s into this file, sweeping through 35 to 250 Hz.
    assert time == pytest.approx(16.4, abs=0.15)
    assert 35 < frequency < 250
    power = next(f for s in made.sections for f in s.figures if f.title == "Power spectrum")
    assert "amplitude [strain/√Hz]" in power.svg
    assert len(made.to_html().encode()) < MEGABYTE


def test_worm_recording_gets_both_answers(data_dir: Path) -> None:
    from sciml.io import open_recording

    made = report(open_recording(data_dir / "nwb_scholz2018_141721.nwb", "acquisition/Activity_*"))
    assert made.findings[0].numbers["mp_rank"] == 9
    assert 1 <= made.findings[0].numbers["rank"] <= 4
    assert "a white-noise test would have said 9, because neighboring samples correlate" in made.findings[0].text
    assert len(made.to_html().encode()) < MEGABYTE
