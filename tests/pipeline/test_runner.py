"""A run: nothing of the test part is learned from, the truth is found, and what was stopped can be resumed."""

import json
import signal
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import xarray as xr

from sciml.data import Preprocess, WindowDataset
from sciml.errors import (
    CheckpointError,
    ConfigError,
    DataError,
    DivergedError,
    InterruptedRunError,
    ScimlWarning,
    StorageError,
)
from sciml.io import open_recording
from sciml.pipeline import RunResult, demo, dry_run, load_config, predict, run, runner, to_toml, validate
from sciml.pipeline.denoising import learn_denoiser, train_part
from sciml.pipeline.load import Loaded, ground_truth
from sciml.pipeline.run_folder import RunFolder
from sciml.pipeline.tasks.forecast import Forecaster
from sciml.pipeline.windows import load_for, resolve, split_windows
from sciml.simulate import population_recording, write_nwb
from sciml.train import Callback, FitData, TrainState, checkpoint, fit
from sciml.train.reading import batch_order


def weights(out: Path) -> dict[str, torch.Tensor]:
    state: dict[str, torch.Tensor] = checkpoint.load_best(out / "checkpoints").state["model"]
    return state


@pytest.fixture(scope="module")
def done(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> RunResult:
    """The demo, made small."""
    return demo(tmp_path_factory.mktemp("demo") / "demo", duration=240.0, n_neurons=24, epochs=20)


def test_the_demo_beats_chance_and_finds_the_true_rank(done: RunResult) -> None:
    metrics = done.metrics
    assert metrics["net"]["above_chance"]
    assert metrics["net"]["accuracy"] > metrics["chance"]["band"][1]
    assert metrics["noise_floor"]["rank"] == metrics["truth"]["rank"] == metrics["denoised_components"] == 3


def test_report_and_metrics_say_the_same(done: RunResult) -> None:
    numbers = json.loads((done.out / "report.json").read_text())["numbers"]
    assert numbers["truth"]["rank"] == numbers["noise_floor"]["rank"] == 3
    assert numbers["scores"]["net"]["value"] == done.metrics["net"]["accuracy"]
    assert numbers["chance"]["band"] == done.metrics["chance"]["band"]
    assert numbers["scores"]["linear"]["value"] == done.metrics["baselines"]["linear"]["accuracy"]
    assert (done.out / "report.html").stat().st_size < 1_000_000


def test_denoising_brings_the_demo_closer_to_the_truth(done: RunResult) -> None:
    sections = json.loads((done.out / "report.json").read_text())["sections"]
    [section] = [section for section in sections if section["title"] == "Denoising"]
    rows = dict(section["tables"][0]["rows"])
    assert rows["relative error against the truth, after"] < 0.3 * rows["relative error against the truth, before"]


def test_the_test_part_changes_nothing_that_is_learned(settings) -> None:
    """Ten times the values in every window of validation and test: denoiser and preprocessing stay, to the last bit."""
    config = settings("noise.model=colored")
    loaded = load_for(config)
    config = resolve(config, loaded)
    cut = split_windows(config, loaded)
    other = loaded.recording.load().copy(deep=True)
    held_out = np.concatenate([cut.split.validation, cut.split.test])
    for start in cut.windows.starts[held_out]:
        other.values[start : start + cut.windows.span] *= 10
    changed = split_windows(config, Loaded(other, loaded.events, loaded.label))
    np.testing.assert_array_equal(changed.split.train, cut.split.train)
    learned = []
    for each in (cut, changed):
        denoiser = learn_denoiser(each.windows, each.split, config.noise).denoiser
        assert denoiser is not None
        fitted = Preprocess.fit(each.windows, each.split.train, matrix=denoiser.matrix)
        learned.append([denoiser.matrix, fitted.mean, fitted.scale, np.float64(fitted.gain)])
    for first, second in zip(*learned, strict=True):
        np.testing.assert_array_equal(first, second)


def test_the_train_part_keeps_clear_of_the_others(settings) -> None:
    config = settings()
    loaded = load_for(config)
    cut = split_windows(resolve(config, loaded), loaded)
    inside = set(train_part(cut.windows, cut.split)["time"].values)
    clock = loaded.recording["time"].values
    for index in np.concatenate([cut.split.validation, cut.split.test]):
        start = cut.windows.starts[index]
        assert not inside.intersection(clock[start : start + cut.windows.span])


def in_turns(config) -> Callable[..., Any]:
    """The order of a configuration that reads blocks, for one that does not."""
    loaded = load_for(config)
    cut = split_windows(resolve(config, loaded), loaded)
    blocks = WindowDataset(cut.windows, cut.split.train).blocks

    def order(*sizes, **settings):
        return batch_order(*sizes, **{**settings, "blocks": blocks})

    return order


def test_augmented_windows_are_those_of_the_train_part_alone(settings, tmp_path: Path, monkeypatch) -> None:
    given: list[FitData] = []

    def noted(model, data, *args, **more):
        given.append(data)
        return fit(model, data, *args, **more)

    monkeypatch.setattr("sciml.pipeline.runner.fit", noted)
    augment = ("augment.shift=0.2", "augment.channel_dropout=0.1", "augment.noise=0.5")
    found = run(settings(*augment), out=tmp_path / "run")
    train, validation = given[0].train, given[0].validation
    assert validation.augment is None
    items = np.arange(8)
    clean, changed, again, other = (train.batch(items, key=key)[0] for key in (None, 1, 1, 2))
    assert torch.isnan(changed).any()
    torch.testing.assert_close(changed, again, rtol=0, atol=0, equal_nan=True)
    assert not torch.equal(torch.nan_to_num(changed), torch.nan_to_num(other))
    scale = train.augment.source.scale
    noise = train.augment.source.draw(np.random.default_rng(0), 4000)
    np.testing.assert_allclose(noise.std(axis=1), scale, rtol=0.2)
    said = (
        "shifted by up to 0.2 s, without each channel with probability 0.1, with 0.5 times the noise of the recording"
    )
    assert said in found.report.read_text()
    assert clean.shape == changed.shape


def test_a_recording_too_large_to_hold_gives_the_same_run(settings, tmp_path: Path, monkeypatch) -> None:
    small = [settings("data.memory='100 kB'", f"train.workers={n}") for n in (0, 2)]
    assert load_for(small[0]).held().recording.chunks is not None
    said = dry_run(small[1]).reading
    assert "blocks, 1 at a time, ahead of the net by 2 workers" in said  # of a chunk each
    assert "a batch alone" not in said
    assert "; a batch alone takes" in dry_run(settings("data.memory='100 kB'", "train.batch_size=500")).reading
    with pytest.raises(ConfigError, match=r"data\.memory"):
        settings("data.memory=0")
    for config, name in zip(small, ("chunked", "workers"), strict=True):
        run(config, out=tmp_path / name)
    for one, other in zip(weights(tmp_path / "chunked").values(), weights(tmp_path / "workers").values(), strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=0)
    monkeypatch.setattr("sciml.train.loop.batch_order", in_turns(small[0]))  # else windows come in another order
    run(settings(), out=tmp_path / "held")
    held, chunked = weights(tmp_path / "held"), weights(tmp_path / "chunked")
    for name, value in held.items():
        # block by block the sums come in another order
        torch.testing.assert_close(chunked[name], value, rtol=1e-3, atol=1e-4)


def test_the_truth_is_read_from_the_file(file: Path, simulation) -> None:
    truth = ground_truth((str(file),))
    assert truth is not None
    assert truth.rank == simulation.rank
    np.testing.assert_allclose(truth.signal, simulation.signal.values, atol=1e-6)
    assert ground_truth((str(file), str(file))) is None


class _Stop(Callback):
    """Send a signal after a number of epochs."""

    def __init__(self, number: int, epoch: int) -> None:
        self.number, self.epoch = number, epoch

    def on_epoch_end(self, state: TrainState) -> None:
        if state.epoch == self.epoch:
            signal.raise_signal(self.number)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 75), (signal.SIGTERM, 143)])
