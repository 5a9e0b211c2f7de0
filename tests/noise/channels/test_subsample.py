"""Subsamples of long recordings, and the Fourier coefficients that they tell."""

import numpy as np
import pytest

from sciml.noise.channels.subsample import Subsampler
from sciml.noise.matrix.fourier import fourier_coefficients, fourier_of_subsample

NONE = np.zeros((2, 0)), np.zeros((0, 2))


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sciml.noise.channels.subsample.SUBSAMPLE_BYTES", 8192)  # 1024 rows of two channels


def filled(values: np.ndarray, step: int, span: int | None = None) -> Subsampler:
    subsampler = Subsampler(values.shape[1], values.dtype, span=span)
    for start in range(0, len(values), step):
        subsampler.add(values[start : start + step])
    return subsampler


@pytest.mark.parametrize("step", [1, 37, 1000, 100_000])
def test_the_decimated_series_holds_means_however_samples_come(step: int) -> None:
    values = np.arange(20_000, dtype=float)[:, None] * [1, -2]
    subsample = filled(values, step).subsample()
    assert subsample.every == 32
    np.testing.assert_allclose(subsample.decimated, values.reshape(-1, 32, 2).mean(axis=1), rtol=1e-6)


def test_segments_are_consecutive_and_spread_over_all() -> None:
    subsample = filled(np.arange(20_000, dtype=float)[:, None] * [1, 1], 77).subsample()
    assert subsample.segments.shape[1:] == (512, 2)
    np.testing.assert_array_equal(np.diff(subsample.segments, axis=1), 1)
    np.testing.assert_array_equal(subsample.segments[:, 0, 0], subsample.starts)
    assert np.ptp(subsample.starts) > 20_000 / 2


def test_only_the_last_samples_of_a_span_are_kept() -> None:
    subsample = filled(np.arange(20_000, dtype=float)[:, None] * [1, 1], 77, span=1500).subsample()
    assert subsample.every == 4
    assert 20_000 - 1500 - 8 <= subsample.decimated.min() <= 20_000 - 1500 + 8
    assert subsample.segments[-1, -1, 0] > 20_000 - 2 * 512
    np.testing.assert_allclose(
        subsample.segments[:, 0, 0] - subsample.decimated[0, 0], subsample.starts, atol=subsample.every
    )


@pytest.mark.parametrize("complex_data", [False, True])
def test_coefficients_of_a_subsample_stand_for_all_dimensions_of_time(complex_data: bool) -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(size=(32_768, 2))
    if complex_data:
        values = (values + 1j * rng.normal(size=values.shape)) / np.sqrt(2)
    coefficients = fourier_of_subsample(filled(values, 999).subsample())
    assert coefficients.dimensions.sum() == pytest.approx(len(values) - 1)
    power = coefficients.power(*NONE)
    # The mean of m squared normal values has the standard deviation sqrt(2 / m).
    np.testing.assert_allclose(power.mean(), 1, atol=4 * np.sqrt(2 / coefficients.squares.sum() / 2))
    low = np.abs(coefficients.frequencies) < 32.5 / len(values)
    np.testing.assert_allclose(power[low].mean(), 1, atol=4 * np.sqrt(2 / (2 * coefficients.squares[low].sum())))


@pytest.mark.parametrize("periods", [5, 60, 9000])
def test_coefficients_of_a_subsample_find_a_line_where_the_whole_has_it(
    periods: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A period longer than a segment (of 1638 samples), one of two to a segment, and a fast one.
    monkeypatch.setattr("sciml.noise.channels.subsample.SUBSAMPLE_BYTES", 2**16)
    n = 200_000
    values = np.sin(2 * np.pi * np.arange(n) * periods / n)[:, None] * [1, 0.5]
    whole, part = fourier_coefficients(values), fourier_of_subsample(filled(values, 500).subsample())
    for coefficients in (whole, part):
        energy = coefficients.power(*NONE) * coefficients.dimensions[:, None]
        near = np.abs(coefficients.frequencies - periods / n) < 2 / 1638
        np.testing.assert_array_less(0.9, energy[near].sum(axis=0) / energy.sum(axis=0))
        np.testing.assert_allclose(energy.sum(axis=0) / n, [0.5, 0.125], rtol=0.03)
