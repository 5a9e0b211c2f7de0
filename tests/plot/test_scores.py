"""Figures of trained nets hold the numbers they are given."""

import numpy as np
import pytest
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import nn

from sciml import plot
from sciml.errors import ConfigError, DataError
from sciml.report.record import Evaluation, Reliability
from sciml.train import FitResult
from sciml.train.callbacks import EpochRecord

COUNTS = np.array([[7, 3, 0], [1, 9, 0], [0, 4, 6]])


def axes() -> Axes:
    return Figure().subplots()


def test_learning_curve_of_a_fit() -> None:
    history = tuple(EpochRecord(i, i, 0.1, 1.0 / i, 1.5 / i, None, None, 1.0) for i in range(1, 6))
    ax = FitResult(nn.Identity(), history, 5, 0.3, 5, False, 1.0, "cpu").plot(ax=axes())
    curves = {str(line.get_label()): np.asarray(line.get_ydata()) for line in ax.lines}
    assert curves["train"].tolist() == [1.0 / i for i in range(1, 6)]
    assert curves["validation"].tolist() == [1.5 / i for i in range(1, 6)]


def test_unknown_quantity_is_answered_with_those_there_are() -> None:
    with pytest.raises(ConfigError, match="there are epoch, train_loss"):
        plot.learning_curve([{"epoch": 1, "train_loss": 0.5}], ax=axes(), quantity="accuracy")


def test_confusion_has_every_count_and_its_share() -> None:
    ax = axes()
    assert Evaluation(confusion=COUNTS, classes=("a", "b", "c")).plot(ax=ax) is ax
    words = [each.get_text() for each in ax.texts]
    assert [int(each) for each in words[::2]] == COUNTS.ravel().tolist()
    assert words[1] == "70 %"


def test_evaluation_without_confusion_says_so() -> None:
    with pytest.raises(DataError, match="shape \\(class, class\\)"):
        Evaluation().plot(ax=axes())


def test_reliability_of_an_evaluation() -> None:
    bins = Reliability(
        confidence=np.array([0.6, 0.9]), accuracy=np.array([0.5, 0.8]), count=np.array([10, 40]), temperature=(1.0,),
        log_loss=(0.5, 0.4), brier=(0.2, 0.1),
    )  # fmt: skip
    ax = Evaluation(reliability=bins).plot.reliability(ax=axes())
    assert np.array_equal(ax.collections[0].get_offsets(), [[0.6, 0.5], [0.9, 0.8]])


def test_before_and_after_are_drawn_as_they_are() -> None:
    before = xr.DataArray([1.0, -1.0, 2.0], dims="time", attrs={"sampling_rate": 10.0, "units": "uV"})
    ax = plot.before_after(before, 0.5 * before, ax=axes())
    assert np.array_equal(ax.lines[0].get_ydata(), before)
    assert np.array_equal(ax.lines[1].get_ydata(), 0.5 * before)
    assert np.allclose(np.asarray(ax.lines[0].get_xdata()), [0.0, 0.1, 0.2])
    with pytest.raises(DataError, match="one channel twice"):
        plot.before_after(before, before[:2])
