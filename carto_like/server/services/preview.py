"""A dataset as a map without a style: its extent, and vector tiles of its rows as some role sees them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import psycopg
from psycopg import sql

from carto_like.server.accounts import Account
from carto_like.server.db import Database
from carto_like.server.errors import Problem, query_timeout
from carto_like.server.pool import Connection
from carto_like.server.services.unattended import session_of
from carto_like.server.sqlapi.guard import Stopped
from carto_like.server.sqlapi.problems import problem_of

LAYER = "rows"
"""Name of the one layer of these tiles."""
DEEPEST = 22

Bounds = tuple[float, float, float, float]
"""Longitude and latitude: west, south, east, north."""

_SECONDS = 10.0
_WORLD: Bounds = (-180.0, -85.0, 180.0, 85.0)
# Of a large table the tiles of much of the world show a part, so that a browser can hold them.
_SAMPLED_ROWS = 200_000
_SAMPLED_ZOOM = 7
_MOST_ROWS = 200_000
_EXTENT, _BUFFER = 4096, 64

_COLUMNS = """
SELECT c.reltuples, a.attname, t.typname, t.typcategory
FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
WHERE n.nspname = %s AND c.relname = %s
ORDER BY a.attnum
"""
_UNSHOWN = frozenset({"geometry", "geography", "raster", "bytea"})
# What tiles hold as it is. Everything else goes as text, which is what people read.
_NUMBERS = frozenset({"int2", "int4", "int8", "float4", "float8", "numeric", "bool"})

_TILE = sql.SQL(
    """SELECT ST_AsMVT(tile.*, {layer}, {extent}, {shape_name}) FROM (
    SELECT ST_AsMVTGeom(t.the_geom_webmercator, ST_TileEnvelope({z}, {x}, {y}), {extent}, {buffer}) AS {shape}
           {columns}
    FROM {table} t {sample}
    WHERE t.the_geom_webmercator && ST_TileEnvelope({z}, {x}, {y}, margin => {margin})
    LIMIT {most}
) tile WHERE {shape} IS NOT NULL"""
)
_BOUNDS = sql.SQL(
    "SELECT ST_XMin(e), ST_YMin(e), ST_XMax(e), ST_YMax(e) FROM (SELECT ST_Extent(the_geom) e FROM {table}) s"
)


@dataclass(frozen=True)
class Preview:
    """Reads one table as a role.

    Attributes:
        role: what it may not read, is not shown.
        table: its name in the account's schema.
    """

    database: Database
    account: Account
    role: str
    table: str

    async def bounds(self) -> Bounds | None:
        """Where the rows are; None when nowhere, or when it takes too long to find out.

        Raises:
            Problem: 403, the role may not read the table; 404, there is none.
        """
        try:
            async with session_of(self.database, self.account, seconds=_SECONDS, role=self.role) as session:
                cursor = await session.execute(_BOUNDS.format(table=self._name))
                row = await cursor.fetchone()
        except Stopped:
            return None
        except psycopg.Error as error:
            raise _explained(error) from error
        return within_world(row) if row is not None and None not in row else None

    async def tile(self, z: int, x: int, y: int) -> bytes:
        """The tile, empty when nothing is in it.

        Raises:
            Problem: 403, the role may not read the table; 404, there is no such table or tile; 429, it takes
                too long.
        """
        if not (0 <= z <= DEEPEST and 0 <= x < 2**z and 0 <= y < 2**z):
            raise Problem(404, f"There is no tile {z}/{x}/{y}.")
        try:
            async with session_of(self.database, self.account, seconds=_SECONDS, role=self.role) as session:
                query = await self._query(session, z, x, y)
                row = await (await session.execute(query, binary=True)).fetchone()
        except Stopped as late:
            raise query_timeout() from late
        except psycopg.Error as error:
            raise _explained(error) from error
        return bytes(row[0]) if row is not None and row[0] is not None else b""

    async def _query(self, session: Connection, z: int, x: int, y: int) -> sql.Composed:
        cursor = await session.execute(_COLUMNS, (self.account.schema, self.table))
        found = await cursor.fetchall()
        names = {name for _, name, _, _ in found}
        shape = next(name for number in range(len(names) + 1) if (name := f"shape{number}") not in names)
        columns = [
            _shown(name, kind in _NUMBERS or category == "S")
            for _, name, kind, category in found
            if kind not in _UNSHOWN
        ]
        return _TILE.format(
            layer=sql.Literal(LAYER),
            shape=sql.Identifier(shape),
            shape_name=sql.Literal(shape),
            columns=sql.SQL("").join(columns),
            table=self._name,
            sample=_sample(found[0][0] if found else 0, z),
            extent=sql.Literal(_EXTENT),
            buffer=sql.Literal(_BUFFER),
            margin=sql.Literal(_BUFFER / _EXTENT),
            most=sql.Literal(_MOST_ROWS),
            **{name: sql.Literal(value) for name, value in (("z", z), ("x", x), ("y", y))},
        )

    @property
    def _name(self) -> sql.Identifier:
        return sql.Identifier(self.account.schema, self.table)


def _shown(name: str, as_it_is: bool) -> sql.Composed:
    cast = sql.SQL("" if as_it_is else "::text")
    return sql.SQL(", t.{}{} AS {}").format(sql.Identifier(name), cast, sql.Identifier(name))


def _sample(rows: float, z: int) -> sql.Composable:
    if z >= _SAMPLED_ZOOM or rows <= _SAMPLED_ROWS:
        return sql.SQL("")
    return sql.SQL("TABLESAMPLE SYSTEM ({}) REPEATABLE (1)").format(sql.Literal(100 * _SAMPLED_ROWS / rows))


def within_world(bounds: tuple[float, ...]) -> Bounds | None:
    """The part of the bounds that a web map can show; None when they are none."""
    if not all(map(math.isfinite, bounds)):
        return _WORLD
    limits = zip(bounds, _WORLD[:2] * 2, _WORLD[2:] * 2, strict=True)
    west, south, east, north = (min(max(value, least), most) for value, least, most in limits)
    return west, south, east, north


def _explained(error: psycopg.Error) -> Problem:
    if isinstance(error, psycopg.errors.UndefinedTable):
        return Problem(404, "There is no such dataset.")
    return problem_of(error)
