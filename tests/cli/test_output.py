"""What is printed: JSON that any parser reads, tables that line up."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sciml_cli.output import emit, number, plain, size, table


@dataclass(frozen=True)
class Result:
    edge: float
    path: Path


def test_json_is_one_document_with_a_schema_and_no_nan(capsys) -> None:
    emit("noise", {"values": np.array([1.0, np.nan, np.inf]), "result": Result(float("nan"), Path("a.h5"))})

    def refuse(token: str) -> None:
        raise AssertionError(f"{token} is not JSON")

    document = json.loads(capsys.readouterr().out, parse_constant=refuse)
    assert document == {
        "schema": "sciml.noise/1",
        "values": [1.0, None, None],
        "result": {"edge": None, "path": "a.h5"},
    }


def test_plain_knows_what_results_are_made_of() -> None:
    value = {"n": np.int64(3), "flag": np.bool_(True), "names": ("a", "b"), 4: {"x": np.float32(0.5)}, "bytes": b"ab"}
    assert plain(value) == {"n": 3, "flag": True, "names": ["a", "b"], "4": {"x": 0.5}, "bytes": "b'ab'"}


def test_tables_line_up() -> None:
    lines = table(["signal", "rate"], [["a/long/path", "1 Hz"], ["b", "20 Hz"]]).splitlines()
    assert lines == [
        "signal        rate",
        "-----------  -----",
        "a/long/path   1 Hz",
        "b            20 Hz",
    ]


def test_an_empty_table_is_its_head() -> None:
    assert table(["a", "bb"], []) == "a  bb\n-  --"


def test_numbers_and_sizes_read_well() -> None:
    assert [number(1234.5678, "Hz"), number(float("inf")), number(None)] == ["1.235 kHz", "-", "-"]
    assert [size(12), size(2048), size(5 * 2**30)] == ["12 B", "2.0 KiB", "5.0 GiB"]
