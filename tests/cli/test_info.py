"""`sciml info`: signals, or the reason why there are none, for any file whatever."""

import json
import shlex
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest


def test_a_recording_is_listed_with_unit_rate_and_duration(sciml, recording: Path) -> None:
    done = sciml("info", recording)
    assert done.code == 0
    row = next(line for line in done.out.splitlines() if line.startswith("processing/ophys"))
    assert row.split() == [
        "processing/ophys/DfOverF/RoiResponseSeries", "time,", "roi", "3000", "x", "16", "int16", "dF/F", "20", "Hz",
        "150", "s", "187.5", "KiB", "84.3", "KiB",
    ]  # fmt: skip
    assert "intervals/trials" in done.out
    assert f"Next:\n  sciml info {recording} --signal processing/ophys/DfOverF/RoiResponseSeries\n" in done.out
    assert f"\n  sciml spectrum report {recording} -o report.html" in done.out


def test_signals_that_differ_in_a_number_are_one_row_and_one_pattern(sciml, tmp_path: Path) -> None:
    path = tmp_path / "many.h5"
    with h5py.File(path, "w") as file:
        for k in range(5):
            file[f"trace_{k}"] = [float(k)] * 20
    done = sciml("info", path)
    assert "trace_* (5 alike)" in done.out
    assert f"sciml spectrum report {path} --signal 'trace_*' -o report.html" in done.out
    assert len(json.loads(sciml("info", path, "--json").out)["files"][0]["signals"]) == 5


def test_json_is_one_document_for_all_files(sciml, recording: Path) -> None:
    document = json.loads(sciml("info", recording, recording, "--json").out)
    assert document["schema"] == "sciml.info/1"
    [signal] = [each for each in document["files"][1]["signals"] if each["dims"][0] == "time"]
    assert (signal["shape"], signal["rate"], signal["unit"]) == ([3000, 16], 20.0, "dF/F")


def test_the_others_are_shown_when_one_file_is_missing(sciml, recording: Path, tmp_path: Path) -> None:
    done = sciml("info", tmp_path / "none.h5", recording)
    assert done.code == 3
    assert "none.h5" in done.err
    assert "RoiResponseSeries" in done.out
    document = json.loads(sciml("info", tmp_path / "none.h5", recording, "--json").out)
    assert ["error" in each for each in document["files"]] == [True, False]


def test_a_file_without_signals_says_why(sciml, tmp_path: Path) -> None:
    path = tmp_path / "names.h5"
    with h5py.File(path, "w") as file:
        file["names"] = ["a", "b"]
    done = sciml("info", path)
    assert done.code == 0
    assert "No signals: none of the 1 datasets of the file is an array of numbers." in done.out
    assert done.out.rstrip().endswith(f"Next:\n  sciml info {path} --tree")


