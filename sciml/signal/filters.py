r"""Linear filters over time, of plain arrays: zero phase, without transients at the ends.

A filter runs forward and backward (`scipy.signal.sosfiltfilt`), which squares its gain and cancels its phase. Before
its ends a recording is continued as its mirror image. The odd image, which is common, turns about the first sample: the
noise of that one sample becomes a step, whose transient all channels share. In white noise filtered to 1-40 Hz the
noise floor then finds two components that are not there, one at each end; with the even image it finds none.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import scipy.signal

from sciml._typing import AnyArray, FloatArray
from sciml.errors import ConfigError

__all__ = ["Filter", "bandpass_filter", "design", "filtered", "notch_filter"]

Kind = Literal["bandpass", "highpass", "lowpass"]
NEGLIGIBLE = 1e-14  # of a response, beyond what double precision tells


@dataclass(frozen=True, eq=False)
class Filter:
    """Second-order sections (section, 6) that run forward and backward; what lies `margin` away has no effect."""

    sections: FloatArray
    up, down = 1, 1

    @property
    def margin(self) -> int:
        """Samples after which the response of the slowest pole is below 1e-14."""
        poles = scipy.signal.sos2zpk(self.sections)[1]
        slowest = float(np.abs(poles).max(initial=0.0))
        return 1 if slowest < NEGLIGIBLE else int(np.ceil(1.25 * np.log(NEGLIGIBLE) / np.log(slowest))) + 1

    def __call__(self, values: AnyArray) -> AnyArray:
        """Return values (time, ...) forward and backward through the sections; nothing is added at the ends."""
        return np.asarray(scipy.signal.sosfiltfilt(self.sections, values, axis=0, padtype=None))


def filtered(values: AnyArray, step: Filter) -> AnyArray:
    """Return values (time, ...) filtered, continued at both ends as their mirror image.

    Examples
    --------
    >>> time = np.arange(2000) / 1000.0
    >>> slow, fast = np.sin(2 * np.pi * 5 * time), np.sin(2 * np.pi * 200 * time)
    >>> cleaned = filtered(slow + fast, design("lowpass", 50.0, 1000.0))
    >>> float(np.abs(cleaned - slow)[200:-200].max()) < 1e-3
    True
    """
    margin = step.margin
    wide = np.pad(values, [(margin, margin)] + [(0, 0)] * (values.ndim - 1), mode="reflect")
    return step(wide)[margin : margin + len(values)]


def design(kind: Kind, frequency: float | Sequence[float], rate: float, *, order: int = 4) -> Filter:
    """Return a Butterworth filter; its gain at the frequencies is 1/2, for it runs twice.

    Parameters
    ----------
    kind
        "bandpass", "highpass" or "lowpass".
    frequency
        In Hz: one, or the two of a band.
    rate
        Samples per second.
    order
        Of the filter in one direction: its power falls by 6 dB times `order` for each octave, twice that in all.

    Raises
    ------
    ConfigError
        Frequencies that are not between zero and half of the rate, or do not increase; an order below one.

    Examples
    --------
    >>> design("highpass", 300.0, 30000.0).sections.shape
    (2, 6)
    """
    edges = np.atleast_1d(np.asarray(frequency, np.float64))
    _demand_frequencies(edges, rate)
    if order < 1 or order != int(order):
        raise ConfigError(f"expected an order of 1 or more, got {order}")
    band = edges if len(edges) > 1 else float(edges[0])
    return Filter(np.asarray(scipy.signal.butter(int(order), band, kind, fs=rate, output="sos"), np.float64))


def bandpass_filter(low: float, high: float, rate: float, *, order: int = 4) -> Filter:
    """Return a band-pass from `low` to `high` in Hz; see `design`."""
    return design("bandpass", (low, high), rate, order=order)


def notch_filter(frequency: float, rate: float, *, harmonics: int | None = None, quality: float = 30.0) -> Filter:
    """Return notches at a frequency and its multiples, as mains leave lines there.

    Parameters
    ----------
    frequency
        In Hz.
    rate
        Samples per second.
    harmonics
        How many multiples, the frequency itself counted; default all below half of the rate.
    quality
        Frequency over the width of the first notch at half power; the others are as wide.

    Raises
    ------
    ConfigError
        A frequency that is not between zero and half of the rate.

    Examples
    --------
    >>> notch_filter(50.0, 1000.0).sections.shape
    (9, 6)
    """
    _demand_frequencies(np.array([frequency]), rate)
    fit = int(np.ceil(rate / 2 / frequency)) - 1
    n = fit if harmonics is None else min(harmonics, fit)
    if n < 1 or quality <= 0:
        raise ConfigError(f"expected at least one notch of positive quality, got {harmonics} and {quality}")
    lines = [scipy.signal.iirnotch(k * frequency, k * quality, fs=rate) for k in range(1, n + 1)]
    return Filter(np.concatenate([scipy.signal.tf2sos(b, a) for b, a in lines]))


def _demand_frequencies(edges: FloatArray, rate: float) -> None:
    low = ", ".join(f"{each:g}" for each in edges)
    if not (np.isfinite(edges).all() and (edges > 0).all()):
        raise ConfigError(f"expected frequencies above 0 Hz, got {low}")
    if (edges >= rate / 2).any():
        raise ConfigError(
            f"expected frequencies below {rate / 2:g} Hz, half of the {rate:g} samples per second, got {low} Hz; "
            "choose lower ones (a high-pass in place of a band-pass), or correct the recording's sampling_rate"
        )
    if (np.diff(edges) <= 0).any():
        raise ConfigError(f"expected a band from a lower to a higher frequency, got {low} Hz")
