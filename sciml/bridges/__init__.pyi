from .arrays import from_numpy
from .convert import convert
from .gwpy import from_gwpy, to_gwpy
from .mne import from_mne, to_mne
from .neo import from_neo, to_neo
from .pandas import from_pandas, to_pandas
from .pynapple import from_pynapple, to_pynapple
from .spikeinterface import from_spikeinterface, to_spikeinterface

__all__ = [
    "convert",
    "from_gwpy",
    "from_mne",
    "from_neo",
    "from_numpy",
    "from_pandas",
    "from_pynapple",
    "from_spikeinterface",
    "to_gwpy",
    "to_mne",
    "to_neo",
    "to_pandas",
    "to_pynapple",
    "to_spikeinterface",
]
