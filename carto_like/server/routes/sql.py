"""``/sql``: run SQL, answer in the format that was asked for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import IO

from starlette.routing import Route

from carto_like.server.accounts import Principal
from carto_like.server.errors import Problem
from carto_like.server.formats.catalog import FORMATS
from carto_like.server.formats.export import Export
from carto_like.server.formats.ogr import Writers
from carto_like.server.formats.svg import svg_blocks
from carto_like.server.platform import Platform
from carto_like.server.services.analysis import Analysis, Freshness, analyse, check_system_tables
from carto_like.server.services.answers import Block, Query, Tally, geojson_blocks, json_blocks
from carto_like.server.services.export import read_blocks
from carto_like.server.sqlapi.family import Endpoint, Exchange, Family
from carto_like.server.sqlapi.guard import Guard
from carto_like.server.sqlapi.notices import Notices, listening
from carto_like.server.sqlapi.parameters import read_parameters
from carto_like.server.sqlapi.types import Types
from carto_like.server.sqlapi.wanted import Wanted, read_wanted
from carto_like.server.sqlapi.wire import Connection

# The other formats are files, made before anything is sent.
_STREAMED = frozenset({"json", "geojson", "svg", "parquet", "arrow"})
_COLUMNAR = frozenset({"parquet", "arrow"})

# From here on PostgreSQL's rows are read several at a time, at the price that an error drops a few of them.
_MANY_ROWS = 5000
_CHUNK_ROWS = 128
_CHUNK_BYTES = 256 * 1024

ColumnarBlocks = Callable[[Connection, Query, Types, str], AsyncGenerator[Block, None]]


class SqlRoute:
    """The handler of ``/sql``."""

    def __init__(self, family: Family) -> None:
        self._family = family
        self._platform = family.platform
        self._limits = family.platform.settings.limits
        self._writers = Writers(self._limits.export_processes)

    async def __call__(self, exchange: Exchange) -> None:
        """Answer one request."""
        parameters = await read_parameters(exchange.request)
        principal = await exchange.admit(self._platform, "query", parameters.body_keys)
        # Known before a connection is borrowed: the catalogs are read on another one.
        await self._family.types()
        exchange.headers["X-Served-By-DB-Host"] = self._family.database_host
        wanted = await read_wanted(parameters)
        async with Export(wanted.format, wanted.file_name, self._writers, self._limits) as export:
            await self._run(exchange, principal, wanted, export)
            file = await export.finish(exchange.gone)
            if file is not None:
                await _send_file(exchange, file, wanted)

    async def _run(self, exchange: Exchange, principal: Principal, wanted: Wanted, export: Export) -> None:
        """Run the query; what is not a file is sent while it runs."""
        database = self._platform.database
        tally = Tally()
        try:
            async with (
                database.login(principal.role, principal.account.schema) as conn,
                Guard(
                    conn,
                    database,
                    exchange.gone,
                    seconds=self._deadline(wanted),
                    grace=self._limits.cancel_grace,
                ) as guard,
            ):
                found = await self._analyse(conn, principal, wanted.sql)
                query = Query(
                    wanted.sql,
                    skip=wanted.skip,
                    decimals=wanted.decimals,
                    chunk=_chunk(found),
                    row_limit=self._limits.row_max_bytes,
                    explain=guard.explain,
                    tally=tally,
                )
                fresh = Freshness(database, wanted.sql, found, persist=wanted.persist)
                try:
                    if wanted.format in _STREAMED:
                        await self._stream(exchange, conn, wanted, query, fresh)
                    else:
                        await export.make(conn, query, await self._family.types())
                        exchange.headers |= await fresh.headers(_database(conn))
                finally:
                    fresh.forget()
        finally:
            exchange.note(rows=tally.rows)

    async def _stream(
        self, exchange: Exchange, conn: Connection, wanted: Wanted, query: Query, fresh: Freshness
    ) -> None:
        with listening(conn) as notices:
            blocks = await self._blocks(conn, wanted, query, notices)
            async with aclosing(blocks):
                block, last = await anext(blocks)
                exchange.headers |= await fresh.headers(_database(conn))
                await _send(exchange, wanted, block, last=last)
                async for block, last in blocks:
                    await exchange.block(_closed(block, wanted) if last else block, last=last)

    async def _blocks(
        self, conn: Connection, wanted: Wanted, query: Query, notices: Notices
    ) -> AsyncGenerator[Block, None]:
        types = await self._family.types()
        if wanted.format == "json":
            return json_blocks(conn, query, types, notices)
        if wanted.format in _COLUMNAR:
            columnar = await asyncio.to_thread(_columnar, wanted.format)
            return columnar(conn, query, types, wanted.format)
        return geojson_blocks(conn, query, types) if wanted.format == "geojson" else svg_blocks(conn, query)

    def _deadline(self, wanted: Wanted) -> float:
        """Seconds that the query has, 0 for any."""
        times = [self._limits.query_timeout]
        if FORMATS[wanted.format].by_tool:
            times.append(self._limits.export_timeout)
        return min(filter(None, times), default=0.0)

    async def _analyse(self, conn: Connection, principal: Principal, sql: str) -> Analysis:
        found = await analyse(conn, sql)
        hard = self._platform.settings.hard_system_tables
        check_system_tables(found.tables, is_master=principal.is_master, hard=hard)
        return found


async def _send(exchange: Exchange, wanted: Wanted, block: bytes, *, last: bool) -> None:
    """Send the head and the first block."""
    headers = wanted.headers
    if wanted.callback:
        headers["X-Content-Type-Options"] = "nosniff"
        block = f"{wanted.callback}(".encode() + block
    if last:
        await exchange.answer(200, headers, _closed(block, wanted))
    else:
        await exchange.start(200, headers)
        await exchange.block(block, last=False)


def _closed(block: bytes, wanted: Wanted) -> bytes:
    return block + b")" if wanted.callback else block


async def _send_file(exchange: Exchange, file: IO[bytes], wanted: Wanted) -> None:
    head, tail = (f"{wanted.callback}(".encode(), b")") if wanted.callback else (b"", b"")
    headers = {"X-Content-Type-Options": "nosniff"} if wanted.callback else {}
    size = file.seek(0, 2) + len(head) + len(tail)
    file.seek(0)
    await exchange.start(200, {**wanted.headers, **headers, "Content-Length": str(size)})
    if head:
        await exchange.block(head, last=False)
    for block in read_blocks(file):
        await exchange.block(block, last=False)
    await exchange.block(tail, last=True)


def _columnar(format: str) -> ColumnarBlocks:
    """What makes such a file; its libraries are large, and loaded when they are needed first.

    Raises:
        Problem: 501, one of them is not installed.
    """
    try:
        from carto_like.server.formats.columnar import columnar_blocks
    except ImportError as error:
        library = (error.name or "pyarrow").partition(".")[0]
        text = f'{format} needs {library} on the server, which "carto-like[server]" installs'
        raise Problem(501, text) from error
    return columnar_blocks


def _chunk(found: Analysis) -> int:
    """How many rows to read at once."""
    if found.rows is None or found.rows < _MANY_ROWS:
        return 1
    return max(1, min(_CHUNK_ROWS, int(_CHUNK_BYTES / max(found.width, 1))))


def _database(conn: Connection) -> str:
    return conn.pgconn.db.decode()


def routes(platform: Platform) -> list[Route]:
    """The route of ``/sql``, relative to a user's root."""
    return [Route("/api/{version}/sql", Endpoint(SqlRoute(Family(platform))))]
