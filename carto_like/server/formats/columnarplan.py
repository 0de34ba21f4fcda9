"""How a query's columns become columns of Arrow: what PostgreSQL is asked to send, and as what it is read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from carto_like.server.errors import Problem
from carto_like.server.sqlapi.results import Columns
from carto_like.server.sqlapi.types import Types

ArrowType = Any
"""A type of Arrow, whose library has no types to check."""

_PLAIN: dict[str, ArrowType] = {
    "bool": pa.bool_(),
    "int2": pa.int16(),
    "int4": pa.int32(),
    "int8": pa.int64(),
    "oid": pa.int64(),
    "float4": pa.float32(),
    "float8": pa.float64(),
    "date": pa.date32(),
    "timestamp": pa.timestamp("us"),
    "timestamptz": pa.timestamp("us", tz="UTC"),
    "bytea": pa.binary(),
}
_MOMENTS = frozenset({"date", "timestamp", "timestamptz"})
# What PostgreSQL knows beyond them (infinity, years before Christ) the readers of these files do not.
_FIRST, _END = "'0001-01-01'", "'10000-01-01'"
_LARGEST_DECIMAL = 76
_CURVED = "'CIRCULARSTRING','COMPOUNDCURVE','CURVEPOLYGON','MULTICURVE','MULTISURFACE'"


@dataclass(frozen=True)
class Field:
    """One column of the result.

    Attributes:
        name: its name.
        kind: how its text is read: ``plain``, ``hex``, ``list`` or ``geometry``.
        type: its type in the result.
        expressions: what PostgreSQL sends for it; a geometry takes up to three.
        srid: the reference system that a geometry's column is declared to have, 0 for none.
    """

    name: str
    kind: str
    type: ArrowType
    expressions: tuple[str, ...]
    srid: int = 0


@dataclass(frozen=True)
class Plan:
    """All columns of the result, in their order."""

    fields: tuple[Field, ...]

    @property
    def primary(self) -> str | None:
        """The geometry that counts: ``the_geom``, else the first; None without any."""
        names = [field.name for field in self.fields if field.kind == "geometry"]
        return "the_geom" if "the_geom" in names else next(iter(names), None)

    def statement(self, inner: str, width: int) -> str:
        """The COPY that sends the rows of a query of so many columns."""
        listed = ",".join(expression for field in self.fields for expression in field.expressions)
        # Columns go by number: a query may have two of one name.
        aliases = ",".join(f"c{place}" for place in range(width))
        return f"COPY (SELECT {listed} FROM (\n{inner}\n) AS q({aliases})) TO STDOUT WITH (FORMAT csv)"

    @property
    def wire_types(self) -> list[ArrowType]:
        """As what each of the values that PostgreSQL sends is read."""
        return [kind for field in self.fields for kind in _wire_types(field)]


def make_plan(columns: Columns, skip: frozenset[str], types: Types) -> Plan:
    """The plan for a query's columns.

    Raises:
        Problem: 400, there is nothing left to export.
    """
    places = {name: place for place, name in enumerate(columns.names) if name not in skip}
    if not places:
        raise Problem(400, "There is no column to export")
    found = []
    for name, place in places.items():
        oid, mod = columns.oids[place], columns.mods[place]
        if oid in types.geometries:
            found.append(_geometry(name, place, mod))
        else:
            found.append(_attribute(name, f"c{place}", types.name(oid) or "", mod))
    return Plan(tuple(found))


def _attribute(name: str, value: str, kind: str, mod: int) -> Field:
    if kind == "numeric":
        decimal = _decimal(mod)
        # The text "NaN" is none of a decimal's.
        expression = value if decimal is None else f"NULLIF({value},'NaN')"
        return Field(name, "plain", decimal or pa.float64(), (expression,))
    if kind in _MOMENTS:
        shown = f"({value} AT TIME ZONE 'UTC')" if kind == "timestamptz" else value
        expression = f"CASE WHEN {value} >= {_FIRST} AND {value} < {_END} THEN {shown} END"
        return Field(name, "plain", _PLAIN[kind], (expression,))
    if kind == "bytea":
        return Field(name, "hex", pa.binary(), (f"encode({value},'hex')",))
    if kind.startswith("_"):
        return Field(name, "list", pa.list_(_element(kind[1:])), (f"array_to_json({value}::text[])",))
    return Field(name, "plain", _PLAIN.get(kind, pa.string()), (value,))


def _element(kind: str) -> ArrowType:
    """The type of an array's elements; text for what has no other reading."""
    if kind in _MOMENTS or kind == "bytea":
        return pa.string()
    return pa.float64() if kind == "numeric" else _PLAIN.get(kind, pa.string())


def _decimal(mod: int) -> ArrowType | None:
    """The type for a declared precision and scale; None for a number of any length."""
    precision, scale = (mod - 4) >> 16 & 0xFFFF, ((mod - 4) & 0x7FF ^ 0x400) - 0x400
    if mod < 4 or precision > _LARGEST_DECIMAL or not 0 <= scale <= precision:
        return None
    make: Callable[[int, int], ArrowType] = pa.decimal128 if precision <= 38 else pa.decimal256
    return make(precision, scale)


def _geometry(name: str, place: int, mod: int) -> Field:
    """A geometry: its WKB, its box unless it is a point, its reference system unless declared."""
    value = f"c{place}::geometry"
    srid = max(((mod & 0x0FFFFF00) - (mod & 0x10000000)) >> 8, 0) if mod >= 0 else 0
    straight = f"CASE WHEN GeometryType({value}) IN ({_CURVED}) THEN ST_CurveToLine({value}) ELSE {value} END"
    # Neither format has measures.
    flat = (
        f"CASE ST_Zmflag({value}) WHEN 0 THEN {straight} WHEN 2 THEN {straight}"
        f" WHEN 1 THEN ST_Force2D({straight}) ELSE ST_Force3DZ({straight}) END"
    )
    corners = "||".join(f"float8send({corner}({value}))" for corner in _CORNERS)
    expressions = [
        f"encode(ST_AsBinary({flat},'NDR'),'hex')",
        f"CASE WHEN GeometryType({value}) <> 'POINT' THEN encode({corners},'hex') END",
    ]
    if not srid:
        expressions.append(f"ST_SRID({value})")
    return Field(name, "geometry", pa.binary(), tuple(expressions), srid)


_CORNERS = ("ST_XMin", "ST_YMin", "ST_XMax", "ST_YMax")


def _wire_types(field: Field) -> list[ArrowType]:
    if field.kind == "geometry":
        return [pa.binary(), pa.binary(), pa.int32()][: len(field.expressions)]
    if field.kind == "plain" and not pa.types.is_decimal256(field.type):
        # Moments come in UTC and without a word of it.
        return [pa.timestamp("us") if field.type == _PLAIN["timestamptz"] else field.type]
    return [pa.binary() if field.kind == "hex" else pa.string()]
