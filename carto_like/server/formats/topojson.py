"""A query's rows as TopoJSON."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import IO, Any

import orjson

from carto_like.pure.pgtext import without_semicolon
from carto_like.pure.topology import topology
from carto_like.server.errors import Problem
from carto_like.server.formats.memory import batches, in_file
from carto_like.server.services.answers import Query, geojson_statement, properties_of
from carto_like.server.sqlapi.results import Columns
from carto_like.server.sqlapi.rows import RowEncoder
from carto_like.server.sqlapi.scanning import scan
from carto_like.server.sqlapi.types import Types
from carto_like.server.sqlapi.wire import Connection, describe

_TOO_LARGE = "A number or coordinate is beyond what topojson holds: cast the number to text, or leave it out"


async def export_topojson(conn: Connection, query: Query, types: Types, limit: int) -> IO[bytes]:
    """The rows that have a geometry as a topology, open at its beginning.

    Args:
        conn: the connection.
        query: the query; geometry is its column ``the_geom``.
        types: the types of the database.
        limit: characters of text that the rows may have, 0 for any.

    Raises:
        psycopg.Error, Problem: the query fails, or has no ``the_geom``.
    """
    inner = await scan(without_semicolon, query.sql)
    columns = await describe(conn, f"SELECT * FROM (\n{inner}\n) AS q")
    sql = geojson_statement(inner, columns, query)
    encoder: RowEncoder | None = None
    pairs: list[tuple[str, str]] = []
    async with aclosing(batches(conn, sql, query, limit)) as stream:
        async for event in stream:
            if isinstance(event, Columns):
                encoder = RowEncoder(properties_of(event), types.geojson)
            elif encoder is not None:
                members = encoder.objects([row[1:] for row in event])
                pairs += [(row[0], text) for row, text in zip(event, members, strict=True) if row[0]]
    return in_file(await asyncio.to_thread(_document, pairs))


def _document(pairs: list[tuple[str, str]]) -> bytes:
    try:
        return orjson.dumps(topology((orjson.loads(shape), _known(text)) for shape, text in pairs))
    except orjson.JSONDecodeError:
        raise Problem(400, _TOO_LARGE) from None


def _known(text: str) -> dict[str, Any]:
    """The properties that are not null."""
    return {name: value for name, value in orjson.loads(text).items() if value is not None}
