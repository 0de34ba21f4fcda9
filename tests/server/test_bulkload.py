"""COPY into datasets: the fast way where it fits, and no difference to be seen from outside."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import psycopg
import pytest
from psycopg import AsyncConnection
from psycopg.conninfo import make_conninfo

from carto_like.server.secrets import Secrets
from carto_like.server.services import bulkload
from carto_like.server.services.bulkload import FEW_ROWS, Plan, StagedPlan
from carto_like.server.settings import Settings
from tests.support.api import TestAccount
from tests.support.datasets import Owner
from tests.support.server import SECRET

T = TypeVar("T")
Connection = AsyncConnection[Any]
Run = Callable[[Callable[[Connection], Awaitable[T]]], T]

MANY = FEW_ROWS + 1000
COPY = "COPY t (name, n, the_geom) FROM STDIN WITH (FORMAT csv, HEADER true)"
MERCATOR_IS_RIGHT = "the_geom_webmercator = ST_Transform(the_geom, 3857)"


@pytest.fixture
def run(settings: Settings, account: TestAccount) -> Run[Any]:
    """Runs a coroutine function on a fresh login of the account's role, as the server would."""
    dsn = make_conninfo(
        settings.dsn,
        user=account.role,
        password=Secrets(SECRET).role_password(account.role),
        options=f'-c search_path="{account.schema}",public,cartodb',
    )

    def runner(work: Callable[[Connection], Awaitable[T]]) -> T:
        async def logged_in() -> T:
            async with await AsyncConnection.connect(dsn, autocommit=True, prepare_threshold=None) as conn:
                return await work(conn)

        return asyncio.run(logged_in())

    return runner


def csv(rows: int, first: int = 1) -> bytes:
    lines = (f"name {i},{i},SRID=4326;POINT({i % 180} {i % 80})\n" for i in range(first, first + rows))
    return ("name,n,the_geom\n" + "".join(lines)).encode()


async def send(conn: Connection, plan: Plan, data: bytes) -> int:
    async with conn.cursor() as cursor:
        async with cursor.copy(plan.copy_sql.encode()) as copy:
            await copy.write(data)
        return cursor.rowcount


def load(run: Run[tuple[type[Plan], int]], sql: str, data: bytes) -> tuple[type[Plan], int]:
    """Carry out a COPY; the kind of plan it had, and the rows that were stored."""

    async def work(conn: Connection) -> tuple[type[Plan], int]:
        async with bulkload.plan(conn, sql) as plan:
            stored = await plan.finish(await send(conn, plan, data))
        left = await (await conn.execute("SELECT to_regclass('pg_temp.t')")).fetchone()
        assert left == (None,)
        return type(plan), stored

    return run(work)


def shape(owner: Owner) -> list[Any]:
    """All that makes the table a dataset, as the catalogs tell it."""
    return [
        owner.execute("SELECT CDB_GetTableQueries('t'::regclass, false), 't'::regclass::oid"),
        owner.execute("SELECT tgname, tgenabled FROM pg_trigger WHERE tgrelid = 't'::regclass ORDER BY 1"),
        owner.execute(
            "SELECT relname, relkind FROM pg_class WHERE relname ~ '^t' AND relnamespace ="
            " current_schema()::regnamespace ORDER BY 1"
        ),
    ]


