"""Excerpts of long recordings, and the waves that they know."""

import numpy as np
import pytest

from sciml.noise.channels.subsample import Excerpts
from sciml.noise.matrix.fourier import waves_of, waves_of_excerpt

NONE = np.zeros((2, 0)), np.zeros((0, 2))


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sciml.noise.channels.subsample.EXCERPT_BYTES", 8192)  # 1024 rows of two channels


def filled(values: np.ndarray, step: int, span: int | None = None) -> Excerpts:
    excerpts = Excerpts(values.shape[1], values.dtype, span=span)
    for start in range(0, len(values), step):
        excerpts.add(values[start : start + step])
    return excerpts


@pytest.mark.parametrize("step", [1, 37, 1000, 100_000])
def test_the_slow_series_holds_means_however_samples_come(step: int) -> None:
    values = np.arange(20_000, dtype=float)[:, None] * [1, -2]
    excerpt = filled(values, step).excerpt()
    assert excerpt.every == 32
    np.testing.assert_allclose(excerpt.slow, values.reshape(-1, 32, 2).mean(axis=1), rtol=1e-6)


def test_stretches_are_consecutive_and_spread_over_all() -> None:
    excerpt = filled(np.arange(20_000, dtype=float)[:, None] * [1, 1], 77).excerpt()
    assert excerpt.stretches.shape[1:] == (512, 2)
    np.testing.assert_array_equal(np.diff(excerpt.stretches, axis=1), 1)
    np.testing.assert_array_equal(excerpt.stretches[:, 0, 0], excerpt.starts)
    assert np.ptp(excerpt.starts) > 20_000 / 2


def test_only_the_last_samples_of_a_span_are_kept() -> None:
    excerpt = filled(np.arange(20_000, dtype=float)[:, None] * [1, 1], 77, span=1500).excerpt()
    assert excerpt.every == 4
    assert 20_000 - 1500 - 8 <= excerpt.slow.min() <= 20_000 - 1500 + 8
    assert excerpt.stretches[-1, -1, 0] > 20_000 - 2 * 512
    np.testing.assert_allclose(excerpt.stretches[:, 0, 0] - excerpt.slow[0, 0], excerpt.starts, atol=excerpt.every)


@pytest.mark.parametrize("complex_data", [False, True])
def test_waves_of_an_excerpt_stand_for_all_dimensions_of_time(complex_data: bool) -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(size=(32_768, 2))
    if complex_data:
        values = (values + 1j * rng.normal(size=values.shape)) / np.sqrt(2)
    waves = waves_of_excerpt(filled(values, 999).excerpt())
    assert waves.dimensions.sum() == pytest.approx(len(values) - 1)
    power = waves.power(*NONE)
    # The mean of m squared normal values has the standard deviation sqrt(2 / m).
    np.testing.assert_allclose(power.mean(), 1, atol=4 * np.sqrt(2 / waves.squares.sum() / 2))
    slow = np.abs(waves.frequencies) < 32.5 / len(values)
    np.testing.assert_allclose(power[slow].mean(), 1, atol=4 * np.sqrt(2 / (2 * waves.squares[slow].sum())))


@pytest.mark.parametrize("periods", [5, 60, 9000])
def test_waves_of_an_excerpt_find_a_line_where_the_whole_has_it(periods: int, monkeypatch: pytest.MonkeyPatch) -> None:
    # A wave longer than a stretch (of 1638 samples), one of two to a stretch, and a fast one.
    monkeypatch.setattr("sciml.noise.channels.subsample.EXCERPT_BYTES", 2**16)
    n = 200_000
    values = np.sin(2 * np.pi * np.arange(n) * periods / n)[:, None] * [1, 0.5]
    whole, part = waves_of(values), waves_of_excerpt(filled(values, 500).excerpt())
    for waves in (whole, part):
        energy = waves.power(*NONE) * waves.dimensions[:, None]
        near = np.abs(waves.frequencies - periods / n) < 2 / 1638
        np.testing.assert_array_less(0.9, energy[near].sum(axis=0) / energy.sum(axis=0))
        np.testing.assert_allclose(energy.sum(axis=0) / n, [0.5, 0.125], rtol=0.03)
