from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carto_like.pure.pgtext import (
    leading_keyword,
    may_write,
    quote_identifier,
    quote_literal,
    split_statements,
    tokens,
    window,
    without_semicolon,
)

ALPHABET = "a'\"$;()/*-\\ \nEeselct_1é."


def windowed(sql: str, **options: Any) -> str:
    return window(sql, **{"order_by": None, "descending": None, "limit": 2, "offset": 4, **options})


@given(st.text(ALPHABET))
def test_tokens_joined_are_the_text(sql: str) -> None:
    assert "".join(token.text for token in tokens(sql)) == sql


@given(st.text(ALPHABET))
def test_splitting_loses_nothing_but_semicolons_and_blanks(sql: str) -> None:
    for statement in split_statements(sql):
        assert statement in sql
        assert split_statements(statement)


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("", []),
        (" ;; -- nothing\n; /* nor here */ ", []),
        ("select 1", ["select 1"]),
        ("select 1; select 2;", ["select 1", "select 2"]),
        ("select ';', \";\"", ["select ';', \";\""]),
        (r"select E'\';'; select 2", [r"select E'\';'", "select 2"]),
        ("select 'it''s;'; select 2", ["select 'it''s;'", "select 2"]),
        ("select $$;$$, $a$;$$;$a$; select 2", ["select $$;$$, $a$;$$;$a$", "select 2"]),
        ("select a$b$; select 2", ["select a$b$", "select 2"]),
        ("select 1 /* ; /* ; */ ; */; select 2 -- ;", ["select 1 /* ; /* ; */ ; */", "select 2"]),
        (
            "create rule r as on insert to t do (select 1; select 2); select 3",
            ["create rule r as on insert to t do (select 1; select 2)", "select 3"],
        ),
        (
            "create or replace function f() returns int begin atomic select case when true then 1 end; "
            "select 2; end; select 3",
            [
                "create or replace function f() returns int begin atomic select case when true then 1 end; "
                "select 2; end",
                "select 3",
            ],
        ),
        ("begin; select 1; end; select 2", ["begin", "select 1", "end", "select 2"]),
        ("select 'unterminated; select 2", ["select 'unterminated; select 2"]),
        ('select é; select "é;"', ["select é", 'select "é;"']),
    ],
)
def test_statements_are_split_where_postgresql_does(sql: str, expected: list[str]) -> None:
    assert split_statements(sql) == expected


@pytest.mark.parametrize(
    ("sql", "word"),
    [(" /* x */ ((SELECT 1", "select"), ("-- a\nWith x", "with"), ("", ""), ("'a'", ""), ("(", "")],
)
def test_the_leading_keyword(sql: str, word: str) -> None:
    assert leading_keyword(sql) == word


def test_what_may_write_is_found_as_a_word() -> None:
    assert may_write("select 1; DROP table x")
    assert may_write("select 'delete'")
    assert not may_write("select updated_at, creates from t")


def test_quoting() -> None:
    assert quote_identifier('a"b') == '"a""b"'
    assert quote_literal("it's") == "'it''s'"
    assert quote_literal(r"a\'b") == r" E'a\\''b'"
    for quote in (quote_identifier, quote_literal):
        with pytest.raises(ValueError, match="NUL"):
            quote("a\0")


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("select 1", "select 1"),
        ("select 1; ", "select 1"),
        ("select 1 ; ; -- end", "select 1 "),
        ("select 1; select 2;", "select 1; select 2"),
        ("select ';'", "select ';'"),
    ],
)
def test_the_last_semicolon_is_cut(sql: str, expected: str) -> None:
    assert without_semicolon(sql) == expected


def test_a_select_is_wrapped() -> None:
    assert windowed("select 1;") == 'SELECT * FROM (\nselect 1\n) AS "page" LIMIT 2 OFFSET 4'
    ordered = windowed("select 1 -- x", order_by='a"', descending=True, limit=None)
    assert ordered == 'SELECT * FROM (\nselect 1 -- x\n) AS "page" ORDER BY "a""" DESC'
    assert windowed("select 1", order_by="a", descending=False).endswith('ORDER BY "a" ASC LIMIT 2 OFFSET 4')


def test_a_with_list_stays_in_front() -> None:
    front = "with recursive insert(x) as (select 1), b as not materialized (select 2) "
    assert windowed(front + "select * from b").startswith(front + "SELECT * FROM (\nselect * from b\n)")


@pytest.mark.parametrize(
    "sql",
    [
        "",
        "values (1)",
        "table t",
        "(select 1)",
        "insert into t select 1",
        "with a as (select 1) insert into t select * from a",
        "with a as (select 1) update t set x = 1",
        "select 1; select 2",
        'select 1 into "a"',
        "select 1 INTO TEMP t from x",
        "explain select 1",
    ],
)
def test_what_is_no_lone_select_is_left_alone(sql: str) -> None:
    assert windowed(sql, order_by="a") == sql


def test_a_text_that_only_mentions_into_is_wrapped() -> None:
    assert windowed("select ' INTO \"c\"', (select 1 into_x)").startswith("SELECT * FROM (")
