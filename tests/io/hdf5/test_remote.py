"""Files that lie elsewhere are read over few requests, and only where they are asked for."""

import gc
import pickle
import re
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from sciml.errors import DataError, MissingDependencyError
from sciml.io import describe, open_recording
from sciml.io.hdf5.remote import BLOCK, COLLECTION, Blocks, Stream
from sciml.simulate import population_recording, write_nwb

pytest.importorskip("aiohttp")
VALUES = np.random.default_rng(0).integers(-1000, 1000, (400_000, 16), dtype=np.int16)


class Ranges(SimpleHTTPRequestHandler):
    """Serves parts of files, and counts what was asked for."""

    folder: Path
    asked: list[int]

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def _answer(self, *, body: bool) -> None:
        path = self.folder / self.path.strip("/")
        if not path.is_file():
            self.send_error(404)
            return
        data = path.read_bytes()
        found = re.match(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
        begin, end = (int(found[1]), min(int(found[2]) + 1, len(data))) if found else (0, len(data))
        self.send_response(206 if found else 200)
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", str(end - begin))
        if found:
            self.send_header("Content-Range", f"bytes {begin}-{end - 1}/{len(data)}")
        self.end_headers()
        if body:
            self.asked.append(end - begin)
            self.wfile.write(data[begin:end])

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[str, list[int]]]:
    asked: list[int] = []
    handler = type("Handler", (Ranges,), {"folder": tmp_path, "asked": asked})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", asked
        server.shutdown()
        thread.join()


def test_a_window_of_a_remote_file_costs_few_requests_and_few_bytes(
    tmp_path: Path, served: tuple[str, list[int]]
) -> None:
    url, asked = served
    with h5py.File(tmp_path / "a.h5", "w") as file:
        x = file.create_dataset("x", data=VALUES, chunks=(4096, 16))
        x.attrs.update(sampling_rate=1000.0, scale_factor=0.5, units="mV")
    recording = open_recording(f"{url}/a.h5")
    assert len(asked) <= 4
    window = recording[200_000:204_096]
    np.testing.assert_array_equal(window.values, VALUES[200_000:204_096] * np.float32(0.5))
    assert (recording.attrs["source"], recording.attrs["units"]) == ("a.h5", "mV")
    assert len(asked) <= 10
    assert sum(asked) <= 10 * BLOCK < (tmp_path / "a.h5").stat().st_size
    again = pickle.loads(pickle.dumps(recording))  # noqa: S301 - our own
    np.testing.assert_array_equal(again[5:8].values, VALUES[5:8] * np.float32(0.5))
    assert describe(f"{url}/a.h5").signals[0].shape == VALUES.shape


def test_texts_of_a_remote_file_are_those_of_the_local_one(tmp_path: Path, served: tuple[str, list[int]]) -> None:
    local = write_nwb(population_recording(n_neurons=8, duration=10.0), tmp_path / "a.nwb")
    here, there = describe(local), describe(f"{served[0]}/a.nwb")
    assert here.attrs["start"]
    assert dict(there.attrs) == dict(here.attrs)
    assert there.findings == here.findings


def test_a_remote_file_may_not_lead_elsewhere(tmp_path: Path, served: tuple[str, list[int]]) -> None:
    with h5py.File(tmp_path / "b.h5", "w") as file:
        file["x"] = [1.0, 2.0]
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["link"] = h5py.ExternalLink(str(tmp_path / "b.h5"), "/x")
        layout = h5py.VirtualLayout((2,), "f8")
        layout[:] = h5py.VirtualSource(str(tmp_path / "b.h5"), "x", (2,))
        file.create_virtual_dataset("v", layout)
    with pytest.raises(DataError, match="refuses for files that lie elsewhere"):
        open_recording(f"{served[0]}/a.h5", "link")
    with pytest.raises(DataError, match="refuses for files that lie elsewhere"):
        open_recording(f"{served[0]}/a.h5", "v").load()


class Fetching:
    """Fetches in a thread of its own, like fsspec, and makes enough objects there for Python to collect garbage."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.doomed = [h5py.h5s.create_simple((2,)) for _ in range(100)]

    def cat_file(self, _: str, *, start: int, end: int) -> bytes:
        cycle: list[Any] = [self.doomed.pop()]
        cycle.append(cycle)
        del cycle
        worker = threading.Thread(target=lambda: [[] for _ in range(20_000)], daemon=True)
        worker.start()
        worker.join(5)
        if worker.is_alive():
            raise OSError("the thread that fetches waits for the lock of h5py")
        return self.data[start:end]


def test_garbage_that_holds_objects_of_h5py_does_not_lock_the_thread_that_fetches(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["x"] = VALUES[:4096]
    data = (tmp_path / "a.h5").read_bytes()
    assert gc.isenabled()
    with h5py.File(Stream(Blocks(Fetching(data), "a.h5", len(data), 0)), "r") as file:
        np.testing.assert_array_equal(file["x"][()], VALUES[:4096])
    assert gc.isenabled()


def test_collection_of_garbage_goes_on_after_a_fetch_that_fails() -> None:
    seen = []

    def fetch() -> None:
        with COLLECTION.paused(), COLLECTION.paused():
            seen.append(gc.isenabled())
            raise KeyError

    with pytest.raises(KeyError):
        fetch()
    assert (seen, gc.isenabled()) == ([False], True)


def test_what_cannot_be_had_says_why(tmp_path: Path, served: tuple[str, list[int]]) -> None:
    (tmp_path / "page.html").write_text("<html>" + "x" * 600)
    with pytest.raises(DataError, match="cannot be read"):
        open_recording(f"{served[0]}/absent.h5")
    with pytest.raises(DataError, match="not HDF5"):
        open_recording(f"{served[0]}/page.html")
    with pytest.raises((MissingDependencyError, DataError), match=r"pip install sciml\[remote\]|cannot be read"):
        open_recording("gs://bucket/a.h5")
