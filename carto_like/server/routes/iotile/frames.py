"""``df/`` and ``stream/<slug>/csv/``: readings as tables, streamed as they are read."""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator, Callable

import orjson
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from carto_like.server.iotile.call import Call, Site, route
from carto_like.server.iotile.parameters import flag_of, text_of
from carto_like.server.iotile.problems import wrong
from carto_like.server.iotile.slices import filtered, period_of
from carto_like.server.pool import Connection
from carto_like.server.routes.iotile.data import stream_scope
from carto_like.server.services.iotile.frames import Frames, Table
from carto_like.server.services.iotile.readings import latest
from carto_like.server.services.iotile.scopes import Scope


async def frame(call: Call) -> Response:
    """The readings that a filter means, as a table."""
    params = call.request.query_params
    kind = text_of(params, "format") or "csv"
    if kind not in _WRITERS:
        raise wrong("format", f"Enter one of {', '.join(_WRITERS)}.")
    flags = {
        name: bool(flag_of(params, name)) for name in ("apply_mdo", "extended", "pivot", "stats", "mask")
    }
    period = period_of(params)
    async with call.platform.database.metadata() as connection:
        scope = await latest(connection, await filtered(call, connection), period)
        is_described = await _is_described(connection, scope)
    value = "output_value" if flags["apply_mdo"] else "value"
    frames = Frames(call.platform.database, scope, value if is_described else "int_value")
    if flags["stats"]:
        table = await frames.statistics(pivot=flags["pivot"])
    elif flags["pivot"]:
        table = await frames.pivot()
    else:
        table = frames.plain(extended=flags["extended"])
    return _answer(table, kind)


async def stream_csv(call: Call) -> Response:
    """The readings of a stream as CSV, in its output unit."""
    period = period_of(call.request.query_params)
    async with call.platform.database.metadata() as connection:
        scope = await latest(connection, await stream_scope(call, connection), period)
    frames = Frames(call.platform.database, scope, "output_value")
    return _answer(frames.plain(extended=False), "csv")


async def _is_described(connection: Connection, scope: Scope) -> bool:
    """Whether values can be told; one stream without a record has raw integers only."""
    if scope.stream is None:
        return True
    cursor = await connection.execute(
        "SELECT 1 FROM carto_like.iotile_stream WHERE device = %s AND variable = %s", scope.stream
    )
    return await cursor.fetchone() is not None


def _answer(table: Table, kind: str) -> Response:
    write, media_type = _WRITERS[kind]
    return StreamingResponse(write(table), media_type=media_type)


async def _csv(table: Table) -> AsyncIterator[bytes]:
    sink = io.StringIO()
    writer = csv.writer(sink, lineterminator="\n")
    writer.writerow(table.header)
    async for block in table.blocks:
        writer.writerows(block)
        yield sink.getvalue().encode()
        sink.seek(0)
        sink.truncate()
    yield sink.getvalue().encode()


async def _json(table: Table) -> AsyncIterator[bytes]:
    begin = b"["
    async for block in table.blocks:
        if block:
            # Without the brackets of a list, to which more is to come.
            rows = [dict(zip(table.header, row, strict=True)) for row in block]
            yield begin + orjson.dumps(rows)[1:-1]
            begin = b","
    yield b"]" if begin == b"," else b"[]"


_WRITERS: dict[str, tuple[Callable[[Table], AsyncIterator[bytes]], str]] = {
    "csv": (_csv, "text/csv"),
    "json": (_json, "application/json"),
    "txt": (_csv, "text/plain"),
}


def routes(site: Site) -> list[Route]:
    """The routes, relative to the root of the API."""
    return [route(site, "/df", frame), route(site, "/stream/{slug}/csv", stream_csv)]
