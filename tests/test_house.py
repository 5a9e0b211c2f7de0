"""The house stays one that a newcomer finds the way in: sizes of folders, files, functions and records; its words."""

import ast
import io
import keyword
import re
import statistics
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]
PACKAGES = (REPOSITORY / "sciml", REPOSITORY / "cli" / "sciml_cli")
FILES = tuple(path for package in PACKAGES for path in sorted(package.rglob("*.py")))

MOST_FILES, MOST_LINES, MOST_FIELDS, MOST_PARAMETERS = 14, 500, 20, 10
MANY_FILES = {"sciml/io/readers"}  # one file a format
MANY_PARAMETERS = {"open_recording", "denoise_patches", "denoise_patches_to_file"}
TYPICAL_BODY, LONG_BODY = 5, 16  # lines: the median, and what nine in ten stay within

# Private words for what has a standard term; `docs/glossary.md` has the terms.
WORDS = """
abreast baggage beside course courses excerpt excerpts freedom heap heard hidden holes inflate journey joined
judge judged judgment live loud loudness looks lost mixing obstacle observe observed planted projector
refusals refuted seen settle settled slow stamp stamps stated stretch stretches stronger taken textbook ticks
tried turned turning twins unsure waves
"""
PRIVATE = frozenset(WORDS.split())
FORMATS = {"sciml/train/loop.py": {"seen"}}  # keys of files that exist
# The terms themselves, and names of other libraries.
TERMS = (
    r"(?i:time_?courses?)|degrees_of_freedom|ranks_tried|global_?heaps?|(log|number|index)_ticks|tick_params|[xy]?ticks"
    r"|looks_linear"
)


def relative(path: Path) -> str:
    return path.relative_to(REPOSITORY).as_posix()


def nodes(kind: type[ast.AST]) -> Iterator[tuple[str, ast.AST]]:
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, kind):
                yield relative(path), node


def body_lines(function: ast.FunctionDef) -> int:
    documented = isinstance(function.body[0], ast.Expr) and isinstance(function.body[0].value, ast.Constant)
    first = function.body[1] if documented and len(function.body) > 1 else function.body[0]
    return (function.end_lineno or first.lineno) - first.lineno + 1


def test_folders_hold_few_files() -> None:
    folders = {path.parent for path in FILES}
    sizes = {relative(folder): sum(path.is_file() for path in folder.iterdir()) for folder in folders}
    assert {folder: n for folder, n in sizes.items() if n > MOST_FILES and folder not in MANY_FILES} == {}


def test_files_are_read_in_one_sitting() -> None:
    lines = {relative(path): len(path.read_text().splitlines()) for path in FILES}
    assert {path: n for path, n in lines.items() if n > MOST_LINES} == {}


def test_records_have_few_fields() -> None:
    found = {}
    for path, node in nodes(ast.ClassDef):
        assert isinstance(node, ast.ClassDef)
        fields = [part for part in node.body if isinstance(part, ast.AnnAssign)]
        if len(fields) > MOST_FIELDS:
            found[path, node.name] = len(fields)
    assert found == {}


def test_functions_take_few_arguments() -> None:
    found = {}
    for path, node in nodes(ast.FunctionDef):
        assert isinstance(node, ast.FunctionDef)
        names = [each.arg for each in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)]
        n = len([name for name in names if name not in ("self", "cls")])
        if n > MOST_PARAMETERS and node.name not in MANY_PARAMETERS:
            found[path, node.name] = n
    assert found == {}


def test_functions_are_short() -> None:
    sizes = sorted(body_lines(node) for _, node in nodes(ast.FunctionDef) if isinstance(node, ast.FunctionDef))
    assert statistics.median(sizes) <= TYPICAL_BODY
    assert sizes[int(0.9 * len(sizes))] <= LONG_BODY


@pytest.mark.parametrize("path", FILES, ids=relative)
def test_names_are_the_terms_of_the_field(path: Path) -> None:
    tokens = tokenize.generate_tokens(io.StringIO(path.read_text()).readline)
    names = {each.string for each in tokens if each.type == tokenize.NAME and not keyword.iskeyword(each.string)}
    private = {
        name
        for name in names
        if PRIVATE & {part.lower() for part in re.findall(r"[A-Z]?[a-z0-9]+|[A-Z]+", re.sub(TERMS, "", name))}
    }
    assert private <= FORMATS.get(relative(path), set())
