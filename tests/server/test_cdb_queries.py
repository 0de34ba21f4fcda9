"""Statements of a text, the tables they read, the rows they are expected to give."""

from __future__ import annotations

import psycopg
import pytest

from tests.support.datasets import Owner

STATEMENTS = {
    "select 1; select 2": ["select 1", "select 2"],
    " \n;; select 1 ;;": ["select 1"],
    "": [],
    "select ';', \"a;b\", 'it''s; fine'": ["select ';', \"a;b\", 'it''s; fine'"],
    r"select '\'; select 1": [r"select '\'", "select 1"],
    r"select E'\'; still'; select 1": [r"select E'\'; still'", "select 1"],
    "do $$ a; b $$; select 1": ["do $$ a; b $$", "select 1"],
    "select $x$ ; $y$ ; $$ ; $x$; select 1": ["select $x$ ; $y$ ; $$ ; $x$", "select 1"],
    "select $a$it's$a$; select 'x'": ["select $a$it's$a$", "select 'x'"],
    "select a$b$ ; select c$b$": ["select a$b$", "select c$b$"],
    "select 1 -- no; cut\n; select 2": ["select 1 -- no; cut", "select 2"],
    "select 1 /* a; /* b; */ c; */; select 2": ["select 1 /* a; /* b; */ c; */", "select 2"],
    "select 1 - 2; select 4 / 2": ["select 1 - 2", "select 4 / 2"],
    "select 'open; end": ["select 'open; end"],
    "select 'ü;ß'; select 'é'": ["select 'ü;ß'", "select 'é'"],
}


@pytest.mark.parametrize("text", STATEMENTS)
def test_statements_are_cut_where_postgresql_would(owner: Owner, text: str) -> None:
    rows = owner.execute("SELECT CDB_QueryStatements(%s)", (text,))
    assert [row[0] for row in rows] == STATEMENTS[text]


def test_a_long_text_is_cut_in_time_that_grows_with_its_length(owner: Owner) -> None:
    owner.execute("SET statement_timeout = '20s'")
    text = "INSERT INTO t VALUES ('a;b', \"c\");" * 5_000
    assert owner.execute("SELECT count(*) FROM CDB_QueryStatements(%s)", (text,)) == [(5_000,)]


@pytest.fixture
def tables(owner: Owner) -> Owner:
    owner.execute("CREATE TABLE a (n int)")
    owner.execute('CREATE TABLE "B b" (n int)')
    owner.execute('CREATE VIEW v AS SELECT a.n FROM a JOIN "B b" USING (n)')
    return owner


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("SELECT * FROM a", ["a"]),
        ('SELECT * FROM a; SELECT * FROM "B b"; SELECT * FROM a', ['"B b"', "a"]),
        ('WITH x AS (SELECT * FROM a) SELECT * FROM x WHERE n IN (SELECT n FROM "B b")', ['"B b"', "a"]),
        ("SELECT * FROM v", ['"B b"', "a"]),
        ("(SELECT 1) UNION (SELECT n FROM a)", ["a"]),
        ("-- hello\n/* there */ SELECT * FROM a", ["a"]),
        ('INSERT INTO a SELECT n FROM "B b"', ['"B b"', "a"]),
        ("CREATE TABLE c AS SELECT * FROM a", ["a"]),
        ("BEGIN; CREATE TABLE c (n int); ALTER TABLE a ADD m int; DROP TABLE a; COMMIT", []),
        ('SELECT \'{"Schema": "x", "Relation Name": "y"}\'::json', []),
        ("SELECT 1", []),
        ("", []),
    ],
)
def test_tables_that_the_planner_would_read(tables: Owner, query: str, names: list[str]) -> None:
    schema = tables.execute("SELECT current_schema()")[0][0]
    expected = [f"{schema}.{name}" for name in names]
    assert tables.execute("SELECT CDB_QueryTablesText(%s)", (query,)) == [(expected,)]
    assert tables.execute("SELECT CDB_QueryTables(%s)::text[]", (query,)) == [(expected,)]


@pytest.mark.parametrize("query", ["SELECT * FROM nowhere", "SELECT * FRM a", "SELECT nothing FROM a"])
def test_other_errors_are_raised(tables: Owner, query: str) -> None:
    with pytest.raises(psycopg.Error, match=r"nowhere|syntax error|nothing"):
        tables.execute("SELECT CDB_QueryTablesText(%s)", (query,))


def test_asking_for_tables_runs_nothing(tables: Owner) -> None:
    tables.execute("SELECT CDB_QueryTablesText('INSERT INTO a VALUES (1); CREATE TABLE c AS SELECT 1')")
    assert tables.execute("SELECT count(*), to_regclass('c') FROM a") == [(0, None)]


def test_rows_are_estimated_from_fresh_statistics(tables: Owner) -> None:
    tables.execute("INSERT INTO a SELECT generate_series(1, 1234)")
    assert tables.execute("SELECT CDB_EstimateRowCount('SELECT * FROM a')") == [(1234,)]
