"""xarray, loaded when it is first used: with pandas it takes as long as looking at thirty files."""

from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

__all__ = ["xr"]

if TYPE_CHECKING:
    import xarray as xr
else:

    class _Later(ModuleType):
        def __getattr__(self, name: str) -> Any:
            return getattr(import_module(self.__name__), name)

    xr = _Later("xarray")
