"""A client's SQL on libpq's own calls: any text in, results out as they arrive.

The cursors of psycopg refuse several statements with results and COPY amid them, which clients do send.
So the text goes out whole over the simple protocol, and results are read as PostgreSQL produces them.
Nothing is read ahead: while the consumer is busy, PostgreSQL waits on its full socket.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Any, TypeAlias

import psycopg
from psycopg import pq
from psycopg.adapt import AdaptersMap, Transformer
from psycopg.errors import error_from_result
from psycopg.types.string import TextLoader

Connection: TypeAlias = psycopg.AsyncConnection[tuple[Any, ...]]
Row = tuple[str | None, ...]

_ROWS = (pq.ExecStatus.TUPLES_OK, pq.ExecStatus.SINGLE_TUPLE, pq.ExecStatus.TUPLES_CHUNK)
_FAILED = (pq.ExecStatus.FATAL_ERROR, pq.ExecStatus.BAD_RESPONSE, pq.ExecStatus.NONFATAL_ERROR)
_COPY_IN = (pq.ExecStatus.COPY_IN, pq.ExecStatus.COPY_BOTH)
_BATCH_ROWS = 256
# libpq reads 16 KiB at a time, or one row when that is larger: this bounds a batch of wide rows.
_BATCH_READS = 4
NO_SOURCE = "No source stream defined"
ENCODING_CHANGED = "client_encoding must stay UTF8: answers are sent in UTF-8"


@dataclass(frozen=True)
class Columns:
    """The columns of the rows that follow: names, type oids and type modifiers."""

    names: tuple[str, ...]
    oids: tuple[int, ...]
    mods: tuple[int, ...]


@dataclass(frozen=True)
class Done:
    """The end of one statement: its command tag, and the count in it, if it has one."""

    tag: str
    count: int | None


Event = Columns | list[Row] | Done


class _Texts:
    """What psycopg's loader needs to know to give every value as text."""

    connection = None

    def __init__(self) -> None:
        self.adapters = AdaptersMap()
        self.adapters.register_loader(0, TextLoader)


_TEXTS = _Texts()


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
    reader = _Reader()
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


class _Reader:
    """Gathers rows into batches and notes where statements begin and end."""

    def __init__(self) -> None:
        self._transformer = Transformer(_TEXTS)
        self._rows: list[Row] = []
        self._within = False
        self._reads = 0

    def take(self, result: pq.abc.PGresult) -> list[Event]:
        """The events that ``result`` completes."""
        if result.status in _ROWS:
            return self._take_rows(result)
        gathered = self._flush()
        if result.status == pq.ExecStatus.COMMAND_OK:
            gathered.append(_done(result))
        elif result.status == pq.ExecStatus.EMPTY_QUERY:
            gathered.append(Done("", None))
        return gathered

    def _take_rows(self, result: pq.abc.PGresult) -> list[Event]:
        events: list[Event] = []
        if self._within:
            self._transformer.set_pgresult(result, set_loaders=False)
        else:
            self._transformer.set_pgresult(result)
            self._within = True
            events.append(_columns(result))
        try:
            self._load(result)
        except UnicodeDecodeError as error:
            raise psycopg.DataError(ENCODING_CHANGED) from error
        if result.status == pq.ExecStatus.TUPLES_OK:
            events += self._flush()
            events.append(_done(result))
            self._within = False
        elif len(self._rows) >= 4 * _BATCH_ROWS:
            events += self._flush()
        return events

    def _load(self, result: pq.abc.PGresult) -> None:
        if result.ntuples == 1:
            row: Row | None = self._transformer.load_row(0, tuple)
            if row is not None:
                self._rows.append(row)
        elif result.ntuples:
            self._rows += self._transformer.load_rows(0, result.ntuples, tuple)

    def due(self) -> list[Event]:
        """The rows gathered so far when they are enough to be worth a batch."""
        self._reads += 1
        if len(self._rows) >= _BATCH_ROWS or self._reads >= _BATCH_READS:
            return self._flush()
        return []

    def _flush(self) -> list[Event]:
        self._reads = 0
        if not self._rows:
            return []
        rows, self._rows = self._rows, []
        return [rows]


def _columns(result: pq.abc.PGresult) -> Columns:
    places = range(result.nfields)
    try:
        names = tuple((result.fname(i) or b"").decode() for i in places)
    except UnicodeDecodeError as error:
        raise psycopg.DataError(ENCODING_CHANGED) from error
    return Columns(
        names,
        tuple(result.ftype(i) for i in places),
        tuple(result.fmod(i) for i in places),
    )


def _done(result: pq.abc.PGresult) -> Done:
    return Done((result.command_status or b"").decode(), result.command_tuples)


async def describe(conn: Connection, sql: str) -> Columns:
    """The columns of one statement, found without running it; raises psycopg.Error."""
    pgconn = conn.pgconn
    pgconn.send_prepare(b"", _encoded(sql))
    await flush(pgconn)
    await _only_result(pgconn)
    pgconn.send_describe_prepared(b"")
    await flush(pgconn)
    return _columns(await _only_result(pgconn))


async def _only_result(pgconn: pq.abc.PGconn) -> pq.abc.PGresult:
    last = None
    while (result := await next_result(pgconn)) is not None:
        last = result
    if last is None:
        raise psycopg.OperationalError("the database gave no answer")
    check(pgconn, last)
    return last
