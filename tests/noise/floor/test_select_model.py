"""The models of the noise: chosen by the recording, right in size, and what they say of a component."""

from collections.abc import Callable

import numpy as np
import pytest
import scipy.fft
import scipy.signal
import xarray as xr

from sciml.errors import DataError
from sciml.noise import noise_floor


def recording(values: np.ndarray, **attrs: object) -> xr.DataArray:
    return xr.DataArray(values, dims=("time", "channel"), attrs={"sampling_rate": 10.0, "units": "V", **attrs})


def autoregressive(rng: np.random.Generator, phi: np.ndarray, n_samples: int) -> np.ndarray:
    steps = rng.normal(size=(n_samples + 400, len(phi))) * np.sqrt(1 - phi**2)
    return np.stack([scipy.signal.lfilter([1], [1, -p], steps[:, i])[400:] for i, p in enumerate(phi)], axis=1)


def each_its_own(rng: np.random.Generator, n: int, t: int) -> np.ndarray:
    return autoregressive(rng, rng.uniform(0, 0.95, n), t) * rng.uniform(1, 10, n)


def pink(rng: np.random.Generator, n: int, t: int) -> np.ndarray:
    frequency = np.fft.rfftfreq(4 * t)
    frequency[0] = frequency[1]
    half = rng.normal(size=(len(frequency), n)) + 1j * rng.normal(size=(len(frequency), n))
    return scipy.fft.irfft(half / np.sqrt(frequency)[:, None], 4 * t, axis=0)[:t]


def counts(rng: np.random.Generator, n: int, t: int) -> np.ndarray:
    return rng.poisson(3 * rng.gamma(2, 0.5, size=(t, 1)) * rng.gamma(2, 0.5, size=n)).astype(float)


@pytest.mark.parametrize("shape", [(32, 600), (90, 60)], ids=["long", "wide"])
@pytest.mark.parametrize(
    ("draw", "model"),
    [(each_its_own, "heteroscedastic+colored"), (pink, "colored"), (counts, "counts")],
    ids=["each its own AR(1)", "pink", "counts"],
)
def test_pure_noise_is_recognized_and_has_no_component(
    draw: Callable[..., np.ndarray], model: str, shape: tuple[int, int]
) -> None:
    draws = 30
    floors = [noise_floor(recording(draw(np.random.default_rng(seed), *shape))) for seed in range(draws)]
    # At the nominal 5 % more than 5 of 30 happen in 1 of 300 runs; most models are conservative.
    assert sum(floor.rank > 0 for floor in floors) <= 5
    assert sum(floor.model == model for floor in floors) > 0.8 * draws


@pytest.mark.parametrize("complex_data", [False, True])
@pytest.mark.parametrize("phi", [0.0, 0.8])
def test_intervals_hold_the_strength_and_overlaps_are_those_with_the_truth(phi: float, complex_data: bool) -> None:
    n, t, draws, strength = 40, 400, 30, 2.0
    held, channel, time_course = 0, [], []
    for seed in range(draws):
        rng = np.random.default_rng(seed)

        def normal(*shape: int, rng: np.random.Generator = rng) -> np.ndarray:
            return rng.normal(size=shape) + (1j * rng.normal(size=shape) if complex_data else 0)

        noise = autoregressive(rng, np.full(n, phi), t)
        if complex_data:
            noise = (noise + 1j * autoregressive(rng, np.full(n, phi), t)) / np.sqrt(2)
        u, v = normal(n), normal(t)
        u, v = u / np.linalg.norm(u), (v - v.mean()) / np.linalg.norm(v - v.mean())
        values = noise + strength * np.sqrt(t) * np.outer(v, u)
        floor = noise_floor(recording(values))
        assert floor.rank >= 1
        low, high = floor.strength_intervals[0]
        held += low <= strength <= high
        channel.append(abs(np.vdot(floor.components[:, 0], u)) ** 2 - floor.overlaps_channel[0])
        found = (values - values.mean(axis=0)) @ floor.components[:, 0].conj()
        time_course.append(abs(np.vdot(found, v)) ** 2 / np.linalg.norm(found) ** 2 - floor.overlaps_time[0])
    # 95 % intervals: fewer than 25 of 30 happen once in 300 runs.
    assert held >= 25
    assert abs(np.mean(channel)) < 0.03
    assert abs(np.mean(time_course)) < 0.03


