"""Sessions in which the SQL of layers runs: as one role, read-only, one statement at a time, in time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import psycopg

from carto_like.server.accounts import Account
from carto_like.server.platform import Platform
from carto_like.server.pool import Connection
from carto_like.server.sqlapi.guard import Guard
from carto_like.server.sqlapi.wire import command

Columns = tuple[tuple[str, int], ...]


@asynccontextmanager
async def reading(platform: Platform, account: Account, role: str) -> AsyncIterator[Connection]:
    """A session of a role, in a transaction that can only read.

    Raises:
        Stopped: the time for one tile was over.
        Problem: there is no connection.
    """
    limits = platform.settings.limits
    async with (
        platform.database.login(role, account.schema) as conn,
        Guard(conn, platform.database, _nobody_leaves, seconds=limits.map_timeout, grace=limits.cancel_grace),
    ):
        await command(conn, "BEGIN READ ONLY")
        yield conn


async def rows_of(conn: Connection, sql: str) -> list[tuple[Any, ...]]:
    """The rows of one statement; a text with several is a syntax error."""
    cursor = await _run(conn, sql)
    return await cursor.fetchall()


async def columns_of(conn: Connection, sql: str) -> Columns:
    """Names and types (oids) of what a query gives, without the names that it gives twice."""
    cursor = await _run(conn, f"SELECT * FROM (\n{sql}\n) AS cdbq LIMIT 0")
    found = [(column.name, column.type_code) for column in cursor.description or ()]
    names = [name for name, _ in found]
    return tuple((name, oid) for name, oid in found if names.count(name) == 1)


async def _run(conn: Connection, sql: str) -> psycopg.AsyncCursor[tuple[Any, ...]]:
    # libpq would read no further than to a NUL.
    if "\0" in sql:
        raise psycopg.DataError("SQL cannot hold a NUL character")
    # Results in binary come by the extended protocol, which takes a single statement.
    return await conn.cursor().execute(sql.encode("utf-8", "replace"), binary=True)


async def _nobody_leaves() -> None:
    await asyncio.Event().wait()
