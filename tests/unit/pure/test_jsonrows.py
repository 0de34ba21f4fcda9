from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carto_like.pure.jsonrows import JsonRows

ROWS = [
    {"id": 1, "name": 'a"},{"b', "the_geom": "0101" * 40, "n": None},
    {"id": -2.5e10, "name": "größer 😀 ]}", "x": {"deep": [1, [2, {"y": "]"}]]}},
    {},
]
DOCUMENT = {"rows": ROWS, "time": 0.125, "fields": {"id": {"type": "number"}}, "total_rows": 3}
FORMS = [
    json.dumps(DOCUMENT).encode(),
    json.dumps(DOCUMENT, ensure_ascii=False, separators=(",", ":")).encode(),
    json.dumps(DOCUMENT, indent=2).encode(),
    json.dumps(dict(reversed(DOCUMENT.items()))).encode(),
]


def read(document: bytes, size: int) -> tuple[list[Any], dict[str, Any]]:
    rows = JsonRows(document[start : start + size] for start in range(0, len(document), size))
    return list(rows), rows.rest


@pytest.mark.parametrize("document", FORMS)
@pytest.mark.parametrize("size", [1, 2, 3, 5, 17, 64, 100_000])
def test_any_form_cut_anywhere(document: bytes, size: int) -> None:
    rows, rest = read(document, size)
    assert rows == ROWS
    assert rest == {name: value for name, value in DOCUMENT.items() if name != "rows"}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


@given(st.lists(JSON, max_size=5), st.dictionaries(st.text(min_size=5), JSON, max_size=3), st.integers(1, 40))
def test_any_rows(rows: list[Any], others: dict[str, Any], size: int) -> None:
    document = {"a": 12, **others, "rows": rows, "z": 34}
    assert read(json.dumps(document).encode(), size) == (rows, {"a": 12, **others, "z": 34})


def test_rows_come_before_the_document_is_complete() -> None:
    def blocks() -> Any:
        yield b'{"rows":[{"a":1},{"a":2},'
        raise AssertionError("read too far")

    rows = iter(JsonRows(blocks()))
    assert [next(rows), next(rows)] == [{"a": 1}, {"a": 2}]


def test_documents_without_rows() -> None:
    assert read(b"{}", 1) == ([], {})
    assert read(b' { "rows" : [ ] } ', 1) == ([], {})
    assert read(b'{"rows":null,"error":["no"]}', 3) == ([], {"rows": None, "error": ["no"]})


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"[]",
        b"<html>",
        b'{"rows":[{"a":1}',
        b'{"rows":[{"a":1},',
        b'{"rows":[1 2]}',
        b'{"rows":[{]}',
        b'{"rows":["\xff"]}',
    ],
)
@pytest.mark.parametrize("size", [1, 1000])
def test_what_is_not_such_a_document(document: bytes, size: int) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        read(document, size)


def test_a_huge_row_is_not_parsed_once_per_block() -> None:
    row = {"the_geom": "01" * 5_000_000}
    rows, _ = read(json.dumps({"rows": [row, row]}).encode(), 16 * 1024)
    assert rows == [row, row]
