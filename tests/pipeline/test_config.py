"""The configuration: every mistake is found before anything is read, and named by its dotted path."""

import tomllib
from pathlib import Path
from typing import Any

import pytest

from sciml.errors import ConfigError
from sciml.noise.models.registry import NOISE_MODELS
from sciml.pipeline.config import Config, assign, known_keys, load_config, to_toml, validate


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"train": {"epohcs": 3}}, "train.epohcs: no such key; did you mean train.epochs?"),
        ({"epochs": 3}, "epochs: no such key; did you mean train.epochs?"),
        ({"trian": {}}, "trian: no such key; did you mean train?"),
        ({"modle": {"name": "fcn"}}, "modle.name: no such key; did you mean model.name?"),
        ({"inti": {"options": {"gain": 1}}}, "inti.options: no such key; did you mean init.options?"),
        ({"windows": {"lenght": 3}}, "windows.lenght: no such key; did you mean windows.length?"),
        ({"model": {"lr": 3}}, "model.lr: no such key; did you mean train.lr?"),
        (
            {"qqq": 1},
            "qqq: no such key; choose one of task, seed, data, windows, noise, split, model, init, augment, train",
        ),
        ({"train": {"epochs": "ten"}}, "train.epochs: expected a whole number; got 'ten'"),
        ({"train": {"epochs": 2.5}}, "train.epochs: expected a whole number; got 2.5"),
        ({"train": {"epochs": True}}, "train.epochs: expected a whole number; got True"),
        ({"train": {"lr": -1}}, "train.lr: expected a value greater than 0; got -1"),
        ({"train": {"lr": float("nan")}}, "train.lr: expected a finite number; got nan"),
        ({"noise": {"denoise": "yes"}}, "noise.denoise: expected true or false; got 'yes'"),
        ({"task": "sort"}, "task: expected 'classify', 'regress' or 'forecast'; got 'sort'"),
        ({"data": "x.h5"}, "data: expected a table; got 'x.h5'"),
        ({"data": {"signal": 3}}, "data.signal: expected text; got 3"),
        ({"split": {"fractions": [0.5, 0.5]}}, "split.fractions.2: expected one value more; got [0.5, 0.5]"),
        (
            {"split": {"fractions": [0.5, 0.2, 0.2]}},
            "split.fractions: expected three fractions above 0 that add",
        ),
    ],
)
def test_each_mistake_is_named_with_its_path_and_a_remedy(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        validate(values)
    assert str(caught.value).startswith(message)


def test_all_mistakes_are_named_at_once() -> None:
    with pytest.raises(ConfigError, match=r"seed: .*train\.epochs"):
        validate({"seed": -1, "train": {"epochs": 0}})


def test_toml_written_is_toml_read() -> None:
    config = assign({}, ["task=forecast", "data.signal=a", "train.lr=1e-4", "model.options.width=8"])
    assert validate(tomllib.loads(to_toml(config))) == config


def test_flags_beat_assignments_beat_file_beats_defaults(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text("[train]\nepochs = 1\nlr = 0.5\nbatch_size = 7\n")
    config = load_config(file, ["train.epochs=2", "train.lr=0.25"], train__epochs=3, train__device=None)
    assert (config.train.epochs, config.train.lr, config.train.batch_size) == (3, 0.25, 7)
    assert config.train.device == Config().train.device


def test_files_of_a_config_are_relative_to_it(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text("[data]\nfiles = ['a.nwb', '/elsewhere/b.nwb']\n")
    assert load_config(file).data.files == (str(tmp_path / "a.nwb"), "/elsewhere/b.nwb")


@pytest.mark.parametrize("text", ["train.lr", "=3", ""])
def test_an_assignment_without_key_and_value_is_an_error(text: str) -> None:
    with pytest.raises(ConfigError, match=r"expected an assignment like train\.lr=1e-3"):
        assign({}, [text])


def test_an_assignment_below_a_value_is_an_error() -> None:
    with pytest.raises(ConfigError, match=r"seed\.x: seed is a value, not a table"):
        assign({"seed": 3}, ["seed.x=1"])


def test_a_broken_file_is_named_with_the_line(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text("[train\n")
    with pytest.raises(ConfigError, match=r"config\.toml: expected TOML.*line 1"):
        load_config(file)


def test_an_unknown_key_in_a_file_quotes_the_file(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text("[train]\nepocs = 3\n")
    with pytest.raises(ConfigError, match=r"config\.toml: train\.epocs: no such key; did you mean train\.epochs\?"):
        load_config(file)


def test_a_missing_file_is_a_config_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such file"):
        load_config(tmp_path / "none.toml")


@pytest.mark.parametrize("key", known_keys())
def test_the_suggested_keys_exist(key: str) -> None:
    """A value of no known kind is what is wrong with them, not their name."""
    with pytest.raises(ConfigError, match=f"^{key}") as caught:
        assign({}, [f"{key}=[[1979-05-27]]"])
    assert "no such key" not in str(caught.value)


def test_a_noise_model_is_one_of_the_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("auto", *(model.name for model in NOISE_MODELS)):
        assert validate({"noise": {"model": name}}).noise.model == name
    with pytest.raises(ConfigError, match=r"noise\.model: expected 'auto', .*; got 'pink'"):
        validate({"noise": {"model": "pink"}})
    pink = type("Pink", (), {"name": "pink"})()
    monkeypatch.setattr("sciml.noise.models.registry.NOISE_MODELS", [*NOISE_MODELS, pink])
    assert validate({"noise": {"model": "pink"}}).noise.model == "pink"
