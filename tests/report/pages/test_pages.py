"""Pages in a browser, as wide as a screen and a telephone: no text overlaps, is cut or broken; the answer is first."""

import re
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from sciml.denoise import denoise_patches
from sciml.errors import DataError, ScimlError
from sciml.io import list_signals, open_recording
from sciml.report import Finding, Report, denoising_report, report, together
from tests.conftest import DATA
from tests.report.pages.browser import CHROMIUM, faults

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")
FILES = (
    sorted(path.name for path in DATA.glob("*.*") if path.suffix not in (".md", ".nii", ".gz")) if DATA.is_dir() else []
)
MEGABYTE = 1_000_000
MOST = {"time": 2000, "frame": 60, "channel": 48, "y": 36, "x": 36}  # a page takes its time from the sizes


def largest(path: Path) -> str | None:
    """Return the signal that a person would ask for: the file's only one, or the one of most values."""
    signals = list_signals(path)
    if not signals:
        pytest.skip("the file has no signal to open")
    return max(signals, key=lambda each: int(np.prod(each.shape, dtype=np.int64))).path


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", FILES)
def test_pages_of_measured_recordings_are_read_at_a_glance(name: str, data_dir: Path, tmp_path: Path) -> None:
    try:
        recording = open_recording(data_dir / name, largest(data_dir / name))
    except ScimlError as error:
        pytest.skip(f"cannot be opened: {error}")
    recording = recording.isel({dim: slice(0, MOST[str(dim)]) for dim in recording.dims if dim in MOST})
    try:
        page = report(recording).to_html()
    except DataError as error:
        pytest.skip(f"has nothing to report on: {error}")
    assert len(page.encode()) < MEGABYTE
    assert faults({name: page}, tmp_path) == {f"{name} at {width}": [] for width in (1280, 390)}


def test_pages_of_denoised_movies_and_of_several_recordings(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    movie = xr.DataArray(rng.normal(size=(40, 24, 20)), dims=("time", "y", "x"), attrs={"sampling_rate": 30.0})
    channels = xr.DataArray(rng.normal(size=(600, 8)), dims=("time", "channel"), attrs={"sampling_rate": 10.0})
    denoised = denoising_report(movie, denoise_patches(movie, patch={"y": 7, "x": 7}), title="Denoised").to_html()
    several = together([report(channels, title="monday"), report(-channels, title="tuesday")]).to_html()
    assert denoised.count('type="radio"') == 4
    found = faults({"denoised": denoised, "several": several}, tmp_path)
    assert found == {f"{name} at {width}": [] for name in ("denoised", "several") for width in (1280, 390)}


def test_the_check_sees_what_is_wrong(tmp_path: Path) -> None:
    places = {"one": (10, 20), "two": (11, 21), "wide": (96, 40)}
    texts = "".join(f'<text x="{x}" y="{y}">{text}</text>' for text, (x, y) in places.items())
    svg = f'<svg viewBox="0 0 100 50">{texts}</svg>'
    page = Report(title="x", kind="recording", findings=(Finding("word " * 600),)).to_html()
    page = page.replace(
        "</main>",
        f'{svg}<p style="width:3rem;overflow-wrap:anywhere">uninterruptedness</p><p style="width:3000px">.</p></main>',
    )
    (found, _) = faults({"wrong": page}, tmp_path).values()
    for fault in (
        'overlap: "one" and "two"',
        'cut by its figure: "wide"',
        'broken word: "uninterruptedness"',
        "body scrolls",
        "below the first screen",
    ):
        assert any(fault in each for each in found), (fault, found)


def test_contrast_of_text_is_enough_in_light_and_in_dark() -> None:
    style = re.search(r"<style>(.*?)</style>", Report(title="x", kind="recording").to_html(), re.DOTALL)
    assert style
    light, dark = (
        dict(re.findall(r"--(\w+): (#\w{6})", block))
        for block in re.findall(r":root \{(.*?)\}", style[1], re.DOTALL)[:2]
    )
    for colors in (light, dark):
        for role in ("ink", "muted", "accent", "signal", "alternate", "alarm"):
            for paper in ("paper", "wash"):
                assert contrast(colors[role], colors[paper]) >= 4.5, (role, paper)


def contrast(one: str, other: str) -> float:
    """Return the contrast ratio of two colors (WCAG 2.2)."""
    low, high = sorted(luminance(each) for each in (one, other))
    return (high + 0.05) / (low + 0.05)


def luminance(color: str) -> float:
    values = np.array([int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)])
    linear = np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])
