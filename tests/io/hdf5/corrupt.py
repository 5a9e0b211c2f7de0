"""Damaged copies of one small file a format, opened and read in a process of their own; run by `test_corrupted.py`.

    python tests/io/hdf5/corrupt.py FOLDER FORMAT FIRST STOP

prints one line a case, "FORMAT SEED OUTCOME"; a line without outcome is the case that ended the process.
"""

import faulthandler
import json
import random
import resource
import sys
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np

from sciml.errors import DataError, ScimlError
from sciml.io import Limits, describe, open_recording, save_recording

CASE_SECONDS = 20.0  # a hang, also one inside HDF5, ends the process
EXTRA_MEMORY = 2**30  # bytes of addresses beyond those in use at the start
READ = Limits(read_bytes=2**26)
SURPRISE = "did not expect this file"  # a failure that its reader should have foreseen
COUNTS = np.arange(120, dtype=np.int16).reshape(20, 6)
TEXT = h5py.string_dtype()


def nwb(file: h5py.File) -> None:
    """Write counts with electrodes, a trial table of ragged text, and spikes."""
    file.attrs.update(neurodata_type="NWBFile", nwb_version="2.7.0")
    electrodes = file.create_group("general/extracellular_ephys/electrodes")
    electrodes.attrs.update(neurodata_type="DynamicTable", colnames=["x", "location"])
    electrodes["id"], electrodes["x"], electrodes["location"] = np.arange(6), np.arange(6.0), ["CA1"] * 6
    series = file.create_group("acquisition/e")
    series.attrs["neurodata_type"] = "ElectricalSeries"
    series.create_dataset("data", data=COUNTS, chunks=(10, 6), compression="gzip")
    series["data"].attrs.update(unit="volts", conversion=1e-6)
    series["electrodes"], series["timestamps"] = np.arange(6), np.arange(20) / 10
    series["electrodes"].attrs["table"] = electrodes.ref
    trials = file.create_group("intervals/trials")
    trials.attrs.update(neurodata_type="TimeIntervals", colnames=["start_time", "stop_time", "tags"])
    trials["start_time"], trials["stop_time"] = [0.0, 1.0], [0.5, 1.5]
    trials["tags"], trials["tags_index"] = ["a", "b", "c"], np.array([1, 3], np.uint8)
    units = file.create_group("units")
    units.attrs.update(neurodata_type="Units", colnames=["spike_times"])
    units["id"], units["spike_times"], units["spike_times_index"] = [0, 1], np.arange(5.0), [2, 5]


def gwosc(file: h5py.File) -> None:
    file["strain/Strain"] = np.zeros(64)
    file["strain/Strain"].attrs.update(Xstart=1000.0, Xspacing=1 / 16)
    file["quality/simple/DQmask"] = np.arange(4, dtype=np.uint32)
    file["quality/simple/DQmask"].attrs.update(Xstart=1000, Xspacing=1.0)
    file["quality/simple/DQShortnames"] = [b"DATA", b"CAT1"]
    file["meta/Detector"], file["meta/GPSstart"] = "H1", 1000


def nexus(file: h5py.File) -> None:
    file.attrs["default"] = "entry"
    entry = file.create_group("entry")
    entry.attrs.update(NX_class="NXentry", default="data")
    data = entry.create_group("data")
    data.attrs.update(NX_class="NXdata", signal="counts", axes=["tof", "y"])
    data["counts"], data["tof"], data["y"] = COUNTS, np.arange(21.0), np.arange(6.0)
    data["tof"].attrs["units"] = "us"
    data["counts_errors"] = np.sqrt(COUNTS)
    log = entry.create_group("log")
    log.attrs["NX_class"] = "NXlog"
    log["time"], log["value"] = np.arange(3.0), np.arange(3.0)


def nexus_events(file: h5py.File) -> None:
    entry = file.create_group("entry")
    entry.attrs["NX_class"] = "NXentry"
    events = entry.create_group("bank1_events")
    events.attrs["NX_class"] = "NXevent_data"
    events["event_id"], events["event_time_offset"] = np.arange(5, dtype=np.uint32), np.arange(5, dtype=np.float32)
    events["event_index"], events["event_time_zero"] = np.array([0, 3], np.uint64), [0.0, 0.1]
    events["event_time_offset"].attrs["units"] = "microsecond"
    detector = entry.create_group("bank1")
    detector.attrs["NX_class"] = "NXdetector"
    detector["detector_number"] = np.arange(6).reshape(2, 3)


