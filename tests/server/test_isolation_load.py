"""What a tenant may do to himself must not be felt by the others, nor by whoever asks next."""

from __future__ import annotations

import asyncio
import threading
import time
import tracemalloc
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
import requests

from carto_like.server.errors import QUERY_TIMEOUT
from carto_like.server.services import extents, figures
from carto_like.server.sqlapi.scanning import scan
from tests.conftest import MakeServer
from tests.support.api import Api, TestAccount, make_account
from tests.support.datasets import Owner
from tests.support.raw import active_queries, eventually, sessions
from tests.support.rows import rows_of
from tests.support.server import RunningServer

FOREVER = "LOOP BEGIN PERFORM pg_sleep(60); EXCEPTION WHEN query_canceled THEN NULL; END; END LOOP"


def short_server(make_server: MakeServer, **limits: Any) -> tuple[RunningServer, Api, TestAccount]:
    server = make_server(query_timeout=0.5, cancel_grace=0.3, **limits)
    account = make_account(server)
    return server, Api(account.base_url, account.api_key), account


@contextmanager
def busy(api: Api, q: str) -> Iterator[None]:
    """A statement of the tenant that holds on to something until the block ends, and its client leaves."""
    with ThreadPoolExecutor(1) as pool:
        other = Api(api.base_url, api.api_key)
        pool.submit(other.sql, q)
        yield


def held(admin: psycopg.Connection[Any], role: str) -> bool:
    return any("pg_sleep" in query for query in active_queries(admin, role))


LONG = {
    "regular expression": "SELECT count(*) FROM generate_series(1, 9999) i WHERE repeat('ab', i) ~ '(a|b)+c'",
    "array in memory": "SELECT array_agg(i) FROM generate_series(1, 2000000000::bigint) i",
    "text in memory": "SELECT string_agg(repeat('x', 10), '') FROM generate_series(1, 2000000000::bigint)",
    "recursion": "WITH RECURSIVE r AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM r) SELECT count(*) FROM r",
    "join": "SELECT count(*) FROM generate_series(1, 100000) a, generate_series(1, 100000) b",
    "geometry": "SELECT sum(ST_Area(ST_Buffer(ST_Point(i, 0), 9, 500))) FROM generate_series(1, 100000000) i",
    "notices": "DO $$BEGIN LOOP RAISE NOTICE '%', repeat('x', 1000); END LOOP; END$$",
    "swallow others": f"DO $$BEGIN {FOREVER.replace('query_canceled', 'OTHERS')}; END$$",
    "set_config": "SELECT set_config('statement_timeout', '0', false); SELECT pg_sleep(60)",
    "set local": "BEGIN; SET LOCAL statement_timeout = 0; SELECT pg_sleep(60)",
    "planning": "SELECT forever() FROM generate_series(1, 2)",
    # PostgreSQL looks for the end of each comment anew, and listens to nobody meanwhile.
    "nested comments": "SELECT 1" + "/*" * 20_000,
    "commit": "INSERT INTO late VALUES (1)",
}


@pytest.mark.parametrize("what", LONG)
def test_no_statement_outlives_its_deadline(
    make_server: MakeServer, admin: psycopg.Connection[Any], what: str
) -> None:
    _, api, account = short_server(make_server)
    api.sql(
        "CREATE TABLE late (a int); CREATE FUNCTION forever() RETURNS int IMMUTABLE LANGUAGE plpgsql AS"
        f" $$BEGIN {FOREVER}; END$$;"
        f"CREATE FUNCTION at_commit() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN {FOREVER}; END$$;"
        "CREATE CONSTRAINT TRIGGER t AFTER INSERT ON late DEFERRABLE INITIALLY DEFERRED"
        " FOR EACH ROW EXECUTE FUNCTION at_commit()"
    )
    begun = time.monotonic()
    answer = api.sql(LONG[what])
    assert time.monotonic() - begun < 10
    if answer.status_code == 200:  # the first of two statements had its rows out already
        assert answer.json()["error"] == [QUERY_TIMEOUT]
    else:
        assert (answer.status_code, answer.json()["error"]) == (429, [QUERY_TIMEOUT])
    eventually(lambda: not active_queries(admin, account.role), "the statement has ended")
    assert rows_of(api, "SELECT count(*) AS n FROM late") == [{"n": 0}]


