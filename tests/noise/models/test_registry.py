"""The registry of noise models: what is made of it, and that lists which cannot import it agree with it."""

from typing import get_args

import pytest

from sciml.noise import MODELS, Model, noise_model
from sciml.noise.models.registry import NOISE_MODELS
from sciml_cli.commands import denoise, spectrum

NAMES = [model.name for model in NOISE_MODELS]


def test_names_and_words_are_those_of_the_models() -> None:
    assert list(get_args(Model)) == list(MODELS) == NAMES
    assert len(set(NAMES)) == len(NAMES)
    for model in NOISE_MODELS:
        assert noise_model(model.name) is model
        assert MODELS[model.name] == model.words


def test_models_go_from_simple_to_rich() -> None:
    assert [model.colored for model in NOISE_MODELS] == sorted(model.colored for model in NOISE_MODELS)
    richest = NOISE_MODELS[-1]
    assert richest.colored
    assert not richest.common_spectrum


@pytest.mark.parametrize(
    "choices",
    [
        pytest.param(denoise.MODELS.choices, id="sciml denoise"),
        pytest.param(spectrum.MODELS.choices, id="sciml spectrum noise"),
    ],
)
def test_what_loads_no_noise_model_offers_them_all(choices: tuple[str, ...]) -> None:
    assert set(choices) == {"auto", *NAMES}
