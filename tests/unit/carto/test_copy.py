from __future__ import annotations

import io
import json
import os
import threading
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest
import requests
import responses

from carto_like.auth import APIKeyAuthClient, NoAuthClient
from carto_like.core.errors import TransportError
from carto_like.core.retry import Retry
from carto_like.core.streaming import Body
from carto_like.exceptions import (
    BadRequestException,
    CartoConfigurationException,
    CartoException,
    CartoRateLimitException,
    CartoTransportException,
    PartialResultException,
)
from carto_like.sql import CopySQLClient
from tests.support.clock import FakeClock
from tests.support.sockets import Exchange, raw_server
from tests.unit.sent import sent_query

BASE = "https://user1.carto.com/"
FROM_URL = BASE + "api/v2/sql/copyfrom"
TO_URL = BASE + "api/v2/sql/copyto"
KEY = "0123456789abcdef"
FROM = "COPY t (id, name) FROM STDIN"
TO = "COPY t TO STDOUT"
DONE = {"total_rows": 2, "time": 0.1}
DATA = b"1\tone\n2\tzw\xc3\xb6lf\n"
REFUSAL = b'{"error":["relation \\"any_wrong_table\\" does not exist"]}'


@pytest.fixture
def client() -> CopySQLClient:
    auth_client = APIKeyAuthClient(BASE, KEY)
    auth_client.clock = FakeClock()
    return CopySQLClient(auth_client)


def local(url: str, **options: Any) -> CopySQLClient:
    return CopySQLClient(APIKeyAuthClient(url + "user/me/", KEY, **options))


def sent_body(index: int = -1) -> bytes:
    request = responses.calls[index].request
    body = b"".join(request.body or ())  # type: ignore[arg-type]
    return zlib.decompress(body, 31) if request.headers.get("Content-Encoding") == "gzip" else body


# In


@pytest.mark.parametrize(
    "data",
    [
        DATA,
        DATA.decode(),
        [DATA[:5], DATA[5:]],
        (DATA[:5].decode(), DATA[5:]),
        iter([DATA]),
        io.BytesIO(DATA),
        io.StringIO(DATA.decode()),
    ],
    ids=lambda data: type(data).__name__,
)
@pytest.mark.parametrize("compress", [True, False])
@responses.activate
def test_data_of_every_kind(data: Any, compress: bool, client: CopySQLClient) -> None:
    responses.post(FROM_URL, json=DONE)
    if isinstance(data, io.IOBase):
        data.seek(0)
    elif isinstance(data, Iterator):
        data = iter([DATA])
    assert client.copyfrom(FROM, data, compress, 1) == DONE
    headers = responses.calls[0].request.headers
    assert headers["Content-Type"] == "application/octet-stream"
    assert headers["Transfer-Encoding"] == "chunked"
    assert "Content-Length" not in headers
    assert headers.get("Content-Encoding") == ("gzip" if compress else None)
    assert sent_query() == {"q": FROM, "client": client.client.client_id}
    assert sent_body() == DATA


@responses.activate
def test_files(tmp_path: Path, client: CopySQLClient) -> None:
    responses.post(FROM_URL, json=DONE)
    path = tmp_path / "data"
    path.write_bytes(DATA)
    assert client.copyfrom_file_path(FROM, str(path)) == DONE
    assert sent_body() == DATA
    with path.open("rb") as file:
        assert client.copyfrom_file_object(FROM, file, False) == DONE
    with pytest.raises(FileNotFoundError):
        client.copyfrom_file_path(FROM, tmp_path / "missing")


@responses.activate
def test_the_answer_of_one_account_into_another(client: CopySQLClient) -> None:
    responses.get(TO_URL, body=DATA)
    responses.post("https://user2.carto.com/api/v2/sql/copyfrom", json=DONE)
    other = CopySQLClient(APIKeyAuthClient("https://user2.carto.com/", "x" * 20))
    assert other.copyfrom(FROM, client.copyto(TO)) == DONE
    assert sent_body() == DATA


@responses.activate
def test_an_answer_that_fails_later_is_no_upload(client: CopySQLClient) -> None:
    responses.get(TO_URL, body=FAILED_LATER)
    ends: list[bytes | None] = []

    def take(exchange: Exchange) -> None:
        while part := exchange.read_chunk():
            assert b"error" not in part
        ends.append(part)
        if part is not None:
            exchange.answer("200 OK", json.dumps(DONE).encode())

    with raw_server(take) as server:
        responses.add_passthru(server.url)
        with pytest.raises(PartialResultException, match="division by zero"):
            local(server.url).copyfrom(FROM, client.copyto(TO))
    assert b"" not in ends, "an upload that ends properly is stored"


