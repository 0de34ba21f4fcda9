"""A client's SQL on libpq's own calls: any text in, results out as they arrive.

The cursors of psycopg refuse several statements with results and COPY amid them, which clients do send.
So the text goes out whole over the simple protocol, and results are read as PostgreSQL produces them.
Nothing is read ahead: while the consumer is busy, PostgreSQL waits on its full socket.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Any, TypeAlias

import psycopg
from psycopg import pq
from psycopg.errors import error_from_result

from carto_like.server.sqlapi.results import Columns, Done, Event, Reader, Row, columns_of

Connection: TypeAlias = psycopg.AsyncConnection[tuple[Any, ...]]

_FAILED = (pq.ExecStatus.FATAL_ERROR, pq.ExecStatus.BAD_RESPONSE, pq.ExecStatus.NONFATAL_ERROR)
_COPY_IN = (pq.ExecStatus.COPY_IN, pq.ExecStatus.COPY_BOTH)
NO_SOURCE = "No source stream defined"


async def readable(pgconn: pq.abc.PGconn) -> None:
    """Wait until the server has sent something."""
    loop = asyncio.get_running_loop()
    future = loop.create_future()
    descriptor = pgconn.socket
    loop.add_reader(descriptor, _wake, future)
    try:
        await future
    finally:
        loop.remove_reader(descriptor)


async def _movable(pgconn: pq.abc.PGconn) -> None:
    """Wait until the server takes something or has sent something."""
    loop = asyncio.get_running_loop()
    future = loop.create_future()
    descriptor = pgconn.socket
    loop.add_reader(descriptor, _wake, future)
    loop.add_writer(descriptor, _wake, future)
    try:
        await future
    finally:
        loop.remove_reader(descriptor)
        loop.remove_writer(descriptor)


def _wake(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


def take_in(pgconn: pq.abc.PGconn) -> None:
    """Read what the server has sent; notifications are dropped, as anybody can send any number of them."""
    pgconn.consume_input()
    while pgconn.notifies() is not None:
        continue


async def flush(pgconn: pq.abc.PGconn) -> None:
    """Send all that libpq holds, reading meanwhile so that neither side waits for the other."""
    while pgconn.flush():
        await _movable(pgconn)
        take_in(pgconn)


async def start(conn: Connection, sql: str) -> None:
    """Send ``sql`` to the server; raises psycopg.DataError for text that cannot be sent."""
    conn.pgconn.send_query(_encoded(sql))


def _encoded(sql: str) -> bytes:
    if "\0" in sql:
        raise psycopg.DataError("SQL cannot hold a NUL character")
    try:
        return sql.encode()
    except UnicodeEncodeError as error:
        raise psycopg.DataError("SQL must be valid Unicode") from error


async def next_result(pgconn: pq.abc.PGconn) -> pq.abc.PGresult | None:
    """The next result, or None when the whole text has been answered; errors come as results."""
    while pgconn.is_busy():
        await readable(pgconn)
        take_in(pgconn)
    return pgconn.get_result()


def check(pgconn: pq.abc.PGconn, result: pq.abc.PGresult) -> None:
    """Raise the error that ``result`` stands for, if it does, as psycopg's exception for it."""
    if result.status in _FAILED:
        raise error_from_result(result)


async def finish_copy_in(pgconn: pq.abc.PGconn, error: str | None = None) -> None:
    """End a COPY into the server: complete, or failed with ``error`` so that nothing of it stays."""
    while pgconn.put_copy_end(error.encode() if error is not None else None) == 0:
        await _movable(pgconn)
        take_in(pgconn)
    await flush(pgconn)


async def skip_copy_out(pgconn: pq.abc.PGconn) -> None:
    """Read a COPY from the server to its end and drop it."""
    while True:
        size, _ = pgconn.get_copy_data(1)
        if size < 0:
            return
        if size == 0:
            await readable(pgconn)
            take_in(pgconn)


async def drain(conn: Connection) -> None:
    """Read what is left of a text's results and drop it; COPYs are failed or skipped."""
    pgconn = conn.pgconn
    await flush(pgconn)
    while (result := await next_result(pgconn)) is not None:
        await _pass_copy(pgconn, result)


async def _pass_copy(pgconn: pq.abc.PGconn, result: pq.abc.PGresult) -> None:
    if result.status in _COPY_IN:
        await finish_copy_in(pgconn, NO_SOURCE)
    elif result.status == pq.ExecStatus.COPY_OUT:
        await skip_copy_out(pgconn)


async def command(conn: Connection, sql: str) -> list[list[Row]]:
    """The rows of each statement of ``sql``, for short results; raises psycopg.Error."""
    results: list[list[Row]] = []
    rows: list[Row] = []
    async for event in events(conn, sql):
        if isinstance(event, list):
            rows += event
        elif isinstance(event, Done):
            results.append(rows)
            rows = []
    return results


async def events(conn: Connection, sql: str, *, chunk: int = 1) -> AsyncGenerator[Event, None]:
    """What comes of ``sql``: of each statement its columns if it has any, its rows, its end.

    Raises psycopg.Error at the statement that failed, with every row before it delivered when ``chunk``
    is 1. The connection must be settled afterwards unless the iteration ran to its end or to an error.

    Args:
        conn: an idle connection.
        sql: one statement or several.
        chunk: rows that libpq may gather before it hands them out. More is faster, but an error drops
            the rows that were gathered and not handed out.
    """
    pgconn = conn.pgconn
    await start(conn, sql)
    if chunk > 1:
        pgconn.set_chunked_rows_mode(chunk)
    else:
        pgconn.set_single_row_mode()
    await flush(pgconn)
    reader = Reader()
    while True:
        while not pgconn.is_busy():
            result = pgconn.get_result()
            if result is None:
                return
            for event in reader.take(result):
                yield event
            if result.status in _FAILED:
                await drain(conn)
                check(pgconn, result)
            await _pass_copy(pgconn, result)
        for event in reader.due():
            yield event
        await readable(pgconn)
        take_in(pgconn)


async def describe(conn: Connection, sql: str) -> Columns:
    """The columns of one statement, found without running it; raises psycopg.Error."""
    pgconn = conn.pgconn
    pgconn.send_prepare(b"", _encoded(sql))
    await flush(pgconn)
    await _only_result(pgconn)
    pgconn.send_describe_prepared(b"")
    await flush(pgconn)
    return columns_of(await _only_result(pgconn))


async def _only_result(pgconn: pq.abc.PGconn) -> pq.abc.PGresult:
    last = None
    while (result := await next_result(pgconn)) is not None:
        last = result
    if last is None:
        raise psycopg.OperationalError("the database gave no answer")
    check(pgconn, last)
    return last
