"""Every code block of README and docs runs, document by document, as a reader would: in order, in one folder."""

import re
import shutil
import warnings

import pytest

from sciml import simulate
from sciml.errors import NoiseFloorWarning
from sciml.io import save_recording
from sciml_cli.app import run
from tests.docs.blocks import DOCUMENTS, REPOSITORY, SHORT, SMALL_NET, TABLE, blocks, commands, execute

TARGETS = re.findall(r"^([a-z]+):", (REPOSITORY / "Makefile").read_text(), re.MULTILINE)
NET = '''"""A net of the reader's own."""
import torch


class MyNet(torch.nn.Module):
    def __init__(self, n_channels, n_times, n_outputs, width=8):
        super().__init__()
        layers = torch.nn.Linear(n_channels, width), torch.nn.ReLU(), torch.nn.Linear(width, n_outputs)
        self.net = torch.nn.Sequential(*layers)

    def forward(self, x):
        return self.net(x.mean(-1))
'''


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """A folder with the files that the documents speak of, a run, and a net of the reader's own."""
    folder = tmp_path_factory.mktemp("documents")
    for seed, name in enumerate(("demo.nwb", "day1.nwb", "day2.nwb", "day3.nwb")):
        simulate.write_nwb(
            simulate.population_recording(n_neurons=12, duration=60.0, n_classes=2, seed=seed), folder / name
        )
    save_recording(simulate.two_photon_movie((14, 14), n_samples=60).recording, folder / "movie.nc")
    out = ["--labels", TABLE, "--out", str(folder / "RUN"), "--quiet"]
    assert run(["fit", str(folder / "demo.nwb"), *out, *SMALL_NET, *SHORT]) == 0
    assert run(["export", str(folder / "RUN"), "-o", str(folder / "net"), "--quiet"]) == 0
    shutil.copy(folder / "net" / "model.safetensors", folder / "net.safetensors")
    shutil.copy(folder / "RUN" / "config.toml", folder / "run.toml")
    (folder / "my_package").mkdir()
    (folder / "my_package" / "nets.py").write_text(NET)
    return folder


@pytest.fixture
def here(prepared, tmp_path, monkeypatch):
    shutil.copytree(prepared, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def with_blocks(language):
    return sorted({block.document for block in blocks(language)}, key=DOCUMENTS.index)


@pytest.mark.parametrize("document", with_blocks("sh"), ids=lambda document: document.stem)
def test_shell_blocks_run(document, here, capsys):
    for words in (words for block in blocks("sh") if block.document == document for words in commands(block)):
        if words[0] == "make":
            assert words[1] in TARGETS
        elif words[:2] != ["sciml", "demo"]:  # which has tests of its own
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                assert execute(words) == 0, (words, capsys.readouterr().err)


@pytest.mark.parametrize("document", with_blocks("python"), ids=lambda document: document.stem)
def test_python_blocks_run(document, here):
    namespace: dict[str, object] = {"__name__": "document"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NoiseFloorWarning)
        for block in blocks("python"):
            if block.document == document:
                exec(compile(block.text, f"{block.name}.py", "exec"), namespace)  # noqa: S102
