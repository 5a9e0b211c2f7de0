"""The tables of a configuration, each key with its kind, its range and its default."""

import difflib
import re
from collections.abc import Callable, Iterable
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError

from sciml._names import is_import_path, nets, noise_models
from sciml.pipeline.tasks import TASKS

__all__ = ["Augment", "Data", "Init", "Model", "Noise", "Section", "Split", "TaskName", "Track", "Train", "Windows"]

Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Duration = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=1)]


def _one_of(names: Callable[[], Iterable[str]], *, also: Callable[[object], bool] | None = None) -> BeforeValidator:
    """Return a check that a value is a name of a registry, which is asked when there is one to check.

    What `also` accepts is let through.
    """

    def check(name: Any) -> Any:
        known = [*names()]
        if name not in known and not (also is not None and also(name)):
            expected = " or ".join(filter(None, (", ".join(map(repr, known[:-1])), repr(known[-1]))))
            near = difflib.get_close_matches(str(name), known, n=1)
            hint = f" (did you mean {near[0]!r}?)" if near else ""
            raise PydanticCustomError("literal_error", "Input should be {expected}", {"expected": f"{expected}{hint}"})
        return name

    return BeforeValidator(check)


TaskName = Annotated[str, _one_of(lambda: TASKS)]
NoiseModelName = Annotated[str, _one_of(noise_models)]
NetName = Annotated[str, _one_of(nets, also=is_import_path)]
# the names of `nn.init.METHODS` and of `train.metrics.METRICS`, which are not loaded to check a configuration
MethodName = Literal[
    "critical", "he", "lecun", "glorot", "orthogonal", "delta_orthogonal", "looks_linear", "selu", "taki", "balanced",
    "fixup", "skipinit", "rezero", "lsuv", "spectral", "spectral_mup", "default",
]  # fmt: skip
MonitorName = Literal[
    "auto", "loss", "accuracy", "balanced_accuracy", "auc", "log_loss", "brier", "r2", "correlation", "absolute_error"
]


