"""A step: in pieces, in half precision, after memory ran out, without what is not finite; all of it after a resume."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import xarray as xr
from torch import nn

from sciml.data import WindowDataset, sliding_windows
from sciml.data.recordings.concat import Piece, end_to_end
from sciml.errors import CheckpointError, ConfigError, DivergedError, ScimlWarning
from sciml.train import FitData, FitResult, TrainConfig, fit

torch.set_num_threads(1)


def net(*, norm: bool = False, dropout: float = 0.0, seed: int = 0) -> nn.Sequential:
    torch.manual_seed(seed)
    layers = [nn.Conv1d(2, 6, 3), nn.BatchNorm1d(6) if norm else nn.GroupNorm(2, 6), nn.ReLU(), nn.Dropout(dropout)]
    return nn.Sequential(*layers, nn.Conv1d(6, 4, 3), nn.Flatten(), nn.Linear(4 * 8, 2))


def labeled(n: int, seed: int = 5) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 2, 12)).astype(np.float32)
    return X, (X[:, 0].mean(axis=1) + 0.2 * rng.normal(size=n) > 0).astype(np.int64)


def quick(**changes: Any) -> TrainConfig:
    return TrainConfig(**{"epochs": 4, "batch_size": 16, "lr": 0.02, "patience": None, "device": "cpu", **changes})


def parts(n: int = 50) -> FitData:
    return FitData(labeled(n), labeled(20, 6))


def weights(found: FitResult) -> torch.Tensor:
    return torch.cat([tensor.double().flatten() for tensor in found.model.state_dict().values()])


# ---- pieces of a batch


@pytest.mark.parametrize("micro_batch", [1, 5, 16, 40])
@pytest.mark.parametrize("weighted", [False, True])
def test_pieces_of_a_batch_give_the_step_of_the_whole(micro_batch: int, weighted: bool) -> None:
    """Group norm and no dropout: what is left is the order of sums, in float32."""
    X, y = labeled(50)
    data = FitData((X, y, np.linspace(0, 2, 50)) if weighted else (X, y), labeled(20, 6))
    classes = (0.5, 2.0) if weighted else None
    whole, pieces = (fit(net(), data, quick(micro_batch=m, class_weights=classes)) for m in (None, micro_batch))
    torch.testing.assert_close(weights(pieces), weights(whole), rtol=2e-4, atol=2e-5)
    for a, b in zip(pieces.history, whole.history, strict=True):
        assert a.train_loss == pytest.approx(b.train_loss, rel=1e-5)
        assert a.train_accuracy == b.train_accuracy
        assert a.gradient_norm == pytest.approx(b.gradient_norm, rel=1e-4)
    assert (pieces.batch_size, pieces.micro_batch) == (16, micro_batch)


def test_no_piece_is_larger_than_asked_for_and_all_are_nearly_equal(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    forward = nn.Flatten.forward

    def noting(self: nn.Flatten, x: torch.Tensor) -> torch.Tensor:
        if torch.is_grad_enabled():
            sizes.append(len(x))
        return forward(self, x)

    monkeypatch.setattr(nn.Flatten, "forward", noting)
    fit(net(), parts(33), quick(epochs=1, micro_batch=7))
    assert sorted(sizes) == sorted([5, 5, 6, 5, 6, 6])  # batches of 16 and 17


# ---- memory


class Small(nn.Module):
    """A net that has memory for few items in training, and then once more for none."""

    def __init__(self, most: int, *, norm: bool = True) -> None:
        super().__init__()
        self.net, self.most, self.calls = net(norm=norm, dropout=0.3), most, 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.net(x)  # the statistics of the norm have moved already
        self.calls += self.training
        if self.training and len(x) > self.most:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return found


def test_memory_that_runs_out_halves_the_pieces_and_repeats_the_step(tmp_path: Path) -> None:
    with pytest.warns(ScimlWarning, match=r"a batch of 16 needs more memory than cpu has: .* 4 at a time") as said:
        found = fit(Small(5), parts(), quick(), run_dir=tmp_path)
    asked = fit(Small(5), parts(), quick(micro_batch=4))
    assert len([each for each in said if "memory" in str(each.message)]) == 1
    assert found.micro_batch == 4
    assert torch.equal(weights(found), weights(asked))  # statistics of batch norms and draws of dropout too
    assert found.history == asked.history
    again = fit(Small(5), parts(), quick(), run_dir=tmp_path, resume=True)
    assert again.micro_batch == 4


class Stop:
    """Callback that ends training at a step, as a power cut would."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_step_end(self, state: Any) -> None:
        if state.step == self.step:
            raise KeyboardInterrupt


def stopped_and_resumed(folder: Path, make: Any, data: FitData, config: TrainConfig, step: int) -> FitResult:
    with pytest.raises(KeyboardInterrupt):
        fit(make(), data, config, [Stop(step)], run_dir=folder)
    return fit(make(), data, config, run_dir=folder, resume=True)


