"""Reads the rows of a layer: those in view, and of each only what is drawn."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from psycopg import AsyncConnection
from psycopg.pq import TransactionStatus

from carto_like.pure.pgtext import quote_identifier, without_semicolon

from .renderer import Batch, Bounds, Rows, View

Connection = AsyncConnection[tuple[Any, ...]]

# Enough that a round trip costs little, and few enough that drawing starts while others are read.
_BATCH = 20_000
# Metres of a pixel of a printed map, on which scale denominators are based.
_PRINTED_PIXEL = 0.00028
_TOKEN = re.compile(r"!(bbox|pixel_width|pixel_height|scale_denominator)!")
# Shapes with fewer points are read faster than they are made simpler.
_MANY_POINTS = 32
# A tenth of a pixel makes no picture different.
_TOLERANCE = 0.1


@dataclass(frozen=True)
class Source:
    """Where a layer's rows come from: one SELECT, its column of geometry, and that column's SRID."""

    sql: str
    geometry: str = "the_geom_webmercator"
    srid: int = 3857


def substitute(sql: str, view: View) -> str:
    """The SQL with ``!bbox!``, ``!pixel_width!``, ``!pixel_height!``, ``!scale_denominator!`` replaced."""
    width, height = view.pixel
    values = {
        "bbox": _envelope(view.buffered),
        "pixel_width": repr(width),
        "pixel_height": repr(height),
        "scale_denominator": repr(width / _PRINTED_PIXEL),
    }
    return _TOKEN.sub(lambda found: values[found[1]], sql)


def statement(source: Source, view: View, columns: Iterable[str]) -> str:
    """The query for the rows in view: WKB first, then the columns in this order."""
    name = quote_identifier(source.geometry)
    # The line break ends a comment at the end of the layer's SQL.
    inner = f"({substitute(without_semicolon(source.sql), view)}\n) AS cdbq"
    wanted = ", ".join([_shape(name, source.srid, view), *map(quote_identifier, columns)])
    box = _envelope(view.buffered)
    if source.srid != 3857:
        box = f"ST_Transform({box}, {source.srid})"
    return f"SELECT {wanted} FROM {inner} WHERE {name} && {box}"


def fetch(connection: Connection, source: Source, view: View, columns: Iterable[str]) -> Rows:
    """Rows of a source for a view, read in batches while they are drawn.

    The connection must be in a transaction (see ``read_only``), and is used for nothing else meanwhile.
    """
    named = tuple(sorted(columns))
    return Rows(named, batches=_batches(connection, statement(source, view, named)))


@asynccontextmanager
async def read_only(connection: Connection) -> AsyncIterator[None]:
    """A transaction that reads, and never writes."""
    async with connection.transaction():
        await connection.execute("SET TRANSACTION READ ONLY")
        # All rows are wanted, not the first of them soon.
        await connection.execute("SET LOCAL cursor_tuple_fraction = 1")
        yield


async def _batches(connection: Connection, query: str) -> AsyncIterator[Batch]:
    # In the extended protocol (binary) a second statement is an error, whatever the layer's SQL closes.
    declared = f"DECLARE carto_like_rows NO SCROLL CURSOR FOR {query}"
    await connection.execute(declared.encode(), binary=True)
    try:
        while True:
            cursor = await connection.execute(f"FETCH {_BATCH} FROM carto_like_rows".encode(), binary=True)
            rows = await cursor.fetchall()
            if rows:
                yield rows
            if len(rows) < _BATCH:
                break
    finally:
        # A transaction that failed closes it by itself.
        if connection.pgconn.transaction_status == TransactionStatus.INTRANS:
            await connection.execute("CLOSE carto_like_rows")


def _envelope(bounds: Bounds) -> str:
    return "ST_MakeEnvelope({!r}, {!r}, {!r}, {!r}, 3857)".format(*bounds)


def _shape(name: str, srid: int, view: View) -> str:
    shape = name if srid == 3857 else f"ST_Transform({name}, 3857)"
    tolerance = min(view.pixel) * _TOLERANCE / view.scale
    simple = f"ST_Simplify({shape}, {tolerance!r}, true)"
    return f"ST_AsBinary(CASE WHEN ST_NPoints({name}) > {_MANY_POINTS} THEN {simple} ELSE {shape} END)"
