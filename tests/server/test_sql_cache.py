"""Cache headers and system tables: what ``/sql`` finds out about the tables a query reads."""

from __future__ import annotations

import re
from email.utils import parsedate_to_datetime
from typing import Any

import psycopg
import pytest

from tests.conftest import MakeServer
from tests.support.api import Api, TestAccount, make_account

FOREVER = "no-cache,max-age=31536000,must-revalidate,public"


@pytest.fixture
def tracked(api: Api) -> None:
    """Two datasets, ``one`` and ``two``, whose last changes are on record; ``loose`` is a plain table."""
    for name in ("one", "two"):
        q = f"""CREATE TABLE {name} (n int); SELECT CDB_CartodbfyTable('{name}');
                INSERT INTO {name} (n) VALUES (1)"""
        assert api.sql(q).status_code == 200
    assert api.sql("CREATE TABLE loose (n int)").status_code == 200


def headers(api: Api, q: str, **parameters: Any) -> dict[str, str]:
    response = api.sql(q, **parameters)
    assert response.status_code == 200, response.text
    return dict(response.headers)


def max_age(found: dict[str, str]) -> int:
    match = re.search(r"max-age=(\d+)", found["cache-control"])
    assert match
    return int(match[1])


@pytest.mark.parametrize("q", ["SELECT * FROM one", "SELECT 1", "SELECT generate_series(1, 2)"])
def test_tracked_tables_or_none_are_good_for_a_year(api: Api, tracked: None, q: str) -> None:
    assert headers(api, q)["cache-control"] == FOREVER


@pytest.mark.parametrize("q", ["SELECT * FROM loose", "SELECT * FROM one, loose"])
def test_untracked_tables_are_good_for_five_minutes(api: Api, tracked: None, q: str) -> None:
    assert 0 < max_age(headers(api, q)) <= 300


def test_touching_tracks_a_table(
    api: Api, tracked: None, admin: psycopg.Connection[Any], account: TestAccount
) -> None:
    assert max_age(headers(api, "SELECT * FROM loose")) <= 300
    admin.execute(f"SELECT cartodb.CDB_TableMetadataTouch('\"{account.schema}\".loose'::regclass)")
    assert headers(api, "SELECT * FROM loose")["cache-control"] == FOREVER


@pytest.mark.parametrize(
    "q", ["UPDATE one SET n = 2", "SELECT 'delete' FROM one", "INSERT INTO loose VALUES (1)"]
)
def test_what_may_write_is_not_cached(api: Api, tracked: None, q: str) -> None:
    found = headers(api, q)
    assert max_age(found) == 0
    assert "x-cache-channel" not in found
    assert "surrogate-key" not in found


def test_a_column_named_updated_at_is_no_write(api: Api, tracked: None) -> None:
    found = headers(api, "SELECT n AS updated_at FROM one")
    assert found["cache-control"] == FOREVER
    assert "x-cache-channel" in found


@pytest.mark.parametrize(
    "q",
    [
        "SELECT * FROM one, two",
        "SELECT * FROM one; SELECT * FROM two",
        "BEGIN; SELECT * FROM one; COMMIT; BEGIN; SELECT * FROM two; COMMIT",
        "WITH a AS (SELECT * FROM one) SELECT count(*) FROM a WHERE n IN (SELECT n FROM two)",
    ],
)
def test_all_tables_are_in_channel_and_key(api: Api, tracked: None, account: TestAccount, q: str) -> None:
    found = headers(api, q)
    schema = account.schema
    assert found["x-cache-channel"].partition(":")[2] == f"{schema}.one,{schema}.two"
    keys = found["surrogate-key"].split(" ")
    assert len(keys) == 2
    assert keys == sorted(keys)
    assert all(re.fullmatch(r"t:[A-Za-z0-9+/]{6}", key) for key in keys)


