"""A task that sciml does not have: the mean of each channel over the second that follows."""

import numpy as np
import torch
import xarray as xr
from torch import nn

from sciml.data import sliding_windows
from sciml.pipeline.evaluation import Tested, model_outputs
from sciml.report import Evaluation, Score


class Mean(nn.Module):
    """The net's output, as constant over the samples that follow."""

    def __init__(self, preprocess, net, n_ahead):
        super().__init__()
        self.preprocess, self.net, self.n_ahead = preprocess.as_module(), net, n_ahead

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.net(self.preprocess(x))[:, :, None].expand(-1, -1, self.n_ahead)


class Dummy:
    loss = "mse"
    score = "distance"
    greater_is_better = False
    columns = ("model", "distance")
    n_ahead = 20

    def labels(self, config):
        return "", ""

    def defaults(self, config, loaded):
        return config.decided(windows={"length": 1.0, "step": 1.0, "horizon": 1.0}, denoise=False, options={"width": 4})

    def windows(self, config, loaded):
        return sliding_windows(loaded.recording, length=1.0, step=1.0, horizon=1.0)

    def output_shape(self, windows):
        return [windows.n_channels]

    def target(self, windows):
        return {"dims": ["window", "channel", "ahead"], "unit": "dummies"}

    def assemble(self, preprocess, net):
        return Mean(preprocess, net, self.n_ahead)

    def test(self, model, preprocess, windows, split, *, seed):
        parts = [(windows.arrays(part)[1].mean(axis=2), preprocess.restore(model_outputs(model, windows, part)))
                 for part in (split.test, split.validation)]  # fmt: skip
        return Tested(split.test, *parts[0], parts[1])

    def evaluate(self, tested, windows, splits, *, seed):
        truth, predicted = tested.targets, tested.outputs.mean(axis=2)
        found = {"net": float(np.abs(predicted - truth).mean()), "zero": float(np.abs(truth).mean())}
        scores = tuple(
            Score(name=name, value=value, role="model" if name == "net" else "baseline")
            for name, value in found.items()
        )
        return Evaluation(
            metric="distance",
            greater_is_better=False,
            scores=scores,
            n_test=len(tested.indices),
            numbers={"net": {"distance": found["net"]}, "baselines": {"zero": {"distance": found["zero"]}}},
        )

    def predict(self, outputs, windows, *, preprocess, classes, labels, fitted):
        return xr.Dataset({"mean": (("window", "channel"), preprocess.restore(outputs)[:, :, 0])})

    def question(self, config, windows):
        return "A dummy", "What is the mean of the next second?"

    def row(self, found):
        return (f"{found['distance']:.3f}",)
