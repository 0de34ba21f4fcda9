from __future__ import annotations

import json
import threading
from typing import Any
from urllib.parse import parse_qsl

import pytest
import requests
import responses

from carto_like import sql as sql_module
from carto_like.auth import APIKeyAuthClient, NoAuthClient
from carto_like.core import _pyrestcli
from carto_like.core.retry import IDEMPOTENT, Retry
from carto_like.exceptions import (
    BadRequestException,
    CartoConfigurationException,
    CartoException,
    CartoRateLimitException,
    CartoResponseFormatException,
    CartoTransportException,
    PartialResultException,
    RateLimitException,
)
from carto_like.sql import CopySQLClient, SQLClient
from tests.support.clock import FakeClock
from tests.support.sockets import Exchange, raw_server
from tests.unit.sent import sent_query

BASE = "https://user1.carto.com/"
URL = BASE + "api/v2/sql"
KEY = "0123456789abcdef"
RESULT = {"rows": [{"a": 1}, {"a": 2}], "time": 0.1, "fields": {"a": {"type": "number"}}, "total_rows": 2}


@pytest.fixture
def client() -> SQLClient:
    auth_client = APIKeyAuthClient(BASE, KEY)
    auth_client.clock = FakeClock()
    return SQLClient(auth_client)


def sent_form(index: int = -1) -> dict[str, str]:
    return dict(parse_qsl(str(responses.calls[index].request.body), keep_blank_values=True))


def test_what_a_client_tells(client: SQLClient) -> None:
    assert (client.api_url, client.api_key, client.username, client.base_url) == (
        "api/v2/sql",
        KEY,
        "user1",
        BASE,
    )
    assert SQLClient(NoAuthClient(BASE)).api_key is None
    assert SQLClient(client.auth_client, "v4").api_url == "api/v4/sql"


@responses.activate
def test_a_query_travels_as_a_form(client: SQLClient) -> None:
    responses.post(URL, json=RESULT)
    assert client.send("select 'größer'", skipfields="the_geom", rows_per_page=5) == RESULT
    assert sent_form() == {"q": "select 'größer'", "skipfields": "the_geom", "rows_per_page": "5"}
    assert list(sent_query()) == ["client"]


@pytest.mark.parametrize(
    ("do_post", "length", "method"),
    [(False, 1023, "GET"), (False, 1024, "POST"), (True, 10, "POST"), (None, 10, "POST"), (0, 10, "POST")],
)
@responses.activate
def test_only_short_queries_and_false_itself_go_by_get(
    do_post: Any, length: int, method: str, client: SQLClient
) -> None:
    responses.add(method, URL, json=RESULT)
    text = "select 1".ljust(length)
    assert client.send(text, True, do_post) == RESULT
    sent = sent_query() if method == "GET" else sent_form()
    assert sent["q"] == text


@pytest.mark.parametrize(
    ("format", "parsed"), [(None, True), ("json", True), ("geojson", True), ("csv", False), ("JSON", False)]
)
@responses.activate
def test_formats_that_are_not_json_come_as_bytes(format: str | None, parsed: bool, client: SQLClient) -> None:
    responses.post(URL, json=RESULT)
    result = client.send("select 1", format=format)
    assert result == (RESULT if parsed else json.dumps(RESULT).encode())
    assert sent_form().get("format") == format


@responses.activate
def test_parse_json_takes_what_scripts_give(client: SQLClient) -> None:
    responses.post(URL, json=RESULT)
    assert client.send("select 1", {"do_post": False}) == RESULT
    assert client.send("select 1", False) == json.dumps(RESULT).encode()


@responses.activate
def test_timeout_and_retry_are_not_parameters_of_the_query(client: SQLClient) -> None:
    responses.post(URL, json=RESULT)
    client.send("select 1", timeout=5, retry=False)
    assert sent_form() == {"q": "select 1"}
    assert responses.calls[0].request.req_kwargs["timeout"] == 5  # type: ignore[attr-defined]


