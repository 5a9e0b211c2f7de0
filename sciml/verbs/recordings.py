"""Open, noise floor, denoise, report: of a file, a recording, or an array with its rate."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike

from sciml.errors import ConfigError
from sciml.recording import TIME

if TYPE_CHECKING:
    from sciml.denoise import Shrinkage
    from sciml.noise import Model, NoiseFloor
    from sciml.noise.channels.patterns import Patterns
    from sciml.noise.channels.reference import Reference
    from sciml.report import Report

__all__ = ["Recording", "denoise_recording", "noise_floor", "open", "report_on"]

Recording = xr.DataArray | ArrayLike | str | os.PathLike[str]


def is_path(source: Any) -> bool:
    """Return whether a source is a path, or a list of paths.

    Examples
    --------
    >>> is_path("demo.nwb"), is_path(["day1.nwb", "day2.nwb"]), is_path([1.0, 2.0])
    (True, True, False)
    """
    if isinstance(source, list | tuple):
        return bool(source) and all(map(is_path, source))
    return isinstance(source, str | os.PathLike)


def open(  # noqa: A001 - sciml.open, as xarray and h5py have theirs
    source: Recording | Sequence[str | os.PathLike[str]],
    signal: str | None = None,
    *,
    sampling_rate: float | None = None,
    units: str | None = None,
    **options: Any,
) -> xr.DataArray:
    """Return a recording: lazily from a file or several, from an array, or as it is.

    Parameters
    ----------
    source
        A path or address, a list of them, an array (time, channel), a recording, or an object of MNE, neo,
        SpikeInterface, pynapple, pandas or GWpy.
    signal
        Which of a file's signals, as `sciml info` lists them.
    sampling_rate
        Samples per second, of arrays and of files that do not say it; a recording's own clock is replaced.
    units
        Unit of the values, likewise.
    options
        Of `sciml.io.open_recording`, for files; of `sciml.from_numpy`, for arrays.

    Raises
    ------
    DataError
        A file that cannot be read, or values that are not numbers.
    ConfigError
        A rate that is not above 0, or a signal of what is open already.

    Examples
    --------
    >>> import numpy as np
    >>> open(np.zeros((4, 2)), sampling_rate=2.0).time.values.tolist()
    [0.0, 0.5, 1.0, 1.5]
    """
    if isinstance(source, xr.DataArray):
        if signal is not None or options:
            given = ", ".join([*(["signal"] if signal is not None else []), *options])
            raise ConfigError(f"expected no {given} with a recording that is open already; they choose within files")
        return _with_clock(source, sampling_rate, units)
    if is_path(source):
        from sciml.io import open_recording

        paths: Any = source
        return open_recording(paths, signal, rate=sampling_rate, units=units, **options)
    from sciml.bridges import convert, from_numpy

    values: Any = source
    if (converted := convert(source)) is not None:
        return open(converted, signal, sampling_rate=sampling_rate, units=units, **options)
    return from_numpy(values, sampling_rate, units or "", **options)


def _with_clock(recording: xr.DataArray, rate: float | None, units: str | None) -> xr.DataArray:
    """Return a recording with the rate and unit that are given; a clock of another rate is replaced by one of this."""
    if units is not None:
        recording = recording.assign_attrs(units=units)
    if rate is None:
        return recording
    if not 0 < rate < float("inf"):
        raise ConfigError(f"expected a sampling rate above 0 Hz, got {rate}")
    recording = recording.assign_attrs(sampling_rate=float(rate))
    if TIME not in recording.coords:
        return recording
    seconds = np.arange(recording.sizes[TIME]) / rate
    return recording.assign_coords({TIME: (TIME, seconds, {"units": "s"})})


def noise_floor(
    recording: Recording,
    *,
    signal: str | None = None,
    sampling_rate: float | None = None,
    model: Model | Literal["auto"] = "auto",
    alpha: float = 0.05,
    reference: Reference | None = None,
    patterns: Patterns | None = None,
) -> NoiseFloor:
    """Return the noise floor of a file, a recording or an array: what rises above the noise, and how sure.

    `signal` and `sampling_rate` are those of `sciml.open`, the rest is that of `sciml.noise.noise_floor`.

    Examples
    --------
    >>> import numpy as np
    >>> noise_floor(np.random.default_rng(0).normal(size=(1000, 20)), sampling_rate=100.0).rank
    0
    """
    from sciml.noise import noise_floor as estimate

    opened = open(recording, signal, sampling_rate=sampling_rate)
    return estimate(opened, model=model, alpha=alpha, reference=reference, patterns=patterns)


def denoise_recording(
    recording: Recording,
    floor: NoiseFloor | None = None,
    *,
    signal: str | None = None,
    sampling_rate: float | None = None,
    patch: Mapping[str, int] | None = None,
    rank: int | None = None,
    sigma: ArrayLike | None = None,
    shrinkage: Shrinkage = "frobenius",
    whiten: Literal["time"] | None = None,
    fill: bool = False,
) -> xr.DataArray:
    """Return a file, recording or array with the noise removed: components above the floor, optimally shrunk.

    `signal` and `sampling_rate` are those of `sciml.open`, the rest is that of `sciml.denoise.denoise`. Movies and
    volumes are better denoised patch by patch, `patch={"y": 7, "x": 7}`: `sciml.denoise.denoise_patches` says how, and
    returns maps of noise and components too.

    Raises
    ------
    ConfigError
        A floor, or whitening, with patches: each patch has a floor of its own.

    Examples
    --------
    >>> import numpy as np
    >>> denoise_recording(np.random.default_rng(0).normal(size=(500, 8)), sampling_rate=100.0).dims
    ('time', 'channel')
    """
    from sciml.denoise import denoise, denoise_patches

    opened = open(recording, signal, sampling_rate=sampling_rate)
    if patch is not None:
        if floor is not None or whiten is not None:
            raise ConfigError("expected patch alone, got a floor or whitening with it: each patch has its own floor")
        level: Any = sigma
        return denoise_patches(opened, patch=patch, rank=rank, sigma=level, shrinkage=shrinkage, fill=fill)["denoised"]
    return denoise(opened, floor, rank=rank, sigma=sigma, shrinkage=shrinkage, whiten=whiten, fill=fill)


def report_on(
    target: Any,
    *others: Any,
    signal: str | None = None,
    sampling_rate: float | None = None,
    **options: Any,
) -> Report:
    """Return the report of a recording, a run, a net, or a result.

    Parameters
    ----------
    target
        A path of a recording, a run directory or a file of weights; a recording; an array; or whatever
        `sciml.report.report` takes.
    others
        More of the same kind, to stand side by side.
    signal, sampling_rate
        As `sciml.open`.
    options
        Of `sciml.pipeline.report_on` for paths, of `sciml.report.report` for the rest.

    Examples
    --------
    >>> import numpy as np
    >>> report_on(np.random.default_rng(1).normal(size=(600, 8)), sampling_rate=10.0).findings[0].text
    'No components above the noise floor (the strongest has p = ...'
    """
    if all(map(is_path, (target, *others))) and sampling_rate is None:
        from sciml.pipeline import report_on as report_on_files

        return report_on_files(target, *map(Path, others), signal=signal, **options)
    from sciml.report import report, together

    if others:
        every: list[Any] = [target, *others]
        return together([report_on(each, signal=signal, sampling_rate=sampling_rate, **options) for each in every])
    opens = is_path(target) or isinstance(target, xr.DataArray) or hasattr(target, "__array__")
    return report(open(target, signal, sampling_rate=sampling_rate) if opens else target, **options)
