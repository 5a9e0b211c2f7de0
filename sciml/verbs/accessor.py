"""`recording.sciml`: what can be done with a recording, as methods of it.

Nothing is loaded with this module: a method loads what it needs when it is called.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial, update_wrapper
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import xarray as xr

    from sciml.noise import NoiseFloor, SpectralNoiseFloor
    from sciml.report import Report

__all__ = ["RecordingAccessor"]


def _bound(module: str, name: str, recording: xr.DataArray) -> Callable[..., Any]:
    """Return a function of a module with the recording as its first argument, under its own name and docstring."""
    function = getattr(import_module(module), name)
    return update_wrapper(partial(function, recording), function)


class RecordingPlot:
    """Figures of a recording: calling it draws its traces, its methods are the figures of `sciml.plot`."""

    def __init__(self, recording: xr.DataArray) -> None:
        self._recording = recording

    def __call__(self, ax: Any = None, **options: Any) -> Any:
        """Draw the traces of all channels; return the Axes."""
        return self.traces(ax=ax, **options)

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name.startswith("_"):
            raise AttributeError(name)
        return _bound("sciml.plot", name, self._recording)


class RecordingAccessor:
    """What sciml does with a recording: `recording.sciml.noise_floor()`, `recording.sciml.bandpass(1, 40)`.

    Besides the methods below, the steps of `sciml.signal` (filters, references, cropping) and the bridges of
    `sciml.bridges` (`to_mne()`, ...) are methods here, under their names.

    Examples
    --------
    >>> import numpy as np
    >>> import sciml
    >>> recording = sciml.from_numpy(np.random.default_rng(0).normal(size=(1000, 20)), 100.0)
    >>> recording.sciml.noise_floor().rank
    0
    """

    def __init__(self, recording: xr.DataArray) -> None:
        self._recording = recording

    def noise_floor(self, **options: Any) -> NoiseFloor:
        """Return the noise floor; options are those of `sciml.noise.noise_floor`."""
        found: NoiseFloor = _bound("sciml.noise", "noise_floor", self._recording)(**options)
        return found

    def spectral_noise_floor(self, **options: Any) -> SpectralNoiseFloor:
        """Return the noise floor by frequency; options are those of `sciml.noise.spectral_noise_floor`."""
        found: SpectralNoiseFloor = _bound("sciml.noise", "spectral_noise_floor", self._recording)(**options)
        return found

    def denoise(self, floor: NoiseFloor | None = None, **options: Any) -> xr.DataArray:
        """Return the recording with the noise removed; options are those of `sciml.denoise.denoise`."""
        cleaned: xr.DataArray = _bound("sciml.denoise", "denoise", self._recording)(floor, **options)
        return cleaned

    def denoise_patches(self, **options: Any) -> xr.Dataset:
        """Return a movie denoised patch by patch; options are those of `sciml.denoise.denoise_patches`."""
        cleaned: xr.Dataset = _bound("sciml.denoise", "denoise_patches", self._recording)(**options)
        return cleaned

    def report(self, **options: Any) -> Report:
        """Return the report; options are those of `sciml.report.recording_report`."""
        found: Report = _bound("sciml.report", "report", self._recording)(**options)
        return found

    @property
    def plot(self) -> RecordingPlot:
        """Figures: `recording.sciml.plot()` draws its traces, `recording.sciml.plot.power_spectrum()` another."""
        return RecordingPlot(self._recording)

    def __getattr__(self, name: str) -> Callable[..., Any]:
        for module, names in _more().items():
            if name in names:
                return _bound(module, name, self._recording)
        raise AttributeError(f"recordings have no {name!r} in sciml; they have {', '.join(dir(self))}")

    def __dir__(self) -> list[str]:
        own = [name for name in vars(type(self)) if not name.startswith("_")]
        return sorted({*own, *(name for names in _more().values() for name in names)})


def _more() -> dict[str, tuple[str, ...]]:
    """Return the functions of a recording in other rooms, by module."""
    signal, bridges = import_module("sciml.signal"), import_module("sciml.bridges")
    to = tuple(name for name in bridges.__all__ if name.startswith("to_"))
    return {"sciml.signal": tuple(signal.STEPS), "sciml.bridges": to}
