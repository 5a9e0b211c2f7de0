"""Figures of recordings: their numbers are those of plain numpy, and what is loud is found where it was put."""

import numpy as np
import pytest
import xarray as xr
from matplotlib.figure import Figure
from scipy.signal import butter, sosfiltfilt

from sciml.errors import ConfigError, DataError
from sciml.noise import noise_floor
from sciml.plot import components, layout, loudest_moment, movie_map, movie_maps, time_frequency, traces
from sciml.plot.raster import RasterAccumulator, raster_of
from sciml.recording import blocks


def movie(n: int = 60, rows: int = 7, columns: int = 9) -> xr.DataArray:
    values = 1e4 + np.random.default_rng(0).normal(size=(n, rows, columns)).cumsum(axis=2)
    return xr.DataArray(values, dims=("time", "y", "x"), attrs={"units": "count", "sampling_rate": 10.0})


def test_maps_of_a_movie_are_those_of_numpy() -> None:
    recording = movie()
    found, values = movie_maps(recording), recording.values
    np.testing.assert_allclose(found.mean, values.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(found.sd, values.std(axis=0), rtol=1e-9)
    np.testing.assert_allclose(found.noise, np.sqrt(np.mean(np.diff(values, axis=0) ** 2, axis=0) / 2), rtol=1e-9)
    y, x = 3, 4
    around = [(y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)]
    expected = np.mean([np.corrcoef(values[:, y, x], values[:, a, b])[0, 1] for a, b in around])
    assert found.correlation[y, x] == pytest.approx(expected, abs=1e-9)


def test_missing_frames_and_constant_pixels_of_a_movie() -> None:
    recording = movie().copy()
    recording[10:12] = np.nan
    recording[:, 0, 0] = 5.0
    recording[:, 1, 1] = np.nan
    found = movie_maps(recording)
    known = np.delete(recording.values, [10, 11], axis=0)
    np.testing.assert_allclose(found.sd[2:], known.std(axis=0)[2:], rtol=1e-9)
    assert np.isnan(found.mean[1, 1])
    assert found.sd[0, 0] == 0
    assert np.isfinite(found.correlation[0, 1])


@pytest.mark.parametrize("rows", [7, 64, 1000])
def test_rasters_hold_the_farthest_value_of_each_cell_however_they_are_read(rows: int) -> None:
    values = np.random.default_rng(1).normal(size=(1000, 5)) * [1, 2, 3, 4, 0]
    values[100:140, 1] = np.nan
    recording = xr.DataArray(values, dims=("time", "channel"), attrs={"sampling_rate": 50.0})
    made = RasterAccumulator(recording, columns=25)
    for part, block in blocks(recording, rows, across_gaps=True):
        made.add(part, block)
    found = made.result()
    z = (values - np.nanmean(values, axis=0)) / np.where(np.nanstd(values, axis=0) > 0, np.nanstd(values, axis=0), 1)
    cells = z.reshape(25, 40, 5)
    for column in range(25):
        for channel in range(5):
            cell = cells[column, :, channel]
            if np.isfinite(cell).any():
                expected = cell[np.nanargmax(np.abs(cell))]
                assert found.deviation[channel, column] == pytest.approx(expected, abs=1e-12)
            else:
                assert np.isnan(found.deviation[channel, column])
    assert (found.start, found.stop) == (0.0, 20.0)


def test_gaps_of_the_clock_stay_empty_in_a_raster() -> None:
    time = np.arange(200) / 10
    time[100:] += 20
    recording = xr.DataArray(
        np.random.default_rng(0).normal(size=(200, 3)), dims=("time", "channel"), coords={"time": time}
    )
    missing = np.isnan(raster_of(recording, columns=40).deviation)
    assert missing.all(axis=0).sum() == pytest.approx(20, abs=1)


def test_loudest_moments_of_noise_are_no_louder_than_noise() -> None:
    rng = np.random.default_rng(3)
    found = []
    for draw in range(20):
        noise = rng.normal(size=8192)
        colored = np.convolve(noise, np.exp(-np.arange(60) / (3 + draw)))[:8192]
        found.append(loudest_moment(xr.DataArray(colored, dims="time", attrs={"sampling_rate": 1024.0})).p_value)
    assert sum(p < 0.05 for p in found) <= 2  # the bound is above the chance; 20 draws at level .05


@pytest.mark.parametrize("at", [2.5, 5.0, 6.5])
def test_a_burst_is_found_where_it_was_put(at: float) -> None:
    t = np.arange(8192) / 1024
    burst = 4 * np.sin(2 * np.pi * 150 * (t - at)) * np.exp(-0.5 * ((t - at) / 0.02) ** 2)
    lines = 20 * np.sin(2 * np.pi * 60 * t)
    noise = np.random.default_rng(5).normal(size=8192)
    found = loudest_moment(xr.DataArray(noise + lines + burst, dims="time", attrs={"sampling_rate": 1024.0}))
    assert found.at == pytest.approx(at, abs=0.02)
    assert found.frequency == pytest.approx(150, rel=0.15)
    assert found.p_value < 1e-6


def test_what_has_no_loudest_moment_says_why() -> None:
    noise = xr.DataArray(
        np.random.default_rng(0).normal(size=(4096, 2)), dims=("time", "channel"), attrs={"sampling_rate": 1.0}
    )
    with pytest.raises(DataError, match="expected one channel, got 2"):
        loudest_moment(noise)
    with pytest.raises(DataError, match="constant"):
        loudest_moment(xr.zeros_like(noise[:, 0]))
    with pytest.raises(DataError, match="missing"):
        loudest_moment(noise[:, 0].where(np.arange(4096) != 7))


def test_layouts_color_each_channel_by_its_value_at_its_place() -> None:
    rng = np.random.default_rng(0)
    places = {
        "x": ("channel", rng.normal(size=12), {"units": "um"}),
        "y": ("channel", rng.normal(size=12), {"units": "um"}),
    }
    probe = xr.DataArray(
        rng.normal(size=(300, 12)) + 3 * rng.normal(size=(300, 1)), dims=("time", "channel"), coords=places
    )
    ax = layout(probe, ax=Figure().subplots(), values=np.arange(12.0) - 5)
    (points,) = ax.collections
    np.testing.assert_allclose(np.asarray(points.get_offsets()), np.stack([places["x"][1], places["y"][1]], axis=1))
    np.testing.assert_allclose(np.asarray(points.get_array()), np.arange(12.0) - 5)
    drawn = components(noise_floor(probe), probe, ax=Figure().subplots())
    assert drawn.child_axes[0].collections
    with pytest.raises(DataError, match="one value for each of 12 channels"):
        layout(probe, values=[1.0])
    with pytest.raises(DataError, match="coordinates of place"):
        layout(movie())


def test_axes_that_are_given_are_drawn_on() -> None:
    recording, figure = movie(), Figure()
    channels = recording.stack(channel=("y", "x")).reset_index("channel", drop=True)
    one = xr.DataArray(np.random.default_rng(0).normal(size=4096), dims="time", attrs={"sampling_rate": 100.0})
    for ax, draw in zip(
        figure.subplots(2, 2).ravel(),
        (lambda ax: traces(channels, ax), lambda ax: traces(channels[:, :3], ax), lambda ax: movie_map(recording, ax),
         lambda ax: time_frequency(one, ax)),
        strict=True,
    ):  # fmt: skip
        assert draw(ax) is ax
        assert ax.has_data()
    with pytest.raises(ConfigError, match="kind"):
        movie_map(recording, kind="median")


@pytest.mark.parametrize("cutoff", [50, 100])
def test_filtered_noise_has_no_loud_moment_at_its_ends(cutoff: float) -> None:
    sos = butter(4, cutoff, fs=1000, output="sos")
    for seed in range(6):
        noise = sosfiltfilt(sos, np.random.default_rng(seed).normal(size=4096))
        assert loudest_moment(xr.DataArray(noise, dims="time", attrs={"sampling_rate": 1000.0})).p_value > 0.05


def test_counts_get_no_chance() -> None:
    counts = np.random.default_rng(0).poisson(0.05, size=8192)
    assert np.isnan(loudest_moment(xr.DataArray(counts, dims="time", attrs={"sampling_rate": 1000.0})).p_value)
