"""The state of a trained run in two parts: tensors by name, and the rest as JSON knows it."""

import hashlib
from collections.abc import Mapping
from typing import Any

import torch

from sciml.errors import CheckpointError
from sciml.pipeline.export.folder import DOCUMENT, WEIGHTS, ExportedRun
from sciml.train import checkpoint

__all__ = ["PREPROCESSING", "load_exported", "merged", "separated"]

MODEL, PREPROCESSING = "model.", "preprocessing."
RUN_FORMAT = 1


def separated(state: Mapping[str, Any], prefix: str) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """Return the tensors of nested dicts by dotted name, and the dicts without them.

    Examples
    --------
    >>> separated({"a": {"b": torch.ones(1), "c": 2}}, "x.")
    ({'x.a.b': tensor([1.])}, {'a': {'c': 2}})
    """
    tensors: dict[str, torch.Tensor] = {}
    rest: dict[str, Any] = {}
    for key, value in state.items():
        if isinstance(value, torch.Tensor):
            tensors[f"{prefix}{key}"] = value
        elif isinstance(value, Mapping):
            inner, rest[key] = separated(value, f"{prefix}{key}.")
            tensors |= inner
        else:
            rest[key] = value
    return tensors, rest


def merged(tensors: Mapping[str, torch.Tensor], rest: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    """Return the nested dicts that `separated` took apart.

    Examples
    --------
    >>> merged({"x.a.b": torch.ones(1)}, {"a": {"c": 2}}, "x.")
    {'a': {'c': 2, 'b': tensor([1.])}}
    """
    found: dict[str, Any] = {
        key: merged(tensors, value, f"{prefix}{key}.") if isinstance(value, Mapping) else value
        for key, value in rest.items()
    }
    own = {name.removeprefix(prefix): each for name, each in tensors.items() if name.startswith(prefix)}
    return found | {name: each for name, each in own.items() if "." not in name}


def load_exported(run: ExportedRun) -> checkpoint.Checkpoint:
    """Return what the best checkpoint of the exported run told of its model.

    Raises
    ------
    CheckpointError
        A file that is missing, damaged, or written by another program.
    """
    document = run.document
    with checkpoint.understood(run.path / DOCUMENT):
        checkpoint.check_kinds(document, {"preprocessing": dict, "weights": dict, "net": dict, "step": int})
        tensors = _tensors(run, str(document["weights"]["sha256"]))
        preprocessing = document["preprocessing"] | {
            "units": document["units"],
            "sampling_rate": document["sampling_rate"],
            "labels": document["channels"],
        }
        extra = {key: document[key] for key in ("task", "net", "classes", "horizon", "initialization")}
        extra |= {"run_format": RUN_FORMAT, "preprocess": merged(tensors, preprocessing, PREPROCESSING)}
        weights = {key.removeprefix(MODEL): each for key, each in tensors.items() if key.startswith(MODEL)}
        state = {"model": weights, "epoch": document["epoch"], "extra": extra}
        return checkpoint.Checkpoint(run.path / WEIGHTS, document["step"], state)


def _tensors(run: ExportedRun, sha256: str) -> dict[str, torch.Tensor]:
    """Return the tensors of an export, whose bytes are those that its document names."""
    from safetensors import SafetensorError
    from safetensors.torch import load

    file = run.path / WEIGHTS
    try:
        content = file.read_bytes()
    except OSError as error:
        raise CheckpointError(f"expected the weights of an export at {file}, got: {error}; export again") from None
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        raise CheckpointError(
            f"{file} is damaged: its bytes have sha256 {found[:12]}, it was exported with {sha256[:12]}; export again"
        )
    try:
        return dict(load(content))
    except SafetensorError as error:
        raise CheckpointError(f"{file} cannot be read: {error}") from error
