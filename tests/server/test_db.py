"""Logins: what a session starts with, what it leaves behind, and what happens when the database goes away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest

from carto_like.server.accounts import Account
from carto_like.server.bootstrap import bootstrap
from carto_like.server.db import Database
from carto_like.server.errors import Problem
from carto_like.server.migrations import migrate
from carto_like.server.platform import Platform
from carto_like.server.pool import Connection
from carto_like.server.postgres import PrivatePostgres
from carto_like.server.secrets import Secrets
from carto_like.server.settings import Limits, Settings
from tests.support.api import TestAccount
from tests.support.server import SECRET

Work = Callable[[Database], Awaitable[None]]


@asynccontextmanager
async def opened(settings: Settings, **limits: Any) -> AsyncIterator[Database]:
    database = Database(replace(settings, limits=Limits(**limits)), Secrets(settings.secret))
    await database.open()
    try:
        yield database
    finally:
        await database.close()


def run(settings: Settings, work: Work, **limits: Any) -> None:
    async def body() -> None:
        async with opened(settings, **limits) as database:
            await work(database)

    asyncio.run(body())


async def value(connection: Connection, query: str) -> Any:
    row = await (await connection.execute(query.encode())).fetchone()
    return None if row is None else row[0]


def test_a_login_is_the_role_in_its_schema_with_settings_of_ours(
    settings: Settings, account: TestAccount
) -> None:
    async def work(database: Database) -> None:
        async with database.login(account.role, account.schema) as connection:
            assert await value(connection, "SELECT session_user::text") == account.role
            assert await value(connection, "SELECT current_schemas(false)::text[]") == [
                *(account.schema, "public", "cartodb")
            ]
            shown = {
                name: await value(connection, f"SELECT current_setting('{name}')")
                for name in ("TimeZone", "DateStyle", "statement_timeout", "application_name", "jit")
            }
        assert shown == {
            "TimeZone": "UTC",
            "DateStyle": "ISO, MDY",
            "statement_timeout": "7s",
            "application_name": "cartodb_sqlapi",
            "jit": "off",
        }

    run(settings, work, query_timeout=7.0)


LEFT_BEHIND = {
    "SET work_mem = '1MB'": "SELECT current_setting('work_mem') = '1MB'",
    "SET statement_timeout = 0": "SELECT current_setting('statement_timeout') = '0'",
    "SET search_path = pg_catalog": "SELECT current_setting('search_path') = 'pg_catalog'",
    "SET default_transaction_read_only = on": "SELECT current_setting('transaction_read_only') = 'on'",
    "CREATE TEMP TABLE left_behind (i int)": "SELECT to_regclass('pg_temp.left_behind') IS NOT NULL",
    "PREPARE left_behind AS SELECT 1": "SELECT EXISTS (SELECT FROM pg_prepared_statements)",
    "DECLARE c CURSOR WITH HOLD FOR SELECT 1": "SELECT EXISTS (SELECT FROM pg_cursors)",
    "LISTEN left_behind": "SELECT EXISTS (SELECT FROM pg_listening_channels())",
    "SELECT set_config('left.behind', 'x', false)": "SELECT current_setting('left.behind', true) = 'x'",
    "SET ROLE publicuser": "SELECT current_user = 'publicuser'",
    "BEGIN; SELECT 1": "SELECT pg_current_xact_id_if_assigned() IS NOT NULL",
    "BEGIN; CREATE TABLE left_behind (i int); SELECT 1/0": "SELECT to_regclass('left_behind') IS NOT NULL",
}


@pytest.mark.parametrize("harm", LEFT_BEHIND)
def test_the_next_borrower_finds_nothing_of_the_last(
    settings: Settings, account: TestAccount, harm: str
) -> None:
    async def work(database: Database) -> None:
        role = account.public_role if "ROLE" in harm else account.role
        async with database.login(role, account.schema) as connection:
            pid = connection.pgconn.backend_pid
            assert await value(connection, LEFT_BEHIND[harm]) is not True
            try:
                await connection.execute(harm.encode())
            except psycopg.errors.DivisionByZero:
                assert "1/0" in harm
            else:
                assert "BEGIN" in harm or await value(connection, LEFT_BEHIND[harm]) is True
        async with database.login(role, account.schema) as connection:
            assert connection.pgconn.backend_pid == pid
            assert await value(connection, LEFT_BEHIND[harm]) is not True

    run(settings, work)


def test_advisory_locks_end_with_the_loan(settings: Settings, account: TestAccount) -> None:
    async def work(database: Database) -> None:
        async with database.login(account.role, account.schema) as connection:
            await connection.execute("SELECT pg_advisory_lock(42)")
        async with database.login(account.public_role, account.schema) as other:
            await other.execute("SET lock_timeout = '5s'; SELECT pg_advisory_lock(42)")

    run(settings, work)


def test_what_a_role_set_for_itself_does_not_reach_the_next_login(
    settings: Settings, account: TestAccount, admin: psycopg.Connection[Any]
) -> None:
    async def harm(database: Database) -> None:
        async with database.login(account.role, account.schema) as connection:
            await connection.execute("ALTER ROLE CURRENT_USER SET lock_timeout = '1ms'")
            await connection.execute("ALTER ROLE CURRENT_USER SET search_path = 'nowhere'")
            in_database = f"IN DATABASE {connection.info.dbname}"
            await connection.execute(
                f"ALTER ROLE CURRENT_USER {in_database} SET enable_seqscan = off".encode()
            )

    async def look(database: Database) -> None:
        async with database.login(account.role, account.schema) as connection:
            assert await value(connection, "SELECT current_setting('lock_timeout')") == "0"
            assert await value(connection, "SELECT current_setting('enable_seqscan')") == "on"
            assert await value(connection, "SELECT current_schema()::text") == account.schema

    run(settings, harm)
    run(settings, look)
    query = "SELECT FROM pg_db_role_setting WHERE setrole = %s::regrole"
    assert admin.execute(query, (account.role,)).fetchone() is None


def test_a_query_that_nobody_waits_for_is_cancelled(
    settings: Settings, account: TestAccount, admin: psycopg.Connection[Any]
) -> None:
    running = "SELECT count(*) FROM pg_stat_activity WHERE pid = %s AND state = 'active'"

    async def work(database: Database) -> None:
        async with database.login(account.role, account.schema) as connection:
            pid = connection.pgconn.backend_pid
            connection.pgconn.send_query(b"SELECT pg_sleep(60)")
            connection.pgconn.flush()
        for _ in range(500):
            if admin.execute(running, (pid,)).fetchone() == (0,):
                break
            await asyncio.sleep(0.01)
        else:
            pytest.fail("the query runs on")
        async with database.login(account.role, account.schema) as connection:
            assert connection.pgconn.backend_pid != pid

    run(settings, work)


def test_the_budget_is_shared_and_idle_connections_make_room(
    settings: Settings, account: TestAccount
) -> None:
    async def work(database: Database) -> None:
        for role in (account.role, account.public_role, account.role, account.public_role):
            async with database.login(role, account.schema) as connection:
                assert await value(connection, "SELECT session_user::text") == role
            assert database.open_logins <= 1

    run(settings, work, connections=1)


def test_who_finds_no_connection_is_told_when_to_come_back(settings: Settings, account: TestAccount) -> None:
    async def work(database: Database) -> None:
        async with database.login(account.role, account.schema):
            with pytest.raises(Problem, match="All 1 database connections are in use") as caught:
                async with database.login(account.public_role, account.schema):
                    pytest.fail("there is no second connection")
        assert caught.value.status == 503
        assert caught.value.headers == {"Retry-After": "1"}
        async with database.login(account.public_role, account.schema) as connection:
            assert await value(connection, "SELECT 1") == 1

    run(settings, work, connections=1, connection_wait=0.05)


def test_a_wait_of_zero_is_one_without_end(settings: Settings, account: TestAccount) -> None:
    async def work(database: Database) -> None:
        async def borrow() -> int:
            async with database.login(account.role, account.schema) as connection:
                return int(await value(connection, "SELECT 1 FROM pg_sleep(0.05)"))

        assert sum(await asyncio.gather(borrow(), borrow(), borrow())) == 3
        # Nor is an unused connection closed after no time at all.
        await asyncio.sleep(0.2)
        assert database.open_logins == 1

    run(settings, work, connections=1, connection_wait=0, connection_idle=0)


def test_more_borrowers_than_connections_are_all_served(settings: Settings, account: TestAccount) -> None:
    async def work(database: Database) -> None:
        async def borrow(role: str) -> int:
            async with database.login(role, account.schema) as connection:
                return int(await value(connection, "SELECT 1 FROM pg_sleep(0.01)"))

        roles = [account.role, account.public_role] * 20
        assert sum(await asyncio.gather(*map(borrow, roles))) == 40
        assert database.open_logins <= 3

    run(settings, work, connections=3)


def test_leaving_the_queue_takes_no_place(settings: Settings, account: TestAccount) -> None:
    async def work(database: Database) -> None:
        async def borrow() -> None:
            async with database.login(account.role, account.schema):
                await asyncio.sleep(0)

        async with database.login(account.role, account.schema):
            waiting = [asyncio.create_task(borrow()) for _ in range(5)]
            await asyncio.sleep(0.01)
            for task in waiting[:3]:
                task.cancel()
        results = await asyncio.gather(*waiting, return_exceptions=True)
        assert [type(result) for result in results] == [asyncio.CancelledError] * 3 + [type(None)] * 2
        await asyncio.wait_for(borrow(), 5)

    run(settings, work, connections=1)


def test_unused_connections_are_closed(settings: Settings, account: TestAccount) -> None:
    async def work(database: Database) -> None:
        async with database.login(account.role, account.schema):
            assert database.open_logins == 1
        for _ in range(500):
            if database.open_logins == 0:
                break
            await asyncio.sleep(0.01)
        else:
            pytest.fail("the connection stays open")

    run(settings, work, connection_idle=0.1)


def test_a_connection_that_died_while_idle_is_replaced(
    settings: Settings, account: TestAccount, admin: psycopg.Connection[Any]
) -> None:
    async def work(database: Database) -> None:
        async with database.login(account.role, account.schema) as connection:
            pid = connection.pgconn.backend_pid
        await asyncio.sleep(0)
        admin.execute("SELECT pg_terminate_backend(%s, 5000)", (pid,))
        async with database.login(account.role, account.schema) as connection:
            assert await value(connection, "SELECT 1") == 1
            assert connection.pgconn.backend_pid != pid

    run(settings, work)


def test_connections_whose_end_nobody_has_heard_of_yet_are_replaced(
    settings: Settings, admin: psycopg.Connection[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def work(database: Database) -> None:
        async with database.metadata() as one, database.metadata() as two:
            pids = [one.pgconn.backend_pid, two.pgconn.backend_pid]
        for pid in pids:
            admin.execute("SELECT pg_terminate_backend(%s, 5000)", (pid,))
        # Either of the two is cut: one is met by who asks, the other by who begins a transaction.
        assert await database.ask("SELECT %s", (1,)) == [(1,)]
        async with database.metadata() as own:
            assert await value(own, "SELECT 1") == 1
            assert own.pgconn.backend_pid not in pids
        with pytest.raises(psycopg.errors.UndefinedTable):
            await database.ask("SELECT FROM nowhere")

    monkeypatch.setattr("carto_like.server.pool.is_alive", lambda _: True)
    run(settings, work)


def test_the_platform_can_end_a_session(settings: Settings, account: TestAccount) -> None:
    async def work(database: Database) -> None:
        async with database.login(account.role, account.schema) as connection:
            await database.terminate(connection.pgconn.backend_pid)
            with pytest.raises(psycopg.OperationalError):
                await connection.execute("SELECT pg_sleep(60)")
        async with database.login(account.role, account.schema) as connection:
            assert await value(connection, "SELECT 1") == 1

    run(settings, work)


@pytest.fixture(scope="module")
def password_cluster(short_dir: Path) -> Iterator[PrivatePostgres]:
    """A cluster that asks for passwords, as one of somebody else does."""
    with PrivatePostgres(short_dir / "passwords") as postgres:
        hba = postgres.cluster_dir / "pg_hba.conf"
        hba.write_text("local all postgres,carto_like trust\nlocal all all scram-sha-256\n")
        with psycopg.connect(postgres.dsn()) as connection:
            connection.execute("SELECT pg_reload_conf()")
        yield postgres


def prepared(postgres: PrivatePostgres) -> tuple[Settings, Account]:
    """Settings for a database of the cluster, and a user in it."""
    dsn = bootstrap(postgres)
    settings = Settings(dsn=dsn, secret=SECRET)

    async def make() -> Account:
        await migrate(dsn, Secrets(SECRET))
        platform = Platform.create(settings)
        await platform.open()
        account = await platform.users.get("ana") or await platform.users.create("ana")
        await platform.close()
        return account

    return settings, asyncio.run(make())


def test_a_changed_password_locks_nobody_out(password_cluster: PrivatePostgres) -> None:
    settings, ana = prepared(password_cluster)

    async def harm(database: Database) -> None:
        async with database.login(ana.role, ana.schema) as connection:
            await connection.execute("ALTER ROLE CURRENT_USER PASSWORD 'mine now'")

    async def look(database: Database) -> None:
        async with database.login(ana.role, ana.schema) as connection:
            assert await value(connection, "SELECT 1") == 1

    run(settings, harm)
    run(settings, look)
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(settings.dsn, user=ana.role, password="mine now")


def test_connections_recover_when_the_database_restarts(password_cluster: PrivatePostgres) -> None:
    settings, ana = prepared(password_cluster)

    async def work(database: Database) -> None:
        async def both() -> tuple[Any, Any]:
            async with database.metadata() as own, database.login(ana.role, ana.schema) as login:
                return await value(own, "SELECT 1"), await value(login, "SELECT 2")

        assert await both() == (1, 2)
        socket_dir = password_cluster.socket_dir
        await asyncio.to_thread(password_cluster.restart)
        assert password_cluster.socket_dir == socket_dir
        assert await both() == (1, 2)
        pid = password_cluster.pid
        await asyncio.to_thread(password_cluster.halt)
        with pytest.raises(Problem, match="cannot connect to the database") as caught:
            await both()
        assert caught.value.status == 500
        await asyncio.to_thread(password_cluster.restart)
        assert password_cluster.pid != pid
        assert await both() == (1, 2)

    run(settings, work)
