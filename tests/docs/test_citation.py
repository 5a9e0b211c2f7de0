"""The citation file says what the package says."""

import tomllib
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]


def test_citation_agrees_with_the_package():
    yaml = pytest.importorskip("yaml")
    citation = yaml.safe_load((REPOSITORY / "CITATION.cff").read_text())
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    assert citation["version"] == project["version"]
    assert citation["license"] == project["license"]
    assert [author["name"] for author in citation["authors"]] == [author["name"] for author in project["authors"]]
    assert citation["cff-version"] == "1.2.0"
