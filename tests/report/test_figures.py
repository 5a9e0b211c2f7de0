"""Figures: small, accessible, the same every time, and true to their numbers."""

import re
from dataclasses import replace
from typing import Any
from xml.etree import ElementTree

import matplotlib as mpl
import numpy as np
import pytest
import scipy.signal
import torch
import xarray as xr

from sciml.noise import NoiseFloor, noise_floor, spectral_noise_floor
from sciml.plot.scores import curve_names
from sciml.report import Figure
from sciml.report.figures.canvas import VARIABLES, envelope, power_label
from sciml.report.figures.eigen import eigenvalue_histogram, noise_spectrum, scree
from sciml.report.figures.frequencies import band_loadings, floor_over_frequency
from sciml.report.figures.learning import (
    before_after,
    confusion_figure,
    learning_curves,
    score_figure,
    skill_figure,
)
from sciml.report.figures.nets.activations import activation_figure, dimension_figure
from sciml.report.figures.nets.curvature import curvature_figure
from sciml.report.figures.nets.jacobians import jacobian_figure
from sciml.report.figures.nets.tracks import track_figure
from sciml.report.figures.nets.weights import weight_histograms
from sciml.report.figures.signals import (
    Component,
    component_figure,
    power_figure,
    spectrogram_figure,
    strips_figure,
    traces,
)
from sciml.report.measures import Strip
from sciml.report.net_record import CurvatureRecord
from sciml.report.record import Chance, Evaluation, Forecast, Score
from sciml.report.sections.nets.curvature import curvature_findings
from sciml.signal.lines import find_lines
from sciml.spectra import activation_spectra, hessian, jacobian_spectrum, top_eigenvalues, weight_spectra
from sciml.spectra.tracking import SpectrumTrack
from sciml.spectra.tracking.track import Row

HOSTILE = "<script>&\"' $\\frac{x}$ 細胞 \x00"


@pytest.fixture(scope="module")
def floor() -> NoiseFloor:
    rng = np.random.default_rng(0)
    signal = 2 * rng.normal(size=(2000, 2)) @ rng.normal(size=(2, 30))
    recording = xr.DataArray(
        signal + rng.normal(size=(2000, 30)), dims=("time", "channel"), attrs={"sampling_rate": 50.0, "units": HOSTILE}
    )
    return noise_floor(recording)


