"""Denoise whole recordings: keep the components above the noise floor, each shrunk by how far it can be trusted."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from sciml.errors import ConfigError, DataError
from sciml.noise import NoiseFloor, noise_floor
from sciml.recording import TIME, check, feature_dims, n_features
from sciml.rmt import shrink

__all__ = ["Projector", "Shrinkage", "denoise", "projector"]

Shrinkage = Literal["optimal", "none"]
BLOCK_BYTES = 2**27


@dataclass(frozen=True)
class Projector:
    r"""A linear map over channels that keeps signal and removes noise, sample by sample.

    .. math:: \hat x = m + D\, U \,\mathrm{diag}(w)\, U^H D^{-1} (x - m)

    with m the channel means, D the noise standard deviations, U the components above the floor and w their
    shrinkage. It looks at one instant only, so it cannot carry the future into the past.
    """

    mean: NDArray[Any]
    encode: NDArray[Any]
    decode: NDArray[Any]
    weights: NDArray[np.float64]

    @property
    def rank(self) -> int:
        """Number of components kept."""
        return len(self.weights)

    @property
    def matrix(self) -> NDArray[Any]:
        """The map as one matrix M of shape (channel, channel): value -> mean + M (value - mean)."""
        return np.asarray((self.decode * self.weights) @ self.encode)

    def __call__(self, values: NDArray[Any]) -> NDArray[Any]:
        """Denoise samples of shape (n, channel). A missing value counts as its channel's mean, and stays missing."""
        centered = values - self.mean
        missing = np.isnan(centered)
        filled = np.where(missing, 0, centered)
        kept = (filled @ self.encode.T * self.weights) @ self.decode.T + self.mean
        return np.asarray(np.where(missing, np.nan, kept))


def projector(floor: NoiseFloor, *, rank: int | None = None, shrinkage: Shrinkage = "optimal") -> Projector:
    """Return the map that removes what `floor` calls noise.

    Parameters
    ----------
    floor
        Result of `sciml.noise.noise_floor`.
    rank
        Number of components to keep; default the floor's.
    shrinkage
        "optimal" weighs each component for the least squared error given the recording's own noise spectrum
        (OptShrink); "none" keeps components as they are (truncation).

    Raises
    ------
    ConfigError
        A rank beyond the components that the floor found, or an unknown shrinkage.

    References
    ----------
    Nadakuditi (2014), doi:10.1109/TIT.2014.2311661, algorithm 1.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> shared = rng.normal(size=(2000, 1)) @ rng.normal(size=(1, 20))
    >>> floor = noise_floor(xr.DataArray(shared + rng.normal(size=(2000, 20)), dims=("time", "channel")))
    >>> projector(floor).matrix.shape
    (20, 20)
    """
    kept = floor.rank if rank is None else rank
    if not 0 <= kept <= floor.rank:
        raise ConfigError(
            f"expected a rank between 0 and the {floor.rank} components above the floor, got {rank}; "
            "raise alpha in noise_floor to let weaker components through"
        )
    components = floor.components[:, :kept]
    scale = floor.channel_scale
    inverse = np.divide(1.0, scale, out=np.zeros_like(scale), where=scale > 0)
    return Projector(
        mean=floor.channel_mean,
        encode=components.conj().T * inverse,
        decode=components * scale[:, None],
        weights=_weights(floor, kept, shrinkage),
    )


def _weights(floor: NoiseFloor, rank: int, shrinkage: Shrinkage) -> NDArray[np.float64]:
    """Return the factor between 0 and 1 of each kept component."""
    if shrinkage == "none":
        return np.ones(rank)
    if shrinkage != "optimal":
        raise ConfigError(f"expected a shrinkage of 'optimal' or 'none', got {shrinkage!r}")
    if rank == 0:
        return np.ones(0)
    singular_values = np.sqrt(floor.eigenvalues * (floor.n_samples - 1))
    shrunk = shrink.optshrink(singular_values, floor.rank, (len(floor.live), floor.n_samples - 1)).shrunk
    return np.asarray(np.clip(shrunk[:rank] / singular_values[:rank], 0.0, 1.0))


def denoise(
    recording: xr.DataArray,
    floor: NoiseFloor | None = None,
    *,
    rank: int | None = None,
    shrinkage: Shrinkage = "optimal",
) -> xr.DataArray:
    """Return the recording with the noise removed: its components above the noise floor, optimally shrunk.

    Parameters
    ----------
    recording
        Dims `time` and any others. Chunked (dask) recordings stay lazy; others are computed block by block.
    floor
        Noise floor, from this recording or another one of the same channels; default `noise_floor(recording)`.
    rank, shrinkage
        As for `projector`.

    Returns
    -------
    DataArray of the same dims, coordinates and units, values float (never clipped). `attrs["history"]` says what
    was removed. Missing values stay missing.

    Raises
    ------
    DataError
        The floor belongs to another number of channels, or the recording has no noise floor (see `noise_floor`).

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> shared = rng.normal(size=(2000, 1)) @ rng.normal(size=(1, 20))
    >>> noisy = xr.DataArray(shared + rng.normal(size=(2000, 20)), dims=("time", "channel"))
    >>> bool(((denoise(noisy) - shared) ** 2).mean() < 0.1 * ((noisy - shared) ** 2).mean())
    True
    """
    check(recording)
    floor = noise_floor(recording) if floor is None else floor
    if floor.n_features != n_features(recording):
        raise DataError(
            f"expected a recording of {floor.n_features} channels, as the noise floor has, got "
            f"{n_features(recording)}; compute the floor of this recording"
        )
    project = projector(floor, rank=rank, shrinkage=shrinkage)
    dtype = np.result_type(recording.dtype, np.float32)
    ordered = recording.transpose(TIME, ...)
    if ordered.chunks is None:
        data: Any = _by_blocks(ordered, project, dtype)
    else:
        whole = ordered.chunk(dict.fromkeys(feature_dims(ordered), -1)).data
        data = whole.map_blocks(_project, project, dtype, dtype=dtype)
    return ordered.copy(data=data).transpose(*recording.dims).assign_attrs(_provenance(recording, floor, project))


def _by_blocks(recording: xr.DataArray, project: Projector, dtype: np.dtype[Any]) -> NDArray[Any]:
    """Denoise a recording that is read block by block; the result is held in memory."""
    out = np.empty(recording.shape, dtype)
    rows = max(1, BLOCK_BYTES // (8 * n_features(recording)))
    for start in range(0, len(out), rows):
        part = slice(start, start + rows)
        out[part] = _project(recording.isel({TIME: part}).values, project, dtype)
    return out


def _project(values: NDArray[Any], project: Projector, dtype: np.dtype[Any]) -> NDArray[Any]:
    return project(values.reshape(len(values), -1)).astype(dtype).reshape(values.shape)


def _provenance(recording: xr.DataArray, floor: NoiseFloor, project: Projector) -> dict[str, Any]:
    step = (
        f"sciml.denoise: kept {project.rank} components of {floor.n_features} channels above the {floor.model} noise "
        f"floor (sigma {floor.sigma:.6g} {floor.units}, level {floor.alpha:g})"
    )
    history = recording.attrs.get("history", "")
    before = history if isinstance(history, str) else "\n".join(history)
    return {"history": f"{before}\n{step}".strip(), "noise_sigma": floor.sigma, "noise_rank": project.rank}
