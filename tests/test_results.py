"""What every result can do: a line for people, plain values for programs, a short repr."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, fromstring

import numpy as np
import pytest
import torch
import xarray as xr
from torch import nn

from sciml.data import sliding_windows, split_by_time
from sciml.denoise.lowrank.denoising import linear_denoiser
from sciml.environment import Health
from sciml.nn import propagation
from sciml.nn.init import initialize
from sciml.nn.propagate import InitComparison, InitTrial
from sciml.noise import noise_floor, shared_between_halves, spectral_noise_floor
from sciml.pipeline import DryRun, Prediction, RunResult, validate
from sciml.pipeline.run_folder import RunFolder
from sciml.report import Evaluation, Finding, Report, RunRecord, Score
from sciml.report.document.plain import plain
from sciml.result import Result, card
from sciml.spectra import weight_spectra
from sciml.theory.chain import follow, residual_net
from sciml.theory.products import jacobian_fluctuation
from sciml.train import EpochRecord, FitResult
from sciml.train.baselines import majority
from sciml.train.metrics import classification_scores, forecast_scores

LABELS = np.arange(200) % 4
NET = nn.Sequential(nn.Linear(40, 30), nn.ReLU(), nn.Linear(30, 20))
HISTORY = tuple(EpochRecord(i, i, 1e-3, 0.5, 0.5, None, None, 1.0) for i in range(50))


def split() -> Any:
    noise = xr.DataArray(np.random.default_rng(0).normal(size=(4000, 3)), dims=("time", "channel"))
    windows = sliding_windows(noise.assign_attrs(sampling_rate=10.0), length=1.0, step=1.0, horizon=0.1)
    return split_by_time(windows, fractions=(0.6, 0.2, 0.2), seed=0)


def forecasts() -> Any:
    y = np.random.default_rng(0).normal(size=(50, 3, 40))
    return forecast_scores(y, y / 2, last=y[:, :, 0])


EVALUATION = Evaluation(scores=(Score(name="net", value=0.9, role="model"),), numbers={"net": {"accuracy": 0.9}})
METRICS = {"task": "classify", "metric": "accuracy", "net": {"accuracy": 0.9}, "baselines": {"linear": {"accuracy": 1}}}

RESULTS: dict[str, Callable[[], Any]] = {
    "BaselineResult": lambda: majority((np.zeros((200, 1, 2)), LABELS), (np.zeros((200, 1, 2)), LABELS), n_classes=4),
    "ClassificationScores": lambda: classification_scores(LABELS, LABELS, n_classes=4),
    "DryRun": lambda: DryRun(validate({}), {}, {"train": 5}, {}, {}, 3, 1.0, 10, {}, {}),
    "Evaluation": lambda: EVALUATION,
    "FitResult": lambda: FitResult(NET, HISTORY, 3, 0.25, 50, False, 1.5, "cpu"),
    "ForecastScores": forecasts,
    "Health": lambda: Health({"torch": "2.13"}, ("no disk",)),
    "ChainMoments": lambda: follow(residual_net(50, sigma_w2=1.0)),
    "Fluctuation": lambda: jacobian_fluctuation("relu", 10, 32),
    "InitComparison": lambda: InitComparison("fcn", "64 windows", (InitTrial("he", problem="no net"),)),
    "InitReport": lambda: initialize(NET, method="he", generator=torch.Generator().manual_seed(0)),
    "LayerSpectrum": lambda: weight_spectra(NET)[0],
    "Prediction": lambda: Prediction(xr.Dataset({"forecast": (("window", "channel"), np.zeros((500, 3)))})),
    "Propagation": lambda: propagation(NET, torch.ones(2, 40)),
    "Report": lambda: Report(title="Noise", kind="recording", findings=(Finding("Nothing stands out."),)),
    "RunRecord": lambda: RunRecord(title="T", question="Q?", task="classify", evaluation=EVALUATION),
    "RunResult": lambda: RunResult(Path("run"), METRICS),
    "SharedTimeCourses": lambda: shared_between_halves(
        xr.DataArray(np.random.default_rng(0).normal(size=(200, 8)), dims=("time", "channel"))
    ),
    "Split": split,
}


@pytest.mark.parametrize("name", RESULTS)
def test_a_result_has_a_summary_plain_values_and_a_short_repr(name: str) -> None:
    result = RESULTS[name]()
    assert type(result).__name__ == name
    assert isinstance(result, Result)
    assert result.summary()
    assert json.dumps(plain(result.to_dict(), flags={}))
    check_shown(repr(result))
    check_card(result)


def check_shown(text: str) -> None:
    """At most six lines, none empty or long, no array and no object address."""
    lines = text.splitlines()
    assert 1 <= len(lines) <= 6
    assert all(line.strip() and len(line) <= 200 for line in lines)
    assert not re.search(r"array\(| at 0x|DataArray", text)


def elements(html: str) -> Element:
    return fromstring(html)  # noqa: S314 - made here


def check_card(result: object) -> None:
    """What a notebook shows holds no script and a table of at most ten rows."""
    if isinstance(result, Report) or not hasattr(result, "_repr_html_"):
        return
    html = result._repr_html_()
    parsed = elements(html)
    assert not {"script", "style", "iframe"} & {each.tag for each in parsed.iter()}
    assert len(list(parsed.iter("tr"))) <= 11


def recorded() -> xr.DataArray:
    """Six named channels with places, three of which share a rhythm."""
    rng = np.random.default_rng(0)
    values = rng.normal(size=(2000, 6))
    values[:, :3] += 3 * np.sin(np.arange(2000) / 5)[:, None]
    coords = {"channel": ["<b>0", "1", "2", "3", "4", "5"], "rel_x": ("channel", np.arange(6) * 20.0)}
    return xr.DataArray(values, dims=("time", "channel"), coords=coords, attrs={"sampling_rate": 100.0, "units": "V"})


SHOWN: dict[str, Callable[[], Any]] = {
    "LinearDenoiser": lambda: linear_denoiser(noise_floor(recorded())),
    "NoiseFloor": lambda: noise_floor(recorded()),
    "RunFolder": lambda: RunFolder(Path("nowhere")),
    "SpectralNoiseFloor": lambda: spectral_noise_floor(recorded()),
    "WeightSpectra": lambda: weight_spectra(NET),
    "Windows": lambda: sliding_windows(recorded(), length=1.0, step=1.0),
}


@pytest.mark.parametrize("name", SHOWN)
def test_what_is_no_single_answer_is_shown_in_six_lines_too(name: str) -> None:
    result = SHOWN[name]()
    assert repr(result).startswith(f"{name}: ")
    check_shown(repr(result))
    check_card(result)


def test_layers_and_scores_are_tables_of_pandas() -> None:
    assert list(weight_spectra(NET).to_dataframe().index) == ["0", "2"]
    assert EVALUATION.to_dataframe().loc["net", "value"] == 0.9


def test_text_of_files_is_escaped_in_a_card() -> None:
    html = card("<i>", "a & b", ["<th>"], [["<script>"]] * 12, "\x1b")
    assert "<script>" not in html
    assert "a &amp; b" in html
    assert len(list(elements(html).iter("tr"))) == 11
    assert "2 more rows" in html
