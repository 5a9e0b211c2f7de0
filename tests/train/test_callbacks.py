"""Progress: a bar for people, a line an epoch for logs, nothing when quiet."""

import io
import re

import numpy as np
import torch
from torch import nn

from sciml.train import FitData, ProgressBar, TrainConfig, fit

torch.set_num_threads(1)


class Terminal(io.StringIO):
    def isatty(self):
        return True


def shown(stream, **options):
    rng = np.random.default_rng(0)
    part = rng.normal(size=(20, 1, 4)), rng.integers(0, 2, 20)
    torch.manual_seed(0)
    config = TrainConfig(epochs=3, batch_size=8, device="cpu")
    fit(
        nn.Sequential(nn.Flatten(), nn.Linear(4, 2)),
        FitData(part, part),
        config,
        [ProgressBar(stream=stream, **options)],
    )
    return stream.getvalue()


def test_a_log_gets_one_line_an_epoch():
    lines = shown(io.StringIO()).splitlines()
    number = r"\d\.\d+"
    pattern = f"train {number}  validation {number}  accuracy [\\d.]+ %"
    assert [re.sub(pattern, "values", line) for line in lines] == [f"epoch {k}/3  values" for k in (1, 2, 3)]


def test_a_terminal_gets_a_bar_that_is_closed(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    text = shown(Terminal())
    assert "9/9" in text
    assert text.count("\x1b[?25l") == text.count("\x1b[?25h") == 1  # the cursor is hidden once and shown again


def test_quiet_shows_nothing():
    assert shown(io.StringIO(), quiet=True) == ""
    assert shown(Terminal(), quiet=True) == ""


def test_the_default_is_stderr(capsys):
    rng = np.random.default_rng(0)
    part = rng.normal(size=(20, 1, 4)), rng.integers(0, 2, 20)
    fit(nn.Sequential(nn.Flatten(), nn.Linear(4, 2)), FitData(part, part), TrainConfig(epochs=1), [ProgressBar()])
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("epoch 1/1")
