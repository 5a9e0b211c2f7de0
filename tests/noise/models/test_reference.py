"""Noise that a reference tells of, and patterns that are taken out first: calibrated, found, refused with advice."""

from typing import Any

import numpy as np
import pytest
import xarray as xr

from sciml.denoise import denoise
from sciml.errors import ConfigError, DataError, NoiseFloorWarning
from sciml.noise import noise_floor
from sciml.simulate import ar1_noise

N = 32


def recording(values: np.ndarray, **attrs: Any) -> xr.DataArray:
    return xr.DataArray(values, dims=("time", "channel"), attrs={"sampling_rate": 100.0, **attrs})


def mixing(seed: int, n: int = N) -> np.ndarray:
    """Return the root of a covariance of random orientation and condition 1000."""
    return np.asarray(np.linalg.qr(np.random.default_rng(seed).normal(size=(n, n)))[0] * np.geomspace(1, 31, n))


def white(rng: np.random.Generator, n: int, phi: float = 0.0, *, is_complex: bool = False) -> np.ndarray:
    real = ar1_noise(n, N, phi=phi, rng=rng)
    return np.asarray(real + 1j * ar1_noise(n, N, phi=phi, rng=rng) if is_complex else real)


@pytest.mark.parametrize(
    ("n", "m", "phi", "is_complex"),
    [
        (600, 300, 0.0, False),
        (1500, 160, 0.0, False),
        (800, 600, 0.6, False),
        (20, 400, 0.0, False),
        (600, 200, 0.0, True),
    ],
    ids=["plain", "short reference", "colored", "wide", "complex"],
)
def test_a_reference_calibrates_whatever_the_covariance(n: int, m: int, phi: float, is_complex: bool) -> None:
    found, ratios, sigmas = [], [], []
    for seed in range(20):
        rng, root = np.random.default_rng(seed), mixing(seed)
        noise, reference = (recording(white(rng, size, phi, is_complex=is_complex) @ root.T) for size in (n, m))
        floor = noise_floor(noise, reference=reference)
        assert floor.model == "reference"
        found.append(floor.rank)
        ratios.append(floor.bulk_ratio)
        sigmas.append(floor.sigma / np.sqrt(np.mean((root**2).sum(axis=1)) * (2 if is_complex else 1)))
    assert np.count_nonzero(found) <= 4  # 5 % of 20 are 1, with a deviation of 1
    # The mean of N powers of which loud ones count, from m samples: of 20 draws, three standard deviations.
    powers = np.geomspace(1, 31, N) ** 2
    parts = np.sum(powers) ** 2 / np.sum(powers**2) * (2 if is_complex else 1)
    worth = m * (1 - phi**2) / (1 + phi**2)
    assert np.mean(sigmas) == pytest.approx(1, abs=3 / np.sqrt(2 * worth * parts * 20))
    assert np.mean(ratios) == pytest.approx(1, abs=0.02)


def test_what_the_reference_does_not_have_is_found_with_its_map() -> None:
    rng, root = np.random.default_rng(1), mixing(1)
    loadings = np.abs(rng.normal(size=N))
    loudest = root[:, -1]
    loadings = loadings - loudest * (loadings @ loudest) / (loudest @ loudest)
    signal = 4 * ar1_noise(1500, 1, phi=0.5, rng=rng) * loadings
    noise, reference = white(rng, 1500) @ root.T, white(rng, 400) @ root.T
    floor = noise_floor(recording(noise + signal, units="V"), reference=recording(reference, units="V"))
    assert floor.rank == 1
    assert floor.converged
    found = floor.components[:, 0] * floor.channel_scale
    assert abs(found @ loadings) / np.linalg.norm(found) / np.linalg.norm(loadings) > 0.85
    score = ((noise + signal - floor.channel_mean) / floor.channel_scale) @ floor.filters[:, 0]
    assert abs(np.corrcoef(score, signal @ loadings)[0, 1]) > 0.9
    # Independent channels see the loudest noise instead.
    with pytest.warns(NoiseFloorWarning):
        assert noise_floor(recording(noise + signal)).doubt


