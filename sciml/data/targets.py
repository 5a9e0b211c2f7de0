"""Numbers from another signal, at the end of each window, on the clock of that signal."""

from collections import Counter

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from sciml.data.samples import Samples, as_samples
from sciml.data.windows import Windows
from sciml.errors import DataError
from sciml.recording import feature_dims

__all__ = ["values_at", "with_targets"]

OUTSIDE = "outside the target"
MISSING = "target missing"
AVERAGED = 1.5  # samples of the target in one of the recording, from which on they are averaged
TOLERANCE = 0.01  # samples; clocks in seconds since 1980 resolve no better
EXACT = 1e-6  # samples, by which a time may miss a sample that it is meant to hit


def with_targets(
    windows: Windows, target: xr.DataArray | Samples, *, lag: float = 0.0, derivative: bool = False
) -> Windows:
    """Return the windows with the values of another signal, `lag` seconds after the last sample of each.

    Windows without a value there are dropped and counted.

    Parameters
    ----------
    windows
        Windows of a recording, without a horizon.
    target
        Real values with dim `time`, on the clock of the recording, at any rate; its features are the k numbers.
    lag
        Seconds from the last sample of a window to the value; negative for a value within or before the window.
    derivative
        Take the change of the target per second in place of its value: the difference over two samples of the slower
        of both clocks, half of them before and half after.

    Raises
    ------
    DataError
        No window has a value: the two clocks have no time in common, or values are missing throughout.

    Examples
    --------
    >>> from sciml.data import sliding_windows
    >>> wave = xr.DataArray(np.zeros(40), dims="time", attrs={"sampling_rate": 4.0})
    >>> angle = xr.DataArray(np.arange(10.0), dims="time", name="angle", attrs={"sampling_rate": 1.0, "units": "deg"})
    >>> windows = with_targets(sliding_windows(wave, length=2.0, step=2.0), angle, lag=0.25)
    >>> windows.targets.ravel().tolist(), windows.target_units, dict(windows.dropped)
    ([2.0, 4.0, 6.0, 8.0], ('deg',), {'outside the target': 1})
    """
    samples = as_samples(target)
    target = samples.recording
    times = windows.stops - 1 / windows.rate + lag  # of the last sample by its own time stamp
    values = _slope(samples, times, 1 / windows.rate) if derivative else _values(samples, times, 1 / windows.rate)
    known = np.isfinite(values).all(axis=1)
    outside = ~known & ((times < samples.clock[0]) | (times > samples.clock[-1]))
    if not known.any():
        raise DataError(_nothing(windows, samples, times))
    lacking = {OUTSIDE: int(outside.sum()), MISSING: int((~known & ~outside).sum())}
    dropped = Counter(windows.dropped) + Counter(lacking)
    unit = str(target.attrs.get("units", ""))
    names = _names(target)
    return windows.chosen(known).changed(
        dropped=dict(dropped),
        targets=values[known].astype(np.float32),
        target_names=names,
        target_units=(f"{unit or '1'}/s" if derivative else unit,) * len(names),
    )


def values_at(target: xr.DataArray | Samples, times: NDArray[np.float64], *, width: float) -> NDArray[np.float64]:
    """Return a signal at the given times, shape (n, k); NaN where its clock has a gap, or a sample is missing.

    Where it has more than one sample in `width` seconds they are averaged, half of them before the time and half
    after; else neighboring samples are joined by a line.

    Examples
    --------
    >>> angle = xr.DataArray(np.arange(5.0), dims="time", attrs={"sampling_rate": 2.0})
    >>> values_at(angle, np.array([0.25, 1.0, 3.0]), width=0.5).ravel().tolist()
    [0.5, 2.0, nan]
    """
    return _values(as_samples(target), times, width)


def _slope(samples: Samples, times: NDArray[np.float64], width: float) -> NDArray[np.float64]:
    step = max(width, 1 / samples.rate)
    later, earlier = (_values(samples, times + side * step, width) for side in (1, -1))
    return (later - earlier) / (2 * step)


def _values(samples: Samples, times: NDArray[np.float64], width: float) -> NDArray[np.float64]:
    clock, half = samples.clock, 0.5 * width
    if samples.rate * width > AVERAGED:
        # a sample stands for the time around it, so that a mean begins with the first that is not before its interval
        first = np.searchsorted(clock, times - half - TOLERANCE / samples.rate)
        last = np.searchsorted(clock, times + half - TOLERANCE / samples.rate) - 1
        weight = np.full(len(times), np.nan)
        whole = np.abs(last - first + 1 - width * samples.rate) < 1 + TOLERANCE
    else:
        same = max(EXACT / samples.rate, 4 * float(np.spacing(np.abs(clock).max())))
        last = np.clip(np.searchsorted(clock, times - same), 0, len(clock) - 1)
        first = np.where(np.abs(clock[last] - times) <= same, last, last - 1)
        before = clock[np.maximum(first, 0)]
        weight = (times - before) / np.where(clock[last] > before, clock[last] - before, np.inf)
        whole = (weight >= 0) & (weight <= 1)
    inside = (first >= 0) & (last < len(clock)) & (last >= first) & whole
    return _read(samples, np.where(inside, first, 0), np.where(inside, last, 0), weight, inside)


def _read(
    samples: Samples,
    first: NDArray[np.int64],
    last: NDArray[np.int64],
    weight: NDArray[np.float64],
    inside: NDArray[np.bool_],
) -> NDArray[np.float64]:
    """Return means of samples first to last, or points between the two where there is a weight."""
    assert samples.valid is not None  # noqa: S101 - it was read
    missing = np.concatenate([[0], np.cumsum(~samples.valid)])
    inside = inside & (missing[last + 1] == missing[first]) & (samples.segment[first] == samples.segment[last])
    values = np.full((len(first), samples.rows(0, 1).shape[1]), np.nan)
    for k in np.flatnonzero(inside).tolist():
        rows = samples.rows(int(first[k]), int(last[k]) + 1).astype(np.float64)
        values[k] = rows.mean(axis=0) if np.isnan(weight[k]) else rows[0] + weight[k] * (rows[-1] - rows[0])
    return values


def _names(target: xr.DataArray) -> tuple[str, ...]:
    dims = feature_dims(target)
    name = str(target.attrs.get("signal", target.name if target.name is not None else "target")).rpartition("/")[2]
    if not dims:
        return (name,)
    if len(dims) == 1 and dims[0] in target.coords:
        return tuple(str(each) for each in target[dims[0]].values.tolist())
    return tuple(f"{name} {k}" for k in range(int(np.prod([target.sizes[dim] for dim in dims]))))


def _nothing(windows: Windows, samples: Samples, times: NDArray[np.float64]) -> str:
    ours, theirs = (f"{each[0]:g} to {each[-1]:g} s" for each in (np.sort(times), samples.clock))
    if times.max() < samples.clock[0] or times.min() > samples.clock[-1]:
        return (
            f"expected a target on the clock of the recording, got values from {theirs} for windows that end from "
            f"{ours}: they have no time in common; give the target the clock of the recording, or set data.target_lag"
        )
    return (
        f"expected values of the target at the ends of {len(windows)} windows ({ours}), got none: its samples "
        f"({theirs}) have gaps or are missing there; choose another target, or data.target_lag"
    )
