"""Denoisers compared on one recording without its truth: by values held out from them, and by what they remove."""

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Literal

import numpy as np
import scipy.linalg
import scipy.ndimage
import xarray as xr

from sciml._typing import AnyArray, BoolArray, FloatArray
from sciml.denoise.evaluate.held_out import FRACTION, HeldOut, interpolated
from sciml.denoise.evaluate.residual import (
    components_above_floor,
    rate_of,
    removed_fraction,
    residual_spectrum,
    spectral_flatness,
)
from sciml.denoise.lowrank.denoising import denoise
from sciml.denoise.patches import denoise_patches, noise_reach
from sciml.errors import ConfigError, DataError
from sciml.noise import Model, NoiseFloor, noise_floor, noise_model
from sciml.recording import TIME, check
from sciml.rmt import shrink

__all__ = ["METHODS", "Method", "compare"]

Method = Callable[[xr.DataArray], xr.DataArray]

N_FILLS = 16  # at most; clear signal that is first interpolated badly takes a method that looks for it ten
CONVERGED = 0.1  # of what the method removes from the values it sees: a change that is none
HELD = 2**18  # values compared; of larger recordings the middle
MAX_CHANNELS = 512
MAX_WHITE_CHANNELS = 4096  # whose floor takes one small decomposition
WIDTHS = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0)


def compare(
    recording: xr.DataArray,
    *,
    methods: Sequence[str] | Mapping[str, Method] | None = None,
    patch: Mapping[str, int] | None = None,
    model: Model | Literal["auto"] = "auto",
    n_draws: int = 2,
    rng: np.random.Generator | None = None,
) -> xr.Dataset:
    r"""Compare denoisers of a recording whose truth nobody knows.

    A tenth of the values is held out, in blocks of one channel by enough samples that noise outside says nothing about
    noise inside; the held-out values are first interpolated in time and then replaced by what the method makes of them,
    until that changes little. What it makes of them in the end does not depend on them, so that

    .. math:: \langle (f(x)_J - x_J)^2 \rangle = \langle (f(x)_J - \text{truth}_J)^2 \rangle + \sigma^2

    (J-invariance): the method of the least held-out error is the one nearest to the truth. Noise must be independent of
    what is held out with it: with `patch`, where neighboring channels share noise, all that share it are held out
    together, and the one in their middle is scored. Otherwise it must be independent between channels.

    Parameters
    ----------
    recording
        Dims `time` and any others. Of more than 512 channels (4096 where `model` is "white" or "heteroscedastic") the
        middle ones are used, and of more than 262 144 values the middle segment.
    methods
        Names from `METHODS`, or callables by name, each from a recording to a denoised one; default all of
        `METHODS`. Rank and kind of noise of the named ones are those of the recording's noise floor.
    patch
        Size of patches, as for `denoise_patches`, which then takes part as "patches". A recording without `time` is
        compared over the dim that `patch` leaves out.
    model
        Kind of noise, as for `noise_floor`. Where samples are in no order of time, as patterns of a scan, "white" or
        "heteroscedastic" hides single samples.
    n_draws
        How often values are held out.
    rng
        Chooses what is held out; default a fixed seed.

    Returns
    -------
    Dataset with dim `denoiser`, the best first:

    - `error`, `error_se`: held-out squared error and its standard error, in squared units of the data;
    - `excess`: `error` less sigma², over sigma²: the true error in units of the noise; below zero where sigma is but an
      upper bound (`NoiseFloor.converged`);
    - `residual_rank`, `residual_p_value`: components of what was removed above the recording's noise floor, and the
      probability that noise has one as strong as the strongest;
    - `residual_flatness`: geometric over arithmetic mean of the residual's spectrum, 1 for white;
    - `removed`: fraction of the variance that was removed;
    - `seconds`: for one run over the recording;
    - `residual_psd` (denoiser, frequency): spectrum of the residual, mean over channels.

    Raises
    ------
    ConfigError
        An unknown method, or patches that do not fit.
    DataError
        No noise floor (see `noise_floor`), or a recording of fewer than three blocks of one correlation time.

    References
    ----------
    Batson and Royer (2019), arXiv:1901.11365, proposition 1.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> shared = rng.normal(size=(500, 1)) @ rng.normal(size=(1, 20))
    >>> noisy = xr.DataArray(shared + rng.normal(size=(500, 20)), dims=("time", "channel"))
    >>> compare(noisy, methods=["optimal", "smoothing"]).denoiser.values.tolist()
    ['optimal', 'smoothing']
    """
    part = _middle(check(_timed(recording, patch)), _most_channels(model))
    floor = noise_floor(part, model=model)
    chosen = _chosen(methods, floor, patch)
    reach = None if patch is None else noise_reach(part, patch)
    held_out = HeldOut.draw(part, floor, n_draws, rng or np.random.default_rng(0), reach)
    rows = [_assessed(name, variants, part, floor, held_out) for name, variants in chosen.items()]
    rows.sort(key=lambda row: float(row["error"]))
    table = xr.concat(rows, dim="denoiser", join="outer")
    variance = _mean_variance(floor)
    table["excess"] = (table["error"] - variance) / variance
    units = floor.units
    return table.assign_attrs(
        sigma=floor.sigma, units=units, model=floor.model, rank=floor.rank, block=held_out.length,
        margin=held_out.margin, share=FRACTION, n_draws=n_draws, n_samples=part.sizes[TIME],
    )  # fmt: skip


