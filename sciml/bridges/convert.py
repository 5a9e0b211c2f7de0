"""Objects of other packages as recordings, by the package that they come from."""

from typing import Any

import xarray as xr

from sciml import bridges

__all__ = ["convert"]

PACKAGES = ("mne", "neo", "spikeinterface", "pynapple", "pandas", "gwpy")


def convert(source: Any) -> xr.DataArray | None:
    """Return an object of another package as a recording, None if it is of none that a bridge leads to.

    Examples
    --------
    >>> import pandas as pd
    >>> convert(pd.DataFrame({"a": [1.0, 2.0]}, index=[0.0, 0.1])).dims
    ('time', 'channel')
    """
    packages = {base.__module__.partition(".")[0] for base in type(source).__mro__}
    found = next((name for name in PACKAGES if name in packages), None)
    recording: xr.DataArray | None = None if found is None else getattr(bridges, f"from_{found}")(source)
    return recording