@pytest.mark.parametrize("content", [b"", b"not HDF5 at all, but text", b"\x89HDF\r\n\x1a\n" + bytes(64)])
def test_what_is_no_hdf5_is_an_error_of_data(sciml, tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "odd.h5"
    path.write_bytes(content)
    done = sciml("info", path)
    assert done.code == 3
    assert done.err.startswith("Error: ")
    assert "Traceback" not in done.err


def test_every_real_file_is_described_or_refused_in_words(sciml, data_dir: Path) -> None:
    for path in sorted(data_dir.iterdir()):
        done = sciml("info", path)
        assert "Traceback" not in done.err + done.out, path.name
        if done.code == 0:
            assert done.out.startswith(f"{path}: ")
            assert "signal " in done.out or "No signals: " in done.out, path.name
        else:
            assert (done.code, "not HDF5" in done.err) == (3, True), path.name


@pytest.fixture
def odd(tmp_path: Path) -> Path:
    """Counts on a clock with a gap, one channel dead; a signal whose filter nobody has; links of all kinds."""
    counts = np.random.default_rng(0).integers(-99, 99, (200, 3)) * [1, 0, 1]
    with h5py.File(tmp_path / "odd.nwb", "w") as file:
        file.attrs.update(neurodata_type="NWBFile", nwb_version="2.7.0")
        series = file.create_group("acquisition/e")
        series.attrs["neurodata_type"] = "TimeSeries"
        series.create_dataset("data", data=counts.astype("i2"), chunks=(100, 3), shuffle=True, compression="gzip")
        series["data"].attrs.update(unit="volts", conversion=1e-6)
        series["timestamps"] = np.arange(200) / 10 + 5.0 * (np.arange(200) > 150)
        series["timestamps"].attrs["unit"] = "seconds"
        file["same"], file["to"] = series["data"], h5py.SoftLink("/acquisition/e")
        file["gone"] = h5py.SoftLink("/nowhere")
    return tmp_path / "odd.nwb"


def test_one_signal_is_shown_in_depth(sciml, odd: Path) -> None:
    page = sciml("info", odd, "--signal", "e").out
    for line in (
        "dims      200 time x 3 channel",
        "stored as int16; chunks of 100 x 3, shuffle + deflate 4",
        "scale     stored * 1e-06 + 0.0",
        "clock     200 time stamps from 0 to 24.9 s, median step 0.1 s",
        "gaps      1: 15 .. 20.1 s",
        "time (time) float64  0 .. 24.9 s",
        f"sciml spectrum report {odd} -o report.html",
    ):
        assert line in page
    document = json.loads(sciml("info", odd, "--signal", "e", "--json").out)
    [file] = document["files"]
    with h5py.File(odd) as stored:
        values = stored["acquisition/e/data"][()] * 1e-6
    assert file["signal"]["statistics"]["std"] == pytest.approx(values.std())
    assert file["signal"]["statistics"]["median"] == np.median(values)
    assert (file["signal"]["gaps"], file["signal"]["n_sampled"]) == ([[15.0, pytest.approx(20.1)]], 600)
    assert len(file["signal"]["trace"]) == 60


def test_the_structure_marks_links_and_aliases(sciml, odd: Path) -> None:
    page = sciml("info", odd, "--tree").out
    for line in (
        "\n  acquisition/\n    e/  [TimeSeries]\n      data  200 x 3 int16  [volts]\n",
        "\n  gone  -> broken: points at /nowhere, which is not in the file odd.nwb\n",
        "\n  same  200 x 3 int16  = acquisition/e/data  [volts]\n",
        "\n  to  -> /acquisition/e  [TimeSeries]\n",
    ):
        assert line in page
    [file] = json.loads(sciml("info", odd, "--tree", "--json").out)["files"]
    assert {entry["path"]: entry["kind"] for entry in file["tree"]}["gone"] == "broken"


def test_a_tree_of_many_objects_is_cut(sciml, tmp_path: Path) -> None:
    with h5py.File(tmp_path / "many.h5", "w") as file:
        for number in range(500):
            file.create_group(f"g{number}")
    done = sciml("info", tmp_path / "many.h5", "--tree")
    assert len(done.out.splitlines()) < 410
    assert "and 100 more objects (--json lists all)" in done.out


def test_findings_have_codes_severities_and_words(sciml, odd: Path) -> None:
    page = sciml("info", odd, "--findings").out
    assert "  error (dangling_link): the link gone points at /nowhere" in page
    assert "  warning (dead): acquisition/e: 1 of 3 channels is 0 throughout: 1" in page
    [file] = json.loads(sciml("info", odd, "--findings", "--json").out)["files"]
    found = {each["code"]: each for each in file["findings"]}
    assert set(found) == {"dangling_link", "dead", "gaps", "alias"}
    assert (found["dead"]["path"], found["dead"]["severity"]) == ("acquisition/e", "warning")
    assert [each["code"] for each in json.loads(sciml("info", odd, "--json").out)["files"][0]["findings"]]


def test_each_suggested_command_runs(sciml, odd: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    pages = [sciml("info", odd).out, sciml("info", odd, "--signal", "e").out]
    commands = {line.split("#")[0] for page in pages for line in page.partition("Next:")[2].splitlines() if line}
    assert len(commands) == 4
    for command in commands:
        if " report " not in command:
            assert sciml(*shlex.split(command)[1:]).code == 0


def test_a_signal_that_cannot_be_read_is_shown_with_the_remedy(sciml, tmp_path: Path) -> None:
    plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plist.set_chunk((5,))
    plist.set_filter(32020, h5py.h5z.FLAG_OPTIONAL, ())
    space, kind = h5py.h5s.create_simple((5,)), h5py.h5t.NATIVE_DOUBLE
    with h5py.File(tmp_path / "a.h5", "w") as file:
        h5py.h5d.create(file.id, b"x", kind, space, plist).write(space, space, np.arange(5.0))
    for words in (("--signal", "x"), ("--findings",), ()):
        done = sciml("info", tmp_path / "a.h5", *words)
        assert done.code == 0
        assert "install ont-vbz-hdf-plugin" in done.out


def test_all_real_files_are_shown_in_depth_without_a_traceback(sciml, data_dir: Path) -> None:
    files = [path for path in sorted(data_dir.iterdir()) if h5py.is_hdf5(path)]
    done = sciml("info", *files, "--findings", "--tree", "--json", "--quiet")
    assert (done.code, done.err) == (0, "")
    document = json.loads(done.out)
    assert len(document["files"]) == len(files)
    assert all(file["tree"] for file in document["files"])
    for file in document["files"][::3]:
        for signal in file["signals"][:1]:
            assert signal["path"] in sciml("info", file["path"], "--signal", signal["path"]).out


def test_a_look_at_every_real_file_loads_nothing_heavy(data_dir: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from sciml.errors import DataError; from sciml.io import describe\n"
        "from sciml_cli.commands import info_page\n"
        "for path in Path(sys.argv[1]).iterdir():\n"
        "    try: info_page.overview(describe(path))\n"
        "    except DataError: pass\n"
        "print(sorted({'xarray', 'pandas', 'scipy', 'dask', 'torch'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code, str(data_dir)], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_pattern_is_proposed_only_for_signals_of_one_clock(sciml, tmp_path: Path) -> None:
    path = tmp_path / "many.nwb"
    with h5py.File(path, "w") as file:
        file.attrs.update(neurodata_type="NWBFile", nwb_version="2.7.0")
        for kind, starts in (("same", [1.0] * 4), ("apart", [0.0, 5.0, 9.0, 12.0])):
            for k, start in enumerate(starts):
                series = file.create_group(f"acquisition/{kind}_{k}")
                series.attrs["neurodata_type"] = "TimeSeries"
                series["data"], series["starting_time"] = np.arange(20.0 + len(kind)), start
                series["starting_time"].attrs["rate"] = 10.0
    said = sciml("info", path).out
    assert "acquisition/apart_* (4 alike)" in said
    assert f"sciml spectrum report {path} --signal 'acquisition/same_*' -o report.html" in said
    assert sciml("convert", path, "--signal", "acquisition/same_*", "-o", tmp_path / "out.nc").code == 0
    assert sciml("convert", path, "--signal", "acquisition/apart_*", "-o", tmp_path / "out2.nc").code == 3


def test_names_cannot_move_the_cursor_or_start_a_line(sciml, tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        for name in ("a\nNext: rm -rf b", "red \x1b[31m", "it's \U0001f4c8"):
            file[name] = np.arange(5.0)
            file[name].attrs["units"] = "m\x07V"
        file["text\x1b[2J"] = "none"
    done = sciml("info", path)
    assert "\x1b" not in done.out + done.err
    assert "\x07" not in done.out
    assert not any(line.startswith("Next: rm") for line in done.out.splitlines())
    (proposed,) = [line for line in done.out.splitlines() if "31m" in line and "--signal" in line]
    words = subprocess.run(["bash", "-c", f"printf '%s\\0' {proposed}"], capture_output=True, check=True).stdout.split(
        b"\0"
    )
    assert words[:4] == [b"sciml", b"info", str(path).encode(), b"--signal"]
    assert words[4] == b"red \x1b[31m"
    for option in ("--tree", "--findings"):
        assert "\x1b" not in sciml("info", path, option).out
    assert "\x1b" not in sciml("info", path, "--signal", "red \x1b[31m").out


def test_a_file_elsewhere_is_described_and_converted(sciml, tmp_path: Path, recording: Path) -> None:
    fsspec = pytest.importorskip("fsspec")
    fsspec.filesystem("memory").pipe("/there.nwb", recording.read_bytes())
    done = sciml("info", "memory://there.nwb", "--json")
    document = json.loads(done.out)["files"][0]
    assert document["path"] == "memory://there.nwb"
    assert [each["path"] for each in document["signals"]] == [
        each["path"] for each in json.loads(sciml("info", recording, "--json").out)["files"][0]["signals"]
    ]
    assert sciml("convert", "memory://there.nwb", "-o", tmp_path / "here.nc").code == 0
    assert "there.nwb" in sciml("info", tmp_path / "here.nc").out
