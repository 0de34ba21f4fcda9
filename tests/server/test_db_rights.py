"""What a login may not do: look at others, leave its role, or do harm that outlives it."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest
import requests
from psycopg import sql

from carto_like.server.hardening import hardening_statements
from tests.support.api import Api, TestAccount, make_account
from tests.support.server import RunningServer


def error_of(answer: requests.Response) -> str:
    """The message of a refusal; the request must have been refused."""
    assert answer.status_code in (400, 403), answer.text
    return str(answer.json()["error"][0])


FORBIDDEN = {
    "SELECT pg_terminate_backend(1)": "permission denied for function pg_terminate_backend",
    "SELECT pg_cancel_backend(1)": "permission denied for function pg_cancel_backend",
    "SELECT * FROM pg_stat_activity": "permission denied for view pg_stat_activity",
    "SELECT * FROM pg_stat_get_activity(NULL)": "permission denied for function pg_stat_get_activity",
    "SELECT query FROM pg_stat_get_backend_activity(1) query": "permission denied for function",
    "SELECT * FROM pg_locks": "permission denied for view pg_locks",
    "SELECT * FROM pg_stat_user_tables": "permission denied for function pg_stat_get",
    "SELECT lo_create(0)": "permission denied for function lo_create",
    "SELECT lo_from_bytea(0, '')": "permission denied for function lo_from_bytea",
    "SELECT lo_import('/etc/passwd')": "permission denied for function lo_import",
    "SELECT pg_read_file('/etc/passwd')": "permission denied for function pg_read_file",
    "SELECT pg_ls_dir('/')": "permission denied for function pg_ls_dir",
    "SELECT pg_reload_conf()": "permission denied for function pg_reload_conf",
    "SELECT pg_logical_emit_message(false, 'a', 'b')": "permission denied for function pg_logical_emit",
    "SELECT * FROM pg_authid": "permission denied for table pg_authid",
    "SELECT * FROM carto_like.api_keys": "permission denied for schema carto_like",
    "COPY (SELECT 1) TO PROGRAM 'cat'": "COPY to or from an external program",
    "COPY (SELECT 1) TO '/tmp/carto-like-harm'": "COPY to a file",
    "SET SESSION AUTHORIZATION postgres": "permission denied to set session authorization",
    "SET ROLE carto_like": "permission denied to set role",
    "SET ROLE postgres": "permission denied to set role",
    "CREATE ROLE harm": "permission denied to create role",
    "ALTER ROLE CURRENT_USER CREATEROLE": "permission denied",
    "CREATE SCHEMA harm": "permission denied for database",
    "CREATE DATABASE harm": "permission denied to create database",
    "CREATE TABLE public.harm (i int)": "permission denied for schema public",
    "CREATE TABLE cartodb.harm (i int)": "permission denied for schema cartodb",
    "CREATE EXTENSION dblink": "permission denied to create extension",
    "CREATE FUNCTION harm() RETURNS int LANGUAGE c AS 'harm'": "permission denied for language c",
    "ALTER SYSTEM SET work_mem = '1GB'": "permission denied to set parameter",
    "SET session_replication_role = replica": "permission denied to set parameter",
    "SET log_statement = 'none'": "permission denied to set parameter",
    "BEGIN; LOCK TABLE carto_like.migrations": "permission denied for schema carto_like",
}


@pytest.mark.parametrize("harm", FORBIDDEN)
def test_forbidden(api: Api, harm: str) -> None:
    assert FORBIDDEN[harm] in error_of(api.sql(harm))


def test_another_users_tables_are_out_of_reach(
    platform_server: RunningServer, api: Api, account: TestAccount
) -> None:
    other = make_account(platform_server)
    theirs = Api(other.base_url, other.api_key)
    assert theirs.sql("CREATE TABLE t AS SELECT 1 AS a").status_code == 200
    theirs.sql("GRANT SELECT ON t TO publicuser")
    assert theirs.anonymous.sql("SELECT a FROM t").json()["rows"] == [{"a": 1}]
    for client in (api, api.anonymous):
        said = error_of(client.sql(f"SELECT a FROM {other.schema}.t"))
        assert said == f"permission denied for schema {other.schema}"
    for statement in (
        f"GRANT {other.role} TO {account.role}",
        f"SET ROLE {other.role}",
        f"SET ROLE {other.public_role}",
    ):
        assert api.sql(statement).status_code in (400, 403)
    assert error_of(api.anonymous.sql(f"SET ROLE {account.role}")).startswith("permission denied to set role")
    # RESET ROLE leads back to the login, which is nobody else.
    assert api.anonymous.sql("RESET ROLE; SELECT session_user::text = current_user AS same").json()[
        "rows"
    ] == [{"same": True}]


def test_notifications_reach_no_answer_and_no_other_session(platform_server: RunningServer, api: Api) -> None:
    other = make_account(platform_server)
    theirs = Api(other.base_url, other.api_key)
    assert api.sql("LISTEN gossip").status_code == 200
    assert theirs.sql("NOTIFY gossip, 'overheard'").status_code == 200
    answer = api.sql("SELECT count(*) AS n FROM pg_listening_channels()")
    assert answer.json()["rows"] == [{"n": 0}]
    both = api.sql("LISTEN gossip; SELECT pg_notify('gossip', 'overheard'); SELECT pg_sleep(0.05)")
    assert both.status_code == 200
    assert "overheard" not in both.text


def test_a_login_reaches_no_other_database(
    account: TestAccount, cluster: Any, admin: psycopg.Connection[Any]
) -> None:
    for database in ("postgres", "template1"):
        with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
            psycopg.connect(cluster.dsn(database, account.role))
    admin.execute(sql.SQL("CREATE ROLE nobody_of_ours LOGIN"))
    try:
        with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
            psycopg.connect(cluster.dsn("carto_like", "nobody_of_ours"))
    finally:
        admin.execute(sql.SQL("DROP ROLE nobody_of_ours"))


def test_hardening_is_complete_and_keeps_what_clients_need(admin: psycopg.Connection[Any], api: Api) -> None:
    assert hardening_statements(admin, "carto_like") == []
    kept = (
        "SELECT pg_backend_pid() > 0 AS ok",
        "SELECT pg_total_relation_size('pg_class') > 0 AS ok",
        "SELECT ST_AsText(ST_Point(1, 2)) = 'POINT(1 2)' AS ok",
        "SELECT count(*) > 0 AS ok FROM information_schema.tables",
        "CREATE TEMP TABLE mine (i int); SELECT true AS ok",
    )
    for statement in kept:
        answer = api.sql(statement)
        assert answer.json()["rows"] == [{"ok": True}], answer.text
