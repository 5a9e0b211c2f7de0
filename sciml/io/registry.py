"""Which readers there are, and which of them knows a file."""

import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from importlib import metadata
from pathlib import Path

from sciml.errors import DataError, ScimlError
from sciml.io.hdf5.issues import Issue
from sciml.io.hdf5.tree import Tree
from sciml.io.readers import (
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
    nix,
    nwb,
    pandas,
    plain,
    sciml_netcdf,
    sleap,
    snirf,
    traces,
    trains,
    uvh5,
    velox,
)
from sciml.io.schema.declarations import Contents, Reader
from sciml.io.schema.scaling import with_unapplied

__all__ = ["choose", "named", "readers", "scan", "survey"]

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
    nexus.NexusEvents(),
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
    sleap.Sleap(),
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
        try:
            with named(tree, reader):
                sure = reader.sniff(tree)
        except DataError as error:
            tree.findings.append(Issue("reader_failed", str(error)))
            continue
        if sure > most:
            best, most = reader, sure
        if most >= SURE:
            break
    return best


def scan(tree: Tree) -> tuple[Reader, Contents]:
    """Return the reader of a file and what it finds.

    Raises
    ------
    DataError
        The reader fails, in a way it foresaw or not.
    """
    known = readers()
    if tree.contents is None or tree.contents[0] is not known:
        reader = choose(tree)
        with named(tree, reader):
            contents = reader.scan(tree)
            signals = tuple(with_unapplied(signal, tree) for signal in contents.signals)
            tree.contents = known, reader, replace(contents, signals=signals)
    _, reader, contents = tree.contents
    return reader, contents


def survey(tree: Tree) -> tuple[Reader, Contents]:
    """Return the reader of a file and what it finds; where it fails, what the plain one finds, and why."""
    try:
        return scan(tree)
    except DataError as error:
        plain_one = BUILT_IN[-1]
        contents = plain_one.scan(tree)
        failed = Issue("reader_failed", f"{error}; the arrays are listed as they are stored")
        return plain_one, replace(contents, findings=(failed, *contents.findings))


@contextmanager
def named(tree: Tree, reader: Reader) -> Iterator[None]:
    """Turn what a reader did not foresee into an error that names the file, the reader and the place."""
    try:
        yield
    except ScimlError:
        raise
    except Exception as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        raise DataError(
            f"{tree.files.main}: the reader {reader.name!r} did not expect this file ({type(error).__name__}: {error}; "
            f"{Path(last.filename).name}, line {last.lineno}); send its author the output of `sciml info FILE --tree`"
        ) from error
