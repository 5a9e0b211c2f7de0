"""Which channels are used, and why the others are not: the one place where it is decided."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from sciml._typing import BoolArray, FloatArray, IntArray
from sciml.errors import DataError

__all__ = ["ChannelSelection", "Duplicates", "exclusion_words", "select_channels"]

NAMED = 5  # duplicates in a warning
LEAST_PRESENT = 0.5  # of a channel's samples; a channel with fewer counts as missing

Duplicates = Callable[[IntArray], list[tuple[int, int]]]


@dataclass(frozen=True)
class ChannelSelection:
    """Indices of the `used` channels, and of the `excluded` ones, in order, why: see `select_channels`."""

    used: IntArray
    excluded: dict[int, str]

    def demand_two(self, n_features: int, why: str) -> None:
        """Raise a DataError that counts the excluded channels if fewer than two are used."""
        if len(self.used) < 2:
            raise DataError(
                f"expected at least two channels that vary, got {len(self.used)} of {n_features} "
                f"({_count(self.excluded, 'constant')} constant, {_count(self.excluded, 'missing')} mostly missing, "
                f"{_count(self.excluded, 'duplicate')} duplicates of others); {why}"
            )

    def renumbered(self, channels: IntArray) -> "ChannelSelection":
        """Return the same selection where `channels[i]` is the number of the channel i."""
        excluded: dict[int, str] = {}
        for channel, reason in self.excluded.items():
            first = original_of(reason)
            words = reason if first is None else f"duplicate of {channels[first]}"
            excluded[int(channels[channel])] = words
        return ChannelSelection(channels[self.used], dict(sorted(excluded.items())))


def select_channels(
    *, count: IntArray, n_samples: int, constant: BoolArray, scatter: FloatArray, duplicates: Duplicates
) -> ChannelSelection:
    """Choose the channels that carry noise of their own.

    A channel is `missing` if fewer than half of its samples are there, `constant` if all of them are equal, and a
    `duplicate of k` if it agrees with the used channel k up to scale, sign and phase
    (`sciml.noise.channels.duplicates`).

    Parameters
    ----------
    count
        Samples of each channel that are there, (N,).
    n_samples
        Samples that could be.
    constant
        Whether all samples of a channel equal its first.
    scatter
        Sum of squares of each channel about its mean.
    duplicates
        Returns pairs (first, later) of the channels that it is given, as places in that list.
    """
    missing = count < LEAST_PRESENT * n_samples
    # A scatter that rounding leaves nothing of, or that overflows, says nothing about the channel's noise either.
    constant = (constant | ~((scatter > 0) & np.isfinite(scatter))) & ~missing
    varying = np.flatnonzero(~missing & ~constant)
    pairs = [(int(varying[first]), int(varying[later])) for first, later in duplicates(varying)]
    excluded = dict.fromkeys(np.flatnonzero(missing).tolist(), "missing")
    excluded |= dict.fromkeys(np.flatnonzero(constant).tolist(), "constant")
    excluded |= {later: f"duplicate of {first}" for first, later in pairs}
    used = np.setdiff1d(varying, [later for _, later in pairs])
    return ChannelSelection(used, dict(sorted(excluded.items())))


def exclusion_words(excluded: Mapping[int, str], n_features: int, names: Sequence[str] = ()) -> list[str]:
    """Say in words which channels were excluded; `names` of the channels default to their numbers."""
    found = []
    n_empty = _count(excluded, "constant") + _count(excluded, "missing")
    if n_empty:
        found.append(f"{n_empty} of {n_features} channels are constant or mostly missing and were left out")
    pairs = [(channel, original_of(reason)) for channel, reason in excluded.items()]
    named = [
        f"{names[later] if names else later} of {names[first] if names else first}"
        for later, first in pairs
        if first is not None
    ]
    if named:
        words = ", ".join(named[:NAMED]) + (f" and {len(named) - NAMED} more" if len(named) > NAMED else "")
        found.append(f"channels that are duplicates of another were left out: {words}")
    return found


def original_of(reason: str) -> int | None:
    """Return k of "duplicate of k", None for another reason."""
    kind, _, first = reason.partition(" of ")
    return int(first) if kind == "duplicate" else None


def _count(excluded: Mapping[int, str], kind: str) -> int:
    return sum(reason.startswith(kind) for reason in excluded.values())
