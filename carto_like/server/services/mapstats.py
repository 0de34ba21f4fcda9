"""What a map's maker wants to be told of rows: their number, kind, ranges, categories, a sample."""

from __future__ import annotations

from collections.abc import Mapping, Set
from typing import Any

import orjson
import psycopg

from carto_like.pure.pgtext import quote_identifier, quote_literal
from carto_like.server.maps.layersql import NUMBERS, STRINGS, TOO_LARGE, Source, bounded, with_tokens
from carto_like.server.maps.problems import MapProblem, told
from carto_like.server.platform import Platform
from carto_like.server.services.mapplans import LayerPlan
from carto_like.server.services.mapsession import reading, rows_of
from carto_like.server.services.mapviews import View
from carto_like.server.sqlapi.guard import Stopped

_CATEGORIES = 1024
_MOST_ROWS = 1000
_RANGE = ("min", "max", "avg", "sum")
_FINITE = "NOT IN ('NaN', 'Infinity', '-Infinity')"


async def stats_of(platform: Platform, view: View) -> Mapping[int, dict[str, Any]]:
    """The statistics that layers ask for in their option ``metadata``, by the layers' indices.

    Raises:
        Problem: 400 for what cannot be asked for, and what the layer's SQL meets.
    """
    found = {}
    for plan in view.plan.layers.values():
        wanted = plan.layer.options.get("metadata")
        parts = _parts(plan, wanted) if isinstance(wanted, dict) else {}
        if parts:
            found[plan.layer.index] = await _read(platform, view, plan, parts)
    return found


async def _read(platform: Platform, view: View, plan: LayerPlan, parts: Mapping[str, str]) -> dict[str, Any]:
    members = ", ".join(f"{quote_literal(name)}, ({query})" for name, query in parts.items())
    most = platform.settings.limits.map_bytes
    query = bounded(f"SELECT convert_to(json_build_object({members})::text, 'UTF8')", most)
    try:
        async with reading(platform, view.account, plan.role) as conn:
            document = bytes((await rows_of(conn, query))[0][0])
    except (psycopg.Error, Stopped) as error:
        raise told(error, styled=plan.layer.is_styled, more=plan.layer.context) from error
    if document == TOO_LARGE:
        raise _wrong(
            plan, f"more than {most} bytes of statistics: ask for fewer categories, or a smaller sample"
        )
    stats: dict[str, Any] = orjson.loads(document)
    if "columnStats" in stats:
        stats["columnStats"] = _by_column(plan.source, *stats["columnStats"])
    return stats


def _parts(plan: LayerPlan, wanted: Mapping[str, Any]) -> dict[str, str]:
    """A query for one JSON value each, by its name among the statistics."""
    source = plan.source
    rows = f"FROM (\n{with_tokens(source.sql)}\n) AS cdbq"
    column = quote_identifier(source.geom_column)
    parts = {}
    if wanted.get("featureCount") is True:
        parts["featureCount"] = f"SELECT count(*) {rows}"
    if wanted.get("geometryType") is True:
        parts["geometryType"] = f"SELECT ST_GeometryType({column}) {rows} WHERE {column} IS NOT NULL LIMIT 1"
    if wanted.get("columnStats"):
        given = wanted["columnStats"] if isinstance(wanted["columnStats"], dict) else {}
        top = _number(plan, given, "topCategories", _CATEGORIES, _CATEGORIES)
        parts["columnStats"] = _columns(source, rows, top, with_nulls=given.get("includeNulls") is not False)
    if wanted.get("sample"):
        given = wanted["sample"] if isinstance(wanted["sample"], dict) else {}
        many = _number(plan, given, "num_rows", _MOST_ROWS, _MOST_ROWS)
        names = given.get("include_columns")
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            names = [name for name, _ in source.columns if name != source.geom_column]
        shown = ", ".join(map(quote_identifier, names))
        parts["sample"] = _gathered(f"SELECT {shown} {rows} ORDER BY random() LIMIT {many}")
    return parts


def _columns(source: Source, rows: str, top: int, *, with_nulls: bool) -> str:
    """The query for what :func:`_by_column` reads: arrays, as a function takes a hundred arguments only."""
    ranges = [
        f"{function}({column}) FILTER (WHERE {column} {_FINITE})"
        for column in (f"{quote_identifier(name)}::float8" for name in _names(source, NUMBERS))
        for function in _RANGE
    ]
    categories = []
    for column in map(quote_identifier, _names(source, STRINGS)):
        where = "" if with_nulls else f"WHERE {column} IS NOT NULL"
        query = (
            f"SELECT {column}::text AS category, count(*) AS frequency {rows} {where} "
            f"GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT {top}"
        )
        categories.append(f"({_gathered(query)})")
    return (
        f"SELECT json_build_array((SELECT to_json(ARRAY[{', '.join(ranges)}]::float8[]) {rows}), "
        f"to_json(ARRAY[{', '.join(categories)}]::json[]))"
    )


def _by_column(source: Source, ranges: list[Any], categories: list[Any]) -> dict[str, Any]:
    found: dict[str, Any] = {
        name: dict(zip(_RANGE, ranges[4 * at : 4 * at + 4], strict=True))
        for at, name in enumerate(_names(source, NUMBERS))
    }
    texts = _names(source, STRINGS)
    return found | {name: {"categories": each} for name, each in zip(texts, categories, strict=True)}


def _names(source: Source, types: Set[int]) -> list[str]:
    return [name for name, oid in source.columns if oid in types]


def _gathered(query: str) -> str:
    return f"SELECT coalesce(json_agg(row_to_json(found.*)), '[]') FROM ({query}) AS found"


def _number(plan: LayerPlan, given: Mapping[str, Any], name: str, default: int, most: int) -> int:
    value = given.get(name, default)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 < value <= most:
        raise _wrong(plan, f"Invalid metadata: {name} must be a whole number from 1 to {most}")
    return value


def _wrong(plan: LayerPlan, message: str) -> MapProblem:
    return MapProblem(400, message, kind="layer", more=plan.layer.context)
