"""Names that are checked before anything is loaded are those of the registries."""

from sciml import _names
from sciml.nn import models
from sciml.noise.models.registry import NOISE_MODELS
from sciml.pipeline.load import LABELED
from sciml.pipeline.tasks import TASKS


def test_names_are_those_of_the_registries() -> None:
    assert ("auto", *(model.name for model in NOISE_MODELS)) == _names.NOISE_MODELS
    assert _names.nets() == models.available()
    assert set(TASKS) >= LABELED
