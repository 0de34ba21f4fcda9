"""Imports from other PostgreSQL databases."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest

from carto_like.auth import APIKeyAuthClient
from carto_like.datasets import DatasetManager
from carto_like.server.imports.codes import ImportFailure
from carto_like.server.imports.connector import connector_of
from carto_like.server.postgres import PrivatePostgres
from carto_like.server.services.remotes import remote_rows
from carto_like.server.settings import Limits, Settings
from tests.support.api import Api, make_account
from tests.support.databases import another_database
from tests.support.imports import ended, start
from tests.support.postgresql import forwarded, impostor, listening, silence
from tests.support.rows import rows_of
from tests.support.server import RunningServer

PASSWORD = "p'a ss\\word-of-theirs"
MOST_ROWS = 50
EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "import_from_database.py"
SECONDS = 2.0
THEIRS = """
CREATE EXTENSION postgis;
CREATE TYPE mood AS ENUM ('sad', 'happy');
CREATE TABLE "My Trees" (
    id smallint, "Größe" numeric, note varchar, ok boolean, born date, seen timestamptz, kind mood,
    tags int[], more jsonb, "Select" text, place geometry(Point, 3857), area geometry(Polygon, 4326));
INSERT INTO "My Trees"
SELECT n, n / 4.0, E'tab\\there \\\\ and\\nline ' || n, n = 1, '2024-05-01', '2024-05-01 10:00+02', 'happy',
       '{1,2}', '{"a": 1}', NULL, ST_SetSRID(ST_MakePoint(111319.490793 * n, 0), 3857), NULL
FROM generate_series(1, 3) AS n;
CREATE SCHEMA other;
CREATE TABLE other.keyed (cartodb_id int, the_geom geometry(MultiPolygon, 4326), the_geom_webmercator text);
INSERT INTO other.keyed VALUES (7, 'SRID=4326;MULTIPOLYGON(((0 0,1 0,1 1,0 0)))', 'x'), (9, NULL, 'y');
CREATE TABLE other.lines (the_geom geometry);
INSERT INTO other.lines VALUES ('SRID=4326;LINESTRING Z (0 0 5, 1 1 5)'), ('LINESTRING(2 2, 3 3)');
CREATE TABLE other.twice (cartodb_id int);
INSERT INTO other.twice VALUES (1), (1);
CREATE TABLE other.mixed (the_geom geometry);
INSERT INTO other.mixed VALUES ('SRID=4326;GEOMETRYCOLLECTION(POINT(0 0))');
CREATE TABLE other.many AS SELECT generate_series(1, 51) AS n;
"""


@pytest.fixture(scope="module")
def port(cluster: PrivatePostgres) -> Iterator[int]:
    """Where somebody else's database is."""
    with psycopg.connect(cluster.dsn(), autocommit=True) as connection:
        connection.execute("CREATE DATABASE theirs")
        with psycopg.connect(cluster.dsn("theirs"), autocommit=True) as theirs:
            theirs.execute(THEIRS)
        with listening(forwarded(Path(cluster.socket_dir or "") / ".s.PGSQL.5432")) as port:
            yield port
        connection.execute("DROP DATABASE theirs WITH (FORCE)")


@pytest.fixture(scope="module")
def own(cluster: PrivatePostgres) -> Settings:
    """Settings of a server that may ask this machine."""
    limits = Limits(import_max_rows=MOST_ROWS, import_timeout=SECONDS)
    return replace(another_database(cluster), import_addresses="loopback", limits=limits)


@pytest.fixture(scope="module")
def own_api(own: Settings) -> Iterator[Api]:
    """A user of that server."""
    with ExitStack() as stack:
        server = stack.enter_context(RunningServer(own))
        account = make_account(server)
        api = Api(account.base_url, account.api_key)
        stack.callback(api.session.close)
        yield api


def connector(port: int, **asked: Any) -> dict[str, Any]:
    access = {"server": "localhost", "port": port, "database": "theirs", "username": "postgres"}
    return {"provider": "postgres", "connection": {**access, "password": PASSWORD}, **asked}


def imported(api: Api, port: int, **asked: Any) -> dict[str, Any]:
    options = asked.pop("options", {})
    return ended(api, start(api, json={"connector": connector(port, **asked), **options}))