@pytest.mark.parametrize(("compress", "gzip"), [(True, False), (False, False), ("always", True)])
def test_compression_only_where_it_helps(compress: Any, gzip: bool) -> None:
    def take(exchange: Exchange) -> None:
        exchange.read_body()
        exchange.answer("200 OK", json.dumps(DONE).encode())

    with raw_server(take) as server:
        assert local(server.url).copyfrom(FROM, DATA, compress) == DONE
    (exchange,) = server.exchanges
    body = b"".join(exchange.chunks)
    assert ("content-encoding" in exchange.headers) is gzip
    assert (zlib.decompress(body, 31) if gzip else body) == DATA


@responses.activate
def test_progress_of_an_upload(tmp_path: Path, client: CopySQLClient) -> None:
    responses.post(FROM_URL, json=DONE)
    path = tmp_path / "data"
    path.write_bytes(DATA * 50_000)
    seen: list[tuple[int, int | None]] = []
    client.copyfrom_file_path(FROM, path, progress=lambda *now: seen.append(now))
    assert sent_body() == DATA * 50_000
    size = len(DATA) * 50_000
    assert [total for _, total in seen] == [size] * len(seen)
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    assert seen[-1][0] == size


@responses.activate
def test_a_copy_may_be_silent_for_hours_unless_told_otherwise(client: CopySQLClient) -> None:
    responses.post(FROM_URL, json=DONE)
    client.copyfrom(FROM, DATA)
    client.copyfrom(FROM, DATA, timeout=7)
    own = CopySQLClient(APIKeyAuthClient(BASE, KEY, timeout=(1, 2)))
    own.copyfrom(FROM, DATA)
    timeouts = [call.request.req_kwargs["timeout"] for call in responses.calls]  # type: ignore[attr-defined]
    assert timeouts == [(10.0, 18_000.0), (7, 7), (1, 2)]


@responses.activate
def test_a_refused_upload(client: CopySQLClient) -> None:
    responses.post(FROM_URL, status=400, body=REFUSAL)
    with pytest.raises(CartoException, match='relation "any_wrong_table" does not exist') as caught:
        client.copyfrom(FROM, iter([DATA]))
    assert isinstance(caught.value, BadRequestException)


def test_a_refusal_in_the_middle_of_an_upload_is_not_a_broken_pipe() -> None:
    stop = threading.Event()

    def refuse(exchange: Exchange) -> None:
        exchange.read_chunk()
        exchange.answer("400 Bad Request", REFUSAL, "Connection: close")
        exchange.hang_up()

    def rows() -> Iterator[bytes]:
        while not stop.is_set():
            yield DATA * 1000

    with raw_server(refuse) as server:
        for compress in (False, "always"):
            with pytest.raises(BadRequestException, match="any_wrong_table"):
                local(server.url).copyfrom(FROM, rows(), compress)


@responses.activate
def test_a_rate_limit_is_waited_for_when_the_data_can_be_read_again(client: CopySQLClient) -> None:
    sent: list[bytes] = []

    def answer(request: requests.PreparedRequest) -> tuple[int, dict[str, str], str]:
        sent.append(zlib.decompress(b"".join(request.body or ()), 31))  # type: ignore[arg-type]
        return (429, {"Retry-After": "1"}, "slow") if len(sent) % 2 else (200, {}, json.dumps(DONE))

    responses.add_callback(responses.POST, FROM_URL, answer)
    rows = [(1, "one"), (2, "zwölf")]
    assert client.copyfrom(FROM, io.BytesIO(DATA), retry=Retry()) == DONE
    assert client.copyfrom_rows("t", rows, ["id", "name"], retry=Retry()) == DONE
    assert sent == [DATA] * 4
    for data, retry in ((iter([DATA]), Retry()), (DATA, False)):
        sent.clear()
        with pytest.raises(CartoRateLimitException):
            client.copyfrom(FROM, data, retry=retry)
        assert len(sent) == 1


@pytest.mark.parametrize(
    "mine",
    [ZeroDivisionError("mine"), TransportError("mine"), requests.ConnectionError("mine"), OSError("mine")],
)
def test_an_error_of_the_source_is_the_callers_own(mine: Exception) -> None:
    """Also when the rows come from another platform, whose errors are of the same family."""

    def rows() -> Iterator[bytes]:
        yield DATA
        raise mine

    def take(exchange: Exchange) -> None:
        exchange.read_body()

    with raw_server(take) as server:
        with pytest.raises(type(mine), match="mine") as caught:
            local(server.url).copyfrom(FROM, rows())
        assert caught.value is mine


class Cursor:
    """Goes on where it stopped with each new iterator, as cursors of databases do."""

    def __init__(self, rows: list[Any]) -> None:
        self.rest = iter(rows)

    def __iter__(self) -> Iterator[Any]:
        yield from self.rest


