"""A number of components is claimed only where what is left of a recording is noise of the model."""

import json
import re
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import scipy.signal
import xarray as xr

from sciml.errors import NoiseFloorWarning
from sciml.io import save_recording
from sciml.noise import NoiseFloor, noise_floor
from sciml.report import report
from sciml.report.sections.noise_floor import headline
from sciml_cli.app import run

Read = Callable[..., NoiseFloor]
CLAIM = re.compile(r"\b\d+ components? above|above the noise floor, p ")


def recording(values: np.ndarray, dims: tuple[str, ...] = ("time", "channel")) -> xr.DataArray:
    return xr.DataArray(values, dims=dims, attrs={"sampling_rate": 10.0, "units": "V"})


def quiet(values: xr.DataArray, model: str = "auto") -> NoiseFloor:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NoiseFloorWarning)
        return noise_floor(values, model=model)


def root(covariance: np.ndarray) -> np.ndarray:
    values, vectors = np.linalg.eigh(covariance)
    return np.asarray(vectors * np.sqrt(np.maximum(values, 0)) @ vectors.T)


def line(n: int) -> np.ndarray:
    return np.abs(np.subtract.outer(np.arange(n), np.arange(n))).astype(float)


def plane(rows: int, columns: int) -> np.ndarray:
    y, x = np.divmod(np.arange(rows * columns), columns)
    return np.hypot(np.subtract.outer(y, y), np.subtract.outer(x, x))


def exponential(distance: np.ndarray, correlation: float) -> np.ndarray:
    return np.asarray(correlation**distance)


def blurred(distance: np.ndarray, width: float) -> np.ndarray:
    return np.asarray(np.exp(-((distance / width) ** 2) / 4))


SHARED = {  # noise that neighbors share: samples, its covariance over channels, memory in time
    "line": (1000, exponential(line(128), 0.6), 0.0),
    "line, weak": (1000, exponential(line(128), 0.2), 0.0),
    "line, strong": (1000, exponential(line(128), 0.8), 0.0),
    "line, colored": (1000, exponential(line(128), 0.6), 0.7),
    "line, long": (5000, exponential(line(64), 0.4), 0.0),
    "line, long and colored": (5000, exponential(line(64), 0.6), 0.9),
    "line, blurred": (1000, blurred(line(128), 1.0), 0.0),
    "plane": (300, exponential(plane(20, 20), 0.4), 0.0),
    "plane, blurred": (300, blurred(plane(20, 20), 0.7), 0.0),
    "plane, long": (2000, exponential(plane(8, 8), 0.6), 0.0),
    "few channels": (600, exponential(line(32), 0.6), 0.0),
}


def shared(name: str, seed: int = 0) -> np.ndarray:
    t, covariance, memory = SHARED[name]
    steps = np.random.default_rng(seed).normal(size=(t + 200, len(covariance)))
    return np.asarray(scipy.signal.lfilter([1], [1, -memory], steps, axis=0)[200:] @ root(covariance))


@pytest.mark.parametrize("permuted", [False, True])
@pytest.mark.parametrize("name", SHARED)
def test_noise_that_channels_share_has_no_number_of_components(name: str, permuted: bool) -> None:
    values = shared(name)
    if permuted:  # neighbors are then of no help
        values = np.random.default_rng(1).permutation(values, axis=1)
    with pytest.warns(NoiseFloorWarning) as told:
        floor = noise_floor(recording(values))
    assert len(told) == 1
    assert not floor.converged
    assert floor.doubt in floor.summary()
    assert not CLAIM.search(floor.summary() + headline(floor)) or floor.rank_is == "lower bound"
    assert floor.rank_words in {"not determined", f"at least {floor.rank}"}
    assert permuted or floor.rank_words == "not determined"


def test_neighbors_along_each_dim_are_compared() -> None:
    # Pixels of one row share noise, those of one column do not; stored by columns, neighbors are far apart.
    rng = np.random.default_rng(0)
    movie = rng.normal(size=(1500, 8, 10)) @ root(exponential(line(10), 0.3))
    for dims, values in ((("time", "y", "x"), movie), (("time", "x", "y"), movie.transpose(0, 2, 1))):
        assert "neighboring channels" in quiet(recording(values, dims), "heteroscedastic").doubt
        assert quiet(recording(values, dims)).model == "spatial"
    assert not quiet(recording(rng.normal(size=(1500, 8, 10)), ("time", "y", "x"))).doubt


def test_reports_claim_no_number_either() -> None:
    page = report(recording(shared("line")))
    assert page.findings[0].text.startswith("The number of components above the noise floor is not determined: neigh")
    assert not CLAIM.search(page.summary())
    assert page.summary().count("neighboring channels of what is left") <= 2  # the headline, and the caution


