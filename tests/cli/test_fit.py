"""`sciml fit`, `predict`, `spectrum weights|report`, `demo`, `doctor`: the journey as it is typed."""

import json
import shutil
import signal
import time
from pathlib import Path

import h5py
import numpy as np
import pytest
import scipy.stats
import torch

from sciml.train import checkpoint
from sciml.train.metrics import classification_scores
from sciml.wording import percent

RESULTS = {"metrics.json", "report.html", "report.json"}
FILES = RESULTS | {"config.toml", "split.json", "training.json", "status.json", "log.txt", "checkpoints"}


def weights(run: Path) -> dict[str, torch.Tensor]:
    state: dict[str, torch.Tensor] = checkpoint.load_best(run / "checkpoints").state["model"]
    return state


def test_a_run_directory_holds_everything(fitted: Path) -> None:
    assert {entry.name for entry in fitted.iterdir()} == FILES
    assert json.loads((fitted / "status.json").read_text())["state"] == "finished"
    assert len((fitted / "log.txt").read_text().splitlines()) == 2
    assert (fitted / "report.html").read_text().startswith("<!doctype html>")


def test_fit_prints_scores_beside_chance_and_one_json_document(sciml, recording, quick, tmp_path: Path) -> None:
    done = sciml("fit", recording, *quick, "--out", tmp_path / "run", "--json")
    assert done.code == 0
    document = json.loads(done.out)
    assert document["schema"] == "sciml.fit/1"
    assert set(document["baselines"]) == {"linear", "covariance", "kernels", "gaussian", "majority"}
    low, high = document["chance"]["band"]
    assert low < document["chance"]["level"] < high
    assert "epoch 2/2" in done.err
    table = sciml("fit", "--resume", "--out", tmp_path / "run", "-q").out.splitlines()
    named = {line.split()[0] for line in table[4:11]}
    assert named == {"net", "linear", "covariance", "kernels", "gaussian", "majority", "chance"}


def test_quiet_says_nothing_on_stderr(sciml, recording, quick, tmp_path: Path) -> None:
    assert sciml("fit", recording, *quick, "--out", tmp_path / "run", "--quiet").err == ""


def test_the_config_of_a_run_gives_the_same_run(sciml, fitted: Path, tmp_path: Path) -> None:
    assert sciml("fit", fitted / "config.toml", "--out", tmp_path / "again", "-q").code == 0
    first, second = weights(fitted), weights(tmp_path / "again")
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_dry_run_says_what_would_be_done_and_writes_nothing(sciml, recording, quick, tmp_path: Path) -> None:
    done = sciml("fit", recording, *quick, "--out", tmp_path / "run", "--dry-run")
    assert done.code == 0
    assert not (tmp_path / "run").exists()
    for expected in ("train", "0 deg", "unit of independence: time block", "parameters", "channel 16, time 20 [dF/F]"):
        assert expected in done.out
    document = json.loads(sciml("fit", recording, *quick, "--dry-run", "--json").out)
    assert sum(document["windows"].values()) + sum(document["dropped"].values()) == 68
    assert document["memory"]["recording"] == 3000 * 16 * 4


def test_a_run_is_not_overwritten_unasked(sciml, recording, quick, fitted: Path) -> None:
    before = (fitted / "report.html").stat().st_mtime_ns
    done = sciml("fit", recording, *quick, "--out", fitted)
    assert done.code == 74
    assert "--resume goes on with it, --overwrite starts anew" in done.err
    assert (fitted / "report.html").stat().st_mtime_ns == before


def test_a_finished_run_is_not_done_again(sciml, recording, quick, fitted: Path) -> None:
    before = (fitted / "report.html").stat().st_mtime_ns
    done = sciml("fit", recording, *quick, "--out", fitted, "--resume")
    assert done.code == 0
    assert "finished already" in done.err
    assert (fitted / "report.html").stat().st_mtime_ns == before


def test_resuming_with_another_configuration_is_refused(sciml, fitted: Path) -> None:
    done = sciml("fit", "--out", fitted, "--resume", "--set", "train.lr=0.5")
    assert done.code == 5
    assert "train.lr (0.001, now 0.5)" in done.err


def test_resuming_nothing_is_refused(sciml, recording, quick, tmp_path: Path) -> None:
    done = sciml("fit", recording, *quick, "--out", tmp_path / "run", "--resume")
    assert done.code == 5
    assert "expected a run" in done.err


