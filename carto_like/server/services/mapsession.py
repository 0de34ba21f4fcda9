"""Sessions in which the SQL of layers runs: as one role, read-only, one statement at a time, in time."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import orjson
import psycopg
from psycopg.pq import ConnStatus, ExecStatus, Format, TransactionStatus
from psycopg.pq.abc import PGconn, PGresult

from carto_like.server.accounts import Account
from carto_like.server.platform import Platform
from carto_like.server.pool import Connection
from carto_like.server.sqlapi.guard import Guard
from carto_like.server.sqlapi.wire import check, command, flush, next_result

Columns = tuple[tuple[str, int], ...]
_BEGIN = b"BEGIN READ ONLY"


@asynccontextmanager
async def reading(platform: Platform, account: Account, role: str) -> AsyncIterator[Connection]:
    """A session of a role, in a transaction that can only read.

    Raises:
        Stopped: the time for one tile was over.
        Problem: there is no connection.
    """
    async with session(platform, account, role) as conn:
        await command(conn, _BEGIN.decode())
        yield conn


@asynccontextmanager
async def session(platform: Platform, account: Account, role: str) -> AsyncIterator[Connection]:
    """A session as in :func:`reading`, whose transaction is still to begin: :func:`outlined` does that."""
    limits = platform.settings.limits
    async with (
        platform.database.login(role, account.schema) as conn,
        Guard(conn, platform.database, _nobody_leaves, seconds=limits.map_timeout, grace=limits.cancel_grace),
    ):
        yield conn


async def values_of(platform: Platform, account: Account, role: str, sql: str) -> list[bytes]:
    """The first column of what one statement gives, as bytes in PostgreSQL's binary format.

    It runs as in :func:`reading`, but the transaction's beginning and end travel with it: all of it costs one
    message there and back. Raises the same.
    """
    async with session(platform, account, role) as conn:
        statements = [_query(each) for each in (_BEGIN, _text(sql), b"ROLLBACK")]
        _, answer, _ = await _together(conn, statements)
        return [answer.get_value(row, 0) or b"" for row in range(answer.ntuples)]


async def outlined(conn: Connection, sql: str) -> tuple[Any, Columns]:
    """How the planner would run a query (``EXPLAIN``'s JSON), and its columns; nothing of it is run.

    Columns are names and types (oids), without the names that there are twice.
    """
    query = _text(f"SELECT * FROM (\n{sql}\n) AS cdbq")
    steps = [
        _query(b"EXPLAIN (VERBOSE, FORMAT JSON) " + query),
        lambda pgconn: pgconn.send_prepare(b"", query),
        lambda pgconn: pgconn.send_describe_prepared(b""),
    ]
    if conn.pgconn.transaction_status == TransactionStatus.IDLE:
        steps.insert(0, _query(_BEGIN))
    *_, plan, _, described = await _together(conn, steps)
    found = [((described.fname(i) or b"").decode(), described.ftype(i)) for i in range(described.nfields)]
    return orjson.loads(plan.get_value(0, 0) or b"[]"), _told_apart(found)


async def _together(conn: Connection, steps: Sequence[Callable[[PGconn], None]]) -> list[PGresult]:
    """The results of several messages that are sent as one; raises the first error, and skips what follows.

    Whatever transaction is open then is left to the pool, as any that a borrower did not end.
    """
    pgconn = conn.pgconn
    pgconn.enter_pipeline_mode()
    for step in steps:
        step(pgconn)
    pgconn.pipeline_sync()
    await flush(pgconn)
    results: list[PGresult] = []
    try:
        while (result := await _next(pgconn)).status != ExecStatus.PIPELINE_SYNC:
            results.append(result)
        pgconn.exit_pipeline_mode()
    finally:
        # A session that was ended has said why before.
        for result in results:
            check(pgconn, result)
    return results


async def _next(pgconn: PGconn) -> PGresult:
    """The next result of a pipeline, where nothing marks the end of each statement's results."""
    while (result := await next_result(pgconn)) is None:
        if pgconn.status == ConnStatus.BAD:
            raise psycopg.OperationalError("the connection is lost")
    return result


def _query(statement: bytes) -> Callable[[PGconn], None]:
    # By the extended protocol, which takes a single statement.
    return lambda pgconn: pgconn.send_query_params(statement, None, result_format=Format.BINARY)


async def rows_of(conn: Connection, sql: str) -> list[tuple[Any, ...]]:
    """The rows of one statement; a text with several is a syntax error."""
    cursor = await _run(conn, sql)
    return await cursor.fetchall()


async def columns_of(conn: Connection, sql: str) -> Columns:
    """Names and types (oids) of what a query gives, without the names that it gives twice."""
    cursor = await _run(conn, f"SELECT * FROM (\n{sql}\n) AS cdbq LIMIT 0")
    return _told_apart([(column.name, column.type_code) for column in cursor.description or ()])


def _told_apart(columns: Sequence[tuple[str, int]]) -> Columns:
    names = Counter(name for name, _ in columns)
    return tuple((name, oid) for name, oid in columns if names[name] == 1)


async def _run(conn: Connection, sql: str) -> psycopg.AsyncCursor[tuple[Any, ...]]:
    # Results in binary come by the extended protocol, which takes a single statement.
    return await conn.cursor().execute(_text(sql), binary=True)


def _text(sql: str) -> bytes:
    # libpq would read no further than to a NUL.
    if "\0" in sql:
        raise psycopg.DataError("SQL cannot hold a NUL character")
    return sql.encode("utf-8", "replace")


async def _nobody_leaves() -> None:
    await asyncio.Event().wait()
