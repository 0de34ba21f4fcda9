"""``/sql/copyto``: the bytes PostgreSQL emits, their errors, and clients that leave."""

from __future__ import annotations

import gzip
import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest
import requests

from carto_like.server.errors import QUERY_TIMEOUT
from tests.conftest import MakeServer
from tests.support.api import Api, TestAccount, make_account
from tests.support.raw import RawRequest, active_queries, eventually

COPY = "api/v2/sql/copyto"
ENDLESS = "COPY (SELECT repeat('x', 1000), generate_series(1, 100000000)) TO STDOUT"


@pytest.fixture
def table(api: Api) -> str:
    q = "CREATE TABLE t (id int, name text); INSERT INTO t VALUES (1, 'one'), (2, NULL), (3, 'é')"
    assert api.sql(q).status_code == 200
    return "t"


def refused(response: requests.Response, status: int, message: str) -> None:
    assert (response.status_code, response.json()["error"]) == (status, [message])
    assert response.headers["Content-Disposition"] == "inline"


@pytest.mark.parametrize("method", ["GET", "form", "json"])
def test_rows_come_as_postgresql_emits_them(api: Api, table: str, method: str) -> None:
    parameters = {"q": "COPY t TO STDOUT", "filename": "/d/o.dmp"}
    if method == "GET":
        response = api.get(COPY, params=parameters)
    else:
        response = api.post(COPY, **{"data" if method == "form" else "json": parameters})
    assert (response.status_code, response.content) == (200, "1\tone\n2\t\\N\n3\té\n".encode())
    assert response.headers["Content-Type"] == "application/octet-stream"
    assert response.headers["Content-Disposition"] == "attachment; filename=%2Fd%2Fo.dmp"
    assert "Cache-Control" not in response.headers
    assert "Content-Encoding" not in response.headers


def test_the_file_has_a_default_name(api: Api, table: str) -> None:
    response = api.get(COPY, params={"q": "COPY t TO STDOUT"})
    assert response.headers["Content-Disposition"] == "attachment; filename=carto-sql-copyto.dmp"


def test_csv_and_binary_formats_come_out(api: Api, table: str) -> None:
    csv = api.get(COPY, params={"q": "COPY t (name, id) TO STDOUT WITH (FORMAT csv, HEADER)"})
    assert csv.content == "name,id\none,1\n,2\né,3\n".encode()
    assert api.get(COPY, params={"q": "COPY t TO STDOUT BINARY"}).content.startswith(b"PGCOPY\n\xff\r\n\0")


def test_head_sends_no_body(api: Api, table: str) -> None:
    response = api.request("HEAD", COPY, params={"q": "COPY t TO STDOUT"})
    assert (response.status_code, response.content) == (200, b"")


def test_no_rows_are_an_empty_body(api: Api, table: str) -> None:
    response = api.get(COPY, params={"q": "COPY (SELECT 1 WHERE false) TO STDOUT"})
    assert (response.status_code, response.content) == (200, b"")


def test_gzip_is_for_those_who_take_nothing_else(api: Api) -> None:
    q = "COPY (SELECT i FROM generate_series(1, 50000) i) TO STDOUT"
    expected = b"".join(b"%d\n" % i for i in range(1, 50_001))
    packed = api.get(COPY, params={"q": q}, headers={"Accept-Encoding": "gzip"}, stream=True)
    raw = packed.raw.read(decode_content=False)
    assert packed.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(raw) == expected
    plain = api.get(COPY, params={"q": q}, headers={"Accept-Encoding": "gzip, deflate"})
    assert "Content-Encoding" not in plain.headers
    assert plain.content == expected


def test_many_rows_come_whole(api: Api) -> None:
    q = "COPY (SELECT i, repeat('x', i % 100) FROM generate_series(1, 200000) i) TO STDOUT"
    content = api.get(COPY, params={"q": q}).content
    assert content == b"".join(b"%d\t%b\n" % (i, b"x" * (i % 100)) for i in range(1, 200_001))


@pytest.mark.parametrize(
    ("q", "status", "message"),
    [
        (None, 400, "SQL is missing"),
        (["COPY t TO STDOUT", "COPY t TO STDOUT"], 400, "SQL is missing"),
        (" COPY t TO STDOUT", 400, "SQL must start with COPY"),
        ("SELECT 1", 400, "SQL must start with COPY"),
        ("COPY missing TO STDOUT", 400, 'relation "missing" does not exist'),
        ("COPY t FROM STDIN", 400, "This is not a COPY ... TO STDOUT. Use /sql/copyfrom to import."),
        ("COPY t TO STDOUT; DROP TABLE t", 400, "A COPY ... TO STDOUT must be the only statement"),
        ("COPY (SELECT 1/0) TO STDOUT", 400, "division by zero"),
    ],
)
def test_what_cannot_be_copied_is_refused(api: Api, table: str, q: Any, status: int, message: str) -> None:
    refused(api.get(COPY, params={"q": q}), status, message)
    assert api.get(COPY, params={"q": "COPY t TO STDOUT"}).status_code == 200


