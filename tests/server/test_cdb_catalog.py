"""What the CDB functions tell about tables, accounts and sizes."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest

from tests.support.api import TestAccount
from tests.support.datasets import Owner


def test_columns_come_in_order_without_dropped_ones(owner: Owner) -> None:
    owner.execute('CREATE TABLE t (b int, gone int, "A a" numeric(5, 2), g geometry(Point, 4326))')
    owner.execute("ALTER TABLE t DROP COLUMN gone")
    assert owner.execute("SELECT CDB_ColumnNames('t')") == [("b",), ("A a",), ("g",)]


@pytest.mark.parametrize(
    ("column", "types"), [("n", [("numeric",)]), ("g", [("geometry",)]), ("i", [("bigint",)]), ("x", [])]
)
def test_types_come_without_modifiers(owner: Owner, column: str, types: list[Any]) -> None:
    owner.execute("CREATE TABLE t (n numeric(5, 2), g geometry(Point, 4326), i bigint)")
    assert owner.execute("SELECT CDB_ColumnType('t', %s)", (column,)) == types


def test_indexes_with_their_keys(owner: Owner) -> None:
    owner.execute("CREATE TABLE t (a int PRIMARY KEY, b text)")
    owner.execute("CREATE UNIQUE INDEX two ON t (b, a)")
    owner.execute("CREATE INDEX low ON t (lower(b))")
    assert owner.execute("SELECT * FROM CDB_TableIndexes('t')") == [
        ("low", False, False, ["lower(b)"]),
        ("t_pkey", True, True, ["a"]),
        ("two", True, False, ["b", "a"]),
    ]


def test_row_ids_are_found_in_large_small_and_empty_tables(owner: Owner) -> None:
    owner.execute("CREATE TABLE t AS SELECT i, repeat('x', 100) AS s FROM generate_series(1, 5000) i")
    owner.execute("ANALYZE t")
    [(found, pages)] = owner.execute(
        "SELECT count(*), count(DISTINCT (ctid::text::point)[0]) FROM t"
        " WHERE ctid = ANY (CDB_RandomTids('t', 50))"
    )
    assert 35 <= found <= 50
    assert pages > 30
    owner.execute("CREATE TABLE small AS SELECT 1 AS i")
    owner.execute("CREATE TABLE empty (i int)")
    assert owner.execute(
        "SELECT cardinality(CDB_RandomTids('small', 3)) > 0, CDB_RandomTids('empty', 3)"
    ) == [(True, [])]


def test_the_account_of_a_login(owner: Owner, account: TestAccount, admin: psycopg.Connection[Any]) -> None:
    assert owner.execute("SELECT CDB_Username()") == [(account.name,)]
    assert admin.execute("SELECT cartodb.CDB_Username()").fetchall() == [(None,)]
    key = f"api_keys_{account.role}"
    admin.execute('SELECT cartodb.CDB_Conf_SetConf(%s, \'{"username": "else"}\')', (key,))
    assert owner.execute("SELECT CDB_Username()") == [("else",)]
    assert admin.execute("SELECT cartodb.CDB_Conf_GetConf(%s)", (key,)).fetchall() == [
        ({"username": "else"},)
    ]
    admin.execute("SELECT cartodb.CDB_Conf_RemoveConf(%s)", (key,))
    assert owner.execute("SELECT CDB_Username()") == [(account.name,)]


def set_quota(admin: psycopg.Connection[Any], account: TestAccount, quota: int) -> None:
    admin.execute("SELECT cartodb.CDB_SetUserQuotaInBytes(%s::text, %s::bigint)", (account.schema, quota))


def test_a_quota_is_read_by_the_account(
    owner: Owner, account: TestAccount, admin: psycopg.Connection[Any]
) -> None:
    assert owner.execute("SELECT _CDB_UserQuotaInBytes()") == [(0,)]
    set_quota(admin, account, 12345)
    assert owner.execute("SELECT _CDB_UserQuotaInBytes()") == [(12345,)]
    other = f"SELECT cartodb._CDB_QuotaOf('{account.schema}')"
    assert owner.execute(other) == [(12345,)]
    assert admin.execute("SELECT cartodb._CDB_QuotaOf('nowhere')").fetchall() == [(None,)]
    with pytest.raises(psycopg.Error, match='Invalid schema name "nowhere"'):
        admin.execute("SELECT cartodb.CDB_SetUserQuotaInBytes('nowhere'::text, 1)")


def test_half_of_the_size_of_tables_counts(owner: Owner) -> None:
    assert owner.execute("SELECT CDB_UserDataSize()") == [(0,)]
    owner.dataset("t", rows=100)
    owner.execute("CREATE TABLE _vovw_3_t AS SELECT * FROM t")
    query = "SELECT CDB_UserDataSize() = pg_total_relation_size('t') / 2, CDB_UserDataSize() > 0"
    assert owner.execute(query) == [(True, True)]
    owner.execute("SELECT set_config('search_path', 'public, cartodb', false)")
    assert owner.execute("SELECT CDB_UserDataSize() > 0") == [(True,)]


def test_beyond_the_quota_no_row_gets_in(
    owner: Owner, account: TestAccount, admin: psycopg.Connection[Any]
) -> None:
    owner.dataset("t", rows=1)
    owner.execute("CREATE TRIGGER always BEFORE INSERT ON t EXECUTE FUNCTION CDB_CheckQuota('1', '-1')")
    set_quota(admin, account, 1)
    with pytest.raises(psycopg.Error, match=r"^Quota exceeded by \d+KB"):
        owner.execute("INSERT INTO t (n) VALUES (2)")
    # Whatever the account makes of the function in its own schema, the platform's record decides.
    owner.execute("DROP FUNCTION _CDB_UserQuotaInBytes()")
    owner.execute("CREATE FUNCTION _CDB_UserQuotaInBytes() RETURNS bigint LANGUAGE sql AS 'SELECT 0::bigint'")
    with pytest.raises(psycopg.Error, match="Quota exceeded"):
        owner.execute("INSERT INTO t (n) VALUES (2)")
    set_quota(admin, account, 10**9)
    owner.execute("INSERT INTO t (n) VALUES (2)")


def test_the_triggers_of_a_dataset_check_the_quota_now_and_then(
    owner: Owner, account: TestAccount, admin: psycopg.Connection[Any]
) -> None:
    owner.dataset("t", rows=1)
    set_quota(admin, account, 1)
    # The chance that 20 000 rows all get by is 0.999 ** 20 000, about one in five hundred million.
    with pytest.raises(psycopg.Error, match="Quota exceeded"):
        owner.execute("INSERT INTO t (n) SELECT generate_series(1, 20000)")
    assert owner.execute("SELECT count(*) FROM t") == [(1,)]


def test_a_locked_table_keeps_no_writer_of_another_waiting(
    owner: Owner, account: TestAccount, admin: psycopg.Connection[Any]
) -> None:
    owner.dataset("t")
    owner.execute("CREATE TRIGGER always BEFORE INSERT ON t EXECUTE FUNCTION CDB_CheckQuota('1', '1')")
    owner.execute("CREATE TABLE busy (n int)")
    with admin.transaction():
        admin.execute(f'LOCK TABLE "{account.schema}".busy IN ACCESS EXCLUSIVE MODE'.encode())
        owner.execute("INSERT INTO t (n) VALUES (1)")
    with pytest.raises(psycopg.Error, match="Quota exceeded"):
        owner.execute("INSERT INTO t (n) VALUES (1)")


def test_a_chance_of_zero_checks_nothing(owner: Owner) -> None:
    owner.execute("CREATE TABLE t (n int)")
    owner.execute("CREATE TRIGGER never BEFORE INSERT ON t EXECUTE FUNCTION CDB_CheckQuota('0', '1')")
    owner.execute("INSERT INTO t VALUES (1)")
    owner.execute(
        "CREATE TRIGGER row BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION CDB_CheckQuota('1', '1')"
    )
    with pytest.raises(psycopg.Error, match="Quota exceeded by"):
        owner.execute("INSERT INTO t VALUES (1)")


def test_version_and_ghost_tables(owner: Owner) -> None:
    assert owner.execute(
        "SELECT cdb_version(), CDB_LinkGhostTables()::text, CDB_LinkGhostTables('X')::text"
    ) == [("0.37.1", "", "")]
