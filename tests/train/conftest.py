"""Published sets of short recordings, for tests of what training reaches."""

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

READER = Path(__file__).parents[2] / "benchmarks" / "_archive.py"


@pytest.fixture(scope="session")
def archive() -> Callable[[str], Any]:
    """From the name of a set to its train and test part, each X (n, channel, time) and labels."""
    spec = importlib.util.spec_from_file_location("_archive", READER)
    assert spec is not None
    assert spec.loader is not None
    reader = importlib.util.module_from_spec(spec)
    sys.modules["_archive"] = reader
    spec.loader.exec_module(reader)
    if reader.folder() is None:
        pytest.skip("sktime is not installed: its wheel holds the sets (pip install --no-deps sktime)")
    load: Callable[[str], Any] = reader.load
    return load
