"""The spectra that a run follows while it trains."""

from pathlib import Path

from sciml.pipeline.config import Config
from sciml.pipeline.spectra.dataset import FileStore
from sciml.spectra.tracking import SpectrumTracker

__all__ = ["FILE", "tracked"]

FILE = "spectra.nc"


def tracked(config: Config, folder: Path) -> list[SpectrumTracker]:
    """Return the callback that a configuration asks for, if it asks for one."""
    asked = config.track
    if not asked.what:
        return []
    store = FileStore(folder / FILE)
    return [SpectrumTracker(asked.what, every=asked.every, budget=asked.budget, module="net", store=store)]