def test_fit_without_a_place_is_an_error_of_usage(sciml, recording: Path) -> None:
    assert sciml("fit", recording).code == 2


def test_strict_ends_with_6_where_a_baseline_is_better(sciml, recording, quick, tmp_path: Path) -> None:
    done = sciml("fit", recording, *quick, "--out", tmp_path / "run", "--epochs", "1", "--set", "train.lr=1e-9",
                 "--strict", "-q")  # fmt: skip
    assert done.code == 6


def test_ctrl_c_is_resumable_and_changes_no_bit(background, process, recording, quick, tmp_path: Path) -> None:
    long = [*quick, "--epochs", "40", "--set", "train.patience=0"]
    assert process("fit", recording, *long, "--out", tmp_path / "whole", "-q").returncode == 0
    out = tmp_path / "cut"
    with background("fit", recording, *long, "--out", out) as run:
        deadline = time.monotonic() + 100
        while not (out / "log.txt").exists() or (out / "log.txt").read_text().count("\n") < 3:
            assert time.monotonic() < deadline
            assert run.poll() is None
            time.sleep(0.01)
        run.send_signal(signal.SIGINT)
        _, err = run.communicate(timeout=60)
    assert run.returncode == 75, err
    assert f"to go on: sciml fit --resume --out {out}" in err
    assert "Traceback" not in err
    assert json.loads((out / "status.json").read_text())["state"] == "interrupted"
    done = process("fit", "--resume", "--out", out)
    assert done.returncode == 0, done.stderr
    whole, resumed = weights(tmp_path / "whole"), weights(out)
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)
    assert len((out / "log.txt").read_text().splitlines()) == 40


