"""The net of a run as it travels: preprocessing first, then the net, and what a prediction needs to know."""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from sciml.data import Preprocess, Windows
from sciml.errors import CheckpointError
from sciml.nn import models
from sciml.pipeline.config import Config, to_toml
from sciml.train import checkpoint

__all__ = ["Forecaster", "Restored", "assemble", "baggage", "build_net", "load_weights", "restore"]

FORMAT = 1


class Forecaster(nn.Module):
    """Last sample plus what the net expects to change, in units of each channel's standard deviation.

    A net that says nothing repeats the last sample: persistence is where learning starts.
    """

    center: torch.Tensor
    spread: torch.Tensor

    def __init__(self, preprocess: Preprocess, net: nn.Module) -> None:
        super().__init__()
        self.preprocess = preprocess.as_module()
        self.net = net
        self.register_buffer("center", torch.from_numpy(preprocess.mean).float())
        self.register_buffer("spread", torch.from_numpy(preprocess.scale).float())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (batch, channel, time) in the recording's units to standardized (batch, channel, horizon)."""
        last = (x[:, :, -1] - self.center) / self.spread
        change: torch.Tensor = self.net(self.preprocess(x))
        return last[:, :, None] + change


def build_net(config: Config, windows: Windows) -> nn.Module:
    """Return the net for these windows, its weights drawn by torch from the run's seed."""
    outputs: int | list[int] = len(windows.classes) if windows.labels is not None else 0
    if not outputs:
        outputs = [windows.n_channels, windows.horizon]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        return models.build(
            config.model.name,
            n_channels=windows.n_channels,
            n_times=windows.length,
            n_outputs=outputs,
            **(config.model.options or {}),
        )


def assemble(task: str, preprocess: Preprocess, net: nn.Module) -> nn.Module:
    """Return the whole model, from the recording's units to logits or standardized forecasts."""
    if task == "forecast":
        return Forecaster(preprocess, net)
    return nn.Sequential(OrderedDict(preprocess=preprocess.as_module(), net=net))


def baggage(config: Config, windows: Windows, preprocess: Preprocess, net: nn.Module) -> dict[str, Any]:
    """Return what goes into each checkpoint beside the weights."""
    return {
        "run_format": FORMAT,
        "task": config.task,
        "config": to_toml(config),
        "net": dict(net.spec),  # type: ignore[arg-type]
        "preprocess": preprocess.to_state(),
        "classes": list(windows.classes),
        "horizon": windows.horizon,
    }


@dataclass(frozen=True, eq=False)
class Restored:
    """A trained model as a checkpoint holds it, in eval mode on the CPU."""

    model: nn.Module
    preprocess: Preprocess
    task: str
    classes: tuple[str, ...]
    horizon: int
    epoch: int
    path: Path


def restore(run: Path) -> Restored:
    """Return the model of a run with the weights of its best epoch.

    Raises
    ------
    CheckpointError
        No run, no whole checkpoint, or one that was not written by a run.
    """
    found = checkpoint.load_best(run / "checkpoints")
    extra = found.state.get("extra", {})
    if extra.get("run_format") != FORMAT:
        raise CheckpointError(
            f"expected a checkpoint of a run (format {FORMAT}) at {found.path}, got format {extra.get('run_format')}; "
            "train it again with this version"
        )
    preprocess = Preprocess.from_state(extra["preprocess"])
    model = assemble(extra["task"], preprocess, models.build(**extra["net"]))
    try:
        model.load_state_dict(found.state["model"])
    except RuntimeError as error:
        raise CheckpointError(f"{found.path} does not fit the net that it names: {error}") from error
    model.eval()
    return Restored(
        model,
        preprocess,
        extra["task"],
        tuple(extra["classes"]),
        extra["horizon"],
        found.state["epoch"],
        found.path,
    )


def load_weights(target: str | Path) -> dict[str, torch.Tensor]:
    """Return the weights of a net by name: of a run directory (its best epoch), or of a checkpoint file.

    Files may be checkpoints of sciml, safetensors, or what `torch.save(net.state_dict(), path)` writes.

    Raises
    ------
    CheckpointError
        Nothing there, or nothing that holds weights.
    """
    path = Path(target)
    if path.is_dir():
        return _tensors(checkpoint.load_best(path / "checkpoints").state["model"], path)
    if path.suffix == ".safetensors":
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        try:
            return _tensors(load_file(path), path)
        except (OSError, SafetensorError) as error:
            raise CheckpointError(f"{path} cannot be read: {error}") from error
    state = checkpoint.load(path) if _is_ours(path) else _plain_torch(path)
    return _tensors(next((state[key] for key in ("model", "state_dict") if key in state), state), path)


def _is_ours(path: Path) -> bool:
    """Return whether sciml wrote the file, whose hash is then checked; torch would load a damaged one."""
    return path.is_file() and b"sciml-checkpoint" in path.read_bytes()[-128:]


def _plain_torch(path: Path) -> dict[str, Any]:
    import pickle

    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise CheckpointError(f"expected a run directory or a checkpoint at {path}, found nothing") from None
    except (OSError, RuntimeError, EOFError, ValueError, pickle.UnpicklingError) as error:
        said = (str(error).splitlines() or [type(error).__name__])[0]
        raise CheckpointError(f"expected a checkpoint at {path}, but it cannot be read: {said}") from error
    return dict(state) if isinstance(state, Mapping) else {}


def _tensors(state: Any, path: Path) -> dict[str, torch.Tensor]:
    found = {str(key): value for key, value in state.items() if isinstance(value, torch.Tensor)}
    if not found:
        raise CheckpointError(f"expected the weights of a net in {path}, got none; give a state dict")
    return found
