"""What is measured on a recording without an axis of time: its values, their picture, their mean along each axis."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import xarray as xr

from sciml._typing import AnyArray, FloatArray
from sciml.errors import DataError
from sciml.recording import TIME

__all__ = ["ValueMeasures", "measure_values", "picture_dims"]

HELD = 2**25  # values that are read: beyond, evenly spaced parts stand for all
BLOCK = 2**23  # values that are held at a time
SIDE = 320  # pixels of a picture along each side
THIN = 8  # rows up to which a plane is drawn as curves
PLANES = (("y", "x"), ("z", "x"), ("Q_0", "Q_1"), ("qy", "qx"))


@dataclass(frozen=True, kw_only=True, eq=False)
class ValueMeasures:
    """The values of a recording without time.

    Parameters
    ----------
    n_values, n_read
        In the recording, and those that were read.
    n_missing, n_zero, n_highest
        Of those read: NaN or masked, zero, and equal to the highest.
    quantiles
        At `LEVELS`, of the known values.
    mean, sd
        Of the known values.
    bins, counts
        Edges (n + 1,) and counts (n,) of their histogram.
    mean_map, sd_map
        Mean and standard deviation over all axes but the two of a picture; none of a single axis. `sd_map` is none
        where there is one picture.
    profiles
        By axis: its coordinate and the mean over the others, of at most `SIDE` places.
    """

    n_values: int
    n_read: int
    n_missing: int
    n_zero: int
    n_highest: int
    quantiles: FloatArray
    mean: float
    sd: float
    bins: FloatArray
    counts: FloatArray
    mean_map: xr.DataArray | None
    sd_map: xr.DataArray | None
    profiles: Mapping[str, tuple[FloatArray, FloatArray]]

    LEVELS = (0.0, 0.05, 0.5, 0.95, 1.0)


def picture_dims(recording: xr.DataArray) -> tuple[str, str] | None:
    """Return the two dims of a picture, rows first: y and x where there are, else the last two longer than a few.

    Examples
    --------
    >>> picture_dims(xr.DataArray(np.zeros((3, 20, 30)), dims=("z", "y", "x")))
    ('y', 'x')
    >>> picture_dims(xr.DataArray(np.zeros((2, 30)), dims=("pass", "energy")))
    """
    sizes = {str(dim): size for dim, size in recording.sizes.items()}
    for rows, columns in PLANES:
        if rows in sizes and columns in sizes and min(sizes[rows], sizes[columns]) > 1:
            return rows, columns
    long = [dim for dim, size in sizes.items() if size > THIN]
    return (long[-2], long[-1]) if len(long) > 1 else None


def measure_values(recording: xr.DataArray) -> ValueMeasures:
    """Measure the values of a recording of any axes; magnitudes of complex ones.

    Raises
    ------
    DataError
        No values, or none that are numbers.

    Examples
    --------
    >>> found = measure_values(xr.DataArray(np.arange(12.0).reshape(3, 4), dims=("y", "x")))
    >>> found.quantiles.tolist(), found.mean_map.shape
    ([0.0, 0.55, 5.5, 10.45, 11.0], (3, 4))
    """
    name = str(recording.attrs.get("signal", "the recording"))
    if recording.dtype.kind not in "biufc":
        raise DataError(f"{name}: expected numbers, got values of type {recording.dtype}; choose a signal of numbers")
    if recording.size == 0:
        raise DataError(f"{name}: expected values, got an array of shape {recording.shape}")
    part = _readable(recording).transpose(*(dim for dim in recording.dims if dim != TIME), ...)
    values = part.copy(data=np.concatenate(list(_read(part))) if part.ndim else np.asarray(part.values, np.float64))
    return _measured(recording.size, values)


def _readable(recording: xr.DataArray) -> xr.DataArray:
    """Return the recording, or evenly spaced parts of its first axes where it is too large to be read for a page."""
    plane = picture_dims(recording) or ()
    for dim in (*(str(dim) for dim in recording.dims if dim not in plane), *plane):
        if recording.size <= HELD:
            break
        wanted = max(1, HELD * recording.sizes[dim] // recording.size)
        recording = recording.isel({dim: slice(None, None, -(-recording.sizes[dim] // wanted))})
    return recording


def _read(part: xr.DataArray) -> Iterator[FloatArray]:
    rows = max(1, BLOCK * len(part) // max(part.size, 1))
    for start in range(0, len(part), rows):
        block = part.isel({part.dims[0]: slice(start, start + rows)}).load()
        values = np.abs(block.values) if block.dtype.kind == "c" else block.values
        values = np.asarray(values, dtype=np.float64)
        if "mask" in block.coords:
            values = np.where(block["mask"].broadcast_like(block).transpose(*block.dims).values, np.nan, values)
        yield np.where(np.isfinite(values), values, np.nan)


def _measured(total: int, values: xr.DataArray) -> ValueMeasures:
    known = values.values[np.isfinite(values.values)]
    if not known.size:
        raise DataError(f"expected values, got {values.size:,} missing ones; choose another signal")
    plane = picture_dims(values)
    others = [dim for dim in values.dims if plane and dim not in plane]
    stacked = bool(plane) and int(np.prod([values.sizes[dim] for dim in others])) > 1
    counts, bins = np.histogram(known, _bins(known))
    return ValueMeasures(
        n_values=total,
        n_read=values.size,
        n_missing=int(values.size - known.size),
        n_zero=int(np.sum(known == 0)),
        n_highest=int(np.sum(known == known.max())),
        quantiles=np.quantile(known, ValueMeasures.LEVELS),
        mean=float(known.mean()),
        sd=float(known.std()),
        bins=bins,
        counts=counts.astype(np.float64),
        mean_map=_coarse(_over(values, others, np.nanmean).transpose(*plane)) if plane else None,
        sd_map=_coarse(_over(values, others, np.nanstd).transpose(*plane)) if plane and stacked else None,
        profiles={str(dim): _profile(values, str(dim)) for dim in values.dims if values.sizes[dim] > 1},
    )


def _bins(known: AnyArray) -> FloatArray:
    """Return edges of bins: of whole numbers each bin holds as many of them."""
    low, high = float(known.min()), float(known.max())
    if high <= low:
        return np.array([low - 0.5, low + 0.5])
    if np.all(known == np.round(known)) and high - low < 2**52:
        step = max(1, int(np.ceil((high - low + 1) / 100)))
        return np.arange(low - 0.5, high + step, step)
    return np.linspace(low, high, 101)


def _over(values: xr.DataArray, dims: list[object], reduce: object) -> xr.DataArray:
    return values.reduce(reduce, dims, keep_attrs=True) if dims else values  # type: ignore[arg-type]


def _coarse(picture: xr.DataArray) -> xr.DataArray:
    """Average blocks of pixels until no side is longer than `SIDE`: a page must stay small."""
    steps = {dim: -(-size // SIDE) for dim, size in picture.sizes.items()}
    if all(step == 1 for step in steps.values()):
        return picture
    numbers = [name for name, each in picture.coords.items() if each.dtype.kind not in "iuf"]
    return picture.drop_vars(numbers).coarsen(steps, boundary="trim").mean()


def _profile(values: xr.DataArray, dim: str) -> tuple[FloatArray, FloatArray]:
    others = [each for each in values.dims if each != dim]
    curve = np.asarray(_over(values, others, np.nanmean).values, dtype=np.float64)
    has_place = dim in values.coords and values[dim].ndim == 1 and values[dim].dtype.kind in "iuf"
    place = np.asarray(values[dim].values, dtype=np.float64) if has_place else np.arange(len(curve), dtype=np.float64)
    return place, curve
