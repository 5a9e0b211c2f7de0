"""The net of a run without the noise in its layers, as far as the validation part allows."""

from pathlib import Path

import torch
from torch import nn

from sciml import files
from sciml.errors import DataError
from sciml.pipeline.spectra.trained import Learned, open_run
from sciml.spectra import Truncation, truncate
from sciml.spectra.truncation.truncate import Form

__all__ = ["save_weights", "truncate_run"]

BATCH = 64


def truncate_run(
    run: str | Path,
    *,
    tolerance: float = 0.01,
    form: Form = "dense",
    alpha: float = 0.05,
    net: str | None = None,
) -> Truncation:
    """Replace the layers of a run's net by their part above the noise floor, held against its validation loss.

    The test part is not touched.

    Parameters
    ----------
    run
        A run directory.
    tolerance
        Rise of the validation loss that is allowed, relative to it.
    form
        "dense" keeps the shapes of the net; "thin" makes two layers of one where that saves parameters.
    alpha
        Level of the test of the singular values.
    net
        Import path of the net, where the run was trained with one of your own.

    Raises
    ------
    CheckpointError
        No run there.
    DataError
        Its recording is not at hand.

    Examples
    --------
    >>> truncate_run("nowhere")
    Traceback (most recent call last):
    sciml.errors.CheckpointError: expected a run directory with a config.toml at nowhere, got: ...
    """
    opened = open_run(run, net=net)
    learned = opened.learned
    if not isinstance(learned, Learned):
        raise DataError(learned)
    data = learned.batches(len(learned.part("validation")), BATCH, "validation")

    def loss(output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        total, weight = learned.loss.objective.total(output, target, training=False)
        return total / weight

    return truncate(opened.restored.model, loss=loss, data=data, tolerance=tolerance, form=form, alpha=alpha)


def save_weights(model: nn.Module, path: str | Path, *, overwrite: bool = False) -> Path:
    """Write the weights of a model as safetensors.

    Raises
    ------
    StorageError
        The file exists and may not be replaced, or cannot be written.
    """
    from safetensors.torch import save

    state = {name: value.detach().contiguous() for name, value in model.state_dict().items()}
    return files.write_bytes(path, save(state), overwrite=overwrite)
