"""Re-referencing: less what all channels, or those of a group, have in common at each sample."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import xarray as xr

from sciml._typing import AnyArray
from sciml.errors import ConfigError
from sciml.recording import feature_dims, feature_shape, n_features
from sciml.signal.blockwise import apply

__all__ = ["NULL_PATTERNS", "rereference"]

NULL_PATTERNS = "null_patterns"  # attribute: what `sciml.noise.noise_floor` takes for patterns that were removed
CENTER: dict[str, Any] = {"average": np.nanmean, "median": np.nanmedian}


@dataclass(frozen=True, eq=False)
class Reference:
    """Subtracts the average or median of each group of channels, numbered by `groups` (N,); -1: left alone."""

    kind: str
    groups: AnyArray
    margin, up, down = 0, 1, 1

    def __call__(self, values: AnyArray) -> AnyArray:
        """Return values (time, ...) less the center of their group."""
        rows = values.reshape(len(values), -1).copy()
        for group in range(int(self.groups.max(initial=-1)) + 1):
            members = self.groups == group
            held = ~np.isnan(rows[:, members]).all(axis=1)
            part = rows[np.ix_(held, members)]
            rows[np.ix_(held, members)] = part - CENTER[self.kind](part, axis=1, keepdims=True)
        return rows.reshape(values.shape)


def rereference(
    recording: xr.DataArray, kind: Literal["average", "median"] = "average", *, by: str | None = None
) -> xr.DataArray:
    """Return a recording less the average, or the median, of all channels at each sample, or of those of one group.

    What is subtracted is noise and signal of all channels, which then have one dimension less: the noise floor takes
    the common pattern of each group out and does not test it (it reads `attrs["null_patterns"]`).

    Parameters
    ----------
    recording
        Dims `time` and the channels.
    kind
        "average", or "median", which single channels of large values move less.
    by
        Name of a coordinate of the channels: each group of one value (shank, converter) is referenced by itself. A
        channel that is alone in its group stays as it is.

    Raises
    ------
    ConfigError
        Fewer than two channels, no such coordinate, or another kind.

    Examples
    --------
    >>> recording = xr.DataArray([[1.0, 3.0], [2.0, 6.0]], dims=("time", "channel"))
    >>> rereference(recording).values.tolist()
    [[-1.0, 1.0], [-2.0, 2.0]]
    """
    if kind not in CENTER:
        raise ConfigError(f"expected a reference of {' or '.join(CENTER)}, got {kind!r}")
    if n_features(recording) < 2:
        raise ConfigError("expected at least two channels to subtract what they have in common, got one")
    groups = np.zeros(n_features(recording), np.intp) if by is None else _groups(recording, by)
    n = int(groups.max(initial=-1)) + 1
    said = f"rereference: {kind} of {'all channels' if by is None else f'{n} groups by {by}'}"
    return apply(recording, Reference(kind, groups), said, whole=True, attrs={NULL_PATTERNS: by or "common"})


def _groups(recording: xr.DataArray, by: str) -> AnyArray:
    """Return the number of the group of each channel, -1 of those that are alone."""
    dims, shape = feature_dims(recording), feature_shape(recording)
    fits = [str(name) for name, c in recording.coords.items() if c.dims and set(c.dims) <= set(dims)]
    if by not in fits:
        known = f"one of {', '.join(fits)}" if fits else "none is there; leave it out"
        raise ConfigError(f"expected a coordinate of the channels to group by ({known}), got {by!r}")
    stored: Any = recording[by].variable
    labels = stored.set_dims(dict(zip(dims, shape, strict=True))).transpose(*dims).values.ravel()
    _, numbers, counts = np.unique(labels.astype(str), return_inverse=True, return_counts=True)
    several = counts > 1
    return np.where(several, np.cumsum(several) - 1, -1)[numbers]
