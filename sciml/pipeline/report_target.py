"""Reports on what is on the disk: a recording, a run directory, a file of weights."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sciml.errors import ConfigError, DataError
from sciml.io import open_recording

if TYPE_CHECKING:
    from sciml.noise import Model
    from sciml.report import Report

__all__ = ["report_on"]

WEIGHTS = (".pt", ".pth", ".ckpt", ".safetensors", ".onnx", ".index.json")
Progress = Callable[[str], None]


def report_on(
    *targets: str | Path,
    signal: str | None = None,
    model: Model | str = "auto",
    alpha: float = 0.05,
    netcdf: Path | None = None,
    net: str | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Report:
    """Return the report of a recording, or of the spectra of a run's net or of a file of weights.

    Parameters
    ----------
    targets
        A path; a file of weights is recognized by its ending (.pt, .pth, .ckpt, .safetensors, .onnx, .index.json).
        Several stand side by side.
    signal, model
        For recordings: the signal in the file, the kind of noise.
    alpha
        Level of the noise floor, or of the test of weights.
    netcdf
        Of a net: write all arrays to this file too.
    net
        Import path of the net, where a run was trained with one of your own.
    overwrite
        Replace that file if it exists.
    progress
        Called with a line at each step, of nets.

    Raises
    ------
    DataError
        Nothing there, or a recording that cannot be read.
    CheckpointError
        A run or file without weights.
    ConfigError
        A netCDF file of recordings, or recordings side by side with runs or files of weights.

    Examples
    --------
    >>> report_on("nowhere.nwb")
    Traceback (most recent call last):
    sciml.errors.DataError: expected a recording, a run or a file of weights at nowhere.nwb, found nothing; check ...
    """
    paths = [Path(target) for target in targets]
    for path in paths:
        if not path.exists():
            raise DataError(
                f"expected a recording, a run or a file of weights at {path}, found nothing; check the path"
            )
    nets = [path for path in paths if path.is_dir() or path.name.endswith(WEIGHTS)]
    if len(nets) == len(paths):
        return _nets(paths, alpha, netcdf, progress, net=net, overwrite=overwrite)
    if nets or netcdf is not None:
        raise ConfigError(
            "expected recordings alone, or runs and files of weights alone (which may go into a netCDF file too), got "
            f"{', '.join(path.name for path in paths)}; report on each kind by itself, and see sciml convert"
        )
    recordings = [open_recording(path, signal) for path in paths]
    from sciml.report import report, together  # figures: only once the recordings are here

    made = [report(each, model=model, alpha=alpha) for each in recordings]
    return made[0] if len(made) == 1 else together(made)


def _nets(
    paths: Sequence[Path],
    alpha: float,
    netcdf: Path | None,
    progress: Progress | None,
    *,
    net: str | None,
    overwrite: bool,
) -> Report:
    from sciml.pipeline.spectra import analyze, save_spectra  # torch: only once a net is here
    from sciml.report.nets import net_report

    records = [analyze(path, alpha=alpha, net=net, progress=progress) for path in paths]
    if netcdf is not None:
        if len(records) > 1:
            raise ConfigError("expected one net for a netCDF file, got several; write one for each")
        save_spectra(records[0], netcdf, overwrite=overwrite)
    return net_report(records)
