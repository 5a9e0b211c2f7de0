"""The noise floor of every recording of several channels in the folder of real files, `SCIML_TEST_DATA`."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import xarray as xr
from _report import machine, record, table

from sciml.errors import ScimlError
from sciml.io import list_signals, open_recording
from sciml.noise import NoiseFloor, noise_floor

DATA = Path(os.environ.get("SCIML_TEST_DATA", Path(__file__).parents[2] / "shared" / "data"))
FEWEST_CHANNELS, FEWEST_SAMPLES = 4, 20
MOST = 12  # signals of a file; those of more are one kind many times over


def recordings(path: Path) -> Iterator[tuple[str, xr.DataArray]]:
    """Yield the recordings of a file that have channels to compare; frames without a clock count as samples."""
    try:
        signals = [signal.path for signal in list_signals(path)]
    except ScimlError:
        return
    joined = ["acquisition/Activity_*"] if sum("Activity_" in each for each in signals) > 1 else []
    for name in joined or signals[:MOST]:
        try:
            found = open_recording(path, name)
        except ScimlError:
            continue
        if "frame" in found.dims and "time" not in found.dims:
            found = found.rename(frame="time")
        samples = found.sizes.get("time", 0)
        if samples >= FEWEST_SAMPLES and found.dtype.kind in "iufc" and found.size >= FEWEST_CHANNELS * samples:
            yield name, found


def row(path: Path, name: str, recording: xr.DataArray, floor: NoiseFloor, seconds: float) -> list[object]:
    samples = recording.sizes["time"]
    return [
        path.name[:36], name.rsplit("/", 1)[-1][:24], f"{samples} x {recording.size // samples}", floor.model,
        floor.rank, floor.mp_rank, "yes" if floor.converged else "no", f"{floor.bulk_ratio:.2f}",
        f"{floor.n_samples / floor.n_effective:.1f}", f"{seconds:.1f}",
    ]  # fmt: skip


def main() -> None:
    rows = []
    for path in sorted(each for each in DATA.iterdir() if each.is_file()):
        for name, found in recordings(path):
            start = time.perf_counter()
            try:
                floor = noise_floor(found)
            except ScimlError as error:
                print(f"{path.name} {name}: {error}", flush=True)
                continue
            rows.append(row(path, name, found, floor, time.perf_counter() - start))
            print(rows[-1], flush=True)
    columns = ["file", "signal", "T x N", "model", "rank", "Marchenko-Pastur", "converged", "bulk ratio", "tau", "s"]
    record(
        "Noise floor: real recordings",
        "Components above the floor, beside the eigenvalues of the correlation matrix above the Marchenko-Pastur edge. "
        "Converged: rank and noise agree with each other and with the bulk (second moment over its law: bulk ratio), "
        "and what is left is noise of the model; "
        "else the rank is a lower bound. tau: samples that count as one.\n\n"
        f"{table(columns, rows)}\n\n{machine('numpy', 'scipy', 'h5py')}",
    )


if __name__ == "__main__":
    main()
