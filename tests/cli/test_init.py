"""`sciml init compare`: starts side by side on the user's data, as a table, as JSON, as a page."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sciml.simulate import population_recording, write_nwb

CONFIG = """task = "classify"
[data]
files = ["{file}"]
labels = "intervals/trials:stimulus"
[model]
name = "resnet1d"
[model.options]
width = 8
blocks = {blocks}
norm = "none"
[train]
device = "cpu"
"""


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_nwb(population_recording(n_neurons=8, duration=300.0), tmp_path_factory.mktemp("init") / "small.nwb")


def config(folder: Path, recording: Path, blocks: int = 2) -> Path:
    path = folder / "run.toml"
    path.write_text(CONFIG.format(file=recording, blocks=blocks))
    return path


def test_methods_stand_side_by_side(sciml: Callable[..., Any], tmp_path: Path, recording: Path) -> None:
    page = tmp_path / "starts.html"
    done = sciml("init", "compare", config(tmp_path, recording), "-o", page, "--method", "he", "--method", "taki")
    assert done.code == 0, done.err
    assert "resnet1d" in done.out
    assert {line.split()[0] for line in done.out.splitlines() if line.startswith(("he", "taki"))} == {"he", "taki"}
    html = page.read_text()
    assert html.count("<svg") >= 2
    assert "mean-field theory of a typical net" in html
    again = sciml("init", "compare", config(tmp_path, recording), "-o", page, "--method", "he")
    assert (again.code, "exists" in again.err) == (74, True)


def test_a_deep_net_is_warned_of_in_words(sciml: Callable[..., Any], tmp_path: Path, recording: Path) -> None:
    done = sciml(
        "init", "compare", config(tmp_path, recording, 40), "-o", tmp_path / "a.html", "--method", "he", "--json"
    )
    document = json.loads(done.out)
    assert document["schema"] == "sciml.init-compare/1"
    (he,) = document["methods"]
    assert any("more than 1000 times" in text for text in he["propagation"]["warnings"])
    assert len(he["propagation"]["points"]) > 100
    assert "grows" in (tmp_path / "a.html").read_text()


def test_starts_are_trained_for_a_few_steps(sciml: Callable[..., Any], tmp_path: Path, recording: Path) -> None:
    call = ("init", "compare", config(tmp_path, recording), "--steps", "5", "--rate", "1e-3", "--rate", "3e-3")
    done = sciml(*call, "-o", tmp_path / "a.html", "--method", "he", "--method", "lecun", "--json")
    methods = json.loads(done.out)["methods"]
    assert [[each["lr"] for each in method["rates"]] for method in methods] == [[1e-3, 3e-3]] * 2
    assert all(each["train_loss"] > 0 and each["held_out_loss"] > 0 for method in methods for each in method["rates"])
    again = json.loads(sciml(*call, "-o", tmp_path / "b.html", "--method", "he", "--json").out)
    assert again["methods"][0] == methods[0]


def test_a_method_that_does_not_apply_says_why(sciml: Callable[..., Any], tmp_path: Path, recording: Path) -> None:
    done = sciml(
        "init", "compare", config(tmp_path, recording), "-o", tmp_path / "a.html",
        "--set", "model.name=fcn", "--set", "model.options={}", "--method", "he", "--method", "taki",
    )  # fmt: skip
    assert done.code == 0, done.err
    assert "taki: does not apply" in done.err


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [(("--method", "hee"), 4, "expected methods among"), (("--steps", "-1"), 2, "steps"), (("--rate", "0"), 2, "rate")],
)
def test_mistakes_are_told(
    sciml: Callable[..., Any], tmp_path: Path, recording: Path, options: tuple[str, ...], code: int, said: str
) -> None:
    done = sciml("init", "compare", config(tmp_path, recording), "-o", tmp_path / "a.html", *options)
    assert (done.code, said in done.err) == (code, True), done.err
    assert not (tmp_path / "a.html").exists()
