"""The reference: every public name, every key of a configuration and every command has its place."""

import importlib.util
import inspect
from pathlib import Path

import pytest

from sciml.pipeline.config import known_keys

REPOSITORY = Path(__file__).parents[2]
SOURCE = REPOSITORY / "docs" / "_extensions" / "reference_pages.py"


@pytest.fixture(scope="module")
def reference():
    spec = importlib.util.spec_from_file_location("reference_pages", SOURCE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def pages(reference, tmp_path_factory):
    return {path.stem: path.read_text() for path in reference.write_pages(tmp_path_factory.mktemp("reference"))}


def test_every_public_name_has_its_page(reference, pages):
    modules = reference.public_modules()
    names = {f"{module}.{name}" for module, each in modules.items() for name in each.__all__}
    assert len(names) > 400
    assert names - pages.keys() == set()
    assert modules.keys() - pages.keys() == set()


def test_every_package_lists_its_names(reference):
    assert [name for name, module in reference.public_modules().items() if not module.__all__] == []


def test_every_class_and_function_says_what_it_is(reference):
    silent = [
        f"{module}.{name}"
        for module, each in reference.public_modules().items()
        for name, member in reference.public_names(each).items()
        if (inspect.isfunction(member) or isinstance(member, type)) and not (inspect.getdoc(member) or "").strip()
    ]
    assert silent == []


def test_every_key_of_a_configuration_is_explained(pages):
    missing = [key for key in known_keys() if f"`{key}`" not in pages["configuration"]]
    assert missing == []


def test_every_command_shows_its_help(pages):
    assert all(f"## sciml {name}\n" in pages["commands"] for name in ("info", "fit", "spectrum noise", "datasets make"))


@pytest.mark.parametrize(
    ("plain", "expected"),
    [("|x| of a * b", r"\|x\| of a \* b"), ("`|x|` and sigma_", r"`|x|` and sigma\_"), ("n_samples", "n_samples")],
    ids=["bars", "code", "names"],
)
def test_plain_docstrings_are_no_markup(reference, plain, expected):
    assert reference.escaped(plain) == expected
