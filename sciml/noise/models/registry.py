"""All noise models, from simple to rich: the order in which they are tried."""

from typing import TYPE_CHECKING, Literal

from sciml.noise.models.base import NoiseModel
from sciml.noise.models.colored import Colored
from sciml.noise.models.heteroscedastic import HETEROSCEDASTIC
from sciml.noise.models.heteroscedastic_colored import HeteroscedasticColored
from sciml.noise.models.poisson import Poisson
from sciml.noise.models.reference import FromReference
from sciml.noise.models.spatial import Spatial
from sciml.noise.models.spatial_groups import SpatialGroups
from sciml.noise.models.spatial_nonseparable import NonseparableSpatial
from sciml.noise.models.white import White

__all__ = ["MODELS", "NOISE_MODELS", "Model", "noise_model"]

NOISE_MODELS: list[NoiseModel] = [
    Poisson(),
    White(),
    HETEROSCEDASTIC,
    Colored(),
    HeteroscedasticColored(),
    Spatial(),
    NonseparableSpatial(),
    SpatialGroups(),
    FromReference(),
]

MODELS: dict[str, str] = {model.name: model.words for model in NOISE_MODELS}

if TYPE_CHECKING:
    Model = str
else:
    Model = Literal[tuple(MODELS)]


def noise_model(name: str) -> NoiseModel:
    """Return the model of a name.

    Examples
    --------
    >>> noise_model("colored").words
    'a variance per channel, one spectrum in time for all channels'
    """
    return {model.name: model for model in NOISE_MODELS}[name]
