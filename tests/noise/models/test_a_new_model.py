"""A new noise model is one class and one line in the registry: it is selected, fitted and reported."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from sciml.io import save_recording
from sciml.noise import noise_floor
from sciml.noise.matrix.noise_spectra import NoiseSpectra
from sciml.noise.models.base import Fit, Methods, NoiseModel, Prepared
from sciml.noise.models.registry import NOISE_MODELS, noise_model
from sciml.pipeline import validate
from sciml.report import report
from sciml.rmt.variance_profile import VarianceProfile
from sciml_cli.app import run as command


class Uniform(NoiseModel):
    """Noise without color, as a model of its own."""

    name = "uniform"
    words = "a dummy"
    methods = Methods("Noise was taken for a dummy.", ("johnstone",))

    def variance_profile(self, spectra: NoiseSpectra, prepared: Prepared) -> VarianceProfile:
        return VarianceProfile([[1.0]], row_counts=[prepared.matrix.dof], column_counts=[spectra.uniqueness.sum()])

    def rejected(self, fit: Fit, prepared: Prepared) -> str | None:
        return "it is colored" if fit.spectra.p_white() < 1e-3 else None

    def chosen(self, fit: Fit, prepared: Prepared) -> str:
        return f"the dummy explains {prepared.matrix.n_channels} channels"


@pytest.fixture(autouse=True)
def registered() -> Iterator[None]:
    NOISE_MODELS.insert(0, Uniform())
    yield
    NOISE_MODELS.pop(0)


def recording(*, colored: bool) -> xr.DataArray:
    rng = np.random.default_rng(0)
    noise = rng.normal(size=(501, 12)) * np.linspace(1, 2, 12)
    values = noise[1:] + 0.8 * colored * noise[:-1] + 2 * np.sin(np.arange(500) / 9)[:, None]
    return xr.DataArray(values, dims=("time", "channel"), attrs={"sampling_rate": 10.0})


def test_it_is_selected_and_fitted() -> None:
    floor = noise_floor(recording(colored=False))
    assert (floor.model, floor.rank, floor.converged) == ("uniform", 1, True)
    assert floor.reason == "the dummy explains 12 channels"
    plain = noise_floor(recording(colored=False), model="heteroscedastic")
    np.testing.assert_array_equal(floor.eigenvalues, plain.eigenvalues)
    np.testing.assert_array_equal(noise_floor(recording(colored=False), model="uniform").eigenvalues, plain.eigenvalues)


def test_it_is_rejected_where_it_says_so() -> None:
    floor = noise_floor(recording(colored=True))
    assert noise_model(floor.model).colored
    assert floor.reason.startswith("it is colored, the residual is correlated in time")


def test_it_is_reported() -> None:
    floor = noise_floor(recording(colored=False))
    made = report(floor)
    page = made.to_html()
    assert "Noise was taken for a dummy." in page
    assert "Noise model: uniform, chosen by test" in page
    assert made.numbers["noise_floor"]["model"] == "uniform"


def test_the_command_line_and_a_configuration_know_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save_recording(recording(colored=True), tmp_path / "a.nc")
    assert command(["spectrum", "noise", str(tmp_path / "a.nc"), "--model", "uniform", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["model"] == "uniform"
    assert validate({"noise": {"model": "uniform"}}).noise.model == "uniform"
    assert command(["spectrum", "noise", str(tmp_path / "a.nc"), "--model", "unknown"]) == 2
    assert "'uniform'" in capsys.readouterr().err
