"""What is public is what `dir()` lists, and all of it is there; `import sciml` loads next to nothing."""

import pkgutil
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

import sciml

PACKAGES = ["sciml"] + [each.name for each in pkgutil.walk_packages(sciml.__path__, "sciml.") if each.ispkg]
PUBLIC = [name for name in PACKAGES if hasattr(import_module(name), "__all__") and ".readers." not in name]
WITHOUT_STUB = {  # loaded at once: a table made of its members, or a module called as a function of another
    "sciml.denoise.lowrank",
    "sciml.denoise.patches",
    "sciml.io.arrays",
    "sciml.nn.init.methods",
    "sciml.nn.models",
    "sciml.pipeline.tasks",
}


@pytest.mark.parametrize("name", PUBLIC)
def test_dir_lists_what_is_public_and_all_of_it_is_there(name: str) -> None:
    package = import_module(name)
    assert sorted(dir(package)) == sorted(package.__all__)
    for each in package.__all__:
        assert getattr(package, each) is not None


@pytest.mark.parametrize("name", PUBLIC)
def test_no_module_takes_the_name_of_a_function(name: str) -> None:
    package = import_module(name)
    before = {each: getattr(package, each) for each in package.__all__}
    for found in pkgutil.iter_modules(package.__path__, f"{name}."):
        if found.name.rpartition(".")[2] in before:
            import_module(found.name)
    for each, value in before.items():
        assert getattr(package, each) is value
        if isinstance(value, ModuleType):
            assert value.__name__ == f"{name}.{each}"


@pytest.mark.parametrize("name", PUBLIC)
def test_public_packages_have_stubs_for_editors(name: str) -> None:
    file = import_module(name).__file__
    assert file is not None
    assert Path(file).with_suffix(".pyi").exists() is (name not in WITHOUT_STUB)


ORDERS = ("import sciml; import xarray", "import xarray; import sciml", "import sciml.noise; import xarray")


@pytest.mark.parametrize("order", ORDERS)
def test_recordings_carry_the_accessor_whichever_package_came_first(order: str) -> None:
    code = f"{order}; print(xarray.DataArray.sciml.__name__)"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "RecordingAccessor"


def test_import_sciml_loads_next_to_nothing() -> None:
    code = "import sys, sciml; print([m for m in ('numpy', 'xarray', 'torch', 'scipy', 'h5py') if m in sys.modules])"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"
