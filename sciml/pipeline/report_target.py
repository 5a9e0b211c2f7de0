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
        Several runs or files of weights stand side by side.
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
        Recordings among several targets, or a netCDF file of them.

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
    if all(path.is_dir() or path.name.endswith(WEIGHTS) for path in paths):
        return _nets(paths, alpha, netcdf, progress, net=net, overwrite=overwrite)
    if len(paths) > 1 or netcdf is not None:
        raise ConfigError(
            "expected runs or files of weights to stand side by side or to go into a netCDF file, got a recording; "
            "report on it by itself, and see sciml convert"
        )
    recording = open_recording(paths[0], signal)
    from sciml.report import report  # figures: only once the recording is here

    return report(recording, model=model, alpha=alpha)


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
