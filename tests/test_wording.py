"""Sentences made from numbers: right for none, one and many."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import xarray as xr

from sciml.noise import NoiseFloor, noise_floor
from sciml.report.record import Chance, Evaluation, RunRecord, Score, SplitSummary
from sciml.report.sections.noise_floor import floor_findings, headline
from sciml.report.sections.run import run_findings
from sciml.wording import cell, clean, count, p_value, percent, quantity, series


@pytest.fixture(scope="module")
def colored() -> NoiseFloor:
    rng = np.random.default_rng(0)
    noise = np.zeros((3000, 24))
    for i in range(1, len(noise)):
        noise[i] = 0.9 * noise[i - 1] + rng.normal(size=24)
    signal = 3 * rng.normal(size=(3000, 1)) @ rng.normal(size=(1, 24))
    recording = xr.DataArray(noise + signal, dims=("time", "channel"), attrs={"sampling_rate": 10.0, "units": "mV"})
    return noise_floor(recording, model="colored")


def worded(floor: NoiseFloor, rank: int, textbook: int, p: float, **changes: Any) -> str:
    p_values = np.full_like(floor.p_values, 0.4)
    p_values[:rank] = p
    plain = replace(floor.marchenko_pastur, mp_rank=textbook)
    samples = {name: value for name, value in changes.items() if name != "model"}
    changed = replace(
        floor,
        rank=rank,
        p_values=p_values,
        marchenko_pastur=plain,
        samples=replace(floor.samples, **samples),
        choice=replace(floor.choice, model=changes.get("model", floor.model)),
    )
    return headline(changed)


def test_many_components(colored: NoiseFloor) -> None:
    assert worded(colored, 2, 9, 1e-9, correlation_time=8.2) == (
        "2 components above the noise floor, p < 1e-6; a white-noise test would have said 9, because neighboring "
        "samples correlate with time constant 8.2 s."
    )


def test_one_component(colored: NoiseFloor) -> None:
    assert worded(colored, 1, 1, 0.0021) == (
        "1 component above the noise floor, p = 0.0021; a white-noise test says the same."
    )


def test_no_component(colored: NoiseFloor) -> None:
    assert worded(colored, 0, 3, 0.0, correlation_time=0.05) == (
        "No components above the noise floor (the strongest has p = 0.4); a white-noise test would have said 3, "
        "because neighboring samples correlate with time constant 50 ms."
    )


def test_without_a_clock_memory_is_told_in_samples(colored: NoiseFloor) -> None:
    text = worded(colored, 0, 3, 0.0, correlation_time=None, n_effective=colored.n_samples / 12)
    assert "correlate over 12 samples" in text


def test_white_noise_is_not_said_to_correlate(colored: NoiseFloor) -> None:
    text = worded(colored, 1, 2, 0.01, model="heteroscedastic")
    assert "correlate" not in text
    assert "would have said 2, because its edge" in text


def test_textbook_that_finds_less_gets_its_own_reason(colored: NoiseFloor) -> None:
    assert "would have said none, because it takes what the components add" in worded(colored, 1, 0, 0.01)


def test_the_least_certain_component_gives_the_p_value(colored: NoiseFloor) -> None:
    p_values = np.full_like(colored.p_values, 0.5)
    p_values[:2] = [1e-12, 0.03]
    assert "p = 0.03" in headline(replace(colored, rank=2, p_values=p_values))


def test_warnings_become_cautions(colored: NoiseFloor) -> None:
    findings = floor_findings(replace(colored, warnings=("3 channels are constant",)))
    assert [f.text for f in findings if f.severity == "caution"] == ["3 channels are constant."]


CHANCE = Chance(level=0.25, low=0.16, high=0.35, above=True)
NET, RIDGE = Score(name="fcn", value=0.84, low=0.74, high=0.9, role="model"), Score(name="ridge", value=0.71)


def scored(**changes: object) -> Evaluation:
    fields: dict[str, object] = {"in_percent": True, "n_test": 80, "chance": CHANCE, "scores": (NET, RIDGE)}
    return Evaluation(**{**fields, **changes})  # type: ignore[arg-type]


def classified(evaluation: Evaluation | None = None, **changes: object) -> RunRecord:
    fields: dict[str, object] = {
        "title": "T",
        "question": "Q?",
        "task": "classify",
        "evaluation": evaluation or scored(),
    }
    return RunRecord(**{**fields, **changes})  # type: ignore[arg-type]


def test_a_good_net_is_said_to_be_better() -> None:
    verdict = run_findings(classified(scored(chance=replace(CHANCE, p_value=1e-4))))[0]
    assert verdict.text == (
        "Held-out accuracy 84 % (95 % interval 74 % to 90 %), above chance (band of guessing 16 % to 35 %), p = "
        "0.0001; better than ridge (71 %), the best baseline."
    )
    assert verdict.severity == "result"


def test_a_net_within_chance_is_a_caution() -> None:
    verdict = run_findings(
        classified(scored(scores=(Score(name="fcn", value=0.3, role="model"),), chance=replace(CHANCE, above=False)))
    )[0]
    assert verdict.severity == "caution"
    assert "not above chance (band of guessing 16 % to 35 %)" in verdict.text


def test_a_net_that_cannot_be_tested_is_a_caution_and_never_above_chance() -> None:
    verdict = run_findings(classified(scored(chance=replace(CHANCE, above=None))))[0]
    assert verdict.severity == "caution"
    assert "not testable (band of guessing 16 % to 35 %)" in verdict.text
    assert verdict.numbers["beats_chance"] is None


def test_what_leaks_is_a_problem() -> None:
    split = SplitSummary(unit="session", n_units=6, gap=2.0, windows={"train": 5}, checked=True,
                         leakage={"alarms": ["3 windows are there twice"]})  # fmt: skip
    assert ("problem", "3 windows are there twice.") in {
        (found.severity, found.text) for found in run_findings(classified(split=split))
    }


def test_a_baseline_that_wins_is_recommended() -> None:
    scores = (Score(name="fcn", value=0.6, low=0.5, high=0.7, role="model"), Score(name="ridge", value=0.9))
    assert (
        "ridge (90 %) does better and is simpler: prefer it" in run_findings(classified(scored(scores=scores)))[0].text
    )


def test_a_difference_within_the_interval_is_none() -> None:
    scores = (Score(name="fcn", value=0.8, low=0.7, high=0.9, role="model"), Score(name="ridge", value=0.85))
    assert "no clear difference from ridge (85 %)" in run_findings(classified(scored(scores=scores)))[0].text


def test_for_errors_smaller_is_better() -> None:
    scores = (Score(name="fcn", value=0.2, role="model"), Score(name="persistence", value=0.5))
    run = classified(
        scored(metric="mean squared error", greater_is_better=False, in_percent=False, scores=scores, chance=None),
        task="forecast",
    )
    assert (
        run_findings(run)[0].text
        == "Held-out mean squared error 0.2; better than persistence (0.5), the best baseline."
    )


def test_an_unchecked_split_is_a_problem() -> None:
    split = SplitSummary(unit="time block", n_units=12, gap=2.0, windows={"train": 5})
    assert run_findings(classified(split=split))[1].severity == "problem"
    text = run_findings(classified(split=replace(split, checked=True)))[1].text
    assert text == (
        "No window of one part is closer than 2 s to a window of another in its file (checked). "
        "Unit of independence: time block, n = 12."
    )


def test_a_missed_true_rank_is_a_caution(colored: NoiseFloor) -> None:
    floor = replace(colored, rank=2)
    found = {f.severity: f.text for f in run_findings(classified(truth={"rank": 3}, noise_floor=floor))}
    assert found["caution"] == "The true rank is 3; the noise floor found 2."
    right = run_findings(classified(truth={"rank": 2}, noise_floor=floor))
    assert right[-1].text == "The true rank, 2, was found."


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [(0, "s", "0 s"), (1e-7, "s", "100 ns"), (59.96, "s", "60 s"), (1000, "s", "16.7 min"), (1e9, "s", "277,778 h"),
     (0.0, "Hz", "0 Hz"), (-3e-6, "V", "-3 µV"), (float("nan"), "s", "–"), (12345, "", "12,345"), (4e4, "Hz", "40 kHz"),
     (999.7, "Hz", "1 kHz"), (0.9999, "s", "1 s"), (999.7, "counts", "1,000 counts")],
)  # fmt: skip
def test_quantities(value: float, unit: str, text: str) -> None:
    assert quantity(value, unit) == text


def test_small_words() -> None:
    assert [count(n, "weight matrix") for n in (0, 1, 2)] == [
        "no weight matrices",
        "1 weight matrix",
        "2 weight matrices",
    ]
    assert p_value(0.0) == "p < 1e-6"
    assert percent(0.0) == "0 %"
    assert series([]) == ""
    assert [cell(x) for x in (float("nan"), -np.inf, [1, 2.5], 1e-21)] == ["–", "−∞", "1, 2.5", "1e-21"]
    assert clean("a\x1b[31m\ud800") == "a\ufffd[31m?"
