"""What this installation and this machine can do, and what stands in the way."""

import os
import platform
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement

__all__ = ["Health", "diagnose"]

# What needs no package of its own is not listed: purpose, packages, and the command that brings them.
OPTIONS = (
    ("Zarr folders", ("zarr",), 'pip install "sciml[zarr]"'),
    ("files at https:// and s3://", ("fsspec", "aiohttp", "s3fs"), 'pip install "sciml[remote]"'),
    ("workers of a dask cluster", ("distributed",), 'pip install "sciml[cluster]"'),
    ("MNE objects", ("mne",), "pip install mne"),
    ("neo objects", ("neo",), "pip install neo"),
    ("SpikeInterface objects", ("spikeinterface",), "pip install spikeinterface"),
    ("pynapple objects", ("pynapple",), "pip install pynapple"),
    ("GWpy objects", ("gwpy",), "pip install gwpy"),
)
GIB = 2**30
LEAST_MEMORY, LEAST_DISK = 2 * GIB, 1 * GIB


@dataclass(frozen=True)
class Health:
    """What was found, by name, and in sentences what needs attention."""

    facts: Mapping[str, Any]
    problems: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return facts and problems as plain values."""
        return {"facts": dict(self.facts), "problems": list(self.problems)}

    def summary(self) -> str:
        """Return what needs attention, one line each."""
        return "\n".join(self.problems) or "nothing needs attention"

    def __repr__(self) -> str:
        return f"Health({len(self.facts)} facts, {len(self.problems)} problems)"


def diagnose() -> Health:
    """Look at the packages that are needed or help, torch and its devices, HDF5 and its filters, memory, and disk.

    Examples
    --------
    >>> diagnose().facts["python"] == platform.python_version()
    True
    """
    required = _required()
    facts: dict[str, Any] = {
        "python": platform.python_version(),
        "system": platform.platform(),
        "sciml": _version("sciml"),
    }
    facts |= {each.name: _version(each.name) for each in required}
    facts |= {**_hdf5(), "CPU cores": _cores(), **_torch()}
    facts |= {purpose: _option(packages, command) for purpose, packages, command in OPTIONS}
    memory, disk = _free_memory(), shutil.disk_usage(Path.cwd()).free
    facts |= {"memory available [GiB]": None if memory is None else round(memory / GIB, 1)}
    facts |= {"disk free here [GiB]": round(disk / GIB, 1)}
    return Health(facts, tuple(_missing(required) + _problems(facts, memory, disk)))


def _required() -> list[Requirement]:
    """Return the packages that sciml needs on this machine, as its own metadata list them."""
    every = [Requirement(line) for line in metadata.requires("sciml") or []]
    return [each for each in every if each.marker is None or each.marker.evaluate({"extra": ""})]


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "missing"


def _option(packages: Sequence[str], command: str) -> str:
    """Return that an option is there, or the command that brings it."""
    missing = [name for name in packages if _version(name) == "missing"]
    return f"missing: {command}" if missing else "yes"


def _missing(required: Sequence[Requirement]) -> list[str]:
    """Return what is not installed, or too old, each with the command that brings it."""
    found = []
    for each in required:
        version, command = _version(each.name), f'run `pip install "{each.name}{each.specifier}"`'
        if version == "missing":
            found.append(f"{each.name} is not installed: {command}")
        elif not each.specifier.contains(version, prereleases=True):
            found.append(f"{each.name} {version} is not the version that sciml needs, {each.specifier}: {command}")
    return found


def _hdf5() -> dict[str, Any]:
    if _version("h5py") == "missing":
        return {}
    import h5py  # heavy, and only needed here

    return {"HDF5": h5py.version.hdf5_version, "HDF5 filters": _filters()}


def _torch() -> dict[str, Any]:
    if _version("torch") == "missing":
        return {}
    import torch

    return {"torch threads": torch.get_num_threads(), "CUDA": torch.cuda.is_available(), **_gpu()}


def _filters() -> list[str]:
    """Return the filters that HDF5 itself and the hdf5plugin package bring."""
    import h5py

    known = {"gzip": h5py.h5z.FILTER_DEFLATE, "szip": h5py.h5z.FILTER_SZIP, "lzf": h5py.h5z.FILTER_LZF}
    found = [name for name, number in known.items() if h5py.h5z.filter_avail(number)]
    return [*found, *(["hdf5plugin"] if _version("hdf5plugin") != "missing" else [])]


def _cores() -> int:
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def _gpu() -> dict[str, Any]:
    import torch

    if not torch.cuda.is_available():
        return {}
    free, total = torch.cuda.mem_get_info()
    return {
        "GPU": torch.cuda.get_device_name(),
        "GPU memory free [GiB]": round(free / GIB, 1),
        "GPU memory [GiB]": round(total / GIB, 1),
        "bfloat16 on the GPU": torch.cuda.is_bf16_supported(),
    }


def _free_memory() -> int | None:
    """Return the bytes that a process may still take, where the system tells."""
    try:
        for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except OSError:
        return None
    return None


def _problems(facts: Mapping[str, Any], memory: int | None, disk: int) -> list[str]:
    found = []
    if facts.get("torch threads", 0) > facts["CPU cores"]:
        found.append(f"torch uses {facts['torch threads']} threads on {facts['CPU cores']} cores: set OMP_NUM_THREADS")
    if memory is not None and memory < LEAST_MEMORY:
        found.append(f"only {memory / GIB:.1f} GiB of memory are available: close other programs")
    if disk < LEAST_DISK:
        found.append(f"only {disk / GIB:.1f} GiB of disk are free here: free some, or write elsewhere")
    return found
