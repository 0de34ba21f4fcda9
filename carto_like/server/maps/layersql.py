"""The SQL of layers: tokens, what a tile reads, vector tiles in one statement."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from carto_like.pure.pgtext import quote_identifier, quote_literal

from .coordinates import Bounds, Tile, pixel_size
from .projections import envelope, in_mercator, near

_BOOLEAN, _NUMERIC = 16, 1700
NUMBERS = frozenset({20, 21, 23, 700, 701, _NUMERIC})
STRINGS = frozenset({18, 25, 705, 1042, 1043})
_EXACT = NUMBERS - {_NUMERIC} | {_BOOLEAN}
MVT_TYPES = NUMBERS | STRINGS | {_BOOLEAN}
"""Types (oids) of columns that vector tiles carry."""

TOO_LARGE = b"\0"
"""What is no vector tile, and stands for one that is not sent."""

DATE_TYPES = frozenset({1082, 1114, 1184})
_SCALE_PIXEL = 0.00028
# What is no longer than a point as it is stored cannot be simplified, and points are many.
_POINT_BYTES = 32
_WHOLE_WORLD = Tile(0, 0, 0)


@dataclass(frozen=True)
class Source:
    """What one layer reads.

    Attributes:
        sql: the query, in which tokens are still to be replaced.
        geom_column: the column that is drawn.
        srid: its reference system.
        columns: ``(name, type oid)`` of what the query gives, without columns that share a name.
        bare: whether its geometries do not say themselves in which system they are.
        box: of its system, in which all rows of the tile lie; None when that is not known.
    """

    sql: str
    geom_column: str
    srid: int
    columns: tuple[tuple[str, int], ...]
    bare: bool = False
    box: Bounds | None = None

    @property
    def geometry(self) -> str:
        """The drawn column in EPSG:3857."""
        return in_mercator(quote_identifier(self.geom_column), self.srid, bare=self.bare)

    def near(self, bounds: Bounds) -> str:
        """The condition for rows near a box in EPSG:3857."""
        column = quote_identifier(self.geom_column)
        return near(column, self.srid, bounds, bare=self.bare, box=self.box)

    def reading(self, tile: Tile, bounds: Bounds) -> str:
        """``FROM ... WHERE ...`` for the rows near a box."""
        query = with_tokens(self.sql, tile, bounds)
        return f"FROM (\n{query}\n) AS cdbq WHERE {self.near(bounds)}"


def with_tokens(sql: str, tile: Tile = _WHOLE_WORLD, bounds: Bounds | None = None) -> str:
    """The query with ``!bbox!`` and its like replaced; without bounds as for the whole world."""
    if "!" not in sql:
        return sql
    size = pixel_size(tile.z)
    tokens = {
        "!bbox!": envelope(bounds or tile.bounds()),
        "!tile_bbox!": envelope(tile.bounds()),
        "!pixel_width!": repr(size),
        "!pixel_height!": repr(size),
        "!scale_denominator!": repr(size / _SCALE_PIXEL),
    }
    for token, value in tokens.items():
        sql = sql.replace(token, value)
    return sql


def vector_tile(
    layers: Sequence[tuple[str, Source]], tile: Tile, *, extent: int, simplify: int, buffer: float
) -> str:
    """One statement that gives a whole vector tile, its layers one after the other.

    Args:
        layers: names and sources.
        tile: which one.
        extent: units of its side.
        simplify: units that geometries are simplified to; nothing is simplified when it is the extent.
        buffer: pixels round it.
    """
    parts = [_layer(name, source, tile, extent, simplify, buffer) for name, source in layers]
    return "SELECT " + " || ".join(f"coalesce(({part}), '')" for part in parts)


def bounded(sql: str, size: int) -> str:
    """The query for a tile, with :data:`TOO_LARGE` for one of more than ``size`` bytes; 0 is any size."""
    if not size:
        return sql
    # Without the offset the tile would be made for its length, and once more for itself.
    made = f"({sql} OFFSET 0) AS made (tile)"
    return f"SELECT CASE WHEN length(tile) <= {size} THEN tile ELSE '\\x{TOO_LARGE.hex()}' END FROM {made}"


def _layer(name: str, source: Source, tile: Tile, extent: int, simplify: int, buffer: float) -> str:
    geometry, column = source.geometry, quote_identifier(source.geom_column)
    if simplify != extent:
        tolerance = repr(pixel_size(tile.z) * 256 / (2 * simplify))
        # Curves cannot be simplified.
        lines = f"ST_RemoveRepeatedPoints(ST_CurveToLine({geometry}), {tolerance})"
        simple = f"ST_Simplify({lines}, {tolerance}, true)"
        is_point = f"pg_column_size({column}) <= {_POINT_BYTES}"
        geometry = f"CASE WHEN {is_point} THEN {geometry}::geometry ELSE {simple} END"
    margin = round(buffer * extent / 256)
    shape = f"ST_AsMVTGeom({geometry}, {envelope(tile.bounds())}, {extent}, {margin}, true) AS {column}"
    others = [each for each in source.columns if each[1] in MVT_TYPES and each[0] != source.geom_column]
    read = ", ".join([column, *(quote_identifier(each) for each, _ in others)])
    drawn = ", ".join([shape, *(_attribute(*each) for each in others)])
    # PostGIS's functions are said to cost hundreds of times what they do. Were they in one query with the
    # condition, the planner would have several processes read a whole table rather than one use its index.
    near = f"SELECT {read} {source.reading(tile, tile.bounds(buffer))} OFFSET 0"
    return (
        f"SELECT ST_AsMVT(mvt.*, {quote_literal(name)}, {extent}, {quote_literal(source.geom_column)}) "
        f"FROM (SELECT {drawn} FROM ({near}) AS near) AS mvt"
    )


def _attribute(name: str, oid: int) -> str:
    column = quote_identifier(name)
    if oid == _NUMERIC:
        return f"{column}::float8 AS {column}"
    return column if oid in _EXACT else f"{column}::text AS {column}"


def attributes(source: Source, id_column: str, columns: Sequence[str], feature: str, most: int) -> str:
    """The row of one feature as JSON text, or nothing for each of several different rows.

    Raises:
        ValueError: a NUL is in the id.
    """
    names = ", ".join(map(quote_identifier, columns))
    found = (
        f"SELECT {names} FROM (\n{with_tokens(source.sql)}\n) AS cdbq "
        f"WHERE {quote_identifier(id_column)} = {quote_literal(feature)}"
    )
    different = f"SELECT DISTINCT row_to_json(found.*)::text FROM ({found}) AS found LIMIT {most}"
    # Of several only their number counts, and they may be large.
    return f"SELECT CASE count(*) OVER () WHEN 1 THEN row ELSE '' END FROM ({different}) AS different (row)"


def with_epochs(sql: str, columns: Sequence[tuple[str, int]]) -> str:
    """The query with dates and times as seconds since 1970."""
    selected = [
        f"date_part('epoch', {quote_identifier(name)}) AS {quote_identifier(name)}"
        if oid in DATE_TYPES
        else quote_identifier(name)
        for name, oid in columns
    ]
    return f"SELECT {', '.join(selected)} FROM (\n{sql}\n) AS _cdb_dates"
