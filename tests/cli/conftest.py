"""Run one command line in this process, or as a process of its own."""

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from sciml.simulate import population_recording, write_nwb
from sciml_cli.app import run


@dataclass(frozen=True)
class Outcome:
    code: int
    out: str
    err: str


@pytest.fixture
def sciml(capfd: pytest.CaptureFixture[str]) -> Callable[..., Outcome]:
    def call(*args: object) -> Outcome:
        capfd.readouterr()
        code = run([str(arg) for arg in args])
        out, err = capfd.readouterr()
        return Outcome(code, out, err)

    return call


def command(*args: object) -> list[str]:
    return [sys.executable, "-m", "sciml_cli", *map(str, args)]


ENVIRONMENT = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}


@pytest.fixture
def process() -> Callable[..., subprocess.CompletedProcess[str]]:
    def call(*args: object, **settings: Any) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command(*args), capture_output=True, text=True, env=ENVIRONMENT, timeout=240, check=False, **settings
        )

    return call


@pytest.fixture
def background(interruptible: None) -> Callable[..., subprocess.Popen[str]]:
    def call(*args: object) -> subprocess.Popen[str]:
        return subprocess.Popen(
            command(*args), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT
        )

    return call


@pytest.fixture(scope="session")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small simulated recording with trials."""
    path = tmp_path_factory.mktemp("recording") / "small.nwb"
    return write_nwb(population_recording(n_neurons=16, duration=150.0, seed=1), path)


@pytest.fixture(scope="session")
def quick() -> list[str]:
    """Settings of a fit that takes about a second."""
    labels, net = ["--labels", "intervals/trials:stimulus"], ["--set", "model.options.width=4"]
    return [*labels, *net, "--device", "cpu", "--epochs", "2"]


@pytest.fixture(scope="session")
def fitted(recording: Path, quick: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run on the small recording; tests must leave it as it is."""
    out = tmp_path_factory.mktemp("fitted") / "run"
    assert run(["fit", str(recording), *quick, "--out", str(out), "--quiet"]) == 0
    return out