def test_memory_is_bounded_by_postgresql_and_by_the_limit_of_a_row(make_server: MakeServer) -> None:
    server = make_server(row_max_bytes=1_000_000)
    account = make_account(server)
    api = Api(account.base_url, account.api_key)
    for q in ("SELECT repeat('x', 2000000000)", "SELECT array_fill(0, ARRAY[1000000000])"):
        assert api.sql(q).status_code == 400
    for format in ("json", "csv", "geojson"):
        answer = api.sql("SELECT repeat('x', 2000000) AS a, NULL::geometry AS the_geom", format=format)
        # A line of CSV has a comma and an end, too.
        size = 2_000_002 if format == "csv" else 2_000_000
        assert (answer.status_code, answer.json()["error"]) == (400, [f"Row too large, was {size} bytes"])
    assert rows_of(api, "SELECT 1 AS a") == [{"a": 1}]


def test_figures_of_a_hostile_dataset_are_given_up(
    api: Api,
    owner: Owner,
    account: TestAccount,
    admin: psycopg.Connection[Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Anybody may ask for a public dataset, so its owner must not make that last for ever."""
    monkeypatch.setattr(figures, "_PATIENCE", 0.2)
    monkeypatch.setattr(figures, "_LAST_READING", 0.2)
    owner.dataset("trees", rows=3)
    owner.execute("GRANT SELECT ON trees TO publicuser")
    owner.execute(
        "CREATE FUNCTION st_geometrytype(public.geometry) RETURNS text LANGUAGE plpgsql AS"
        f" $$BEGIN {FOREVER}; END$$"
    )
    begun = time.monotonic()
    for client in (api, api.anonymous):
        viz = client.get("api/v1/viz/trees").json()
        assert (viz["name"], viz["table"]["row_count"]) == ("trees", 0)
    assert api.get("api/v1/viz", params={"type": "table"}).json()["total_entries"] == 1
    assert time.monotonic() - begun < 10
    eventually(lambda: not active_queries(admin, account.role), "nothing runs on")
    owner.execute("DROP FUNCTION st_geometrytype(public.geometry)")
    assert api.get("api/v1/viz/trees").json()["table"]["row_count"] == 3


def test_boxes_of_a_hostile_dataset_are_given_up(
    api: Api,
    owner: Owner,
    account: TestAccount,
    admin: psycopg.Connection[Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(extents, "_PATIENCE", 0.2)
    owner.execute("CREATE TYPE mine AS (x float8)")
    owner.execute(
        "CREATE FUNCTION touch(mine, public.geometry) RETURNS boolean LANGUAGE plpgsql AS"
        f" $$BEGIN {FOREVER}; END$$"
    )
    owner.execute("CREATE OPERATOR && (LEFTARG = mine, RIGHTARG = public.geometry, FUNCTION = touch)")
    owner.dataset("trees", rows=1)
    owner.execute("DROP TRIGGER update_the_geom_webmercator_trigger ON trees")
    owner.execute("ALTER TABLE trees DROP the_geom")
    owner.execute("ALTER TABLE trees ADD the_geom mine DEFAULT ROW(1)")
    answer = api.get("api/v1/viz", params={"type": "table", "bbox": "-180,-85,180,85"})
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")
    assert "in use" in answer.text
    eventually(lambda: not active_queries(admin, account.role), "nothing runs on")
    assert api.get("api/v1/viz", params={"type": "table"}).json()["total_entries"] == 1


def test_points_made_in_a_hostile_table_are_given_up(
    make_server: MakeServer, admin: psycopg.Connection[Any]
) -> None:
    _, api, account = short_server(make_server)
    api.sql("CREATE TABLE trees (lon float8, lat float8); SELECT CDB_CartodbfyTable('trees')")
    api.sql("INSERT INTO trees (lon, lat) VALUES (7, 47)")
    api.sql(
        f"CREATE FUNCTION forever() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN {FOREVER}; END$$;"
        "CREATE TRIGGER forever BEFORE UPDATE ON trees FOR EACH ROW EXECUTE FUNCTION forever()"
    )
    body = {"latitude_column": "lat", "longitude_column": "lon"}
    answer = api.put("api/v1/tables/trees", json=body)
    assert answer.status_code == 400, answer.text
    assert "cannot be changed in time" in answer.text
    eventually(lambda: not active_queries(admin, account.role), "nothing runs on")
    assert rows_of(api, "SELECT count(the_geom) AS n FROM trees") == [{"n": 0}]


def test_functions_of_a_tenant_never_run_as_the_platform(
    api: Api, owner: Owner, account: TestAccount
) -> None:
    """Views, triggers, rules, policies, domains, casts and indexes: whatever a request of ours touches."""
    owner.execute("CREATE TABLE ran (who text, what text)")
    owner.execute(
        "CREATE FUNCTION note(what text) RETURNS boolean LANGUAGE plpgsql AS $$BEGIN"
        " INSERT INTO ran VALUES (session_user || '/' || current_user, what); RETURN true; END$$"
    )
    owner.execute("CREATE FUNCTION noted(n int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT n'")
    owner.execute("CREATE DOMAIN watched AS int CHECK (note('domain'))")
    owner.execute("CREATE TABLE trees (n watched, the_geom geometry(Point, 4326))")
    owner.cartodbfy("trees")
    for what in ("INSERT", "UPDATE", "DELETE", "TRUNCATE"):
        owner.execute(
            f"CREATE FUNCTION on_{what}() RETURNS trigger LANGUAGE plpgsql AS"
            f" $$BEGIN PERFORM note('{what}'); RETURN NULL; END$$"
        )
        owner.execute(f"CREATE TRIGGER a_{what} AFTER {what} ON trees EXECUTE FUNCTION on_{what}()")
    owner.execute("CREATE INDEX ON trees (noted(n))")
    for name in ("count", "format_type", "pg_total_relation_size", "has_table_privilege"):
        owner.execute(
            f"CREATE FUNCTION {name}(oid) RETURNS int LANGUAGE sql AS 'SELECT note($${name}$$)::int'"
        )
    sent = api.post("api/v2/sql/copyfrom", params={"q": "COPY trees (n) FROM STDIN"}, data=b"1\n")
    assert sent.status_code == 200, sent.text
    owner.execute("ALTER TABLE trees ENABLE ROW LEVEL SECURITY")
    owner.execute("ALTER TABLE trees FORCE ROW LEVEL SECURITY")
    owner.execute("CREATE POLICY p ON trees USING (note('policy'))")
    viz = api.get("api/v1/viz/trees").json()
    body = {"id": viz["id"], "name": "woods", "privacy": "PUBLIC", "description": "x"}
    assert api.put(f"api/v1/viz/{viz['id']}", json=body).status_code == 200
    assert api.get("api/v1/viz", params={"type": "table", "bbox": "-1,-1,1,1"}).status_code == 200
    assert api.get("api/v1/tables/woods").status_code == 200
    assert api.get("api/v1/users/me").status_code == 200
    assert api.anonymous.get("api/v1/viz/woods").status_code == 200
    assert api.delete(f"api/v1/viz/{viz['id']}").status_code == 204
    ran = owner.execute("SELECT DISTINCT who, what FROM ran")
    assert {who for who, _ in ran} == {f"{account.role}/{account.role}"}
    assert {what for _, what in ran} >= {"INSERT", "domain"}


def test_locked_tables_keep_neither_listings_nor_others_waiting(
    make_server: MakeServer, admin: psycopg.Connection[Any]
) -> None:
    server = make_server(quota_bytes=10**9)
    account = make_account(server)
    api = Api(account.base_url, account.api_key)
    api.sql("CREATE TABLE t (n int); SELECT CDB_CartodbfyTable('t'); CREATE TABLE free (n int)")
    with busy(api, "BEGIN; LOCK TABLE t; SELECT pg_sleep(60)"):
        eventually(lambda: held(admin, account.role), "the table is locked")
        begun = time.monotonic()
        with ThreadPoolExecutor(12) as pool:
            copies = [pool.submit(copy_in, account, "free") for _ in range(12)]
            assert requests.get(f"{server.base_url}health", timeout=30).json()["ok"] is True
            assert requests.get(f"{server.base_url}metrics", timeout=30).status_code == 200
            listed = api.get("api/v1/viz", params={"type": "table"}).json()
            assert [viz["name"] for viz in listed["visualizations"]] == ["t"]
            assert api.get("api/v1/users/me").status_code == 200
            assert [copy.result() for copy in copies] == [200] * 12
        assert time.monotonic() - begun < 20
        end_sessions(admin, account.role)
    assert rows_of(api, "SELECT count(*) AS n FROM free") == [{"n": 12}]


def copy_in(account: TestAccount, table: str) -> int:
    url = f"{account.base_url}api/v2/sql/copyfrom"
    parameters = {"q": f"COPY {table} FROM STDIN", "api_key": account.api_key}
    return requests.post(url, params=parameters, data=b"1\n", timeout=60).status_code


def end_sessions(admin: psycopg.Connection[Any], role: str) -> None:
    for pid in sessions(admin, role):
        admin.execute("SELECT pg_terminate_backend(%s)", (pid,))


def test_a_full_lock_table_is_emptied_with_the_request(
    api: Api, platform_server: RunningServer, admin: psycopg.Connection[Any]
) -> None:
    """The table of locks is shared by the whole database."""
    swallow = "EXCEPTION WHEN out_of_memory THEN NULL;"
    fill = f"DO $$BEGIN FOR i IN 1..10000000 LOOP PERFORM pg_advisory_lock(i); END LOOP; {swallow} END$$"
    held = "SELECT FROM pg_locks WHERE locktype = 'advisory'"
    for q, status in ((fill, 200), (fill.replace(swallow, ""), 400)):
        assert api.anonymous.sql(q).status_code == status
        eventually(lambda: admin.execute(held).fetchone() is None, "the locks are gone")
        assert rows_of(api.anonymous, "SELECT 1 AS a") == [{"a": 1}]
        make_account(platform_server)
        assert rows_of(api, "SELECT pg_try_advisory_lock(1) AS got") == [{"got": True}]
    assert api.sql("CREATE TABLE t (a int)").status_code == 200


def test_notifications_are_kept_by_nobody(api: Api) -> None:
    """They come to whoever listens, without being asked for, and may be as many as anybody likes."""
    flood = "SELECT count(pg_notify('flood', repeat('y', 7000) || i)) AS n FROM generate_series(1, 1000) i"
    q = f"LISTEN flood; COMMIT; {flood}; COMMIT; SELECT 1 AS a"
    tracemalloc.start()
    try:
        for _ in range(4):
            assert rows_of(api.anonymous, q) == [{"n": 1000}, {"a": 1}]
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < 5_000_000


def test_long_texts_are_looked_through_beside_other_requests() -> None:
    """The scanner waits here for the event loop, which it would block if it ran there."""
    turned = threading.Event()

    def scanner(text: str) -> int:
        return len(text) if turned.wait(10) else 0

    async def work() -> int:
        asyncio.get_running_loop().call_soon(turned.set)
        return await scan(scanner, "(" * 1_000_000)

    assert asyncio.run(work()) == 1_000_000
