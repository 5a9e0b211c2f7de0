"""Initializations side by side, on the net and the data of a configuration."""

import copy
import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import nn

from sciml.data import Preprocess, WindowDataset
from sciml.errors import ConfigError, DataError, DivergedError, NumericalError
from sciml.nn import init, propagation
from sciml.nn.propagate import InitComparison, InitTrial, RateTrial
from sciml.pipeline.config import Config
from sciml.pipeline.denoising import learn_denoiser
from sciml.pipeline.model import build_net, n_parameters
from sciml.pipeline.start import first_batch, start
from sciml.pipeline.tasks.base import get_task
from sciml.pipeline.windows import SplitWindows, load_for, resolve, split_windows, train_config
from sciml.train import FitData, fit

__all__ = ["RATES", "compare_initializations"]

SAMPLE = 64  # train windows that are measured
RATES = (1e-4, 3e-4, 1e-3, 3e-3)
LEARNED = "theory takes weights to be drawn without the data; these were set by it, so that points may lie off the line"

Progress = Callable[[str], None]


def compare_initializations(
    config: Config,
    *,
    methods: Sequence[str] | None = None,
    steps: int = 0,
    rates: Sequence[float] = RATES,
    progress: Progress | None = None,
) -> InitComparison:
    """Start the net of a configuration by each method, and measure signal and gradient on its train windows.

    Each start is drawn from the run's seed, on the same windows, preprocessed as `sciml fit` does. With `steps` each is
    then trained for so many steps from the same batches, at each learning rate, and the losses of the train and of the
    validation part are kept; the test part is not touched.

    Parameters
    ----------
    config
        From `load_config`, `assign` or `validate`. Options of `init` go to the method that `init` names.
    methods
        Names in `sciml.nn.init.METHODS`; all of them if None.
    steps
        Steps of training, 0 for none.
    rates
        Learning rates to try.
    progress
        Called with a line at each step.

    Raises
    ------
    ConfigError
        An unknown method, steps or rates out of range, or as `sciml.pipeline.run`.
    DataError
        As `sciml.pipeline.run`.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from sciml.pipeline import validate
    >>> from sciml.simulate import population_recording, write_nwb
    >>> file = write_nwb(population_recording(n_neurons=8, duration=60.0), Path(tempfile.mkdtemp()) / "small.nwb")
    >>> found = compare_initializations(
    ...     validate({"data": {"files": [str(file)]}, "task": "forecast"}), methods=["he", "lecun"]
    ... )
    >>> [trial.method for trial in found.trials]
    ['he', 'lecun']
    """
    names = _checked(methods, steps, rates)
    loaded = load_for(config)
    config = resolve(config, loaded)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # said by `fit`; here the starts are compared
        bench = _bench(split_windows(config, loaded.held()))
    say = progress or (lambda _: None)
    trials = []
    for name in names:
        say(f"{name}: start{f', {steps} steps at {len(rates)} rates' if steps else ''}")
        trials.append(bench.trial(name, steps, rates))
    net = f"{config.model.name}, {n_parameters(bench.net):,} parameters"
    data = f"{len(bench.sample)} of {len(bench.cut.split.train)} train windows"
    return InitComparison(net, data, tuple(trials), steps, config.model_dump(mode="json"))


def _checked(methods: Sequence[str] | None, steps: int, rates: Sequence[float]) -> list[str]:
    names = list(init.METHODS if methods is None else methods)
    unknown = [name for name in names if name not in init.METHODS]
    if unknown or not names:
        raise ConfigError(f"expected methods among {', '.join(init.METHODS)}; got {', '.join(unknown) or 'none'}")
    if steps < 0 or (steps and not rates) or not all(0.0 < rate < math.inf for rate in rates):
        raise ConfigError(f"expected steps >= 0 and learning rates > 0, got {steps} and {list(rates)}")
    return names


@dataclass(frozen=True, eq=False)
class _Bench:
    """What all methods have in common: the windows, what they are made into, and the net before it starts."""

    cut: SplitWindows
    preprocess: Preprocess
    net: nn.Module
    sample: torch.Tensor

    def trial(self, method: str, steps: int, rates: Sequence[float]) -> InitTrial:
        net = copy.deepcopy(self.net)
        try:
            report = self.start(net, method)
            found = propagation(net, self.sample)
        except (ConfigError, DataError, NumericalError) as error:
            return InitTrial(method, problem=str(error))
        trained = tuple(self.train(net, steps, rate) for rate in rates) if steps else ()
        notes = (*report.notes, LEARNED) if method in ("lsuv", "spectral") else report.notes
        return InitTrial(method, found, tuple(notes), rates=trained)

    def start(self, net: nn.Module, method: str) -> init.InitReport:
        """Start a net as a run of this method does."""
        cut, asked = self.cut, self.cut.config.init
        options = dict(asked.options) if method == asked.method else {}
        config = cut.config.model_copy(update={"init": asked.model_copy(update={"method": method, "options": options})})
        batch = first_batch(config, cut.windows, self.preprocess, cut.split)
        return start(net, method, batch, seed=config.seed, options=options)

    def train(self, net: nn.Module, steps: int, rate: float) -> RateTrial:
        """Train a copy for some steps at a constant rate; the batches are those of the run's seed."""
        windows, split, config = self.cut.windows, self.cut.split, self.cut.config
        parts = [
            WindowDataset(windows, indices, target_transform=self.preprocess.standardize_target)
            for indices in (split.train, split.validation)
        ]
        settings = replace(
            train_config(config), epochs=None, steps=steps, lr=rate, schedule="constant", patience=None, average=0.0
        )
        model = get_task(config.task).assemble(self.preprocess, copy.deepcopy(net))
        try:
            last = fit(model, FitData(*parts), settings).history[-1]
        except DivergedError:
            return RateTrial(rate, math.nan, math.nan)
        return RateTrial(rate, last.train_loss, last.validation_loss)


def _bench(cut: SplitWindows) -> _Bench:
    config, split = cut.config, cut.split
    learned = learn_denoiser(cut.windows, split, config.noise)
    matrix = None if learned.denoiser is None else learned.denoiser.matrix
    preprocess = Preprocess.fit(cut.windows, split.train, matrix=matrix, missing=config.data.missing)
    chosen = np.sort(np.random.default_rng(config.seed).permutation(split.train)[:SAMPLE])
    sample = torch.from_numpy(preprocess.apply(cut.windows.arrays(chosen)[0]))
    return _Bench(cut, preprocess, build_net(config, cut.windows), sample)