def test_predictions_agree_with_the_held_out_scores(sciml, recording, fitted: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.nc"
    done = sciml("predict", fitted, recording, "-o", out)
    assert done.code == 0, done.err
    with h5py.File(out) as file:
        probabilities, logits = file["probabilities"][()], file["logits"][()]
        predicted, label, times = file["predicted"].asstr()[()], file["label"].asstr()[()], file["time"][()]
    assert probabilities.dtype == logits.dtype == np.float64
    np.testing.assert_allclose(probabilities.sum(axis=1), 1.0, rtol=1e-12)
    split = json.loads((fitted / "split.json").read_text())
    scores = json.loads((fitted / "metrics.json").read_text())
    # all trials have a window here, so that a row of the file is a window of the run
    assert len(times) == len(split["block"])
    hits = np.mean(predicted[split["test"]] == label[split["test"]])
    assert hits == pytest.approx(scores["net"]["accuracy"])


def test_predicting_with_a_step_needs_no_events(sciml, recording, fitted: Path, tmp_path: Path) -> None:
    done = sciml("predict", fitted, recording, "-o", tmp_path / "out.nc", "--step", "1", "--json")
    document = json.loads(done.out)
    assert (document["windows"], document["accuracy"]) == (150, None)


def test_another_recording_is_refused(sciml, fitted: Path, tmp_path: Path) -> None:
    path = tmp_path / "other.h5"
    with h5py.File(path, "w") as file:
        file["trace"] = np.zeros((400, 5))
        file["trace"].attrs.update(units="dF/F", sampling_rate=20.0)
    done = sciml("predict", fitted, path, "-o", tmp_path / "out.nc", "--signal", "trace")
    assert done.code == 3
    assert "expected 16 channels as in training, got 5" in done.err
    assert not (tmp_path / "out.nc").exists()


def test_weights_are_listed_layer_by_layer(sciml, fitted: Path) -> None:
    document = json.loads(sciml("spectrum", "weights", fitted, "--json").out)
    assert [layer["name"] for layer in document["layers"]] == [
        "block1.conv", "block2.conv", "block3.conv", "head",
    ]  # fmt: skip
    best = checkpoint.paths(fitted / "checkpoints", "best")[0]
    table = sciml("spectrum", "weights", best)
    assert table.code == 0
    assert "net.head" in table.out


def test_a_damaged_checkpoint_is_refused(sciml, fitted: Path, tmp_path: Path) -> None:
    best = checkpoint.paths(fitted / "checkpoints", "best")[0]
    content = bytearray(best.read_bytes())
    content[len(content) // 2] ^= 1
    (tmp_path / "best.pt").write_bytes(content)
    done = sciml("spectrum", "weights", tmp_path / "best.pt")
    assert done.code == 5
    assert "damaged" in done.err


def test_state_dicts_of_others_are_read(sciml, tmp_path: Path) -> None:
    from safetensors.torch import save_file

    state = torch.nn.Linear(30, 20).state_dict()
    torch.save(state, tmp_path / "net.pt")
    save_file(state, tmp_path / "net.safetensors")
    ranks = [
        json.loads(sciml("spectrum", "weights", tmp_path / name, "--json").out)["layers"][0]["singular_values"]
        for name in ("net.pt", "net.safetensors")
    ]
    assert ranks[0] == ranks[1]


def test_reports_on_recording_run_and_checkpoint(sciml, recording, fitted: Path, tmp_path: Path) -> None:
    done = sciml("spectrum", "report", recording, fitted, "-o", tmp_path / "r.html", "--json-file", tmp_path / "r.json")
    assert done.code == 0, done.err
    assert done.out.splitlines() == [str(tmp_path / f"r-{k}.html") for k in (1, 2)]
    kinds = [json.loads((tmp_path / f"r-{k}.json").read_text())["kind"] for k in (1, 2)]
    assert kinds == ["recording", "weights"]
    assert done.err.startswith("- ")


def test_noise_says_what_was_found_and_why(sciml, recording: Path) -> None:
    done = sciml("spectrum", "noise", recording)
    assert done.out.startswith("3 components above the noise floor (colored noise")
    document = json.loads(sciml("spectrum", "noise", recording, "--model", "white", "--json").out)
    assert (document["schema"], document["model"]) == ("sciml.noise/1", "white")


def test_denoising_keeps_the_asked_for_components(sciml, recording, tmp_path: Path) -> None:
    document = json.loads(sciml("denoise", recording, "-o", tmp_path / "c.nc", "--rank", "1", "--json", "-q").out)
    assert document["rank"] == 1
    listed = json.loads(sciml("info", tmp_path / "c.nc", "--json").out)["files"][0]
    assert listed["signals"][0]["shape"] == [3000, 16]


def test_the_demo_finds_the_true_rank(sciml, tmp_path: Path) -> None:
    done = sciml("demo", "--out", tmp_path / "demo", "--duration", "200", "--epochs", "3")
    assert done.code == 0, done.err
    assert "rank found 3, true 3" in done.out
    assert f"open the report: {tmp_path / 'demo' / 'run' / 'report.html'}" in done.out
    numbers = json.loads((tmp_path / "demo" / "run" / "report.json").read_text())["numbers"]
    assert (numbers["noise_floor"]["rank"], numbers["truth"]["rank"]) == (3, 3)
    again = sciml("demo", "--out", tmp_path / "demo")
    assert again.code == 74
    assert "--overwrite" in again.err


def test_doctor_names_versions_and_problems(sciml) -> None:
    document = json.loads(sciml("doctor", "--json").out)
    assert document["facts"]["torch"] == torch.__version__
    assert sciml("doctor", "--strict").code == (6 if document["problems"] else 0)


def test_datasets_are_listed_shown_and_made(sciml, tmp_path: Path) -> None:
    assert "gw150914-h1" in sciml("datasets", "list").out
    assert "license: CC-BY-4.0" in sciml("datasets", "show", "gw150914-h1").out
    assert sciml("datasets", "show", "gw150914").code == 4
    document = json.loads(sciml("datasets", "list", "--json").out)
    assert {entry["name"] for entry in document["datasets"]} >= {"gw150914-h1", "gw150914-l1", "demo"}


def test_the_worm_is_forecast_with_defaults(sciml, data_dir: Path, tmp_path: Path) -> None:
    file = data_dir / "nwb_scholz2018_141721.nwb"
    done = sciml("fit", file, "--signal", "acquisition/Activity_*", "--task", "forecast", "--out", tmp_path / "run",
                 "--epochs", "3", "--json", "-q")  # fmt: skip
    assert done.code == 0, done.err
    document = json.loads(done.out)
    assert set(document["baselines"]) == {"persistence", "ridge", "mean"}
    assert document["split"]["gap"] >= 6.0
    assert document["noise_floor"]["rank"] == 2
    assert document["noise_floor"]["mp_rank"] == 9
    assert sciml("predict", tmp_path / "run", file, "-o", tmp_path / "out.nc").code == 0
    with h5py.File(tmp_path / "out.nc") as out:
        assert out["forecast"].shape[1:] == (62, 6)


def test_a_run_has_one_band_of_chance_and_one_meaning_of_above_it(sciml, fitted: Path) -> None:
    """metrics.json, the baselines behind it, the report and the command line say the same number."""
    metrics, made = (json.loads((fitted / f"{name}.json").read_text()) for name in ("metrics", "report"))
    band = metrics["chance"]["band"]
    labels = [name for name, n in metrics["split"]["class_counts"]["test"].items() for _ in range(n)]
    numbers = np.unique(labels, return_inverse=True)[1]
    chance = classification_scores(numbers, numbers, n_classes=len(set(labels))).chance
    assert [chance.low, chance.high] == band
    assert band == (np.array(scipy.stats.binom.interval(0.95, chance.n, chance.level)) / chance.n).tolist()
    assert made["numbers"]["chance"]["band"] == band
    [verdict] = [f for f in made["findings"] if f["text"].startswith("Held-out accuracy")]
    assert verdict["numbers"]["chance_band"] == band
    assert verdict["numbers"]["beats_chance"] == metrics["net"]["above_chance"]
    shown = sciml("fit", "--resume", "--out", fitted)
    assert f"{percent(band[0])} to {percent(band[1])}" in shown.out
    assert (verdict["severity"] == "result") == metrics["net"]["above_chance"]


@pytest.mark.parametrize("kind", ["step", "best"])
def test_checkpoints_that_lack_keys_or_hold_other_things_end_in_exit_5(
    sciml, fitted: Path, recording, kind: str, tmp_path: Path
) -> None:
    """Each key in turn is removed, then replaced by what nobody expects; then what is inside of each dict.

    Of a checkpoint to resume from all are tried in tests/train/test_loop.py, and here those that end soon.
    """
    run = tmp_path / "run"
    shutil.copytree(fitted, run)
    (run / "metrics.json").unlink()
    path = checkpoint.paths(run / "checkpoints", kind)[0]
    for other in checkpoint.paths(run / "checkpoints", kind)[1:]:
        other.unlink()
    state = checkpoint.load(path)
    step = state.pop("step")
    cases: list[dict[str, object]] = []
    for key in sorted(set(state) - {"format"}):
        cases += [{k: v for k, v in state.items() if k != key}, {**state, key: [None]}]
        inner = state[key]
        if isinstance(inner, dict) and key != "environment":
            cases += [{**state, key: {k: v for k, v in inner.items() if k != one}} for one in list(inner)[:3]]
    if kind == "step":
        cases = [case for case in cases if "model" not in case or case["model"] == [None]]
    commands = (
        (("predict", run, recording, "-o", tmp_path / "out.nc", "--overwrite"), ("spectrum", "weights", run))
        if kind == "best"
        else (("fit", "--resume", "--out", run),)
    )
    for case in cases:
        checkpoint.save(run / "checkpoints", case, step=step, kind=kind)
        for command in commands:
            done = sciml(*command, "-q")
            assert done.code in (0, 5), (sorted(case), done.err)
            assert "Unexpected" not in done.err
            (run / "metrics.json").unlink(missing_ok=True)
    lacking: tuple[dict[str, object], ...] = ({}, {"model": {}})
    for broken in lacking:
        checkpoint.save(run / "checkpoints", broken, step=step, kind=kind)
        assert [sciml(*command, "-q").code for command in commands] == [5] * len(commands)


def test_objects_in_a_file_of_torch_are_not_loaded_and_nobody_is_told_how(sciml, tmp_path: Path) -> None:
    torch.save({"net": torch.nn.Linear(2, 2)}, tmp_path / "net.pt")
    (tmp_path / "half.pt").write_bytes((tmp_path / "net.pt").read_bytes()[:500])
    (tmp_path / "text.pt").write_text("no checkpoint")
    for name in ("net.pt", "half.pt", "text.pt"):
        for options in ((), ("--debug",)):
            done = sciml("spectrum", "weights", tmp_path / name, *options)
            assert done.code == 5, done.err
            assert "weights_only" not in done.err
    assert (
        "an object of the class torch.nn.modules.linear.Linear" in sciml("spectrum", "weights", tmp_path / "net.pt").err
    )
