"""Files that are missing, damaged or made to harm end in our own error, quickly."""

import os
import pickle
import resource
import subprocess
import sys
import time
from pathlib import Path

import h5py
import numpy as np
import pytest

from sciml.errors import DataError
from sciml.io import Limits, describe, list_signals, open_recording, read_events

WHOLE = int(os.environ.get("SCIML_TEST_SEEDS", "0")) >= 300  # else the part of the suite that is quick
ATTRIBUTES = 10**6 if WHOLE else 10**5


def write(path: Path, **arrays: object) -> Path:
    with h5py.File(path, "w") as file:
        for name, values in arrays.items():
            file[name] = values
    return path


def test_a_missing_file_names_its_neighbor(tmp_path: Path) -> None:
    write(tmp_path / "session_01.h5", x=np.zeros(3))
    with pytest.raises(DataError, match=r"no such file; did you mean .*session_01\.h5"):
        describe(tmp_path / "sesion_01.h5")


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    write(tmp_path / "a.h5", x=np.zeros(3))
    with pytest.raises(DataError, match=r"got a folder; it holds a\.h5"):
        open_recording(tmp_path)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "empty file"),
        (b"time,value\n0,1\n", "begins with b'time,val'"),
        (b"CDF\x01" + bytes(40), "netCDF-3"),
        (b"\x1f\x8b\x08\x00" + bytes(40), "gzip"),
        (b"\x93NUMPY\x01\x00", "NumPy"),
        (bytes(344) + b"n+1\0" + bytes(8), "NIfTI-1"),
    ],
)
def test_what_is_not_hdf5_is_said_to_be_what_it_looks_like(tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "file.h5").write_bytes(content)
    with pytest.raises(DataError, match=said.replace("(", r"\(")):
        describe(tmp_path / "file.h5")


@pytest.mark.parametrize("share", [0.2, 0.5, 0.9, 0.999])
def test_a_truncated_file_is_told_by_bytes_and_percent(tmp_path: Path, share: float) -> None:
    whole = write(tmp_path / "whole.h5", x=np.arange(1000.0)).read_bytes()
    kept = int(share * len(whole))
    (tmp_path / "part.h5").write_bytes(whole[:kept])
    percent = rf"\({100 * kept / len(whole):.1f} %\)"
    with pytest.raises(DataError, match=rf"truncated: {kept} of {len(whole)} bytes are there {percent}"):
        open_recording(tmp_path / "part.h5")


def test_a_file_that_another_program_writes_says_so(tmp_path: Path) -> None:
    program = "import h5py, sys\nfile = h5py.File(sys.argv[1], 'w')\nprint('open', flush=True)\nsys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path / "a.h5")], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as writer:
        assert writer.stdout is not None
        assert writer.stdin is not None
        writer.stdout.readline()
        with pytest.raises(DataError, match="another program has the file open for writing"):
            describe(tmp_path / "a.h5")
        writer.stdin.close()


def test_text_emptiness_and_scalars_are_named_and_the_signals_listed(tmp_path: Path) -> None:
    path = write(
        tmp_path / "a.h5",
        good=np.zeros((5, 2)),
        names=["a", "b"],
        nothing=np.zeros((0, 3)),
        one=3.0,
        null=h5py.Empty("f8"),
        records=np.zeros(3, dtype=[("a", "i4"), ("b", "f8")]),
    )
    assert [found.path for found in list_signals(path)] == ["good", "records/a", "records/b"]
    for name, said in (
        ("names", "holds text, not numbers; choose one of good"),
        ("nothing", r"is empty: its shape is \(0, 3\)"),
        ("one", "single value"),
        ("null", "is empty"),
        ("records", "fields a, b"),
    ):
        with pytest.raises(DataError, match=said):
            open_recording(path, name)


def test_a_signal_that_does_not_exist_lists_those_that_do_and_the_nearest(tmp_path: Path) -> None:
    path = write(tmp_path / "a.h5", voltage=np.zeros(5), current=np.zeros(5))
    with pytest.raises(DataError, match=r"did you mean 'voltage'\? it holds current, voltage"):
        open_recording(path, "volatge")
    with pytest.raises(DataError, match="holds 2 signals; name one of current, voltage"):
        open_recording(path)
    with pytest.raises(DataError, match="no tables of events"):
        read_events(path, "trials")


