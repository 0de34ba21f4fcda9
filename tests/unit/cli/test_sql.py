"""``carto-like sql`` asks the right question and prints what comes back."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qs

import pytest
import responses
from click.testing import CliRunner, Result

from carto_like.cli.root import cli

ADDRESS = "http://127.0.0.1:8080/user/ana/"
ENVIRONMENT = {"CARTO_API_URL": ADDRESS, "CARTO_API_KEY": "the-master-key-of-ana"}


@pytest.fixture
def server() -> Any:
    with responses.RequestsMock() as mock:
        yield mock


def answer(server: responses.RequestsMock, status: int = 200, **body: Any) -> None:
    server.post(ADDRESS + "api/v2/sql", json=body, status=status)


def run(*arguments: str, **more: Any) -> Result:
    return CliRunner().invoke(cli, ["sql", *arguments], env=ENVIRONMENT, **more)


def test_query_goes_in_the_body_and_the_key_never_to_the_output(server: responses.RequestsMock) -> None:
    answer(server, rows=[{"a": 1}], fields={"a": {"type": "number"}}, total_rows=1, time=0.001)
    result = run("select 1 as a", "--json")
    assert result.exit_code == 0
    assert json.loads(result.stdout) == [{"a": 1}]
    assert parse_qs(str(server.calls[0].request.body))["q"] == ["select 1 as a"]
    assert ENVIRONMENT["CARTO_API_KEY"] not in result.output


def test_statements_come_from_stdin(server: responses.RequestsMock) -> None:
    answer(server, rows=[], fields={}, total_rows=3, time=0.001)
    result = run("-", input="delete from t")
    assert parse_qs(str(server.calls[0].request.body))["q"] == ["delete from t"]
    assert result.stdout == ""
    assert result.stderr == "3 rows\n"


@pytest.mark.parametrize("form", ["csv", "table"])
def test_columns_are_named_without_rows(server: responses.RequestsMock, form: str) -> None:
    answer(server, rows=[], fields={"a": {"type": "number"}, "b": {"type": "string"}}, total_rows=0, time=0)
    result = run("select", "--format", form)
    assert result.stdout.split("\n")[0].replace(",", " ").split() == ["a", "b"]


def test_error_in_the_middle_gives_the_rows_before_it_and_exit_code_1(server: responses.RequestsMock) -> None:
    answer(server, rows=[{"a": 1}], fields={"a": {}}, total_rows=1, time=0, error=["division by zero"])
    result = run("select", "--format", "csv")
    assert result.exit_code == 1
    assert result.stdout == "a\n1\n"
    assert "division by zero" in result.stderr


def test_refusal_is_told_with_its_hint(server: responses.RequestsMock) -> None:
    answer(server, 400, error=["function f() does not exist"], hint="No function matches.")
    result = run("select f()")
    assert result.exit_code == 1
    assert "function f() does not exist (HTTP 400)" in result.stderr
    assert "Hint: No function matches." in result.stderr
