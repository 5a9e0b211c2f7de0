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
import xarray as xr

import sciml.io
from sciml.errors import DataError
from sciml.io import registry
from sciml.io.reader import Contents, Signal, Tree, scaled

GUIDE = Path(__file__).resolve().parents[2] / "CONTRIBUTING.md"


def blocks(language: str) -> str:
    """Return the one block of code in a language in the section on readers."""
    section = GUIDE.read_text().partition("## Add a reader")[2].partition("\n## ")[0]
    (found,) = re.findall(rf"```{language}\n(.*?)```", section, re.DOTALL)
    return str(found)


def test_the_reader_of_the_guide_opens_its_format(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = blocks("python")
    assert len(code.splitlines()) < 60
    names: dict[str, type] = {}
    exec(code, names)  # noqa: S102 - our own guide
    monkeypatch.setattr(registry, "readers", lambda: (names["Seismo"](), *registry.BUILT_IN))
    counts = np.arange(12, dtype=np.int16).reshape(6, 2)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.attrs["format"] = "seismo"
        file["counts"] = counts
        file["counts"].attrs.update(rate=50.0, gain=2e-9)
    recording = sciml.io.open_recording(tmp_path / "a.h5")
    assert (recording.dims, recording.attrs["units"]) == (("time", "station"), "m/s")
    assert recording.attrs["sampling_rate"] == 50.0
    np.testing.assert_allclose(recording.values, counts * 2e-9, rtol=1e-6)  # float32 for 16-bit counts
    assert [(signal.path, signal.rate) for signal in sciml.io.list_signals(tmp_path / "a.h5")] == [("counts", 50.0)]
    assert sciml.io.describe(tmp_path / "a.h5").format == "Seismo"
    sciml.io.save_recording(recording, tmp_path / "b.nc")
    again = sciml.io.open_recording(tmp_path / "b.nc")
    assert again.identical(recording.load())


def test_a_package_that_is_installed_brings_its_reader(tmp_path: Path) -> None:
    code = blocks("python")
    declared = blocks("toml")
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


def _trip(_: list[str]) -> dict[str, xr.Variable]:
    units: dict[str, xr.Variable] = {}
    return {"a": units["unit"]}


class Surprised:
    """A reader that trips over the file it recognizes, at a place of choice."""

    name = "surprised"

    def __init__(self, where: str) -> None:
        self.where = where

    def sniff(self, tree: Tree) -> int:
        if self.where == "sniff":
            tree.root.children["absent"].text("name")
        return 90

    def scan(self, tree: Tree) -> Contents:
        node = tree.root.children["x" if self.where == "coords" else "absent"]
        signal = Signal(path="x", values=scaled(node), dims=("time",), kind="x", coords=_trip)
        return Contents(format="S", signals=(signal,))


@pytest.mark.parametrize(("where", "said"), [("scan", "KeyError: 'absent'"), ("coords", "KeyError: 'unit'")])
def test_what_a_reader_did_not_foresee_names_file_and_reader(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str, said: str
) -> None:
    monkeypatch.setattr(registry, "readers", lambda: (Surprised(where), *registry.BUILT_IN))
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["x"] = np.arange(5.0)
    with pytest.raises(DataError, match=rf"a\.h5: the reader 'surprised' did not expect this file \({said}"):
        sciml.io.open_recording(tmp_path / "a.h5")


@pytest.mark.parametrize("where", ["sniff", "scan"])
def test_what_is_in_a_file_is_told_though_a_reader_trips(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    monkeypatch.setattr(registry, "readers", lambda: (Surprised(where), *registry.BUILT_IN))
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["x"] = np.arange(5.0)
    found = sciml.io.describe(tmp_path / "a.h5")
    assert [signal.path for signal in found.signals] == ["x"]
    (failed,) = [one for one in found.findings if one.code == "reader_failed"]
    assert failed.severity == "error"
    assert "surprised" in failed.message