def test_smaller_pieces_stay_after_a_resume(tmp_path: Path) -> None:
    with pytest.warns(ScimlWarning, match="4 at a time"):
        whole = fit(Small(5), parts(), quick())
    with pytest.warns(ScimlWarning, match="4 at a time") as said:
        again = stopped_and_resumed(tmp_path, lambda: Small(5), parts(), quick(checkpoint_every=2), 7)
    assert len([each for each in said if "memory" in str(each.message)]) == 1  # not found out a second time
    assert torch.equal(weights(again), weights(whole))


def test_one_item_that_is_too_large_is_an_error_with_advice() -> None:
    with pytest.raises(ConfigError, match=r"one item needs more memory than cpu has; use precision 'bf16'"):
        fit(Small(0), parts(), quick())


# ---- precision


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_half_precision_learns_what_single_precision_does(precision: str) -> None:
    full, half = (fit(net(), parts(200), quick(epochs=8, precision=p)) for p in ("fp32", precision))
    assert half.history[-1].train_loss == pytest.approx(full.history[-1].train_loss, rel=0.02)
    assert half.steps_skipped == 0


class Scaled(nn.Module):
    """A net whose gradient is beyond fp16 as long as the loss is scaled by more than 2^12."""

    def __init__(self) -> None:
        super().__init__()
        self.net = net()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return _Limited.apply(self.net(x))


