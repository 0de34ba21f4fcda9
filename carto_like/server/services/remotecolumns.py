"""What columns of another PostgreSQL become here, and the COPY that reads them there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from carto_like.pure.names import column_name
from carto_like.server.imports import codes
from carto_like.server.imports.codes import ImportFailure
from carto_like.server.imports.reader import Table
from carto_like.server.sqlapi.results import Columns

MOST_COLUMNS = 1600 - 3
_SRID = 4326
_TEXT = "text"
# By the numbers that PostgreSQL's own types have everywhere; whatever else there is comes as its text.
_TYPES = {
    16: "boolean",
    17: "bytea",
    20: "bigint",
    21: "integer",
    23: "integer",
    26: "bigint",
    114: "json",
    700: "double precision",
    701: "double precision",
    1082: "date",
    1083: "time",
    1114: "timestamp",
    1184: "timestamp with time zone",
    1186: "interval",
    1266: "time with time zone",
    1700: "numeric",
    2950: "uuid",
    3802: "jsonb",
}
_WHOLE = frozenset({20, 21, 23})
# Point and the collections: what a dataset holds as it is.
_AS_STORED = frozenset({1, 4, 5, 6})


@dataclass(frozen=True)
class Plan:
    """How a query is read.

    Attributes:
        statement: a COPY for the other side, in the order of the table's columns.
        table: what is made of it here.
    """

    statement: str
    table: Table


def plan_of(columns: Columns, geometries: Mapping[int, str], query: str, max_rows: int) -> Plan:
    """How a query with such columns is read.

    Args:
        columns: of the query.
        geometries: PostGIS's types there, by their number.
        query: a single, complete one.
        max_rows: rows that are allowed; one more is asked for, to see that there are more. 0 for any.

    Raises:
        ImportFailure: there are too many columns.
    """
    if len(columns.names) > MOST_COLUMNS:
        raise ImportFailure(codes.TOO_MANY_COLUMNS, f"There are {len(columns.names)} columns")
    place = _place_of_geometry(columns, geometries)
    named, chosen, is_numbered = _named(columns, place)
    geometry = None
    if place is not None:
        is_ready = geometries[columns.oids[place]] == "geometry" and _is_as_stored(columns.mods[place])
        geometry = ("the_geom", "wkb" if is_ready else "hex")
    table = Table(tuple(named), is_numbered, None, geometry, _SRID)
    return Plan(_statement(query, len(columns.names), chosen, is_numbered, max_rows), table)


def _named(columns: Columns, geometry: int | None) -> tuple[list[tuple[str, str]], list[int], bool]:
    """Names and types, the places that they come from, and whether rows are to be numbered."""
    lowered = [name.lower() for name in columns.names]
    key = next(
        (i for i, name in enumerate(lowered) if name == "cartodb_id" and columns.oids[i] in _WHOLE), None
    )
    taken = {"cartodb_id", "the_geom", "the_geom_webmercator"}
    named: list[tuple[str, str]] = []
    chosen: list[int] = []
    for place, (name, oid) in enumerate(zip(columns.names, columns.oids, strict=True)):
        if lowered[place] == "the_geom_webmercator":
            continue
        if place == geometry:
            named.append(("the_geom", _TEXT))
        elif place == key:
            named.append(("cartodb_id", _TYPES[oid]))
        else:
            own = column_name("the_geom_str" if lowered[place] == "the_geom" else name, taken)
            taken.add(own)
            named.append((own, _TYPES.get(oid, _TEXT)))
        chosen.append(place)
    return named, chosen, key is None


def _place_of_geometry(columns: Columns, geometries: Mapping[int, str]) -> int | None:
    places = [
        place
        for place, (name, oid) in enumerate(zip(columns.names, columns.oids, strict=True))
        if oid in geometries and name.lower() != "the_geom_webmercator"
    ]
    named = [place for place in places if columns.names[place].lower() == "the_geom"]
    return next(iter(named + places), None)


def _is_as_stored(modifier: int) -> bool:
    """Whether geometries so declared can be stored as they are: flat, collected, longitude and latitude."""
    if modifier < 0:
        return False
    srid, kind, dimensions = modifier >> 8, modifier >> 2 & 0x3F, modifier & 3
    return srid == _SRID and kind in _AS_STORED and not dimensions


def _statement(query: str, count: int, chosen: list[int], is_numbered: bool, max_rows: int) -> str:
    names = ", ".join(f"c{place}" for place in range(count))
    cells = [f"c{place}" for place in chosen]
    if is_numbered:
        cells.insert(0, "row_number() OVER ()")
    # A query may end in a comment.
    inner = f"SELECT {', '.join(cells)} FROM (\n{query}\n) AS q({names})"
    limit = f" LIMIT {max_rows + 1}" if max_rows else ""
    return f"COPY ({inner}{limit}) TO STDOUT"
