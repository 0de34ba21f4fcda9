"""What clients are told about columns: the ``fields`` of an answer, and the encoders that fit the types."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any
from zoneinfo import ZoneInfo

from carto_like.pure.times import Zone
from carto_like.server.sqlapi.results import Columns
from carto_like.server.sqlapi.values import Encoders
from carto_like.server.sqlapi.wire import Connection

_BUILT_IN = """
    SELECT t.oid::int8, t.typname::text, t.oid::int8 < 16384
    FROM pg_catalog.pg_type t
    WHERE (t.oid::int8 < 16384 AND t.typtype IN ('b', 'p', 'r', 'm'))
       OR (t.typname IN ('geometry', 'geography', 'raster') AND t.typtype = 'b' AND EXISTS (
            SELECT 1 FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_extension e ON e.oid = d.refobjid
            WHERE d.classid = 'pg_catalog.pg_type'::regclass AND d.objid = t.oid
              AND d.refclassid = 'pg_catalog.pg_extension'::regclass AND e.extname LIKE 'postgis%'))
"""
_GEOMETRY_KINDS = (
    *("Unknown", "Point", "LineString", "Polygon", "MultiPoint", "MultiLineString", "MultiPolygon"),
    *("GeometryCollection", "CircularString", "CompoundCurve", "CurvePolygon", "MultiCurve"),
    *("MultiSurface", "PolyhedralSurface", "Triangle", "Tin"),
)
# The first group with a word that occurs in the type's name wins, so that interval counts as a number:
# clients depend on it.
_GROUPS = (
    ("boolean", ("bool",)),
    ("number", ("int", "float", "numeric")),
    ("string", ("text", "char", "unknown")),
    ("date", ("date", "time")),
)


class Types:
    """The types of one database.

    Args:
        names: names of PostgreSQL's own types by oid.
        geometries: oids of the types of PostGIS.
        zone: the zone in which dates are shown.
    """

    def __init__(self, names: Mapping[int, str], geometries: Iterable[int], zone: Zone) -> None:
        self._names = dict(names)
        self.geometries = frozenset(geometries)
        self.json = Encoders(self._names, self.geometries, zone)
        self.geojson = Encoders(self._names, self.geometries, zone, nan_as_null=True)

    @classmethod
    async def load(cls, conn: Connection, timezone: str) -> Types:
        """Read them from the catalogs; dates will be shown in the zone of that name."""
        names: dict[int, str] = {}
        geometries = []
        for oid, name, built_in in await (await conn.execute(_BUILT_IN)).fetchall():
            if built_in:
                names[oid] = name
            else:
                geometries.append(oid)
        return cls(names, geometries, Zone(timezone, ZoneInfo(timezone)))

    def name(self, oid: int) -> str | None:
        """The name of one of PostgreSQL's own types."""
        return self._names.get(oid)

    def fields(self, columns: Columns | None, skip: frozenset[str] = frozenset()) -> dict[str, Any]:
        """The description of each column, as ``fields`` of an answer has it."""
        if columns is None:
            return {}
        triples = zip(columns.names, columns.oids, columns.mods, strict=True)
        return {name: self._field(oid, mod) for name, oid, mod in triples if name not in skip}

    def _field(self, oid: int, mod: int) -> dict[str, Any]:
        if oid in self.geometries:
            return _geometry_field(mod)
        name = self._names.get(oid)
        if name is None:
            return {"type": f"unknown({oid})"}
        kind = next((group for group, words in _GROUPS if any(word in name for word in words)), name)
        suffix = "[]" if name.startswith("_") else ""
        if name == "json":
            return {"type": "JSON", "pgtype": "JSON"}
        return {"type": kind + suffix, "pgtype": name}


def _geometry_field(mod: int) -> dict[str, Any]:
    """What a column's type modifier says of its geometries: PostGIS packs kind, Z, M and SRID in it."""
    if mod < 0:
        return {"type": "geometry", "dims": 4, "srid": -1}
    kind = (mod & 0xFC) >> 2
    # The SRID has 21 bits with a sign.
    srid = ((mod & 0x0FFFFF00) - (mod & 0x10000000)) >> 8
    return {
        "type": "geometry",
        "wkbtype": _GEOMETRY_KINDS[kind] if kind < len(_GEOMETRY_KINDS) else "Unknown",
        "dims": 2 + ((mod & 2) >> 1) + (mod & 1),
        "srid": srid,
    }
