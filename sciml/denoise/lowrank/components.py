"""What a denoiser keeps: components in units of the noise, from a noise floor, a known sigma, or a given rank."""

import warnings
from dataclasses import dataclass, replace

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike

from sciml._typing import AnyArray, FloatArray
from sciml.errors import ConfigError, DataError, ScimlWarning
from sciml.noise import Model, NoiseFloor, leading_components
from sciml.recording import n_features
from sciml.rmt import edges

__all__ = ["Basis", "from_floor", "from_sigma", "with_rank"]


@dataclass(frozen=True, eq=False)
class Basis:
    """Components of N channels in units of their noise, and all singular values that they were found among.

    `components` (N, k) are columns of unit norm, strongest first, `rank` of which rise above the noise; `filters`
    (N, k) read their time courses, and are the components again where channels share no noise; `sides` is the
    shape that `singular_values` belong to. `profile` (N,) is set for counts: the fraction of each channel in the counts
    of a sample, which is expected of independent channels. What is kept is orthogonal to the orthonormal `null`
    (N, n_null): directions that were projected out of the recording. `shared`: channels share noise.
    """

    mean: AnyArray
    scale: FloatArray
    components: AnyArray
    filters: AnyArray
    singular_values: FloatArray
    sides: tuple[int, int]
    rank: int
    noise: str
    sigma: float
    units: str = ""
    profile: FloatArray | None = None
    null: AnyArray | None = None
    white: bool = False
    model: Model = "heteroscedastic"
    shared: bool = False


def from_floor(floor: NoiseFloor) -> Basis:
    """Return the components above a noise floor."""
    dof = floor.n_samples - 1
    return Basis(
        mean=floor.channel_mean,
        scale=floor.channel_scale,
        components=floor.components,
        filters=floor.filters,
        singular_values=floor.singular_values,
        # Fewer values than both sides allow: a reference was subtracted, or counts gave up their expectation.
        sides=(len(floor.eigenvalues), max(floor.n_used - floor.n_null, dof)),
        rank=floor.rank,
        noise=f"the {floor.model} noise floor (sigma {floor.sigma:.6g} {floor.units}, level {floor.alpha:g})",
        sigma=floor.sigma,
        units=floor.units,
        null=floor.null if floor.null.shape[1] else None,
        profile=_profile(floor) if floor.noise_model.needs_values else None,
        model=floor.model,
        shared=not floor.noise_model.independent,
    )


def _profile(floor: NoiseFloor) -> FloatArray:
    """Return the fraction of each channel in the counts of all that are used; zero for the others."""
    fraction = np.zeros(floor.n_features)
    fraction[floor.used] = floor.channel_mean[floor.used]
    return np.asarray(fraction / fraction.sum())


def from_sigma(recording: xr.DataArray, sigma: ArrayLike, *, alpha: float = 0.05) -> Basis:
    """Return the components above white noise of known standard deviation, one number or one a channel."""
    given = np.asarray(sigma, dtype=np.float64)
    n = n_features(recording)
    if given.size not in (1, n) or not (np.isfinite(given) & (given > 0)).all():
        raise ConfigError(f"expected sigma as one positive number or {n} of them, in units of the data, got {sigma!r}")
    scale = np.broadcast_to(given.ravel(), n)
    found = leading_components(recording, scale)
    dof, used = found.n_samples - 1, len(found.used)
    values = found.eigenvalues
    threshold = edges.white(used, dof, complex_data=found.complex_data).threshold(alpha)
    rank = int(np.count_nonzero(values > threshold))
    units = str(recording.attrs.get("units", ""))
    level = float(np.sqrt(np.mean(given**2)))
    components = found.components[:, : min(rank, len(values) - 1)]
    return Basis(
        mean=found.mean,
        scale=np.where(np.isin(np.arange(n), found.used), scale, 0.0),
        components=components,
        filters=components,
        singular_values=np.sqrt(values * dof),
        sides=(len(values), max(used, dof)),
        rank=min(rank, len(values) - 1),
        noise=f"white noise of the given sigma {level:.6g} {units}".strip(),
        sigma=level,
        units=units,
        white=True,
    )


def with_rank(basis: Basis, recording: xr.DataArray, rank: int) -> Basis:
    """Return the basis with the first `rank` components of the recording, those within the noise too.

    Raises
    ------
    ConfigError
        A rank that leaves no noise, or takes components from within noise that channels share.
    DataError
        The basis is of another recording, other channels of which carry noise.

    Warns
    -----
    ScimlWarning
        The rank takes in components within the noise.
    """
    most = len(basis.singular_values) - 1
    if not 0 <= rank <= most:
        raise ConfigError(f"expected a rank from 0 to {most}, so that noise is left, got {rank}")
    if rank <= basis.rank:
        return basis
    if basis.shared:
        raise ConfigError(
            f"expected a rank of at most the {basis.rank} components above the noise floor, got {rank}: channels share "
            f'noise, and what is weaker is that; with a floor of model="heteroscedastic" it counts as components'
        )
    warnings.warn(
        f"{rank} components were asked for, and {basis.rank} rise above the noise: the others may be noise",
        ScimlWarning,
        stacklevel=3,
    )
    found = leading_components(recording, basis.scale, rank, model=basis.model)
    if not np.array_equal(np.flatnonzero(basis.scale), found.used):
        raise DataError(
            f"expected a rank of at most the {basis.rank} components above the noise floor, which is that of another "
            f"recording; got {rank}: compute the floor of this one"
        )
    return replace(basis, components=found.components, filters=found.components)
