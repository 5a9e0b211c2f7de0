"""What `sciml doctor` says of an installation that lacks something."""

from importlib import metadata

import pytest

from sciml import environment


@pytest.fixture
def without(monkeypatch):
    """Let packages be missing, or of another version."""
    versions: dict[str, str | None] = {}
    found = metadata.version

    def version(name):
        if versions.get(name, "") is None:
            raise metadata.PackageNotFoundError(name)
        return versions.get(name) or found(name)

    monkeypatch.setattr(metadata, "version", version)
    return versions


def test_this_installation_lacks_nothing():
    assert [line for line in environment.diagnose().problems if "pip install" in line] == []


@pytest.mark.parametrize("name", ["torch", "h5py", "matplotlib"])
def test_what_is_missing_is_named_with_its_command(without, name):
    without[name] = None
    problems = environment.diagnose().problems
    assert any(line.startswith(f'{name} is not installed: run `pip install "{name}>=') for line in problems)


def test_what_is_too_old_is_named_with_its_command(without):
    without["xarray"] = "2020.1"
    assert any(
        line.startswith("xarray 2020.1 is not the version that sciml needs, >=")
        for line in environment.diagnose().problems
    )


def test_options_name_the_command_that_brings_them(without):
    without["zarr"] = None
    health = environment.diagnose()
    assert health.facts["Zarr folders"] == 'missing: pip install "sciml[zarr]"'
    assert not any("zarr" in line for line in health.problems)