def test_a_model_that_does_not_converge_is_no_reason_for_itself() -> None:
    shared = np.random.default_rng(0).normal(size=(2000, 16))
    shared = shared + 0.9 * np.roll(shared, 1, axis=1) + 0.6 * np.roll(shared, 2, axis=1)
    phi = np.linspace(0.2, 0.95, 16)
    values = np.stack([scipy.signal.lfilter([1], [1, -phi[k]], shared[:, k]) for k in range(16)], axis=1)
    floor = noise_floor(recording(values))
    assert (floor.model, floor.converged) == ("heteroscedastic+colored", False)
    assert floor.reason.endswith("and the channels differ in spectrum (p < 1e-6)")


def test_components_of_counts_are_found_given_rates_and_exposures() -> None:
    rng = np.random.default_rng(0)
    mean = 3 * rng.gamma(4, 0.25, size=(400, 1)) * rng.gamma(4, 0.25, size=80)
    groups = np.repeat(np.eye(4), 20, axis=1)  # four groups of channels, each active at its own times
    active = 1 + 0.8 * np.sign(rng.normal(size=(400, 4))) @ groups
    floor = noise_floor(recording(rng.poisson(mean * active)))
    # Four rates a sample, of which one common exposure takes one.
    assert (floor.model, floor.rank) == ("counts", 3)
    assert noise_floor(recording(rng.poisson(mean)), alpha=1e-3).rank == 0


def test_what_is_no_count_is_refused_as_counts() -> None:
    with pytest.raises(DataError, match="expected counts: values are negative or not whole"):
        noise_floor(recording(np.random.default_rng(0).normal(size=(100, 20))), model="counts")


def test_counts_that_cannot_be_tested_are_refused_as_counts_but_not_else() -> None:
    few = recording(np.random.default_rng(0).poisson(3, size=(100, 5)).astype(float))
    with pytest.raises(DataError, match="expected counts: it takes 8 channels"):
        noise_floor(few, model="counts")
    assert noise_floor(few).model != "counts"


def test_counts_that_are_the_product_of_a_rate_and_an_exposure_are_one_channel() -> None:
    product = np.outer(np.arange(50.0), np.arange(1.0, 10))
    for model in ("auto", "counts"):
        with pytest.raises(DataError, match=r"got 1 of 9 .* 8 duplicates of others"):
            noise_floor(recording(product), model=model)
    # Samples that hold next to nothing make channels of them, and are left out where counts are tested.
    almost = recording(np.vstack([product, 5 * np.eye(9)]))
    with pytest.raises(DataError, match=r"expected counts: .*exactly the product"):
        noise_floor(almost, model="counts")
    assert noise_floor(almost).model != "counts"


def test_duplicates_of_a_channel_are_named_and_are_no_component() -> None:
    values = np.random.default_rng(0).normal(size=(800, 30))
    values[:, 7], values[:, 20] = values[:, 3], -2 * values[:, 3]
    floor = noise_floor(recording(values))
    assert floor.rank == 0
    assert floor.excluded == {7: "duplicate of 3", 20: "duplicate of 3"}
    assert "duplicates of another were left out: 7 of 3, 20 of 3" in " ".join(floor.warnings)


def test_an_average_reference_is_named_and_is_no_component() -> None:
    values = np.random.default_rng(0).normal(size=(800, 30))
    floor = noise_floor(recording(values - values.mean(axis=1, keepdims=True)))
    assert (floor.rank, floor.n_null, len(floor.eigenvalues)) == (0, 1, 29)
    assert "their average was subtracted" in " ".join(floor.warnings)


