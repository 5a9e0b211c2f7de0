"""A recording, what is behind it, and the numbers that an analysis should find."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from sciml.errors import ConfigError

__all__ = ["Simulated"]


@dataclass(frozen=True)
class Simulated:
    """A recording and the truth behind it.

    Attributes
    ----------
    recording
        Signal plus noise, with clock, units and the places of its channels.
    signal
        The same without noise: the same dims and coordinates.
    truth
        What was put in, by name: times [s], places, velocities, numbers of sources.
    """

    recording: xr.DataArray
    signal: xr.DataArray
    truth: Mapping[str, Any] = field(default_factory=dict)


def simulated(
    signal: NDArray[np.floating[Any]],
    noisy: NDArray[Any],
    dims: tuple[str, ...],
    coords: Mapping[str, Any],
    truth: Mapping[str, Any],
    **attrs: Any,
) -> Simulated:
    """Return arrays as a recording with its truth; `attrs` are those of both."""
    frame = xr.DataArray(signal, dims=dims, coords=coords, name="signal", attrs=attrs)
    return Simulated(frame.copy(data=noisy).rename("recording"), frame, truth)


def clock(n_samples: int, rate: float) -> tuple[str, NDArray[np.float64], dict[str, str]]:
    """Return the coordinate of a regular clock that starts at 0 s."""
    return "time", np.arange(n_samples) / rate, {"units": "s"}


def check_positive(**numbers: float) -> None:
    """Refuse sizes, rates and widths that are not above zero."""
    wrong = {name: number for name, number in numbers.items() if not number > 0}
    if wrong:
        raise ConfigError(f"expected numbers above zero, got {wrong}; choose larger ones")