class _Limited(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:  # noqa: ARG004
        return x.clone()

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> torch.Tensor:  # noqa: ARG004
        return torch.where(gradient.abs().max() > 2.0**12 / 16, torch.inf, gradient)


def test_a_step_beyond_fp16_is_left_out_and_counted() -> None:
    found = fit(Scaled(), parts(), quick(precision="fp16"))
    assert 3 <= found.steps_overflowed <= 6  # from a scale of 2^16 down, as the logits' gradient is below 1/16
    assert found.steps_skipped == 0
    assert finite(found.model)
    assert all(np.isfinite(record.train_loss) for record in found.history)  # the loss of such a step is known


def test_a_gradient_that_no_scale_helps_ends_the_run() -> None:
    class Broken(Scaled):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            found: torch.Tensor = super().forward(x)
            return found + (found - found.detach()).abs().sqrt()  # the gradient of a root at zero

    with pytest.raises(DivergedError, match=r"41 steps in a row were not finite, the last: gradient norm"):
        fit(Broken(), parts(), quick(epochs=20, precision="fp16"))


# ---- what is not finite


def with_nan(n: int, *bad: int) -> FitData:
    X, y = labeled(n)
    X[list(bad), 1, 7] = np.nan
    return FitData((X, y), labeled(20, 6))


def finite(model: nn.Module) -> bool:
    return all(bool(torch.isfinite(tensor).all()) for tensor in model.state_dict().values())


@pytest.mark.parametrize("optimizer", ["adamw", "sgd", "muon"])
@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_stopping_leaves_the_weights_of_the_last_good_step(tmp_path: Path, optimizer: str, precision: str) -> None:
    """The batch with the NaN is the third; what follows it in the epoch is not taken any more."""
    model = net(norm=True)
    with pytest.raises(DivergedError, match=r"loss nan at step \d+ .*item 9, channel 1, sample 7"):
        fit(model, with_nan(90, 9), quick(optimizer=optimizer, precision=precision), run_dir=tmp_path)
    assert finite(model)
    for path in sorted((tmp_path / "checkpoints").glob("*.pt")):
        stored = torch.load(path, weights_only=True)
        tensors = [each for kind in ("model", "average") for each in stored[kind].values()]
        assert all(bool(torch.isfinite(each).all()) for each in tensors)
        assert stored["step"] == 0  # found before the epoch was written


@pytest.mark.parametrize("optimizer", ["adamw", "sgd", "muon"])
def test_skipping_is_training_without_that_batch(optimizer: str) -> None:
    """Batch norm, average and sums too: only the number of the step goes on."""
    config = quick(optimizer=optimizer, nonfinite="skip", epochs=2, schedule="constant", warmup=0.0, average=0.0)
    model = net(norm=True)
    with pytest.warns(ScimlWarning, match=r"a step was left out: loss nan at step .*item 9, channel 1, sample 7"):
        found = fit(model, with_nan(48, 9), config)
    assert found.steps_skipped == 2  # once an epoch
    assert finite(model)
    assert all(np.isfinite(record.train_loss) and np.isfinite(record.gradient_norm) for record in found.history)


def test_a_batch_that_is_left_out_does_not_count_in_the_means() -> None:
    X, y = labeled(32)
    bad = X.copy()
    bad[3] = np.nan
    config = quick(epochs=1, lr=0.0, nonfinite="skip", label_smoothing=0.0)
    with pytest.warns(ScimlWarning, match="left out"):
        found = fit(net(), FitData((bad, y), labeled(20, 6)), config)
    from sciml.train.reading import batch_order

    (good,) = [items for items in batch_order(32, 16, seed=0, epoch=0) if 3 not in items]
    with torch.no_grad():
        logits = net()(torch.from_numpy(X[good]))
    loss = nn.functional.cross_entropy(logits, torch.from_numpy(y[good])).item()
    assert found.history[0].train_loss == pytest.approx(loss, rel=1e-6)
    assert found.history[0].train_accuracy == float((logits.argmax(1).numpy() == y[good]).mean())


def test_at_most_five_steps_in_a_row_are_skipped() -> None:
    X, y = labeled(96)
    with pytest.warns(ScimlWarning, match="left out"), pytest.raises(DivergedError, match="6 steps in a row"):
        fit(net(), FitData((X * np.nan, y), labeled(20, 6)), quick(nonfinite="skip"))
    X[:80] = np.nan  # five batches of six at most, in some order
    with pytest.warns(ScimlWarning, match="left out"):
        fit(net(), FitData((X, y), labeled(20, 6)), quick(nonfinite="skip", epochs=1, batch_size=80))


def test_the_batch_is_named_by_file_time_and_channel() -> None:
    def piece(name: str) -> Piece:
        values = np.random.default_rng(0).normal(size=(100, 2))
        coords = {"time": 5 + np.arange(100) / 10, "channel": ["Cz", "Pz"]}
        return Piece(name, xr.DataArray(values, dims=("time", "channel"), coords=coords), {"file": name})

    recording, _, spans = end_to_end([piece("a.nwb"), piece("b.nwb")])
    windows = sliding_windows(recording, length=1.0, step=1.0, horizon=0.1)
    table = windows.table_of_samples
    part = WindowDataset(windows, np.arange(len(windows)), spans=spans)
    k = next(k for k in range(len(windows)) if windows.starts[k] >= 120)
    start = int(windows.starts[k])
    assert table.values is not None
    table.values[start + 4, 1] = np.inf  # as if a file was changed under the run
    seconds = 5 + (start + 4 - 100) / 10  # on the clock of its own file
    model = nn.Sequential(nn.Flatten(), nn.Linear(20, 2))
    with pytest.raises(DivergedError, match=rf"1 value .* first in b.nwb at {seconds:g} s, channel 'Pz' \(1\)"):
        fit(model, FitData(part, part), quick(loss="mse", epochs=1))


def test_labels_that_a_part_does_not_tell_beforehand_are_found_where_they_lie() -> None:
    X, y = labeled(40)
    y[30] = 7
    pairs = [(torch.from_numpy(a), int(b)) for a, b in zip(X, y, strict=True)]
    for policy in ("stop", "skip"):
        with pytest.raises(ConfigError, match="labels below 2, one for each output of the model, got 7"):
            fit(net(), FitData(pairs, pairs[:20]), quick(monitor="loss", nonfinite=policy))


# ---- torch.compile


def test_a_net_that_cannot_be_compiled_runs_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(model: nn.Module) -> Any:
        def call(x: torch.Tensor) -> torch.Tensor:
            model(x)  # statistics of batch norms move before it fails
            raise RuntimeError("no C++ compiler found\nand more lines")

        return call

    monkeypatch.setattr(torch, "compile", refused)
    with pytest.warns(ScimlWarning, match="torch.compile failed, the net runs uncompiled: no C.. compiler found$"):
        found = fit(net(norm=True, dropout=0.2), parts(), quick(compile=True))
    assert torch.equal(weights(found), weights(fit(net(norm=True, dropout=0.2), parts(), quick())))


def test_a_compiled_net_is_what_is_trained(monkeypatch: pytest.MonkeyPatch) -> None:
    compiled: list[nn.Module] = []

    def compile_it(model: nn.Module) -> nn.Module:
        compiled.append(model)
        return model

    monkeypatch.setattr(torch, "compile", compile_it)
    fit(net(), parts(), quick(compile=True, epochs=1))
    assert len(compiled) == 1


# ---- resuming


OPTIONS: dict[str, dict[str, Any]] = {
    "fp16": {"precision": "fp16"},
    "bf16": {"precision": "bf16"},
    "plateau": {"schedule": "plateau", "plateau_patience": 0, "lr": 0.3},
    "one cycle": {"schedule": "one_cycle"},
    "constant": {"schedule": "constant"},
    "average": {"average": 0.5},
    "no average": {"average": 0.0},
    "pieces": {"micro_batch": 5},
    "muon": {"optimizer": "muon"},
    "sgd": {"optimizer": "sgd"},
    "sgd without momentum": {"optimizer": "sgd", "momentum": 0.0},
    "weights of classes": {"class_weights": "balanced"},
    "drawn": {"class_weights": "sampled"},
    "steps": {"epochs": None, "steps": 13},
    "all": {"precision": "fp16", "schedule": "plateau", "plateau_patience": 0, "micro_batch": 6, "optimizer": "muon"},
}


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_every_option_resumes_to_the_bit(tmp_path: Path, options: dict[str, Any]) -> None:
    config = quick(checkpoint_every=3, **options)

    def make() -> nn.Module:
        return net(norm=True, dropout=0.3)

    whole = fit(make(), parts(), config)
    for step in (2, 10):
        again = stopped_and_resumed(tmp_path / str(step), make, parts(), config, step)
        assert again.resumed_from == {2: 0, 10: 9}[step]
        assert torch.equal(weights(again), weights(whole))
        assert again.history == whole.history


@pytest.mark.parametrize("step", [3, 5, 7, 11])
def test_counts_of_skipped_and_overflowed_steps_resume(tmp_path: Path, step: int) -> None:
    """Beyond fp16 until the scale has come down, and a NaN once an epoch: counts and scale go on."""
    config = quick(checkpoint_every=2, nonfinite="skip", precision="fp16", schedule="constant")
    with pytest.warns(ScimlWarning, match="left out"):
        whole = fit(Scaled(), with_nan(50, 9), config)
    with pytest.warns(ScimlWarning, match="left out"):
        again = stopped_and_resumed(tmp_path, Scaled, with_nan(50, 9), config, step)
    assert whole.steps_overflowed > 2
    assert whole.steps_skipped == 4
    assert (again.steps_overflowed, again.steps_skipped) == (whole.steps_overflowed, whole.steps_skipped)
    assert torch.equal(weights(again), weights(whole))
    assert again.history == whole.history


# ---- more epochs


@pytest.mark.parametrize("schedule", ["constant", "plateau"])
def test_a_run_of_constant_rate_can_be_extended(tmp_path: Path, schedule: str) -> None:
    """Without a rise and an average, whose lengths are parts of a run's, it is the longer run to the bit."""
    options = {"schedule": schedule, "warmup": 0.0, "average": 0.0, "plateau_patience": 0}
    fit(net(), parts(), quick(epochs=3, **options), run_dir=tmp_path)
    longer = fit(net(), parts(), quick(epochs=6, **options), run_dir=tmp_path, resume=True)
    whole = fit(net(), parts(), quick(epochs=6, **options))
    assert longer.epochs_run == 6
    assert longer.history == whole.history
    assert torch.equal(weights(longer), weights(whole))


def test_rise_and_average_of_an_extended_run_stay_as_long_as_they_were(tmp_path: Path) -> None:
    options = {"schedule": "constant", "warmup": 0.5, "average": 0.5}
    first = fit(net(), parts(), quick(epochs=4, **options), run_dir=tmp_path)
    longer = fit(net(), parts(), quick(epochs=8, **options), run_dir=tmp_path, resume=True)
    assert [record.lr for record in longer.history[:4]] == [record.lr for record in first.history]
    assert {record.lr for record in longer.history[4:]} == {0.02}


@pytest.mark.parametrize(
    ("before", "after", "text"),
    [
        ({}, {"epochs": 6}, "with schedule 'cosine' the rate fell to zero"),
        ({"schedule": "one_cycle"}, {"epochs": 6}, "with schedule 'one_cycle' one cycle ends"),
        ({"schedule": "constant"}, {"epochs": 2}, "it has run for 4 already"),
        ({"schedule": "constant"}, {"epochs": None}, "its length was given in steps, or was left open"),
        ({"schedule": "constant"}, {"epochs": 6, "lr": 0.5}, r"got other epochs \(4, now 6\), lr \(0.02, now 0.5\)"),
    ],
)
def test_other_runs_say_why_they_cannot(tmp_path: Path, before: Any, after: Any, text: str) -> None:
    fit(net(), parts(), quick(**before), run_dir=tmp_path)
    with pytest.raises(CheckpointError, match=text):
        fit(net(), parts(), quick(**{**before, **after}), run_dir=tmp_path, resume=True)


def test_a_run_that_ended_by_itself_says_so(tmp_path: Path) -> None:
    options = {"schedule": "constant", "patience": 1, "lr": 3.0, "weight_decay": 0.0}
    first = fit(net(), parts(), quick(epochs=30, **options), run_dir=tmp_path)
    assert first.stopped_early
    with pytest.warns(ScimlWarning, match=r"40 epochs change nothing: the run ended by itself after epoch \d+"):
        again = fit(net(), parts(), quick(epochs=40, **options), run_dir=tmp_path, resume=True)
    assert again.history == first.history
