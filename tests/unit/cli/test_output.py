"""Results go to stdout, row by row, in the shape that was asked for."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from typing import Any

import pytest

from carto_like.cli import output

ROWS: list[dict[str, Any]] = [{"name": "Évora, city", "tags": ["a", 1]}, {"name": None, "tags": {"x": True}}]


def test_json_rows_are_one_list(capsys: pytest.CaptureFixture[str]) -> None:
    assert output.print_json_rows(ROWS) == 2
    assert json.loads(capsys.readouterr().out) == ROWS


def test_no_json_rows_are_an_empty_list(capsys: pytest.CaptureFixture[str]) -> None:
    assert output.print_json_rows([]) == 0
    assert json.loads(capsys.readouterr().out) == []


def test_json_rows_are_printed_as_they_come(capsys: pytest.CaptureFixture[str]) -> None:
    seen = []

    def rows() -> Iterator[dict[str, Any]]:
        for number in range(3):
            seen.append(capsys.readouterr().out)
            yield {"n": number}

    output.print_json_rows(rows())
    assert '{"n": 0}' in seen[1]
    assert '{"n": 1}' in seen[2]


def test_csv_quotes_and_embeds_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert output.print_csv(["name", "tags"], ROWS) == 2
    lines = list(csv.reader(io.StringIO(capsys.readouterr().out)))
    assert lines == [["name", "tags"], ["Évora, city", '["a", 1]'], ["", '{"x": true}']]


def test_table_shows_every_cell_whole_when_nobody_looks(capsys: pytest.CaptureFixture[str]) -> None:
    wide = "x" * 300
    assert output.print_table(["name", "tags"], [{"name": wide, "tags": "[bold]not markup[/bold]"}]) == 1
    out = capsys.readouterr().out
    assert wide in out
    assert "[bold]not markup[/bold]" in out


def test_table_stops_and_says_so(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(output, "SHOWN_ROWS", 2)
    assert output.print_table(["n"], ({"n": f"row {n}"} for n in range(5))) == 2
    captured = capsys.readouterr()
    assert "row 1" in captured.out
    assert "row 2" not in captured.out
    assert "first 2 rows" in captured.err


def test_record_is_a_line_for_each_attribute(capsys: pytest.CaptureFixture[str]) -> None:
    output.print_record({"id": "7", "description": None, "tags": ["a"]})
    assert capsys.readouterr().out.splitlines() == ["id           7", "description  ", 'tags         ["a"]']
