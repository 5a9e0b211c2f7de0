"""A small recording with trials, and settings of a fit that takes about a second."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sciml.pipeline import Config, assign
from sciml.simulate import Simulation, population_recording, write_nwb


@pytest.fixture(scope="session")
def simulation() -> Simulation:
    return population_recording(n_neurons=16, duration=180.0, seed=3)


@pytest.fixture(scope="session")
def file(simulation: Simulation, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_nwb(simulation, tmp_path_factory.mktemp("recording") / "small.nwb")


@pytest.fixture
def settings(file: Path) -> Callable[..., Config]:
    def make(*assignments: str, task: str = "classify", files: tuple[Path, ...] = (file,)) -> Config:
        labels = {"labels": "intervals/trials:stimulus"} if task == "classify" else {}
        values: dict[str, Any] = {
            "task": task,
            "data": {"files": [str(each) for each in files], **labels},
            "model": {"options": {"width": 4}},
            "train": {"epochs": 3, "device": "cpu"},
        }
        return assign(values, assignments)

    return make