def _timed(recording: xr.DataArray, patch: Mapping[str, int] | None) -> xr.DataArray:
    """Return the recording with the only dim that patches leave out as its time."""
    left = [dim for dim in recording.dims if patch is not None and dim not in patch]
    if TIME in recording.dims or len(left) != 1:
        return recording
    return recording.drop_vars([name for name, each in recording.coords.items() if left[0] in each.dims]).rename(
        {left[0]: TIME}
    )


def _most_channels(model: str) -> int:
    if model == "auto" or noise_model(model).colored or noise_model(model).needs_values:
        return MAX_CHANNELS
    return MAX_WHITE_CHANNELS


def _middle(recording: xr.DataArray, most: int) -> xr.DataArray:
    """Return the recording in memory, as (time, ...); of a large one, the middle of every dim."""
    ordered = recording.transpose(TIME, ...)
    part, dims = ordered, [str(dim) for dim in ordered.dims if dim != TIME]
    while part.size // part.sizes[TIME] > most:
        widest = max(dims, key=lambda dim: part.sizes[dim])
        others = part.size // part.sizes[TIME] // part.sizes[widest]
        part = _cropped(part, widest, max(most // others, part.sizes[widest] // 2))
    part = _cropped(part, TIME, HELD * part.sizes[TIME] // part.size)
    return part.copy(data=np.asarray(part.values, dtype=np.result_type(part.dtype, np.float32)))


def _cropped(part: xr.DataArray, dim: str, size: int) -> xr.DataArray:
    n = part.sizes[dim]
    start = (n - min(n, size)) // 2
    return part.isel({dim: slice(start, start + min(n, size))})


def _chosen(
    methods: Sequence[str] | Mapping[str, Method] | None, floor: NoiseFloor, patch: Mapping[str, int] | None
) -> dict[str, tuple[Method, ...]]:
    patched: dict[str, tuple[Method, ...]] = {}
    if patch is not None:
        patched["patches"] = (lambda part: denoise_patches(part, patch=patch)["denoised"],)
    if isinstance(methods, Mapping):
        return {name: (method,) for name, method in methods.items()} | patched
    names = list(METHODS) if methods is None else list(methods)
    unknown = [name for name in names if name not in METHODS]
    if unknown or not names:
        raise ConfigError(f"expected methods of {', '.join(METHODS)}, got {', '.join(unknown) or 'none'}")
    return {name: METHODS[name](floor) for name in names} | patched


def _optimal(floor: NoiseFloor) -> tuple[Method, ...]:
    return (lambda part: denoise(part, noise_floor(part, model=floor.model, alpha=floor.alpha)),)


def _truncation(floor: NoiseFloor) -> tuple[Method, ...]:
    return (lambda part: denoise(part, noise_floor(part, model=floor.model, alpha=floor.alpha), shrinkage="none"),)


def _pca(floor: NoiseFloor) -> tuple[Method, ...]:
    return (partial(_by_singular_values, keep=lambda values, _: np.arange(len(values)) < floor.rank),)


def _gavish_donoho(_: NoiseFloor) -> tuple[Method, ...]:
    def keep(values: FloatArray, beta: float) -> BoolArray:
        return np.asarray(values > shrink.hard_threshold_unknown_sigma(beta) * np.median(values))

    return (partial(_by_singular_values, keep=keep),)


def _smoothing(_: NoiseFloor) -> tuple[Method, ...]:
    return tuple(partial(_smooth, width=width) for width in WIDTHS)


METHODS: dict[str, Callable[[NoiseFloor], tuple[Method, ...]]] = {
    "optimal": _optimal,
    "truncation": _truncation,
    "pca": _pca,
    "gavish-donoho": _gavish_donoho,
    "smoothing": _smoothing,
}
"""Methods by name: variants for a noise floor, of which the one of the least held-out error speaks for all.

`optimal` is `denoise`; `truncation` keeps its components unshrunk; `pca` keeps as many of the plain covariance;
`gavish-donoho` is the median-based hard threshold; `smoothing` a Gaussian along time of the best of six widths.
"""


def _smooth(part: xr.DataArray, *, width: float) -> xr.DataArray:
    return part.copy(data=scipy.ndimage.gaussian_filter1d(part.values, width, axis=0, mode="nearest"))


def _by_singular_values(part: xr.DataArray, *, keep: Callable[[FloatArray, float], BoolArray]) -> xr.DataArray:
    """Keep the singular values of the demeaned (time, channel) matrix that `keep` says, as they are."""
    flat = part.values.reshape(part.sizes[TIME], -1)
    mean = flat.mean(axis=0)
    X = flat - mean
    wide = X.shape[0] < X.shape[1]
    values, vectors = scipy.linalg.eigh(X @ X.conj().T if wide else X.conj().T @ X)
    singular = np.sqrt(np.maximum(values[::-1], 0.0))
    basis = vectors[:, ::-1][:, keep(singular, min(X.shape) / max(X.shape))]
    kept = basis @ (basis.conj().T @ X) if wide else (X @ basis) @ basis.conj().T
    return part.copy(data=(kept + mean).reshape(part.shape))


def _assessed(
    name: str, variants: tuple[Method, ...], part: xr.DataArray, floor: NoiseFloor, held_out: HeldOut
) -> xr.Dataset:
    """Return the row of a method: that of its variant of the least held-out error."""
    errors = [_held_out(method, part, held_out) for method in variants]
    best = int(np.argmin([each.mean() for each in errors]))
    begin = time.perf_counter()
    cleaned = _run(variants[best], _filled(part))
    seconds = time.perf_counter() - begin
    residual = part.copy(data=_filled(part).values - cleaned.transpose(*part.dims).values)
    frequency, psd = residual_spectrum(residual, rate_of(part))
    rank, p_value = components_above_floor(residual, floor)
    n = len(errors[best])
    row: dict[str, Any] = {
        "error": errors[best].mean(),
        "error_se": errors[best].std(ddof=1) / np.sqrt(n),
        "residual_rank": rank,
        "residual_p_value": p_value,
        "residual_flatness": spectral_flatness(psd),
        "removed": removed_fraction(part, residual),
        "seconds": seconds,
    }
    spectrum = xr.DataArray(psd, dims="frequency", coords={"frequency": frequency})
    return xr.Dataset({**row, "residual_psd": spectrum}).assign_coords(denoiser=name)


def _held_out(method: Method, part: xr.DataArray, held_out: HeldOut) -> FloatArray:
    """Return the squared error of held-out values in each channel of each draw, where any were scored."""
    flat = part.values.reshape(part.sizes[TIME], -1)
    errors = []
    for missing, scored in zip(held_out.held_out, held_out.scored, strict=True):
        estimate = _iterated(method, part, interpolated(flat, missing), missing)
        squares = np.where(scored, np.abs(np.where(scored, estimate - flat, 0)) ** 2, 0).sum(axis=0)
        count = scored.sum(axis=0)
        errors.append(squares[count > 0] / count[count > 0])
    return np.concatenate(errors)


def _iterated(method: Method, part: xr.DataArray, given: AnyArray, missing: BoolArray) -> AnyArray:
    """Return the values, missing ones filled by what the method makes of them, over and over until that changes little.

    What it takes to stop does not depend on the held-out values either.
    """
    for _ in range(N_FILLS):
        estimate = (
            _run(method, part.copy(data=given.reshape(part.shape))).transpose(*part.dims).values.reshape(given.shape)
        )
        change, removed = (np.mean(np.abs((estimate - given)[where]) ** 2) for where in (missing, ~missing))
        given = np.where(missing, estimate, given)
        if change <= CONVERGED**2 * removed:
            break
    return given


def _run(method: Method, part: xr.DataArray) -> xr.DataArray:
    result = method(part)
    if set(getattr(result, "dims", ())) != set(part.dims) or getattr(result, "size", 0) != part.size:
        raise DataError(
            f"expected a method that returns a recording of dims {part.dims}, got {type(result).__name__} "
            f"{getattr(result, 'dims', '')}; for a Dataset take its `denoised`"
        )
    return result


def _filled(part: xr.DataArray) -> xr.DataArray:
    flat = part.values.reshape(part.sizes[TIME], -1)
    missing = ~np.isfinite(flat)
    return part if not missing.any() else part.copy(data=interpolated(flat, missing).reshape(part.shape))


def _mean_variance(floor: NoiseFloor) -> float:
    if floor.null.shape[1]:
        return floor.sigma**2  # the scales are those before a projection
    return float(np.mean(floor.channel_scale[floor.used] ** 2))