def test_a_table_becomes_a_dataset(own_api: Api, port: int) -> None:
    end = imported(own_api, port, table="My Trees")
    assert (end["state"], end["data_type"], end["display_name"]) == ("complete", "datasource", "My Trees"), (
        end
    )
    assert end["table_name"] == "my_trees"
    rows = rows_of(
        own_api,
        "SELECT cartodb_id, id, gro_e::text, note, ok, born::text, "
        "seen AT TIME ZONE 'UTC' = '2024-05-01 08:00' AS seen, "
        "kind, tags, more->>'a' AS more, _select, round(ST_X(the_geom)::numeric, 4)::float AS x, "
        "ST_SRID(the_geom_webmercator) AS srid FROM my_trees ORDER BY 1",
    )
    assert rows[0] == {
        **{"cartodb_id": 1, "id": 1, "gro_e": "0.25000000000000000000", "note": "tab\there \\ and\nline 1"},
        **{"ok": True, "born": "2024-05-01", "seen": True, "kind": "happy", "tags": "{1,2}", "more": "1"},
        **{"_select": None, "x": 1.0, "srid": 3857},
    }
    assert [row["cartodb_id"] for row in rows] == [1, 2, 3]
    types = rows_of(
        own_api, "SELECT pg_typeof(id)::text AS i, pg_typeof(gro_e)::text AS n FROM my_trees LIMIT 1"
    )
    assert types == [{"i": "integer", "n": "numeric"}]
    table = own_api.get(f"api/v1/tables/{end['table_id']}").json()
    assert table["name"] == "my_trees"


def test_keys_and_geometries_stay(own_api: Api, port: int) -> None:
    end = imported(own_api, port, schema="other", table="keyed", options={"privacy": "link"})
    assert end["state"] == "complete", end
    rows = rows_of(own_api, "SELECT cartodb_id, ST_AsText(the_geom) AS g FROM keyed ORDER BY 1")
    assert rows == [
        {"cartodb_id": 7, "g": "MULTIPOLYGON(((0 0,1 0,1 1,0 0)))"},
        {"cartodb_id": 9, "g": None},
    ]
    assert own_api.get("api/v1/viz/keyed").json()["privacy"] == "LINK"
    end = imported(own_api, port, schema="other", table="lines")
    rows = rows_of(own_api, "SELECT ST_AsEWKT(the_geom) AS g FROM lines ORDER BY cartodb_id")
    assert [row["g"] for row in rows] == [
        "SRID=4326;MULTILINESTRING((0 0,1 1))",
        "SRID=4326;MULTILINESTRING((2 2,3 3))",
    ]


def test_a_query_becomes_a_dataset_by_the_sdk(own_api: Api, port: int) -> None:
    client = APIKeyAuthClient(own_api.base_url, own_api.api_key or "")
    query = 'SELECT id AS a, id + 1 AS "A" FROM "My Trees" WHERE id < 3; -- two of them'
    asked = connector(port, SQL_Query=query.partition(";")[0] + " -- two of them", Import_As="Two trees")
    dataset = DatasetManager(client).create(None, connection={"connector": asked})
    assert dataset.name == "two_trees"
    assert rows_of(own_api, "SELECT a, a_1 FROM two_trees ORDER BY 1") == [
        {"a": 1, "a_1": 2},
        {"a": 2, "a_1": 3},
    ]
    options = {"collision_strategy": "skip"}
    end = imported(own_api, port, sql_query=query.partition(";")[0], import_as="Two trees", options=options)
    assert (end["state"], end["error_code"], end["tables_created_count"]) == ("complete", 1022, 0)
    end = imported(
        own_api,
        port,
        sql_query="SELECT 1 AS a, 2 AS a_1;",
        import_as="Two trees",
        options={"collision_strategy": "overwrite"},
    )
    assert (end["table_name"], rows_of(own_api, "SELECT a, a_1 FROM two_trees")) == (
        "two_trees",
        [{"a": 1, "a_1": 2}],
    )


