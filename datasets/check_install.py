"""Check that the installed torch is the pinned one and that nothing dragged in torchvision or torchaudio."""

import re
import sys
from importlib import metadata
from pathlib import Path


def installed(name: str) -> str | None:
    """Return the installed version of a distribution without its local part, or None."""
    try:
        return metadata.version(name).partition("+")[0]
    except metadata.PackageNotFoundError:
        return None


def main(constraints: str) -> int:
    """Compare the environment with the constraints file; return the process's exit code."""
    pinned = re.search(r"^torch==([\w.]+)", Path(constraints).read_text(), re.MULTILINE)
    expected = pinned.group(1) if pinned else None
    if installed("torch") != expected:
        print(f"torch {expected} is pinned in {constraints}, but {installed('torch')} is installed", file=sys.stderr)
        return 1
    dragged_in = [name for name in ("torchvision", "torchaudio") if installed(name)]
    if dragged_in:
        print(f"{', '.join(dragged_in)} must not be installed beside torch {expected}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