def test_a_part_of_the_recording_is_a_reference_that_is_not_tested() -> None:
    rng, root = np.random.default_rng(2), mixing(2)
    noise = white(rng, 1200) @ root.T
    evoked = (np.arange(1200) > 400)[:, None] * np.sin(np.arange(1200) / 9)[:, None] * rng.normal(size=N) * 3
    floor = noise_floor(recording(noise + evoked), reference=(0.0, 4.0))
    assert floor.n_samples == 800
    assert floor.rank == 1
    assert "reference" in floor.reason


def test_a_reference_that_drifts_claims_nothing() -> None:
    rng, root = np.random.default_rng(3), mixing(3)
    noise, reference = white(rng, 800) @ root.T, white(rng, 600) @ root.T
    reference[300:] += 40 * rng.normal(size=(300, 1)) * rng.normal(size=N)
    with pytest.warns(NoiseFloorWarning, match="two halves of the reference differ"):
        floor = noise_floor(recording(noise), reference=recording(reference))
    assert not floor.converged


def test_a_short_reference_says_what_it_costs_or_needs_positions() -> None:
    rng = np.random.default_rng(4)
    root = np.linalg.cholesky(0.6 ** np.abs(np.subtract.outer(np.arange(N), np.arange(N))))
    noise, some, few = (recording(white(rng, n) @ root.T) for n in (800, 80, 30))
    assert any("times as strong" in each for each in noise_floor(noise, reference=some).warnings)
    with pytest.raises(DataError, match=r"1\.5 independent samples a channel"):
        noise_floor(noise, reference=few)
    fiber = {"distance": ("channel", 2.0 * np.arange(N), {"units": "m"})}
    floor = noise_floor(noise.assign_coords(fiber), reference=few.assign_coords(fiber))
    assert floor.rank == 0
    assert floor.converged
    assert any("too few for a covariance of its own" in each for each in floor.warnings)


@pytest.mark.parametrize(
    ("model", "reference", "message"),
    [
        ("white", (0, 1), "model 'reference' or 'auto'"),
        ("reference", None, "give reference="),
        ("auto", (5, 1), "from one time to a later one"),
        ("auto", (100, 101), "within the recording"),
        ("auto", "0:10", "two numbers, from and to in seconds.*got '0:10'"),
        ("auto", (0, 1, 2), r"two numbers.*got \(0, 1, 2\)"),
        ("auto", np.zeros((300, 8)), "or a recording of noise alone.*got ndarray"),
        ("auto", recording(np.random.default_rng(0).normal(size=(300, 9))), "same 8 channels"),
        ("auto", recording(np.random.default_rng(0).normal(size=(300, 8)), units="A"), "unit of the recording"),
        ("auto", recording(np.random.default_rng(0).normal(size=(300, 8)) * (np.arange(8) > 0)), "do not: 0"),
    ],
    ids=["model", "none", "backward", "outside", "text", "three", "array", "channels", "unit", "constant"],
)
def test_what_is_no_reference_is_refused(model: Any, reference: Any, message: str) -> None:
    noise = recording(np.random.default_rng(1).normal(size=(300, 8)), units="V")
    with pytest.raises((ConfigError, DataError), match=message):
        noise_floor(noise, model=model, reference=reference)


def test_a_reference_is_put_in_the_order_of_the_recording() -> None:
    rng = np.random.default_rng(7)
    scale = np.geomspace(1, 30, 12).reshape(3, 4)
    movie, noise = (xr.DataArray(rng.normal(size=(400, 3, 4)) * scale, dims=("time", "y", "x")) for _ in range(2))
    plain = noise_floor(movie, reference=noise)
    turned = noise_floor(movie, reference=noise.transpose("time", "x", "y"))
    assert plain.rank == turned.rank == 0
    assert turned.eigenvalues == pytest.approx(plain.eigenvalues)
    with pytest.raises(DataError, match="of 3 along y, got 4"):
        noise_floor(movie, reference=noise.rename(x="y", y="x"))
    names = list("abcd")
    labelled = movie.isel(y=0, drop=True).assign_coords(x=names)
    with pytest.raises(DataError, match=r"labels 'x' differ.*reference\.sel\(x=recording"):
        noise_floor(labelled, reference=labelled.assign_coords(x=names[::-1]))


# ---- patterns


