"""``/sql/copyfrom``: what goes in, what is refused, and that a refused COPY leaves nothing."""

from __future__ import annotations

import gzip
import random
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest
import requests

from carto_like.server.errors import QUERY_TIMEOUT
from tests.conftest import MakeServer
from tests.support.api import Api, TestAccount, make_account
from tests.support.raw import RawRequest, active_queries, eventually
from tests.support.server import RunningServer

COPY = "api/v2/sql/copyfrom"
INTO = "COPY t (id, name) FROM STDIN WITH (FORMAT csv, HEADER true)"
ROWS = b'id,name\r\n1,one\r\n2,"two, ""quoted"""\r\n3,\xc3\xa9\r\n'


@pytest.fixture
def table(api: Api) -> str:
    assert api.sql("CREATE TABLE t (id int, name text)").status_code == 200
    return "t"


def copy(api: Api, data: Any, q: str = INTO, **headers: str) -> requests.Response:
    return api.post(
        COPY, params={"q": q}, data=data, headers={k.replace("_", "-"): v for k, v in headers.items()}
    )


def stored(api: Api) -> list[tuple[Any, ...]]:
    return [tuple(row.values()) for row in api.sql("SELECT * FROM t ORDER BY id").json()["rows"]]


def refused(response: requests.Response, status: int, message: str) -> None:
    assert (response.status_code, response.json()["error"]) == (status, [message])
    assert response.headers["Content-Type"] == "application/json; charset=utf-8"
    assert response.headers["Content-Disposition"] == "inline"


def in_pieces(data: bytes, size: int) -> Iterator[bytes]:
    return (data[start : start + size] for start in range(0, len(data), size))


def limited(make_server: MakeServer, **limits: Any) -> tuple[Api, TestAccount]:
    account = make_account(make_server(**limits))
    api = Api(account.base_url, account.api_key)
    api.sql("CREATE TABLE t (id int, name text)")
    return api, account


@pytest.mark.parametrize("pieces", [None, 1, 7])
def test_csv_goes_in_whole_or_chunked(api: Api, table: str, pieces: int | None) -> None:
    response = copy(api, ROWS if pieces is None else in_pieces(ROWS, pieces))
    assert response.status_code == 200
    assert response.headers["Content-Type"] == "application/json; charset=utf-8"
    assert "Cache-Control" not in response.headers
    answer = response.json()
    assert list(answer) == ["time", "total_rows"]
    assert answer["total_rows"] == 3
    assert stored(api) == [(1, "one"), (2, 'two, "quoted"'), (3, "é")]


def test_text_and_binary_formats_go_in(api: Api, table: str) -> None:
    assert copy(api, b"1\tone\n2\t\\N\n", "COPY t FROM STDIN").json()["total_rows"] == 2
    data = api.get("api/v2/sql/copyto", params={"q": "COPY t TO STDOUT (FORMAT binary)"}).content
    assert copy(api, data, "copy t from stdin (format binary)").json()["total_rows"] == 2
    assert stored(api) == [(1, "one"), (1, "one"), (2, None), (2, None)]


def test_gzip_is_unpacked(api: Api, table: str) -> None:
    random.seed(1)
    lines = b"".join(b"%d,%d\n" % (i, random.getrandbits(200)) for i in range(20_000))
    packed = gzip.compress(lines[: len(lines) // 2]) + gzip.compress(lines[len(lines) // 2 :])
    q = "COPY t FROM STDIN CSV"
    assert copy(api, in_pieces(packed, 1000), q, Content_Encoding="gzip").json()["total_rows"] == 20_000
    assert copy(api, gzip.compress(b"1,x\n"), q, Content_Encoding="gzip").json()["total_rows"] == 1


def test_a_gzip_bomb_is_unpacked_piecewise(api: Api, table: str) -> None:
    bomb = gzip.compress(b"1,x\n" * 1_000_000)
    assert copy(api, bomb, "COPY t FROM STDIN CSV", Content_Encoding="gzip").json()["total_rows"] == 1_000_000


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"this is not gzip", "incorrect header check"),
        (b"\x1f\x8b\x07aaaaaaaaaa", "unknown compression method"),
        (gzip.compress(ROWS, mtime=0)[:-9], "unexpected end of file"),
        (gzip.compress(ROWS, mtime=0)[:5], "unexpected end of file"),
        (b"\x1f", "incorrect header check"),
    ],
)
def test_bad_gzip_is_refused_and_nothing_stored(api: Api, table: str, data: bytes, reason: str) -> None:
    refused(copy(api, data, Content_Encoding="gzip"), 400, f"Error while gunzipping: {reason}")
    assert stored(api) == []


@pytest.mark.parametrize("data", [b"", b"id,name\r\n"])
def test_no_rows_are_an_error(api: Api, table: str, data: bytes) -> None:
    refused(copy(api, data), 400, "No rows copied")