def test_cycles_of_links_end(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["a/x"] = np.arange(6.0)
        file["a/back"] = file["a"]
        file["a/self"] = h5py.SoftLink("/a/self")
        file["a/ping"], file["a/pong"] = h5py.SoftLink("/a/pong"), h5py.SoftLink("/a/ping")
        file["up"] = h5py.SoftLink("/")
    found = describe(tmp_path / "a.h5")
    assert [signal.path for signal in found.signals] == ["a/x"]
    assert sum("circle" in text.message for text in found.findings) == 3
    assert open_recording(tmp_path / "a.h5", "up/a/back/back/x").shape == (6,)


def test_hard_and_soft_links_to_one_array_are_one_signal(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["m/data"] = np.arange(6.0)
        file["alias"] = file["m/data"]
        file["a_soft"] = h5py.SoftLink("/m/data")
    found = describe(tmp_path / "a.h5")
    assert [signal.path for signal in found.signals] == ["alias"]
    assert any("counted once" in text.message for text in found.findings)
    for name in ("m/data", "alias", "a_soft"):
        assert open_recording(tmp_path / "a.h5", name).attrs["signal"] == "alias"


def test_external_links_lead_below_the_folder_and_nowhere_else(tmp_path: Path) -> None:
    inside, outside = tmp_path / "in" / "parts", tmp_path / "out"
    inside.mkdir(parents=True)
    outside.mkdir()
    write(inside / "part.h5", x=np.arange(4.0))
    write(outside / "secret.h5", x=np.arange(4.0))
    with h5py.File(tmp_path / "in" / "a.h5", "w") as file:
        file["good"] = h5py.ExternalLink("parts/part.h5", "/x")
        file["bad"] = h5py.ExternalLink("../out/secret.h5", "/x")
        file["absolute"] = h5py.ExternalLink(str(outside / "secret.h5"), "/x")
        file["absent"] = h5py.ExternalLink("nowhere.h5", "/x")
    path = tmp_path / "in" / "a.h5"
    assert open_recording(path, "good").values.tolist() == [0.0, 1.0, 2.0, 3.0]
    assert [signal.path for signal in list_signals(path)] == ["good"]
    for name, said in (("bad", "outside"), ("absolute", "outside"), ("absent", "not there")):
        with pytest.raises(DataError, match=said):
            open_recording(path, name)


def test_virtual_datasets_read_when_their_sources_are_there_and_raise_when_not(tmp_path: Path) -> None:
    parts = [write(tmp_path / f"part{k}.h5", x=np.arange(4.0) + 4 * k) for k in range(2)]
    layout = h5py.VirtualLayout(shape=(8,), dtype="f8")
    for k in range(2):
        layout[4 * k : 4 * k + 4] = h5py.VirtualSource(f"part{k}.h5", "x", shape=(4,))
    with h5py.File(tmp_path / "whole.h5", "w") as file:
        file.create_virtual_dataset("v", layout)
    assert open_recording(tmp_path / "whole.h5").values.tolist() == list(range(8))
    parts[1].unlink()
    with pytest.raises(DataError, match=r"part1\.h5, which is not there"):
        open_recording(tmp_path / "whole.h5").load()
    assert any("part1.h5" in text.message for text in describe(tmp_path / "whole.h5").findings)


def test_a_virtual_dataset_may_not_reach_outside_of_the_folder(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    secret = write(tmp_path / "secret.h5", x=np.arange(4.0))
    layout = h5py.VirtualLayout(shape=(4,), dtype="f8")
    layout[:] = h5py.VirtualSource(str(secret), "x", shape=(4,))
    with h5py.File(tmp_path / "in" / "a.h5", "w") as file:
        file.create_virtual_dataset("v", layout)
    with pytest.raises(DataError, match="outside"):
        open_recording(tmp_path / "in" / "a.h5").load()


def test_raw_files_beside_are_refused(tmp_path: Path) -> None:
    (tmp_path / "raw.bin").write_bytes(bytes(800))
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("x", (100,), dtype="f8", external=[(str(tmp_path / "raw.bin"), 0, 800)])
    with pytest.raises(DataError, match="refuses"):
        open_recording(tmp_path / "a.h5").load()


def test_nine_petabytes_declared_and_nothing_stored(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("x", (2**30, 2**20), dtype="f8", chunks=(1024, 64))
    recording = open_recording(tmp_path / "a.h5")
    with pytest.raises(DataError, match="no value was ever written"):
        recording[0, :3].load()


def test_one_read_is_held_to_the_budget_and_pieces_pass(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("x", data=np.zeros((4096, 64)), chunks=(64, 64), compression="gzip")
    recording = open_recording(path, limits=Limits(read_bytes=2**20))
    with pytest.raises(DataError, match=r"limit of 0\.00 GiB; read it in pieces"):
        recording.load()
    assert not recording[:1024].values.any()


def test_a_chunk_that_must_be_read_whole_counts_whole(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("x", data=np.zeros(2**18), chunks=(2**18,), compression="gzip")
    with pytest.raises(DataError, match="chunks are 2 MiB"):
        open_recording(tmp_path / "a.h5", limits=Limits(chunk_bytes=2**20))[:1].load()


def test_objects_depth_and_attributes_have_budgets(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        for k in range(50):
            file[f"x{k}"] = np.zeros(2)
        file["/".join("d" * 20)] = np.zeros(2)
        file.attrs.create("default", np.zeros(4000))
    found = describe(tmp_path / "a.h5", limits=Limits(objects=40))
    assert any("more than 40 objects" in text.message for text in found.findings)
    found = describe(tmp_path / "a.h5", limits=Limits(depth=5))
    assert any("5 groups deep" in text.message for text in found.findings)
    with h5py.File(tmp_path / "b.h5", "w") as file:
        file["x"] = np.zeros(2)
        file["x"].attrs["units"] = np.zeros(4000)
    found = describe(tmp_path / "b.h5", limits=Limits(attribute_bytes=1024))
    assert any("32000 bytes and was not read" in text.message for text in found.findings)


def test_a_file_that_changed_after_it_was_opened_is_noticed(tmp_path: Path) -> None:
    path = write(tmp_path / "a.h5", x=np.zeros(5))
    recording = open_recording(path)
    path.unlink()
    write(path, x=np.ones((5, 1000)))
    with pytest.raises(DataError, match="changed since it was opened"):
        recording.load()


def test_names_that_are_not_utf8_are_read(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        made = h5py.h5d.create(file.id, b"\xb5V", h5py.h5t.NATIVE_DOUBLE, h5py.h5s.create_simple((3,)))
        made.write(h5py.h5s.ALL, h5py.h5s.ALL, np.arange(3.0))
        file["\U0001f9e0/.."] = np.arange(3.0)
    assert {signal.path for signal in list_signals(tmp_path / "a.h5")} == {"µV", "\U0001f9e0/.."}
    for name in ("µV", "\U0001f9e0/.."):
        assert open_recording(tmp_path / "a.h5", name).values.tolist() == [0.0, 1.0, 2.0]


def test_a_heap_that_hdf5_would_read_forever_is_refused(tmp_path: Path) -> None:
    """The first object of the heap of text says that it is free space of size 0."""
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file["x"] = np.zeros(3)
        file["x"].attrs["units"] = "volts"
    whole = path.read_bytes()
    heap = whole.index(b"GCOL")
    path.write_bytes(whole[: heap + 16] + bytes(16) + whole[heap + 32 :])
    with pytest.raises(DataError, match=f"byte {heap} is damaged"):
        describe(path)


@pytest.mark.slow
def test_a_hundred_thousand_attributes_cost_no_time_and_no_memory(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w", libver="latest") as file:
        x, space = file.create_dataset("x", data=np.zeros(5)), h5py.h5s.create(h5py.h5s.SCALAR)
        for number in range(ATTRIBUTES):
            h5py.h5a.create(x.id, b"a%d" % number, h5py.h5t.NATIVE_INT8, space)
    before, began = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.perf_counter()
    found = describe(tmp_path / "a.h5")
    assert open_recording(tmp_path / "a.h5").shape == (5,)
    assert time.perf_counter() - began < 2
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100 * 1024  # KiB
    assert any("more than 1000 attributes" in text.message for text in found.findings)


def test_references_to_nothing_are_left_out(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.nwb", "w") as file:
        file.attrs.update(neurodata_type="NWBFile", nwb_version="2.7.0")
        series = file.create_group("acquisition/e")
        series.attrs["neurodata_type"] = "ElectricalSeries"
        series["data"], series["electrodes"] = np.arange(10.0).reshape(5, 2), [0, 1]
        series["starting_time"] = 0.0
        series["starting_time"].attrs["rate"] = 10.0
        series["electrodes"].attrs.create("table", h5py.Reference(), dtype=h5py.ref_dtype)
        trials = file.create_group("intervals/trials")
        trials.attrs["colnames"] = ["start_time", "who"]
        trials["start_time"] = [0.0, 1.0]
        trials.create_dataset("who", (2,), dtype=h5py.ref_dtype)
        trials["who"][1] = file.create_dataset("gone", data=[1.0]).ref
        del file["gone"]
    recording = open_recording(tmp_path / "a.nwb")
    assert recording.values.tolist() == np.arange(10.0).reshape(5, 2).tolist()
    assert "names no table" in recording.attrs["history"]
    assert read_events(tmp_path / "a.nwb", "trials")["who"].values.tolist() == ["", ""]


def test_a_dimension_scale_that_is_gone_does_not_hide_the_others(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["x"], file["t"], file["y"] = np.zeros((4, 3)), np.arange(4.0), np.arange(3.0)
        for axis, name in enumerate(("t", "y")):
            file[name].make_scale(name)
            file["x"].dims[axis].attach_scale(file[name])
        del file["t"]
    assert open_recording(tmp_path / "a.h5", "x").dims == ("time", "y")
    assert any(finding.code == "dangling_link" for finding in describe(tmp_path / "a.h5").findings)


def test_nul_in_what_is_asked_for_is_an_unknown_name(tmp_path: Path) -> None:
    path = write(tmp_path / "a.h5", x=np.zeros(5))
    for name in ("x\0", "\0", "a/\0*"):
        with pytest.raises(DataError, match="no signal"):
            open_recording(path, name)
    with pytest.raises(DataError, match=r"no such file|null"):
        describe(f"{path}\0")
    with h5py.File(path, "r+") as file:
        file["x"].attrs["units"] = np.bytes_(b"mV\0\0")
        file["x"].attrs["long_name"] = np.array(b"a\0b", dtype="S8")
    assert open_recording(path).attrs["units"] == "mV"


def test_a_path_of_two_thousand_steps_round_a_cycle_ends(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["a/x"] = np.arange(6.0)
        file["a/b"] = file["a"]
    assert open_recording(tmp_path / "a.h5", f"a/{'b/' * 2000}x").shape == (6,)


def test_files_that_link_to_each_other_end(tmp_path: Path) -> None:
    for one, other in ("ab", "ba"):
        with h5py.File(tmp_path / f"{one}.h5", "w") as file:
            file["x"] = np.arange(6.0)
            file["other"] = h5py.ExternalLink(f"{other}.h5", "/")
            file["round"] = h5py.ExternalLink(f"{other}.h5", "/round")
    found = describe(tmp_path / "a.h5")
    assert [finding.code for finding in found.findings if finding.path == "round"] == ["link_cycle"]
    assert open_recording(tmp_path / "a.h5", "other/other/other/x").shape == (6,)


def test_a_virtual_dataset_may_not_leave_through_a_link_in_its_own_file(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    write(tmp_path / "secret.h5", x=np.arange(4.0))
    layout = h5py.VirtualLayout(shape=(4,), dtype="f8")
    layout[:] = h5py.VirtualSource(".", "door", shape=(4,))
    with h5py.File(tmp_path / "in" / "a.h5", "w") as file:
        file["door"] = h5py.ExternalLink("../secret.h5", "/x")
        file.create_virtual_dataset("v", layout)
    with pytest.raises(DataError, match="outside"):
        open_recording(tmp_path / "in" / "a.h5", "v").load()
    masked = open_recording(tmp_path / "in" / "a.h5", "v", allow_missing="mask")
    assert np.isnan(masked.values).all()
    assert masked["mask"].values.all()


def test_a_virtual_dataset_of_itself_ends(tmp_path: Path) -> None:
    layout = h5py.VirtualLayout(shape=(4,), dtype="f8")
    layout[:] = h5py.VirtualSource(".", "v", shape=(4,))
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_virtual_dataset("v", layout)
    with pytest.raises(DataError, match="without end"):
        open_recording(tmp_path / "a.h5").load()


def test_a_deflate_bomb_is_refused_whole_and_read_in_pieces(tmp_path: Path) -> None:
    """A hundred rows of one chunk each; the file of a few kB declares 3.2 GB."""
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("x", (400, 2**20), dtype="f8", chunks=(1, 2**20), compression="gzip", compression_opts=9)
        file["x"][7] = 0.0
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    recording = open_recording(tmp_path / "a.h5")
    with pytest.raises(DataError, match=r"one read of 3\.12 GiB exceeds the limit"):
        recording.load()
    assert not recording[7, :100].values.any()
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100 * 1024  # KiB


class Trap:
    """What a pickle in a file would run."""

    def __reduce__(self) -> tuple[object, tuple[str, ...]]:
        return exec, ("raise SystemExit('the pickle was loaded')",)


def test_pickles_in_attributes_are_never_loaded(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["x"] = np.arange(5.0)
        for name in ("units", "long_name", "FIELD_0_FILL"):
            file["x"].attrs[name] = np.void(pickle.dumps(Trap()))
        file.attrs["TITLE"] = pickle.dumps(Trap(), protocol=0)
    assert open_recording(tmp_path / "a.h5").values.tolist() == [0.0, 1.0, 2.0, 3.0, 4.0]
    assert describe(tmp_path / "a.h5").signals[0].path == "x"


def test_an_unknown_filter_is_named_with_what_to_install(tmp_path: Path) -> None:
    plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plist.set_chunk((5,))
    plist.set_filter(32020, h5py.h5z.FLAG_OPTIONAL, ())
    space, kind = h5py.h5s.create_simple((5,)), h5py.h5t.NATIVE_DOUBLE
    with h5py.File(tmp_path / "a.h5", "w") as file:
        h5py.h5d.create(file.id, b"x", kind, space, plist).write(space, space, np.arange(5.0))
    with pytest.raises(DataError, match=r"filter 32020 \(VBZ\), which is not installed; install ont-vbz-hdf-plugin"):
        open_recording(tmp_path / "a.h5").load()


@pytest.mark.parametrize("userblock", [0, 512])
def test_a_text_that_says_it_has_four_gigabytes_is_refused_before_hdf5_allocates_them(
    tmp_path: Path, userblock: int
) -> None:
    path = tmp_path / "a.nwb"
    with h5py.File(path, "w", userblock_size=userblock) as file:
        file.attrs.update(neurodata_type="NWBFile", nwb_version="2.7.0")
        trials = file.create_group("intervals/trials")
        trials.attrs["colnames"] = ["start_time", "who"]
        trials["start_time"] = [0.0, 1.0]
        trials["who"] = ["Ada", "Bob"]
        place = trials["who"].id.get_offset()
    assert read_events(path, "trials")["who"].values.tolist() == ["Ada", "Bob"]
    whole = path.read_bytes()
    assert whole[place : place + 4] == b"\x03\0\0\0"
    path.write_bytes(whole[:place] + b"\xff\xff\xff\xff" + whole[place + 4 :])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    events = read_events(path, "trials")
    assert "who" not in events
    assert "say that they have 4294967298 bytes" in str(events.attrs["omitted"])
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100 * 1024  # KiB
