"""Names of families, so that a mistyped one is answered before what bears the name is loaded.

A registry that is loaded is asked; `tests/test_names.py` holds the names here to those of the package.
"""

import re
import sys
from importlib.metadata import entry_points

__all__ = ["is_import_path", "nets", "noise_models"]

NOISE_MODELS = (
    "auto",
    "counts",
    "white",
    "heteroscedastic",
    "colored",
    "heteroscedastic+colored",
    "spatial",
    "spatial-nonseparable",
    "spatial-groups",
    "reference",
)
NETS = ("fcn", "resnet1d", "linear", "resnet", "shallow", "eegnet", "atcnet", "tcn", "inceptiontime", "gru")


_PATH = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*(\.[A-Za-z_]\w*)*", re.ASCII)


def is_import_path(name: object) -> bool:
    """Return whether a name has the form of an import path, module:attribute.

    Examples
    --------
    >>> is_import_path("my_package.nets:MyNet"), is_import_path("fcn")
    (True, False)
    """
    return isinstance(name, str) and _PATH.fullmatch(name) is not None


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
