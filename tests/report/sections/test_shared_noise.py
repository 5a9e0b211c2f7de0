"""A page on a recording whose neighbors share noise: how far, and no claim of floors that know nothing of it."""

import numpy as np
import xarray as xr

from sciml.report import report


def test_shared_noise_is_drawn_and_said() -> None:
    rng = np.random.default_rng(0)
    white = rng.normal(size=(400, 8, 13))
    movie = xr.DataArray(white[..., 1:] + 0.6 * white[..., :-1], dims=("time", "y", "x"), attrs={"sampling_rate": 10.0})
    page = report(movie)
    said = " ".join(finding.text for finding in page.findings)
    assert "Neighboring channels share noise: correlation none along y; 0.4" in said
    assert "along x alone is what a scan line by line" in said
    assert "Channels share activity" not in said
    floor = next(section for section in page.sections if section.title == "Noise floor")
    figure = next(each for each in floor.figures if each.title == "Noise that neighbors share")
    lags = {(row[0], row[1]): row[3] for row in figure.table.rows}
    expected = 0.6 / 1.36
    assert abs(lags["x", 1.0] - expected) < 0.02
    assert abs(lags["y", 1.0]) < 0.02
    assert page.numbers["noise_floor"]["spatial"]["x"]["range"] == 1.0
