"""What a run hands to its report: plain arrays and numbers, gathered by whoever ran it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from sciml.noise import NoiseFloor

if TYPE_CHECKING:  # only named here; the report of a recording loads no torch
    from sciml.nn.init import InitReport
    from sciml.spectra import LayerSpectrum

__all__ = ["Denoising", "Forecast", "RunSummary", "Score", "SplitSummary", "Training"]


@dataclass(frozen=True, kw_only=True)
class SplitSummary:
    """How windows were parted into train, validation and test.

    Parameters
    ----------
    unit
        What was kept whole, as "time block".
    n_units
        How many of them there are: the number of independent pieces.
    gap
        Smallest allowed distance in seconds between windows of different parts.
    windows
        Number of windows of each part: {"train": 120, "validation": 40, "test": 40}.
    class_counts
        For each part, the number of windows of each class; empty for a forecast.
    checked
        True once the distance between the parts was verified on the windows themselves.
    smallest_gap
        The smallest distance in seconds that was found, if known.
    dropped
        Windows left out because they fell into a gap, a mask or between blocks.
    """

    unit: str
    n_units: int
    gap: float
    windows: Mapping[str, int]
    class_counts: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    checked: bool = False
    smallest_gap: float | None = None
    dropped: int = 0


@dataclass(frozen=True, kw_only=True)
class Denoising:
    """What denoising did, shown on a stretch of one channel.

    Parameters
    ----------
    time, before, after
        The stretch: seconds, and values in `units`; shape (n,) each.
    channel, units
        Which channel it is.
    method
        In words, as "optimal singular value shrinkage (rank 2)".
    variance_kept
        Share of the recording's variance that is left after denoising.
    residual_rank
        Components above the noise floor in what was removed; 0 where all structure was kept.
    residual_p_value
        p-value of the largest eigenvalue of what was removed, under the same noise model.
    residual_autocorrelation
        Lag-1 autocorrelation of what was removed.
    error_before, error_after
        Relative error against the truth in the same units as each other, where the truth is known.
    """

    time: NDArray[np.float64]
    before: NDArray[np.float64]
    after: NDArray[np.float64]
    channel: str
    units: str
    method: str
    variance_kept: float
    residual_rank: int | None = None
    residual_p_value: float | None = None
    residual_autocorrelation: float | None = None
    error_before: float | None = None
    error_after: float | None = None


@dataclass(frozen=True, kw_only=True)
class Training:
    """How the net learned.

    Parameters
    ----------
    history
        One mapping an epoch: `epoch`, and any of `train_loss`, `validation_loss`, `train_accuracy`,
        `validation_accuracy`, ... ; whatever ends in the same word shares a figure, None counts as not measured.
    best_epoch
        Epoch whose weights were kept.
    monitor
        Quantity that chose it.
    seconds, device
        Wall time of the fit, and where it ran.
    """

    history: Sequence[Mapping[str, Any]]
    best_epoch: int
    monitor: str = "loss"
    stopped_early: bool = False
    seconds: float | None = None
    device: str = "cpu"


@dataclass(frozen=True, kw_only=True)
class Score:
    """One model's score on the held-out part, with a 95 % interval where there is one."""

    name: str
    value: float
    low: float | None = None
    high: float | None = None
    role: Literal["model", "baseline"] = "baseline"


@dataclass(frozen=True, kw_only=True)
class Forecast:
    """Mean squared error of each forecaster at each horizon.

    Parameters
    ----------
    horizon
        Seconds ahead, shape (n,).
    mse
        From name to array of shape (n,), the reference among them.
    reference
        The forecaster that skill is measured against.
    """

    horizon: NDArray[np.float64]
    mse: Mapping[str, NDArray[np.float64]]
    reference: str = "persistence"


@dataclass(frozen=True, kw_only=True)
class RunSummary:
    """Everything that the report of a run shows. Only the first three are needed; absent parts are left out.

    Parameters
    ----------
    title
        What was fitted, as "Stimulus from population activity".
    question
        One sentence that the run answers, as "Can the stimulus be told from one second of activity?".
    task
        "classify" or "forecast".
    data
        Name and value of what describes the input: source, signal, shape, units, sampling_rate, duration, sha256.
    recording
        The recording itself; then its quality, power spectrum and components are shown as well.
    split, noise_floor, denoising, initialization, training
        The steps of the run.
    metric, greater_is_better
        What the scores are, as "accuracy" or "mean squared error".
    scores
        The net and its baselines on the held-out part.
    n_test
        Number of held-out windows that the scores stand on.
    chance_level, chance_band
        Score expected without knowledge, and the 95 % interval around it for this many windows.
    chance_p_value
        Probability that chance alone scores as high as the net.
    confusion, classes
        Counts by true class (row) and predicted class (column).
    forecast
        Errors by horizon.
    layers, layers_before
        Weight spectra after training and at the start.
    model, n_parameters
        Name and size of the net.
    truth
        What was planted, for simulated data: {"rank": 3}.
    warnings
        What the reader should know before trusting the result.
    config, versions, seed
        How to do it again.
    """

    title: str
    question: str
    task: Literal["classify", "forecast"]
    data: Mapping[str, Any] = field(default_factory=dict)
    recording: xr.DataArray | None = None
    split: SplitSummary | None = None
    noise_floor: NoiseFloor | None = None
    denoising: Denoising | None = None
    initialization: "InitReport | None" = None
    training: Training | None = None
    metric: str = "accuracy"
    greater_is_better: bool = True
    scores: tuple[Score, ...] = ()
    n_test: int | None = None
    chance_level: float | None = None
    chance_band: tuple[float, float] | None = None
    chance_p_value: float | None = None
    confusion: NDArray[np.int64] | None = None
    classes: tuple[str, ...] = ()
    forecast: Forecast | None = None
    layers: "Sequence[LayerSpectrum]" = ()
    layers_before: "Sequence[LayerSpectrum]" = ()
    model: str = ""
    n_parameters: int | None = None
    truth: Mapping[str, Any] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    config: Mapping[str, Any] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    seed: int | None = None
