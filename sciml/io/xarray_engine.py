"""The xarray engine "sciml": `xr.open_dataset` and `xr.open_datatree` on every format that sciml recognizes.

It is found by xarray through the entry point group `xarray.backends`; values stay in the file as in `open_recording`.
"""

import os
from collections.abc import Iterable
from typing import Any, ClassVar

import xarray as xr
from xarray.backends import BackendEntrypoint

from sciml.errors import ScimlError
from sciml.io.hdf5.guard import DEFAULT_LIMITS, Limits
from sciml.io.hdf5.tree import open_tree
from sciml.io.recordings.open import open_recording, recordings
from sciml.io.registry import choose

__all__ = ["ScimlBackend"]


class ScimlBackend(BackendEntrypoint):
    """Signals of a file as datasets: one variable, its coordinates, and its attributes.

    Examples
    --------
    >>> import h5py, pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "trace.h5"
    >>> with h5py.File(path, "w") as file:
    ...     file["run/trace"] = [1.0, 2.0, 3.0]
    >>> xr.open_dataset(path, engine="sciml", group="run/trace")["trace"].values.tolist()
    [1.0, 2.0, 3.0]
    >>> xr.open_datatree(path, engine="sciml")["run/trace/trace"].shape
    (3,)
    """

    description = "Laboratory HDF5: NWB, NeXus, GWOSC and other formats, in physical values with their clocks"
    url = "https://github.com/sciml/sciml"
    open_dataset_parameters: ClassVar[tuple[str, ...]] = ("filename_or_obj", "drop_variables", "group", "limits")
    supports_groups = True

    def guess_can_open(self, filename_or_obj: Any) -> bool:
        """Claim only files that a reader of a format recognizes; any other HDF5 is left to other engines."""
        if not isinstance(filename_or_obj, (str, os.PathLike)):
            return False
        try:
            with open_tree(filename_or_obj) as tree:
                return choose(tree).name != "plain"
        except ScimlError:
            return False

    def open_dataset(  # type: ignore[override]
        self,
        filename_or_obj: str | os.PathLike[str],
        *,
        drop_variables: str | Iterable[str] | None = None,
        group: str | None = None,
        limits: Limits = DEFAULT_LIMITS,
    ) -> xr.Dataset:
        """Return one signal, `group`, named as for `open_recording`; None takes the only or the default one."""
        return _dataset(open_recording(filename_or_obj, group, limits=limits), drop_variables)

    def open_groups_as_dict(  # type: ignore[override]
        self,
        filename_or_obj: str | os.PathLike[str],
        *,
        drop_variables: str | Iterable[str] | None = None,
        group: str | None = None,
        limits: Limits = DEFAULT_LIMITS,
    ) -> dict[str, xr.Dataset]:
        """Return every signal (below `group`) by its path; those that cannot be opened are in attrs["omitted"]."""
        opened, omitted, attrs = recordings(filename_or_obj, below=group or "", limits=limits)
        root = xr.Dataset(attrs={**attrs, **({"omitted": omitted} if omitted else {})})
        return {"/": root, **{_place(path, opened): _dataset(one, drop_variables) for path, one in opened.items()}}

    def open_datatree(self, filename_or_obj: Any, **settings: Any) -> xr.DataTree:
        """Return every signal of a file as a leaf of a tree."""
        return xr.DataTree.from_dict(self.open_groups_as_dict(filename_or_obj, **settings))


def _place(path: str, paths: Iterable[str]) -> str:
    """Return where a signal stands in a tree of xarray.

    A child inherits the clock of its parents, which must fit it: signals stand on leaves only. ".." may be a name in
    HDF5, but leads upward in xarray.
    """
    leaf = f"{path}/values" if any(other.startswith(f"{path}/") for other in paths) else path
    return "/" + "/".join("__" if part == ".." else part for part in leaf.split("/"))


def _dataset(recording: xr.DataArray, drop: str | Iterable[str] | None) -> xr.Dataset:
    name = "recording" if recording.name is None else str(recording.name)
    names = set(map(str, (*recording.coords, *recording.dims)))
    made = recording.to_dataset(name=f"{name}_values" if name in names else name)
    made.attrs["source"] = recording.attrs.get("source", "")
    return made.drop_vars([drop] if isinstance(drop, str) else list(drop or ()), errors="ignore")
