"""The SQL of layers: tokens, what a tile reads, vector tiles in one statement."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from carto_like.pure.pgtext import quote_identifier, quote_literal

from .coordinates import Bounds, Tile, pixel_size

_BOOLEAN, _NUMERIC = 16, 1700
_EXACT = frozenset({_BOOLEAN, 20, 21, 23, 700, 701})
_TEXTS = frozenset({18, 25, 705, 1042, 1043})
MVT_TYPES = _EXACT | _TEXTS | {_NUMERIC}
"""Types (oids) of columns that vector tiles carry."""

DATE_TYPES = frozenset({1082, 1114, 1184})
_SCALE_PIXEL = 0.00028
_WHOLE_WORLD = Tile(0, 0, 0)


@dataclass(frozen=True)
class Source:
    """What one layer reads.

    Attributes:
        sql: the query, in which tokens are still to be replaced.
        geom_column: the column that is drawn.
        srid: its reference system.
        columns: ``(name, type oid)`` of what the query gives, without columns that share a name.
    """

    sql: str
    geom_column: str
    srid: int
    columns: tuple[tuple[str, int], ...]

    @property
    def geometry(self) -> str:
        """The drawn column in EPSG:3857."""
        column = quote_identifier(self.geom_column)
        return column if self.srid == 3857 else f"ST_Transform({column}, 3857)"

    def reading(self, tile: Tile, bounds: Bounds) -> str:
        """``FROM ... WHERE ...`` for the rows near a box."""
        box = envelope(bounds)
        if self.srid != 3857:
            box = f"ST_Transform({box}, {self.srid})"
        query = with_tokens(self.sql, tile, bounds)
        return f"FROM (\n{query}\n) AS cdbq WHERE {quote_identifier(self.geom_column)} && {box}"


def envelope(bounds: Bounds) -> str:
    """A box as a polygon in SQL."""
    return f"ST_MakeEnvelope({', '.join(map(repr, bounds))}, 3857)"


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


def _layer(name: str, source: Source, tile: Tile, extent: int, simplify: int, buffer: float) -> str:
    geometry = source.geometry
    if simplify != extent:
        tolerance = repr(pixel_size(tile.z) * 256 / (2 * simplify))
        # Curves cannot be simplified.
        lines = f"ST_RemoveRepeatedPoints(ST_CurveToLine({geometry}), {tolerance})"
        geometry = f"ST_Simplify({lines}, {tolerance}, true)"
    margin = round(buffer * extent / 256)
    column = quote_identifier(source.geom_column)
    selected = [
        f"ST_AsMVTGeom({geometry}, {envelope(tile.bounds())}, {extent}, {margin}, true) AS {column}",
        *(
            _attribute(each, oid)
            for each, oid in source.columns
            if oid in MVT_TYPES and each != source.geom_column
        ),
    ]
    reading = source.reading(tile, tile.bounds(buffer))
    return (
        f"SELECT ST_AsMVT(mvt, {quote_literal(name)}, {extent}, {quote_literal(source.geom_column)}) "
        f"FROM (SELECT {', '.join(selected)} {reading}) AS mvt"
    )


def _attribute(name: str, oid: int) -> str:
    column = quote_identifier(name)
    if oid == _NUMERIC:
        return f"{column}::float8 AS {column}"
    return column if oid in _EXACT else f"{column}::text AS {column}"


def attributes(source: Source, id_column: str, columns: Sequence[str], feature: str, most: int) -> str:
    """The different rows, as JSON text, of one feature; raises ValueError for a NUL in its id."""
    names = ", ".join(map(quote_identifier, columns))
    found = (
        f"SELECT {names} FROM (\n{with_tokens(source.sql)}\n) AS cdbq "
        f"WHERE {quote_identifier(id_column)} = {quote_literal(feature)}"
    )
    return f"SELECT DISTINCT row_to_json(found)::text FROM ({found}) AS found LIMIT {most}"


def with_epochs(sql: str, columns: Sequence[tuple[str, int]]) -> str:
    """The query with dates and times as seconds since 1970."""
    selected = [
        f"date_part('epoch', {quote_identifier(name)}) AS {quote_identifier(name)}"
        if oid in DATE_TYPES
        else quote_identifier(name)
        for name, oid in columns
    ]
    return f"SELECT {', '.join(selected)} FROM (\n{sql}\n) AS _cdb_dates"