@pytest.mark.parametrize("rows", [3, MANY])
def test_an_empty_dataset_is_filled_and_stays_what_it_was(owner: Owner, run: Run[Any], rows: int) -> None:
    owner.dataset("t")
    before = shape(owner)
    assert load(run, COPY, csv(rows)) == (StagedPlan, rows)
    assert shape(owner) == before
    assert owner.execute(
        f"SELECT count(*), count(DISTINCT cartodb_id), min(cartodb_id), max(cartodb_id), sum(n),"
        f" bool_and({MERCATOR_IS_RIGHT}), bool_and(name = 'name ' || n) FROM t"
    ) == [(rows, rows, 1, rows, rows * (rows + 1) // 2, True, True)]
    assert owner.execute("SELECT now() - updated_at < '1 min' FROM CDB_TableMetadata") == [(True,)]
    assert owner.execute("INSERT INTO t (the_geom) VALUES (CDB_LatLng(1, 1)) RETURNING cartodb_id") == [
        (rows + 1,)
    ]
    owner.execute("SET enable_seqscan = off")
    near = "SELECT count(*) > 0 FROM t WHERE {} && ST_Expand(ST_SetSRID(ST_MakePoint(1, 1), {}), {})"
    for column, srid, size in (("the_geom", 4326, 0.1), ("the_geom_webmercator", 3857, 200_000)):
        query = near.format(column, srid, size)
        assert owner.execute(query) == [(True,)]
        assert f"t_{column}_idx" in str(owner.execute(f"EXPLAIN {query}"))


def test_many_rows_build_the_indexes_anew_and_few_do_not(owner: Owner, run: Run[Any]) -> None:
    owner.dataset("t")
    query = (
        "SELECT array_agg(indexrelid ORDER BY indexrelid), pg_relation_filenode('t')"
        " FROM pg_index WHERE indrelid = 't'::regclass"
    )
    before = owner.execute(query)
    load(run, COPY, csv(FEW_ROWS))
    assert owner.execute(query) == before
    owner.execute("TRUNCATE t")
    [(old, old_file)] = owner.execute(query)
    load(run, COPY, csv(MANY))
    [(new, new_file)] = owner.execute(query)
    assert set(old).isdisjoint(new)
    # The private cluster logs no more than it must, so the rows went to a file that needs no log.
    assert old_file != new_file


@pytest.mark.parametrize(
    ("sql", "data", "stored"),
    [
        ("COPY t (n, the_geom) FROM STDIN", "1\tPOINT(1 1)\n2\t\\N\n", [(1, True), (2, None)]),
        ("copy T(n)\nfrom stdin;", "5\n", [(5, None)]),
        (
            "COPY \"t\" (\"n\") FROM STDIN (DELIMITER '|', NULL 'none')",
            "none\n7\n",
            [(7, None), (None, None)],
        ),
        ("COPY t (cartodb_id, n) FROM STDIN CSV", "70,1\n71,2\n", [(1, None), (2, None)]),
        (
            "COPY t (n, the_geom_webmercator, the_geom) FROM STDIN CSV",
            "1,SRID=3857;POINT(5 5),POINT(1 1)\n2,SRID=3857;POINT(5 5),\n",
            [(1, True), (2, None)],
        ),
        ("COPY t FROM STDIN CSV", "9,POINT(1 1),,a,1\n", [(1, True)]),
    ],
)
def test_forms_of_copy(owner: Owner, run: Run[Any], sql: str, data: str, stored: list[Any]) -> None:
    owner.dataset("t")
    assert load(run, sql, data.encode())[0] is StagedPlan
    assert owner.execute(f"SELECT n, {MERCATOR_IS_RIGHT} FROM t ORDER BY n") == stored


def test_binary_copies(owner: Owner, run: Run[Any]) -> None:
    owner.dataset("t")
    binary = b"PGCOPY\n\xff\r\n\0" + bytes(8) + b"\0\x01\0\0\0\x04\0\0\0\x07" + b"\xff\xff"
    assert load(run, "COPY t (n) FROM STDIN (FORMAT binary)", binary) == (StagedPlan, 1)
    owner.execute("TRUNCATE t")
    assert load(run, "COPY BINARY t (n) FROM STDIN", binary) == (Plan, 1)
    assert owner.execute("SELECT n FROM t") == [(7,)]


AS_GIVEN = {
    "rows": "INSERT INTO t (n) VALUES (0)",
    "a trigger of the owner's": "CREATE TRIGGER x BEFORE INSERT ON t EXECUTE FUNCTION CDB_CheckQuota('0')",
    "a trigger that is off": "ALTER TABLE t DISABLE TRIGGER track_updates",
    "a missing trigger": "DROP TRIGGER track_updates ON t",
    "a rule": "CREATE RULE x AS ON INSERT TO t WHERE false DO INSTEAD NOTHING",
    "row security": "ALTER TABLE t ENABLE ROW LEVEL SECURITY",
    "a unique column": "ALTER TABLE t ADD UNIQUE (n)",
    "a foreign key": "CREATE TABLE o (k int PRIMARY KEY); ALTER TABLE t ADD FOREIGN KEY (n) REFERENCES o",
    "a table that refers to it": "CREATE TABLE o (k bigint REFERENCES t)",
    "a child": "CREATE TABLE o () INHERITS (t)",
    "a generated column": "ALTER TABLE t ADD g int GENERATED ALWAYS AS (n * 2) STORED",
    "an identity": "ALTER TABLE t ADD g int GENERATED ALWAYS AS IDENTITY",
    "a check of the mercator column": "ALTER TABLE t ADD CHECK (the_geom_webmercator IS NULL)",
    "no right to insert": "REVOKE INSERT ON t FROM CURRENT_USER",
}


def kind_of_plan(run: Run[Any], sql: str) -> type[Plan]:
    async def work(conn: Connection) -> type[Plan]:
        async with bulkload.plan(conn, sql) as plan:
            assert isinstance(plan, StagedPlan) or plan.copy_sql == sql
            return type(plan)

    kind: type[Plan] = run(work)
    return kind


@pytest.mark.parametrize("feature", AS_GIVEN)
def test_what_does_not_fit_runs_as_given(owner: Owner, run: Run[Any], feature: str) -> None:
    owner.dataset("t")
    assert kind_of_plan(run, COPY) is StagedPlan
    owner.execute(AS_GIVEN[feature])
    assert kind_of_plan(run, COPY) is Plan


@pytest.mark.parametrize(
    "sql",
    [
        "COPY t (n) FROM STDIN WHERE t.n > 1",
        "COPY t (n) FROM STDIN (FREEZE)",
        "COPY t (n) FROM STDIN; SELECT 1",
        "COPY t (n) FROM '/etc/passwd'",
        "COPY t (n) TO STDOUT",
        "COPY missing FROM STDIN",
        "COPY plain FROM STDIN",
        "COPY pg_class FROM STDIN",
        "COPY (SELECT 1) TO STDOUT",
        "COPY t (n",
        "SELECT 1",
        "",
    ],
)
def test_other_statements_run_as_given(owner: Owner, run: Run[Any], sql: str) -> None:
    owner.dataset("t")
    owner.execute("CREATE TABLE plain (n int)")
    assert kind_of_plan(run, sql) is Plan


def failure(run: Run[Any], sql: str, data: bytes) -> tuple[str | None, str | None, str | None]:
    async def work(conn: Connection) -> Any:
        try:
            async with bulkload.plan(conn, sql) as plan:
                await plan.finish(await send(conn, plan, data))
        except psycopg.Error as error:
            assert (await (await conn.execute("SELECT to_regclass('pg_temp.t')")).fetchone()) == (None,)
            return error.sqlstate, error.diag.message_primary, error.diag.message_detail
        raise AssertionError("the COPY should have failed")

    answer: tuple[str | None, str | None, str | None] = run(work)
    return answer


@pytest.mark.parametrize(
    ("columns", "data"),
    [
        ("n", "x\n"),
        ("n, name", "1\n"),
        ("n", "1,2\n"),
        ("nothing", "1\n"),
        ("n, n", "1,2\n"),
        ("the_geom", "nowhere\n"),
        ("the_geom", "LINESTRING(0 0,1 1)\n"),
        ("the_geom", "SRID=25830;POINT(0 0)\n"),
        ("n", "-1\n"),
        ("strict", "\n"),
        ("cartodb_id", "\n"),
        ("cartodb_id", "5\n5\n"),
        ("cartodb_id", "".join(f"{i}\n" for i in [*range(MANY), 7])),
    ],
)
def test_errors_are_those_of_the_ordinary_way(owner: Owner, run: Run[Any], columns: str, data: str) -> None:
    owner.dataset("t")
    owner.execute("ALTER TABLE t ADD strict text NOT NULL DEFAULT 'x', ADD CONSTRAINT positive CHECK (n > 0)")
    before = shape(owner)
    sql = f"COPY t ({columns}) FROM STDIN CSV"
    assert kind_of_plan(run, sql) is StagedPlan
    fast = failure(run, sql, data.encode())
    assert owner.execute("SELECT count(*) FROM t") == [(0,)]
    assert shape(owner) == before
    owner.execute("CREATE TRIGGER x AFTER INSERT ON t EXECUTE FUNCTION CDB_CheckQuota('0')")
    assert kind_of_plan(run, sql) is Plan
    ordinary = failure(run, sql, data.encode())
    # Failing rows show their cartodb_id, which every try takes anew from the sequence.
    assert fast[:2] == ordinary[:2]
    assert (fast[2] is None) == (ordinary[2] is None)


def test_nothing_is_visible_until_the_end_and_nothing_after_an_abort(owner: Owner, run: Run[Any]) -> None:
    owner.dataset("t")
    count = "SELECT count(*) FROM t"

    async def work(conn: Connection) -> None:
        async with bulkload.plan(conn, COPY) as plan:
            await send(conn, plan, csv(MANY))
            assert owner.execute(count) == [(0,)]
            await plan.abort()
        async with bulkload.plan(conn, COPY) as plan:
            await send(conn, plan, csv(MANY))
        assert owner.execute(count) == [(0,)]
        async with bulkload.plan(conn, COPY) as plan:
            assert await plan.finish(await send(conn, plan, csv(MANY))) == MANY
            assert owner.execute(count) == [(MANY,)]

    run(work)


def test_no_rows_leave_the_table_untouched(owner: Owner, run: Run[Any]) -> None:
    owner.dataset("t")
    assert load(run, COPY, b"name,n,the_geom\n") == (StagedPlan, 0)
    assert owner.execute("SELECT count(*) FROM CDB_TableMetadata") == [(0,)]


def test_an_upload_keeps_nobody_out(owner: Owner, run: Run[Any]) -> None:
    owner.dataset("t")
    owner.execute("SET lock_timeout = '2s'")

    async def work(conn: Connection) -> None:
        async with bulkload.plan(conn, COPY) as plan:
            copied = await send(conn, plan, csv(MANY))
            owner.execute("ALTER TABLE t ADD later text DEFAULT 'new'")
            owner.execute("INSERT INTO t (n) VALUES (-1)")
            assert await plan.finish(copied) == MANY

    run(work)
    assert owner.execute("SELECT count(*), min(n), count(later) FROM t") == [(MANY + 1, -1, MANY + 1)]
    assert owner.execute(f"SELECT count(*) FROM t WHERE {MERCATOR_IS_RIGHT}") == [(MANY,)]


def test_a_reader_who_stays_is_not_waited_for(owner: Owner, run: Run[Any]) -> None:
    owner.dataset("t")
    with owner.connection.transaction():
        assert owner.execute("SELECT count(*) FROM t") == [(0,)]
        assert load(run, COPY, csv(MANY)) == (StagedPlan, MANY)
    assert owner.execute(f"SELECT count(*), bool_and({MERCATOR_IS_RIGHT}) FROM t") == [(MANY, True)]


def test_many_rows_are_worth_another_try(
    owner: Owner, run: Run[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulkload, "ROWS_PER_TRY", MANY)
    monkeypatch.setattr(bulkload, "LOCK_WAIT", "50ms")
    refused = 0
    moved_fast = StagedPlan._moved_fast

    async def reader_leaves_when_in_the_way(plan: StagedPlan) -> bool:
        nonlocal refused
        try:
            return await moved_fast(plan)
        except psycopg.errors.LockNotAvailable:
            refused += 1
            owner.execute("ROLLBACK")
            raise

    monkeypatch.setattr(StagedPlan, "_moved_fast", reader_leaves_when_in_the_way)
    owner.dataset("t")
    before = owner.execute("SELECT 't_pkey'::regclass::oid")
    owner.execute("BEGIN")
    owner.execute("SELECT count(*) FROM t")
    assert load(run, COPY, csv(MANY)) == (StagedPlan, MANY)
    assert refused == 1
    assert owner.execute("SELECT 't_pkey'::regclass::oid") != before


def test_two_uploads_at_once_both_arrive(owner: Owner, run: Run[Any]) -> None:
    owner.dataset("t")
    ready = threading.Barrier(2, timeout=30)

    async def work(conn: Connection) -> None:
        async with bulkload.plan(conn, COPY) as plan:
            assert isinstance(plan, StagedPlan)
            copied = await send(conn, plan, csv(MANY))
            await asyncio.to_thread(ready.wait)
            assert await plan.finish(copied) == MANY

    failed: list[BaseException] = []

    def one() -> None:
        try:
            run(work)
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=one) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failed == []
    assert owner.execute(
        f"SELECT count(*), count(DISTINCT cartodb_id), bool_and({MERCATOR_IS_RIGHT}) FROM t"
    ) == [(2 * MANY, 2 * MANY, True)]


def test_other_indexes_of_the_owner_hold_all_rows(owner: Owner, run: Run[Any]) -> None:
    owner.dataset("t")
    owner.execute("CREATE INDEX by_n ON t (n) WITH (fillfactor = 70)")
    owner.execute("CREATE INDEX by_low ON t (lower(name)) WHERE n > 10")
    before = shape(owner)
    assert load(run, COPY, csv(MANY)) == (StagedPlan, MANY)
    assert shape(owner) == before
    owner.execute("SET enable_seqscan = off")
    assert owner.execute("SELECT n FROM t WHERE n = 77") == [(77,)]
    assert owner.execute("SELECT n FROM t WHERE lower(name) = 'name 99' AND n > 10") == [(99,)]


def test_a_dataset_that_was_emptied_is_filled_fast_again(owner: Owner, run: Run[Any]) -> None:
    owner.dataset("t", rows=10)
    for empty in ("DELETE FROM t", "TRUNCATE t"):
        owner.execute(empty)
        assert load(run, COPY, csv(MANY)) == (StagedPlan, MANY)
        assert owner.execute("SELECT count(*) FROM t") == [(MANY,)]


def test_odd_names(owner: Owner, run: Run[Any], account: TestAccount) -> None:
    owner.execute('CREATE TABLE "T ""é""" ("A,b" text DEFAULT \'d\', the_geom geometry(Point, 4326))')
    owner.cartodbfy('T ""é""')
    sql = f'COPY "{account.schema}"."T ""é""" ("A,b", the_geom) FROM STDIN'
    data = "".join(f"v{i}\tPOINT(1 {i % 80})\n" for i in range(MANY)).encode()
    assert load(run, sql, data) == (StagedPlan, MANY)
    assert owner.execute(f'SELECT count("A,b"), bool_and({MERCATOR_IS_RIGHT}) FROM "T ""é"""') == [
        (MANY, True)
    ]


def test_beyond_the_quota_nothing_is_stored(
    owner: Owner, run: Run[Any], account: TestAccount, admin: psycopg.Connection[Any]
) -> None:
    owner.dataset("t")
    admin.execute("SELECT cartodb.CDB_SetUserQuotaInBytes(%s::text, 1)", (account.schema,))
    before = shape(owner)
    # One row in a thousand is checked: the chance that none of so many is, is one in five hundred million.
    _, message, _ = failure(run, COPY, csv(20_000))
    assert message is not None
    assert message.startswith("Quota exceeded by ")
    assert owner.execute("SELECT count(*) FROM t") == [(0,)]
    assert shape(owner) == before


def test_a_cancelled_finish_stores_nothing(owner: Owner, run: Run[Any]) -> None:
    owner.dataset("t")

    async def work(conn: Connection) -> None:
        async with bulkload.plan(conn, COPY) as plan:
            copied = await send(conn, plan, csv(MANY))
            await conn.execute("SET statement_timeout = 1")
            with pytest.raises(psycopg.errors.QueryCanceled):
                await plan.finish(copied)
            await conn.execute("SET statement_timeout = 0")

    before = shape(owner)
    run(work)
    assert owner.execute("SELECT count(*) FROM t") == [(0,)]
    assert shape(owner) == before
