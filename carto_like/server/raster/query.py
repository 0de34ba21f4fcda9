"""Reads the rows of a layer: those in view, and of each only what is drawn."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from psycopg import AsyncConnection
from psycopg.adapt import Transformer
from psycopg.pq import ExecStatus, Format
from psycopg.pq.abc import PGresult

from carto_like.pure.pgtext import quote_identifier, without_semicolon
from carto_like.server.maps.projections import envelope, in_mercator, near
from carto_like.server.sqlapi.wire import check, drain, flush, next_result

from .renderer import Batch, Bounds, Rows, View

Connection = AsyncConnection[tuple[Any, ...]]

# Enough that a round trip costs little, and few enough that drawing starts while others are read.
_BATCH = 20_000
_BATCH_BYTES = 16 * 2**20
# Types (oids) that become bytes and text of Python.
_AS_THEY_ARE = frozenset({17, 25, 1042, 1043})
# Rows that libpq holds until it hands them out, however large they are: the first ones tell how many may be.
_FIRST, _FIRST_PART = 500, 8
_PART, _PART_BYTES = 64, 2 * 2**20
# Metres of a pixel of a printed map, on which scale denominators are based.
_PRINTED_PIXEL = 0.00028
_TOKEN = re.compile(r"!(bbox|pixel_width|pixel_height|scale_denominator)!")
# Shapes of fewer points than these hold are read faster than they are made simpler.
_MANY_BYTES = 512
_POINT_BYTES = 32
# A tenth of a pixel makes no picture different.
_TOLERANCE = 0.1
# Pixels beyond the picture: what begins there at another place begins at another one here, too.
_FAR = 4096


@dataclass(frozen=True)
class Source:
    """Where a layer's rows come from: one SELECT, its column of geometry, and that column's SRID.

    Attributes:
        bare: whether the geometries do not name their SRID themselves.
        box: in that system, in which all rows in view lie; None when that is not known.
        texts: columns that are read as PostgreSQL writes them: Python lacks some of their values.
        cut: whether shapes end far outside of the picture, however far they really go, and lines that have no
            length, as of one place that is no number, are left out.
    """

    sql: str
    geometry: str = "the_geom_webmercator"
    srid: int = 3857
    bare: bool = False
    box: Bounds | None = None
    texts: frozenset[str] = frozenset()
    cut: bool = False


def substitute(sql: str, view: View) -> str:
    """The SQL with ``!bbox!``, ``!pixel_width!``, ``!pixel_height!``, ``!scale_denominator!`` replaced."""
    width, height = view.pixel
    values = {
        "bbox": envelope(view.buffered),
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
    moved = in_mercator(name, source.srid, bare=source.bare)
    values = [quote_identifier(each) + ("::text" if each in source.texts else "") for each in columns]
    wanted = ", ".join([_shape(name, moved, view, cut=source.cut), *values])
    condition = near(name, source.srid, view.buffered, bare=source.bare, box=source.box)
    return f"SELECT {wanted} FROM {inner} WHERE {condition}"


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
    wanted, part = _FIRST, _FIRST_PART
    while True:
        fetched = total = size = 0
        batch: list[Sequence[Any]] = []
        async for rows, weight in _parts(connection, f"FETCH {wanted} FROM carto_like_rows", part):
            fetched += len(rows)
            total += weight
            size += weight
            batch += rows
            if size >= _BATCH_BYTES:
                yield batch
                batch, size = [], 0
        if batch:
            yield batch
        if fetched < wanted:
            break
        wanted, part = _BATCH, max(1, min(_PART, _PART_BYTES * fetched // max(total, 1)))
    # Whoever leaves before the end leaves the transaction, and the cursor ends with it.
    await connection.execute("CLOSE carto_like_rows")


async def _parts(connection: Connection, statement: str, part: int) -> AsyncIterator[tuple[list[Any], int]]:
    """The rows of a statement, few at a time, and how many bytes they take, as far as that varies."""
    pgconn = connection.pgconn
    pgconn.send_query_params(statement.encode(), None, result_format=Format.BINARY)
    pgconn.set_chunked_rows_mode(part)
    await flush(pgconn)
    loading = Transformer(connection)
    begun = False
    while (result := await next_result(pgconn)) is not None:
        if result.status == ExecStatus.FATAL_ERROR:
            await drain(connection)
            check(pgconn, result)
        loading.set_pgresult(result, set_loaders=not begun)
        begun = True
        rows = loading.load_rows(0, result.ntuples, tuple)
        yield rows, sum(_weight(result, rows, column) for column in range(result.nfields))


def _weight(result: PGresult, rows: Sequence[Any], column: int) -> int:
    """Bytes, or characters, of a column whose values differ in size."""
    if result.fsize(column) >= 0:
        return 0
    if result.ftype(column) in _AS_THEY_ARE:
        return sum([len(row[column]) for row in rows if row[column] is not None])
    return sum(len(result.get_value(row, column) or b"") for row in range(len(rows)))


def _shape(name: str, shape: str, view: View, *, cut: bool) -> str:
    tolerance = min(view.pixel) * _TOLERANCE / view.scale
    size = f"pg_column_size({name})"
    # Mapnik knows no curves, and what is no longer than a point is none.
    straight = f"ST_CurveToLine({shape})"
    drawn = (
        f"CASE WHEN {size} > {_MANY_BYTES} THEN ST_Simplify({straight}, {tolerance!r}, true) "
        f"WHEN {size} > {_POINT_BYTES} THEN {straight} ELSE {shape} END"
    )
    if cut:
        far = envelope(view.grown(_FAR))
        # Mapnik would go along what has no length for ever. PostgreSQL has NaN above all other numbers.
        has_end = f"ST_Length({shape}) + ST_Perimeter({shape}) < 'Infinity'"
        drawn = (
            f"CASE WHEN ST_Dimension({shape}) = 0 THEN {shape} WHEN {has_end} THEN "
            f"CASE WHEN {shape} @ {far} THEN {drawn} ELSE ST_ClipByBox2D({drawn}, {far}) END END"
        )
    return f"ST_AsBinary({drawn})"
