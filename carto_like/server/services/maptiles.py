"""Tiles, grids, pictures and attributes of a map that was opened."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any

import orjson
import psycopg

from carto_like.server.cartocss import MapnikStyle
from carto_like.server.maps.cache import ByteCache, SingleFlight
from carto_like.server.maps.config import Layer
from carto_like.server.maps.coordinates import Bounds, Tile
from carto_like.server.maps.filters import chosen
from carto_like.server.maps.layersql import attributes, features, vector_tile
from carto_like.server.maps.plain import plain_style
from carto_like.server.maps.problems import RENDER_TIMEOUT, MapProblem, bad, told
from carto_like.server.platform import Platform
from carto_like.server.raster import RenderError, Row
from carto_like.server.services.mapplans import LayerPlan
from carto_like.server.services.mapsession import reading, rows_of
from carto_like.server.services.mapviews import View
from carto_like.server.sqlapi.guard import Stopped

_PNG = {"png": "png8:m=h", "png32": "png32"}
_SIDE = 256
# Rows of one feature that differ; an answer tells how many there are.
_MOST_DIFFERENT = 1000
FORMATS = ("png", "png32", "mvt", "grid.json")


@dataclass(frozen=True)
class Content:
    """An answer's body and its strong validator."""

    body: bytes
    media_type: str
    etag: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "etag", f'"{hashlib.sha256(self.body).hexdigest()[:32]}"')


@dataclass(frozen=True)
class Wanted:
    """Which tile: ``layers`` as an address filters them, ``scale`` 2 for dense screens."""

    tile: Tile
    format: str
    layers: str | None = None
    scale: int = 1


@dataclass(frozen=True)
class Frame:
    """A picture's view: box in metres, pixels, the tile that its zoom and tokens are taken from."""

    bounds: Bounds
    width: int
    height: int
    tile: Tile
    buffer: float
    scale: int = 1
    png: str = "png32"


