"""What one tenant, or one key, may do to another's tables through CARTO's functions: nothing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from carto_like.server.secrets import Secrets
from carto_like.server.settings import Settings
from tests.support.api import TestAccount, make_account
from tests.support.datasets import Owner, owner_of
from tests.support.server import SECRET, RunningServer


@pytest.fixture
def victim_account(platform_server: RunningServer) -> TestAccount:
    return make_account(platform_server)


@pytest.fixture
def victim(settings: Settings, victim_account: TestAccount) -> Iterator[Owner]:
    """Another tenant, with a public dataset of one row."""
    with owner_of(settings, victim_account) as session:
        session.dataset("t", rows=1)
        session.execute("GRANT SELECT ON t TO publicuser")
        yield session


@pytest.fixture
def anonymous(settings: Settings, account: TestAccount) -> Iterator[Owner]:
    """A session of the account's public role."""
    dsn = make_conninfo(
        settings.dsn,
        user=account.public_role,
        password=Secrets(SECRET).role_password(account.public_role),
        options=f'-c search_path="{account.schema}",public,cartodb',
    )
    with psycopg.connect(dsn, autocommit=True) as connection:
        yield Owner(connection)


def oid_of(session: Owner) -> int:
    return int(session.execute("SELECT 't'::regclass::oid")[0][0])


CALLS_ON_A_TABLE = [
    "SELECT CDB_CartodbfyTable(%s::oid::regclass)",
    "SELECT CDB_TableMetadataTouch(%s::oid::regclass)",
    "SELECT CDB_RegenerateTable(%s::oid)",
    "SELECT _CDB_DropTriggers(%s::oid::regclass)",
    "SELECT _CDB_RecordUpdate(%s::oid::regclass)",
    "SELECT CDB_SyncTable(%s::oid::regclass, current_schema()::regnamespace, 'stolen')",
]


@pytest.mark.parametrize("call", CALLS_ON_A_TABLE)
def test_a_tenant_cannot_act_on_anothers_table(owner: Owner, victim: Owner, call: str) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        owner.execute(call, (oid_of(victim),))
    assert victim.execute("SELECT count(*) FROM t") == [(1,)]
    assert len(victim.execute("SELECT tgname FROM pg_trigger WHERE tgrelid = 't'::regclass")) == 4


@pytest.mark.parametrize("call", CALLS_ON_A_TABLE[:3])
def test_the_public_role_cannot_act_on_the_accounts_table(owner: Owner, anonymous: Owner, call: str) -> None:
    owner.dataset("t")
    owner.execute("GRANT ALL ON t TO publicuser")
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match="must be owner of table t"):
        anonymous.execute(call, (oid_of(owner),))


def test_cartodbfying_into_anothers_schema_is_refused(
    owner: Owner, victim: Owner, victim_account: TestAccount
) -> None:
    owner.execute("CREATE TABLE mine (n int)")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        owner.execute("SELECT CDB_CartodbfyTable(%s::text, 'mine'::regclass)", (victim_account.schema,))
    assert owner.execute("SELECT CDB_ColumnNames('mine')") == [("n",)]


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO cartodb.CDB_TableMetadata VALUES ('pg_class', now())",
        "UPDATE cartodb.CDB_TableMetadata SET updated_at = 'infinity'",
        "DELETE FROM cartodb.CDB_TableMetadata",
        "SELECT * FROM cartodb._CDB_Quotas",
        "UPDATE cartodb._CDB_Quotas SET quota_bytes = 0",
        "SELECT CDB_SetUserQuotaInBytes(current_schema()::text, 0)",
        "SELECT CDB_SetUserQuotaInBytes(0)",
        "SELECT * FROM cartodb.CDB_Conf",
        "SELECT CDB_Conf_GetConf('x')",
        "SELECT CDB_Conf_SetConf('x', '{}')",
        "SELECT CDB_Conf_RemoveConf('x')",
        "CREATE TABLE cartodb.mine (i int)",
        "CREATE FUNCTION cartodb.mine() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "CREATE OR REPLACE FUNCTION cartodb.cdb_version() RETURNS text LANGUAGE sql AS $$ SELECT 'x' $$",
    ],
)
def test_what_the_platform_keeps_is_out_of_reach(owner: Owner, statement: str) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        owner.execute(statement)