@responses.activate
def test_what_can_be_read_once_is_sent_once(client: CopySQLClient) -> None:
    """And no row is lost to looking for the names of the columns."""
    responses.post(FROM_URL, json=DONE)
    client.copyfrom_rows("t", Cursor([(1,), (2,), (3,)]))
    assert sent_body() == b"1\n2\n3\n"
    client.copyfrom_rows("t", Cursor([{"a": 1}, {"a": 2}]))
    assert sent_body() == b"1\n2\n"
    assert not Body.of(Cursor([DATA])).replayable


@responses.activate
def test_statements_that_are_not_text(client: CopySQLClient) -> None:
    responses.post(FROM_URL, json=DONE)
    responses.get(TO_URL, body=DATA)
    client.copyfrom(FROM.encode(), DATA)  # type: ignore[arg-type]
    assert sent_query()["q"] == FROM
    client.copyto(TO.encode())  # type: ignore[arg-type]
    assert sent_query()["q"] == TO
    for call in (client.copyto, lambda query: client.copyfrom(query, DATA)):
        with pytest.raises(CartoConfigurationException, match="needed"):
            call(None)  # type: ignore[arg-type]
    assert len(responses.calls) == 2


@pytest.mark.parametrize("level", [99, -2, None, "9"])
def test_levels_of_compression(level: Any, client: CopySQLClient) -> None:
    with pytest.raises(CartoConfigurationException, match="1 to 9"):
        client.copyfrom(FROM, DATA, "always", level)


@pytest.mark.parametrize("path", ["/tmp/x.csv", None, Path("x.csv")])
def test_the_path_of_a_file_is_no_file(path: Any, client: CopySQLClient) -> None:
    """Its name would be stored as data."""
    with pytest.raises(CartoConfigurationException, match="a file is needed"):
        client.copyfrom_file_object(FROM, path)
    with pytest.raises(CartoConfigurationException, match="a file is needed"):
        client.copyto_file_object(TO, path)


# Rows in


@pytest.mark.parametrize(
    ("rows", "columns", "query", "body"),
    [
        ([(1, "one"), (2, None)], ["id", "name"], 'COPY t ("id", "name") FROM STDIN', b"1\tone\n2\t\\N\n"),
        ([(1, "one")], None, "COPY t FROM STDIN", b"1\tone\n"),
        ([{"id": 1, "name": "a\tb"}], None, 'COPY t ("id", "name") FROM STDIN', b"1\ta\\tb\n"),
        ([{"id": 1, "name": "x", "more": 2}], ["name"], 'COPY t ("name") FROM STDIN', b"x\n"),
        ([], ["id"], 'COPY t ("id") FROM STDIN', b""),
        ([], None, "COPY t FROM STDIN", b""),
    ],
)
@pytest.mark.parametrize("kind", [list, iter])
@responses.activate
def test_rows(rows: Any, columns: Any, query: str, body: bytes, kind: Any, client: CopySQLClient) -> None:
    responses.post(FROM_URL, json=DONE)
    assert client.copyfrom_rows("t", kind(rows), columns) == DONE
    assert sent_query()["q"] == query
    assert sent_body() == body


@pytest.mark.parametrize(
    ("rows", "columns", "message"),
    [
        ([(1,), ({1},)], ["n"], "row 2, column n: a set has no form"),
        ([{"a": 1}, {"a": 1, "b": 2}], None, "row 2 has 'b'"),
        ([None, (1,)], None, "row 1 is a NoneType"),
        ([(1,), {"a": 1}], None, "row 2 is a mapping"),
        ([{1: 2}], None, "column is text, not int"),
        ([(1,)], ["a\0"], "NUL"),
    ],
)
def test_rows_that_cannot_be_written(rows: Any, columns: Any, message: str) -> None:
    complete = []

    def take(exchange: Exchange) -> None:
        while part := exchange.read_chunk():
            continue
        complete.append(part)

    with raw_server(take) as server, pytest.raises(CartoConfigurationException, match=message):
        local(server.url).copyfrom_rows("t", iter(rows), columns)
    assert b"" not in complete


@pytest.mark.parametrize("table", ["", None, '"t" FROM STDIN; DROP TABLE t; --', '"t', 'a".b', "a..b", "a\0"])
def test_what_is_no_name_of_a_table(table: Any, client: CopySQLClient) -> None:
    with pytest.raises(CartoConfigurationException, match="name of a table"):
        client.copyfrom_rows(table, [(1,)])


# Out


@responses.activate
def test_a_short_query_is_in_the_address_a_long_one_in_the_body(client: CopySQLClient) -> None:
    responses.get(TO_URL, body=DATA)
    responses.post(TO_URL, body=DATA)
    assert b"".join(client.copyto(TO).iter_content(10)) == DATA
    assert sent_query()["q"] == TO
    long = f"COPY (select '{'x' * 2000}') TO STDOUT"
    assert b"".join(client.copyto(long)) == DATA
    assert "q" not in sent_query()
    assert dict(parse_qsl(str(responses.calls[1].request.body))) == {"q": long}


