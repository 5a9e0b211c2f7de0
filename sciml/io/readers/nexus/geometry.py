r"""Where a NeXus component stands: its chain of rotations and translations, from the component to the laboratory.

Each step has transformation_type, vector, units, offset and depends_on (NXtransformations). Applied from the leaf to
the root, a point of the component is at :math:`x_{lab} = T_n \cdots T_2 T_1 x`.
"""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sciml.errors import DataError
from sciml.io.hdf5.text import METERS, clean_unit
from sciml.io.hdf5.tree import Node, Tree
from sciml.io.schema.axes import is_real

__all__ = ["chain", "placement"]

MOST = 64
RADIANS = {"": math.pi / 180, "rad": 1.0, "radian": 1.0, "radians": 1.0}
LENGTHS = {**METERS, "um": 1e-6, "micrometer": 1e-6, "nm": 1e-9, "angstrom": 1e-10}


def placement(component: Node | None, tree: Tree, notes: list[str]) -> dict[str, Any]:
    """Return the 4 x 4 matrix in meters and the names of the steps; nothing where a component states no chain."""
    try:
        steps = chain(component, tree) if component is not None else []
        if not steps:
            return {}
        matrix = np.eye(4)
        for step in steps:
            matrix = _matrix(step) @ matrix
    except DataError as error:
        notes.append(f"{error}; the place of the detector is left out")
        return {}
    return {"transformations": [step.name for step in steps], "transformation_matrix": matrix}


def chain(component: Node, tree: Tree) -> list[Node]:
    """Return the steps from a component to the laboratory.

    Raises
    ------
    DataError
        A step is missing, or the chain comes back to itself.
    """
    steps: list[Node] = []
    declared = component.dataset("depends_on")
    name = str(declared.scalar("")).strip() if declared is not None else component.text("depends_on")
    holder = component.path
    while name not in ("", "."):
        step = tree.get(name) if name.startswith("/") else tree.get(f"{holder}/{name}")
        if step is None:
            raise DataError(f"{component.path}: depends_on names {name!r}, which is not there")
        if step in steps or len(steps) >= MOST:
            raise DataError(f"{component.path}: its chain of transformations comes back to {step.path}")
        steps.append(step)
        holder = step.path.rpartition("/")[0]
        name = step.text("depends_on", ".")
    return steps


def _matrix(step: Node) -> NDArray[np.float64]:
    """Return the matrix of one step: the rotation or translation, after it the offset."""
    if not is_real(step) or set(step.shape or ()) - {1}:
        raise DataError(f"{step.path} of shape {step.shape} takes more than one value")
    value = float(step.scalar(math.nan))
    vector = np.asarray(step.attr("vector", ()), dtype=np.float64).ravel()
    length = float(np.linalg.norm(vector)) if vector.shape == (3,) else 0.0
    if not (length > 0 and math.isfinite(value)):
        raise DataError(f"{step.path}: expected a number and a vector of three, got {value} and {vector}")
    axis, kind, unit = vector / length, step.text("transformation_type"), clean_unit(step.unit).lower()
    matrix = np.eye(4)
    if kind == "rotation":
        matrix[:3, :3] = _rotation(axis, value * RADIANS.get(unit, RADIANS[""]))
    elif kind == "translation" and unit in LENGTHS:
        matrix[:3, 3] = axis * value * LENGTHS[unit]
    else:
        raise DataError(f"{step.path}: expected a rotation or a translation, got {kind!r} in {unit!r}")
    offset = np.asarray(step.attr("offset", np.zeros(3)), dtype=np.float64).ravel()
    if offset.shape == (3,):
        matrix[:3, 3] += offset * LENGTHS.get(clean_unit(step.text("offset_units")).lower(), 1.0)
    return matrix


def _rotation(axis: NDArray[np.float64], angle: float) -> NDArray[np.float64]:
    """Return the rotation about an axis: I + sin(angle) K + (1 - cos(angle)) K^2, K the cross product with the axis."""
    x, y, z = axis
    cross = np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
    return np.asarray(np.eye(3) + math.sin(angle) * cross + (1 - math.cos(angle)) * cross @ cross)