def net_figures() -> dict[str, Figure]:
    """Return the figures of a net whose layer has a hostile name."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = torch.nn.Sequential(torch.nn.Linear(12, 30), torch.nn.Tanh(), torch.nn.Linear(30, 3))
        X = torch.randn(40, 12)
        weights = weight_spectra({f"{HOSTILE}.weight": torch.randn(40, 30), "b.weight": torch.randn(3, 3)})
    layers = [replace(each, name=HOSTILE) for each in activation_spectra(net, X)]
    jacobian = jacobian_spectrum(net, X[:5])
    curvature = hessian(net, "cross_entropy", (X, torch.arange(40) % 3))
    rows = [
        Row(
            step,
            {
                "layer": (("layer",), np.array([HOSTILE, "b"]), {}),
                "relative_norm": (("layer",), np.array([1.0 + step, 2.0]), {}),
                "rank": (("layer",), np.array([np.nan, step]), {}),
                "hessian_eigenvalue": (("hessian_index",), np.array([3.0, -1.0]), {}),
            },
        )
        for step in (0, 5)
    ]
    return {
        "weights": weight_histograms(list(weights)),
        "dimensions": dimension_figure(layers),
        "activations": activation_figure(layers),
        "jacobian": jacobian_figure(jacobian, jacobian),
        "curvature": curvature_figure(CurvatureRecord(top=top_eigenvalues(curvature, 3, missed=None))),
        "tracks": track_figure(SpectrumTrack(tuple(rows))),
    }


def every_figure(floor: NoiseFloor) -> dict[str, Figure]:
    rng, f, t = np.random.default_rng(1), np.arange(1.0, 400.0), np.arange(300) / 10
    component = Component(t, np.where(t == 5, np.nan, np.sin(t)), rng.normal(size=12), 9.5, 1e-9)
    image = Component(t, np.cos(t), rng.normal(size=200 * 150), 3.0, 0.01)
    waves = rng.normal(size=(1500, 6)) + np.sin(np.arange(1500))[:, None] * [2, 2, 2, 0, 0, 0]
    named = {"channel": [HOSTILE, *"bcdef"]}
    shared = spectral_noise_floor(
        xr.DataArray(waves, dims=("time", "channel"), coords=named, attrs={"sampling_rate": 9})
    )
    history = [{"epoch": i, "train_loss": 1 / (i + 1), "validation_loss": 1.2 / (i + 1)} for i in range(5)]
    scores = (Score(name=HOSTILE, value=0.8, low=0.7, high=0.9, role="model"), Score(name="ridge", value=0.5))
    power = rng.gamma(8, size=(399, 5)) / f[:, None]
    return {
        "textbook": eigenvalue_histogram(floor, marchenko_pastur=True),
        "found": eigenvalue_histogram(floor),
        "scree": scree(floor),
        "by frequency": floor_over_frequency(shared),
        "shared bands": band_loadings(shared),
        "noise": noise_spectrum(floor),
        **net_figures(),
        "power": power_figure(f, power, units=HOSTILE, lines=find_lines(f, np.median(power, axis=1))),
        "spectrogram": spectrogram_figure(f, t, rng.exponential(size=(399, 300)), channel=HOSTILE),
        "strips": strips_figure([Strip(HOSTILE, ((0.0, 1.0), (2.0, 3.0)), 0.1), Strip("b", (), 0.0)], start=0, stop=20),
        "traces": traces([t, t], [np.sin(t), np.full(300, np.nan)], names=[HOSTILE, "b"], units=HOSTILE),
        "components": component_figure([component, component], shape=(12,), dim=HOSTILE),
        "images": component_figure([image], shape=(200, 150), dim="pixel"),
        "curves": learning_curves(history, best_epoch=3),
        "scores": score_figure(
            Evaluation(in_percent=True, scores=scores, chance=Chance(level=0.25, low=0.2, high=0.4, above=True))
        ),
        "confusion": confusion_figure(np.array([[5, 1], [2, 4]]), classes=(HOSTILE, "b")),
        "skill": skill_figure(Forecast(horizon=t[1:9], mse={"persistence": t[1:9], HOSTILE: t[1:9] / 2})),
        "before": before_after(t, np.sin(t), np.sin(t) / 2, channel=HOSTILE, units="mV"),
    }


@pytest.mark.parametrize("values", [[0.0, 0.0], [-3.0, -1e-9], [5.0, 5.0], [1e-12, -1e-12]], ids=str)
def test_any_signs_of_curvature_can_be_drawn(values: list[float]) -> None:
    X = torch.eye(3)
    top = top_eigenvalues(hessian(torch.nn.Linear(3, 1, bias=False), "mse", (X, torch.zeros(3, 1))), 2)
    record = CurvatureRecord(top=replace(top, values=np.array(values), errors=np.zeros(2)))
    assert "<svg" in curvature_figure(record).svg
    told = next(curvature_findings(record, 0.1, "AdamW"))
    assert ("no bound on the learning rate" in told.text) == (max(values) <= 0)
    assert "inf" not in told.text


@pytest.fixture(scope="module")
def figures(floor: NoiseFloor) -> dict[str, Figure]:
    return every_figure(floor)


def test_every_svg_is_well_formed_and_named(figures: dict[str, Figure]) -> None:
    for name, figure in figures.items():
        root = ElementTree.fromstring(figure.svg)  # noqa: S314 - our own output
        assert root.get("role") == "img", name
        named = (root.get("aria-labelledby") or "").split()
        texts = {child.get("id"): child.text for child in root}
        assert all(texts[i] for i in named), name
        assert len(named) == 2
        assert figure.table.rows, name
        assert len(figure.description) > 20, name


def test_text_stays_text_and_axes_carry_units(figures: dict[str, Figure]) -> None:
    for name in ("power", "spectrogram", "traces", "components", "noise", "before"):
        words = " ".join(ElementTree.fromstring(figures[name].svg).itertext())  # noqa: S314
        assert "[" in words, name
        assert "]" in words, name


def test_hostile_names_stay_words(figures: dict[str, Figure]) -> None:
    for name, figure in figures.items():
        assert "<script" not in figure.svg, name
        assert "\x00" not in figure.svg, name


def test_no_drawing_reaches_outside_itself(figures: dict[str, Figure]) -> None:
    for name, figure in figures.items():
        for target in re.findall(r'href="([^"]*)"', figure.svg):
            assert target.startswith(("#", "data:image/png;base64,")), name
        assert all(target.startswith("#") for target in re.findall(r"url\(([^)]*)\)", figure.svg)), name


def test_drawings_are_small(figures: dict[str, Figure]) -> None:
    assert {name: len(f.svg) for name, f in figures.items() if len(f.svg) > 120_000} == {}


def test_the_same_numbers_give_the_same_drawing(floor: NoiseFloor, figures: dict[str, Figure]) -> None:
    again = every_figure(floor)
    assert {name for name in again if again[name].svg != figures[name].svg} == set()


def test_the_users_matplotlib_style_changes_nothing(floor: NoiseFloor, figures: dict[str, Figure]) -> None:
    with mpl.rc_context({"font.size": 30, "axes.facecolor": "red", "svg.fonttype": "path", "lines.linewidth": 9}):
        assert scree(floor).svg == figures["scree"].svg
        assert mpl.rcParams["font.size"] == 30


def test_ink_is_a_variable_of_the_page(figures: dict[str, Figure]) -> None:
    for color, name in VARIABLES.items():
        for figure in figures.values():
            assert figure.svg.count(color) == figure.svg.count(f"var(--{name},{color})")


def test_a_figure_says_the_count_it_draws(floor: NoiseFloor) -> None:
    assert floor.rank == 2
    figure = eigenvalue_histogram(floor)
    assert "2 eigenvalues lie beyond it" in figure.description
    assert dict(figure.table.rows)["beyond the edge"] == 2
    assert np.sum(figure.data["eigenvalues"] > figure.data["edge"]) == 2


def test_pure_noise_with_more_channels_than_samples_can_be_drawn() -> None:
    wide = np.random.default_rng(3).normal(size=(40, 90))
    floor = noise_floor(xr.DataArray(wide, dims=("time", "channel")))
    assert floor.rank == 0
    assert "no eigenvalues lie beyond it" in eigenvalue_histogram(floor).description
    assert scree(floor).table.rows[0][3] == "noise"


def test_expected_counts_add_up_to_the_channels(floor: NoiseFloor) -> None:
    data = eigenvalue_histogram(floor).data
    x, per_bin = data["law_x"], data["law_expected_per_bin"]
    bins = np.log(data["bins"][1] / data["bins"][0])
    assert np.trapezoid(per_bin, np.log(x)) / bins == pytest.approx(floor.n_features - floor.rank, rel=0.02)


def test_envelope_keeps_every_extreme() -> None:
    rng = np.random.default_rng(0)
    x, y = np.arange(50_000.0), rng.normal(size=50_000)
    thin_x, thin_y = envelope(x, y, columns=100)
    assert len(thin_x) <= 200
    assert np.all(np.diff(thin_x) > 0)
    column = (x / x[-1] * 100).astype(int).clip(0, 99)
    for i in (0, 17, 99):
        inside = thin_y[(thin_x / x[-1] * 100).astype(int).clip(0, 99) == i]
        assert (inside.min(), inside.max()) == (y[column == i].min(), y[column == i].max())


@pytest.mark.parametrize("n", [50, 5000])
def test_envelope_breaks_at_gaps_once(n: int) -> None:
    x, y = np.arange(float(n)), np.ones(n)
    y[n // 2 : n // 2 + n // 10] = np.nan
    thin_x, thin_y = envelope(x, y, columns=40)
    assert np.isnan(thin_y).sum() == 1
    assert thin_x[np.isnan(thin_y)] == [n // 2]


def test_envelope_of_nothing_is_nothing() -> None:
    assert len(envelope(np.zeros(0), np.zeros(0), columns=5)[0]) == 0
    assert np.isnan(envelope(np.arange(9.0), np.full(9, np.nan), columns=2)[1]).all()


def test_true_lines_are_found_with_their_frequency() -> None:
    rate, t = 512.0, np.arange(2**15) / 512.0
    noise = scipy.signal.lfilter([1], [1, -0.9], np.random.default_rng(0).normal(size=len(t)))
    waves = sum(a * np.sin(2 * np.pi * f * t) for a, f in ((2, 50), (1, 60), (1, 62), (0.5, 150)))
    f, power = scipy.signal.welch(noise + waves, rate, nperseg=4096)
    assert sorted(round(line.frequency) for line in find_lines(f, power)) == [50, 60, 62, 150]


def test_lines_in_noise_are_rare() -> None:
    rng, found = np.random.default_rng(0), 0
    for _ in range(60):
        noise = scipy.signal.lfilter([1], [1, -0.9], rng.normal(size=2**15))
        found += bool(find_lines(*scipy.signal.welch(noise, 256.0, nperseg=4096)))
    # 2 % measured on longer runs; 6 or more of 60 have probability 1e-3 at that rate.
    assert found < 6


def test_too_short_a_spectrum_has_no_lines() -> None:
    assert find_lines(np.arange(30.0), np.ones(30)) == ()


def test_power_labels() -> None:
    assert [power_label(x) for x in (0.01, 0.001, 5e-5, 100.0, 1e5)] == ["0.01", "10⁻³", "5·10⁻⁵", "100", "10⁵"]


def test_a_transient_is_the_loudest_moment() -> None:
    rng = np.random.default_rng(0)
    power = rng.exponential(size=(100, 200)) * np.geomspace(1, 1e6, 100)[:, None]
    power[40, 120] *= 200
    figure = spectrogram_figure(np.arange(1.0, 101.0), np.arange(200) / 10, power)
    assert figure.table.rows[0][:2] == (12.0, 41.0)


def test_what_was_never_measured_has_no_curve() -> None:
    history: list[dict[str, Any]] = [
        {"epoch": 1, "train_loss": 1.0, "train_accuracy": None},
        {"epoch": 2, "train_loss": 0.5},
    ]
    assert curve_names(history, "loss") == ["train_loss"]
    assert curve_names(history, "accuracy") == []
