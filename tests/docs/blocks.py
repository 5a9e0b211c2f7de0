"""Code blocks of the documents, and how the shell's are run: in this process, on small files, on a few steps."""

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

from sciml_cli.app import run

REPOSITORY = Path(__file__).parents[2]
DOCUMENTS = (REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").glob("*.md")))
BLOCK = re.compile(r"^```(python|sh)\n(.*?)^```$", re.MULTILINE | re.DOTALL)

TABLE = "intervals/trials:stimulus"
# What stands for the reader's own files and names.
NAMES = {
    "FILE": "demo.nwb", "SIGNAL": "RoiResponseSeries", "MOVIE": "movie.nc", "DAY1": "day1.nwb", "DAY2": "day2.nwb",
    "DAY3": "day3.nwb", "TABLE:COLUMN": TABLE, "RUN1": "RUN", "RUN2": "RUN", "DIR": "exported", "OUT": "predicted.nc",
    "FOLDER.zarr": "folder.zarr",
}  # fmt: skip
SMALL_NET = ("--set", "model.name=resnet1d", "--set", "model.options.width=4", "--set", "model.options.blocks=1")
SHORT = (
    "--set",
    "train.steps=12",
    "--set",
    "train.device=cpu",
    "--set",
    "track.every=1",
    "--set",
    "track.budget=1",
)  # a net is trained a little, not well
FITS = {
    "regress": ["--set", "windows.length=1"],
    "forecast": ["--set", "windows.length=1", "--set", "windows.horizon=0.5", "--set", "windows.step=3"],
}


@dataclass(frozen=True)
class Block:
    """A block of a document: its language, text, and where it stands."""

    document: Path
    number: int
    language: str
    text: str

    @property
    def name(self) -> str:
        """For the list of tests."""
        return f"{self.document.stem}-{self.number}"


def blocks(language: str) -> list[Block]:
    """Return the blocks of a language, of all documents."""
    found = []
    for document in DOCUMENTS:
        for number, match in enumerate(BLOCK.finditer(document.read_text())):
            if match[1] == language:
                found.append(Block(document, number, *match.groups()))
    return found


def commands(block: Block) -> list[list[str]]:
    """Return the words of each command of a block, with names in place of what stands for them."""
    text = block.text.replace("\\\n", " ")
    lines = (shlex.split(line, comments=True) for line in text.splitlines())
    return [[NAMES.get(word, word) for word in line] for line in lines if line]


def execute(words: list[str]) -> int:
    """Run one command line and return its exit code."""
    program, *rest = words
    if program == "torchrun":
        return execute(["sciml", *rest[rest.index("sciml_cli") + 1 :]])
    assert program == "sciml", words
    return run(shortened(rest))


def shortened(words: list[str]) -> list[str]:
    """Return a command line that does the same in less time, and may write where it wrote before."""
    command = words[0]
    if command == "fit" and "--dry-run" not in words:
        task = words[words.index("--task") + 1] if "--task" in words else "classify"
        net = [] if "--model" in words else SMALL_NET
        return [*words, *FITS.get(task, []), *net, *SHORT, "--overwrite"]
    if command == "init":
        return [*words, "--method", "he"] if "--method" not in words else words
    writes = {"denoise", "convert", "preprocess"}
    return [*words, "--overwrite"] if command in writes and "-o" in words and "--overwrite" not in words else words