def cxi(file: h5py.File) -> None:
    file["cxi_version"] = 160
    detector = file.create_group("entry_1/instrument_1/detector_1")
    detector["data"], detector["mask"] = COUNTS.reshape(5, 4, 6), np.zeros((4, 6), np.uint32)
    detector["distance"], detector["x_pixel_size"] = 0.1, 7.5e-5
    file["entry_1/data_1/data"] = h5py.SoftLink("/entry_1/instrument_1/detector_1/data")


def euxfel(file: h5py.File) -> None:
    file["INDEX/trainId"] = np.arange(20, dtype=np.uint64) + 1000
    place = "SPB_XTD9_XGM/XGM/DOOCS:output/data"
    file[f"INSTRUMENT/{place}/trainId"], file[f"INSTRUMENT/{place}/intensity"] = np.arange(20) + 1000, COUNTS
    file[f"INDEX/{place}/first"], file[f"INDEX/{place}/count"] = np.arange(20), np.ones(20, int)
    file["CONTROL/SPB_XTD9_XGM/XGM/DOOCS/power/value"] = np.arange(20.0)
    file["METADATA/dataSources/dataSourceId"] = [f"INSTRUMENT/{place}".encode(), b"CONTROL/SPB_XTD9_XGM/XGM/DOOCS"]


def flash(file: h5py.File) -> None:
    for name in ("FL1/Photon Diagnostic/GMD/energy", "zraw/FLASH.DIAG/TIME1"):
        file[f"{name}/value"], file[f"{name}/index"] = COUNTS.astype(float), np.arange(20) + 1000


def eventlist(file: h5py.File) -> None:
    for number, name in enumerate("XYt"):
        file[f"Stream_{number}"] = np.arange(20)
        file[f"Stream_{number}"].attrs["Name"] = name.encode()
    file["msMarkers"] = np.array([2, 9, 20])


def lh5(file: h5py.File) -> None:
    def put(place: str, values: object, datatype: str, **attrs: object) -> None:
        file[place] = values
        file[place].attrs.update(datatype=datatype, **attrs)

    table = file.create_group("geds/raw")
    table.attrs["datatype"] = "table{energy,timestamp,waveform}"
    put("geds/raw/energy", np.arange(4.0), "array<1>{real}", units="keV")
    put("geds/raw/timestamp", np.arange(4.0), "array<1>{real}", units="s")
    file.create_group("geds/raw/waveform").attrs["datatype"] = "table{t0,dt,values}"
    put("geds/raw/waveform/t0", np.zeros(4), "array<1>{real}", units="ns")
    put("geds/raw/waveform/dt", np.full(4, 16.0), "array<1>{real}", units="ns")
    put("geds/raw/waveform/values", COUNTS[:4], "array_of_equalsized_arrays<1,1>{real}")
    file["geds"].attrs["datatype"] = "struct{raw}"


def fast5(file: h5py.File) -> None:
    file.attrs["file_version"] = b"2.0"
    for name in ("read_a", "read_b"):
        raw = file.create_group(f"{name}/Raw")
        raw.attrs.update(start_time=8000, read_id=name.encode())
        raw["Signal"] = COUNTS.ravel()
        stated = {"digitisation": 8192.0, "offset": 21.0, "range": 1437.7, "sampling_rate": 4000.0}
        file.create_group(f"{name}/channel_id").attrs.update(stated)