def test_a_stopped_run_goes_on_and_ends_the_same(
    interruptible, settings, tmp_path: Path, number: int, code: int
) -> None:
    config = settings("train.epochs=4")
    run(config, out=tmp_path / "whole")
    with pytest.raises(InterruptedRunError, match="to go on: sciml fit --resume --out") as caught:
        run(config, out=tmp_path / "cut", callbacks=(_Stop(number, 2),))
    assert caught.value.exit_code == code
    assert RunFolder(tmp_path / "cut").status()["state"] == "interrupted"
    with pytest.warns(ScimlWarning, match="trained"), pytest.warns(ScimlWarning, match="is not finished"):
        predict(tmp_path / "cut", config.data.files[0])
    result = run(config, out=tmp_path / "cut", resume=True)
    assert not result.already_finished
    whole, resumed = weights(tmp_path / "whole"), weights(tmp_path / "cut")
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)
    assert run(config, out=tmp_path / "cut", resume=True).already_finished


def test_a_run_killed_before_its_report_is_completed(settings, tmp_path: Path, monkeypatch) -> None:
    config = settings()

    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("sciml.pipeline.runner.make_record", killed)
        with pytest.raises(InterruptedRunError):
            run(config, out=tmp_path / "run")
    assert not RunFolder(tmp_path / "run").finished
    result = run(config, out=tmp_path / "run", resume=True)
    assert result.report.exists()


