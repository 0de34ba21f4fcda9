"""Where the rows of a map are, looked for as long as somebody waits for it."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Any

import psycopg

from carto_like.server.accounts import Account
from carto_like.server.errors import Problem
from carto_like.server.maps.cache import ByteCache, SingleFlight
from carto_like.server.maps.config import Layer
from carto_like.server.maps.coordinates import WORLD, Bounds
from carto_like.server.maps.layersql import Source, with_tokens
from carto_like.server.maps.projections import to_degrees, within_world
from carto_like.server.platform import Platform
from carto_like.server.services.analysis import Table
from carto_like.server.services.mapplans import LayerPlan
from carto_like.server.services.mapsession import rows_of
from carto_like.server.services.mapviews import View
from carto_like.server.services.unattended import session_of
from carto_like.server.sqlapi.guard import Stopped

PATIENCE = 5.0
_KEPT_BYTES = 2**20
_ENTRY_BYTES = 200
_WORLD: Bounds = (-WORLD, -WORLD, WORLD, WORLD)

_EXTENT = """
SELECT ST_XMin(box), ST_YMin(box), ST_XMax(box), ST_YMax(box) FROM (
    SELECT ST_Extent({geometry}) AS box FROM (
{query}
) AS cdbq WHERE {near}) AS extent
"""
_ESTIMATE = """
SELECT ST_XMin(box), ST_YMin(box), ST_XMax(box), ST_YMax(box)
FROM ST_EstimatedExtent(%s, %s, 'the_geom_webmercator') AS box
"""


class Extents:
    """Tells where maps have something to see."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._kept: ByteCache[tuple[Bounds | None]] = ByteCache(_KEPT_BYTES, lambda _: _ENTRY_BYTES)
        self._flights: SingleFlight[tuple[Bounds | None]] = SingleFlight()

    async def of(self, view: View, layers: Sequence[Layer]) -> Bounds | None:
        """Longitude and latitude (west, south, east, north) of the rows of some layers of a map.

        None when there are none. What takes longer than :data:`PATIENCE` seconds to find out is taken from
        the indexes of the tables. What is wrong with a layer is not told here: the map itself does so.
        """
        plans = [view.plan.layers[layer.index] for layer in layers if layer.index in view.plan.layers]
        key = (view.account.id, view.map_id, view.role, view.version, *(plan.layer.index for plan in plans))
        known = self._kept.get(key)
        if known is None:
            known = await self._flights.run(key, lambda: self._found(view.account, plans, view.plan.tables))
            if view.may_be_kept:
                self._kept.put(key, known)
        return known[0]

    async def _found(
        self, account: Account, plans: Sequence[LayerPlan], tables: Iterable[Table]
    ) -> tuple[Bounds | None]:
        loop = asyncio.get_running_loop()
        end = loop.time() + PATIENCE
        boxes = []
        is_late = False
        for plan in plans:
            left = end - loop.time()
            try:
                if left <= 0:
                    raise Stopped("late")
                boxes += await self._rows(account, plan.role, left, _extent(plan.source))
            except Stopped:
                is_late = True
            except (psycopg.Error, Problem):
                continue
        if is_late:
            boxes += await self._estimates(tables)
        found = [box for box in boxes if None not in box and not any(map(math.isnan, box))]
        if not found:
            return (None,)
        west, south, east, north = zip(*found, strict=True)
        return (to_degrees(within_world((min(west), min(south), max(east), max(north)))),)

    async def _estimates(self, tables: Iterable[Table]) -> list[tuple[Any, ...]]:
        """Where the indexes of the datasets among some tables end; roles may not ask for that."""
        found: list[tuple[Any, ...]] = []
        for table in sorted(tables):
            # It may be no dataset, or locked.
            with suppress(psycopg.Error):
                async with self._platform.database.metadata() as conn:
                    await conn.execute("SET LOCAL lock_timeout = '500ms'")
                    found += await (await conn.execute(_ESTIMATE, table)).fetchall()
        return found

    async def _rows(self, account: Account, role: str, seconds: float, query: str) -> list[tuple[Any, ...]]:
        database = self._platform.database
        async with session_of(database, account, seconds=seconds, role=role) as session:
            await session.execute("BEGIN READ ONLY")
            found = await rows_of(session, query)
            await session.execute("ROLLBACK")
            return found


def _extent(source: Source) -> str:
    return _EXTENT.format(geometry=source.geometry, query=with_tokens(source.sql), near=source.near(_WORLD))