def test_the_example(own_api: Api, port: int, tmp_path: Path) -> None:
    asked = connector(port, table="My Trees", import_as="By script")
    del asked["connection"]["password"]
    (tmp_path / "connector.json").write_text(json.dumps(asked))
    environment = {**os.environ, "CARTO_API_URL": own_api.base_url, "CARTO_API_KEY": own_api.api_key or ""}
    done = subprocess.run(
        [sys.executable, "-W", "error", str(EXAMPLE), "connector.json"],
        env={**environment, "DATABASE_PASSWORD": PASSWORD},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "by_script has 3 rows\n"


def test_what_goes_wrong_has_its_code_and_leaves_nothing(own_api: Api, port: int) -> None:
    before = relations(own_api)
    named = {"import_as": "q"}
    for asked, code in (
        ({"table": "nothing"}, 1502),
        ({"sql_query": "SELEC 1", **named}, 1502),
        ({"sql_query": "SELECT 1; SELECT 2", **named}, 1502),
        ({"sql_query": "SELECT 1) TO STDOUT; --", **named}, 1502),
        ({"sql_query": "CREATE TABLE x (a int)", **named}, 1502),
        ({"sql_query": "SELECT 1 / (random() * 0)::int AS a", **named}, 1500),
        ({"sql_query": "SELECT nextval('s') FROM (SELECT 1) x", **named}, 1502),
        ({"sql_query": "SELECT pg_sleep(60)::text AS a", **named}, 6667),
        ({"sql_query": "SELECT pg_terminate_backend(pg_backend_pid()) AS a", **named}, 1500),
        ({"sql_query": f"SELECT {','.join(f'1 AS a{n}' for n in range(1600))}", **named}, 2004),
        ({"schema": "other", "table": "many"}, 6668),
        ({"schema": "other", "table": "twice"}, 2011),
        ({"schema": "other", "table": "mixed"}, 3201),
    ):
        end = imported(own_api, port, **asked)
        assert (end["state"], end["error_code"]) == ("failure", code), (asked, end)
    assert relations(own_api) == before
    for provider in ("mysql", "BigQuery"):
        end = ended(own_api, start(own_api, json={"connector": {"provider": provider, "table": "t"}}))
        assert end["error_code"] == 1501
    bad = connector(port, table="t")
    bad["connection"]["server"] = "nobody.invalid"
    assert ended(own_api, start(own_api, json={"connector": bad}))["error_code"] == 1102
    assert imported(own_api, 1, table="t")["error_code"] == 1500


def test_the_other_side_may_not_write_and_is_not_trusted(
    own_api: Api, port: int, cluster: PrivatePostgres, caplog: pytest.LogCaptureFixture
) -> None:
    writing = "WITH w AS (INSERT INTO other.twice VALUES (5) RETURNING *) SELECT * FROM w"
    end = imported(own_api, port, sql_query=writing, import_as="w")
    assert end["state"] == "failure"
    with psycopg.connect(cluster.dsn("theirs")) as theirs:
        assert theirs.execute("SELECT count(*) FROM other.twice").fetchone() == (2,)
    passwords: list[str] = []
    with caplog.at_level(logging.DEBUG), listening(impostor(passwords)) as false_port:
        end = imported(own_api, false_port, table="t")
    assert passwords == [PASSWORD]
    assert (end["state"], end["error_code"]) == ("failure", 1500)
    assert "no, not ***" in end["get_error_text"]["what_about"]
    assert PASSWORD not in caplog.text
    with listening(silence) as silent:
        assert imported(own_api, silent, table="t")["error_code"] == 1500


def test_passwords_are_sealed_and_forgotten(own_api: Api, port: int, own: Settings) -> None:
    given = connector_of(connector(port, table="t"))
    assert PASSWORD not in repr(given)
    waiting = connector(port, sql_query="SELECT pg_sleep(0.5)::text AS a", import_as="sleep")
    identity = start(own_api, json={"connector": waiting})
    with psycopg.connect(own.dsn, autocommit=True) as connection:
        query = "SELECT source FROM carto_like.imports WHERE id = %s"
        ((kept,),) = connection.execute(query, (identity,)).fetchall()
        access = kept["connector"]["access"]
        assert access["server"] == "localhost"
        assert len(bytes.fromhex(access["password"])) > len(PASSWORD)
        assert PASSWORD.encode() not in bytes.fromhex(access["password"])
        end = ended(own_api, identity)
        assert end["state"] == "complete", end
        assert PASSWORD not in json.dumps(end)
        assert connection.execute(query, (identity,)).fetchall() == [({},)]


def test_private_addresses_are_not_asked(port: int) -> None:
    async def ask(server: str) -> None:
        asked = connector(port, table="My Trees")
        asked["connection"]["server"] = server
        async with remote_rows(connector_of(asked), "public", Limits()):
            raise AssertionError("it was asked")

    for server in ("127.0.0.1", "localhost", "::1", "0.0.0.0", "::ffff:127.0.0.1"):
        with pytest.raises(ImportFailure, match="private") as caught:
            asyncio.run(ask(server))
        assert caught.value.code == 1502


ACCESS = {"server": "h", "database": "d", "username": "u"}


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ("[]", "'connector' must be a JSON object"),
        ("{", "'connector' must be a JSON object"),
        ({}, "'connector.provider' must be one of"),
        ({"provider": "oracle"}, "'connector.provider' must be one of"),
        ({"provider": "postgres", "table": "t"}, "'connector.connection' is missing"),
        ({"provider": "postgres", "connection": ACCESS}, "needs a 'table', or a 'sql_query'"),
        ({"provider": "postgres", "connection": ACCESS, "sql_query": "SELECT 1"}, "'connector.import_as'"),
        ({"provider": "postgres", "connection": ACCESS, "table": "t", "tables": 1}, "no 'tables'"),
        ({"provider": "postgres", "connection": {"server": "h", "database": "d"}, "table": "t"}, "username"),
        ({"provider": "postgres", "connection": {**ACCESS, "server": "/tmp"}, "table": "t"}, "one host"),
        ({"provider": "postgres", "connection": {**ACCESS, "server": "a,b"}, "table": "t"}, "one host"),
        ({"provider": "postgres", "connection": {**ACCESS, "port": 70000}, "table": "t"}, "1 to 65535"),
        ({"provider": "postgres", "connection": {**ACCESS, "service": "x"}, "table": "t"}, "no 'service'"),
        ({"provider": "postgres", "connection": {**ACCESS, "sslmode": "no"}, "table": "t"}, "sslmode"),
        ({"provider": "postgres", "connection": {**ACCESS, "database": 5}, "table": "t"}, "must be text"),
    ],
    ids=range(15),
)
def test_parameters_are_checked_at_once(own_api: Api, asked: Any, told: str) -> None:
    response = own_api.post("api/v1/imports", json={"connector": asked})
    assert response.status_code == 400
    assert told in response.json()["errors"]["imports"]