@pytest.mark.parametrize(
    ("q", "message"),
    [
        ("COPY missing FROM STDIN", 'relation "missing" does not exist'),
        ("COPY t (nope) FROM STDIN", 'column "nope" of relation "t" does not exist'),
        (" COPY t FROM STDIN", "SQL must start with COPY"),
        ("SELECT 1", "SQL must start with COPY"),
        ("COPY ", "syntax error at end of input"),
        ("COPY t TO STDOUT", "This is not a COPY ... FROM STDIN. Use /sql/copyto to export."),
        ("COPY (SELECT 1) TO STDOUT", "This is not a COPY ... FROM STDIN. Use /sql/copyto to export."),
    ],
)
def test_statements_that_cannot_be_are_refused(api: Api, table: str, q: str, message: str) -> None:
    refused(copy(api, ROWS, q), 400, message)
    assert copy(api, ROWS).status_code == 200


def test_the_query_must_be_one_and_in_the_query_string(api: Api, table: str) -> None:
    refused(api.post(COPY, data=ROWS), 400, "SQL is missing")
    refused(api.post(COPY, data=ROWS, params={"q": [INTO, INTO]}), 400, "SQL is missing")
    refused(api.post(COPY, data={"q": INTO}), 400, "SQL is missing")


def test_bad_values_are_told_and_nothing_stored(api: Api, table: str) -> None:
    refused(copy(api, ROWS + b"4,x,y\r\n"), 400, "extra data after last expected column")
    refused(copy(api, ROWS + b"x,y\r\n"), 400, 'invalid input syntax for type integer: "x"')
    refused(copy(api, ROWS + b"5,\xff\r\n"), 400, 'invalid byte sequence for encoding "UTF8": 0xff')
    assert stored(api) == []


def test_the_answer_reaches_a_client_that_still_sends(api: Api, table: str) -> None:
    data = b"x,y\n" + b"1,one\n" * 2_000_000
    refused(copy(api, data, "COPY t FROM STDIN CSV"), 400, 'invalid input syntax for type integer: "x"')
    refused(copy(api.with_key("nonsense"), data), 401, "Unauthorized")


def test_a_key_without_the_right_to_insert_is_refused(api: Api, table: str) -> None:
    refused(copy(api.anonymous, ROWS), 403, "permission denied for table t")


def test_files_and_programs_of_the_server_are_out_of_reach(api: Api, table: str) -> None:
    for q in ("COPY t FROM '/etc/passwd'", "COPY t FROM PROGRAM 'echo 1'"):
        response = copy(api, ROWS, q)
        assert response.status_code == 400
        assert response.json()["error"][0].startswith("must be superuser or have privileges of")


def test_a_statement_after_the_copy_runs_with_it(api: Api, table: str) -> None:
    assert copy(api, ROWS, f"{INTO}; UPDATE t SET name = 'x'").json()["total_rows"] == 3
    assert {name for _, name in stored(api)} == {"x"}


def test_an_error_after_the_copy_undoes_it(api: Api, table: str) -> None:
    refused(copy(api, ROWS, f"{INTO}; SELECT 1/0"), 400, "division by zero")
    assert copy(api, ROWS, f"{INTO}; COPY t FROM STDIN").status_code == 400
    assert stored(api) == []


def test_a_copy_goes_into_a_dataset(api: Api) -> None:
    q = "CREATE TABLE d (name text, the_geom geometry(Point, 4326)); SELECT CDB_CartodbfyTable('d')"
    assert api.sql(q).status_code == 200
    lines = b"".join(b"n%d,SRID=4326;POINT(%d 1)\n" % (i, i % 180) for i in range(12_000))
    for _ in range(2):
        assert copy(api, lines, "COPY d (name, the_geom) FROM STDIN CSV").json()["total_rows"] == 12_000
    found = api.sql(
        """SELECT count(*) AS n, count(DISTINCT cartodb_id) AS ids,
                  bool_and(ST_Equals(the_geom_webmercator, ST_Transform(the_geom, 3857))) AS same FROM d"""
    ).json()["rows"]
    assert found == [{"n": 24_000, "ids": 24_000, "same": True}]


def test_too_many_bytes_are_refused(make_server: MakeServer) -> None:
    api, _ = limited(make_server, copy_max_bytes=2**20)
    data = b"1,xxxxxxxxxxxxxxxxxxxxxxxxxx\n" * 40_000
    refused(copy(api, data), 400, "COPY FROM maximum POST size of 1 MB exceeded")
    refused(copy(api, in_pieces(data, 65536)), 400, "COPY FROM maximum POST size of 1 MB exceeded")
    assert stored(api) == []
    assert copy(api, gzip.compress(data), Content_Encoding="gzip").status_code == 200