class Tiles:
    """Draws what is asked for, once, and keeps what stays true."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._limits = platform.settings.limits
        self._kept: ByteCache[Content] = ByteCache(
            self._limits.map_cache_bytes, lambda content: len(content.body)
        )
        self._flights: SingleFlight[Content] = SingleFlight()

    async def tile(self, view: View, wanted: Wanted) -> Content:
        """A tile; an empty vector tile has an empty body.

        Raises:
            Problem: layers or a format that the map does not have, or what its SQL meets.
        """
        key = (view.account.id, view.map_id, view.role, view.version, wanted)
        content = self._kept.get(key)
        if content is None:
            layers = self._chosen(view, wanted)
            content = await self._flights.run(key, lambda: self._drawn(view, wanted, layers))
            if view.may_be_kept:
                self._kept.put(key, content)
        return content

    async def picture(self, view: View, frame: Frame, layers: str, *, jpeg: bool) -> Content:
        """A static picture of any part of the world."""
        found = chosen(view.config, layers, vector=False)
        key = (view.account.id, view.map_id, view.role, view.version, frame, layers, jpeg)
        content = self._kept.get(key)
        if content is None:
            self._check_styles(found)
            media_type = "image/jpeg" if jpeg else "image/png"
            content = await self._flights.run(key, lambda: self._picture(view, found, frame, media_type))
            if view.may_be_kept:
                self._kept.put(key, content)
        return content

    async def attributes(self, view: View, layer: Layer, feature: str) -> Content:
        """The attributes of one feature of a layer, as a JSON object."""
        options = layer.options.get("attributes")
        plan = view.plan.layers.get(layer.index)
        if not options or plan is None:
            raise bad(f"Layer {layer.index} has no exposed attributes", "layer")
        try:
            sql = attributes(plan.source, options["id"], options["columns"], feature, _MOST_DIFFERENT)
        except ValueError as error:
            raise bad(str(error)) from error
        rows = await self._rows(view, plan, sql)
        if len(rows) != 1:
            text = (
                f"Multiple features ({len(rows)}) identified by '{options['id']}' = {feature} "
                f"in layer {layer.index}"
            )
            raise MapProblem(400 if rows else 404, text)
        return Content(rows[0][0].encode(), "application/json; charset=utf-8")

    def _chosen(self, view: View, wanted: Wanted) -> list[Layer]:
        layers = chosen(view.config, wanted.layers, vector=wanted.format == "mvt")
        if wanted.format in _PNG:
            self._check_styles(layers)
            return layers
        if wanted.format == "grid.json":
            if len(layers) != 1 or not layers[0].interactivity or layers[0].type != "mapnik":
                raise bad("Tileset has no interactivity", "tile")
            self._check_styles(layers)
            return layers
        if not all(layer.type == "mapnik" for layer in layers):
            raise bad(f"Unsupported format {wanted.format}", "tile")
        return layers

    def _check_styles(self, layers: Sequence[Layer]) -> None:
        if any(layer.type == "mapnik" and not layer.is_styled for layer in layers):
            raise bad("Unsupported format: 'cartocss' option is missing for png", "tile")
        for layer in layers:
            if layer.type not in ("mapnik", "plain"):
                raise bad(f"Type for layer '{layer.type}' not supported", "layer", **layer.context)

    async def _drawn(self, view: View, wanted: Wanted, layers: Sequence[Layer]) -> Content:
        shown = [layer for layer in layers if layer.is_shown_at(wanted.tile.z)]
        if wanted.format == "mvt":
            plans = [view.plan.layers[layer.index] for layer in shown]
            return Content(await self._vector(view, plans, wanted.tile), "application/x-protobuf")
        if wanted.format == "grid.json":
            return await self._grid(view, shown, wanted.tile)
        frame = Frame(
            wanted.tile.bounds(),
            _SIDE,
            _SIDE,
            wanted.tile,
            view.config.buffer("png"),
            wanted.scale,
            _PNG[wanted.format],
        )
        return await self._picture(view, shown, frame, "image/png")

    async def _vector(self, view: View, plans: Sequence[LayerPlan], tile: Tile) -> bytes:
        """The tile in one statement, or one for each role whose rights layers are read with."""
        extent, simplify = view.config.extents
        buffer = view.config.buffer("mvt")
        body = b""
        start = 0
        while start < len(plans):
            end = start + 1
            while end < len(plans) and plans[end].role == plans[start].role:
                end += 1
            part = plans[start:end]
            sources = [(plan.layer.id, plan.source_for(tile, tile.bounds(buffer))) for plan in part]
            sql = vector_tile(sources, tile, extent=extent, simplify=simplify, buffer=buffer)
            rows = await self._rows(view, part[0], sql)
            body += bytes(rows[0][0])
            start = end
        return body

    async def _grid(self, view: View, layers: Sequence[Layer], tile: Tile) -> Content:
        plan = view.plan.layers[layers[0].index] if layers else None
        found: Any = {"grid": [" " * 64] * 64, "keys": [""], "data": {}}
        if plan is not None and plan.style is not None:
            renderer = self._platform.pictures.renderer
            buffer = view.config.buffer("grid.json")
            fields = plan.layer.interactivity
            frame = Frame(tile.bounds(), _SIDE, _SIDE, tile, buffer)
            columns = {name for name, _ in plan.source_for(tile, tile.bounds(buffer)).columns}
            key = "cartodb_id" if "cartodb_id" in columns else fields[0]
            rows = await self._features(view, plan, frame, sorted({*plan.style.columns, *fields, key}))
            try:
                found = await renderer.render_grid(
                    plan.style, rows, frame.bounds, key=key, fields=fields, buffer=round(buffer)
                )
            except RenderError as error:
                raise bad(str(error), "tile") from error
        return Content(orjson.dumps(found), "application/json; charset=utf-8")

    async def _picture(self, view: View, layers: Sequence[Layer], frame: Frame, media_type: str) -> Content:
        renderer = self._platform.pictures.renderer
        parts: list[tuple[MapnikStyle, Iterator[Row]]] = []
        for layer in layers:
            plan = view.plan.layers.get(layer.index)
            if plan is None or plan.style is None:
                parts.append((plain_style(layer), iter(())))
            else:
                rows = await self._features(view, plan, frame, sorted(plan.style.columns))
                parts.append((plan.style, rows))
        try:
            body = await renderer.render_image(
                parts,
                frame.bounds,
                frame.width,
                frame.height,
                scale=frame.scale,
                buffer=round(frame.buffer),
                png=frame.png,
            )
        except RenderError as error:
            raise bad(str(error), "tile") from error
        return Content(body, media_type)

    async def _features(
        self, view: View, plan: LayerPlan, frame: Frame, columns: Sequence[str]
    ) -> Iterator[Row]:
        """What a layer has in and around a picture; refuses more rows than are allowed."""
        size = (frame.bounds[2] - frame.bounds[0]) / frame.width
        west, south, east, north = frame.bounds
        grown = size * frame.buffer
        bounds = (west - grown, south - grown, east + grown, north + grown)
        source = plan.source_for(frame.tile, bounds)
        most = self._limits.map_rows
        rows = await self._rows(view, plan, features(source, frame.tile, bounds, columns, most))
        if most and len(rows) > most:
            raise MapProblem(429, RENDER_TIMEOUT, kind="limit", more={"subtype": "render"})
        return (
            Row(bytes(row[0]), dict(zip(columns, row[1:], strict=True))) for row in rows if row[0] is not None
        )

    async def _rows(self, view: View, plan: LayerPlan, sql: str) -> list[tuple[Any, ...]]:
        try:
            async with AsyncExitStack() as stack:
                conn = await stack.enter_async_context(reading(self._platform, view.account, plan.role))
                return await rows_of(conn, sql)
        except (psycopg.Error, Stopped) as error:
            raise told(error) from error
