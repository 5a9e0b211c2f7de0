"""The section on what channels share at which frequency: a finding in words, or the reason why there is none."""

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from sciml.noise import spectral_noise_floor
from sciml.report import recording_report
from sciml.report.build import COHERENCE_CHANNELS
from sciml.report.sections.coherence import coherence_evidence


def recording(values: NDArray[np.float64]) -> xr.DataArray:
    return xr.DataArray(values, dims=("time", "channel"), attrs={"sampling_rate": 100.0})


def test_a_shared_line_is_a_finding_with_a_row_and_two_figures() -> None:
    values, t = np.random.default_rng(0).normal(size=(2000, 9)), np.arange(2000) / 100
    values[:, [1, 4, 8]] += np.sin(2 * np.pi * 20 * t)[:, None]
    found = coherence_evidence(spectral_noise_floor(recording(values)))
    assert found.findings[0].text.startswith(
        "Channels share activity in 1 band: 19.2 Hz to 21.1 Hz, strongest at 20.1 Hz"
    )
    assert found.findings[0].text.endswith("of the recording's power, 3 of 9 channels).")
    assert found.findings[0].severity == "result"
    assert len(found.section.figures) == 2
    row = dict(zip(found.section.tables[0].columns, found.section.tables[0].rows[0], strict=True))
    assert (round(row["peak [Hz]"]), row["channels"]) == (20, 3)


def test_noise_is_an_ordinary_answer() -> None:
    found = coherence_evidence(spectral_noise_floor(recording(np.random.default_rng(1).normal(size=(2000, 9)))))
    assert found.findings[0].text == "No oscillation is shared by the channels at any frequency."
    assert len(found.section.figures) == 1


def test_what_is_too_short_or_too_large_says_why() -> None:
    rng = np.random.default_rng(2)
    short = recording_report(recording(rng.normal(size=(20, 4))))
    large = recording_report(recording(rng.normal(size=(200, COHERENCE_CHANNELS + 1))))
    for made, why in ((short, "Not shown: expected runs of at least"), (large, "--by-frequency")):
        section = next(each for each in made.sections if each.title == "The frequency-resolved floor")
        assert why in section.text
        assert not section.figures
        assert made.numbers["by_frequency"] is None
