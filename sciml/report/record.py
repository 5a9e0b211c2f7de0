"""What a run found: one record of its objects, of which `metrics.json` and `report.json` are made."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from sciml.noise import NoiseFloor
from sciml.report import scores
from sciml.result import Plots, shown

if TYPE_CHECKING:  # only named here; the report of a recording loads no torch
    import pandas as pd  # type: ignore[import-untyped]

    from sciml.nn.init import InitReport
    from sciml.spectra import LayerSpectrum, WeightSpectra
    from sciml.train import FitResult

__all__ = [
    "Chance",
    "Denoising",
    "Evaluation",
    "Forecast",
    "Regression",
    "Reliability",
    "RunRecord",
    "Score",
    "SplitSummary",
    "UnitScores",
]

FLOOR_FIELDS = (
    "model",
    "rank",
    "rank_words",
    "doubt",
    "sigma",
    "edge",
    "alpha",
    "correlation_time",
    "mp_rank",
    "converged",
    "warnings",
)  # of the noise floor in `metrics.json`


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
        For each part, the number of windows of each class; empty where windows have no class.
    checked
        True once the distance between the parts was verified on the windows themselves.
    smallest_gap
        The smallest distance in seconds that was found, if known.
    dropped
        Windows left out because they fell into a gap, a mask or between blocks, by reason.
    sha256
        Of the split; of the folds, one after the other.
    independence
        In words: "unit of independence: session, n = 6".
    leakage
        What `sciml.data.leakage` found on the windows; its `alarms` are sentences.
    folds
        What was tested in each fold, and how its training went; empty without folds.
    """

    unit: str
    n_units: int
    gap: float
    windows: Mapping[str, int]
    class_counts: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    checked: bool = False
    smallest_gap: float | None = None
    dropped: Mapping[str, int] = field(default_factory=dict)
    sha256: str = ""
    independence: str = ""
    leakage: Mapping[str, Any] = field(default_factory=dict)
    folds: Sequence[Mapping[str, Any]] = ()

    @property
    def unit_words(self) -> str:
        """What was kept whole, and how many of it there are, in words."""
        return self.independence or f"unit of independence: {self.unit}, n = {self.n_units}"

    @property
    def alarms(self) -> tuple[str, ...]:
        """What makes the scores doubtful, in sentences."""
        return tuple(self.leakage.get("alarms", ()))

    @property
    def n_dropped(self) -> int:
        """How many windows were left out."""
        return sum(self.dropped.values())

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain values.

        Examples
        --------
        >>> SplitSummary(unit="time block", n_units=12, gap=2.0, windows={"train": 5}).to_dict()["n_units"]
        12
        """
        return dict(vars(self))


@dataclass(frozen=True, kw_only=True)
class Denoising:
    """What denoising did, shown on some samples of one channel.

    Parameters
    ----------
    time, before, after
        The samples: seconds, and values in `units`; shape (n,) each.
    channel, units
        Which channel it is.
    method
        In words, as "optimal singular value shrinkage (rank 2)".
    variance_kept
        Fraction of the recording's variance that is left after denoising.
    residual_rank
        Components above the noise floor in what was removed; 0 where all structure was kept.
    residual_p_value
        p-value of the largest eigenvalue of what was removed, under the same noise model.
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
    error_before: float | None = None
    error_after: float | None = None


@dataclass(frozen=True, kw_only=True)
class Score:
    """One model's score on the held-out part, with a 95 % interval where there is one."""

    name: str
    value: float
    low: float | None = None
    high: float | None = None
    role: Literal["model", "baseline"] = "baseline"


@dataclass(frozen=True, kw_only=True)
class Chance:
    """What a model without knowledge scores.

    Parameters
    ----------
    level, low, high
        The score expected, and the two-sided 95 % band around it for this many windows.
    above
        Whether labels exchanged at the unit of independence are told as well with p < .05; None: not testable.
    p_value
        Probability that exchanged labels are told as well; None where it cannot be tested.
    note
        What was exchanged, or why it cannot be tested.
    """

    level: float
    low: float
    high: float
    above: bool | None
    p_value: float | None = None
    note: str = ""

    @property
    def verdict(self) -> str:
        """In words: "above chance", "not above chance" or "not testable"."""
        return {True: "above chance", False: "not above chance", None: "not testable"}[self.above]

    @property
    def band(self) -> tuple[float, float]:
        """Both ends of the band."""
        return self.low, self.high


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


