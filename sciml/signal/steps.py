"""The steps of preprocessing by name: what the command line and the accessor of recordings offer."""

from collections.abc import Callable
from typing import Any

from sciml.signal.bad_channels import bad_channels, drop_bad_channels
from sciml.signal.cropping import crop, crop_around
from sciml.signal.preprocess import bandpass, decimate, dff, highpass, lowpass, notch, resample
from sciml.signal.reference import rereference
from sciml.signal.trends import detrend
from sciml.signal.whitening import whiten

__all__ = ["STEPS"]

FUNCTIONS: tuple[Callable[..., Any], ...] = (
    crop, crop_around, bad_channels, drop_bad_channels, rereference, detrend, highpass, lowpass, bandpass, notch,
    decimate, resample, dff, whiten,
)  # fmt: skip
STEPS: dict[str, Callable[..., Any]] = {each.__name__: each for each in FUNCTIONS}