def test_times_of_updates_are_the_owners_alone(owner: Owner, victim: Owner, anonymous: Owner) -> None:
    owner.dataset("own", rows=1)
    assert owner.execute("SELECT tabname::text FROM CDB_TableMetadata") == [("own",)]
    names = owner.execute("SELECT tabname = current_schema() || '.own' FROM CDB_TableMetadata_Text")
    assert names == [(True,)]
    for relation in ("CDB_TableMetadata", "CDB_TableMetadata_Text"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            anonymous.execute(f"SELECT * FROM {relation}")


def test_touching_ones_own_table_sets_its_time(owner: Owner) -> None:
    owner.dataset("t")
    owner.execute("SELECT CDB_TableMetadataTouch('t')")
    assert owner.execute("SELECT now() - updated_at < '1 min' FROM CDB_TableMetadata") == [(True,)]
    with pytest.raises(psycopg.errors.UndefinedTable):
        owner.execute("SELECT CDB_TableMetadataTouch(1::oid::regclass)")


def test_the_tracking_trigger_touches_no_table_but_its_own(owner: Owner, victim: Owner) -> None:
    victim.execute("TRUNCATE t")
    before = victim.execute("SELECT * FROM CDB_TableMetadata")
    owner.execute("CREATE TABLE t (n int)")
    owner.execute(
        "CREATE TRIGGER x AFTER INSERT ON t EXECUTE FUNCTION cartodb._CDB_TableMetadata_Trigger('public.t')"
    )
    owner.execute("INSERT INTO t VALUES (1)")
    assert victim.execute("SELECT * FROM CDB_TableMetadata") == before
    assert owner.execute("SELECT tabname::oid FROM CDB_TableMetadata") == [(oid_of(owner),)]


def test_a_writer_who_is_not_the_owner_moves_the_time(owner: Owner, anonymous: Owner) -> None:
    owner.dataset("t")
    owner.execute("GRANT INSERT ON t TO publicuser")
    owner.execute("GRANT USAGE ON SEQUENCE t_cartodb_id_seq TO publicuser")
    anonymous.execute("INSERT INTO t (the_geom) VALUES (CDB_LatLng(1, 2))")
    assert owner.execute("SELECT count(*) FROM CDB_TableMetadata") == [(1,)]


def test_tables_of_other_tenants_are_not_listed(owner: Owner, victim: Owner, anonymous: Owner) -> None:
    owner.dataset("shown")
    owner.execute("GRANT SELECT ON shown TO publicuser")
    owner.dataset("hidden")

    def listed(session: Owner, kind: str) -> list[Any]:
        return sorted(row[0] for row in session.execute("SELECT CDB_UserTables(%s)", (kind,)))

    assert listed(owner, "public") == ["shown"]
    assert listed(owner, "private") == ["hidden"]
    assert listed(owner, "all") == ["hidden", "shown"]
    assert listed(owner, "other") == []
    assert listed(anonymous, "all") == ["shown"]
    assert listed(anonymous, "private") == []


def test_functions_of_a_caller_are_not_run_with_the_platforms_rights(owner: Owner) -> None:
    owner.execute("CREATE TABLE seen (who text)")
    spy = "LANGUAGE plpgsql AS $$ BEGIN INSERT INTO seen VALUES (CURRENT_USER); RETURN 0; END $$"
    owner.execute(f"CREATE FUNCTION pg_total_relation_size(oid) RETURNS bigint {spy}")
    owner.execute(f"CREATE FUNCTION now() RETURNS timestamptz {spy.replace('RETURN 0', 'RETURN NULL')}")
    owner.execute(f"CREATE FUNCTION random() RETURNS float8 {spy}")
    owner.execute(
        "SELECT set_config('search_path', current_schema() || ', pg_catalog, public, cartodb', false)"
    )
    owner.dataset("t", rows=3)
    owner.execute(
        "CREATE TRIGGER always BEFORE INSERT ON t EXECUTE FUNCTION cartodb.CDB_CheckQuota('1', '1000000000')"
    )
    owner.execute("INSERT INTO t (n) VALUES (1)")
    owner.execute("SELECT CDB_TableMetadataTouch('t')")
    assert owner.execute("SELECT * FROM seen") == []


def test_two_statements_in_one_are_not_run_by_the_planner_call(owner: Owner) -> None:
    owner.execute("CREATE TABLE t (n int)")
    with pytest.raises(psycopg.Error, match="cannot open multi-query plan as cursor"):
        owner.execute("SELECT cartodb._CDB_Plan('SELECT 1; DROP TABLE t')")
    assert owner.execute("SELECT count(*) FROM t") == [(0,)]


def test_every_definer_function_has_a_fixed_search_path(admin: psycopg.Connection[Any]) -> None:
    rows = admin.execute(
        "SELECT proname, proconfig FROM pg_proc WHERE pronamespace = 'cartodb'::regnamespace AND prosecdef"
    ).fetchall()
    assert {row[0] for row in rows} == {
        "_cdb_quotaof",
        "_cdb_tablemetadata_trigger",
        "cdb_checkquota",
        "cdb_tablemetadatatouch",
        "cdb_username",
    }
    assert {row[1][0] for row in rows} == {"search_path=pg_catalog, pg_temp"}
