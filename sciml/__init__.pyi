from . import (
    bridges,
    data,
    datasets,
    denoise,
    environment,
    errors,
    io,
    linalg,
    nn,
    noise,
    pipeline,
    recording,
    report,
    rmt,
    signal,
    simulate,
    spectra,
    theory,
    train,
)
from .bridges.arrays import from_numpy
from .verbs.learning import fit
from .verbs.recordings import denoise_recording, noise_floor, open, report_on  # noqa: A004

__version__: str

__all__ = [
    "bridges",
    "data",
    "datasets",
    "denoise",
    "denoise_recording",
    "environment",
    "errors",
    "fit",
    "from_numpy",
    "io",
    "linalg",
    "nn",
    "noise",
    "noise_floor",
    "open",
    "pipeline",
    "recording",
    "report",
    "report_on",
    "rmt",
    "signal",
    "simulate",
    "spectra",
    "theory",
    "train",
]
