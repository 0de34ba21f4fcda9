"""Pictures and grids of a map that was opened, drawn while their rows arrive."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

import orjson
import psycopg

from carto_like.server import raster
from carto_like.server.maps.config import Layer
from carto_like.server.maps.coordinates import Bounds, Tile
from carto_like.server.maps.plain import is_paved, plain_style
from carto_like.server.maps.problems import RENDER_TIMEOUT, MapProblem, bad, told
from carto_like.server.platform import Platform
from carto_like.server.pool import Connection
from carto_like.server.services.basemaps import Basemaps
from carto_like.server.services.mapboxes import Boxes
from carto_like.server.services.mapplans import LayerPlan
from carto_like.server.services.mapsession import reading
from carto_like.server.services.mapviews import View
from carto_like.server.sqlapi.guard import Stopped

_JSON = "application/json; charset=utf-8"
_LARGE = 2**17


@dataclass(frozen=True)
class Content:
    """An answer's body and its strong validator, which is made once with it.

    Attributes:
        is_whole: whether another answer to the same would be equal; False when something did not come.
    """

    body: bytes
    media_type: str
    etag: str = field(default="")
    is_whole: bool = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "etag", self.etag or _etag(self.body))

    @classmethod
    async def of(cls, body: bytes, media_type: str, *, is_whole: bool = True) -> Content:
        """The content, made without keeping others waiting: of a megabyte a validator takes milliseconds."""
        large = len(body) > _LARGE
        return cls(body, media_type, await asyncio.to_thread(_etag, body) if large else "", is_whole)


def _etag(body: bytes) -> str:
    return f'"{hashlib.sha256(body).hexdigest()[:32]}"'


@dataclass(frozen=True)
class Frame:
    """A picture's view: box in metres, pixels, the tile that its zoom and tokens are taken from."""

    bounds: Bounds
    width: int
    height: int
    tile: Tile
    scale: int = 1
    png: str = "png32"


class Drawing:
    """Draws with the rights that each layer is read with."""

    def __init__(self, platform: Platform, boxes: Boxes) -> None:
        self._platform = platform
        self._boxes = boxes
        self._basemaps = Basemaps(platform.settings.basemaps)
        self._seconds = platform.settings.limits.map_timeout or None

    async def picture(
        self, view: View, layers: Sequence[Layer], frame: Frame, media_type: str, *, alone: bool = False
    ) -> Content:
        """The layers over each other; ``alone`` when the map shows no other layer at any zoom.

        Raises:
            Problem: Mapnik is absent, the layers cannot be drawn, or what their SQL meets.
        """
        renderer = self._platform.pictures.renderer
        canvas = raster.View(frame.bounds, frame.width, frame.height, frame.scale, round(view.buffer("png")))
        plans = [view.plan.layers[layer.index] for layer in layers if layer.index in view.plan.layers]
        sources = {plan.layer.index: await self._source(plan, frame.tile, canvas) for plan in plans}
        # Before connections are taken: other servers may take their time.
        fetched = await self._fetched(layers, frame, alone=alone)
        is_whole = all(part.is_whole for part in fetched.values() if isinstance(part, raster.Pictures))
        try:
            async with AsyncExitStack() as stack:
                sessions: dict[str, Connection] = {}
                parts: list[raster.Drawn] = []
                for layer in layers:
                    if layer.index in fetched:
                        parts.append(fetched[layer.index])
                        continue
                    plan = view.plan.layers.get(layer.index)
                    if plan is None or plan.style is None:
                        parts.append(raster.Layer(plain_style(layer), raster.Rows(())))
                        continue
                    if plan.role not in sessions:
                        session = reading(self._platform, view.account, plan.role)
                        sessions[plan.role] = await stack.enter_async_context(session)
                    source = sources[layer.index]
                    rows = raster.fetch(sessions[plan.role], source, canvas, plan.style.columns)
                    parts.append(raster.Layer(plan.style, rows))
                drawing = renderer.picture(parts, canvas, png=frame.png)
                drawn = await asyncio.wait_for(drawing, self._seconds)
                return await Content.of(drawn, media_type, is_whole=is_whole)
        except asyncio.TimeoutError as error:
            raise MapProblem(429, RENDER_TIMEOUT, kind="limit", more={"subtype": "render"}) from error
        except raster.RenderError as error:
            raise bad(str(error), "tile") from error
        except (psycopg.Error, Stopped) as error:
            raise told(error, styled=True) from error

    async def _fetched(
        self, layers: Sequence[Layer], frame: Frame, *, alone: bool
    ) -> dict[int, raster.Pictures | raster.Paving]:
        found: dict[int, raster.Pictures | raster.Paving] = {}
        for layer in layers:
            if layer.type == "http":
                found[layer.index] = await self._basemaps.laid(layer, frame, alone=alone)
            elif layer.type == "plain" and is_paved(layer):
                found[layer.index] = await self._basemaps.paving(layer)
        return found

    async def grid(self, view: View, layer: Layer | None, tile: Tile) -> Content:
        """The UTFGrid of a layer; an empty one of a layer that the zoom does not show."""
        plan = view.plan.layers.get(layer.index) if layer else None
        if layer is None or plan is None or plan.style is None:
            return Content(orjson.dumps({"grid": [" " * 64] * 64, "keys": [""], "data": {}}), _JSON)
        renderer = self._platform.pictures.renderer
        canvas = raster.View(tile.bounds(), buffer=round(view.config.buffer("grid.json")))
        source = await self._source(plan, tile, canvas)
        names = {name for name, _ in plan.columns or plan.source.columns}
        columns = {*plan.style.columns, *layer.interactivity, *({"cartodb_id"} & names)}
        try:
            async with reading(self._platform, view.account, plan.role) as conn:
                rows = raster.fetch(conn, source, canvas, columns)
                drawing = renderer.grid(raster.Layer(plan.style, rows), canvas, layer.interactivity)
                found = await asyncio.wait_for(drawing, self._seconds)
        except asyncio.TimeoutError as error:
            raise MapProblem(429, RENDER_TIMEOUT, kind="limit", more={"subtype": "render"}) from error
        except raster.RenderError as error:
            raise bad(str(error), "tile") from error
        except (psycopg.Error, Stopped) as error:
            raise told(error, styled=True) from error
        return Content(orjson.dumps(found), _JSON)

    async def _source(self, plan: LayerPlan, tile: Tile, canvas: raster.View) -> raster.Source:
        source = await self._boxes.source_for(plan, tile, canvas.buffered)
        return raster.Source(source.sql, source.geom_column, source.srid, source.bare, source.box)
