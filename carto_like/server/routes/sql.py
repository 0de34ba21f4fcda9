"""``/sql``: run SQL, answer in the format that was asked for."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from email.utils import formatdate
from pathlib import PurePosixPath
from typing import IO

from starlette.routing import Route

from carto_like.pure.pgtext import window
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
from carto_like.server.sqlapi.family import Endpoint, Exchange, Family, is_callback
from carto_like.server.sqlapi.guard import Guard
from carto_like.server.sqlapi.notices import Notices, listening
from carto_like.server.sqlapi.parameters import Parameters, read_parameters
from carto_like.server.sqlapi.scanning import scan
from carto_like.server.sqlapi.wire import Connection

# The other formats are files, made before anything is sent.
_STREAMED = frozenset({"json", "geojson", "svg"})
_UNFIT = re.compile(r"[;()\[\]<>'\"\s\\\x00-\x1f\x7f]|[^\x00-\x7f]")
_DEFAULT_NAME = "cartodb-query"

# From here on PostgreSQL's rows are read several at a time, at the price that an error drops a few of them.
_MANY_ROWS = 5000
_CHUNK_ROWS = 128
_CHUNK_BYTES = 256 * 1024


@dataclass(frozen=True)
class Wanted:
    """What a request to ``/sql`` asks for, checked."""

    sql: str
    format: str
    file_name: str
    attachment: bool
    skip: frozenset[str]
    decimals: int
    persist: bool
    callback: str | None

    @property
    def headers(self) -> dict[str, str]:
        """The headers that do not depend on the result."""
        kind = "attachment" if self.attachment else "inline"
        date = formatdate(usegmt=True)
        name = f"{self.file_name}.{FORMATS[self.format].extension}"
        return {
            "Content-Type": FORMATS[self.format].content_type,
            "Content-Disposition": f'{kind}; filename={name}; modification-date="{date}";',
        }


async def read_wanted(parameters: Parameters) -> Wanted:
    """Check the parameters of ``/sql``; raises Problem 400."""
    sql = parameters.get("q")
    if not isinstance(sql, str):
        raise Problem(400, "You must indicate a sql query")
    given_name = parameters.last_text("filename")
    callback = parameters.last_text("callback")
    if callback and not is_callback(callback):
        raise Problem(400, "The callback must be the name of a function")
    name = _format(parameters)
    decimals = parameters.integer("dp")
    return Wanted(
        sql=await _windowed(sql, parameters),
        format=name,
        file_name=_file_name(given_name or _DEFAULT_NAME),
        attachment=bool(given_name or parameters.last_text("format")),
        skip=frozenset(name for text in parameters.texts("skipfields") for name in text.split(",") if name),
        decimals=6 if decimals is None else min(max(decimals, 0), 20),
        persist=parameters.text("cache_policy") == "persist",
        callback=callback if FORMATS[name].calls_back else None,
    )


def _format(parameters: Parameters) -> str:
    given = parameters.get("format")
    name = parameters.last_text("format") or "json"
    name = name if isinstance(given, list) else name.lower()
    if name not in FORMATS:
        raise Problem(400, f"Invalid format: {name}")
    return name


def _file_name(name: str) -> str:
    base = PurePosixPath(name).name
    stem = base.rpartition(".")[0] or base
    return _UNFIT.sub("_", stem) or _DEFAULT_NAME


async def _windowed(sql: str, parameters: Parameters) -> str:
    page, size = parameters.integer("page"), parameters.integer("rows_per_page")
    paged = page is not None and size is not None
    direction = (parameters.text("sort_order") or "").lower()
    try:
        return await scan(
            window,
            sql,
            order_by=parameters.text("order_by"),
            descending={"asc": False, "desc": True}.get(direction),
            limit=size if paged else None,
            offset=(page or 0) * (size or 0),
        )
    except ValueError as error:
        raise Problem(400, str(error)) from error


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
