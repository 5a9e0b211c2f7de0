"""Names of families, so that a mistyped one is answered before what bears the name is loaded.

A registry that is loaded is asked; `tests/test_names.py` holds the names here to those of the package.
"""

import sys
from importlib.metadata import entry_points

__all__ = ["nets", "noise_models"]

NOISE_MODELS = ("auto", "counts", "white", "heteroscedastic", "colored", "heteroscedastic+colored")
NETS = ("fcn", "resnet1d", "linear", "resnet", "shallow", "eegnet", "atcnet", "tcn", "inceptiontime", "gru")


def noise_models() -> tuple[str, ...]:
    """Return the names of noise models, and "auto".

    Examples
    --------
    >>> noise_models()[0]
    'auto'
    """
    registry = sys.modules.get("sciml.noise.models.registry")
    return NOISE_MODELS if registry is None else ("auto", *(model.name for model in registry.NOISE_MODELS))


def nets() -> tuple[str, ...]:
    """Return the names of nets, those of installed plug-ins last.

    Examples
    --------
    >>> nets()[:3]
    ('fcn', 'resnet1d', 'linear')
    """
    registry = sys.modules.get("sciml.nn.models.registry")
    own = NETS if registry is None else tuple(registry.MODELS)
    plugins = {point.name for point in entry_points(group="sciml.models")} - set(own)
    return (*own, *sorted(plugins))
