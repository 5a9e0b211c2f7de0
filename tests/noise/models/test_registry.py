"""The registry of noise models: what is made of it."""

from typing import get_args

from sciml.noise import MODELS, Model, noise_model
from sciml.noise.models.registry import NOISE_MODELS

NAMES = [model.name for model in NOISE_MODELS]


def test_names_and_words_are_those_of_the_models() -> None:
    assert list(get_args(Model)) == list(MODELS) == NAMES
    assert len(set(NAMES)) == len(NAMES)
    for model in NOISE_MODELS:
        assert noise_model(model.name) is model
        assert MODELS[model.name] == model.words


def test_models_go_from_simple_to_rich() -> None:
    assert [model.colored for model in NOISE_MODELS] == sorted(model.colored for model in NOISE_MODELS)
    richest = [model for model in NOISE_MODELS if model.independent][-1]
    assert richest.colored
    assert not richest.common_spectrum
