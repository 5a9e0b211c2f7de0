"""Data that sciml can fetch or make: a registry with the origin, the hash and the license of each file.

The registry is `datasets/registry.toml` of the repository, installed as `share/sciml/registry.toml`.
"""

import difflib
import hashlib
import inspect
import os
import tomllib
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from importlib import metadata
from pathlib import Path
from typing import Any

from sciml import files
from sciml.errors import ConfigError, DataError, StorageError

__all__ = ["Entry", "available", "cache_folder", "fetch", "find", "make"]

TIMEOUT = 30.0  # longest silence of a server [s]


@dataclass(frozen=True)
class Entry:
    """One file of the registry.

    Attributes
    ----------
    name, file, description
        Name in the registry, name of the file, and what it holds.
    license, citation
        SPDX identifier of the license, and what to cite.
    units, shape
        Unit and shape of the main array.
    url, sha256
        Where to fetch the file and the hash it must have; None for a file that is made.
    generator, parameters
        Function of `sciml.simulate` that makes the file, and its arguments; None and empty for a file that is fetched.
    """

    name: str
    file: str
    description: str
    license: str
    citation: tuple[str, ...]
    units: str
    shape: tuple[int, ...]
    url: str | None = None
    sha256: str | None = None
    generator: str | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)


def available(*, registry: str | os.PathLike[str] | None = None) -> tuple[Entry, ...]:
    """Return the entries of the registry, in its order.

    Parameters
    ----------
    registry
        TOML file of another registry; default is the one that comes with sciml.

    Raises
    ------
    ConfigError
        The registry is missing or malformed.

    Examples
    --------
    >>> [entry.name for entry in available()]
    ['gw150914-h1', 'gw150914-l1', 'demo']
    """
    path = Path(registry) if registry is not None else _registry()
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(
            f"expected a registry in TOML at {path}, got: {error}; check the path and its text"
        ) from error
    return tuple(_entry(name, table, path) for name, table in tables.items())


