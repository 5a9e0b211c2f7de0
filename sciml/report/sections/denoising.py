"""What denoising did to a recording: before, after, whether what went is noise, how far to trust what is left."""

from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np
import xarray as xr

from sciml._typing import FloatArray
from sciml.report.document.parts import Finding, Section, Table
from sciml.report.figures.pictures import color_limits, map_figure, picture_figure, removed_spectrum_figure, views
from sciml.report.measures import SIDE, DenoisingMeasures, middle
from sciml.wording import percent, quantity, series

__all__ = ["denoising_findings", "denoising_sections"]

CORRELATED = 0.1  # correlation of neighbors that matters in what was removed; noise kept with smooth signal leaves -.05


def denoising_findings(measured: DenoisingMeasures) -> Iterator[Finding]:
    """Yield how much was removed, and whether it looks like noise."""
    fraction = measured.removed_fraction
    yield Finding(
        f"{percent(fraction)} of the variance was removed, "
        f"{quantity(measured.removed_sd, measured.units)} root mean square.",
        numbers={"variance_removed": fraction},
    )
    yield from _whiteness(measured.neighbor_correlations, measured.noise_correlations)
    if measured.mean_rank is not None:
        text = f"A patch keeps {measured.mean_rank:.2g} components in the mean."
        yield Finding(text, "note", {"rank": measured.mean_rank})


def _whiteness(correlations: Mapping[str, float], noise: Mapping[str, float]) -> Iterator[Finding]:
    """Yield whether what was removed correlates as the noise does that was found: not at all where it is white."""
    excess = {dim: value - noise.get(dim, 0.0) for dim, value in correlations.items()}
    worst = max(excess, key=lambda dim: abs(excess[dim]), default=None)
    listed = _along(correlations)
    if noise:
        text = f"Noise that neighbors share was found and taken out: they correlate by {_along(noise)}."
        yield Finding(text, numbers=dict(noise))
    if noise and worst is not None:
        known = abs(excess[worst]) <= CORRELATED
        text = (
            f"Neighbors of what was removed correlate by {listed}, as the noise does that was found."
            if known
            else f"Neighbors of what was removed correlate by {listed}, not as the noise does that was found."
        )
        yield Finding(text, "note" if known else "caution", dict(correlations))
    elif worst is not None and abs(excess[worst]) > CORRELATED:
        yield Finding(
            f"What was removed is not white: neighbors correlate by {listed}. Either the noise is not white, or signal "
            "went with it; the pictures below tell which.",
            "caution",
            dict(correlations),
        )
    elif worst is not None:
        text = f"What was removed looks like white noise: neighbors correlate by {listed}."
        yield Finding(text, "note", dict(correlations))


def _along(correlations: Mapping[str, float]) -> str:
    return series([f"{value:+.3f} along {dim}" for dim, value in correlations.items()])


def denoising_sections(measured: DenoisingMeasures, maps: Mapping[str, xr.DataArray]) -> Iterator[Section]:
    """Yield the pictures, what was removed, and the maps if there are any."""
    yield _pictures(measured)
    yield _removed(measured)
    yield from _maps(maps, measured.units)


def _pictures(measured: DenoisingMeasures) -> Section:
    before, after, axes, place = _picture(measured)
    scale = measured.removed_sd or 1.0
    figure = picture_figure(before, after, axes=axes, place=place, units=measured.units, residual_scale=scale)
    low, high = color_limits(after)
    turns = {
        "recorded": (before, low, high, "cividis"),
        "denoised": (after, low, high, "cividis"),
        "removed": (before - after, -3 * scale, 3 * scale, "PuOr"),
    }
    return Section(
        "Before and after",
        text="Choose recorded and denoised in turn: what differs between them jumps to the eye.",
        figures=(replace(figure, views=views(turns, axes=axes, units=measured.units)),),
    )


def _picture(measured: DenoisingMeasures) -> tuple[FloatArray, FloatArray, tuple[str, str], str]:
    """Return a sample in the middle, over the last two dims; of channels some samples."""
    pair = (measured.before, measured.after)
    dims, n = [str(dim) for dim in measured.before.dims], len(measured.before)
    if len(dims) == 2:
        shown = middle(n, min(n, 2 * SIDE))
        before, after = (each.values[shown].T for each in pair)
        return before, after, (dims[1], dims[0]), f"{len(before.T)} samples from the middle"
    inner = (n // 2, *(0 for _ in dims[1:-2]))
    before, after = (each.values[inner] for each in pair)
    return before, after, (dims[-2], dims[-1]), f"{dims[0]} {n // 2 + 1} of {n}"


def _removed(measured: DenoisingMeasures) -> Section:
    spectra, noise = measured.spectra, measured.noise_correlations
    columns = ("along", "correlation", *(["of the noise found"] if noise else []))
    rows = tuple(
        (dim, value, *([noise.get(dim, 0.0)] if noise else [])) for dim, value in measured.neighbor_correlations.items()
    )
    shared = " Noise that neighbors share was found here: what was removed should correlate as it does."
    return Section(
        "What was removed",
        text="White noise has a flat spectrum, and its neighbors do not correlate." + (shared if noise else ""),
        figures=(removed_spectrum_figure(spectra.frequency, spectra.power, units=measured.units, clock=spectra.unit),),
        tables=(Table("Correlation of neighbors in what was removed", columns, rows),),
    )


def _maps(maps: Mapping[str, xr.DataArray], units: str) -> Iterator[Section]:
    """Yield a section with the maps, if there are any, over the dims of the pictures."""
    shown: dict[str, tuple[FloatArray, str]] = {}
    dims: tuple[str, ...] = ()
    for name, each in maps.items():
        if name == "coverage":
            continue
        plane = each.isel({dim: each.sizes[dim] // 2 for dim in each.dims[:-2]})
        values = np.atleast_2d(np.asarray(plane.values, dtype=np.float64))
        label, values = ("standard error", np.sqrt(values)) if name == "variance" else (name, values)
        label, values = ("removed, r.m.s.", np.sqrt(values)) if name == "removed" else (label, values)
        shown[label] = values, "" if name == "rank" else units
        dims = tuple(map(str, plane.dims))
    if shown:
        axes = (dims[0], dims[1]) if len(dims) == 2 else ("", dims[0])
        text = (
            "Sigma is the noise that each patch found, rank the components it kept, the standard error that of the "
            "denoised value. Where the standard error is larger than what is looked for, do not look for it."
        )
        yield Section("How far to trust the result", text=text, figures=(map_figure(shown, axes=axes),))