def test_an_open_transaction_and_paging_keep_the_channel(
    api: Api, tracked: None, account: TestAccount
) -> None:
    for q in ("BEGIN; SELECT * FROM one", "selECT * FROM one"):
        found = headers(api, q, page=0, rows_per_page=2)
        assert found["x-cache-channel"].endswith(f":{account.schema}.one")


def test_the_newest_change_is_the_last_modification(
    api: Api, tracked: None, admin: psycopg.Connection[Any], account: TestAccount
) -> None:
    for name, day in (("one", "2001-01-01 10:00Z"), ("two", "2002-02-02 10:00Z")):
        admin.execute(
            "UPDATE cartodb.cdb_tablemetadata SET updated_at = %s WHERE tabname = %s::regclass",
            (day, f'"{account.schema}".{name}'),
        )
    found = headers(api, "SELECT * FROM one, two, loose")
    assert parsedate_to_datetime(found["last-modified"]).isoformat() == "2002-02-02T10:00:00+00:00"
    assert headers(api, "SELECT * FROM one")["last-modified"] == "Mon, 01 Jan 2001 10:00:00 GMT"


def test_without_the_analysis_there_is_no_last_modification(api: Api) -> None:
    found = headers(api, "CREATE TABLE later (a int); SELECT a FROM later")
    assert "last-modified" not in found


def test_persist_asks_for_a_year_without_conditions(api: Api, tracked: None) -> None:
    found = headers(api, "SELECT * FROM loose, one", cache_policy="persist")
    assert found["cache-control"] == "public,max-age=31536000"
    assert "x-cache-channel" in found


def test_the_analysis_runs_nothing(api: Api) -> None:
    q = """CREATE SEQUENCE calls; CREATE TABLE src AS SELECT 1 AS a;
           CREATE FUNCTION note() RETURNS int LANGUAGE plpgsql IMMUTABLE AS
             $$BEGIN RETURN nextval('calls'); END$$"""
    assert api.sql(q).status_code == 200
    assert api.sql("SELECT note() AS n FROM src").json()["rows"] == [{"n": 1}]
    assert api.sql("SELECT nextval('calls') AS n").json()["rows"] == [{"n": 2}]


SYSTEM = [
    "SELECT * FROM pg_attribute LIMIT 1",
    "SELECT * FROM PG_attribute LIMIT 1",
    'SELECT * FROM "pg_attribute" LIMIT 1',
    "SELECT * FROM pg_catalog.pg_attribute LIMIT 1",
    "SELECT 1; SELECT * FROM generate_series(1, 2), pg_class LIMIT 1",
    "SELECT * FROM geometry_columns LIMIT 1",
    "SELECT table_name FROM information_schema.tables LIMIT 1",
    "SELECT 1 WHERE EXISTS (SELECT 1 FROM pg_class)",
]


@pytest.mark.parametrize("q", SYSTEM)
def test_system_tables_are_for_the_master_key(api: Api, q: str) -> None:
    response = api.anonymous.sql(q)
    assert (response.status_code, response.json()["error"]) == (403, ["system tables are forbidden"])
    assert api.sql(q).status_code == 200


@pytest.mark.parametrize(
    "q", ["SELECT 'pg_'", "SELECT n AS pg_attribute FROM cpg_test", "SELECT * FROM cpg_test"]
)
def test_what_only_looks_like_a_system_table_is_fine(api: Api, q: str) -> None:
    api.sql("CREATE TABLE cpg_test (n int); GRANT SELECT ON cpg_test TO publicuser")
    assert api.anonymous.sql(q).status_code == 200


def test_hard_mode_forbids_system_tables_to_everybody(make_server: MakeServer) -> None:
    account = make_account(make_server(settings={"hard_system_tables": True}))
    api = Api(account.base_url, account.api_key)
    for q in ("SELECT * FROM pg_class LIMIT 1", "SELECT * FROM spatial_ref_sys LIMIT 1"):
        assert api.sql(q).json() == {"error": ["system tables are forbidden"]}
    assert api.sql("SELECT 1").status_code == 200
