"""Stored outputs of the notebooks: there, small, of no machine, without warnings."""

import json
import re
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"
NOTEBOOKS = sorted([*(DOCS / "gallery").glob("*.ipynb"), *(DOCS / "programme").glob("*.ipynb")])
LARGEST = 300_000  # bytes
PLACES = re.compile(r"/(tmp|home|root|Users|work)/\w")


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_outputs_are_stored_and_clean(path):
    text = path.read_text()
    code = [cell for cell in json.loads(text)["cells"] if cell["cell_type"] == "code"]
    outputs = [output for cell in code for output in cell["outputs"]]
    assert len(text) < LARGEST
    assert any("image/png" in output.get("data", {}) for output in outputs)
    assert [output["text"] for output in outputs if output.get("name") == "stderr"] == []
    assert [output for output in outputs if output["output_type"] == "error"] == []
    assert PLACES.findall(text) == []


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebooks_check_what_they_say(path):
    source = "".join("".join(cell["source"]) for cell in json.loads(path.read_text())["cells"])
    assert "assert" in source
    assert source.startswith("# ")


def test_each_folder_lists_its_notebooks():
    for folder in (DOCS / "gallery", DOCS / "programme"):
        listed = folder.joinpath("index.md").read_text().split()
        assert {path.stem for path in folder.glob("*.ipynb")} - set(listed) == set()
