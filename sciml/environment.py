"""What this installation and this machine can do, and what stands in the way."""

import os
import platform
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

__all__ = ["Health", "diagnose"]

LIBRARIES = (
    "sciml",
    "torch",
    "numpy",
    "scipy",
    "xarray",
    "h5py",
    "hdf5plugin",
    "h5netcdf",
    "dask",
    "scikit-learn",
    "click",
)
TORCH = (2, 10)  # below it, loading of weights could be made to run code
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
    """Look at versions, torch and its devices, HDF5 and its filters, memory, and disk.

    Examples
    --------
    >>> diagnose().facts["python"] == platform.python_version()
    True
    """
    import h5py  # heavy, and only needed here
    import torch

    facts: dict[str, Any] = {"python": platform.python_version(), "system": platform.platform()}
    facts |= {name: _version(name) for name in LIBRARIES}
    facts |= {"HDF5": h5py.version.hdf5_version, "HDF5 filters": _filters()}
    facts |= {"CPU cores": _cores(), "torch threads": torch.get_num_threads()}
    facts |= {"CUDA": torch.cuda.is_available(), **_gpu()}
    memory, disk = _free_memory(), shutil.disk_usage(Path.cwd()).free
    facts |= {"memory available [GiB]": None if memory is None else round(memory / GIB, 1)}
    facts |= {"disk free here [GiB]": round(disk / GIB, 1)}
    return Health(facts, tuple(_problems(facts, memory, disk)))


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "missing"


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
    found = [f"{name} is not installed: reinstall sciml" for name in LIBRARIES if facts[name] == "missing"]
    version = tuple(int(part) for part in str(facts["torch"]).split("+")[0].split(".")[:2])
    if version < TORCH:
        found.append(f"torch {facts['torch']} can be made to run code by a checkpoint: update to 2.10 or newer")
    if facts["torch threads"] > facts["CPU cores"]:
        found.append(f"torch uses {facts['torch threads']} threads on {facts['CPU cores']} cores: set OMP_NUM_THREADS")
    if memory is not None and memory < LEAST_MEMORY:
        found.append(f"only {memory / GIB:.1f} GiB of memory are available: close other programs")
    if disk < LEAST_DISK:
        found.append(f"only {disk / GIB:.1f} GiB of disk are free here: free some, or write elsewhere")
    return found