@dataclass(frozen=True, kw_only=True, eq=False)
class Reliability:
    """What probabilities mean: calibrated by one temperature on the validation part, looked at on the held-out part.

    Parameters
    ----------
    confidence, accuracy, count
        Mean probability of the named class, the fraction that was right, and the windows, of each bin.
    temperature
        That logits are divided by; one of each fold.
    log_loss, brier
        Of the held-out part before and after calibration.
    """

    confidence: NDArray[np.float64]
    accuracy: NDArray[np.float64]
    count: NDArray[np.int64]
    temperature: tuple[float, ...]
    log_loss: tuple[float, float]
    brier: tuple[float, float]


@dataclass(frozen=True, kw_only=True, eq=False)
class UnitScores:
    """The net's score in each unit of independence.

    Parameters
    ----------
    unit
        What a unit is, as "session".
    metric, in_percent
        What the scores are, and whether they are fractions.
    names, values, count
        Of each unit with held-out windows: its name, score, and windows.
    whole
        The score of all held-out windows.
    """

    unit: str
    metric: str
    names: tuple[str, ...]
    values: NDArray[np.float64]
    count: NDArray[np.int64]
    whole: float
    in_percent: bool = False


@dataclass(frozen=True, kw_only=True, eq=False)
class Regression:
    """Numbers as they were measured and as the net told them.

    Parameters
    ----------
    names, units
        Of the k numbers.
    time
        Start of each held-out window in seconds, shape (n,).
    measured, told
        Shape (n, k), in their units.
    """

    names: tuple[str, ...]
    units: tuple[str, ...]
    time: NDArray[np.float64]
    measured: NDArray[np.float32]
    told: NDArray[np.float32]


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Evaluation:
    """Scores on the held-out part, of the net and of its baselines.

    Parameters
    ----------
    metric, greater_is_better, in_percent
        What the scores are, as "accuracy" or "mean squared error"; whether sentences give them in percent.
    scores
        The net's first, then those of the baselines.
    n_test
        Number of held-out windows that the scores stand on.
    chance
        None where chance is not defined.
    confusion, classes
        Counts by true class (row) and predicted class (column); None, and empty, without classes.
    forecast, regression
        Errors by horizon, if something was forecast; numbers as measured and as told, if some were.
    reliability, by_unit
        What probabilities mean; how units of independence differ; None where there is nothing to say.
    verdict
        In words, how the score stands to that of who knows nothing; empty where `chance` says it.
    worst
        The held-out windows that were told worst, as rows by name: file, time [s], and what was told.
    numbers
        What `metrics.json` holds of it: `net`, `baselines`, and more by name.
    warnings
        What the reader should know before trusting the scores.
    """

    metric: str = "accuracy"
    greater_is_better: bool = True
    in_percent: bool = False
    scores: tuple[Score, ...] = ()
    n_test: int | None = None
    chance: Chance | None = None
    confusion: NDArray[np.int64] | None = None
    classes: tuple[str, ...] = ()
    forecast: Forecast | None = None
    regression: Regression | None = None
    reliability: Reliability | None = None
    by_unit: UnitScores | None = None
    verdict: str = ""
    worst: tuple[Mapping[str, Any], ...] = ()
    numbers: Mapping[str, Any] = field(default_factory=dict, repr=False)
    warnings: tuple[str, ...] = ()

    plot = Plots("confusion", others=("reliability",))

    @property
    def net(self) -> Score | None:
        """The net's score."""
        return next((score for score in self.scores if score.role == "model"), None)

    @property
    def best_baseline(self) -> Score | None:
        """The best score of a baseline, None where there is none."""
        sign = 1 if self.greater_is_better else -1
        baselines = [score for score in self.scores if score.role == "baseline"]
        return max(baselines, key=lambda score: sign * score.value, default=None)

    def to_dict(self) -> dict[str, Any]:
        """Return what `metrics.json` holds of the scores.

        Examples
        --------
        >>> Evaluation(n_test=40, numbers={"net": {"accuracy": 0.5}}).to_dict()
        {'metric': 'accuracy', 'n_test': 40, 'net': {'accuracy': 0.5}}
        """
        return {"metric": self.metric, "n_test": self.n_test, **self.numbers}

    def summary(self) -> str:
        """Return the scores in one line.

        Examples
        --------
        >>> Evaluation(scores=(Score(name="net", value=0.9, role="model"), Score(name="linear", value=0.8))).summary()
        'held-out accuracy: net 0.9, linear 0.8'
        """
        return f"held-out {self.metric}: " + ", ".join(f"{score.name} {score.value:.4g}" for score in self.scores)

    def __repr__(self) -> str:
        return shown(scores.heading(self), self.summary(), scores.verdict(self), *self.warnings[:2])

    def to_dataframe(self) -> "pd.DataFrame":
        """Return the scores as a table of pandas, one row a model, the net first.

        Examples
        --------
        >>> Evaluation(scores=(Score(name="net", value=0.9, role="model"),)).to_dataframe().loc["net", "value"].item()
        0.9
        """
        return scores.score_frame(self)

    def _repr_html_(self) -> str:
        return scores.score_card(self)


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class RunRecord:
    """Everything that a run found. Only the first three are needed; absent parts are left out of the report.

    Parameters
    ----------
    title
        What was fitted, as "Stimulus from population activity".
    question
        One sentence that the run answers, as "Can the stimulus be told from one second of activity?".
    task
        Its name, as "classify".
    data
        Name and value of what describes the input: source, signal, shape, units, sampling_rate, duration, sha256.
    recording
        The recording itself; then its quality, power spectrum and components are shown as well.
    split, noise_floor, denoising, initialization, training, evaluation
        The steps of the run.
    denoised_components
        Components that the net's denoiser keeps; None where nothing is denoised.
    spectra, spectra_before
        Weight spectra after training and at the start.
    model, n_parameters
        Name and size of the net.
    truth
        What is known of simulated data: {"rank": 3}.
    warnings
        What the reader should know before trusting the result.
    config, versions
        How to do it again.
    """

    title: str
    question: str
    task: str
    data: Mapping[str, Any] = field(default_factory=dict)
    recording: xr.DataArray | None = None
    split: SplitSummary | None = None
    noise_floor: NoiseFloor | None = None
    denoising: Denoising | None = None
    denoised_components: int | None = None
    initialization: "InitReport | None" = None
    training: "FitResult | None" = None
    evaluation: Evaluation = Evaluation()
    spectra: "WeightSpectra | None" = None
    spectra_before: "WeightSpectra | None" = None
    model: str = ""
    n_parameters: int | None = None
    truth: Mapping[str, Any] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    config: Mapping[str, Any] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"RunRecord({self.title!r}, {self.evaluation.summary()})"

    @property
    def seed(self) -> int | None:
        """What decided every random draw."""
        return self.config.get("seed")

    def summary(self) -> str:
        """Return question and scores in two lines.

        Examples
        --------
        >>> RunRecord(title="T", question="Q?", task="classify").summary().splitlines()[0]
        'Q?'
        """
        return f"{self.question}\n{self.evaluation.summary()}"

    def to_dict(self) -> dict[str, Any]:
        """Return the content of `metrics.json`: what a program wants to know of a run.

        Examples
        --------
        >>> RunRecord(title="T", question="Q?", task="classify", truth={"rank": 3}).to_dict()["truth"]
        {'rank': 3}
        """
        floor, began, training = self.noise_floor, self.initialization, self.training
        return {
            "task": self.task,
            **self.evaluation.to_dict(),
            "noise_floor": None if floor is None else {name: getattr(floor, name) for name in FLOOR_FIELDS},
            "denoised_components": self.denoised_components,
            "truth": dict(self.truth),
            "split": None if self.split is None else self.split.to_dict(),
            "model": {
                "name": self.model,
                "parameters": self.n_parameters,
                "init": None if began is None else began.method,
            },
            "layers": [_layer(layer) for layer in self.spectra or ()],
            "training": None if training is None else _training(training),
            "warnings": list(self.warnings),
        }


def _layer(layer: "LayerSpectrum") -> dict[str, Any]:
    return {"name": layer.name, "rank": layer.rank, "edge": layer.edge, "largest": float(layer.singular_values[0])}


def _training(training: "FitResult") -> dict[str, Any]:
    return {key: value for key, value in training.to_dict().items() if key not in ("history", "monitor")}