def test_commands_claim_no_number_either(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    file = str(tmp_path / "shared.h5")
    save_recording(recording(shared("line")), file)
    capfd.readouterr()
    assert run(["spectrum", "noise", file]) == 0
    shown = capfd.readouterr()
    assert "is not determined: neighboring channels" in shown.out
    assert not CLAIM.search(shown.out)
    assert shown.err.count("neighboring channels") == 1
    assert run(["spectrum", "noise", file, "--json"]) == 0
    found = json.loads(capfd.readouterr().out)
    assert (found["rank_words"], found["converged"]) == ("not determined", False)
    assert "neighboring channels" in found["doubt"]


def white(rng: np.random.Generator, t: int, n: int) -> np.ndarray:
    return rng.normal(size=(t, n))


def colored(rng: np.random.Generator, t: int, n: int) -> np.ndarray:
    return np.asarray(scipy.signal.lfilter([1], [1, -0.7], rng.normal(size=(t + 100, n)), axis=0)[100:])


LEVELS: dict[str, Callable[[np.random.Generator, int], np.ndarray]] = {
    "bursts": lambda _, t: np.where(np.arange(t) % 50 == 0, 20.0, 1.0),
    "bursts at random": lambda rng, t: np.where(rng.random(t) < 0.02, 20.0, 1.0),
    "blocks of bursts": lambda _, t: np.where(np.arange(t) // 20 % 25 == 7, 15.0, 1.0),
    "drift": lambda _, t: np.linspace(1, 10, t),
    "slow drift": lambda _, t: np.linspace(1, 3, t),
    "step": lambda _, t: np.where(np.arange(t) < t // 2, 1.0, 4.0),
    "common heavy tails": lambda rng, t: 1 / np.sqrt(rng.chisquare(3, t) / 3),
}


@pytest.mark.parametrize("draw", [white, colored], ids=lambda draw: draw.__name__)
@pytest.mark.parametrize("shape", [(2000, 40), (600, 24)], ids=str)
@pytest.mark.parametrize("level", LEVELS)
def test_noise_whose_level_changes_has_no_claim(
    level: str, shape: tuple[int, int], draw: Callable[..., np.ndarray]
) -> None:
    for seed in range(3):
        rng = np.random.default_rng(seed)
        floor = quiet(recording(draw(rng, *shape) * LEVELS[level](rng, shape[0])[:, None]))
        assert floor.rank == 0 or floor.doubt


@pytest.mark.parametrize("dof", [2, 3])
def test_heavy_tails_are_named(dof: int) -> None:
    floor = quiet(recording(np.random.default_rng(0).standard_t(dof, size=(2000, 40))))
    assert "heavy-tailed" in floor.doubt


def test_changes_of_level_are_seen_however_a_recording_is_read(read: Read) -> None:
    values = white(np.random.default_rng(0), 2000, 40) * LEVELS["drift"](np.random.default_rng(0), 2000)[:, None]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NoiseFloorWarning)
        floor = read(recording(values))
    assert floor.rank == 0 or "varies over time" in floor.doubt


@pytest.mark.parametrize("draw", [white, colored], ids=lambda draw: draw.__name__)
@pytest.mark.parametrize("shape", [(600, 24), (1000, 128), (400, 300)], ids=str)
@pytest.mark.parametrize("part", [0.0, 0.04, 0.25])
def test_floors_of_the_right_model_are_not_doubted(
    draw: Callable[..., np.ndarray], shape: tuple[int, int], part: float
) -> None:
    # Strong components whose time courses come and go, with smooth maps: what is left of them is no noise's level.
    t, n = shape
    k = int(part * min(shape))
    doubted = 0
    for seed in range(4):
        rng = np.random.default_rng(seed)
        center = rng.uniform(0, n, k)
        maps = np.exp(-((np.arange(n)[:, None] - center) ** 2) / (2 * (n / 40 + 1) ** 2)) + 0.3 * rng.normal(
            size=(n, k)
        )
        time = np.where(rng.random((t, k)) < 0.3, 3.0, 0.5) * rng.normal(size=(t, k))
        floor = quiet(recording(draw(rng, t, n) + 3 * time @ (maps / np.maximum(np.linalg.norm(maps, axis=0), 1)).T))
        # Where many weak ones are not found, rank and noise do not agree.
        doubted += bool(floor.doubt) and "ever more" not in floor.doubt and floor.rank >= k
    assert doubted == 0


@pytest.mark.parametrize("strength", [1.0, 3.0])
@pytest.mark.parametrize("level", ["bursts at random", "drift", "step"])
def test_signals_are_found_in_noise_whose_level_changes(level: str, strength: float) -> None:
    """Samples are divided by the level, and the floor says so; noise alone then has no component."""
    found, with_two, wrong = [], [], []
    for seed in range(6):
        rng = np.random.default_rng(seed)
        loud = LEVELS[level](rng, 2000)
        noise = rng.normal(size=(2000, 40)) * loud[:, None]
        courses = np.linalg.qr(rng.normal(size=(2000, 2)))[0] * np.sqrt(2000)
        maps = np.linalg.qr(rng.normal(size=(40, 2)))[0] * strength * loud.mean()
        alone, with_signal = quiet(recording(noise)), quiet(recording(noise + courses @ maps.T))
        assert not alone.doubt
        assert any("divided by the level" in words for words in alone.warnings)
        assert float(np.trapezoid(alone.psd, alone.frequency)) == pytest.approx(np.mean(noise**2), rel=0.15)
        found.append(alone.rank)
        with_two.append(with_signal.rank == 2 and not with_signal.doubt)
        wrong.append(with_signal.rank != 2 and not with_signal.doubt)
    assert max(np.count_nonzero(found), np.count_nonzero(wrong)) <= 1  # level 5 %: two of 6 draws in 3 %
    assert strength > 1 or np.count_nonzero(with_two) >= 5  # beside strong signals the level is often in doubt


def test_next_to_nothing_left_of_a_channel_has_no_correlation() -> None:
    """What f^-4 noise and three strong components leave of some of 300 channels in 100 samples is rounding."""
    rng = np.random.default_rng(3)
    frequency = np.maximum(np.fft.rfftfreq(400), 1 / 400)[:, None]

    def power_law(slope: float, n: int) -> np.ndarray:
        half = rng.normal(size=(201, n)) + 1j * rng.normal(size=(201, n))
        return np.fft.irfft(half * frequency ** (-slope / 2), axis=0)[:100]

    noise, slow = power_law(4, 300), power_law(2, 3)
    floor = quiet(recording(noise + 3 * noise.std() * slow / slow.std(axis=0) @ rng.normal(size=(3, 300))))
    assert (floor.rank, floor.rank_is, floor.doubt) == (3, "determined", "")
