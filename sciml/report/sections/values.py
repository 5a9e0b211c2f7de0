"""A recording without time in a report: pictures, histograms, scans."""

import xarray as xr

from sciml.report.document.parts import Figure, Finding, Section, Table
from sciml.report.figures.values import picture, profiles, value_histogram
from sciml.report.measure_values import ValueMeasures, picture_dims
from sciml.report.sections.recordings import recording_name, units_of
from sciml.wording import percent, quantity, series, times

__all__ = ["values_facts", "values_findings", "values_lead", "values_sections"]

MATTERS = 0.001  # fraction of values at the highest from which they are named
MAX_PROFILES = 3


def values_facts(recording: xr.DataArray) -> tuple[tuple[str, str], ...]:
    """Return the few values that place a recording without time."""
    dims = [str(dim) for dim in recording.dims]
    found = [(" × ".join(dims) or "values", times(recording.shape) or "1"), ("type", str(recording.dtype))]
    return (*found, *([("unit", units_of(recording))] if units_of(recording) else []))


def values_findings(recording: xr.DataArray, measured: ValueMeasures) -> tuple[Finding, ...]:
    """Return what the values are, what of them is missing, and why there is no noise floor."""
    unit = units_of(recording)
    low, first, middle, last, high = (float(each) for each in measured.quantiles)
    what = "Magnitudes" if recording.dtype.kind == "c" else "Values"
    text = (
        f"{what} from {quantity(low, unit)} to {quantity(high, unit)}, median {quantity(middle, unit)}; nine in ten "
        f"lie between {quantity(first, unit)} and {quantity(last, unit)}."
        if high > low
        else f"{what} are {quantity(low, unit)} throughout."
    )
    found = [Finding(text, numbers={"quantiles": measured.quantiles, "mean": measured.mean, "sd": measured.sd})]
    found += _limits(measured, what, quantity(high, unit)) if high > low else []
    return (*found, _no_floor(recording))


def _limits(measured: ValueMeasures, what: str, highest: str) -> list[Finding]:
    """Say what limits the values: missing ones, many at the highest, mostly zero."""
    found, n = [], measured.n_read
    if measured.n_missing:
        text = f"{percent(measured.n_missing / n)} of the values are missing or masked."
        found.append(Finding(text, "caution", {"missing": measured.n_missing / n}))
    if measured.n_highest / n > MATTERS and measured.counts[-1] > 3 * measured.counts[-2:-1].sum():
        fraction = measured.n_highest / n
        text = f"{percent(fraction)} of the values are the highest, {highest}, as where a detector saturates."
        found.append(Finding(text, "caution", {"at_highest": fraction}))
    if measured.n_zero / n > 0.5:
        found.append(Finding(f"{percent(measured.n_zero / n)} of the values are zero.", "note"))
    if measured.n_read < measured.n_values:
        text = f"{what} are of {measured.n_read:,} of {measured.n_values:,}, evenly spaced."
        found.append(Finding(text, "note"))
    return found


def _no_floor(recording: xr.DataArray) -> Finding:
    dims = [str(dim) for dim in recording.dims]
    axes = f"its axes are {series(dims)}" if len(dims) > 1 else f"its axis is {dims[0]}" if dims else "it is one value"
    return Finding(
        f"No noise floor is sought here: it compares channels over time, and this recording has no time ({axes}).",
        "note",
    )


def values_lead(recording: xr.DataArray, measured: ValueMeasures) -> Figure:
    """Return the picture, or the curve, or the histogram of a recording without time."""
    if measured.mean_map is not None:
        return _pictures(recording, measured)[0]
    ordered = {dim: curve for dim, curve in measured.profiles.items() if dim != "event"}
    if ordered:
        dim = max(ordered, key=lambda each: len(ordered[each][0]))
        return profiles({dim: ordered[dim]}, axes=_axes(recording), units=units_of(recording))
    return value_histogram(measured.bins, measured.counts, units=units_of(recording))


def _pictures(recording: xr.DataArray, measured: ValueMeasures) -> list[Figure]:
    unit, plane = units_of(recording), picture_dims(recording) or ("", "")
    others = [str(dim) for dim in recording.dims if dim not in plane]
    over = f" over {series(others)}" if measured.sd_map is not None else ""
    assert measured.mean_map is not None  # noqa: S101 - the caller asked
    found = [
        picture(
            measured.mean_map, title=f"Mean{over}" if over else "The picture", units=unit, large=True,
            description=f"Over {plane[0]} and {plane[1]}; colors run over the middle 99 percent of the pixels.",
        )
    ]  # fmt: skip
    if measured.sd_map is not None:
        description = f"Standard deviation of each pixel{over}: bright where pictures differ."
        found.append(picture(measured.sd_map, title=f"Change{over}", units=unit, description=description, large=True))
    return found


def values_sections(recording: xr.DataArray, measured: ValueMeasures) -> tuple[Section, ...]:
    """Return the pictures, the values, and the means along the axes."""
    unit = units_of(recording)
    figures = _pictures(recording, measured)[1:] if measured.mean_map is not None else []
    figures.append(value_histogram(measured.bins, measured.counts, units=unit))
    curves = {dim: curve for dim, curve in measured.profiles.items() if dim != "event" and len(curve[0]) > 2}
    if len(curves) > 1:
        shown = dict(list(curves.items())[:MAX_PROFILES])
        figures.append(profiles(shown, axes=_axes(recording), units=unit))
    return (Section("The recording", figures=tuple(figures), tables=(_table(recording, measured),)),)


def _axes(recording: xr.DataArray) -> dict[str, str]:
    units = {str(d): str(recording[d].attrs.get("units", "")) if d in recording.coords else "" for d in recording.dims}
    return {dim: f"{dim} [{unit}]" if unit else dim for dim, unit in units.items()}


def _table(recording: xr.DataArray, measured: ValueMeasures) -> Table:
    rows = [
        ("signal", recording_name(recording)),
        ("dims", ", ".join(f"{dim} {size:,}" for dim, size in recording.sizes.items())),
        ("values", str(recording.dtype)),
        ("unit", units_of(recording) or "not given"),
        ("mean", measured.mean),
        ("standard deviation", measured.sd),
        ("missing [%]", 100 * measured.n_missing / measured.n_read),
        ("zero [%]", 100 * measured.n_zero / measured.n_read),
    ]
    given = [(name, str(recording.attrs[name])) for name in ("instrument", "start") if name in recording.attrs]
    return Table("Facts", ("property", "value"), tuple(row for row in [*rows, *given] if row[1] is not None))
