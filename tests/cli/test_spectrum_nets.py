"""`sciml spectrum weights|activations|jacobian|curvature|track|report` of a run: tables, JSON, netCDF and the page."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
import xarray as xr
from safetensors.torch import load_file

from sciml.pipeline.spectra import CurvatureSettings, analyze
from sciml.pipeline.spectra.trained import open_run
from sciml.train import checkpoint

VERDICTS = {
    "like its initialization", "directions learned on a noise bulk", "no noise bulk left",
    "orthogonal: nothing to test", "undetermined",
}  # fmt: skip


@pytest.fixture(scope="module")
def page(fitted: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, object], xr.Dataset, str]:
    from sciml_cli.app import run

    folder = tmp_path_factory.mktemp("page")
    names = ("r.html", "r.json", "r.nc")
    out, numbers, arrays = (folder / name for name in names)
    assert (
        run(
            [
                "spectrum",
                "report",
                str(fitted),
                "-o",
                str(out),
                "--json-file",
                str(numbers),
                "--netcdf",
                str(arrays),
                "-q",
            ]
        )
        == 0
    )
    return json.loads(numbers.read_text()), xr.load_dataset(arrays, engine="h5netcdf"), out.read_text()


def test_the_page_of_a_run_has_all_kinds_of_spectra(page) -> None:
    document, _, text = page
    assert [each["title"] for each in document["sections"]] == ["Weights", "Activations", "Jacobian", "Curvature"]
    assert all(each["figures"] for each in document["sections"])
    assert text.startswith("<!doctype html>")
    assert len(text) < 1_000_000


def test_json_and_netcdf_hold_the_same_numbers(page) -> None:
    document, dataset, _ = page
    numbers = document["numbers"]
    layers = numbers["weights"]["layers"]
    assert dataset.layer.values.tolist() == [each["name"] for each in layers]
    for row, each in zip(dataset.singular_values.values, layers, strict=True):
        assert row[np.isfinite(row)].tolist() == each["singular_values"]
    assert dataset.jacobian_singular_value.values.tolist() == numbers["jacobian"]["singular_values"]
    assert dataset.curvature_eigenvalue.values.tolist() == numbers["curvature"]["hessian"]["eigenvalues"]
    first = numbers["activations"]["layers"][0]["eigenvalues"]
    assert dataset.activation_eigenvalue.values[0, : len(first)].tolist() == first


def test_sentences_name_every_weight_matrix_once(page) -> None:
    document, _, _ = page
    verdicts = document["numbers"]["weights"]["verdicts"]
    assert set(verdicts) <= VERDICTS
    assert sum(len(names) for names in verdicts.values()) == 4
    told = " ".join(each["text"] for each in document["findings"])
    assert "sharpest direction of the loss" in told
    assert "A small random change of the input" in told


def test_the_start_is_drawn_again_as_it_was(fitted: Path) -> None:
    opened = open_run(fitted)
    initial = opened.initial
    assert isinstance(initial, torch.nn.Module)
    layers = {each["name"]: each for each in opened.restored.initialization["layers"]}
    for name, module in initial.named_modules():
        if name in layers:
            largest = torch.linalg.matrix_norm(module.get_parameter("weight").detach().flatten(1), 2)
            assert float(largest) == pytest.approx(layers[name]["largest_singular_value"], rel=1e-4)


def test_batch_norms_of_a_start_act_by_what_they_see(sciml, fitted: Path, tmp_path: Path) -> None:
    done = sciml("fit", fitted / "config.toml", "--out", tmp_path / "run", "--set", "model.options.norm=batch", "-q")
    assert done.code == 0, done.err
    initial = open_run(tmp_path / "run").initial
    assert isinstance(initial, torch.nn.Module)
    norms = [each for each in initial.modules() if isinstance(each, torch.nn.BatchNorm1d)]
    assert norms
    for each in norms:
        assert each.running_mean is not None
        assert bool((each.running_mean != 0).any())
        assert each.momentum == 0.1
        assert not each.training


def test_the_curvature_is_that_of_the_loss_that_was_trained_on(fitted: Path) -> None:
    opened = open_run(fitted)
    learned = opened.learned
    assert not isinstance(learned, str)
    found = analyze(fitted, parts=("curvature",), curvature=CurvatureSettings(n_eigenvalues=2, density=False)).curvature
    assert found is not None
    batches = learned.batches(10_000)
    x, y = (torch.cat(parts) for parts in zip(*batches, strict=True))
    model = opened.restored.model
    smoothing = learned.config.train.label_smoothing
    parameters = list(model.parameters())
    loss = torch.nn.functional.cross_entropy(model(x), y, label_smoothing=smoothing)
    gradient = torch.autograd.grad(loss, parameters, create_graph=True)
    v = [torch.ones_like(each) for each in parameters]
    size = torch.tensor(0.0)
    for _ in range(300):  # power iteration
        product = torch.autograd.grad(gradient, parameters, v, retain_graph=True)
        size = torch.sqrt(sum((each.square().sum() for each in product), torch.tensor(0.0)))
        v = [each / size for each in product]
    assert found.top.loss == pytest.approx(float(loss.detach()), rel=1e-5)
    assert abs(found.top.values[0]) == pytest.approx(float(size), rel=1e-2)


@pytest.mark.parametrize(
    ("command", "columns"),
    [
        (("weights",), ("verdict", "p, adj.")),
        (("activations", "--samples", "40"), ("dims", "random")),
        (("jacobian", "--samples", "5"), ("squared gain", "theory")),
        (("jacobian", "--samples", "5", "--end", "block1.conv"), ("squared gain", "theory")),
        (("curvature", "-k", "2", "--samples", "40"), ("error at most", "Gauss-Newton")),
    ],
    ids=["weights", "activations", "jacobian", "jacobian to a module", "curvature"],
)
def test_each_part_has_its_table_and_file(sciml, fitted: Path, tmp_path: Path, command, columns) -> None:
    done = sciml("spectrum", command[0], fitted, *command[1:], "--netcdf", tmp_path / "x.nc")
    assert done.code == 0, done.err
    assert all(column in done.out for column in columns)
    with xr.open_dataset(tmp_path / "x.nc", engine="h5netcdf") as dataset:
        assert dataset.attrs["schema"] == "sciml.spectra/1"
    again = sciml("spectrum", command[0], fitted, *command[1:], "--netcdf", tmp_path / "x.nc")
    assert again.code == 74
    assert "--overwrite" in again.err
    document = json.loads(sciml("spectrum", command[0], fitted, *command[1:], "--json").out)
    assert document["schema"] == f"sciml.{command[0]}/1"


def test_the_cost_of_curvature_is_that_of_what_is_asked(sciml, fitted: Path) -> None:
    few, many = (
        sciml("spectrum", "curvature", fitted, "-k", str(k), "--samples", "40", option)
        for k, option in ((1, "--no-density"), (10, "--density"))
    )
    assert "1 eigenvalue of the Hessian takes, as a rule, 23 products" in few.err
    assert "density" not in few.err
    assert "10 eigenvalues of the Hessian take, as a rule, 50 products" in many.err
    assert "density takes 400 products" in many.err
    refused = sciml("spectrum", "curvature", fitted, "-k", "100000")
    assert refused.code != 0
    assert "expected 1 to 200 eigenvalues" in refused.err
    assert "got 100000" in refused.err


def test_the_curvature_of_a_few_samples_is_measured(sciml, fitted: Path) -> None:
    done = sciml("spectrum", "curvature", fitted, "--samples", "3", "-k", "2", "--no-density")
    assert done.code == 0, done.err


def test_runs_stand_side_by_side(sciml, fitted: Path, tmp_path: Path) -> None:
    best = checkpoint.paths(fitted / "checkpoints", "best")[0]
    done = sciml(
        "spectrum", "report", fitted, best, "--together", "-o", tmp_path / "r.html", "--json-file", tmp_path / "r.json"
    )
    assert done.code == 0, done.err
    document = json.loads((tmp_path / "r.json").read_text())
    assert document["sections"][0]["title"] == "Side by side"
    assert len(document["numbers"]["nets"]) == 2
    assert (tmp_path / "r.html").exists()


def test_a_run_follows_spectra_without_being_changed(sciml, fitted: Path, tmp_path: Path) -> None:
    longer = ("--set", "train.epochs=40", "--set", "train.patience=0", "-q")
    asked = ("--set", 'track.what=["weights"]', "--set", "track.every=5", "--set", "track.budget=1.0")
    config, runs = fitted / "config.toml", (tmp_path / "with", tmp_path / "without")
    for run, options in zip(runs, (asked, ()), strict=True):
        assert sciml("fit", config, "--out", run, *longer, *options).code == 0
    one, two = (checkpoint.load_best(run / "checkpoints").state["model"] for run in runs)
    assert all(torch.equal(one[name], two[name]) for name in one)
    table = sciml("spectrum", "track", runs[0])
    assert table.code == 0, table.err
    document = json.loads(sciml("spectrum", "track", runs[0], "--json").out)
    assert document["steps"][0] == 0
    assert len(document["steps"]) >= 2
    record = analyze(runs[0], parts=("track",))
    assert record.track is not None
    assert record.track.steps == document["steps"]


def test_what_was_not_followed_or_is_gone_is_said(sciml, fitted: Path, recording: Path, tmp_path: Path) -> None:
    done = sciml("spectrum", "track", fitted)
    assert done.code == 5
    assert "track.what" in done.err
    run = tmp_path / "moved"
    shutil.copytree(fitted, run)
    text = (run / "config.toml").read_text().replace(str(recording), str(tmp_path / "gone.nwb"))
    (run / "config.toml").write_text(text)
    done = sciml("spectrum", "report", run, "-o", tmp_path / "r.html", "--json-file", tmp_path / "r.json")
    assert done.code == 0, done.err
    told = " ".join(each["text"] for each in json.loads((tmp_path / "r.json").read_text())["findings"])
    assert "not at hand" in told
    assert sciml("spectrum", "jacobian", run).code == 3
    assert sciml("spectrum", "jacobian", fitted, "--end", "nothing").code == 3


def test_files_of_weights_have_weights_alone(sciml, tmp_path: Path) -> None:
    torch.save(torch.nn.Linear(40, 30).state_dict(), tmp_path / "net.pt")
    done = sciml("spectrum", "curvature", tmp_path / "net.pt")
    assert done.code == 3
    assert "no run directory" in done.err
    report = sciml("spectrum", "report", tmp_path / "net.pt", "-o", tmp_path / "r.html", "--netcdf", tmp_path / "r.nc")
    assert report.code == 0, report.err
    assert "looks like random weights" in report.err


def test_truncation_keeps_what_the_validation_part_needs(sciml, fitted: Path, tmp_path: Path) -> None:
    done = sciml("spectrum", "truncate", fitted, "-o", tmp_path / "t.safetensors", "--tolerance", "0.05")
    assert done.code == 0, done.err
    document = json.loads(sciml("spectrum", "truncate", fitted, "--tolerance", "0.05", "--json").out)
    assert document["loss_after"] <= document["loss_limit"]
    assert document["loss_limit"] == pytest.approx(1.05 * document["loss_before"])
    state = load_file(tmp_path / "t.safetensors")
    opened = open_run(fitted)
    assert not isinstance(opened.learned, str)
    opened.restored.model.load_state_dict(state)
    x, y = (torch.cat(parts) for parts in zip(*opened.learned.batches(1000, part="validation"), strict=True))
    loss = torch.nn.functional.cross_entropy(opened.restored.model(x), y)
    assert float(loss.detach()) == pytest.approx(document["loss_after"], rel=1e-5)
    assert sciml("spectrum", "truncate", fitted, "-o", tmp_path / "t.safetensors").code == 74