@responses.activate
def test_the_rows_as_a_file(client: CopySQLClient) -> None:
    responses.get(TO_URL, body=DATA)
    assert client.copyto_stream(TO).read() == DATA
    with client.copyto_stream(TO) as stream:
        assert stream.readable()
        assert list(stream) == DATA.splitlines(keepends=True)


@responses.activate
def test_the_rows_into_a_file(tmp_path: Path, client: CopySQLClient) -> None:
    responses.get(TO_URL, body=DATA)
    seen: list[tuple[int, int | None]] = []
    binary, text, path = io.BytesIO(), io.StringIO(), tmp_path / "out"
    client.copyto_file_object(TO, binary, progress=lambda *now: seen.append(now))
    client.copyto_file_object(TO, text)
    client.copyto_file_path(TO, path)
    client.copyto_file_path(TO, str(path), True)
    client.copyto_file_path(TO, tmp_path / "new", append=True)
    assert binary.getvalue() == DATA
    assert text.getvalue() == DATA.decode()
    assert path.read_bytes() == DATA * 2
    assert seen[-1][0] == len(DATA)
    assert sorted(os.listdir(tmp_path)) == ["new", "out"]


@pytest.mark.parametrize("append", [True, False])
@responses.activate
def test_a_failing_query_leaves_the_file_alone(append: bool, tmp_path: Path, client: CopySQLClient) -> None:
    responses.get(TO_URL, status=400, body=REFUSAL)
    path = tmp_path / "out"
    with pytest.raises(BadRequestException, match="any_wrong_table"):
        client.copyto_file_path(TO, path, append)
    assert os.listdir(tmp_path) == []
    path.write_bytes(b"precious")
    with pytest.raises(BadRequestException):
        client.copyto_file_path(TO, path, append)
    assert path.read_bytes() == b"precious"


FAILED_LATER = DATA * 9000 + b'{"error":["division by zero"],"context":"limit","detail":"datasource"}'


@pytest.mark.parametrize("size", [1000, 65_536, 10_000_000])
def test_an_error_appended_to_the_data_is_raised(size: int, tmp_path: Path) -> None:
    def answer(exchange: Exchange) -> None:
        exchange.connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for start in range(0, len(FAILED_LATER), size):
            part = FAILED_LATER[start : start + size]
            exchange.connection.sendall(b"%x\r\n%b\r\n" % (len(part), part))
        exchange.connection.sendall(b"0\r\n\r\n")

    with raw_server(answer) as server:
        client = local(server.url)
        path = tmp_path / "out"
        with pytest.raises(PartialResultException, match="division by zero") as caught:
            client.copyto_file_path(TO, path)
        assert (caught.value.context, caught.value.detail) == ("limit", "datasource")
        assert not path.exists()
        with client.copyto_stream(TO) as stream, pytest.raises(PartialResultException):
            stream.read()
        for read in (
            list,
            lambda raw: raw.content,
            lambda raw: list(raw.iter_content(7, decode_unicode=True)),
        ):
            with client.copyto(TO) as raw, pytest.raises(PartialResultException):
                read(raw)


@pytest.mark.parametrize(
    "data", [DATA + b'{"error":["a value"]}\n', b"PGCOPY\xff\xff", b'"{""error"":[1]}"\n', b""]
)
@responses.activate
def test_data_that_only_look_like_an_error(data: bytes, client: CopySQLClient) -> None:
    responses.get(TO_URL, body=data)
    assert client.copyto_stream(TO).read() == data


def test_a_connection_that_breaks_in_the_middle_of_a_download(tmp_path: Path) -> None:
    def answer(exchange: Exchange) -> None:
        exchange.connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n6\r\n1\tone\n\r\n")
        exchange.hang_up()

    with raw_server(answer) as server:
        client = local(server.url)
        with pytest.raises(CartoTransportException) as caught:
            client.copyto_file_path(TO, tmp_path / "out")
        assert os.listdir(tmp_path) == []
        with client.copyto_stream(TO) as stream, pytest.raises(CartoTransportException):
            stream.read()
    assert KEY not in f"{caught.value} {caught.value.__cause__!r}"


def test_nothing_is_compressed_on_one_machine() -> None:
    with raw_server(lambda exchange: exchange.answer("200 OK", DATA)) as server:
        assert local(server.url).copyto_stream(TO).read() == DATA
    assert server.exchanges[0].headers["accept-encoding"] == "identity"


@responses.activate
def test_without_a_key() -> None:
    responses.get(TO_URL, body=DATA)
    client = CopySQLClient(NoAuthClient(BASE))
    assert client.api_key is None
    assert client.copyto_stream(TO).read() == DATA
    assert sent_query() == {"q": TO}
