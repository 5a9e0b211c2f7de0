"""The denoiser of a run: learned from the train part alone, and shown at work."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from sciml.data import Split, Windows
from sciml.data.parts.augment import Augment, NoiseSource
from sciml.data.splits import files_of
from sciml.denoise import LinearDenoiser, linear_denoiser
from sciml.denoise.evaluate.residual import components_above_own_floor
from sciml.errors import ConfigError, DataError
from sciml.noise import Model, NoiseFloor, noise_floor
from sciml.pipeline.config import Augment as AugmentConfig
from sciml.pipeline.config import Noise
from sciml.recording import TIME, feature_dims, n_features, sampling_rate, seconds
from sciml.report import Denoising

__all__ = [
    "LearnedDenoiser",
    "augmentation",
    "describe_denoising",
    "learn_denoiser",
    "noise_source",
    "train_part",
]

SHOWN = 400  # samples that are shown before and after
HELD = 2**25  # values of the recording that the residual is tested on


@dataclass(frozen=True, eq=False)
class LearnedDenoiser:
    """The noise floor of the whole recording, to report, and the denoiser of the train part, to learn with.

    Attributes
    ----------
    floor
        None where the recording has no noise floor; a warning says why.
    denoiser
        None where nothing is denoised.
    train
        The noise floor of the train part alone, where it was asked for.
    """

    floor: NoiseFloor | None
    denoiser: LinearDenoiser | None
    warnings: tuple[str, ...] = ()
    train: NoiseFloor | None = None


def learn_denoiser(
    windows: Windows, split: Split, config: Noise, *, whole: NoiseFloor | None = None, of_train: bool = False
) -> LearnedDenoiser:
    """Find the noise floor of a recording, and learn a denoiser from its train blocks alone.

    A recording without a noise floor (one channel, for example), or without a component above it, is not denoised;
    a warning says so. `whole` is the noise floor of the whole recording where it is known from another fold; `of_train`
    asks for that of the train part where nothing is denoised, too.
    """
    recording = windows.recording
    try:
        whole = whole or noise_floor(recording, model=config.model, alpha=config.alpha)
    except DataError as error:
        return LearnedDenoiser(None, None, (f"no noise floor: {error}",))
    if not (config.denoise or of_train):
        return LearnedDenoiser(whole, None)
    # the kind of noise is no secret of the test part; how strong it is, and where, is learned from the train part
    kind: Model = whole.model if config.model == "auto" else config.model
    floor = noise_floor(train_part(windows, split), model=kind, alpha=config.alpha)
    if not config.denoise:
        return LearnedDenoiser(whole, None, train=floor)
    if floor.rank == 0:
        text = "no component of the train part rises above its noise floor: nothing to denoise"
        return LearnedDenoiser(whole, None, (text,), floor)
    return LearnedDenoiser(whole, linear_denoiser(floor), train=floor)


def augmentation(config: AugmentConfig, learned: LearnedDenoiser, rate: float) -> Augment | None:
    """Return how train windows are changed while the net learns; None if they are not.

    Noise is drawn with the spectrum and the strength in each channel that the noise floor of the train part has.

    Raises
    ------
    ConfigError
        Noise of a recording that has no noise floor.
    """
    if config == AugmentConfig():
        return None
    if config.noise and learned.train is None:
        raise ConfigError(
            f"augment.noise: expected a recording with a noise floor to draw from, got {'; '.join(learned.warnings)}; "
            "set it to 0"
        )
    source = noise_source(learned.train, rate) if config.noise and learned.train is not None else None
    return Augment(config.shift, config.channel_dropout, config.noise, source)


def noise_source(floor: NoiseFloor, rate: float) -> NoiseSource:
    """Return the noise of a floor to draw from: as strong in each channel, and of its mean color.

    Examples
    --------
    >>> white = xr.DataArray(np.random.default_rng(0).normal(size=(900, 8)), dims=("time", "channel"))
    >>> noise_source(noise_floor(white, model="white"), 1.0).scale.round(1).tolist()
    [1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0]
    """
    known = floor.noise_model.colored and len(floor.psd) > 1 and bool(np.any(floor.psd > 0))
    return NoiseSource(
        np.asarray(floor.channel_scale, np.float64),
        rate,
        frequency=np.asarray(floor.frequency, np.float64) if known else None,
        psd=np.asarray(floor.psd, np.float64) if known else None,
        null=np.asarray(floor.null, np.float64) if floor.null.size else None,
    )


def train_part(windows: Windows, split: Split) -> xr.DataArray:
    """Return the recording from the first train window of each train block to its last; gaps of the clock between.

    Windows at the edges of blocks that were dropped for the gap are not in it, nor is anything from one train window
    to the next where a window of another part, another block or another file lies between.
    """
    order = np.argsort(windows.starts, kind="stable")
    is_train = np.isin(order, split.train)
    group = np.stack([split.block[order], files_of(windows)[order]])
    follows = is_train[1:] & is_train[:-1] & (group[:, 1:] == group[:, :-1]).all(axis=0)
    starts = windows.starts[order]
    stops = starts + windows.spans[order]
    stops[:-1][follows] = np.maximum(stops[:-1], starts[1:])[follows]
    inside = np.zeros(windows.recording.sizes[TIME], dtype=np.bool_)
    for start, stop in zip(starts[is_train].tolist(), stops[is_train].tolist(), strict=True):
        inside[start:stop] = True
    kept = np.flatnonzero(inside)
    part = windows.recording.isel({TIME: kept})
    times = seconds(part)
    times = kept / windows.rate if times is None else times
    attrs = {key: value for key, value in part.attrs.items() if key != "sampling_rate"}  # its clock has gaps now
    return part.assign_coords({TIME: times}).drop_attrs(deep=False).assign_attrs(attrs)


def describe_denoising(
    recording: xr.DataArray, learned: LearnedDenoiser, *, truth: NDArray[np.floating[Any]] | None = None
) -> Denoising | None:
    """Return what the denoiser did to the recording, and whether what it removed is noise.

    Parameters
    ----------
    truth
        The clean recording (time, channel), where it is known.
    """
    denoiser, whole = learned.denoiser, learned.floor
    if denoiser is None or whole is None:
        return None
    part = recording.transpose(TIME, ...).isel({TIME: slice(0, max(SHOWN, HELD // n_features(recording)))})
    before = np.asarray(part.values, dtype=np.float64).reshape(part.sizes[TIME], -1)
    after = denoiser(before)
    variance = np.nanvar(before, axis=0)
    varies = variance > 0
    kept = np.nanvar(after, axis=0)[varies] / variance[varies]
    channel = int(np.flatnonzero(varies)[np.argmax(kept)])
    residual = part.copy(data=(before - after).reshape(part.shape))
    residual_rank, residual_p_value = components_above_own_floor(residual, whole)
    errors = _errors(before, after, truth)
    n = min(SHOWN, len(before))
    rate = sampling_rate(recording)
    return Denoising(
        time=part[TIME].values[:n] if TIME in part.coords else np.arange(n) / rate,
        before=before[:n, channel],
        after=after[:n, channel],
        channel=_name(part, channel),
        units=str(recording.attrs.get("units", "")),
        method=f"optimal singular value shrinkage of {denoiser.rank} components, learned from the train part alone",
        variance_kept=float(kept.mean()),
        residual_rank=residual_rank,
        residual_p_value=residual_p_value,
        error_before=errors[0],
        error_after=errors[1],
    )


def _errors(
    before: NDArray[np.float64], after: NDArray[np.float64], truth: NDArray[np.floating[Any]] | None
) -> tuple[float | None, float | None]:
    """Return the squared error against the truth over the variance of the truth, before and after."""
    if truth is None:
        return None, None
    clean = np.asarray(truth, dtype=np.float64)[: len(before)]
    power = float(np.nansum((clean - clean.mean(axis=0)) ** 2))
    return tuple(float(np.nansum((each - clean) ** 2)) / power for each in (before, after))  # type: ignore[return-value]


def _name(recording: xr.DataArray, channel: int) -> str:
    dims = feature_dims(recording)
    if len(dims) == 1:
        label = recording[dims[0]].values[channel] if dims[0] in recording.coords else channel
        return f"{dims[0]} {label}"
    return f"{' x '.join(dims)} {channel}"
