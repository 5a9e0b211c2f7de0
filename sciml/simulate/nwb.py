"""Write a simulated recording as an NWB 2 file, with the truth beside it.

The layout follows the NWB core schema 2.7 (Rübel et al. 2022, doi:10.7554/eLife.78362) and hdmf-common 1.8, by h5py
alone. Equal simulations give equal bytes: times are fixed and object ids are derived from the data.
"""

import hashlib
import io
import uuid
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from sciml import files
from sciml.simulate.population import Simulation

__all__ = ["write_nwb"]

NWB_VERSION = "2.7.0"
START = "2020-01-01T00:00:00+00:00"
ROI_RADIUS = 5.0  # [um]
CHUNK_ROWS = 2048
SERIES = "processing/ophys/DfOverF/RoiResponseSeries"
ROIS = "processing/ophys/ImageSegmentation/PlaneSegmentation"
HDMF = "hdmf-common"  # namespace of the types that NWB tables are made of
PLANE = "general/optophysiology/ImagingPlane"
DEVICE = "general/devices/Microscope"
PIXEL = np.dtype([("x", "<u4"), ("y", "<u4"), ("weight", "<f4")])

Columns = Mapping[str, tuple[str, Any]]  # name -> (description, values)


def write_nwb(simulation: Simulation, path: str | PathLike[str], *, overwrite: bool = False) -> Path:
    """Write a simulation as a valid NWB 2 file, in one piece or not at all.

    What lies where:

    - `processing/ophys/DfOverF/RoiResponseSeries`: the recording (time, roi), int16 with `conversion` to dF/F
    - `processing/ophys/ImageSegmentation/PlaneSegmentation`: position [um] and pixels of each ROI
    - `intervals/trials`: start_time, stop_time [s], stimulus
    - `scratch`: the truth: `signal` (the clean recording, float32, dF/F), `noise` (table with sigma [dF/F] and phi of
      each ROI), `rank`, `strengths`

    Values of the recording are rounded to 1/32767 of the largest magnitude.

    Parameters
    ----------
    simulation
        What `population_recording` returned.
    path
        File to write; its folder must exist.
    overwrite
        Replace a file that exists.

    Returns
    -------
    The path of the file.

    Raises
    ------
    StorageError
        The file exists and `overwrite` is False, its folder does not exist, or the disk refuses.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from sciml.simulate import population_recording
    >>> with TemporaryDirectory() as folder:
    ...     path = write_nwb(population_recording(n_neurons=8, duration=20.0), f"{folder}/demo.nwb")
    ...     with h5py.File(path) as file:
    ...         file["processing/ophys/DfOverF/RoiResponseSeries/data"].shape
    (400, 8)
    """
    target = files.check_target(path, overwrite=overwrite)
    return files.write_bytes(target, _content(simulation), overwrite=overwrite)


def _content(simulation: Simulation) -> bytes:
    """Return the bytes of the file. HDF5 works in memory: on a full disk it would leave handles it cannot close."""
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        _Nwb(file, simulation).write()
    return buffer.getvalue()