@responses.activate
def test_a_refusal_keeps_the_words_of_the_database(client: SQLClient) -> None:
    responses.post(URL, status=400, json={"error": ['relation "t" does not exist'], "hint": "look"})
    with pytest.raises(CartoException, match='relation "t" does not exist') as caught:
        client.send("select * from t")
    assert isinstance(caught.value, BadRequestException)
    assert type(caught.value.args[0]) is _pyrestcli.BadRequestException
    assert (caught.value.status_code, caught.value.hint) == (400, "look")


@responses.activate
def test_a_query_timeout_is_not_a_rate_limit(client: SQLClient) -> None:
    responses.post(
        URL, status=429, json={"error": ["over limits"], "context": "limit", "detail": "datasource"}
    )
    with pytest.raises(RateLimitException) as caught:
        client.send("select 1", retry=Retry())
    assert not isinstance(caught.value, CartoRateLimitException)
    assert (caught.value.context, caught.value.detail) == ("limit", "datasource")
    assert len(responses.calls) == 1


@responses.activate
def test_a_failure_after_the_first_rows_is_not_taken_for_a_result(client: SQLClient) -> None:
    responses.post(URL, json={**RESULT, "error": ["division by zero"]})
    with pytest.raises(PartialResultException, match="division by zero"):
        client.send("select 1/n from t")


@responses.activate
def test_an_answer_that_is_not_json(client: SQLClient) -> None:
    responses.post(URL, body="<html>")
    with pytest.raises(CartoResponseFormatException):
        client.send("select 1")


@pytest.mark.parametrize(
    ("text", "times"), [("select 1", 4), ("insert into t values (1)", 1), ("select 1; DROP TABLE t", 1)]
)
@responses.activate
def test_only_reading_by_get_is_repeated(text: str, times: int, client: SQLClient) -> None:
    responses.get(URL, status=503, json={"error": ["busy"]})
    with pytest.raises(CartoException):
        client.send(text, do_post=False)
    assert len(responses.calls) == times


@responses.activate
def test_repeating_can_be_asked_for(client: SQLClient) -> None:
    responses.post(URL, status=503)
    responses.post(URL, json=RESULT)
    assert client.send("select 1", retry=Retry(methods=IDEMPOTENT | {"POST"})) == RESULT


@responses.activate
def test_other_peoples_clients_are_served_too() -> None:
    responses.post(URL, json=RESULT)
    responses.post(URL, status=404, json={"error": "x"})
    client = SQLClient(_pyrestcli.BaseAuthClient(BASE))
    assert client.send("select 1") == RESULT
    with pytest.raises(CartoException) as caught:
        client.send("select 1")
    assert type(caught.value.args[0]) is _pyrestcli.NotFoundException
    responses.post(URL, body=requests.ConnectionError("lost"))


@responses.activate
def test_rows_one_by_one(client: SQLClient) -> None:
    responses.post(URL, json=RESULT)
    rows = client.iterate("select a from t", skipfields="b")
    assert next(rows) == {"a": 1}
    assert list(rows) == [{"a": 2}]
    assert (rows.total_rows, rows.time, rows.fields) == (2, 0.1, {"a": {"type": "number"}})
    assert sent_form() == {"q": "select a from t", "skipfields": "b"}


@responses.activate
def test_rows_of_a_query_that_fails(client: SQLClient) -> None:
    responses.post(URL, status=400, json={"error": ["no"]})
    with pytest.raises(BadRequestException, match="no"):
        client.iterate("select")
    responses.replace(responses.POST, URL, json={**RESULT, "error": ["division by zero"]})
    rows = client.iterate("select")
    assert [next(rows), next(rows)] == RESULT["rows"]
    with pytest.raises(PartialResultException, match="division by zero"):
        next(rows)
    responses.replace(responses.POST, URL, body='{"rows":[{"a":1},')
    with pytest.raises(CartoResponseFormatException, match="too early"):
        list(client.iterate("select"))


@pytest.mark.parametrize("format", ["csv", "geojson"])
def test_rows_come_in_one_format(format: str, client: SQLClient) -> None:
    with pytest.raises(CartoConfigurationException, match="JSON"):
        client.iterate("select 1", format=format)


class Built:
    """What a library that builds queries gives."""

    def __str__(self) -> str:
        return "select 1"


