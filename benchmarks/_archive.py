"""Published train and test parts of short recordings, read from the wheel of sktime where it is installed.

The wheel's data are plain text (`.ts`); nothing of sktime is imported. `pip install --no-deps sktime` puts them there.
"""

import importlib.util
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Part = tuple[NDArray[np.float64], NDArray[np.str_]]


def folder() -> Path | None:
    """Return the folder of the sets, None where sktime is not installed."""
    spec = importlib.util.find_spec("sktime")
    places = [] if spec is None else list(spec.submodule_search_locations or [])
    found = [Path(place) / "datasets" / "data" for place in places]
    return next((path for path in found if path.is_dir()), None)


def load(name: str) -> tuple[Part, Part]:
    """Return train and test part, X (n, channel, time) padded with NaN to one length, and labels as text."""
    root = folder()
    if root is None:
        raise FileNotFoundError("expected sktime's data; pip install --no-deps sktime")
    parts = [_read(root / name / f"{name}_{part}.ts") for part in ("TRAIN", "TEST")]
    length = max(X.shape[2] for X, _ in parts)
    train, test = ((np.pad(X, ((0, 0), (0, 0), (0, length - X.shape[2])), constant_values=np.nan), y) for X, y in parts)
    return train, test


def _read(path: Path) -> Part:
    """Parse a `.ts` file: after `@data` a line an item, channels and the label divided by colons."""
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    begin = next(i for i, line in enumerate(lines) if line.lower().startswith("@data")) + 1
    items = [line.split(":") for line in lines[begin:] if line.strip()]
    values = [[_numbers(channel) for channel in channels] for *channels, _ in items]
    X = np.full((len(items), len(values[0]), max(len(c) for item in values for c in item)), np.nan)
    for row, item in zip(X, values, strict=True):
        for channel, numbers in zip(row, item, strict=True):
            channel[: len(numbers)] = numbers
    return X, np.array([label.strip() for *_, label in items])


def _numbers(text: str) -> list[float]:
    return [float("nan") if value.strip() == "?" else float(value) for value in text.split(",")]
