"""From a query's columns to what the process that writes a file must know of them."""

from __future__ import annotations

from collections.abc import Iterable

from carto_like.server.errors import Problem
from carto_like.server.formats.ogrspec import Spec
from carto_like.server.sqlapi.results import Columns
from carto_like.server.sqlapi.types import Types

# Other types travel and arrive as PostgreSQL's text.
_KINDS = {
    "bool": "bool",
    "int2": "int32",
    "int4": "int32",
    "int8": "int64",
    "oid": "int64",
    "float4": "float64",
    "float8": "float64",
    "numeric": "float64",
    "date": "date",
    "timestamp": "timestamp",
    "timestamptz": "timestamptz",
    "bytea": "bytes",
}


def make_spec(format: str, name: str, columns: Columns, skip: Iterable[str], types: Types) -> Spec:
    """What to tell of the columns of a query.

    Raises:
        Problem: 400, there is nothing left to export.
    """
    skipped = frozenset(skip)
    places = {name: place for place, name in enumerate(columns.names) if name not in skipped}
    if not places:
        raise Problem(400, "There is no column to export")
    shapes = [(name, place) for name, place in places.items() if columns.oids[place] in types.geometries]
    shapes.sort(key=lambda shape: shape[0] != "the_geom")
    fields = [
        (name, place, _KINDS.get(types.name(columns.oids[place]) or "", "text"))
        for name, place in places.items()
        if columns.oids[place] not in types.geometries
    ]
    declared = _declared(columns.mods[shapes[0][1]]) if shapes else (0, False, False, 0)
    return Spec(format, name, fields, shapes, declared)


def _declared(mod: int) -> tuple[int, bool, bool, int]:
    """A type modifier of PostGIS taken apart: it counts the kinds of geometry as EWKB does."""
    if mod < 0:
        return 0, False, False, 0
    srid = ((mod & 0x0FFFFF00) - (mod & 0x10000000)) >> 8
    return (mod & 0xFC) >> 2, bool(mod & 2), bool(mod & 1), max(srid, 0)
