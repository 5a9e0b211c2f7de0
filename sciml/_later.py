"""xarray, loaded when it is first used: with pandas it takes as long as looking at thirty files.

Recordings carry an accessor, `recording.sciml`. It is there as soon as both packages are, whichever came first.
"""

import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType
from typing import TYPE_CHECKING, Any

__all__ = ["register_accessor", "xr"]

XARRAY = "xarray"

if TYPE_CHECKING:
    import xarray as xr
else:

    class _Later(ModuleType):
        def __getattr__(self, name: str) -> Any:
            return getattr(import_module(self.__name__), name)

    xr = _Later(XARRAY)


def register_accessor() -> None:
    """Give recordings their accessor: now, if xarray is loaded, else as soon as somebody loads it."""
    if XARRAY in sys.modules:
        _register(sys.modules[XARRAY])
    elif not any(isinstance(finder, _AfterXarray) for finder in sys.meta_path):
        sys.meta_path.insert(0, _AfterXarray())


def _register(xarray: Any) -> None:
    # Half loaded (a circle of imports), or registered before
    if hasattr(xarray, "register_dataarray_accessor") and not hasattr(xarray.DataArray, "sciml"):
        accessor = import_module("sciml.verbs.accessor").RecordingAccessor
        xarray.register_dataarray_accessor("sciml")(accessor)


class _AfterXarray(MetaPathFinder):
    """Finds xarray where it is, and has the accessor registered after it has been executed."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return where xarray is; nothing of any other module."""
        del path, target
        if fullname != XARRAY:
            return None
        sys.meta_path[:] = [finder for finder in sys.meta_path if finder is not self]
        spec = find_spec(fullname)
        if spec is not None and spec.loader is not None:
            _followed(spec.loader)
        return spec


def _followed(loader: Any) -> None:
    """Have a loader register the accessor once it has executed its module."""
    execute = loader.exec_module

    def exec_module(module: ModuleType) -> None:
        execute(module)
        _register(module)

    loader.exec_module = exec_module