def test_connectors_are_described_and_tried(own_api: Api, port: int) -> None:
    listed = own_api.get("api/v1/connectors").json()
    assert listed["postgres"] == {"name": "PostgreSQL", "enabled": True, "description": None}
    assert listed["hive"]["enabled"] is False
    assert own_api.get("api/v1/connectors/postgres").json()["parameters"]["connection"]["server"]["required"]
    assert own_api.get("api/v1/connectors/oracle").status_code == 422
    assert own_api.get("api/v1/connectors/mysql/connect").status_code == 422
    assert own_api.anonymous.get("api/v1/connectors").status_code == 401
    access = connector(port)["connection"]
    assert own_api.get("api/v1/connectors/postgres/connect", params=access).json() == {"connected": True}
    tables = own_api.get(
        "api/v1/connectors/postgres/tables", params={"connection": json.dumps(access)}
    ).json()
    assert {"schema": "other", "name": "keyed"} in tables
    refused = own_api.get("api/v1/connectors/postgres/connect", params={**access, "database": "none"}).json()
    assert refused["connected"] is False
    assert '"none" does not exist' in refused["errors"]
    response = own_api.get("api/v1/connectors/postgres/tables", params={"server": "h"})
    assert (response.status_code, response.json()["errors"]) == (400, "'connection.database' is missing")


def relations(api: Api) -> list[Any]:
    query = "SELECT relname FROM pg_class WHERE relnamespace = current_schema()::regnamespace ORDER BY 1"
    return rows_of(api, query)