def find(name: str, *, registry: str | os.PathLike[str] | None = None) -> Entry:
    """Return one entry of the registry.

    Raises
    ------
    ConfigError
        There is no entry of that name; the message suggests the nearest and lists all.

    Examples
    --------
    >>> find("gw150914-h1").units
    'strain'
    """
    entries = {entry.name: entry for entry in available(registry=registry)}
    if name not in entries:
        near = difflib.get_close_matches(name, entries, n=1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise ConfigError(f"no data set is named {name!r}; {hint}the registry has {', '.join(entries)}")
    return entries[name]


def cache_folder() -> Path:
    """Return where fetched files are kept: SCIML_DATA_DIR, or the user's cache folder.

    Examples
    --------
    >>> isinstance(cache_folder(), Path)
    True
    """
    import pooch

    return Path(os.environ.get("SCIML_DATA_DIR") or pooch.os_cache("sciml")).expanduser()


def fetch(
    name: str,
    *,
    folder: str | os.PathLike[str] | None = None,
    registry: str | os.PathLike[str] | None = None,
) -> Path:
    """Download a file of the registry, unless a copy with the right hash is there already, and return its path.

    Parameters
    ----------
    name
        Name of the entry.
    folder
        Where to keep the file; default is `cache_folder`.
    registry
        TOML file of another registry.

    Raises
    ------
    ConfigError
        Unknown name, or a file that is made and not fetched.
    DataError
        The server cannot be reached, does not have the file, or sends bytes that have another hash.
    StorageError
        The folder cannot be written.

    Examples
    --------
    >>> fetch("demo")
    Traceback (most recent call last):
    ...
    sciml.errors.ConfigError: 'demo' is made, not fetched; use sciml.datasets.make('demo', path) ...
    """
    entry = find(name, registry=registry)
    if entry.url is None:
        raise ConfigError(
            f"{name!r} is made, not fetched; use sciml.datasets.make({name!r}, path) or `sciml datasets make {name}`"
        )
    return _download(entry, Path(folder) if folder is not None else cache_folder())


def make(
    name: str,
    path: str | os.PathLike[str] | None = None,
    *,
    overwrite: bool = False,
    registry: str | os.PathLike[str] | None = None,
) -> Path:
    """Run the generator of a registry entry and write its recording as NWB; return the path.

    Parameters
    ----------
    name
        Name of the entry.
    path
        File to write; default is the entry's file name in the current folder.
    overwrite
        Replace a file that exists.
    registry
        TOML file of another registry.

    Raises
    ------
    ConfigError
        Unknown name, a file that is fetched and not made, or a generator or parameters that do not exist.
    StorageError
        The file exists, or cannot be written.

    Examples
    --------
    >>> make("gw150914-h1")
    Traceback (most recent call last):
    ...
    sciml.errors.ConfigError: 'gw150914-h1' is fetched, not made; use sciml.datasets.fetch('gw150914-h1') ...
    """
    from sciml import simulate

    entry = find(name, registry=registry)
    if entry.generator is None:
        raise ConfigError(
            f"{name!r} is fetched, not made; use sciml.datasets.fetch({name!r}) or `sciml datasets fetch {name}`"
        )
    generators = {"population_recording": simulate.population_recording}
    if entry.generator not in generators:
        raise ConfigError(f"{name!r}: expected a generator among {', '.join(generators)}, got {entry.generator!r}")
    generator = generators[entry.generator]
    try:
        inspect.signature(generator).bind(**entry.parameters)
    except TypeError as error:
        raise ConfigError(f"{name!r}: the parameters do not fit {entry.generator}: {error}") from error
    return simulate.write_nwb(
        generator(**entry.parameters), path if path is not None else entry.file, overwrite=overwrite
    )


def _download(entry: Entry, folder: Path) -> Path:
    """Fetch the file of an entry into a folder, unless it is there, and say in our words what went wrong."""
    target = folder / entry.file
    if target.is_file() and _sha256(target) == entry.sha256:
        return target
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(f"could not keep {entry.file} in {folder}: {error}; set SCIML_DATA_DIR") from error
    with files.replacing(target, overwrite=True) as part:
        _request(entry, part, target)
        if (found := _sha256(part)) != entry.sha256:
            raise DataError(
                f"expected {entry.name!r} to have sha256 {entry.sha256}, but {entry.url} sent something else "
                f"({found}); nothing was kept: try again, and if it persists the file has changed at its source"
            )
    return target


def _request(entry: Entry, part: Path, target: Path) -> None:
    import pooch
    import requests

    try:
        pooch.HTTPDownloader(timeout=TIMEOUT)(entry.url, str(part), None)
    except (requests.RequestException, ValueError) as error:
        raise DataError(
            f"could not fetch {entry.name!r} from {entry.url}: {error}; check the network, or download the file by "
            f"other means and put it at {target}"
        ) from error


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _registry() -> Path:
    """Return the registry of the repository, or of the installed package where there is no repository."""
    in_repository = Path(__file__).parents[1] / "datasets" / "registry.toml"
    if in_repository.is_file():
        return in_repository
    installed = [file for file in metadata.files("sciml") or [] if file.parts[-2:] == ("sciml", "registry.toml")]
    if not installed:
        raise ConfigError("expected share/sciml/registry.toml in the installed package, found none; reinstall sciml")
    return Path(str(installed[0].locate()))


def _entry(name: str, table: Any, path: Path) -> Entry:
    """Return a table of the registry as an entry, or say which key is missing, unknown or without its pair."""
    known = {item.name for item in fields(Entry)} - {"name"}
    required = {item.name for item in fields(Entry) if item.default is item.default_factory is MISSING} - {"name"}
    keys = set(table) if isinstance(table, dict) else set()
    wrong = sorted(required - keys) + sorted(keys - known)
    origins = (keys >= {"url", "sha256"}) + ("generator" in keys)
    if wrong or origins != 1:
        raise ConfigError(
            f"{path}: entry {name!r}: expected the keys {', '.join(sorted(required))} and either url with sha256 or "
            f"generator; missing or unknown: {', '.join(wrong) or 'none'}"
        )
    file = table["file"]
    if (
        not isinstance(file, str)
        or file != Path(file).name
        or not file.isprintable()
        or file in ("", ".", "..")
        or "\\" in file
    ):
        raise ConfigError(f"{path}: entry {name!r}: expected file to be a name without a folder, got {file!r}")
    lists = {"citation": tuple(table["citation"]), "shape": tuple(table["shape"])}
    return Entry(name=name, **{**table, **lists})
