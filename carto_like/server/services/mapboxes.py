"""Where tiles lie in the reference systems of layers that are stored in one of their own."""

from __future__ import annotations

import math
from dataclasses import replace

import psycopg

from carto_like.server.maps.cache import ByteCache
from carto_like.server.maps.coordinates import WORLD, Bounds, Tile
from carto_like.server.maps.layersql import Source
from carto_like.server.maps.projections import DEGREES, MERCATOR, envelope, within_world
from carto_like.server.platform import Platform
from carto_like.server.services.mapplans import LayerPlan

# Larger ones bend too much to be told from their edges, and hold most rows of a regional system anyway.
_WIDEST = WORLD / 4
_SEGMENTS = 16
# What an edge bends between two of its points is far less.
_MARGIN = 0.05
_KEPT_BYTES = 4 * 2**20
_ENTRY_BYTES = 200

_BOX = """
SELECT ST_XMin(box), ST_YMin(box), ST_XMax(box), ST_YMax(box) FROM (
    SELECT ST_Extent(ST_Transform(ST_Segmentize({edge}, {length!r}), {srid})) AS box
) AS moved
"""


class Boxes:
    """Finds the box of a tile in a layer's own reference system, so that the layer's index can be used."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._kept: ByteCache[tuple[Bounds | None]] = ByteCache(_KEPT_BYTES, lambda _: _ENTRY_BYTES)

    async def source_for(self, plan: LayerPlan, tile: Tile, bounds: Bounds) -> Source:
        """What a tile reads of a layer; the whole layer is looked through where its box cannot be told."""
        if plan.source.srid in (MERCATOR, DEGREES):
            return plan.source_for(tile, bounds)
        box = await self._box(plan.source.srid, plan.reach(tile, bounds))
        return replace(plan, source=replace(plan.source, box=box)).source_for(tile, bounds)

    async def _box(self, srid: int, bounds: Bounds) -> Bounds | None:
        key = srid, bounds
        known = self._kept.get(key)
        if known is None:
            known = (await self._found(srid, within_world(bounds)),)
            self._kept.put(key, known)
        return known[0]

    async def _found(self, srid: int, bounds: Bounds) -> Bounds | None:
        west, south, east, north = bounds
        side = max(east - west, north - south)
        if not 0 < side <= _WIDEST:
            return None
        query = _BOX.format(edge=envelope(bounds), length=side / _SEGMENTS, srid=srid)
        try:
            async with self._platform.database.metadata() as conn:
                row = await (await conn.execute(query.encode())).fetchone()
        except psycopg.errors.InternalError:
            # A part of the tile lies where this system has no coordinates.
            return None
        if row is None or not all(value is not None and math.isfinite(value) for value in row):
            return None
        left, low, right, high = row
        slack = max(right - left, high - low) * _MARGIN
        return left - slack, low - slack, right + slack, high + slack
