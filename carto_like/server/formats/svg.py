"""A query's geometries as a drawing: SVG, fitted into 1024 by 768."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing

import psycopg

from carto_like.pure.pgtext import without_semicolon
from carto_like.server.errors import Problem
from carto_like.server.services.answers import Block, Blocks, Query
from carto_like.server.sqlapi.results import Row
from carto_like.server.sqlapi.scanning import scan
from carto_like.server.sqlapi.wire import Connection, describe, events

WIDTH, HEIGHT = 1024, 768
# Half a circle and half a line: what reaches over the extent of the geometries.
_MARGIN = 6
_HEAD = '<?xml version="1.0" encoding="UTF-8" standalone="no"?>\n<svg xmlns="http://www.w3.org/2000/svg" '
_STYLE = 'version="1.1" fill="none" stroke="black" stroke-width="1"'

# Everything is one statement, so that the query runs once: PostgreSQL keeps its rows, on disk when they are
# many, until their extent is known. And so all errors of the query come before the first row, those in
# columns that are not drawn, too.
_SQL = """
WITH s({aliases}) AS MATERIALIZED (
SELECT * FROM (
{inner}
) AS s
), q AS MATERIALIZED (
    SELECT row_number() OVER () AS n, ST_CurveToLine(c{place}::geometry) AS g
    FROM s WHERE c{place} IS NOT NULL
), e AS (
    SELECT ST_Extent(g) AS box FROM q
), f AS (
    SELECT ST_XMin(box) AS x, ST_YMax(box) AS y, ST_XMax(box) - ST_XMin(box) AS w,
           ST_YMax(box) - ST_YMin(box) AS h FROM e
), k AS (
    SELECT *, coalesce(least({width} / nullif(w, 0), {height} / nullif(h, 0)), 1) AS k FROM f
)
SELECT ST_AsSVG(ST_TransScale(g, -x, -y, k, k), 0, {decimals}), w * k, h * k
FROM q, k ORDER BY ST_Dimension(g), n
"""


async def svg_blocks(conn: Connection, query: Query) -> AsyncGenerator[Block, None]:
    """``the_geom`` of all rows as an SVG document: points first, then lines, then areas.

    Raises psycopg.Error or Problem only before the first row; after that the document is just closed.
    """
    sql = await _statement(conn, query)
    blocks = Blocks("")
    try:
        async with aclosing(events(conn, sql, chunk=query.chunk)) as stream:
            async for event in stream:
                if isinstance(event, list):
                    if not query.tally.rows:
                        blocks.add(_head(event[0]))
                    query.count(event)
                    for row in event:
                        blocks.add("".join(_shapes(row[0] or "")))
                    if blocks.is_full:
                        yield blocks.take(), False
    except (psycopg.Error, Problem):
        if not query.tally.rows:
            raise
    if not query.tally.rows:
        blocks.add(f"{_HEAD}{_STYLE}>\n")
    blocks.add("</svg>\n")
    yield blocks.take(), True


async def _statement(conn: Connection, query: Query) -> str:
    inner = await scan(without_semicolon, query.sql)
    columns = await describe(conn, f"SELECT * FROM (\n{inner}\n) AS q")
    if "the_geom" not in columns.names or "the_geom" in query.skip:
        raise Problem(400, 'column "the_geom" does not exist')
    last = max(place for place, name in enumerate(columns.names) if name == "the_geom")
    return _SQL.format(
        place=last,
        inner=inner,
        aliases=",".join(f"c{place}" for place in range(len(columns.names))),
        width=f"{WIDTH}::float8",
        height=f"{HEIGHT}::float8",
        decimals=query.decimals,
    )


def _head(row: Row) -> str:
    """The beginning of the document; without a view when no geometry lies anywhere."""
    _, width, height = row
    if width is None or height is None:
        return f"{_HEAD}{_STYLE}>\n"
    sides = (f"{float(side) + 2 * _MARGIN:.12g}" for side in (width, height))
    return f'{_HEAD}viewBox="-{_MARGIN} -{_MARGIN} {" ".join(sides)}" {_STYLE}>\n'


def _shapes(drawing: str) -> Iterator[str]:
    """The elements of what PostGIS draws: a path, or the centres of points; a collection has several."""
    for part in filter(None, drawing.split(";")):
        if part.startswith("c"):
            for centre in part.split(","):
                yield f'<circle r="5" {centre}/>\n'
        else:
            yield f'<path d="{part}"/>\n'
