from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carto_like.pure.pgcopy import Copy, parse_copy


def parsed(sql: str) -> Copy:
    copy = parse_copy(sql)
    assert copy is not None
    return copy


def test_every_part_is_found() -> None:
    copy = parsed('COPY "A b".t (a, "B""c") FROM STDIN WITH (FORMAT csv, HEADER true); select 1; select 2')
    assert copy == Copy(
        direction="from",
        table=("A b", "t"),
        target='"A b".t',
        columns=("a", 'B"c'),
        endpoint="client",
        rest="WITH (FORMAT csv, HEADER true)",
        format="csv",
        following=("select 1", "select 2"),
    )


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("copy T to stdout", {"direction": "to", "table": ("t",), "columns": None, "format": "text"}),
        (
            "COPY (select ';' from (select 1) x) TO STDOUT",
            {"table": None, "direction": "to", "following": ()},
        ),
        ("copy t from '/x'", {"endpoint": "server"}),
        ("copy t to program 'cat'", {"endpoint": "server"}),
        ("copy t from stdin csv header", {"format": "csv", "rest": "csv header"}),
        ("copy t from stdin binary", {"format": "binary"}),
        ("copy binary t from stdin", {"format": "binary", "table": ("t",)}),
        ("copy binary from stdin", {"format": "text", "table": ("binary",)}),
        ("copy t from stdin (format 'CSV')", {"format": "csv"}),
        ("copy t from stdin (delimiter 'csv')", {"format": "text"}),
        ("/* a */ copy -- b\n t from /* c */ stdin where a > 1", {"rest": "where a > 1"}),
    ],
)
def test_all_spellings(sql: str, expected: dict[str, Any]) -> None:
    copy = parsed(sql)
    assert {name: getattr(copy, name) for name in expected} == expected


@pytest.mark.parametrize(
    "sql",
    [
        "",
        "select 1",
        "copy",
        "copy t",
        "copy t from",
        "copy from stdin",
        "copy (select 1",
        "copy t (a from stdin",
    ],
)
def test_what_is_no_copy_is_none(sql: str) -> None:
    assert parse_copy(sql) is None


@given(
    st.lists(st.sampled_from(["copy", "t", "(", ")", "from", "to", "stdin", '"', "'", ".", ",", "with", ";"]))
)
def test_nonsense_raises_nothing(words: list[str]) -> None:
    copy = parse_copy(" ".join(["copy", *words]))
    assert copy is None or copy.direction in ("from", "to")
