"""The document: one page that stands alone, one JSON document with the same numbers."""

import json
import math
import os
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from sciml.errors import ConfigError, StorageError
from sciml.report import Figure, Finding, Report, Section, Table
from sciml.report.document.plain import plain

VOID = {"meta", "br", "wbr", "hr", "img", "link", "input"}
HOSTILE = "<script>alert(1)</script>\"'&<img src=http://evil.example/x.png> $\\frac{x}$ \x00\udc80"


class Outline(HTMLParser):
    """Keep what a validity check needs: the open elements, all tags with attributes, ids."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.faults: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.faults.append(f"</{tag}> at {self.getpos()}")


def outline(page: str) -> Outline:
    parser = Outline()
    parser.feed(page)
    parser.close()
    return parser


def document(**changes: object) -> Report:
    svg = (
        '<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-labelledby="title desc"><title id="title">t</title>'
        '<desc id="desc">d</desc><g id="m"/><use xlink:href="#m"/>'
        '<path clip-path="url(#m)" style="fill:#aabbcc"/></svg>'
    )
    table = Table("Values", ("name", "value"), (("a", 1.5), ("b", math.nan)))
    figure = Figure(svg=svg, title="A figure", description="What it shows.", table=table, data={"y": np.arange(3.0)})
    section = Section("Evidence", "One.\n\nTwo.", figures=(figure, figure), tables=(table,))
    fields = {"title": "A title", "kind": "recording", "findings": (Finding("Found."),), "sections": (section,)}
    return Report(**{**fields, **changes})  # type: ignore[arg-type]


def test_page_is_balanced_and_stands_alone() -> None:
    page = document(methods="Done so (Welch 1967).", references=("Welch",), config={"a": {"b": 1}}).to_html()
    found = outline(page)
    assert found.faults == []
    assert found.open == []
    assert all(tag not in {"script", "link", "iframe"} for tag, _ in found.tags)
    for tag, attributes in found.tags:
        for name in ("src", "href", "xlink:href"):
            target = attributes.get(name)
            assert target is None or target.startswith(("#", "data:image/png")), (tag, target)
    assert "@import" not in page
    assert "url(http" not in page


def test_ids_are_unique_and_references_find_them() -> None:
    found = outline(document().to_html())
    ids = [a["id"] for _, a in found.tags if "id" in a]
    assert len(ids) == len(set(ids))
    referred = {i for _, a in found.tags for i in (a.get("aria-labelledby") or "").split()}
    referred |= {
        (a.get(n) or "#")[1:] for _, a in found.tags for n in ("href", "xlink:href") if (a.get(n) or "")[:1] == "#"
    }
    referred |= {(a.get("clip-path") or "")[5:-1] for _, a in found.tags if a.get("clip-path")}
    assert referred
    assert referred <= set(ids)


def test_color_in_a_drawing_is_not_taken_for_a_reference() -> None:
    assert "fill:#aabbcc" in document().to_html()


def test_findings_come_before_sections_and_say_their_severity_in_words() -> None:
    findings = (Finding("Alpha."), Finding("Beta.", "caution"))
    page = document(findings=findings).to_html()
    page = page[page.index("<body>") :]
    assert page.index("Alpha.") < page.index("</span> caution") < page.index("Beta.") < page.index('<h2 id="h-s1"')


def test_tables_name_rows_and_columns() -> None:
    found = outline(document().to_html())
    scopes = [a.get("scope") for tag, a in found.tags if tag == "th"]
    assert set(scopes) == {"row", "col"}


@pytest.mark.parametrize("place", ["title", "subject", "finding", "section", "cell", "column", "config", "key"])
def test_hostile_text_is_escaped_everywhere(place: str) -> None:
    table = Table(
        HOSTILE if place == "cell" else "T",
        (HOSTILE if place == "column" else "name", "value"),
        ((HOSTILE if place == "cell" else "x", 1),),
    )
    report = Report(
        title=HOSTILE if place == "title" else "T",
        kind="recording",
        subject=HOSTILE if place == "subject" else "",
        facts=((HOSTILE, HOSTILE),) if place == "title" else (),
        findings=(Finding(HOSTILE if place == "finding" else "x"),),
        sections=(Section(HOSTILE if place == "section" else "S", HOSTILE, tables=(table,)),),
        config={HOSTILE if place == "key" else "k": HOSTILE if place == "config" else 1},
        methods=HOSTILE,
        references=(HOSTILE,),
    )
    page = report.to_html()
    found = outline(page)
    assert found.faults == []
    assert {tag for tag, _ in found.tags}.isdisjoint({"script", "img"})
    assert "&lt;script&gt;" in page
    page.encode("utf-8")
    assert "\x00" not in page
    json.loads(report.to_json()).keys()
    report.to_json().encode("utf-8")


def test_json_has_no_nan_and_says_where_it_was() -> None:
    numbers = {"a/b": [1.0, float("inf")], "c": np.array([np.nan, 2.0]), "d": -math.inf}
    text = document(numbers=numbers).to_json()

    def refuse(token: str) -> float:
        raise AssertionError(token)

    content = json.loads(text, parse_constant=refuse)
    assert content["numbers"] == {"a/b": [1.0, None], "c": [None, 2.0], "d": None}
    flags = content["not_finite"]
    assert flags["/numbers/a~1b/1"] == "inf"
    assert flags["/numbers/c/0"] == "nan"
    assert flags["/numbers/d"] == "-inf"
    assert flags["/sections/0/tables/0/rows/1/1"] == "nan"


def test_json_pointers_of_not_finite_lead_to_null() -> None:
    content = json.loads(document().to_json())
    assert content["not_finite"]
    for pointer in content["not_finite"]:
        value = content
        for token in pointer.split("/")[1:]:
            token = token.replace("~1", "/").replace("~0", "~")
            value = value[int(token)] if isinstance(value, list) else value[token]
        assert value is None


def test_json_has_a_schema_and_the_numbers_of_figures() -> None:
    content = json.loads(document().to_json())
    assert content["schema"] == "sciml.report/1"
    assert content["sections"][0]["figures"][0]["data"] == {"y": [0.0, 1.0, 2.0]}
    assert "svg" not in content["sections"][0]["figures"][0]


def test_plain_knows_numbers_of_every_kind() -> None:
    values = {"i": np.int64(3), "f": np.float32(0.5), "b": np.bool_(True), "z": 1 + 2j, "p": Path("a"), "s": {"b", "a"}}
    assert plain(values, flags={}) == {
        "i": 3,
        "f": 0.5,
        "b": True,
        "z": {"real": 1.0, "imag": 2.0},
        "p": "a",
        "s": ["a", "b"],
    }


def test_output_is_reproducible() -> None:
    assert document().to_html() == document().to_html()
    assert document().to_json() == document().to_json()


def test_a_row_of_the_wrong_length_is_refused() -> None:
    with pytest.raises(ConfigError, match="rows of 2 cells"):
        Table("T", ("a", "b"), ((1,),))


@pytest.mark.parametrize("method", ["to_html", "to_json"])
def test_an_existing_file_is_kept_unless_overwrite(tmp_path: Path, method: str) -> None:
    path = tmp_path / "out"
    path.write_text("mine")
    with pytest.raises(StorageError, match="exists"):
        getattr(document(), method)(path)
    assert path.read_text() == "mine"
    assert getattr(document(), method)(path, overwrite=True) == path
    assert path.read_text() == getattr(document(), method)()


def test_a_full_disk_leaves_the_old_report_and_no_litter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "report.html"
    path.write_text("old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageError, match="the disk is full") as caught:
        document().to_html(path, overwrite=True)
    assert caught.value.exit_code == 74
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["report.html"]


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="does not exist"):
        document().to_html(tmp_path / "no" / "report.html")


def test_notebook_form_is_a_frame_that_cannot_run_scripts() -> None:
    found = outline(document()._repr_html_())
    (tag, attributes), *_ = found.tags
    assert tag == "iframe"
    assert attributes["sandbox"] == "allow-same-origin"
    assert (attributes["srcdoc"] or "").startswith("<!doctype html>")
