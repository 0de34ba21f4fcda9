from __future__ import annotations

import enum
import math
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carto_like.pure.copytext import CopyValueError, copy_statement, encode_rows


class Colour(enum.IntEnum):
    RED = 1


class Point:
    __geo_interface__ = {"type": "Point", "coordinates": (1.5, 2.0)}  # noqa: RUF012


class Scalar:
    """What numpy's numbers look like from here."""

    dtype = "int64"

    def item(self) -> int:
        return 42


VALUES = [
    (None, "\\N"),
    (True, "t"),
    (False, "f"),
    (7, "7"),
    (10**30, "1" + "0" * 30),
    (0.1, "0.1"),
    (1e300, "1e+300"),
    (math.inf, "inf"),
    (math.nan, "nan"),
    (Decimal("1.50"), "1.50"),
    ("plain", "plain"),
    ("", ""),
    ("\\N", "\\\\N"),
    ("\\.", "\\\\."),
    ("a\tb\nc\rd\\e", "a\\tb\\nc\\rd\\\\e"),
    ("größer 😀", "größer 😀"),
    (date(2026, 1, 2), "2026-01-02"),
    (datetime(2026, 1, 2, 3, 4, 5, 6), "2026-01-02 03:04:05.000006"),
    (datetime(2026, 1, 2, tzinfo=timezone.utc), "2026-01-02 00:00:00+00:00"),
    (time(3, 4, 5), "03:04:05"),
    (timedelta(days=-1, seconds=5), "-1 days 5 seconds 0 microseconds"),
    (UUID(int=1), "00000000-0000-0000-0000-000000000001"),
    (b"\x00\xff", "\\\\x00ff"),
    (bytearray(b"a"), "\\\\x61"),
    (memoryview(b"a"), "\\\\x61"),
    ({"a": ["\n", None, date(2026, 1, 2), Decimal("1.5")]}, '{"a": ["\\\\n", null, "2026-01-02", "1.5"]}'),
    ([1, "ä"], '[1, "ä"]'),
    ((1, 2), "[1, 2]"),
    (Colour.RED, "1"),
    (Point(), '{"type": "Point", "coordinates": [1.5, 2.0]}'),
    (Scalar(), "42"),
]


@pytest.mark.parametrize(("value", "text"), VALUES)
def test_a_value(value: Any, text: str) -> None:
    wanted = text.encode()
    assert b"".join(encode_rows([(value,)])) == wanted + b"\n"
    assert b"".join(encode_rows([(value, 1), (None, 2)])) == wanted + b"\t1\n\\N\t2\n"
    assert b"".join(encode_rows([(value,), ("other",)])) == wanted + b"\nother\n"


def test_all_values_in_one_column() -> None:
    lines = b"".join(encode_rows([(value,) for value, _ in VALUES])).decode().split("\n")
    assert lines[:-1] == [text for _, text in VALUES]


def unescape(text: str) -> str | None:
    if text == "\\N":
        return None
    for escaped, plain in (("\\t", "\t"), ("\\n", "\n"), ("\\r", "\r")):
        text = text.replace("\\\\", "\x00").replace(escaped, plain).replace("\x00", "\\\\")
    return text.replace("\\\\", "\\")


TEXT = st.text(alphabet=st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), max_size=12)


@given(st.lists(st.tuples(st.none() | TEXT, TEXT), max_size=20))
def test_text_can_be_read_back(rows: list[tuple[str | None, str]]) -> None:
    lines = b"".join(encode_rows(rows)).decode().split("\n")[:-1]
    assert [tuple(map(unescape, line.split("\t"))) for line in lines] == rows


def test_mappings_follow_the_names() -> None:
    rows: list[Any] = [{"b": 2, "a": 1, "c": 3}, (4, 5), {"a": None, "b": "x", "c": 0}]
    assert b"".join(encode_rows(rows, ["a", "b"])) == b"1\t2\n4\t5\n\\N\tx\n"
    assert b"".join(encode_rows([{"a": 1}], ["a"])) == b"1\n"


def test_many_rows_come_in_blocks() -> None:
    blocks = encode_rows((number, "x") for number in range(10_000))
    assert sum(block.count(b"\n") for block in blocks) == 10_000


@pytest.mark.parametrize(
    ("rows", "columns", "strict", "message"),
    [
        ([(1, 2), (3,)], None, False, "row 2 has 1 values where 2 are expected"),
        ([(1, 2)], ["a"], False, "row 1 has 2 values where 1 are expected"),
        ([(1,)] * 1500 + [(1, 2)], None, False, "row 1501 has 2"),
        ([()], None, False, "without values"),
        (["text"], None, False, "row 1 is a str"),
        ([b"text"], None, False, "row 1 is a bytes"),
        ([(1,), 5], None, False, "row 2 is a int"),
        ([{"a": 1}], None, False, "names of the columns must be given"),
        ([{"a": 1}, {"b": 1}], ["a"], False, "row 2 has no 'a'; give None"),
        ([{"a": 1}, {"a": 1, "b": 1}], ["a"], True, "row 2 has 'b', which the first row has not"),
        ([(1, "x")] * 1200 + [(1, {1, 2})], ["a", "b"], False, "row 1201, column b: a set has no form"),
        ([(1, object())], None, False, "row 1, column number 2: a object has no form"),
        ([("ok",), ("a\x00b",)], ["n"], False, "row 2, column n: PostgreSQL text cannot hold"),
        ([("a\x00b",), (1,)], ["n"], False, "row 1, column n"),
        ([("\ud800",)], ["n"], False, "row 1, column n: .*surrogates"),
        ([({"a": math.nan},)], ["n"], False, "row 1, column n: .*JSON"),
        ([({"a": {1}},)], ["n"], False, "row 1, column n: a set has no form in JSON"),
    ],
)
def test_what_cannot_be_written(rows: Any, columns: Any, strict: bool, message: str) -> None:
    with pytest.raises(CopyValueError, match=message):
        list(encode_rows(rows, columns, strict=strict))


@pytest.mark.parametrize(
    ("table", "columns", "statement"),
    [
        ("t", None, "COPY t FROM STDIN"),
        ("s.t", ["a", 'b"c'], 'COPY s.t ("a", "b""c") FROM STDIN'),
        ("My Table", ["A"], 'COPY "My Table" ("A") FROM STDIN'),
        ('"x.y".t', None, 'COPY "x.y".t FROM STDIN'),
        ("t; drop table u", None, 'COPY "t; drop table u" FROM STDIN'),
    ],
)
def test_statement(table: str, columns: list[str] | None, statement: str) -> None:
    assert copy_statement(table, columns) == statement