@pytest.mark.parametrize("dtype", [np.int16, np.float32, np.float64])
def test_a_recording_read_in_blocks_gives_the_same_floor(dtype: type, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(1)
    sine = np.sin(np.arange(4000) / 40)[:, None] * rng.normal(size=24)
    values = np.round((500 + sine + autoregressive(rng, np.full(24, 0.6), 4000)) * 20).astype(dtype)
    whole = noise_floor(recording(values))
    monkeypatch.setattr("sciml.noise.channels.read.MEMORY", 1)
    monkeypatch.setattr("sciml.noise.channels.read.BLOCK_BYTES", 8 * 24 * 700)
    progress: list[int] = []
    parts = noise_floor(recording(values), progress=lambda done, _: progress.append(done))
    assert (parts.model, parts.rank) == (whole.model, whole.rank) == ("colored", 1)
    np.testing.assert_allclose(parts.eigenvalues, whole.eigenvalues, rtol=2e-3)
    assert parts.sigma == pytest.approx(whole.sigma, rel=1e-3)
    assert progress[-1] == 4000
    assert len(progress) == 6


def test_slow_noise_of_a_long_recording_is_no_component(monkeypatch: pytest.MonkeyPatch) -> None:
    # Most of the power of 1/f noise is at periods longer than the segments that are kept; 12 draws at level .05 give
    # more than two alarms with probability .02.
    monkeypatch.setattr("sciml.noise.channels.read.MEMORY", 1)
    monkeypatch.setattr("sciml.noise.channels.subsample.SUBSAMPLE_BYTES", 2**17)
    alarms = 0
    for seed in range(12):
        frequency = np.fft.rfftfreq(120_000)
        halves = np.random.default_rng(seed).normal(size=(2, len(frequency), 16)) / np.sqrt(frequency + 1e-6)[:, None]
        values = scipy.fft.irfft(halves[0] + 1j * halves[1], axis=0)[:30_000].astype(np.float32)
        alarms += noise_floor(recording(values)).rank > 0
    assert alarms <= 2


def test_strengths_of_components_in_counts_are_root_mean_squares_over_all_samples() -> None:
    # Exposures vary over a factor of 16: noise at a typical sample is not the root mean square that strengths refer to.
    ratios = []
    for seed in range(6):
        rng = np.random.default_rng(seed)
        exposure, rate = np.geomspace(0.25, 4, 400)[rng.permutation(400)], rng.uniform(2, 8, 40)
        mean = np.outer(exposure, rate)
        time_course = np.sqrt(2) * np.sin(np.arange(400) / 3 + seed)
        pattern = rng.normal(size=40) / np.sqrt(40)
        signal = 1.8 * np.outer(time_course, pattern) * np.sqrt(mean)
        floor = noise_floor(recording(rng.poisson(np.maximum(mean + signal, 0)).astype(float)), model="counts")
        assert floor.rank >= 1
        truth = 1.8 * np.linalg.norm(pattern * np.sqrt(mean.mean(axis=0)))
        ratios.append(floor.strengths[0] / truth)
    # A strength is known to about 1 / sqrt(400) / 1.8: five percent of it in one draw.
    assert np.mean(ratios) == pytest.approx(1, abs=0.04)


def test_more_channels_than_fit_are_sampled_and_components_reach_all(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(2)
    pattern = rng.normal(size=900)
    values = rng.normal(size=(120, 900)) + np.sin(np.arange(120) / 9)[:, None] * pattern
    monkeypatch.setattr("sciml.noise.channels.read.MEMORY", 8 * 120 * 500)
    monkeypatch.setattr("sciml.noise.channels.read.MAX_CHANNELS", 300)
    floor = noise_floor(recording(values))
    assert (floor.rank, floor.n_used) == (1, 500)
    assert "500 channels chosen at random from 900" in " ".join(floor.warnings)
    assert abs(floor.components[:, 0] @ pattern) / np.linalg.norm(pattern) > 0.95
    assert floor.channel_scale.shape == (900,)


def test_the_bulk_follows_the_law_of_its_model_and_eigenvalues_repel() -> None:
    floor = noise_floor(recording(each_its_own(np.random.default_rng(5), 120, 2000)))
    assert floor.bulk_distance < 0.03
    assert floor.spacing_ratio == pytest.approx(0.5307, abs=4 * 0.26 / np.sqrt(60))  # sd of a ratio .26, 60 eigenvalues
