"""COPY between a client and the database, at the speed of libpq and in bounded memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from itertools import repeat
from sys import maxsize

from psycopg import pq

from carto_like.server.errors import Problem
from carto_like.server.sqlapi.upload import ClientLeft
from carto_like.server.sqlapi.wire import (
    Connection,
    check,
    command,
    drain,
    finish_copy_in,
    flush,
    next_result,
    readable,
    start,
    take_in,
)

BLOCK_BYTES = 128 * 1024
CLIENT_LEFT = "Connection closed by client"
NOT_FROM_CLIENT = "This is not a COPY ... FROM STDIN. Use /sql/copyto to export."
NOT_TO_CLIENT = "This is not a COPY ... TO STDOUT. Use /sql/copyfrom to import."


async def set_timeout(conn: Connection, seconds: float) -> None:
    """Give the statements of this session their own time limit, 0 for none."""
    await command(conn, f"SET statement_timeout = {round(seconds * 1000)}")


async def copy_in(conn: Connection, sql: str, chunks: AsyncIterator[bytes]) -> int:
    """Run ``COPY ... FROM STDIN`` with ``chunks`` as its data; returns the rows that COPY counted.

    Statements that follow the COPY run in the same transaction. Whatever goes wrong, nothing is stored.

    Raises:
        psycopg.Error: PostgreSQL refused the statement or the data.
        Problem: the statement does not read from the client, or ``chunks`` raised it.
        ClientLeft: ``chunks`` broke off.
    """
    pgconn = conn.pgconn
    await _begin(conn, sql, pq.ExecStatus.COPY_IN, NOT_FROM_CLIENT)
    try:
        async for chunk in chunks:
            pgconn.put_copy_data(chunk)
            await flush(pgconn)
    except BaseException as error:
        # However the data broke off, half of it must not be taken for all of it.
        await finish_copy_in(pgconn, CLIENT_LEFT if isinstance(error, ClientLeft) else "COPY was given up")
        await drain(conn)
        raise
    await finish_copy_in(pgconn)
    return await _count(conn)


async def _begin(conn: Connection, sql: str, wanted: pq.ExecStatus, refusal: str) -> None:
    await start(conn, sql)
    await flush(conn.pgconn)
    result = await next_result(conn.pgconn)
    if result is not None and result.status == wanted:
        return
    if result is not None and result.status == pq.ExecStatus.COPY_IN:
        await finish_copy_in(conn.pgconn, refusal)
    await drain(conn)
    if result is not None:
        check(conn.pgconn, result)
    raise Problem(400, refusal)


async def _count(conn: Connection) -> int:
    """The count of the COPY that just ended; the first error of what follows is raised."""
    pgconn = conn.pgconn
    count = None
    while (result := await next_result(pgconn)) is not None:
        if result.status == pq.ExecStatus.COPY_IN:
            await finish_copy_in(pgconn, "One COPY per request")
        try:
            check(pgconn, result)
        except BaseException:
            await drain(conn)
            raise
        if count is None:
            count = result.command_tuples
    return count or 0


async def copy_out(conn: Connection, sql: str, *, largest_row: int = 0) -> AsyncGenerator[bytearray, None]:
    """The data of ``COPY ... TO STDOUT`` in blocks of whole rows; PostgreSQL waits while one is being used.

    Args:
        conn: an idle connection.
        sql: the statement.
        largest_row: bytes that a row may have, 0 for any.

    Raises:
        psycopg.Error: PostgreSQL refused the statement, or failed on the way.
        Problem: the statement does not write to the client, or a row is too large.
    """
    pgconn = conn.pgconn
    largest = largest_row or maxsize
    await _begin(conn, sql, pq.ExecStatus.COPY_OUT, NOT_TO_CLIENT)
    block = bytearray()
    within = True
    while within:
        before = len(block)
        # One call per row is what libpq offers, so this loop has to be short. Each row is copied at once:
        # keeping them for a join takes twice the time, as each has an allocation of its own.
        for length, data in map(pgconn.get_copy_data, repeat(1)):
            if not 0 < length <= largest:
                if length > 0:
                    raise Problem(400, f"Row too large, was {length} bytes")
                within = length == 0
                break
            block += data
        if within:
            # While rows keep coming there is no need to wait for them.
            if len(block) == before:
                await readable(pgconn)
            take_in(pgconn)
        if len(block) >= BLOCK_BYTES:
            yield block
            block = bytearray()
            # Other requests get their turn even when neither side makes us wait.
            await asyncio.sleep(0)
    if block:
        yield block
    await _count(conn)