def test_a_run_is_resumed_with_its_own_configuration_and_data_only(settings, tmp_path: Path) -> None:
    run(settings(), out=tmp_path / "run")
    with pytest.raises(CheckpointError, match=r"train\.lr \(0\.001, now 0\.5\)"):
        run(settings("train.lr=0.5"), out=tmp_path / "run", resume=True)
    other = write_nwb(population_recording(n_neurons=16, duration=180.0, seed=4), tmp_path / "other.nwb")
    with pytest.raises(CheckpointError, match="expected the recording"):
        run(settings(files=(other,)), out=tmp_path / "run", resume=True)


@pytest.mark.parametrize("task", ["classify", "forecast"])
def test_what_a_run_decided_is_what_its_config_says(settings, tmp_path: Path, task: str) -> None:
    """A stored configuration, resolved again, is itself: also where options were left to the task."""
    values = settings(task=task).model_dump(mode="json", exclude_none=True)
    del values["model"]
    config = validate(values)
    resolved = resolve(config, load_for(config))
    stored = validate(tomllib.loads(to_toml(resolved)))
    assert stored == resolved
    assert resolve(stored, load_for(stored)) == resolved


def test_a_moved_recording_is_still_the_same(settings, file: Path, tmp_path: Path) -> None:
    run(settings(), out=tmp_path / "run")
    moved = tmp_path / "moved.nwb"
    moved.write_bytes(file.read_bytes())
    assert run(settings(files=(moved,)), out=tmp_path / "run", resume=True).already_finished


