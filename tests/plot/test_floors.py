"""Figures on the user's axes: they hold the numbers of the result, in the user's colors, and open nothing."""

import subprocess
import sys
from functools import cache

import matplotlib as mpl
import numpy as np
import pytest
import xarray as xr
from cycler import cycler
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sciml import plot
from sciml.errors import ConfigError
from sciml.noise import NoiseFloor, SpectralNoiseFloor, noise_floor, spectral_noise_floor

NAMES = ("components", "eigenvalues", "power_spectrum", "scree", "shared_noise")


@cache
def recording() -> xr.DataArray:
    rng = np.random.default_rng(4)
    clock = np.arange(1500) / 250.0
    x = rng.normal(size=(1500, 12)) + np.outer(np.sin(2 * np.pi * 7 * clock), rng.normal(size=12))
    return xr.DataArray(x, dims=("time", "channel"), attrs={"sampling_rate": 250.0, "units": "uV"})


@cache
def floor() -> NoiseFloor:
    return noise_floor(recording())


@cache
def spectral() -> SpectralNoiseFloor:
    return spectral_noise_floor(recording())


def axes() -> Axes:
    return Figure().subplots()


def test_scree_has_the_eigenvalues_and_the_edge() -> None:
    ax = floor().plot.scree(ax=axes())
    order, values = ax.lines[0].get_data()
    assert np.array_equal(values, floor().eigenvalues[: len(order)])
    assert [set(line.get_ydata()) for line in ax.lines if line.get_label().startswith("edge")] == [{floor().edge}]


@pytest.mark.parametrize("white", [False, True])
def test_histogram_counts_the_noise_and_its_law_adds_up(white: bool) -> None:
    ax = floor().plot(ax=axes(), white=white)
    values, edge = (floor().mp_eigenvalues, floor().mp_edge) if white else (floor().eigenvalues, floor().edge)
    assert ax.patches[0].get_data().values.sum() == (values <= edge).sum()
    beyond = next(line for line in ax.lines if line.get_marker() == "v")
    assert np.array_equal(beyond.get_xdata(), values[values > edge])


def test_spectrum_of_the_noise_is_the_root_of_its_density() -> None:
    ax = floor().plot.power_spectrum(ax=axes())
    noise = next(line for line in ax.lines if line.get_label() == "estimated noise")
    at = np.searchsorted(floor().frequency, noise.get_xdata())
    assert np.allclose(np.square(noise.get_ydata()), floor().psd[at])


def test_spectrum_of_a_recording_integrates_to_its_variance() -> None:
    one = recording().isel(channel=[0])
    curve = plot.power_spectrum(one, ax=axes()).lines[0]
    variance = np.trapezoid(np.square(curve.get_ydata()), np.asarray(curve.get_xdata()))
    assert variance == pytest.approx(float(one.var()), rel=0.1)


def test_floor_in_frequency_has_its_eigenvalues_and_edge() -> None:
    lines = {line.get_label(): line for line in spectral().plot(ax=axes()).lines}
    assert np.array_equal(lines["largest eigenvalue"].get_ydata(), spectral().eigenvalues[:, 0])
    assert np.array_equal(lines["edge of pure noise"].get_ydata(), spectral().edge)


def test_component_has_time_course_and_map() -> None:
    ax = floor().plot.components(recording(), ax=axes())
    found = ax.lines[0].get_ydata()
    expected = ((recording().values - floor().channel_mean) / floor().channel_scale) @ floor().filters[:, 0]
    assert np.nanmax(np.abs(found)) == pytest.approx(np.abs(expected).max())
    (side,) = ax.child_axes
    heights = [path.vertices[1, 1] for path in side.collections[0].get_paths()]
    assert np.allclose(heights, floor().components[:, 0])


def test_gap_breaks_a_time_course() -> None:
    time = np.arange(1500) / 250.0
    time[700:] += 3
    broken = recording().drop_attrs().assign_coords(time=("time", time, {"units": "s"}))
    assert np.isnan(floor().plot.components(broken, ax=axes()).lines[0].get_ydata()).sum() == 1


def test_component_within_the_noise_is_refused() -> None:
    with pytest.raises(ConfigError, match=f"from 1 to {floor().rank}"):
        floor().plot.components(ax=axes(), component=floor().rank + 1)


def test_figures_have_the_colors_of_the_user() -> None:
    with mpl.rc_context({"axes.prop_cycle": cycler(color=["#010203", "#040506"])}):
        assert floor().plot.power_spectrum(ax=axes()).lines[1].get_color() == "#010203"
        assert floor().plot.scree(ax=axes()).lines[1].get_color() == "#040506"


@pytest.mark.parametrize("name", NAMES)
def test_floors_list_their_figures_and_return_the_axes(name: str) -> None:
    ax = axes()
    assert dir(floor().plot) == list(NAMES)
    assert getattr(floor().plot, name)(ax=ax) is ax


def test_unknown_figure_is_answered_with_those_there_are() -> None:
    with pytest.raises(AttributeError, match="there are components, eigenvalues"):
        floor().plot.histogram  # noqa: B018


def test_floors_load_no_matplotlib_and_axes_of_the_user_no_pyplot() -> None:
    code = (
        "import sys; from sciml.noise import NoiseFloor; print('matplotlib' in sys.modules); "
        "import sciml.plot; sciml.plot.scree; print('matplotlib.pyplot' in sys.modules)"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True).split() == ["False", "False"]
