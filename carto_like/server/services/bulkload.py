"""COPY into an empty dataset at the speed of a hand-made bulk load.

A dataset computes ``the_geom_webmercator`` in a trigger and keeps three indexes, and a COPY pays for them
row by row: with two million points that is ten times the cost of the same rows in a plain table. So while a
dataset has no rows, its COPY goes to a temporary table of the same name, columns and rules: no trigger, no
index, no log, and nobody waits for a slow client. When all has arrived, one transaction moves the rows and
builds the indexes once. Whatever does not fit runs as the client wrote it.

The temporary table's name matters: messages of PostgreSQL that name a table name the client's.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, TypeAlias

from psycopg import AsyncConnection, Error, errors
from psycopg.pq import TransactionStatus

from carto_like.pure.pgcopy import Copy, parse_copy
from carto_like.pure.pgtext import quote_identifier

from .bulktarget import Target, find_target, indexes, staging_statement

Connection: TypeAlias = AsyncConnection[tuple[Any, ...]]

logger = logging.getLogger(__name__)

# Below this many rows, dropping and making indexes costs more than keeping them.
FEW_ROWS = 5_000
# How long readers of the table may make us wait, and those after them wait for us, before we give way.
# An autovacuum gives way to us after deadlock_timeout, one second unless changed.
LOCK_WAIT = "1500ms"
# Each so many rows are worth one more try for the lock, with a pause in which others get on.
ROWS_PER_TRY = 100_000
MOST_TRIES = 10
PAUSE = 0.5
_TRIGGER = "update_the_geom_webmercator_trigger"
# FREEZE must fail as it would on the real table; WHERE may name that by its schema, too.
_PECULIAR = re.compile(r"\b(freeze|where)\b", re.IGNORECASE)


class Plan:
    """How one COPY from a client is carried out; this plain one runs it as written.

    Attributes:
        copy_sql: the statement to run on the connection.
    """

    def __init__(self, copy_sql: str) -> None:
        self.copy_sql = copy_sql

    async def finish(self, copied: int) -> int:
        """Put what arrived in its place, after :attr:`copy_sql` has copied so many rows; answers how many.

        Raises:
            psycopg.Error: the table refuses the rows; nothing is stored.
        """
        return copied

    async def abort(self) -> None:
        """Drop what arrived; nothing of it was ever visible. Not needed when the block is left anyway."""


class StagedPlan(Plan):
    """COPY to a temporary table, then one step into the dataset."""

    def __init__(self, conn: Connection, target: Target, copy: Copy, *, computed: bool) -> None:
        columns = "" if copy.columns is None else f" ({', '.join(map(quote_identifier, copy.columns))})"
        self._stage = f"pg_temp.{quote_identifier(target.table)}"
        self._table = f"{quote_identifier(target.schema)}.{quote_identifier(target.table)}"
        self._mercator = (
            "the_geom_webmercator" if computed else "cartodb.CDB_TransformToWebmercator(the_geom)"
        )
        self._conn = conn
        self._target = target
        super().__init__(f"COPY {self._stage}{columns} FROM STDIN {copy.rest}")

    async def finish(self, copied: int) -> int:
        """Move the rows into the dataset, in one transaction."""
        if copied > FEW_ROWS and await self._moved_patiently(1 + copied // ROWS_PER_TRY):
            return copied
        if copied:
            await self._insert()
        await self.abort()
        return copied

    async def abort(self) -> None:
        """Drop the temporary table."""
        await self._conn.execute(f"DROP TABLE IF EXISTS {self._stage}".encode())

    async def _moved_patiently(self, tries: int) -> bool:
        for remaining in reversed(range(min(tries, MOST_TRIES))):
            try:
                return await self._moved_fast()
            except errors.LockNotAvailable:
                await asyncio.sleep(PAUSE if remaining else 0)
        return False

    async def _moved_fast(self) -> bool:
        """Whether the rows are in; otherwise nothing has happened.

        Any refusal is left to the ordinary INSERT to repeat, which has PostgreSQL's own words for it.
        """
        try:
            async with self._conn.transaction():
                return await self._move()
        except (errors.LockNotAvailable, errors.QueryCanceled, errors.OperatorIntervention):
            raise
        except errors.RaiseException:
            # The quota's check; it throws dice, and a second throw may miss.
            raise
        except Error as error:
            if self._conn.closed:
                raise
            logger.info("the fast way is closed: %s", error.sqlstate)
            return False

    async def _move(self) -> bool:
        await self._run(f"SET LOCAL lock_timeout = '{LOCK_WAIT}'")
        await self._run(f"LOCK TABLE {self._table} IN ACCESS EXCLUSIVE MODE")
        target = await find_target(self._conn, self._table)
        if target != self._target or not await _is_empty(self._conn, target):
            return False
        dropped = await indexes(self._conn, target)
        for drop, _ in dropped:
            await self._run(drop)
        if target.unused and target.minimal_log:
            await self._run(f"TRUNCATE {self._table}")
        await self._run(f"ALTER TABLE {self._table} DISABLE TRIGGER {_TRIGGER}")
        await self._run(
            f"INSERT INTO {self._table} ({target.columns}, the_geom_webmercator) "
            f"SELECT {target.columns}, {self._mercator} FROM {self._stage}"
        )
        await self._run(f"ALTER TABLE {self._table} ENABLE TRIGGER {_TRIGGER}")
        await self._run(f"DROP TABLE {self._stage}")
        for _, create in dropped:
            await self._run(create)
        return True

    async def _insert(self) -> None:
        columns = self._target.columns
        await self._run(f"INSERT INTO {self._table} ({columns}) SELECT {columns} FROM {self._stage}")

    async def _run(self, statement: str) -> None:
        await self._conn.execute(statement.encode())


@asynccontextmanager
async def plan(conn: Connection, copy_sql: str) -> AsyncIterator[Plan]:
    """How to carry out a COPY that a client sent; run the plan's ``copy_sql``, then ``finish`` it.

    Leaving the block without ``finish`` stores nothing.

    Args:
        conn: autocommit, logged in as the client's role, in no transaction.
        copy_sql: the client's text, which may hold more than a COPY.
    """
    chosen = await _choose(conn, copy_sql)
    try:
        yield chosen
    finally:
        # Elsewhere the session is about to be cleaned or closed, and the temporary table goes with it.
        if not conn.closed and conn.pgconn.transaction_status == TransactionStatus.IDLE:
            await chosen.abort()


async def _choose(conn: Connection, copy_sql: str) -> Plan:
    copy = parse_copy(copy_sql)
    if copy is None or not _is_plain(copy) or copy.table is None:
        return Plan(copy_sql)
    target = await find_target(conn, ".".join(map(quote_identifier, copy.table)))
    if target is None or not await _is_empty(conn, target):
        return Plan(copy_sql)
    # Computing as rows arrive uses the time in which the client prepares the next ones.
    computed = (
        copy.columns is not None
        and "the_geom" in copy.columns
        and "the_geom_webmercator" not in (*copy.columns, *re.findall(r"\w+", copy.rest.lower()))
    )
    await conn.execute((await staging_statement(conn, target, computed=computed)).encode())
    return StagedPlan(conn, target, copy, computed=computed)


def _is_plain(copy: Copy) -> bool:
    """Whether the statement means the same when it names another table."""
    if copy.direction != "from" or copy.endpoint != "client" or copy.following:
        return False
    # COPY BINARY t: the format stands where a rewritten statement would lose it.
    spelled = copy.format != "binary" or "binary" in copy.rest.lower()
    return spelled and _PECULIAR.search(copy.rest) is None


async def _is_empty(conn: Connection, target: Target) -> bool:
    if target.unused:
        return True
    table = f"{quote_identifier(target.schema)}.{quote_identifier(target.table)}"
    row = await (await conn.execute(f"SELECT NOT EXISTS (SELECT FROM {table})".encode())).fetchone()
    return row is not None and bool(row[0])