def test_a_common_mode_is_said_to_be_one_and_can_be_taken_out() -> None:
    rng = np.random.default_rng(5)
    signal = np.sin(np.arange(900) / 9)[:, None] * np.where(np.arange(N) % 2, 1.0, -1.0)
    values = rng.normal(size=(900, N)) + 2 * rng.normal(size=(900, 1)) + signal
    plain = noise_floor(recording(values))
    assert plain.rank == 2
    assert any("same sign and size in all channels" in each and "patterns" in each for each in plain.warnings)
    for patterns in ("common", np.ones((N, 1)), np.ones(N)):
        floor = noise_floor(recording(values), patterns=patterns)
        assert floor.rank == 1
        assert floor.n_null == 1
        assert any("not tested" in each for each in floor.warnings)
        assert floor.sigma == pytest.approx(np.sqrt(1 - 1 / N), rel=0.01)
        scores = (
            (values + 100.0 * rng.normal(size=(900, 1)) - floor.channel_mean) / floor.channel_scale
        ) @ floor.filters
        assert abs(np.corrcoef(scores[:, 0], np.sin(np.arange(900) / 9))[0, 1]) > 0.9  # the pattern has no part in it


@pytest.mark.parametrize(
    "patterns", ["adc", np.arange(N) % 4, np.array(list("abcd") * 8)], ids=["name", "numbers", "text"]
)
def test_the_common_mode_of_groups_is_taken_out(patterns: Any) -> None:
    rng = np.random.default_rng(6)
    values = rng.normal(size=(900, N)) + 2 * rng.normal(size=(900, 4))[:, np.arange(N) % 4]
    floor = noise_floor(recording(values).assign_coords(adc=("channel", np.arange(N) % 4)), patterns=patterns)
    assert floor.rank == 0
    assert floor.n_null == 4


def test_rows_of_a_movie_are_a_pattern() -> None:
    rng = np.random.default_rng(7)
    movie = rng.normal(size=(500, 8, 10)) + rng.normal(size=(500, 8, 1))
    floor = noise_floor(xr.DataArray(movie, dims=("time", "y", "x")), patterns="y")
    assert floor.rank == 0
    assert floor.n_null == 8
    assert floor.converged


def test_patterns_and_reference_go_together() -> None:
    rng, root = np.random.default_rng(8), mixing(8)
    drift = 100 * rng.normal(size=(800, 1)) * np.ones(N)
    noise, reference = white(rng, 800) @ root.T + drift, white(rng, 400) @ root.T
    assert noise_floor(recording(noise), reference=recording(reference)).rank >= 1
    floor = noise_floor(recording(noise), reference=recording(reference), patterns="common")
    assert floor.rank == 0


@pytest.mark.parametrize(
    ("patterns", "message"),
    [
        ("row", "common, channel"),
        (np.ones((5, 2)), "over the 8 channels"),
        (np.full((8, 1), np.nan), "finite numbers"),
        (np.eye(8)[:, :5], "one to half"),
        (np.eye(8)[:, :1], "leave nothing of channel 0"),
        (np.arange(8), "one to half"),
    ],
    ids=["name", "shape", "missing", "many", "one channel", "single"],
)
def test_patterns_that_do_not_fit_are_refused(patterns: Any, message: str) -> None:
    noise = recording(np.random.default_rng(1).normal(size=(300, 8)))
    with pytest.raises(ConfigError, match=message):
        noise_floor(noise, patterns=patterns)


def test_denoising_with_the_floor_of_a_reference_keeps_what_is_above_it() -> None:
    rng, root = np.random.default_rng(9), mixing(9)
    noise, reference = white(rng, 800) @ root.T, white(rng, 400) @ root.T
    signal = 9 * ar1_noise(800, 1, phi=0.5, rng=rng) * rng.normal(size=N)
    floor = noise_floor(recording(noise + signal), reference=recording(reference))
    cleaned = denoise(recording(noise + signal), floor)
    assert float(((cleaned - signal) ** 2).mean()) < 0.1 * float(np.mean(noise**2))
    with pytest.raises(ConfigError, match="at most the 1 components above the noise floor"):
        denoise(recording(noise + signal), floor, rank=3)