def test_the_quota_counts_unpacked_bytes(platform_server: RunningServer) -> None:
    account = make_account(platform_server, quota_bytes=100_000)
    api = Api(account.base_url, account.api_key)
    api.sql("CREATE TABLE t (id int, name text)")
    data = b"id,name\n" + b"1,one\n" * 20_000
    refused(copy(api, gzip.compress(data), Content_Encoding="gzip"), 400, "DB Quota exceeded")
    assert stored(api) == []
    assert copy(api, ROWS).status_code == 200


def test_slow_input_is_given_up(make_server: MakeServer) -> None:
    api, _ = limited(make_server, copy_min_bytes=1000, copy_window=0.5)
    release = threading.Event()

    def trickle() -> Iterator[bytes]:
        yield ROWS
        release.wait(20)

    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(copy, api.with_key(api.api_key), trickle())
        begun = time.monotonic()
        eventually(lambda: time.monotonic() - begun > 1.5, "the window has passed")
        release.set()
        refused(waiting.result(), 400, "Connection closed by server: input data too slow")
    assert stored(api) == []


def test_input_that_is_fast_enough_may_take_many_windows(make_server: MakeServer) -> None:
    api, _ = limited(make_server, copy_min_bytes=2, copy_window=0.2)
    line = iter([b"1,one\n", b"2,two\n", b"3,three\n"])
    pause = threading.Event()

    def slow() -> Iterator[bytes]:
        for piece in line:
            yield piece
            pause.wait(0.15)

    assert copy(api, slow(), "COPY t FROM STDIN CSV").json()["total_rows"] == 3


def test_a_copy_over_its_time_is_a_limit(make_server: MakeServer) -> None:
    api, _ = limited(make_server, copy_timeout=0.4, cancel_grace=0.3)
    release = threading.Event()

    def stalled() -> Iterator[bytes]:
        yield ROWS
        release.wait(20)

    timer = threading.Timer(2, release.set)
    timer.start()
    response = copy(api, stalled())
    timer.join()
    assert (response.status_code, response.json()) == (
        429,
        {"error": [QUERY_TIMEOUT], "context": "limit", "detail": "datasource"},
    )
    assert stored(api) == []
    assert copy(api, ROWS).status_code == 200


def test_a_copy_may_take_longer_than_a_query(make_server: MakeServer) -> None:
    api, _ = limited(make_server, query_timeout=0.3, copy_timeout=60.0)
    api.sql(
        """CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS
             $$BEGIN PERFORM pg_sleep(0.3); RETURN NEW; END$$;
           CREATE TRIGGER slow BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION slow()"""
    )
    assert copy(api, ROWS).json()["total_rows"] == 3


def test_a_client_that_leaves_stores_nothing(
    api: Api, account: TestAccount, admin: psycopg.Connection[Any], table: str
) -> None:
    headers = {"Transfer-Encoding": "chunked"}
    raw = RawRequest(account.base_url, "POST", COPY, headers, q=INTO, api_key=account.api_key)
    raw.send_chunk(ROWS)
    eventually(lambda: bool(active_queries(admin, account.role)), "the COPY runs")
    raw.close()
    eventually(lambda: not active_queries(admin, account.role), "the COPY has ended")
    assert stored(api) == []
    assert copy(api, ROWS).status_code == 200


def test_a_client_that_leaves_after_its_data_stores_nothing(
    api: Api, account: TestAccount, admin: psycopg.Connection[Any], table: str
) -> None:
    headers = {"Content-Length": str(len(ROWS))}
    q = f"{INTO}; SELECT pg_sleep(60)"
    raw = RawRequest(account.base_url, "POST", COPY, headers, q=q, api_key=account.api_key)
    raw.socket.sendall(ROWS)
    eventually(lambda: bool(active_queries(admin, account.role)), "the COPY runs")
    raw.close()
    eventually(lambda: not active_queries(admin, account.role), "the COPY has ended")
    assert stored(api) == []


def test_copies_wait_for_a_single_connection(make_server: MakeServer) -> None:
    api, _ = limited(make_server, connections=1)
    data = b"1,one\n" * 50_000
    with ThreadPoolExecutor(3) as pool:
        found = [
            pool.submit(copy, api.with_key(api.api_key), in_pieces(data, 10_000), "COPY t FROM STDIN CSV")
            for _ in range(3)
        ]
    assert [future.result().json()["total_rows"] for future in found] == [50_000] * 3


def test_triggers_may_say_much(api: Api, table: str) -> None:
    api.sql(
        """CREATE FUNCTION loud() RETURNS trigger LANGUAGE plpgsql AS
             $$BEGIN RAISE NOTICE '%', repeat('x', 1000); RETURN NEW; END$$;
           CREATE TRIGGER loud BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION loud()"""
    )
    data = b"1,one\n" * 20_000
    assert copy(api, data, "COPY t FROM STDIN CSV").json()["total_rows"] == 20_000
