"""Files of weights: their names and shapes at once, the values one tensor at a time.

Nothing in a file is executed, no name in it leads out of its folder, and no number in it decides how much is allocated:
a shape is believed once the bytes are there.
"""

import json
import re
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open

from sciml.errors import CheckpointError
from sciml.spectra.matrices.entries import STATISTICS, Entry, of_state, plain_name, problem_of, state_in
from sciml.spectra.matrices.onnx import onnx_entries
from sciml.train import checkpoint

__all__ = ["Stored", "stored"]

_LARGEST_JSON = 100 * 2**20  # bytes: the index of a net of a million tensors
_HEADS = ("num_attention_heads", "n_head", "num_heads", "n_heads", "encoder_attention_heads")
_KEY_HEADS = ("num_key_value_heads", "n_kv_heads", "num_kv_heads")
DTYPES = {
    "F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16, "I64": torch.int64,
    "I32": torch.int32, "I16": torch.int16, "I8": torch.int8, "U8": torch.uint8, "BOOL": torch.bool,
    "F8_E4M3": torch.float8_e4m3fn, "F8_E5M2": torch.float8_e5m2,
}  # fmt: skip


@dataclass(frozen=True)
class Stored:
    """The entries of a file, and what the files beside it say: heads of attention, scales of adapters."""

    entries: tuple[Entry, ...]
    notes: tuple[str, ...] = ()
    config: Mapping[str, Any] = field(default_factory=dict)

    def heads(self) -> tuple[int, int] | None:
        """Return the numbers of heads of queries, and of keys and values, or None."""
        n = _whole(self.config, _HEADS)
        return None if n is None else (n, _whole(self.config, _KEY_HEADS) or n)

    def scale(self, _key: tuple[str, str], rank: int) -> tuple[float, str]:
        """Return the factor of the adapters of a rank, and what is said of it."""
        alpha = self.config.get("lora_alpha")
        if not isinstance(alpha, (int, float)):
            return 1.0, "unscaled: its factor is not in the file"
        by = rank**0.5 if self.config.get("use_rslora") is True else rank
        return alpha / by, f"times {alpha / by:g}"


def stored(path: Path) -> Stored:
    """Return what a file of weights, or the folder of a sharded one, holds.

    Raises
    ------
    CheckpointError
        Nothing there, a damaged file, one that holds no tensors, or an index that names files elsewhere.
    """
    path = _found(path)
    if path.name.endswith(".index.json"):
        found = Stored(_sharded(path))
    elif path.suffix == ".safetensors":
        found = Stored(tuple(_safetensors(path)))
    elif path.suffix == ".onnx":
        found = Stored(onnx_entries(path))
    else:
        found = _torch(path)
    if not found.entries:
        raise CheckpointError(f"expected the weights of a net in {path}, got none; give a state dict")
    return replace(found, config=_settings(path.parent))


def _found(path: Path) -> Path:
    if not path.exists():
        raise CheckpointError(f"expected a file of weights at {path}, found nothing; check the path")
    if not path.is_dir():
        return path
    indexed = sorted(path.glob("*.safetensors.index.json")) or sorted(path.glob("*.bin.index.json"))
    single = sorted(path.glob("*.safetensors"))
    if len(indexed) == 1 or (not indexed and len(single) == 1):
        return (indexed or single)[0]
    raise CheckpointError(
        f"expected one index (*.index.json) or one .safetensors file in {path}, got {len(indexed)} and "
        f"{len(single)}; name the file"
    )


def _safetensors(path: Path) -> Iterator[Entry]:
    try:
        with safe_open(path, framework="pt") as file:
            found = {key: file.get_slice(key) for key in file.keys()}  # noqa: SIM118 (no mapping)
            shapes = {key: (tuple(each.get_shape()), each.get_dtype()) for key, each in found.items()}
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"{path} cannot be read: {error}") from error
    for key in sorted(shapes, key=_natural):
        shape, code = shapes[key]
        if not STATISTICS.search(key):
            yield _lazy(plain_name(key, shapes), shape, code, path, key)


def _lazy(name: str, shape: tuple[int, ...], code: str, path: Path, key: str) -> Entry:
    def read() -> torch.Tensor:
        try:
            with safe_open(path, framework="pt") as file:
                tensor: torch.Tensor = file.get_tensor(key)
                return tensor
        except (OSError, SafetensorError) as error:
            raise CheckpointError(f"{path} cannot be read: {error}") from error

    n = 1
    for size in shape:
        n *= size
    dtype = DTYPES.get(code, torch.uint8)
    problem = problem_of(shape, dtype) if code in DTYPES else f"expected real floating-point weights, got {code}"
    return Entry(name, shape, dtype, read, n, problem=problem)


def _natural(key: str) -> list[tuple[int, int, str]]:
    """Sort by numbers as numbers: a safetensors file keeps no order of layers."""
    return [(1, int(each), "") if each.isdigit() else (0, 0, each) for each in re.split(r"(\d+)", key)]


def _sharded(path: Path) -> tuple[Entry, ...]:
    names = _json(path).get("weight_map")
    if not isinstance(names, dict) or not all(isinstance(each, str) for each in names.values()):
        raise CheckpointError(f"expected a mapping 'weight_map' from weights to files in {path}; write the index anew")
    entries: dict[str, Entry] = {}
    for name in sorted(set(names.values())):
        shard = path.parent / name
        if Path(name).name != name:
            raise CheckpointError(f"{path} names {name!r}: expected a file beside it, got one outside its folder")
        if not shard.is_file():
            raise CheckpointError(f"{path} names {name!r}: expected a file beside it; fetch all its parts")
        read = _safetensors(shard) if shard.suffix == ".safetensors" else _torch(shard).entries
        entries |= {each.key: each for each in read}
    missing = sorted(key for key in names if plain_name(key, names) not in entries and not STATISTICS.search(key))
    if missing:
        raise CheckpointError(f"{path} names {len(missing)} weights that its files lack, such as {missing[0]!r}")
    return tuple(entries[key] for key in sorted(entries, key=_natural))


def _torch(path: Path) -> Stored:
    if _is_script(path):
        raise CheckpointError(
            f"{path} holds a TorchScript program, not a state dict, and sciml runs no program of a file: if you trust "
            "it, give the module that torch.jit.load returns"
        )
    state = checkpoint.read_torch(path, path)
    if not isinstance(state, Mapping):
        raise CheckpointError(f"expected a state dict in {path}, got {type(state).__name__}")
    tensors, notes = state_in(state)
    return Stored(tuple(of_state(tensors)), notes)


def _is_script(path: Path) -> bool:
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return any(name.endswith("/constants.pkl") for name in archive.namelist())


def _settings(folder: Path) -> dict[str, Any]:
    """Return what config.json and adapter_config.json in a folder say, where they are readable."""
    found: dict[str, Any] = {}
    for name in ("config.json", "adapter_config.json"):
        if (folder / name).is_file():
            found |= _json(folder / name)
    return found


def _json(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > _LARGEST_JSON:
            raise CheckpointError(f"{path} is too large for what it should hold: {path.stat().st_size} bytes")
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise CheckpointError(f"{path} cannot be read: {error}") from error
    return found if isinstance(found, dict) else {}


def _whole(config: Mapping[str, Any], names: tuple[str, ...]) -> int | None:
    found = (config.get(name) for name in names)
    return next((each for each in found if isinstance(each, int) and each > 0), None)
