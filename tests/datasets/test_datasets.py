import hashlib
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import h5py
import pytest
import tomli_w

from sciml import datasets
from sciml.errors import ConfigError, DataError, StorageError
from sciml.simulate import population_recording, write_nwb

CONTENT = b"one recording\n" * 100
COMMON = {"description": "d", "license": "CC0-1.0", "citation": ["c"], "units": "V", "shape": [3, 2]}


@dataclass
class Server:
    """A web server on this machine that has one file and counts who asks for it."""

    url: str
    requests: list[str] = field(default_factory=list)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer.requests.append(self.path)
            found = self.path == "/a.h5"
            self.send_response(200 if found else 404)
            self.send_header("Content-Length", str(len(CONTENT) if found else 0))
            self.end_headers()
            self.wfile.write(CONTENT if found else b"")

        def log_message(self, *args: object) -> None:
            """Stay silent."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as httpd:
        answer = Server(f"http://127.0.0.1:{httpd.server_port}")
        thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        yield answer
        httpd.shutdown()
        thread.join(timeout=10)


@pytest.fixture
def registry(server: Server, tmp_path: Path) -> Path:
    sha256 = hashlib.sha256(CONTENT).hexdigest()
    path = tmp_path / "registry.toml"
    entries: dict[str, dict[str, Any]] = {
        "good": {"file": "a.h5", "url": f"{server.url}/a.h5", "sha256": sha256},
        "changed": {"file": "changed.h5", "url": f"{server.url}/a.h5", "sha256": "0" * 64},
        "absent": {"file": "b.h5", "url": f"{server.url}/b.h5", "sha256": sha256},
        # port 9 (discard) of this machine: nobody listens there
        "unreachable": {"file": "c.h5", "url": "http://127.0.0.1:9/c.h5", "sha256": sha256},
        "small": {
            "file": "small.nwb",
            "generator": "population_recording",
            "parameters": {"n_neurons": 6, "duration": 20.0, "seed": 7},
        },
        "unknown-generator": {"file": "x.nwb", "generator": "weather"},
        "wrong-parameters": {"file": "x.nwb", "generator": "population_recording", "parameters": {"n_cats": 3}},
    }
    path.write_text(tomli_w.dumps({name: {**COMMON, **entry} for name, entry in entries.items()}))
    return path


def test_a_file_is_fetched_once_and_then_taken_from_the_folder(server, registry, tmp_path):
    folder = tmp_path / "cache"
    first = datasets.fetch("good", folder=folder, registry=registry)
    second = datasets.fetch("good", folder=folder, registry=registry)
    assert first == second == folder / "a.h5"
    assert first.read_bytes() == CONTENT
    assert server.requests == ["/a.h5"]


def test_a_damaged_copy_is_fetched_again(server, registry, tmp_path):
    datasets.fetch("good", folder=tmp_path, registry=registry).write_bytes(b"damaged")
    assert datasets.fetch("good", folder=tmp_path, registry=registry).read_bytes() == CONTENT
    assert len(server.requests) == 2


def test_bytes_with_another_hash_are_refused_and_not_kept(registry, tmp_path):
    folder = tmp_path / "cache"
    with pytest.raises(DataError, match=r"expected 'changed' to have sha256 0000.*nothing was kept"):
        datasets.fetch("changed", folder=folder, registry=registry)
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("name", ["absent", "unreachable"])
def test_a_server_without_the_file_or_no_server_is_an_error_with_a_remedy(registry, tmp_path, name):
    with pytest.raises(DataError, match=rf"could not fetch '{name}' from http.*put it at"):
        datasets.fetch(name, folder=tmp_path / "cache", registry=registry)


def test_the_remedy_works_a_file_put_there_by_hand_needs_no_server(server, registry, tmp_path):
    (tmp_path / "c.h5").write_bytes(CONTENT)
    assert datasets.fetch("unreachable", folder=tmp_path, registry=registry) == tmp_path / "c.h5"
    assert server.requests == []


def test_a_folder_that_cannot_be_written_is_a_storage_error(registry, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="SCIML_DATA_DIR"):
        datasets.fetch("good", folder=tmp_path / "file", registry=registry)


def test_the_environment_chooses_the_folder(registry, tmp_path, monkeypatch):
    monkeypatch.setenv("SCIML_DATA_DIR", str(tmp_path / "elsewhere"))
    assert datasets.fetch("good", registry=registry).parent == tmp_path / "elsewhere"
    monkeypatch.delenv("SCIML_DATA_DIR")
    assert datasets.cache_folder().name == "sciml"


def test_an_unknown_name_suggests_the_nearest():
    with pytest.raises(ConfigError, match="did you mean 'gw150914-h1'"):
        datasets.find("gw150914-h")
    with pytest.raises(ConfigError, match="named 'zzz'; the registry has gw150914-h1, gw150914-l1, demo"):
        datasets.fetch("zzz")


def test_make_writes_what_the_generator_returns(registry, tmp_path):
    path = datasets.make("small", tmp_path / "small.nwb", registry=registry)
    expected = write_nwb(population_recording(n_neurons=6, duration=20.0, seed=7), tmp_path / "expected.nwb")
    assert path.read_bytes() == expected.read_bytes()
    with pytest.raises(StorageError, match="exists; choose another name"):
        datasets.make("small", path, registry=registry)
    assert datasets.make("small", path, overwrite=True, registry=registry) == path


def test_make_names_the_file_as_the_registry_does(registry, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    datasets.make("small", registry=registry)
    assert h5py.is_hdf5(tmp_path / "small.nwb")


def test_what_is_made_is_not_fetched_nor_the_reverse(registry):
    with pytest.raises(ConfigError, match="made, not fetched"):
        datasets.fetch("small", registry=registry)
    with pytest.raises(ConfigError, match="fetched, not made"):
        datasets.make("good", registry=registry)


@pytest.mark.parametrize(("name", "message"), [("unknown-generator", "'weather'"), ("wrong-parameters", "n_cats")])
def test_a_generator_that_does_not_fit_is_named(registry, tmp_path, name, message):
    with pytest.raises(ConfigError, match=message):
        datasets.make(name, tmp_path / "x.nwb", registry=registry)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[a", "in TOML"),
        ("a = 1", "entry 'a'"),
        ("[a]\nfile='x'", "citation"),
        (tomli_w.dumps({"a": {**COMMON, "file": "x", "generator": "g", "colour": "red"}}), "colour"),
        (tomli_w.dumps({"a": {**COMMON, "file": "x"}}), "either url with sha256 or generator"),
        (tomli_w.dumps({"a": {**COMMON, "file": "x", "url": "http://x"}}), "either url with sha256 or generator"),
    ],
)
def test_a_malformed_registry_says_what_is_wrong(tmp_path, text, message):
    path = tmp_path / "registry.toml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=message):
        datasets.available(registry=path)


def test_a_missing_registry_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"absent\.toml"):
        datasets.available(registry=tmp_path / "absent.toml")


@pytest.mark.parametrize(("name", "file"), [("gw150914-h1", "H1"), ("gw150914-l1", "L1")])
def test_the_registered_strain_files_are_the_test_recordings(data_dir, name, file):
    entry, path = datasets.find(name), data_dir / f"gwosc_{file}_GW150914_4k_32s.hdf5"
    assert hashlib.sha256(path.read_bytes()).hexdigest() == entry.sha256
    with h5py.File(path) as strain:
        assert strain["strain/Strain"].shape == entry.shape
        assert strain["meta/Detector"][()].decode() == file


def test_the_registered_demo_is_what_the_generator_makes_by_default(tmp_path):
    entry = datasets.find("demo")
    path = datasets.make("demo", tmp_path / "demo.nwb")
    with h5py.File(path) as file:
        data = file["processing/ophys/DfOverF/RoiResponseSeries/data"]
        assert (data.shape, data.attrs["unit"]) == (entry.shape, entry.units)
    assert path.read_bytes() == write_nwb(population_recording(), tmp_path / "default.nwb").read_bytes()


def test_an_installed_package_finds_its_registry_without_the_repository(tmp_path, monkeypatch):
    monkeypatch.setattr(datasets, "__file__", str(tmp_path / "site-packages" / "sciml" / "datasets.py"))
    path = datasets._registry()
    assert path.parts[-3:] == ("share", "sciml", "registry.toml")
    assert path.is_file()


def test_listing_the_registry_loads_no_array_library():
    code = (
        "import sys, sciml.datasets as d; d.available();"
        "print([m for m in ('numpy', 'xarray', 'torch', 'pooch') if m in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert result.stdout.strip() == "[]"


@pytest.mark.parametrize(
    "file", ["../a.h5", "/a.h5", "a/../../b.h5", "a/b.h5", "..", ".", "", "a\\b.h5", "a\x1b.h5", 3]
)
def test_a_file_name_cannot_leave_its_folder(tmp_path: Path, file: object) -> None:
    path = tmp_path / "registry.toml"
    entry = {**COMMON, "file": file, "url": "http://127.0.0.1:9/a.h5", "sha256": "0" * 64}
    path.write_text(tomli_w.dumps({"evil": entry}))
    for action in (datasets.fetch, datasets.make):
        with pytest.raises(ConfigError, match="a name without a folder"):
            action("evil", registry=path)


def test_parts_of_killed_downloads_go_with_the_next(registry: Path, tmp_path: Path) -> None:
    folder = tmp_path / "kept"
    folder.mkdir()
    name = datasets.find("good", registry=registry).file
    (folder / f".{name}.01234567.part").write_bytes(b"half")
    datasets.fetch("good", folder=folder, registry=registry)
    assert [each.name for each in folder.iterdir()] == [name]
