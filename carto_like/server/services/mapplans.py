"""What drawing a map takes: its layers' columns, tables and styles, as they are at this moment."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property, lru_cache
from typing import Any

import psycopg

from carto_like.pure.pgtext import quote_identifier
from carto_like.server.accounts import Account
from carto_like.server.cartocss import CartoCssError, MapnikStyle, compile_style
from carto_like.server.maps.aggregation import Aggregation, aggregated, reach, read_aggregation
from carto_like.server.maps.config import Layer, MapConfig
from carto_like.server.maps.coordinates import Bounds, Tile
from carto_like.server.maps.layersql import DATE_TYPES, Source, with_epochs, with_tokens
from carto_like.server.maps.problems import MapProblem, told
from carto_like.server.maps.projections import MERCATOR
from carto_like.server.maps.tokens import version_of
from carto_like.server.platform import Platform
from carto_like.server.pool import Connection
from carto_like.server.services.analysis import Analysis, Table, check_system_tables, last_updates, read_plan
from carto_like.server.services.mapsession import Columns, columns_of, outlined, rows_of, session
from carto_like.server.sqlapi.guard import Stopped

_WORLD = Tile(0, 0, 0)


@dataclass(frozen=True)
class LayerPlan:
    """One layer that is read from the database.

    Attributes:
        layer: as configured.
        source: its rows; for an aggregated layer those that it would have without.
        role: whose rights its SQL runs with.
        style: its compiled style, None for a vector layer.
        estimate: rows expected, -1 when unknown.
        considered: whether aggregation was thought of.
        how: how it is aggregated, None when it is not.
        columns: of the aggregated rows.
        dates: columns that became numbers.
    """

    layer: Layer
    source: Source
    role: str
    style: MapnikStyle | None = None
    estimate: int = -1
    considered: bool = False
    how: Aggregation | None = None
    columns: tuple[tuple[str, int], ...] = ()
    dates: tuple[str, ...] = ()

    def source_for(self, tile: Tile, bounds: Bounds) -> Source:
        """What a tile reads."""
        if self.how is None:
            return self.source
        sql = aggregated(self.source, self.how, tile, bounds)
        return Source(sql, self.source.geom_column, MERCATOR, self.columns)

    def reach(self, tile: Tile, bounds: Bounds) -> Bounds:
        """The box from which a tile's rows come."""
        return bounds if self.how is None else reach(self.how, tile, bounds)


@dataclass(frozen=True)
class Plan:
    """All layers of a map, and what is known of the tables they read.

    Attributes:
        layers: plans by the layers' indices.
        tables: schema and name of each table.
        updates: when those that are tracked last changed.
        database: the database's name.
    """

    layers: Mapping[int, LayerPlan]
    tables: frozenset[Table] = frozenset()
    updates: Mapping[Table, datetime] = field(default_factory=dict)
    database: str = ""

    @property
    def updated(self) -> int:
        """Milliseconds since 1970 of the newest change, 0 when none is known."""
        return max((round(when.timestamp() * 1000) for when in self.updates.values()), default=0)

    @cached_property
    def version(self) -> int:
        """A number that no other state of the tables has: :attr:`updated`, and more digits for several.

        Tables are changed in an order that need not be that of their times: a long transaction tells when it
        began. So the newest time alone would miss some changes.
        """
        if len(self.updates) < 2:
            return self.updated
        return version_of(self.updated, sorted((*table, str(when)) for table, when in self.updates.items()))

    @property
    def is_tracked(self) -> bool:
        """Whether every change of the tables shows in :attr:`version`."""
        return len(self.updates) == len(self.tables)


async def plan_map(platform: Platform, account: Account, config: MapConfig, roles: Mapping[int, str]) -> Plan:
    """Ask the database what the layers are.

    Args:
        platform: whose database.
        account: whose schema comes first.
        config: the map.
        roles: with whose rights each layer is read, by the layers' indices.

    Raises:
        Problem: a layer cannot be read, or its style not be compiled; its context names the layer.
    """
    found: dict[int, LayerPlan] = {}
    tables: set[Table] = set()
    name = ""
    for role in dict.fromkeys(roles[layer.index] for layer in config.mapnik):
        layers = [layer for layer in config.mapnik if roles[layer.index] == role]
        plans, read, name = await _of_role(platform, account, role, layers)
        hard = platform.settings.hard_system_tables
        check_system_tables(read, is_master=role == account.role, hard=hard)
        found |= plans
        tables |= read
    updates = await last_updates(platform.database, tables)
    return Plan(dict(sorted(found.items())), frozenset(tables), updates, name)


async def _of_role(
    platform: Platform, account: Account, role: str, layers: Sequence[Layer]
) -> tuple[dict[int, LayerPlan], set[Table], str]:
    found: dict[int, LayerPlan] = {}
    tables: set[Table] = set()
    layer = layers[0]
    try:
        async with session(platform, account, role) as conn:
            for layer in layers:
                style = await _style(layer)
                analysis, columns = await check_layer(platform, account, conn, layer, role)
                found[layer.index] = await _layer(conn, layer, role, style, analysis, columns)
                tables |= analysis.tables
            return found, tables, conn.pgconn.db.decode()
    except (psycopg.Error, Stopped) as error:
        raise told(error, styled=layer.is_styled, more=layer.context) from error


