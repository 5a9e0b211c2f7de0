"""Pages of recordings without time, of several reports, and figures of one's own."""

import json
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from matplotlib.figure import Figure

from sciml.errors import ConfigError, DataError
from sciml.report import Finding, Report, report, together
from sciml.report.measure_values import measure_values, picture_dims


def image(**attrs: object) -> xr.DataArray:
    values = np.random.default_rng(0).poisson(3.0, size=(5, 30, 40))
    return xr.DataArray(values, dims=("frame", "y", "x"), attrs={"units": "count", **attrs})


def test_values_are_those_of_numpy() -> None:
    recording = image()
    found = measure_values(recording)
    values = recording.values.astype(float)
    np.testing.assert_allclose(found.quantiles, np.quantile(values, [0, 0.05, 0.5, 0.95, 1]))
    assert found.mean == pytest.approx(values.mean())
    assert found.sd == pytest.approx(values.std())
    assert found.n_zero == (values == 0).sum()
    np.testing.assert_array_equal(found.counts, np.bincount(recording.values.ravel()))
    assert found.mean_map is not None
    assert found.sd_map is not None
    np.testing.assert_allclose(found.mean_map.values, values.mean(axis=0))
    np.testing.assert_allclose(found.sd_map.values, values.std(axis=0))
    np.testing.assert_allclose(found.profiles["frame"][1], values.mean(axis=(1, 2)))


def test_no_page_advises_to_call_an_axis_time() -> None:
    page = report(image()).to_html()
    assert "rename" not in page
    assert "has no time" in page


def test_saturated_missing_and_masked_values_are_said() -> None:
    values = np.random.default_rng(0).uniform(0, 90, size=(40, 50))
    values[:4] = 100.0
    values[-2:] = np.nan
    mask = np.zeros((40, 50), bool)
    mask[20] = True
    recording = xr.DataArray(values, dims=("y", "x"), coords={"mask": (("y", "x"), mask)})
    text = " ".join(finding.text for finding in report(recording).findings)
    assert "7.5 % of the values are missing or masked" in text
    assert "10 % of the values are the highest, 100, as where a detector saturates" in text


@pytest.mark.parametrize(
    "recording",
    [
        xr.DataArray(np.arange(9.0), dims="energy"),
        xr.DataArray(np.full((4, 5), 7), dims=("y", "x")),
        xr.DataArray(np.ones((2, 3, 4, 5)), dims=("a", "b", "c", "d")),
        xr.DataArray(np.exp(1j * np.arange(12.0)).reshape(3, 4), dims=("y", "x")),
        xr.DataArray(np.arange(10) > 3, dims="event"),
        xr.DataArray(np.float64(3.5)),
        xr.DataArray(np.array([[1.0, np.nan], [np.inf, 2.0]]), dims=("y", "x")),
        xr.DataArray(np.arange(3), dims="x", coords={"x": ["a", "b", "c"]}),
    ],
    ids=["curve", "constant", "four axes", "complex", "bool", "one value", "not finite", "labels"],
)
def test_odd_values_get_a_page_too(recording: xr.DataArray) -> None:
    made = report(recording)
    assert "<svg" in made.to_html()
    json.loads(made.to_json())


def test_large_arrays_are_sampled_and_that_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sciml.report.measure_values.HELD", 1000)
    made = report(image())
    assert any("evenly spaced" in finding.text for finding in made.findings)


def test_what_has_no_values_is_refused() -> None:
    with pytest.raises(DataError, match="expected values"):
        report(xr.DataArray(np.zeros((0, 3)), dims=("y", "x")))
    with pytest.raises(DataError, match="missing ones"):
        report(xr.DataArray(np.full((2, 3), np.nan), dims=("y", "x")))


def test_pictures_are_of_rows_and_columns() -> None:
    assert picture_dims(xr.DataArray(np.zeros((4, 20, 30)), dims=("x", "y", "frame"))) == ("y", "x")
    assert picture_dims(xr.DataArray(np.zeros((4, 300)), dims=("pass", "energy"))) is None


def test_figures_of_ones_own_join_a_report(tmp_path: Path) -> None:
    figure = Figure()
    ax = figure.subplots()
    ax.scatter(*np.random.default_rng(0).normal(size=(2, 20_000)))
    made = Report(title="x", kind="recording", findings=(Finding("a"),))
    assert made.add_figure(figure, "Cloud", "Many <points>.").add_figure(ax, "Again", section="Mine") is made
    assert [section.title for section in made.sections] == ["More figures", "Mine"]
    page = made.to_html()
    assert "Many &lt;points&gt;." in page
    assert len(page) < 400_000  # a picture where vectors would be large
    made.to_html(tmp_path / "page.html")
    with pytest.raises(ConfigError, match="expected a matplotlib figure or axes, got str"):
        made.add_figure("page.png", "x")
    with pytest.raises(ConfigError, match="a title"):
        made.add_figure(figure, " ")


def test_several_reports_keep_their_numbers_and_names() -> None:
    rng = np.random.default_rng(0)
    days = [
        xr.DataArray(rng.normal(size=(300, 6)), dims=("time", "channel"), attrs={"source": name, "sampling_rate": 10.0})
        for name in ("one.h5", "two.h5", "two.h5")
    ]
    made = together([report(day) for day in days])
    assert [finding.text.partition(":")[0] for finding in made.findings] == ["one.h5", "two.h5 (2)", "two.h5 (3)"]
    assert set(made.numbers) == {"one.h5", "two.h5 (2)", "two.h5 (3)"}
    facts = made.sections[0].tables[0]
    assert facts.columns == ("property", "one.h5", "two.h5 (2)", "two.h5 (3)")
    assert len(made.sections[0].figures) == 3
    with pytest.raises(ConfigError, match="two reports or more"):
        together([report(days[0])])


def test_recordings_at_the_end_of_their_converter_are_said_to_be() -> None:
    rng = np.random.default_rng(0)
    clipped = np.clip(rng.normal(size=(2000, 8)) * 40_000, -32_768, 32_767).astype(np.int16)
    expected = [100 * np.mean(clipped == end) for end in (-32_768, 32_767)]
    attrs = {"sampling_rate": 100.0}
    found = report(xr.DataArray(clipped, dims=("time", "channel"), attrs=attrs)).findings
    text = next(finding.text for finding in found if "saturates" in finding.text)
    assert f"{expected[0]:.3g} % are the lowest" in text
    assert f"{expected[1]:.3g} % are the highest" in text
    for fine in (rng.normal(size=(200, 3)), rng.poisson(0.1, size=(900, 6)), rng.normal(size=(900, 6)) > 1):
        made = report(xr.DataArray(fine, dims=("time", "channel"), attrs=attrs))
        assert not any("saturates" in finding.text for finding in made.findings)
