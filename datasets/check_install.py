"""Check that torch and hdf5plugin are the pinned ones and that nothing dragged in torchvision or torchaudio."""

import re
import sys
from importlib import metadata
from pathlib import Path

PINNED = ("torch", "hdf5plugin")


def installed(name: str) -> str | None:
    """Return the installed version of a distribution without its local part, or None."""
    try:
        return metadata.version(name).partition("+")[0]
    except metadata.PackageNotFoundError:
        return None


def main(constraints: str) -> int:
    """Compare the environment with the constraints file; return the process's exit code."""
    for name in PINNED:
        pinned = re.search(rf"^{name}==([\w.]+)", Path(constraints).read_text(), re.MULTILINE)
        expected = pinned.group(1) if pinned else None
        if installed(name) != expected:
            print(f"{name} {expected} is pinned in {constraints}, but {installed(name)} is installed", file=sys.stderr)
            return 1
    dragged_in = [name for name in ("torchvision", "torchaudio") if installed(name)]
    if dragged_in:
        print(f"{', '.join(dragged_in)} must not be installed beside torch", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