@pytest.mark.parametrize("statement", [b"select 1", Built()])
@responses.activate
def test_statements_that_are_not_text(statement: Any, client: SQLClient) -> None:
    responses.post(URL, json=RESULT)
    responses.get(URL, json=RESULT)
    client.send(statement)
    assert sent_form() == {"q": "select 1"}
    client.send(statement, do_post=False)
    assert sent_query()["q"] == "select 1"
    assert len(list(client.iterate(statement))) == 2


def test_no_statement(client: SQLClient) -> None:
    for call in (client.send, client.iterate):
        with pytest.raises(CartoConfigurationException, match="needed"):
            call(None)  # type: ignore[arg-type]


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def local(url: str) -> SQLClient:
    return SQLClient(APIKeyAuthClient(url + "user/me/", KEY))


def test_rows_arrive_while_the_query_runs() -> None:
    go_on = threading.Event()

    def answer(exchange: Exchange) -> None:
        exchange.read_body()
        exchange.connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        exchange.connection.sendall(chunk(b'{"rows":[{"a":1},{"a":2},{"a"'))
        assert go_on.wait(20)
        exchange.connection.sendall(chunk(b':3}],"total_rows":3}') + b"0\r\n\r\n")

    with raw_server(answer) as server, local(server.url).iterate("select") as rows:
        assert [next(rows), next(rows)] == [{"a": 1}, {"a": 2}]
        go_on.set()
        assert list(rows) == [{"a": 3}]
        assert server.exchanges[0].headers["accept-encoding"] == "identity"


def test_a_connection_that_breaks_between_rows() -> None:
    def answer(exchange: Exchange) -> None:
        exchange.read_body()
        exchange.connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        exchange.connection.sendall(chunk(b'{"rows":[{"a":1},{"a":2}'))
        exchange.hang_up()

    with raw_server(answer) as server, local(server.url).iterate("select") as rows:
        assert next(rows) == {"a": 1}
        with pytest.raises(CartoTransportException) as caught:
            list(rows)
    assert isinstance(caught.value.args[0], requests.RequestException)


@pytest.mark.parametrize("head", [b"400 Bad Request", b"429 Too Many Requests\r\nRetry-After: 3", b"200 OK"])
@pytest.mark.parametrize(
    "ask",
    [
        lambda client: list(SQLClient(client).iterate("select")),
        lambda client: SQLClient(client).send("select"),
        lambda client: CopySQLClient(client).copyto_stream("COPY t TO STDOUT").read(),
        lambda client: client.get_response_data(client.send("x", "get", stream=True)),
    ],
)
def test_a_connection_that_breaks_in_the_middle_of_any_answer(ask: Any, head: bytes) -> None:
    def answer(exchange: Exchange) -> None:
        exchange.read_body()
        exchange.connection.sendall(b"HTTP/1.1 " + head + b"\r\nContent-Length: 100\r\n\r\n{")
        exchange.hang_up()

    lost = pytest.raises(CartoTransportException)
    with raw_server(answer) as server, lost:
        ask(APIKeyAuthClient(server.url + "user/me/", KEY, retry=False))


def test_rows_that_nobody_reads_on_are_let_go() -> None:
    gone = threading.Event()

    def answer(exchange: Exchange) -> None:
        exchange.read_body()
        exchange.connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        try:
            exchange.connection.sendall(chunk(b'{"rows":[' + b'{"a":1},' * 10))
            while True:
                exchange.connection.sendall(chunk(b'{"a":1},' * 1000))
        except ConnectionError:
            gone.set()
            raise

    with raw_server(answer) as server:
        with local(server.url).iterate("select") as rows:
            assert next(rows) == {"a": 1}
        assert gone.wait(20)


def test_names_that_scripts_overwrite(monkeypatch: pytest.MonkeyPatch, client: SQLClient) -> None:
    monkeypatch.setattr(sql_module, "MAX_GET_QUERY_LEN", 5)
    with responses.RequestsMock() as mock:
        mock.post(URL, json=RESULT)
        client.send("select 1", do_post=False)
