"""What an attacker with a key tries first: to become somebody else, or to leave something behind."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest

from tests.support.api import Api, TestAccount, make_account
from tests.support.rows import rows_of
from tests.support.server import RunningServer


@pytest.fixture
def victim(platform_server: RunningServer) -> TestAccount:
    return make_account(platform_server)


@pytest.fixture
def theirs(victim: TestAccount) -> Api:
    return Api(victim.base_url, victim.api_key)


def refused(api: Api, q: str) -> str:
    answer = api.sql(q)
    assert answer.status_code in (400, 403), f"{q}: {answer.text}"
    return str(answer.json()["error"][0])


ESCAPES = {
    "SET LOCAL ROLE carto_like": "permission denied to set role",
    "SELECT set_config('role', 'carto_like', false)": "permission denied to set role",
    "SELECT set_config('session_authorization', 'carto_like', false)": "permission denied to set session",
    "SELECT set_config('session_replication_role', 'replica', false)": "permission denied to set parameter",
    "SET SESSION AUTHORIZATION carto_like": "permission denied to set session authorization",
    "ALTER ROLE CURRENT_USER SUPERUSER": "superuser",
    "ALTER ROLE CURRENT_USER NOLOGIN": "permission denied",
    "ALTER ROLE CURRENT_USER CONNECTION LIMIT 0": "permission denied",
    "ALTER ROLE CURRENT_USER VALID UNTIL '2000-01-01'": "permission denied",
    "ALTER ROLE carto_like PASSWORD 'x'": "superuser|permission denied|must",
    "ALTER ROLE publicuser SET search_path = nowhere": "permission denied",
    "ALTER ROLE ALL SET search_path = nowhere": "must be superuser",
    "ALTER DATABASE carto_like SET search_path = nowhere": "must be owner of database",
    "GRANT carto_like TO CURRENT_USER": "admin option",
    "GRANT publicuser TO CURRENT_USER WITH ADMIN OPTION": "admin option",
    "GRANT pg_read_all_data TO CURRENT_USER": "admin option",
    "CREATE USER MAPPING FOR CURRENT_USER SERVER s": 'server "s" does not exist',
    "CREATE EXTENSION plpython3u": "permission denied|not available|could not open",
    "CREATE EXTENSION hstore": "permission denied|not available|could not open",
    "ALTER EXTENSION postgis UPDATE": "must be owner of extension",
    "DROP EXTENSION postgis CASCADE": "must be owner of extension",
    "CREATE FUNCTION f() RETURNS int LANGUAGE internal AS 'pg_backend_pid'": "permission denied for language",
    "CREATE LANGUAGE mine HANDLER plpgsql_call_handler": "superuser|permission denied",
    "CREATE TRUSTED LANGUAGE plperl": "permission denied|not available|could not open|unsupported",
    "CREATE FOREIGN DATA WRAPPER w": "permission denied to create foreign-data wrapper",
    "CREATE SERVER s FOREIGN DATA WRAPPER postgres_fdw": "does not exist|permission denied",
    "CREATE PUBLICATION p": "permission denied for database",
    "CREATE SUBSCRIPTION s CONNECTION 'dbname=x' PUBLICATION p": "must be superuser",
    "CREATE EVENT TRIGGER e ON ddl_command_end EXECUTE FUNCTION f()": "permission denied to create event",
    "CREATE ACCESS METHOD m TYPE TABLE HANDLER heap_tableam_handler": "must be superuser|permission denied",
    "CREATE TABLESPACE t LOCATION '/tmp'": "permission denied to create tablespace|must be superuser",
    "CREATE TYPE public.t AS (i int)": "permission denied for schema public",
    "CREATE VIEW cartodb.v AS SELECT 1": "permission denied for schema cartodb",
    "CREATE FUNCTION public.f() RETURNS int LANGUAGE sql AS 'SELECT 1'": "permission denied for schema",
    "CREATE FUNCTION carto_like.f() RETURNS int LANGUAGE sql AS 'SELECT 1'": "permission denied for schema",
    "CREATE CAST (text AS int) WITH INOUT": "must be owner of type",
    "CREATE OPERATOR CLASS c DEFAULT FOR TYPE int USING btree AS STORAGE int": "must be superuser",
    "ALTER FUNCTION cartodb.cdb_username() RENAME TO mine": "must be owner of function",
    "ALTER SCHEMA public RENAME TO mine": "must be owner of schema",
    "ALTER TABLE spatial_ref_sys DISABLE TRIGGER ALL": "must be owner of table",
    "UPDATE spatial_ref_sys SET srtext = ''": "permission denied for table spatial_ref_sys",
    "SECURITY LABEL ON ROLE carto_like IS 'x'": "no security label providers",
    "ALTER DEFAULT PRIVILEGES FOR ROLE carto_like GRANT ALL ON TABLES TO PUBLIC": "permission denied",
    "REASSIGN OWNED BY carto_like TO CURRENT_USER": "permission denied to reassign objects",
    "DROP OWNED BY carto_like": "permission denied to drop objects",
    "LOAD 'plpgsql'": "access to library",
    "CHECKPOINT": "checkpoint|permission denied",
    "VACUUM FULL pg_class; SELECT 1/0": "transaction block|permission|division",
    "BEGIN; PREPARE TRANSACTION 'mine'": "prepared transactions are disabled",
    "SELECT pg_create_physical_replication_slot('s')": "replication",
    "SELECT pg_stat_reset()": "permission denied for function pg_stat_reset",
    "SELECT pg_promote()": "permission denied for function pg_promote",
    "SELECT pg_rotate_logfile()": "permission denied for function|must be superuser",
    "SELECT pg_read_binary_file('/etc/passwd')": "permission denied for function pg_read_binary_file",
    "SELECT pg_stat_file('/etc/passwd')": "permission denied for function pg_stat_file",
    "SELECT pg_ls_tmpdir()": "permission denied for function pg_ls_tmpdir",
    "SELECT passwd FROM pg_shadow": "permission denied for view pg_shadow",
    "SELECT umoptions FROM pg_user_mapping": "permission denied for table pg_user_mapping",
    "SELECT stavalues1 FROM pg_statistic": "permission denied for table pg_statistic",
    "SELECT * FROM pg_hba_file_rules()": "permission denied for function",
    "COPY carto_like.users TO STDOUT": "permission denied for schema carto_like",
    "COPY spatial_ref_sys FROM '/etc/passwd'": "COPY from a file|permission denied",
    "COPY (SELECT 1) TO PROGRAM 'id'": "COPY to or from an external program",
    "DO $$BEGIN EXECUTE 'RESET ROLE'; PERFORM pg_read_file('/etc/passwd'); END$$": "permission denied",
    "EXPLAIN ANALYZE SELECT pg_read_file('/etc/passwd')": "permission denied for function pg_read_file",
    "DECLARE c CURSOR FOR SELECT pg_read_file('/etc/passwd'); FETCH c": "permission denied|transaction block",
}


# In which words depends on who asks, and on what the machine has installed.
REFUSALS = ("permission denied", "must be", "system tables are forbidden")


@pytest.mark.parametrize("q", ESCAPES)
def test_no_way_out_of_the_role(api: Api, q: str) -> None:
    """Refused with the master key and without one, alike."""
    for client in (api, api.anonymous):
        said = refused(client, q)
        assert any(word in said for word in (*ESCAPES[q].split("|"), *REFUSALS)), said
    assert rows_of(api, "SELECT session_user::text = current_user::text AS same") == [{"same": True}]


@pytest.mark.parametrize(
    "step",
    ["RESET ROLE", "SET ROLE NONE", "RESET SESSION AUTHORIZATION", "SET SESSION AUTHORIZATION DEFAULT"],
)
def test_resetting_leads_back_to_the_login_itself(api: Api, account: TestAccount, step: str) -> None:
    for client, role in ((api, account.role), (api.anonymous, account.public_role)):
        rows = rows_of(client, f"{step}; SELECT session_user::text AS s, current_user::text AS c")
        assert rows == [{"s": role, "c": role}]


def test_a_definer_function_of_a_tenant_has_the_tenants_rights(api: Api, account: TestAccount) -> None:
    api.sql(
        "CREATE FUNCTION mine(q text) RETURNS text LANGUAGE plpgsql SECURITY DEFINER AS"
        " $$ DECLARE r text; BEGIN EXECUTE q INTO r; RETURN r; END $$"
    )
    who = rows_of(api.anonymous, "SELECT mine('SELECT current_user') AS who")
    assert who == [{"who": account.role}]
    for q in ("SELECT token_index FROM carto_like.api_keys", "SELECT pg_read_file('/etc/passwd')"):
        assert "permission denied" in refused(api.anonymous, f"SELECT mine($${q}$$)")
    assert "security-definer" in refused(api.anonymous, "SELECT mine('SET ROLE publicuser')")


def test_what_a_role_does_to_itself_ends_with_the_request(
    platform_server: RunningServer, api: Api, account: TestAccount, admin: psycopg.Connection[Any]
) -> None:
    """Also for those who come next without a key, who share one role."""
    for client in (api, api.anonymous):
        assert client.sql("ALTER ROLE CURRENT_USER SET statement_timeout = '1ms'").status_code == 200
        assert client.sql("ALTER ROLE CURRENT_USER SET role = 'publicuser'").status_code in (200, 400, 403)
        assert client.sql("ALTER ROLE CURRENT_USER PASSWORD 'known to all'").status_code == 200
        assert client.sql("ALTER ROLE CURRENT_USER PASSWORD NULL").status_code == 200
    admin.execute(
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE usename = ANY (%s)",
        ([account.role, account.public_role],),
    )
    for client, role in ((api, account.role), (api.anonymous, account.public_role)):
        q = "SELECT current_user::text AS u, current_setting('statement_timeout') AS t FROM pg_sleep(0.01)"
        assert rows_of(client, q) == [{"u": role, "t": "5min"}]


SETTINGS = {
    "client_encoding": "LATIN1",
    "standard_conforming_strings": "off",
    "backslash_quote": "on",
    "DateStyle": "German, DMY",
    "IntervalStyle": "sql_standard",
    "bytea_output": "escape",
    "TimeZone": "Asia/Tokyo",
    "application_name": "carto_like",
    "default_transaction_read_only": "on",
    "default_transaction_isolation": "serializable",
    "search_path": "pg_catalog",
    "lock_timeout": "1ms",
    "idle_session_timeout": "1ms",
    "enable_seqscan": "off",
    "row_security": "off",
    "check_function_bodies": "off",
    "xmlbinary": "hex",
    "statement_timeout": "1ms",
    "default_tablespace": "pg_global",
    "temp_tablespaces": "pg_default",
    "transform_null_equals": "on",
    "quote_all_identifiers": "on",
}


@pytest.mark.parametrize("name", SETTINGS)
def test_no_setting_reaches_the_next_request(api: Api, name: str) -> None:
    show = f"SELECT current_setting('{name}', true) AS v"
    before = rows_of(api, show)
    for q in (f"SET {name} = '{SETTINGS[name]}'", f"SELECT set_config('{name}', '{SETTINGS[name]}', false)"):
        api.sql(q)
        assert rows_of(api, show) == before


def test_rules_for_strings_change_for_one_text_only(api: Api) -> None:
    """PostgreSQL reads a whole text by the rules in force when it comes; we must not see other statements."""
    api.sql("CREATE TABLE t (a text); INSERT INTO t VALUES ('kept')")
    off = "SET standard_conforming_strings = off; SET escape_string_warning = off"
    inner = "$$ INSERT INTO t SELECT 'it\\'s; DELETE FROM t; --' $$"
    assert api.sql(f"{off}; DO $do$BEGIN EXECUTE {inner}; END$do$").status_code == 200
    kept = [{"a": "kept"}, {"a": "it's; DELETE FROM t; --"}]
    assert rows_of(api, f"{off}; SELECT a FROM t") == kept
    assert rows_of(api, "SELECT a, 'back\\' AS b FROM t") == [{**row, "b": "back\\"} for row in kept]
    assert api.sql("SELECT 'it\\'; DELETE FROM t; --'").status_code == 200
    assert rows_of(api, "SELECT a FROM t") == []


@pytest.mark.parametrize(
    "q",
    [
        'SET client_encoding = LATIN1; SELECT 1 AS "é"',
        "SET client_encoding = LATIN1; SELECT 'é' AS a",
    ],
)
def test_another_encoding_than_ours_is_refused(api: Api, q: str) -> None:
    assert refused(api, q) == "client_encoding must stay UTF8: answers are sent in UTF-8"
    assert rows_of(api, "SELECT 'é' AS \"é\"") == [{"é": "é"}]


def test_a_transaction_left_open_is_rolled_back(api: Api) -> None:
    api.sql("CREATE TABLE t (a int)")
    assert api.sql("BEGIN; INSERT INTO t VALUES (1); LOCK TABLE t").status_code == 200
    assert rows_of(api, "SELECT count(*) AS n FROM t") == [{"n": 0}]
    assert rows_of(api, "SELECT pg_try_advisory_lock(77) AS got") == [{"got": True}]
    assert rows_of(api.anonymous, "SELECT pg_try_advisory_lock(77) AS got") == [{"got": True}]


def test_another_tenants_data_show_in_no_statistics(api: Api, victim: TestAccount, theirs: Api) -> None:
    theirs.sql("CREATE TABLE t (secret text, the_geom geometry(Point, 4326))")
    theirs.sql(
        "INSERT INTO t SELECT 'hidden value', ST_SetSRID(ST_Point(7, 47), 4326) FROM generate_series(1, 99)"
    )
    theirs.sql("CREATE INDEX ON t USING gist (the_geom); ANALYZE t")
    oid = rows_of(theirs, "SELECT 't'::regclass::oid::int AS oid")[0]["oid"]
    for client in (api, api.anonymous):
        for q in (
            f"SELECT ST_EstimatedExtent('{victim.schema}', 't', 'the_geom')",
            f"SELECT _postgis_stats({oid}::regclass, 'the_geom')",
            f"SELECT _postgis_index_extent({oid}::regclass, 'the_geom')",
            f"SELECT _postgis_selectivity({oid}::regclass, 'the_geom', ST_MakeEnvelope(0, 0, 9, 50, 4326))",
            f"SELECT table_to_xml({oid}::regclass, true, true, '')",
            f"SELECT * FROM {victim.schema}.t",
        ):
            assert "permission denied for" in refused(client, q)
    assert rows_of(api, f"SELECT * FROM pg_stats WHERE schemaname = '{victim.schema}'") == []


def test_our_own_functions_act_for_nobody_else(api: Api, victim: TestAccount, theirs: Api) -> None:
    theirs.sql("CREATE TABLE t (a int)")
    assert api.sql("CREATE TABLE t (a int)").status_code == 200
    for q in (
        f"SELECT CDB_CartodbfyTable('{victim.schema}', 't')",
        f"SELECT CDB_UserDataSize(nspname) FROM (SELECT * FROM {victim.schema}.t) x, pg_namespace",
        f"SELECT CDB_QueryTablesText('SELECT * FROM {victim.schema}.t')",
        f"SELECT CDB_SetUserQuotaInBytes('{victim.schema}', 1)",
    ):
        assert api.sql(q).status_code in (400, 403), q
    assert rows_of(theirs, "SELECT count(*) AS n FROM t") == [{"n": 0}]


HOSTILE_NAMES = [
    'a"; DROP TABLE kept; --',
    "$$; DROP TABLE kept; $$",
    "%s %(x)s {0}",
    "a'b\\c",
    "таблица",
    "a\r\nX: y",
]


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_hostile_names_are_only_names(api: Api, name: str) -> None:
    """Through everything of ours that pastes a name into SQL or a header."""
    api.sql("CREATE TABLE kept (a int)")
    quoted = '"' + name.replace('"', '""') + '"'
    column = '"col ' + name.replace('"', '""') + '"'
    api.sql(f"CREATE TABLE {quoted} ({column} int)")
    literal = quoted.replace("'", "''")
    assert api.sql(f"SELECT CDB_CartodbfyTable('{literal}')").status_code == 200
    copied = api.post(
        "api/v2/sql/copyfrom", params={"q": f"COPY {quoted} ({column}) FROM STDIN"}, data=b"1\n2\n"
    )
    assert copied.json()["total_rows"] == 2
    answer = api.sql(f"SELECT {column} AS n FROM {quoted} ORDER BY 1")
    assert answer.json()["rows"] == [{"n": 1}, {"n": 2}]
    assert "X" not in answer.headers
    assert answer.headers.get("X-Cache-Channel", "").isascii()
    [viz] = api.get("api/v1/viz", params={"type": "table"}).json()["visualizations"]
    assert viz["name"] == name
    assert viz["table"]["row_count"] == 2
    touching = api.get("api/v1/viz", params={"type": "table", "bbox": "-180,-85,180,85"})
    assert touching.json()["total_entries"] == 0
    assert api.delete(f"api/v1/viz/{viz['id']}").status_code == 204
    assert rows_of(api, "SELECT count(*) AS n FROM kept") == [{"n": 0}]
