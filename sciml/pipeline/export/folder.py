"""An exported run by its folder: what a prediction asks a run directory, answered from one JSON document."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from sciml.errors import CheckpointError, ConfigError
from sciml.pipeline.config import Config, validate
from sciml.pipeline.run_folder import RunFolder

__all__ = ["DOCUMENT", "SCHEMA", "WEIGHTS", "ExportedRun", "digest", "is_export", "run_at"]

DOCUMENT, WEIGHTS = "model.json", "model.safetensors"
SCHEMA = "sciml.export/1"
MOST_BYTES = 2**28  # of the document, which holds no arrays


def is_export(path: str | Path) -> bool:
    """Return whether `sciml export` wrote the folder.

    Examples
    --------
    >>> is_export("nowhere")
    False
    """
    return (Path(path) / DOCUMENT).is_file()


def run_at(path: str | Path) -> RunFolder:
    """Return the run directory at a path, or what was exported of one."""
    return ExportedRun(Path(path)) if is_export(path) else RunFolder(Path(path))


def digest(document: Mapping[str, Any]) -> str:
    """Return the sha256 of a document without its own.

    Examples
    --------
    >>> digest({"a": 1}) == digest({"a": 1, "sha256": "0"})
    True
    """
    content = {key: value for key, value in document.items() if key != "sha256"}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True)
class ExportedRun(RunFolder):
    """What `sciml export` wrote, by its folder."""

    @cached_property
    def document(self) -> dict[str, Any]:
        """The content of `model.json`.

        Raises
        ------
        CheckpointError
            No document of an export, or one that was changed.
        """
        file = self.path / DOCUMENT
        try:
            with file.open("rb") as stream:
                content = stream.read(MOST_BYTES + 1)
            if len(content) > MOST_BYTES:
                raise ValueError(f"more than {MOST_BYTES} bytes")
            found = json.loads(content)
        except (OSError, ValueError, RecursionError) as error:
            raise CheckpointError(f"expected the document of an export at {file}, got: {error}; export again") from None
        if not isinstance(found, dict) or found.get("schema") != SCHEMA:
            schema = found.get("schema") if isinstance(found, dict) else type(found).__name__
            raise CheckpointError(f"expected schema {SCHEMA!r} in {file}, got {schema!r}; export with this version")
        if found.get("sha256") != digest(found):
            raise CheckpointError(f"{file} is damaged: it is not as it was when it was exported; export again")
        return found

    @property
    def finished(self) -> bool:
        """Whether the run had come to its end when it was exported."""
        return bool(self.document.get("finished"))

    def config(self) -> Config:
        """Return the configuration that the run was made with; of its files, the names alone."""
        try:
            return validate(self.document["config"], source=str(self.path / DOCUMENT))
        except (KeyError, ConfigError) as error:
            raise CheckpointError(f"expected the configuration of a run in {self.path / DOCUMENT}: {error}") from None

    def status(self) -> dict[str, Any]:
        """Return what the run was made from."""
        return {"data": self._part("data")}

    def metrics(self) -> dict[str, Any]:
        """Return the scores of the run, and what was fitted to its validation part."""
        return self._part("metrics")

    def alarms(self) -> tuple[str, ...]:
        """Return what was found to leak when the run was made, in sentences."""
        return tuple(map(str, self._part("split").get("alarms", ())))

    def intervals(self) -> Mapping[str, Any] | None:
        """Return by piece the intervals of time that the run learned from; None where it kept none."""
        found = self.document.get("learned_from")
        return found if isinstance(found, Mapping) else None

    def changed(self, file: Path, sha256: str) -> bool:  # noqa: ARG002 (an export does not know where files lay)
        """Return False: whether it is a file of the run is told by its digest alone."""
        return False

    def _part(self, name: str) -> dict[str, Any]:
        found = self.document.get(name)
        return dict(found) if isinstance(found, Mapping) else {}
