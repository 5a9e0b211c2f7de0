"""What denoising did to a recording: before, after, whether what went is noise, how far to trust what is left."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.signal
import xarray as xr
from numpy.typing import NDArray

from sciml.errors import ConfigError, DataError
from sciml.recording import TIME, sampling_rate
from sciml.report.document.parts import Finding, Section, Table
from sciml.report.document.report import Report
from sciml.report.document.wording import percent, quantity, series
from sciml.report.figures.pictures import map_figure, picture_figure, removed_spectrum_figure
from sciml.report.sections.methods import cite, versions

__all__ = ["denoising_report"]

Array = NDArray[np.float64]
SIDE = 200  # pixels of a picture along each side, and samples where channels are no picture
HELD = 2**22  # values that are looked at, from the middle
SEGMENT = 256  # samples of a segment of the spectrum
LOUD = 0.1  # correlation of neighbors in what was removed that matters; noise kept with smooth signal leaves -.05


def denoising_report(
    before: xr.DataArray, after: xr.DataArray | xr.Dataset, *, title: str | None = None, settings: Any = None
) -> Report:
    """Report on a denoised recording beside the one it was made from.

    Of large recordings the middle is looked at, 4 million values at most.

    Parameters
    ----------
    before
        The recording: `time` (else its first dim is taken for the samples) and one to three dims more.
    after
        What `sciml.denoise.denoise` or `denoise_patches` made of it: a recording, or a Dataset with `denoised` and
        maps.
    title
        Default the source of the recording.
    settings
        A mapping, to be listed.

    Raises
    ------
    ConfigError
        A Dataset without `denoised`.
    DataError
        The two are not of the same dims and sizes, or have no dim beside the samples.

    Examples
    --------
    >>> from sciml.denoise import denoise_patches
    >>> movie = xr.DataArray(np.random.default_rng(0).normal(size=(40, 16, 16)), dims=("time", "y", "x"))
    >>> found = denoising_report(movie, denoise_patches(movie, patch={"y": 7, "x": 7}))
    >>> [section.title for section in found.sections]
    ['Before and after', 'What was removed', 'How far to trust the result']
    """
    cleaned, maps = _parts(after)
    _check_pair(before, cleaned)
    pair = _Pair.middle(before, cleaned)
    alike = pair.correlations()
    sections = [_pictures(pair), _removed(pair, alike), *_maps(maps, pair)]
    share = pair.removed_share()
    attrs = cleaned.attrs
    return Report(
        title=title or str(before.attrs.get("source", "A denoised recording")),
        kind="denoising",
        subject=" × ".join(map(str, before.dims)),
        facts=tuple((str(dim), f"{size:,}") for dim, size in before.sizes.items()),
        findings=tuple(_findings(pair, alike, share, maps)),
        sections=tuple(sections),
        numbers={"variance_removed": share, "neighbor_correlation_of_removed": alike, **_medians(maps)},
        config=dict(settings or {}),
        provenance={"history": "; ".join(str(attrs.get("history", "")).splitlines()), "versions": versions()},
        references=cite(["gavish", "welch"]),
    )


def _parts(after: xr.DataArray | xr.Dataset) -> tuple[xr.DataArray, Mapping[str, xr.DataArray]]:
    if isinstance(after, xr.DataArray):
        return after, {}
    if "denoised" not in after:
        raise ConfigError(f"expected a Dataset with a variable 'denoised', got {', '.join(map(str, after.data_vars))}")
    return after["denoised"], {str(name): after[name] for name in after.data_vars if name != "denoised"}


def _check_pair(before: xr.DataArray, cleaned: xr.DataArray) -> None:
    if dict(before.sizes) != dict(cleaned.sizes):
        raise DataError(
            f"expected the recording that was denoised, of sizes {dict(cleaned.sizes)}, got {dict(before.sizes)}"
        )
    if before.ndim < 2:
        raise DataError(f"expected samples of one or more channels or voxels, got dims {before.dims}")


@dataclass(frozen=True, eq=False)
class _Pair:
    """The middle of a recording before and after, as (sample, feature dims...), real."""

    before: xr.DataArray
    after: xr.DataArray

    @classmethod
    def middle(cls, before: xr.DataArray, after: xr.DataArray) -> "_Pair":
        samples = TIME if TIME in before.dims else before.dims[0]
        order = (samples, *(dim for dim in before.dims if dim != samples))
        sizes = {dim: min(before.sizes[dim], SIDE) for dim in order[-2:]}
        sizes |= dict.fromkeys(order[1:-2], 1)
        sizes[samples] = min(before.sizes[samples], max(SIDE, HELD // int(np.prod([sizes[d] for d in order[1:]]))))
        cut = {dim: _around(before.sizes[dim], size) for dim, size in sizes.items()}
        return cls(*(_real(each.isel(cut).transpose(*order)) for each in (before, after)))

    @property
    def samples(self) -> str:
        return str(self.before.dims[0])

    @property
    def removed(self) -> Array:
        return np.asarray(self.before.values - self.after.values)

    @property
    def units(self) -> str:
        return str(self.before.attrs.get("units", ""))

    def removed_share(self) -> float:
        power = np.nanmean((self.before - self.before.mean(self.samples)).values ** 2)
        return float(np.nanmean(self.removed**2) / power) if power > 0 else 0.0

    def correlations(self) -> dict[str, float]:
        """Return the correlation of what was removed between neighbors along each dim, 0 for white noise."""
        residual = self.removed - np.nanmean(self.removed, axis=0)
        power = np.nanmean(residual**2)
        found = {}
        for axis, dim in enumerate(self.before.dims):
            n = residual.shape[axis]
            if n > 1 and power > 0:
                low, high = (np.take(residual, range(*ends), axis) for ends in ((0, n - 1), (1, n)))
                # Noise less its mean over n samples has correlation -1/n.
                found[str(dim)] = float(np.nanmean(low * high) / power) + (1 / n if axis == 0 else 0)
        return found

    def spectra(self) -> tuple[Array, dict[str, Array], str]:
        """Return frequencies, mean densities before, after and of the difference, and the unit of frequency."""
        try:
            rate, clock = sampling_rate(self.before), "Hz"
        except (DataError, KeyError):
            rate, clock = 1.0, f"cycle per {self.samples}"
        power, frequency = {}, np.zeros(0)
        series_ = {"recorded": self.before.values, "denoised": self.after.values, "removed": self.removed}
        for name, values in series_.items():
            flat = values.reshape(len(values), -1)
            flat = flat[:, np.isfinite(flat).all(axis=0)]
            frequency, density = scipy.signal.welch(flat, rate, nperseg=min(SEGMENT, len(flat)), axis=0)
            power[name] = density.mean(axis=1)
        return frequency, power, clock


def _around(size: int, wanted: int) -> slice:
    start = (size - wanted) // 2
    return slice(start, start + wanted)


def _real(part: xr.DataArray) -> xr.DataArray:
    values = np.asarray(part.values)
    return part.copy(data=(values.real if np.iscomplexobj(values) else values).astype(np.float64))


def _findings(
    pair: _Pair, alike: Mapping[str, float], share: float, maps: Mapping[str, xr.DataArray]
) -> Iterator[Finding]:
    sd = float(np.nanstd(pair.removed))
    yield Finding(
        f"{percent(share)} of the variance was removed, {quantity(sd, pair.units)} root mean square.",
        numbers={"variance_removed": share},
    )
    worst = max(alike, key=lambda dim: abs(alike[dim]), default=None)
    listed = series([f"{value:+.3f} along {dim}" for dim, value in alike.items()])
    if worst is not None and abs(alike[worst]) > LOUD:
        yield Finding(
            f"What was removed is not white: neighbors correlate by {listed}. Either the noise is not white, or signal "
            "went with it; the pictures below tell which.",
            "caution",
            dict(alike),
        )
    elif worst is not None:
        yield Finding(f"What was removed looks like white noise: neighbors correlate by {listed}.", "note", dict(alike))
    if "rank" in maps:
        rank = float(maps["rank"].mean())
        yield Finding(f"A patch keeps {rank:.2g} components in the mean.", "note", {"rank": rank})


def _pictures(pair: _Pair) -> Section:
    before, after, axes, place = _picture(pair)
    figure = picture_figure(
        before, after, axes=axes, place=place, units=pair.units, residual_scale=float(np.nanstd(pair.removed)) or 1.0
    )
    return Section("Before and after", figures=(figure,))


def _picture(pair: _Pair) -> tuple[Array, Array, tuple[str, str], str]:
    """Return a sample in the middle, over the last two dims; of channels a stretch of samples."""
    dims, n = [str(dim) for dim in pair.before.dims], pair.before.sizes[pair.samples]
    if len(dims) == 2:
        stretch = _around(n, min(n, 2 * SIDE))
        before, after = (each.values[stretch].T for each in (pair.before, pair.after))
        return before, after, (dims[1], dims[0]), f"{len(before.T)} samples from the middle"
    inner = (n // 2, *(0 for _ in dims[1:-2]))
    before, after = (each.values[inner] for each in (pair.before, pair.after))
    return before, after, (dims[-2], dims[-1]), f"{pair.samples} {n // 2 + 1} of {n}"


def _removed(pair: _Pair, alike: Mapping[str, float]) -> Section:
    frequency, power, clock = pair.spectra()
    rows = tuple(alike.items())
    return Section(
        "What was removed",
        text="White noise has a flat spectrum, and its neighbors do not correlate.",
        figures=(removed_spectrum_figure(frequency, power, units=pair.units, clock=clock),),
        tables=(Table("Correlation of neighbors in what was removed", ("along", "correlation"), rows),),
    )


def _maps(maps: Mapping[str, xr.DataArray], pair: _Pair) -> Iterator[Section]:
    """Yield a section with the maps, if there are any, over the dims of the pictures."""
    shown: dict[str, tuple[Array, str]] = {}
    dims: tuple[str, ...] = ()
    for name, each in maps.items():
        if name == "coverage":
            continue
        plane = each.isel({dim: each.sizes[dim] // 2 for dim in each.dims[:-2]})
        values = np.atleast_2d(np.asarray(plane.values, dtype=np.float64))
        label, values = ("standard error", np.sqrt(values)) if name == "variance" else (name, values)
        label, values = ("removed, r.m.s.", np.sqrt(values)) if name == "removed" else (label, values)
        shown[label] = values, "" if name == "rank" else pair.units
        dims = tuple(map(str, plane.dims))
    if shown:
        axes = (dims[0], dims[1]) if len(dims) == 2 else ("", dims[0])
        text = (
            "Sigma is the noise that each patch found, rank the components it kept, the standard error that of the "
            "denoised value. Where the standard error is larger than what is looked for, do not look for it."
        )
        yield Section("How far to trust the result", text=text, figures=(map_figure(shown, axes=axes),))


def _medians(maps: Mapping[str, xr.DataArray]) -> dict[str, float]:
    return {f"median_{name}": float(each.median()) for name, each in maps.items()}