class _Nwb:
    """An open NWB file and the identity that its object ids are derived from."""

    def __init__(self, file: h5py.File, simulation: Simulation) -> None:
        self.file = file
        self.simulation = simulation
        content = np.ascontiguousarray(simulation.recording.values)
        self.identity = uuid.UUID(hashlib.sha256(content.tobytes()).hexdigest()[:32])

    def write(self) -> None:
        """Write the whole file, referenced objects before those that refer to them."""
        self.root()
        self.optics()
        self.rois()
        self.series()
        self.trials()
        self.truth()

    def root(self) -> None:
        """Write what every NWB file has."""
        self.mark(self.file, "NWBFile").attrs["nwb_version"] = NWB_VERSION
        for name in ("acquisition", "analysis", "stimulus/presentation", "stimulus/templates"):
            self.file.create_group(name)
        self.file["identifier"] = str(self.identity)
        self.file["session_description"] = (
            f"Simulated calcium imaging of {self.simulation.recording.sizes['roi']} neurons under moving stimuli: "
            f"signal of rank {self.simulation.rank} in AR(1) noise, seed {self.simulation.seed}. "
            "The truth is in /scratch."
        )
        self.file["session_start_time"] = START
        self.file["timestamps_reference_time"] = START
        self.file.create_dataset("file_create_date", data=[START], maxshape=(None,), dtype=h5py.string_dtype())

    def optics(self) -> None:
        """Write the microscope and its imaging plane."""
        self.group(DEVICE, "Device").attrs["description"] = "simulated microscope"
        plane = self.group(PLANE, "ImagingPlane")
        plane["description"] = "simulated plane"
        plane["excitation_lambda"] = 920.0
        plane["imaging_rate"] = self.simulation.recording.attrs["sampling_rate"]
        plane["indicator"] = "simulated"
        plane["location"] = "simulated"
        spacing = plane.create_dataset("grid_spacing", data=[1.0, 1.0])
        spacing.attrs["unit"] = "micrometers"
        plane["device"] = h5py.SoftLink(f"/{DEVICE}")
        channel = self.group(f"{PLANE}/OpticalChannel", "OpticalChannel")
        channel["description"] = "simulated emission"
        channel["emission_lambda"] = 520.0

    def rois(self) -> None:
        """Write positions and pixels of the ROIs."""
        module = self.group("processing/ophys", "ProcessingModule")
        module.attrs["description"] = "fluorescence of regions of interest and where they lie"
        self.group("processing/ophys/ImageSegmentation", "ImageSegmentation")
        recording = self.simulation.recording
        masks = [_disc(x, y) for x, y in zip(recording["x"].values, recording["y"].values, strict=True)]
        columns: Columns = {
            "x": ("center of the ROI [um]", recording["x"].values),
            "y": ("center of the ROI [um]", recording["y"].values),
            "pixel_mask": ("pixels of the ROI and their weights", np.concatenate(masks)),
        }
        table = self.table(
            ROIS, "PlaneSegmentation", "one disc a neuron", columns, ends={"pixel_mask": [len(mask) for mask in masks]}
        )
        table["imaging_plane"] = h5py.SoftLink(f"/{PLANE}")
        table.create_group("reference_images")

    def series(self) -> None:
        """Write the recording as int16 with its conversion, its clock, and the ROI that each column belongs to."""
        self.group("processing/ophys/DfOverF", "DfOverF")
        series = self.group(SERIES, "RoiResponseSeries")
        series.attrs.update({"description": "fluorescence of each ROI", "comments": "simulated"})
        values = self.simulation.recording.values
        conversion = float(np.abs(values).max()) / np.iinfo(np.int16).max
        counts = np.rint(values / conversion).astype(np.int16)
        data = series.create_dataset("data", data=counts, **_compressed(counts))
        data.attrs.update({"unit": "dF/F", "conversion": conversion, "offset": 0.0, "resolution": conversion})
        clock = series.create_dataset("starting_time", data=0.0)
        clock.attrs.update({"rate": self.simulation.recording.attrs["sampling_rate"], "unit": "seconds"})
        rois = self.mark(series.create_dataset("rois", data=np.arange(values.shape[1])), "DynamicTableRegion", HDMF)
        rois.attrs.update({"description": "the ROI of each column", "table": self.file[ROIS].ref})

    def trials(self) -> None:
        """Write the table of stimuli."""
        events = self.simulation.events
        columns: Columns = {
            "start_time": ("onset of the stimulus [s]", events["start_time"].values),
            "stop_time": ("end of the stimulus [s]", events["stop_time"].values),
            "stimulus": ("direction of motion", events["stimulus"].values.astype(object)),
        }
        self.table("intervals/trials", "TimeIntervals", "one stimulus a trial", columns)

    def truth(self) -> None:
        """Write what the recording was made from: arrays that are no TimeSeries, so that a file has one recording."""
        simulation = self.simulation
        columns: Columns = {
            "sigma": ("standard deviation of the noise of a sample [dF/F]", simulation.noise.sigma),
            "phi": ("correlation of neighboring noise samples", simulation.noise.phi),
        }
        self.table("scratch/noise", "DynamicTable", "truth: Gaussian AR(1) noise of each ROI", columns)
        self.scratch("rank", "rank of the signal", np.int64(simulation.rank))
        self.scratch("strengths", "eigenvalues of the signal's covariance, in units of the noise", simulation.strengths)
        signal = simulation.signal.values.astype(np.float32)
        self.scratch("signal", "the clean recording [dF/F], dims (time, roi)", signal, **_compressed(signal))

    def scratch(self, name: str, notes: str, values: Any, **layout: Any) -> None:
        """Write an array of the truth."""
        data = self.file["scratch"].create_dataset(name, data=values, **layout)
        self.mark(data, "ScratchData").attrs["notes"] = f"truth: {notes}"

    def mark(self, item: Any, kind: str, namespace: str = "core") -> Any:
        """Give an object its type and an id that is the same whenever the same data are written."""
        item.attrs["neurodata_type"] = kind
        item.attrs["namespace"] = namespace
        item.attrs["object_id"] = str(uuid.uuid5(self.identity, item.name))
        return item

    def group(self, path: str, kind: str, namespace: str = "core") -> Any:
        """Create a typed group."""
        return self.mark(self.file.create_group(path), kind, namespace)

    def table(
        self, path: str, kind: str, description: str, columns: Columns, *, ends: Mapping[str, list[int]] | None = None
    ) -> Any:
        """Create a table; `ends` gives the number of entries a row of columns that are ragged."""
        ends = ends or {}
        table = self.group(path, kind, HDMF if kind == "DynamicTable" else "core")
        table.attrs["description"] = description
        table.attrs["colnames"] = np.array(list(columns), dtype=h5py.string_dtype())
        for name, (about, values) in columns.items():
            dtype = h5py.string_dtype() if values.dtype == object else values.dtype
            column = self.mark(table.create_dataset(name, data=values, dtype=dtype), "VectorData", HDMF)
            column.attrs["description"] = about
            if name in ends:
                index = table.create_dataset(f"{name}_index", data=np.cumsum(ends[name]).astype(np.uint32))
                self.mark(index, "VectorIndex", HDMF).attrs["description"] = f"where each row of {name} ends"
                index.attrs["target"] = column.ref
        n_rows = len(next(values for name, (_, values) in columns.items() if name not in ends))
        self.mark(table.create_dataset("id", data=np.arange(n_rows)), "ElementIdentifiers", HDMF)
        return table


def _compressed(values: NDArray[Any]) -> dict[str, Any]:
    """Return how an array (time, roi) is laid out: chunks of whole rows, so that windows in time read little."""
    return {"chunks": (min(CHUNK_ROWS, len(values)), values.shape[1]), "compression": "gzip", "shuffle": True}


def _disc(x: float, y: float) -> NDArray[np.void]:
    """Return the pixels (1 um wide) within the radius of an ROI."""
    low, high = -int(ROI_RADIUS), int(ROI_RADIUS) + 1
    step_x, step_y = np.mgrid[low:high, low:high].reshape(2, -1)
    inside = step_x**2 + step_y**2 <= ROI_RADIUS**2
    disc = np.empty(int(inside.sum()), dtype=PIXEL)
    # no ROI lies closer to the border than its radius, so that no pixel is negative
    disc["x"], disc["y"], disc["weight"] = step_x[inside] + int(x), step_y[inside] + int(y), 1.0
    return disc
