"""Queries that run too long, clients that leave, databases that go away; and that the next request works."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest
import requests

from carto_like.server.errors import QUERY_TIMEOUT
from tests.conftest import MakeServer
from tests.support.api import Api, TestAccount, make_account
from tests.support.raw import RawRequest, active_queries, eventually, sessions

SQL = "api/v2/sql"
TIMEOUT_BODY = {"error": [QUERY_TIMEOUT], "context": "limit", "detail": "datasource"}
SWALLOW = """DO $$BEGIN LOOP BEGIN PERFORM pg_sleep(60);
             EXCEPTION WHEN query_canceled THEN NULL; END; END LOOP; END$$"""


def usable(api: Api) -> bool:
    return bool(api.sql("SELECT 1 AS a").json()["rows"] == [{"a": 1}])


def make_api(make_server: MakeServer, **limits: Any) -> tuple[Api, TestAccount]:
    account = make_account(make_server(**limits))
    return Api(account.base_url, account.api_key), account


@pytest.mark.parametrize("format", ["json", "geojson", "csv"])
def test_a_query_over_its_time_is_a_limit(make_server: MakeServer, format: str) -> None:
    api, _ = make_api(make_server, query_timeout=0.3)
    response = api.sql("SELECT pg_sleep(30)::text, NULL::geometry AS the_geom", format=format)
    assert (response.status_code, response.json()) == (429, TIMEOUT_BODY)
    assert "Retry-After" not in response.headers
    assert usable(api)


def test_a_query_cannot_lift_its_time_limit(make_server: MakeServer) -> None:
    api, _ = make_api(make_server, query_timeout=0.3)
    begun = time.monotonic()
    response = api.sql("SET statement_timeout = 0; SELECT pg_sleep(30)")
    assert (response.status_code, response.json()) == (429, TIMEOUT_BODY)
    assert time.monotonic() - begun < 10
    assert usable(api)


def test_a_limit_of_the_clients_own_is_told_likewise(api: Api) -> None:
    response = api.sql("SET statement_timeout = 50; SELECT pg_sleep(30)")
    assert (response.status_code, response.json()) == (429, TIMEOUT_BODY)


def test_a_timeout_after_rows_is_told_inside_the_answer(make_server: MakeServer) -> None:
    api, _ = make_api(make_server, query_timeout=0.5)
    response = api.sql("SELECT i, CASE WHEN i = 3 THEN pg_sleep(30)::text END FROM generate_series(1, 5) i")
    answer = response.json()
    assert (response.status_code, answer["error"], answer["total_rows"]) == (200, [QUERY_TIMEOUT], 2)
    assert "context" not in answer


def test_a_query_that_swallows_its_cancellation_is_terminated(
    make_server: MakeServer, admin: psycopg.Connection[Any]
) -> None:
    api, account = make_api(make_server, query_timeout=0.3, cancel_grace=0.3)
    begun = time.monotonic()
    response = api.sql(SWALLOW)
    assert (response.status_code, response.json()) == (429, TIMEOUT_BODY)
    assert time.monotonic() - begun < 10
    eventually(lambda: not active_queries(admin, account.role), "the session has ended")
    assert usable(api)


@pytest.mark.parametrize("q", ["SELECT pg_sleep(60)", SWALLOW])
def test_a_client_that_leaves_takes_its_query_along(
    make_server: MakeServer, admin: psycopg.Connection[Any], q: str
) -> None:
    api, account = make_api(make_server, cancel_grace=0.3)
    raw = RawRequest(account.base_url, "GET", SQL, {}, q=q, api_key=account.api_key)
    eventually(lambda: bool(active_queries(admin, account.role)), "the query runs")
    raw.close()
    eventually(lambda: not active_queries(admin, account.role), "the query has ended")
    assert usable(api)


def test_a_client_that_leaves_amid_rows_takes_its_query_along(
    api: Api, account: TestAccount, admin: psycopg.Connection[Any]
) -> None:
    q = "SELECT repeat('x', 1000), generate_series(1, 100000000)"
    raw = RawRequest(account.base_url, "GET", SQL, {}, q=q, api_key=account.api_key)
    assert raw.socket.recv(100).startswith(b"HTTP/1.1 200")
    raw.close()
    eventually(lambda: not active_queries(admin, account.role), "the query has ended")
    assert usable(api)


def test_a_client_that_takes_nothing_is_given_up(
    make_server: MakeServer, admin: psycopg.Connection[Any]
) -> None:
    api, account = make_api(make_server, query_timeout=0.5, cancel_grace=0.2, connections=1)
    q = "SELECT repeat('x', 1000), generate_series(1, 100000000)"
    raw = RawRequest(account.base_url, "GET", SQL, {}, q=q, api_key=account.api_key)
    eventually(lambda: bool(active_queries(admin, account.role)), "the query runs")
    eventually(lambda: not active_queries(admin, account.role), "the query has ended")
    assert usable(api)
    raw.close()


def test_an_insert_of_a_client_that_left_is_rolled_back(
    api: Api, account: TestAccount, admin: psycopg.Connection[Any]
) -> None:
    api.sql("CREATE TABLE t (a int)")
    q = "INSERT INTO t VALUES (1); SELECT pg_sleep(60)"
    raw = RawRequest(account.base_url, "GET", SQL, {}, q=q, api_key=account.api_key)
    eventually(lambda: bool(active_queries(admin, account.role)), "the query runs")
    raw.close()
    eventually(lambda: not active_queries(admin, account.role), "the query has ended")
    assert api.sql("SELECT * FROM t").json()["rows"] == []


def test_a_terminated_session_is_an_error_and_the_next_request_works(
    api: Api, account: TestAccount, admin: psycopg.Connection[Any]
) -> None:
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(api.with_key(api.api_key).sql, "SELECT pg_sleep(60)")
        eventually(lambda: bool(active_queries(admin, account.role)), "the query runs")
        for pid in sessions(admin, account.role):
            admin.execute("SELECT pg_terminate_backend(%s)", (pid,))
        response = waiting.result()
    assert response.status_code == 500
    assert "error" in response.json()
    assert usable(api)


def test_idle_sessions_that_died_are_not_used(
    api: Api, account: TestAccount, admin: psycopg.Connection[Any]
) -> None:
    assert usable(api)
    for pid in sessions(admin, account.role):
        admin.execute("SELECT pg_terminate_backend(%s)", (pid,))
    eventually(lambda: not sessions(admin, account.role), "the sessions have ended")
    assert usable(api)


def test_many_failing_queries_leave_a_small_pool_healthy(make_server: MakeServer) -> None:
    api, _ = make_api(make_server, connections=2)
    for q in (
        "SELECT 1/0",
        "BEGIN; SELECT 1/0",
        "COPY x FROM STDIN",
        "SELECT nope",
        "COPY (SELECT 1) TO STDOUT",
    ):
        for _ in range(3):
            api.sql(q)
    with ThreadPoolExecutor(4) as pool:
        statuses = list(
            pool.map(lambda n: api.with_key(api.api_key).sql(f"SELECT {n}").status_code, range(8))
        )
    assert statuses == [200] * 8


def test_a_body_over_the_limit_is_refused(make_server: MakeServer) -> None:
    api, _ = make_api(make_server, body_max_bytes=10_000)
    response: requests.Response = api.sql(f"SELECT '{'x' * 20_000}'")
    assert response.status_code == 413
    assert usable(api)
