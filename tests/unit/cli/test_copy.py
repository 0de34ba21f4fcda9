"""``carto-like copy`` builds the COPY statement that was meant."""

from __future__ import annotations

import io
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import responses
from click.testing import CliRunner, Result

from carto_like.cli.copy import copy_source, table_name
from carto_like.cli.root import cli

ADDRESS = "http://127.0.0.1:8080/user/ana/"
ENVIRONMENT = {"CARTO_API_URL": ADDRESS, "CARTO_API_KEY": "the-master-key-of-ana"}


def run(*arguments: str, stdin: str = "") -> Result:
    return CliRunner().invoke(cli, ["copy", *arguments], env=ENVIRONMENT, input=stdin)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("cities", "cities"),
        ("ana.cities", "ana.cities"),
        ("My cities", '"My cities"'),
        ('odd"name', '"odd""name"'),
        ("a; DROP TABLE b", '"a; DROP TABLE b"'),
    ],
)
def test_table_names_cannot_be_more_than_names(text: str, expected: str) -> None:
    assert table_name(text) == expected
    assert copy_source(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("select 1;", "(select 1\n)"),
        ("  WITH a AS (SELECT 1) SELECT * FROM a", "(WITH a AS (SELECT 1) SELECT * FROM a\n)"),
        ("select 1 -- one", "(select 1 -- one\n)"),
        ("selections", "selections"),
        ("values", "values"),
    ],
)
def test_queries_are_told_from_tables(text: str, expected: str) -> None:
    assert copy_source(text) == expected


def sent(mock: responses.RequestsMock) -> str:
    return parse_qs(urlsplit(str(mock.calls[0].request.url)).query)["q"][0]


@pytest.mark.parametrize(
    ("arguments", "stdin", "statement"),
    [
        ((), "b,a\n1,2\n", 'COPY t ("b", "a") FROM STDIN WITH (FORMAT csv, HEADER true, DELIMITER \',\')'),
        (
            ("--columns", "a, b"),
            "x,y\n1,2\n",
            'COPY t ("a", "b") FROM STDIN WITH (FORMAT csv, HEADER true, DELIMITER \',\')',
        ),
        (("--no-header",), "1,2\n", "COPY t FROM STDIN WITH (FORMAT csv, HEADER false, DELIMITER ',')"),
        (
            ("--delimiter", "tab"),
            "\ufeffa\tb\n1\t2\n",
            'COPY t ("a", "b") FROM STDIN WITH (FORMAT csv, HEADER true, DELIMITER E\'\\t\')',
        ),
    ],
)
def test_copy_from(arguments: tuple[str, ...], stdin: str, statement: str) -> None:
    received = []

    def take(request: Any) -> tuple[int, dict[str, str], str]:
        received.append(b"".join(request.body))
        return 200, {}, '{"total_rows": 1, "time": 0.1}'

    with responses.RequestsMock() as mock:
        mock.add_callback("POST", ADDRESS + "api/v2/sql/copyfrom", take)
        result = run("from", "t", "-", *arguments, stdin=stdin)
        assert sent(mock) == statement
    assert result.exit_code == 0, result.output
    assert result.stderr == "1 rows in 0.1 s\n"
    assert received == [stdin.encode()]


def test_copy_to_writes_what_comes() -> None:
    with responses.RequestsMock() as mock:
        mock.get(ADDRESS + "api/v2/sql/copyto", body=io.BytesIO(b"a\n1\n").getvalue())
        result = run("to", "t", "-")
        assert sent(mock) == "COPY t TO STDOUT WITH (FORMAT csv, HEADER true, DELIMITER ',')"
    assert result.exit_code == 0, result.output
    assert result.stdout == "a\n1\n"


def test_missing_file_is_a_mistake_of_the_caller() -> None:
    assert run("from", "t", "/nonexistent/file.csv").exit_code == 2