def uvh5(file: h5py.File) -> None:
    pairs = np.zeros((6, 5, 2), [("r", "<i4"), ("i", "<i4")])
    file["Data/visdata"], file["Data/flags"] = pairs, np.zeros(pairs.shape, bool)
    header = {"Nbls": 3, "Nfreqs": 5, "Npols": 2, "Ntimes": 2, "Nblts": 6, "freq_array": np.linspace(1e8, 2e8, 5)}
    header |= {"polarization_array": [-5, -6], "time_array": 2459114.6 + np.arange(6) // 3 * 1e-4}
    header |= {"ant_1_array": np.arange(6), "ant_2_array": np.arange(6), "telescope_name": "HERA"}
    for name, value in header.items():
        file[f"Header/{name}"] = value


def das(file: h5py.File) -> None:
    acquisition = file.create_group("Acquisition")
    acquisition.attrs.update(schemaVersion="2.1", NumberOfLoci=6, SpatialSamplingInterval=1.0, StartLocusIndex=3)
    raw = acquisition.create_group("Raw[0]")
    raw.attrs.update(OutputDataRate=100.0, RawDataUnit="nm/s")
    raw["RawData"], raw["RawDataTime"] = COUNTS, 10**15 + np.arange(20) * 10_000
    raw["RawData"].attrs["Dimensions"] = [b"time", b"locus"]


def mcs(file: h5py.File) -> None:
    file.attrs.update(McsHdf5ProtocolType=b"RawData", McsHdf5ProtocolVersion=3)
    stream = file.create_group("Data/Recording_0/AnalogStream/Stream_0")
    stream["ChannelData"], stream["ChannelDataTimeStamps"] = COUNTS.T, [[1000, 0, 9], [501_000, 10, 19]]
    kinds = [("ChannelID", "<i4"), ("Label", TEXT), ("Unit", "S4"), ("Exponent", "<i4"), ("ADZero", "<i4")]
    kinds += [("RowIndex", "<i4"), ("Tick", "<i8"), ("ConversionFactor", "<i8")]
    rows = [(number, "E", b"V", -9, 0, number, 100, 100) for number in range(6)]
    stream["InfoChannel"] = np.array(rows, dtype=kinds)


def kwik(file: h5py.File) -> None:
    file.attrs["kwik_version"] = 2
    recording = file.create_group("recordings/0")
    recording.attrs.update(sample_rate=20000.0, start_time=0.0)
    recording["data"] = COUNTS
    recording.create_group("application_data").attrs["channel_bit_volts"] = np.full(6, 0.195)
    spikes = file.create_group("channel_groups/0/spikes")
    spikes["time_samples"], spikes["recording"] = np.array([200, 400], np.uint64), np.array([0, 0], np.uint16)
    spikes["clusters/main"] = np.array([4, 9], np.uint32)


def brw(file: h5py.File) -> None:
    stated = {"BitDepth": 12, "MinVolt": -4125.0, "MaxVolt": 4125.0, "SignalInversion": 1.0, "SamplingRate": 18000.0}
    for name, value in (stated | {"NRecFrames": 20}).items():
        file[f"3BRecInfo/3BRecVars/{name}"] = [value]
    file["3BRecInfo/3BMeaStreams/Raw/Chs"] = np.array([(1, k) for k in range(6)], [("Row", "<i2"), ("Col", "<i2")])
    file["3BData/Raw"] = COUNTS.ravel().astype(np.uint16)


def brw4(file: h5py.File) -> None:
    converter = {"MinAnalogValue": -4125.0, "MaxAnalogValue": 4125.0, "MinDigitalValue": 0, "MaxDigitalValue": 4095}
    settings = {"ValueConverter": {**converter, "ScaleFactor": 1.0}, "TimeConverter": {"FrameRate": 10000.0}}
    file["ExperimentSettings"], file["TOC"] = [json.dumps(settings).encode()], [[100, 110], [1000, 1010]]
    file["Well_A1/StoredChIdxs"], file["Well_A1/Raw"] = np.arange(6), COUNTS.ravel().astype(np.uint16)


def maxwell(file: h5py.File) -> None:
    mapping = [("channel", "<i4"), ("electrode", "<i4"), ("x", "<f8"), ("y", "<f8")]
    file["version"] = [b"20190530"]
    recording = file.create_group("data_store/data0000")
    recording["groups/routed/raw"], recording["groups/routed/channels"] = COUNTS.T.astype(np.uint16), np.arange(6)
    recording["groups/routed/frame_nos"] = np.arange(20) + 10**12
    recording["settings/lsb"], recording["settings/sampling"] = [6.3e-6], [10000.0]
    recording["settings/mapping"] = np.array([(k, 100 + k, k * 17.5, 0.0) for k in range(6)], mapping)
    file["wells/well000/rec0000"] = h5py.SoftLink("/data_store/data0000")


def nix(file: h5py.File) -> None:
    file.attrs.update(format="nix", version=[1, 2, 0])
    array = file.create_group("data/session/data_arrays/trace")
    array.attrs.update(type="nix.sampled", name="trace", unit="mV")
    array["data"], array["polynom_coefficients"] = COUNTS, [0.0, 2.0]
    sampled = {"dimension_type": "sample", "sampling_interval": 0.5, "unit": "ms", "offset": 4.0}
    array.create_group("dimensions/1").attrs.update(sampled)
    array.create_group("dimensions/2").attrs["dimension_type"] = "set"
    array["dimensions/2/labels"] = list("abcdef")


def velox(file: h5py.File) -> None:
    pixel = {"PixelSize": {"width": "2e-9", "height": "3e-9"}, "PixelUnitX": "m", "PixelUnitY": "m"}
    stated = {"Instrument": {"Manufacturer": "Maker"}, "BinaryResult": {"Detector": "HAADF", **pixel}}
    column = np.frombuffer(json.dumps(stated).encode().ljust(500, b"\0"), np.uint8)
    file["Data/Image/0123/Data"], file["Data/Image/0123/Metadata"] = COUNTS.reshape(4, 5, 6), column[:, None]


def emd(file: h5py.File) -> None:
    file.attrs.update(version_major=0, version_minor=2)
    group = file.create_group("data/scan")
    group.attrs["emd_group_type"] = 1
    group["data"] = COUNTS
    for number, name in enumerate("yx", start=1):
        group[f"dim{number}"] = np.arange(COUNTS.shape[number - 1])
        group[f"dim{number}"].attrs.update(name=name, units="nm")


def dataexchange(file: h5py.File) -> None:
    file["exchange/data"], file["exchange/data_white"] = COUNTS.reshape(5, 4, 6), COUNTS[:4].reshape(1, 4, 6)
    file["exchange/theta"], file["implements"] = np.arange(5.0), "exchange"
    file["exchange/data"].attrs["axes"] = "theta:y:x"


def ebsd(file: h5py.File) -> None:
    file["map/EBSD/Header/Mode"], file["map/EBSD/Data/Pattern"] = "fast", np.zeros((5, 8, 8), np.uint8)
    file["map/EBSD/Header/NROWS"], file["map/EBSD/Header/NCOLS"] = 1, 5


def matlab(path: Path) -> None:
    with h5py.File(path, "w", userblock_size=512) as file:
        file["X"] = COUNTS.T
        file.create_dataset("cells", (2, 1), dtype=h5py.ref_dtype)
        file["X"].attrs["MATLAB_class"], file["cells"].attrs["MATLAB_class"] = np.bytes_("int16"), np.bytes_("cell")
        file["cells"][0, 0] = file["X"].ref
    with path.open("r+b") as stream:
        stream.write(b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(124) + b"\x00\x02IM")


def fieldtrip(file: h5py.File) -> None:
    def put(place: str, values: object, kind: str) -> None:
        file[place] = values
        file[place].attrs["MATLAB_class"] = np.bytes_(kind)

    for name, values, kind in (("a", COUNTS, "double"), ("t", np.arange(20.0)[:, None] / 100, "double")):
        put(f"#refs#/{name}", values, kind)
    for number in range(6):
        put(f"#refs#/l{number}", np.array([[65 + number]], "u2"), "char")
    file.create_group("data").attrs["MATLAB_class"] = np.bytes_("struct")
    for name, cells in (("trial", ["a"]), ("time", ["t"]), ("label", [f"l{number}" for number in range(6)])):
        put(f"data/{name}", np.array([[file[f"#refs#/{cell}"].ref for cell in cells]], dtype=h5py.ref_dtype), "cell")
    put("data/fsample", [[100.0]], "double")


def snirf(file: h5py.File) -> None:
    file["formatVersion"], file["nirs/metaDataTags/TimeUnit"] = "1.1", "s"
    file["nirs/data1/dataTimeSeries"], file["nirs/data1/time"] = np.zeros((20, 2)), np.arange(20)[:, None] / 10
    file["nirs/data1/dataOffset"], file["nirs/probe/wavelengths"] = [1.0, 2.0], [760.0, 850.0]
    file["nirs/probe/sourcePos3D"], file["nirs/probe/detectorPos3D"] = np.zeros((1, 3)), np.ones((1, 3))
    for number in (1, 2):
        for name in ("sourceIndex", "detectorIndex"):
            file[f"nirs/data1/measurementList{number}/{name}"] = [1.0]
        file[f"nirs/data1/measurementList{number}/wavelengthIndex"] = [float(number)]


def workspace(file: h5py.File) -> None:
    """Write events of Mantid, and a histogram with axes in the other order, scaled by fields of its group."""
    entry = file.create_group("mantid_workspace_1")
    entry.attrs["NX_class"] = "NXentry"
    events, plot = entry.create_group("event_workspace"), entry.create_group("workspace")
    events["indices"], events["tof"], events["pulsetime"] = [0, 2, 5], np.arange(5.0), np.arange(5)
    events["axis2"], events["error_squared"] = [7, 8], np.ones(5)
    plot["values"], plot["axis1"], plot["axis2"] = COUNTS[:2], np.arange(7.0), [7, 8]
    plot["values"].attrs.update(signal=1, axes="axis1,axis2")
    plot["values_scaling_factor"], plot["errors"] = 0.5, np.ones((2, 6))
    for group in (events, plot):
        group.attrs["NX_class"] = "NXdata"


def tiers(file: h5py.File) -> None:
    def put(place: str, values: object, datatype: str) -> None:
        file[place] = values
        file[place].attrs["datatype"] = datatype

    inner = "array<1>{array<1>{real}}"
    for place, datatype in (("evt", "table{e}"), ("evt/e", f"array<1>{{{inner}}}"), ("evt/e/flattened_data", inner)):
        file.create_group(place).attrs["datatype"] = datatype
    put("evt/e/cumulative_length", np.array([2, 3], "u4"), "array<1>{real}")
    put("evt/e/flattened_data/cumulative_length", np.array([1, 3, 5], "u4"), "array<1>{real}")
    put("evt/e/flattened_data/flattened_data", np.arange(5.0), "array<1>{real}")


def febus_g1(file: h5py.File) -> None:
    file.attrs.update(formatVersion=[1], mode=[1])
    file["bsl_data"], file["distances"] = COUNTS.astype("f4"), np.arange(6.0)
    file["start_times"], file["end_times"] = 1.7e9 + np.arange(20.0), 1.7e9 + 1 + np.arange(20.0)
    file["temperatures"] = np.full(20, 24.0)


def labels(file: h5py.File) -> None:
    """Write an array with labels of its axes, a scale of one value, limits, and rows beside another array."""
    file["g/x"], file["g/pitch"], file["y"], file["distances"] = COUNTS, 0.5, COUNTS, np.arange(6.0)
    file["g/pitch"].make_scale("P")
    file["g/x"].attrs["DIMENSION_LABELS"] = np.array(["t", "P"], dtype=TEXT)
    file["g/x"].attrs.update(scale_factor=0.5, valid_range=[0, 100], gain=2.0)
    file["start_times"] = 1.7e9 + np.arange(20.0)


def traces(file: h5py.File) -> None:
    file["dims"], file["estimates/A/data"], file["estimates/C"] = [8, 8], np.ones(3), COUNTS.astype(float)
    file["params/data/fr"] = 30


def sleap(file: h5py.File) -> None:
    file["tracks"], file["point_scores"] = np.ones((2, 2, 3, 20)), np.ones((2, 3, 20))
    file["node_names"], file["track_names"] = np.array([b"nose", b"ear", b"tail"]), np.array([b"a", b"b"])


def images(file: h5py.File) -> None:
    file["raw"], file["label"] = np.zeros((5, 8, 9), np.uint8), np.zeros((5, 8, 9), np.uint16)
    file["raw"].attrs["element_size_um"] = [1.0, 0.5, 0.5]


def plain(file: h5py.File) -> None:
    """Write what HDF5 has and formats use little: scales, references, enumerations, filters, records, text."""
    file.create_dataset("x", data=COUNTS, chunks=(4, 3), shuffle=True, fletcher32=True, compression="lzf")
    file["x"].attrs.update(units="mV", sampling_rate=10.0)
    for axis, name in enumerate(("t", "c")):
        file[name] = np.arange(COUNTS.shape[axis], dtype=float)
        file[name].make_scale(name)
        file["x"].dims[axis].attach_scale(file[name])
    file["flag"], file["names"] = np.zeros(20, bool), np.array(["a", "bc"], TEXT)
    file["rows"] = np.array([(1, "a")], [("n", "i4"), ("name", TEXT)])
    file["soft"], file["refs"] = h5py.SoftLink("/x"), np.array([file["x"].ref], h5py.ref_dtype)


def newest(path: Path) -> None:
    """Write the same with the newest structures of HDF5, which carry checksums."""
    with h5py.File(path, "w", libver="latest") as file:
        plain(file)


def saved(path: Path) -> None:
    source = path.with_suffix(".source")
    with h5py.File(source, "w") as file:
        plain(file)
    save_recording(open_recording(source, "x"), path)
    source.unlink()


BY_FILE = (
    nwb, gwosc, nexus, nexus_events, cxi, euxfel, flash, eventlist, lh5, fast5, uvh5, das, mcs, kwik, brw, brw4,
    maxwell, nix, velox, emd, dataexchange, ebsd, traces, sleap, images, plain, fieldtrip,
    snirf, workspace, tiers, febus_g1, labels,
)  # fmt: skip
BY_PATH: dict[str, Callable[[Path], None]] = {"matlab": matlab, "newest": newest, "saved": saved}
FORMATS = (*(write.__name__ for write in BY_FILE), *BY_PATH)


def sample(name: str, path: Path) -> bytes:
    """Return the small file of a format."""
    if name in BY_PATH:
        BY_PATH[name](path)
    else:
        with h5py.File(path, "w") as file:
            next(write for write in BY_FILE if write.__name__ == name)(file)
    return path.read_bytes()


def corrupted(whole: bytes, seed: int) -> bytes:
    """Return a copy with bytes changed, bits flipped, a run overwritten, the end cut off, or the end zeroed."""
    draw = random.Random(seed)  # noqa: S311 - no secret
    damaged = bytearray(whole)
    place = draw.randrange(len(whole))
    match seed % 6:
        case 0:
            return bytes(damaged[:place])
        case 1:
            damaged[place:] = bytes(len(whole) - place)
        case 2:
            run = damaged[place : place + draw.randrange(1, 65)]
            damaged[place : place + len(run)] = draw.choice((b"\0", b"\xff")) * len(run)
        case 3:
            for _ in range(3):
                damaged[draw.randrange(len(whole))] ^= 1 << draw.randrange(8)
        case _:
            for _ in range(20):
                damaged[draw.randrange(len(whole))] = draw.randrange(256)
    return bytes(damaged)


def attempt(path: Path) -> str:
    """Describe a file and read the first rows of its first signal; return what came of it."""
    try:
        found = describe(path, limits=READ)
        if surprised := [str(said) for said in found.findings if SURPRISE in said.message]:
            return f"wrong: {surprised[0]}"
        for signal in found.signals[:1]:
            open_recording(path, signal.path, limits=READ)[:8].load()
    except DataError as error:
        return f"wrong: {error}" if SURPRISE in str(error) else "refused"
    except ScimlError as error:
        return f"wrong: {type(error).__name__}: {error}"
    except Exception as error:
        return f"wrong: {type(error).__name__}: {error}"
    return "read"


def main(folder: Path, name: str, first: int, stop: int) -> None:
    """Try the copies of one format, each under a limit of time, all under one of memory."""
    whole = sample(name, folder / f"{name}.whole")
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + EXTRA_MEMORY, resource.getrlimit(resource.RLIMIT_AS)[1]))
    for seed in range(first, stop):
        path = folder / f"{name}-{seed}.h5"
        path.write_bytes(corrupted(whole, seed))
        sys.stdout.write(f"{name} {seed} ")
        sys.stdout.flush()
        faulthandler.dump_traceback_later(CASE_SECONDS, exit=True)
        outcome = attempt(path)
        faulthandler.cancel_dump_traceback_later()
        sys.stdout.write(" ".join(outcome.split()) + "\n")
        path.unlink()


if __name__ == "__main__":
    for each in sys.argv[2].split(","):
        main(Path(sys.argv[1]), each, int(sys.argv[3]), int(sys.argv[4]))