def test_private_tables_and_the_servers_files_are_out_of_reach(api: Api, table: str) -> None:
    refused(api.anonymous.get(COPY, params={"q": "COPY t TO STDOUT"}), 403, "permission denied for table t")
    refused(api.with_key("x").get(COPY, params={"q": "COPY t TO STDOUT"}), 401, "Unauthorized")
    for q in ("COPY t TO '/tmp/x'", "COPY t TO PROGRAM 'cat'"):
        response = api.get(COPY, params={"q": q})
        assert response.status_code == 400
        assert response.json()["error"][0].startswith("must be superuser or have privileges of")


def test_an_error_after_bytes_went_out_ends_the_data(api: Api) -> None:
    q = "COPY (SELECT repeat('x', 100), 1 / (20000 - i) FROM generate_series(1, 30000) i) TO STDOUT"
    response = api.get(COPY, params={"q": q})
    lines = response.content.split(b"\n")
    assert (response.status_code, len(lines)) == (200, 20_000)
    assert json.loads(lines[-1]) == {"error": ["division by zero"]}
    assert api.get(COPY, params={"q": "COPY (SELECT 1) TO STDOUT"}).content == b"1\n"


def test_a_copy_over_its_time_is_a_limit(make_server: MakeServer) -> None:
    account = make_account(make_server(copy_timeout=0.3))
    api = Api(account.base_url, account.api_key)
    body = {"error": [QUERY_TIMEOUT], "context": "limit", "detail": "datasource"}
    early = api.get(COPY, params={"q": "COPY (SELECT pg_sleep(30)) TO STDOUT"})
    assert (early.status_code, early.json()) == (429, body)
    wait = "CASE WHEN i = 9 THEN pg_sleep(30)::text END"
    slow = f"COPY (SELECT repeat('x', 50000), {wait} FROM generate_series(1, 9) i) TO STDOUT"
    late = api.get(COPY, params={"q": slow})
    assert late.status_code == 200
    assert json.loads(late.content.split(b"\n")[-1]) == body


@pytest.mark.parametrize("read", [False, True])
def test_a_client_that_leaves_takes_its_copy_along(
    api: Api, account: TestAccount, admin: psycopg.Connection[Any], read: bool
) -> None:
    raw = RawRequest(account.base_url, "GET", COPY, {}, q=ENDLESS, api_key=account.api_key)
    eventually(lambda: bool(active_queries(admin, account.role)), "the COPY runs")
    if read:
        assert raw.socket.recv(100).startswith(b"HTTP/1.1 200")
    raw.close()
    eventually(lambda: not active_queries(admin, account.role), "the COPY has ended")
    assert api.sql("SELECT 1 AS a").json()["rows"] == [{"a": 1}]


def test_data_changed_for_a_client_that_left_is_rolled_back(
    api: Api, account: TestAccount, admin: psycopg.Connection[Any]
) -> None:
    api.sql("CREATE TABLE w (a text)")
    q = "COPY (INSERT INTO w SELECT repeat('x', 1000) FROM generate_series(1, 300000) RETURNING a) TO STDOUT"
    raw = RawRequest(account.base_url, "GET", COPY, {}, q=q, api_key=account.api_key)
    assert raw.socket.recv(100).startswith(b"HTTP/1.1 200")
    raw.close()
    eventually(lambda: not active_queries(admin, account.role), "the COPY has ended")
    assert api.sql("SELECT count(*) AS n FROM w").json()["rows"] == [{"n": 0}]


def test_copies_wait_for_a_single_connection(make_server: MakeServer) -> None:
    account = make_account(make_server(connections=1))
    api = Api(account.base_url, account.api_key)
    q = "COPY (SELECT repeat('x', 100) FROM generate_series(1, 50000)) TO STDOUT"
    with ThreadPoolExecutor(3) as pool:
        sizes = list(
            pool.map(lambda _: len(api.with_key(api.api_key).get(COPY, params={"q": q}).content), range(3))
        )
    assert sizes == [50_000 * 101] * 3
