"""Which readers there are, and which of them knows a file."""

from functools import cache
from importlib import metadata

from sciml.io import (
    brw,
    calibrated,
    cxi,
    das,
    dataexchange,
    ebsd,
    emd,
    eventlist,
    fast5,
    gwosc,
    gwpy,
    h5md,
    images,
    kwik,
    lh5,
    matlab,
    maxwell,
    mcs,
    nexus,
    nexus_events,
    nix,
    nwb,
    pandas,
    plain,
    sciml_netcdf,
    snirf,
    traces,
    trains,
    uvh5,
    velox,
)
from sciml.io._model import Reader
from sciml.io._tree import Tree

__all__ = ["choose", "readers"]

GROUP = "sciml.readers"
SURE = 100  # the file says so itself: the others need not look
BUILT_IN: tuple[Reader, ...] = (
    sciml_netcdf.SavedRecording(),
    nwb.Nwb(),
    gwosc.Gwosc(),
    gwpy.Gwpy(),
    das.Das(),
    mcs.Mcs(),
    cxi.Cxi(),
    eventlist.EventList(),
    fast5.Fast5(),
    lh5.Lh5(),
    trains.EuXfel(),
    trains.Flash(),
    uvh5.Uvh5(),
    nexus_events.NexusEvents(),
    brw.Brw(),
    maxwell.MaxWell(),
    kwik.Kwik(),
    nix.Nix(),
    snirf.Snirf(),
    h5md.H5md(),
    calibrated.Calibrated(),
    nexus.Nexus(),
    velox.Velox(),
    emd.Emd(),
    dataexchange.DataExchange(),
    ebsd.Ebsd(),
    matlab.Matlab(),
    pandas.Pandas(),
    traces.Traces(),
    images.Images(),
    plain.Plain(),
)


@cache
def readers() -> tuple[Reader, ...]:
    """Return the readers of other packages (entry points of the group `sciml.readers`), then the built-in ones."""
    return (*(point.load()() for point in metadata.entry_points(group=GROUP)), *BUILT_IN)


def choose(tree: Tree) -> Reader:
    """Return the reader that recognizes the content of a file most surely; the plain one takes any HDF5."""
    best, most = BUILT_IN[-1], 0
    for reader in readers():
        if (sure := reader.sniff(tree)) > most:
            best, most = reader, sure
        if most >= SURE:
            break
    return best
