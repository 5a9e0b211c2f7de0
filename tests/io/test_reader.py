"""The reader that CONTRIBUTING.md shows works as it stands there."""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import h5py
import numpy as np
import pytest

import sciml.io
from sciml.io import _registry

GUIDE = Path(__file__).resolve().parents[2] / "CONTRIBUTING.md"


def test_the_reader_of_the_guide_opens_its_format(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", GUIDE.read_text(), re.DOTALL)
    assert len(code.splitlines()) < 60
    names: dict[str, type] = {}
    exec(code, names)  # noqa: S102 - our own guide
    monkeypatch.setattr(_registry, "readers", lambda: (names["Seismo"](), *_registry.BUILT_IN))
    counts = np.arange(12, dtype=np.int16).reshape(6, 2)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.attrs["format"] = "seismo"
        file["counts"] = counts
        file["counts"].attrs.update(rate=50.0, gain=2e-9)
    recording = sciml.io.open_recording(tmp_path / "a.h5")
    assert (recording.dims, recording.attrs["units"]) == (("time", "station"), "m/s")
    assert recording.attrs["sampling_rate"] == 50.0
    np.testing.assert_allclose(recording.values, counts * 2e-9, rtol=1e-6)  # float32 for 16-bit counts


def test_a_package_that_is_installed_brings_its_reader(tmp_path: Path) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", GUIDE.read_text(), re.DOTALL)
    (declared,) = re.findall(r"```toml\n(.*?)```", GUIDE.read_text(), re.DOTALL)
    ((group, points),) = tomllib.loads(declared)["project"]["entry-points"].items()
    (tmp_path / "my_package.py").write_text(code)
    installed = tmp_path / "my_package-1.0.dist-info"
    installed.mkdir()
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: my_package\nVersion: 1.0\n")
    lines = [f"{name} = {target}" for name, target in points.items()]
    (installed / "entry_points.txt").write_text("\n".join([f"[{group}]", *lines]) + "\n")
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.attrs["format"] = "seismo"
        file["counts"] = np.ones((6, 2), dtype=np.int16)
        file["counts"].attrs.update(rate=50.0, gain=2e-9)
    program = "import sys, sciml.io as io; print(io.open_recording(sys.argv[1]).attrs['reader'])"
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    words = [sys.executable, "-c", program, str(tmp_path / "a.h5")]
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "seismo"
