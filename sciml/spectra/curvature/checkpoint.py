"""A search for eigenvalues on disk, so that one that was interrupted goes on."""

import hashlib
import os
from pathlib import Path
from typing import Any

import numpy as np
import torch

from sciml.errors import CheckpointError
from sciml.files import replacing
from sciml.linalg.krylov import Krylov
from sciml.spectra.curvature.operators.operator import CurvatureOperator

__all__ = ["fingerprint", "load", "save"]

FIELDS = ("Q", "U", "T", "S", "numbers", "fingerprint")


def fingerprint(operator: CurvatureOperator) -> str:
    """Return a hash of what an operator is of: kind, parameters and their values, loss and number of samples."""
    digest = hashlib.sha256(f"{operator.kind} {operator.names} {operator.n_samples} {operator.loss:.6g}".encode())
    for each in operator.function.parameters:
        digest.update(each.detach().float().cpu().numpy().tobytes())
    return digest.hexdigest()


def save(path: str | os.PathLike[str], space: Krylov, key: str) -> None:
    """Write a space to a file, whole or not at all."""
    n = len(space.Q[0])
    arrays: dict[str, Any] = {
        "Q": _stacked(space.Q, n),
        "U": _stacked(space.U, n),
        "T": space.T,
        "S": space.S,
        "numbers": np.array([space.n_products, space.rounding, space.scale, space.precision]),
        "fingerprint": np.array(key),
    }
    with replacing(path, overwrite=True) as target, target.open("wb") as file:
        np.savez(file, **arrays)


def _stacked(columns: list[Any], n: int) -> Any:
    return torch.cat(columns, 1).cpu().numpy() if columns else np.zeros((n, 0))


def load(path: str | os.PathLike[str], operator: CurvatureOperator, key: str) -> Krylov | None:
    """Return the space of a file, or None where there is none.

    Raises
    ------
    CheckpointError
        The file is of another operator, or damaged.
    """
    if not Path(path).exists():
        return None
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in FIELDS}
    except (OSError, ValueError, KeyError, EOFError) as error:
        raise CheckpointError(
            f"expected a search for eigenvalues in {path}, got {error}; remove it to begin"
        ) from error
    if str(arrays["fingerprint"]) != key:
        raise CheckpointError(f"{path} is of another model, data or kind of curvature; remove it, or name another file")
    space = Krylov(operator)
    space.Q, space.U = (_columns(arrays[name], operator) for name in ("Q", "U"))
    space.T, space.S = arrays["T"], arrays["S"]
    products, space.rounding, space.scale, space.precision = (float(each) for each in arrays["numbers"])
    space.n_products = int(products)
    return space


def _columns(values: Any, operator: CurvatureOperator) -> list[torch.Tensor]:
    block = torch.from_numpy(values).to(operator.device, operator.dtype)
    return [block[:, i : i + 1] for i in range(block.shape[1])]