async def check_layer(
    platform: Platform, account: Account, conn: Connection, layer: Layer, role: str
) -> tuple[Analysis, Columns]:
    """What a layer's SQL reads and gives, before any of it is run; raises the 403 for the system's tables."""
    analysis = Analysis()
    columns = await _explain(conn, with_tokens(layer.sql), analysis)
    hard = platform.settings.hard_system_tables
    check_system_tables(analysis.tables, is_master=role == account.role, hard=hard)
    return analysis, columns


async def _layer(
    conn: Connection,
    layer: Layer,
    role: str,
    style: MapnikStyle | None,
    analysis: Analysis,
    columns: Columns,
) -> LayerPlan:
    how = read_aggregation(layer)
    source, dates = await _source(conn, layer, columns)
    _check_columns(layer, source, style)
    source = await _referenced(conn, layer, source)
    for sql in _affected(layer):
        await _explain(conn, sql, analysis)
    estimate = -1 if analysis.rows is None else round(analysis.rows)
    plan = LayerPlan(layer, source, role, style, estimate, how is not None, dates=dates)
    if how is not None and estimate >= how.threshold and await _has_points(conn, layer, source):
        sql = aggregated(source, how, _WORLD, _WORLD.bounds())
        plan = replace(plan, how=how, columns=await columns_of(conn, sql))
    return plan


async def _source(conn: Connection, layer: Layer, columns: Columns) -> tuple[Source, tuple[str, ...]]:
    sql = layer.sql
    dates: tuple[str, ...] = ()
    if layer.options.get("dates_as_numbers") is True:
        dates = tuple(name for name, oid in columns if oid in DATE_TYPES)
        if dates:
            sql = with_epochs(sql, columns)
            columns = await columns_of(conn, with_tokens(sql))
    return Source(sql, layer.geom_column, layer.options.get("srid", 3857), columns), dates


async def _referenced(conn: Connection, layer: Layer, source: Source) -> Source:
    """The source, after a look whether its geometries are in the system that the layer says."""
    if source.srid == MERCATOR:
        return source
    found = await _first(conn, source, "ST_SRID")
    if found not in (None, 0, source.srid):
        where = f"{quote_identifier(source.geom_column)} is in EPSG:{found}, not in EPSG:{source.srid}"
        text = f"Invalid srid for layer {layer.index}: {where}"
        raise MapProblem(400, text, kind="layer", more=layer.context)
    return replace(source, bare=found == 0)


def _check_columns(layer: Layer, source: Source, style: MapnikStyle | None) -> None:
    names = {name for name, _ in source.columns}
    needed = [layer.geom_column, *layer.interactivity, *sorted(style.columns if style else ())]
    attributes = layer.options.get("attributes")
    if attributes:
        needed += [attributes["id"], *attributes["columns"]]
    for name in needed:
        if name not in names:
            status = 400 if layer.is_styled else 404
            text = f'column "{name}" does not exist'
            raise MapProblem(status, text, kind="layer", more={"subtype": "query", **layer.context})


async def _explain(conn: Connection, sql: str, found: Analysis) -> Columns:
    rows, width = found.rows, found.width
    plans, columns = await outlined(conn, sql)
    read_plan(plans, found)
    if rows is not None:
        found.rows, found.width = rows, width
    return columns


def _affected(layer: Layer) -> list[str]:
    """Queries of the tables that a layer says it reads."""
    given = layer.options.get("affected_tables")
    names = given if isinstance(given, list) else []
    parts = [name.split(".", 1) for name in names if isinstance(name, str) and name]
    return [f"SELECT 1 FROM {'.'.join(map(quote_identifier, part))}" for part in parts]


async def _has_points(conn: Connection, layer: Layer, source: Source) -> bool:
    kind = await _first(conn, source, "ST_GeometryType") or "ST_Point"
    if kind != "ST_Point" and layer.is_styled:
        text = f"Unsupported geometry type: {kind}. Aggregation is available only for geometry type: ST_Point"
        raise MapProblem(400, text, kind="layer", more=layer.context)
    return bool(kind == "ST_Point" and {"cartodb_id", source.geom_column} <= {n for n, _ in source.columns})


async def _first(conn: Connection, source: Source, function: str) -> Any:
    """What a function says of the first geometry; None when there is none."""
    column = quote_identifier(source.geom_column)
    rows = await rows_of(
        conn,
        f"SELECT {function}({column}) FROM (\n{with_tokens(source.sql)}\n) AS cdbq "
        f"WHERE {column} IS NOT NULL LIMIT 1",
    )
    return rows[0][0] if rows else None


async def _style(layer: Layer) -> MapnikStyle | None:
    if not layer.is_styled:
        return None
    try:
        return await asyncio.to_thread(_compiled, str(layer.options["cartocss"]))
    except CartoCssError as error:
        raise MapProblem(400, error.at_layer(layer.index), kind="layer", more=layer.context) from error


@lru_cache(maxsize=512)
def _compiled(sheet: str) -> MapnikStyle:
    return compile_style(sheet)