def test_a_folder_of_others_is_never_touched(settings, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years")
    for overwrite in (False, True):
        with pytest.raises(StorageError):
            run(settings(), out=tmp_path, overwrite=overwrite)
    with pytest.raises(CheckpointError, match="found none"):
        run(settings(), out=tmp_path, resume=True)
    assert [entry.name for entry in tmp_path.iterdir()] == ["thesis.txt"]


def test_overwriting_removes_what_a_run_wrote_and_nothing_else(settings, tmp_path: Path) -> None:
    run(settings(), out=tmp_path / "run")
    (tmp_path / "run" / "notes.md").write_text("mine")
    with pytest.raises(StorageError, match="--overwrite starts anew"):
        run(settings(), out=tmp_path / "run")
    run(settings("train.epochs=1"), out=tmp_path / "run", overwrite=True)
    assert (tmp_path / "run" / "notes.md").read_text() == "mine"
    assert len((tmp_path / "run" / "log.txt").read_text().splitlines()) == 1


def test_resume_and_overwrite_exclude_each_other(settings, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="either resume or overwrite"):
        run(settings(), out=tmp_path / "run", resume=True, overwrite=True)


def test_two_runs_do_not_share_a_folder(settings, tmp_path: Path) -> None:
    config = settings()

    class _Second(Callback):
        def on_epoch_end(self, _state: TrainState) -> None:
            with pytest.raises(StorageError, match="in use by another run"):
                run(config, out=tmp_path / "run", resume=True)

    run(config, out=tmp_path / "run", callbacks=(_Second(),))
    assert not (tmp_path / "run" / ".lock").exists()


def test_a_run_that_learned_nothing_leaves_nothing(settings, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="unknown option 'widht'"):
        run(settings("model.options={widht=3}"), out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_diverged_run_says_so(settings, tmp_path: Path) -> None:
    with pytest.raises(DivergedError):
        run(settings("train.lr=1e30", "train.warmup=0", "model.options.norm=none"), out=tmp_path / "run")
    status = RunFolder(tmp_path / "run").status()
    assert (status["state"], status["exit_code"]) == ("failed", 7)
    assert "training diverged" in status["message"]


def test_a_forecast_begins_as_persistence(settings, tmp_path: Path) -> None:
    """A net that says nothing repeats the last sample of each channel, standardized."""
    preprocess = Preprocess(mean=np.array([1.0, -2.0]), scale=np.array([2.0, 5.0]))

    class _Silence(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.zeros(len(x), 2, 3)

    x = torch.tensor([[[9.0, 3.0], [0.0, 8.0]]])
    forecast = preprocess.restore(Forecaster(preprocess, _Silence())(x).numpy())
    np.testing.assert_allclose(forecast, [[[3.0] * 3, [8.0] * 3]], rtol=1e-6)


def test_a_forecast_is_evaluated_beside_persistence_and_ridge(settings, tmp_path: Path) -> None:
    result = run(settings("windows.length=1", "windows.horizon=0.2", task="forecast"), out=tmp_path / "run")
    metrics = result.metrics
    assert metrics["baselines"]["persistence"]["mean_skill"] == 0.0
    assert set(metrics["baselines"]) == {"persistence", "ridge", "mean"}
    assert metrics["split"]["gap"] == pytest.approx(1.2)
    stored = RunFolder(tmp_path / "run").config()
    assert (stored.noise.denoise, stored.windows.step) == (False, 0.2)


def test_predicted_forecasts_reproduce_the_held_out_score(settings, file: Path, tmp_path: Path) -> None:
    config = settings("windows.length=1", "windows.horizon=0.2", "windows.step=0.5", task="forecast")
    result = run(config, out=tmp_path / "run")
    with pytest.warns(ScimlWarning, match="its outputs there are no test of it"):
        found = predict(tmp_path / "run", file, tmp_path / "out.nc").dataset
    wave = open_recording(file).values
    split = json.loads((tmp_path / "run" / "split.json").read_text())["test"]
    errors, last = [], []
    # the last windows of a forecast need no future, so that there are more of them than in training
    for index in split:
        start = round(float(found["time"].values[index]) * 20)
        truth = wave[start + 20 : start + 24].T
        errors.append((found["forecast"].values[index] - truth) ** 2)
        last.append(truth)
    variance = np.array(last).var(axis=(0, 2))
    error = (np.array(errors).mean(axis=0) / variance[:, None]).mean()
    assert error == pytest.approx(result.metrics["net"]["error"], rel=1e-4)
    stored = xr.open_dataset(tmp_path / "out.nc", engine="h5netcdf")
    xr.testing.assert_identical(stored["forecast"].load(), found["forecast"])
    stored.close()


def test_predictions_refuse_another_rate_unit_or_number_of_channels(settings, file: Path, tmp_path: Path) -> None:
    from sciml.io import save_recording

    run(settings("train.epochs=1"), out=tmp_path / "run")
    wave = open_recording(file).load()
    cases = {
        "units": (wave.assign_attrs(units="V"), "expected units 'dF/F'"),
        "rate": (wave.isel(time=slice(None, None, 2)).assign_attrs(sampling_rate=10.0), "sampling rate of 20 Hz"),
        "channels": (wave.isel(roi=slice(3)), "expected 16 channels as in training, got 3"),
    }
    for name, (other, message) in cases.items():
        path = save_recording(other, tmp_path / f"{name}.nc")
        with pytest.raises(DataError, match=message):
            predict(tmp_path / "run", path, tmp_path / "out.nc")
    assert not (tmp_path / "out.nc").exists()


@pytest.mark.filterwarnings("ignore:split by time block")  # two files cannot fill three parts
def test_several_files_are_one_recording_with_a_gap(settings, file: Path, tmp_path: Path) -> None:
    other = write_nwb(population_recording(n_neurons=16, duration=180.0, seed=5), tmp_path / "other.nwb")
    config = settings(files=(file, other))
    loaded = load_for(config)
    assert loaded.recording.sizes["time"] == 2 * 3600
    np.testing.assert_array_equal(loaded.recording.values[3600:], open_recording(other).values)
    plan = dry_run(config)
    single = dry_run(settings())
    assert sum(plan.windows.values()) > 1.9 * sum(single.windows.values())
    starts = split_windows(resolve(config, loaded), loaded).windows.starts
    assert not np.any((starts < 3600) & (starts + 20 > 3600))


def test_files_of_other_channels_do_not_go_together(settings, file: Path, tmp_path: Path) -> None:
    other = write_nwb(population_recording(n_neurons=8, duration=60.0), tmp_path / "other.nwb")
    with pytest.raises(DataError, match=r"expected the 16 channels of .*small.nwb, got 8: it has no"):
        dry_run(settings(files=(file, other)))


def test_one_channel_is_learned_without_a_noise_floor(settings, tmp_path: Path) -> None:
    from sciml.io import save_recording

    rng = np.random.default_rng(0)
    wave = xr.DataArray(rng.normal(size=(2000, 1)).cumsum(axis=0), dims=("time", "channel"), name="wave")
    path = save_recording(wave.assign_attrs(sampling_rate=20.0, units="V"), tmp_path / "one.nc")
    config = settings("windows.length=1", "windows.horizon=0.2", task="forecast", files=(path,))
    result = run(config, out=tmp_path / "run")
    assert result.metrics["noise_floor"] is None
    assert "no noise floor" in result.metrics["warnings"][0]


def test_noise_without_components_is_not_denoised(settings, tmp_path: Path) -> None:
    """A denoiser that keeps nothing would leave nothing to learn from: the net sees the recording as it is."""
    quiet = write_nwb(population_recording(n_neurons=16, duration=180.0, snr=1e-6, seed=6), tmp_path / "noise.nwb")
    result = run(settings("noise.model=colored", "noise.alpha=1e-4", files=(quiet,)), out=tmp_path / "run")
    assert result.metrics["denoised_components"] is None
    assert any("nothing to denoise" in text for text in result.metrics["warnings"])
    # four classes, no signal: beyond the band less than once in forty such recordings
    assert not result.metrics["net"]["above_chance"]


def test_a_dry_run_counts_what_the_run_counts(settings, tmp_path: Path) -> None:
    plan = dry_run(settings())
    result = run(settings(), out=tmp_path / "run")
    assert plan.windows == result.metrics["split"]["windows"]
    assert plan.class_counts == result.metrics["split"]["class_counts"]
    assert plan.parameters == result.metrics["model"]["parameters"]
    assert plan.dropped == result.metrics["split"]["dropped"]


def test_windows_that_the_net_was_trained_on_are_not_scored(done: RunResult, tmp_path: Path) -> None:
    file = done.out.parent / "demo.nwb"
    with pytest.warns(ScimlWarning, match="trained, or its epoch chosen, on"):
        found = predict(done.out, file)
    (split,) = RunFolder(done.out).splits()
    used = found.dataset["in_training"].values
    assert found.n_in_training == used.sum() >= len(split.train) + len(split.validation)
    others = ~used
    right = found.dataset["label"].values[others] == found.dataset["predicted"].values[others]
    assert found.accuracy == pytest.approx(float(right.mean()))
    assert "overlap those of its training" in found.summary()
    moved = tmp_path / "elsewhere.nwb"
    moved.write_bytes(file.read_bytes())
    with pytest.warns(ScimlWarning, match="trained"):
        assert predict(done.out, moved).n_in_training == found.n_in_training
    other = write_nwb(population_recording(n_neurons=24, duration=60.0, seed=5), tmp_path / "other.nwb")
    assert predict(done.out, other).n_in_training == 0


def test_methods_name_every_step_with_its_settings(done: RunResult) -> None:
    methods = json.loads((done.out / "report.json").read_text())["methods"]
    for said in ("windows of 1 s", "gap of 1 s", "denoised", "standardized", "fcn", "width 32", "dropout 0.5", "AdamW",
                 "learning rate of 0.002", "batches of 32", "weight decay 0.01", "norm 1", "at most 20 epochs",
                 "seed 0", "logistic regression", "permutation test", "chance"):  # fmt: skip
        assert said.lower() in methods.lower(), said


def test_epochs_count_from_one(done: RunResult) -> None:
    history = json.loads((done.out / "report.json").read_text())["numbers"]["history"]
    assert [record["epoch"] for record in history] == list(range(1, len(history) + 1))
    best = min(history, key=lambda record: record["validation_loss"])["epoch"]
    assert done.metrics["training"]["best_epoch"] == best
    assert f"epoch {len(history)}/" in (done.out / "log.txt").read_text().splitlines()[-1]


def test_a_run_that_began_since_is_not_overwritten(settings, tmp_path: Path, monkeypatch) -> None:
    """Another run begins, and ends, while this one still reads."""
    out, config, cut = tmp_path / "run", settings("train.steps=2"), split_windows

    def meanwhile(*args: Any) -> Any:
        monkeypatch.setattr(runner, "split_windows", cut)
        run(settings("train.steps=3"), out=out)
        return cut(*args)

    monkeypatch.setattr(runner, "split_windows", meanwhile)
    with pytest.raises(StorageError, match="exists; --resume goes on"):
        run(config, out=out)
    folder = RunFolder(out)
    assert folder.finished
    assert folder.config().train.steps == 3


def test_sigterm_before_training_leaves_a_run_that_resumes(settings, tmp_path: Path, monkeypatch) -> None:
    out = tmp_path / "run"

    def stopped(*_: Any, **__: Any) -> Any:
        raise SystemExit(143)

    monkeypatch.setattr(runner, "learn_denoiser", stopped)
    with pytest.raises(InterruptedRunError, match="stopped by SIGTERM") as caught:
        run(settings("train.steps=2"), out=out)
    assert caught.value.exit_code == 143
    assert RunFolder(out).status()["state"] == "interrupted"
    monkeypatch.setattr(runner, "learn_denoiser", learn_denoiser)
    run(settings("train.steps=2"), out=out, resume=True)
    assert RunFolder(out).finished


def test_the_configuration_in_a_run_does_not_name_code(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text('[model]\nname = "nets:Mine"\n')
    assert load_config(tmp_path / "config.toml").model.name == "nets:Mine"  # a file of the user's
    (tmp_path / "status.json").write_text("{}")
    with pytest.raises(ConfigError, match=r"--set model\.name=nets:Mine"):
        load_config(tmp_path / "config.toml")
    assert load_config(tmp_path / "config.toml", ["model.name=nets:Mine"]).model.name == "nets:Mine"
    assert load_config(tmp_path / "config.toml", model__name="fcn").model.name == "fcn"
