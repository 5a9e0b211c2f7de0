from . import correlation, filters, lines, psd
from .bad_channels import bad_channels, drop_bad_channels
from .cropping import crop, crop_around
from .preprocess import bandpass, decimate, dff, highpass, lowpass, notch, resample
from .reference import rereference
from .steps import STEPS
from .trends import detrend
from .whitening import whiten

__all__ = [
    "STEPS",
    "bad_channels",
    "bandpass",
    "correlation",
    "crop",
    "crop_around",
    "decimate",
    "detrend",
    "dff",
    "drop_bad_channels",
    "filters",
    "highpass",
    "lines",
    "lowpass",
    "notch",
    "psd",
    "rereference",
    "resample",
    "whiten",
]
