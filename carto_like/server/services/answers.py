"""Answers of the SQL API: a query's results as JSON, GeoJSON or CSV, in blocks ready to be sent."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

import orjson
import psycopg

from carto_like.pure.pgtext import quote_identifier, without_semicolon
from carto_like.server.errors import Problem
from carto_like.server.sqlapi.notices import Notices
from carto_like.server.sqlapi.problems import problem_of
from carto_like.server.sqlapi.results import Columns, Row
from carto_like.server.sqlapi.rows import RowEncoder
from carto_like.server.sqlapi.scanning import scan
from carto_like.server.sqlapi.types import Types
from carto_like.server.sqlapi.wire import Connection, describe, events

BLOCK_BYTES = 128 * 1024

Block = tuple[bytes, bool]
"""Bytes to send, and whether they are the last."""


@dataclass
class Tally:
    """Rows that went into an answer so far."""

    rows: int = 0


@dataclass(frozen=True)
class Query:
    """A query and how its answer is wanted.

    Attributes:
        sql: the text, paged already if it has to be.
        skip: columns to leave out.
        decimals: decimal places of geometries in GeoJSON.
        chunk: rows that may be read at once; see :func:`carto_like.server.sqlapi.wire.events`.
        row_limit: bytes that a row may have, 0 for any.
        explain: what to tell of an error.
        tally: counts the rows.
    """

    sql: str
    skip: frozenset[str] = frozenset()
    decimals: int = 6
    chunk: int = 1
    row_limit: int = 0
    explain: Callable[[psycopg.Error], Problem] = problem_of
    tally: Tally = field(default_factory=Tally)

    def count(self, rows: Sequence[Row]) -> None:
        """Count rows; raises the 400 for one that is too large."""
        if self.row_limit:
            largest = max(sum(map(len, filter(None, row))) for row in rows)
            if largest > self.row_limit:
                raise Problem(400, f"Row too large, was {largest} bytes")
        self.tally.rows += len(rows)


class Blocks:
    """Gathers text until it is enough for a block."""

    def __init__(self, first: str) -> None:
        self._pieces = [first]
        self._size = 0
        self._separator = ""

    def add_items(self, texts: Sequence[str]) -> None:
        """Add items of a JSON array."""
        self.add(self._separator)
        self.add(",".join(texts))
        self._separator = ","

    def add(self, text: str) -> None:
        """Add text as it is."""
        self._pieces.append(text)
        self._size += len(text)

    @property
    def is_full(self) -> bool:
        """Whether there is enough for a block."""
        return self._size >= BLOCK_BYTES

    def take(self) -> bytes:
        """All that was gathered."""
        block = "".join(self._pieces).encode()
        self._pieces, self._size = [], 0
        return block


async def json_blocks(
    conn: Connection, query: Query, types: Types, notices: Notices
) -> AsyncGenerator[Block, None]:
    """The rows of all statements as one JSON document.

    Raises psycopg.Error or Problem only before the first row; later errors become a member of the document.
    """
    begun = time.monotonic()
    blocks = Blocks('{"rows":[')
    columns, encoder = None, None
    count, error = None, None
    try:
        async with aclosing(events(conn, query.sql, chunk=query.chunk)) as stream:
            async for event in stream:
                if isinstance(event, Columns):
                    columns, encoder = event, RowEncoder(event, types.json, query.skip)
                elif isinstance(event, list) and encoder is not None:
                    query.count(event)
                    blocks.add_items(encoder.objects(event))
                    if blocks.is_full:
                        yield blocks.take(), False
                elif not isinstance(event, list) and event.count is not None:
                    count = event.count
    except (psycopg.Error, Problem) as caught:
        if not query.tally.rows:
            raise
        error = caught if isinstance(caught, Problem) else query.explain(caught)
        count = None
    members: dict[str, Any] = {
        "time": round(time.monotonic() - begun, 3),
        "fields": types.fields(columns, query.skip),
        "total_rows": query.tally.rows if count is None else count,
    }
    if error is not None:
        members["error"] = [error.message]
    members.update(notices.by_severity())
    blocks.add("]," + orjson.dumps(members).decode()[1:])
    yield blocks.take(), True


async def geojson_blocks(conn: Connection, query: Query, types: Types) -> AsyncGenerator[Block, None]:
    """The rows as a FeatureCollection: geometry from ``the_geom``, the other columns as properties.

    Raises psycopg.Error or Problem only before the first row; later errors become a member of the document.
    """
    inner = await scan(without_semicolon, query.sql)
    columns = await describe(conn, f"SELECT * FROM (\n{inner}\n) AS q")
    sql = geojson_statement(inner, columns, query)
    blocks = Blocks('{"type": "FeatureCollection", "features": [')
    encoder = None
    error = None
    try:
        async with aclosing(events(conn, sql, chunk=query.chunk)) as stream:
            async for event in stream:
                if isinstance(event, Columns):
                    encoder = RowEncoder(properties_of(event), types.geojson)
                elif isinstance(event, list) and encoder is not None:
                    query.count(event)
                    blocks.add_items(_features(event, encoder))
                    if blocks.is_full:
                        yield blocks.take(), False
    except (psycopg.Error, Problem) as caught:
        if not query.tally.rows:
            raise
        error = caught if isinstance(caught, Problem) else query.explain(caught)
    blocks.add("]" if error is None else f'],"error":{orjson.dumps([error.message]).decode()}')
    blocks.add("}")
    yield blocks.take(), True


def geojson_statement(inner: str, columns: Columns, query: Query) -> str:
    """A statement for the geometry as GeoJSON, then the properties; raises the 400 for no ``the_geom``."""
    places = {name: place for place, name in enumerate(columns.names) if name not in query.skip}
    if "the_geom" not in places:
        raise Problem(400, 'column "the_geom" does not exist')
    geometry = places.pop("the_geom")
    places.pop("the_geom_webmercator", None)
    # Columns go by number: a query may have two of one name.
    aliases = ",".join(f"c{place}" for place in range(len(columns.names)))
    listed = [f"ST_AsGeoJSON(c{geometry},{query.decimals})"]
    listed += [f"c{place} AS {quote_identifier(name)}" for name, place in places.items()]
    return f"SELECT {','.join(listed)} FROM (\n{inner}\n) AS q({aliases})"


def properties_of(columns: Columns) -> Columns:
    """The columns of such a statement but the geometry."""
    return Columns(columns.names[1:], columns.oids[1:], columns.mods[1:])


def _features(rows: Sequence[Row], encoder: RowEncoder) -> list[str]:
    properties = encoder.objects([row[1:] for row in rows])
    return [
        f'{{"type":"Feature","geometry":{row[0] or "null"},"properties":{member}}}'
        for row, member in zip(rows, properties, strict=True)
    ]