BYTES = {"B": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12,
         "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40}  # fmt: skip


def _n_bytes(value: Any) -> int:
    """Return a number of bytes, which may be written with its unit."""
    found = re.fullmatch(r"([0-9]+(?:\.[0-9]*)?) ?([a-zA-Z]*)", str(value).strip())
    unit = "" if found is None else found[2] or "B"
    if found is None or unit not in BYTES or isinstance(value, bool):
        expected = "bytes, as 2000000000 or '2 GiB'"
        raise PydanticCustomError("literal_error", "Input should be {expected}", {"expected": expected})
    return int(float(found[1]) * BYTES[unit])


class Section(BaseModel):
    """A table of the file: fixed once read, and no key that nobody reads."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Data(Section):
    """What to read: files whose channels agree, the signal in them, and `TABLE:COLUMN` of the labels."""

    files: tuple[str, ...] = Field(default=(), description="recordings; relative to the config file")
    signal: str | None = Field(default=None, description="path or pattern in the file; default its only signal")
    labels: str | None = Field(
        default=None, description="TABLE:COLUMN, as intervals/trials:stimulus; of sweeps, sweeps:sweep_number"
    )
    labels_min: Annotated[int, Field(ge=0)] = Field(default=0, description="classes with fewer events are left out")
    weights: str | None = Field(default=None, description="column of the table of labels: how much an event counts")
    target: str | None = Field(default=None, description="regress: the signal to be told; path or pattern")
    target_files: tuple[str, ...] = Field(default=(), description="files of the target; default those of the signal")
    target_lag: Annotated[float, Field(allow_inf_nan=False)] = Field(
        default=0.0, description="[s] from the last sample of a window to the value of the target"
    )
    target_derivative: bool = Field(default=False, description="tell the change of the target per second")
    channels: Literal["name", "common", "position"] = Field(
        default="name", description="how channels of several files agree: by name, those that all have, or by order"
    )
    missing: Literal["drop", "mask"] = Field(
        default="drop", description="leave out windows with missing samples, or mask those samples"
    )
    bin: Duration | None = Field(default=None, description="spike times, events: width of a bin [s]")
    counts: Literal["counts", "sqrt"] = Field(default="counts", description="events in bins, or their square root")
    memory: Annotated[int, BeforeValidator(_n_bytes)] = Field(
        default=2**31,
        ge=1,
        description="bytes of a machine that samples may take, as '2 GiB'; beyond, they are read in blocks",
    )


class Windows(Section):
    """Where the windows lie [s]; what is not given is chosen by the task when the recording is open."""

    before: Seconds = Field(default=0.0, description="classify: start this long before the event [s]")
    length: Duration | Literal["trial", "crop"] | None = Field(
        default=None,
        description="[s]; classify: the median trial, or 'trial' (padded to the longest), 'crop' (to the shortest); "
        "forecast: 5 or less",
    )
    step: Duration | None = Field(default=None, description="forecast: from window to window [s]; default the horizon")
    horizon: Duration | None = Field(default=None, description="forecast: how far ahead [s]; default 1 or less")


class Noise(Section):
    """The noise floor (`sciml.noise.noise_floor`) and whether the net sees the recording without it.

    A classifier does by default. A forecast does not: noise that is correlated in time can be foretold like signal.
    """

    model: NoiseModelName = "auto"
    alpha: Annotated[float, Field(gt=0, lt=1)] = 0.05
    denoise: bool | None = Field(default=None, description="default: true to classify, false to forecast")


class Split(Section):
    """Parts of the windows: whole units of what is independent, with a gap between parts inside a file."""

    by: Annotated[str, Field(min_length=1)] = Field(
        default="auto", description="auto, subject, session, file, trial, time, random, or a column of the events"
    )
    folds: int | None = Field(default=None, ge=2, le=50, description="each unit is tested in one of so many folds")
    allow_leakage: bool = Field(default=False, description="what by = 'random' needs; marked in every output")
    fractions: tuple[Fraction, Fraction, Fraction] = Field(
        default=(0.6, 0.2, 0.2), description="train, validation, test"
    )
    gap: Seconds | None = Field(default=None, description="[s] between parts; default the window length, 0 for trials")
    n_blocks: Count | None = Field(default=None, description="blocks of time to deal out; default chosen by the data")


class Model(Section):
    """Which net, by its name in `sciml.nn.models`, or by the import path of your own: my_package.nets:MyNet."""

    name: NetName = "fcn"
    options: dict[str, Any] | None = Field(default=None, description="of the net; default by the task")


class Init(Section):
    """How its weights start (`sciml.nn.init.initialize`)."""

    method: MethodName | Literal["auto"] = Field(
        default="auto", description="auto: critical, or glorot where its theory does not know the net's activations"
    )
    options: dict[str, Any] = Field(default={}, description="of the method, as c of taki")


class _Execution(Section):
    """Where a run is computed and what of it is kept."""

    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    device: str = "auto"
    deterministic: bool = True
    checkpoint_every: Count | None = None
    keep: Count = 2
    timeout: Annotated[float, Field(ge=1, allow_inf_nan=False)] = Field(
        default=60.0, description="several processes: [s] without a sign of life after which one counts as lost"
    )


class _Reading(Section):
    """Who reads."""

    workers: Annotated[int, Field(ge=0)] | None = Field(
        default=None, description="processes that read ahead; default 0 in memory, else by the cores"
    )


class _Stepping(Section):
    """How a step is taken besides its rate."""

    micro_batch: Count | None = Field(default=None, description="windows that go through the net at once")
    nonfinite: Literal["stop", "skip"] = Field(default="stop", description="a step that is not finite: skip up to 5")
    compile: bool = Field(default=False, description="run the net through torch.compile")
    plateau_factor: Fraction = Field(default=0.5, description="plateau: what the rate is multiplied by")
    plateau_patience: int = Field(default=5, ge=0, description="plateau: epochs without a better one before that")


class Train(_Stepping, _Execution, _Reading):
    """The fields of `sciml.train.TrainConfig`, without the seed, which is the run's, and the loss, the task's.

    TOML has no "none": a `patience` or `clip_norm` of 0 means never, or no limit.
    """

    epochs: Count | None = Field(default=None, description="passes at most; default 50, but at least 800 steps")
    steps: Count | None = Field(default=None, description="at most, if these end before the epochs")
    batch_size: Count | None = Field(default=None, description="default a sixteenth of the train part, from 16 to 64")
    lr: Duration = 1e-3
    weight_decay: Seconds = 1e-2
    momentum: Fraction = 0.9
    optimizer: Literal["adamw", "sgd", "muon"] = "adamw"
    schedule: Literal["cosine", "constant", "one_cycle", "plateau"] = "cosine"
    warmup: Fraction = 0.05
    average: Fraction = Field(default=0.05, description="of all steps, over which the kept weights are averaged")
    patience: int = Field(default=10, ge=0)
    monitor: MonitorName = Field(default="auto", description="auto: the loss, balanced_accuracy where classes are not")
    label_smoothing: Fraction = 0.1
    class_weights: Literal["balanced", "sampled"] | tuple[float, ...] | None = None
    clip_norm: Seconds = 1.0


class Augment(Section):
    """How the windows of the train part are changed, anew in each pass (`sciml.data.parts.augment.Augment`)."""

    shift: Seconds = Field(default=0.0, description="[s] earlier or later, at most")
    channel_dropout: Annotated[float, Field(ge=0, lt=1)] = Field(
        default=0.0, description="probability of a channel to be missing; one stays where all were to go"
    )
    noise: Seconds = Field(default=0.0, description="added, in units of the recording's own noise floor")


class Track(Section):
    """Spectra that are followed while the net trains; nothing that is measured changes the training."""

    what: tuple[Literal["weights", "hessian"], ...] = Field(
        default=(), description="spectra to follow: weights, hessian"
    )
    every: Count | None = Field(default=None, description="steps between measurements; default an epoch")
    budget: Annotated[float, Field(gt=0, le=1)] = Field(default=0.05, description="of the time of training, at most")
    samples: Count = Field(default=512, description="train windows that the Hessian is taken of, at most")
