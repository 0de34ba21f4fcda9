"""Tiles, grids, pictures and attributes of a map that was opened."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import psycopg

from carto_like.server.maps.cache import ByteCache, SingleFlight
from carto_like.server.maps.config import Layer
from carto_like.server.maps.coordinates import Tile
from carto_like.server.maps.filters import chosen
from carto_like.server.maps.layersql import TOO_LARGE, attributes, bounded, vector_tile
from carto_like.server.maps.problems import MapProblem, bad, told
from carto_like.server.platform import Platform
from carto_like.server.services.mapboxes import Boxes
from carto_like.server.services.mapdrawing import Content, Drawing, Frame
from carto_like.server.services.mapplans import LayerPlan
from carto_like.server.services.mapsession import values_of
from carto_like.server.services.mapviews import View
from carto_like.server.sqlapi.guard import Stopped

_PNG = {"png": "png8:m=h", "png32": "png32"}
_SIDE = 256
# Rows of one feature that differ; an answer tells how many there are.
_MOST_DIFFERENT = 1000
FORMATS = ("png", "png32", "mvt", "grid.json")


@dataclass(frozen=True)
class Wanted:
    """Which tile: ``layers`` as an address filters them, ``scale`` 2 for dense screens."""

    tile: Tile
    format: str
    layers: str | None = None
    scale: int = 1


class Tiles:
    """Draws what is asked for, once, and keeps what stays true."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._limits = platform.settings.limits
        self._boxes = Boxes(platform)
        self._pictures = Drawing(platform, self._boxes)
        self._kept: ByteCache[Content] = ByteCache(
            self._limits.map_cache_bytes, lambda content: len(content.body)
        )
        self._flights: SingleFlight[Content] = SingleFlight()

    async def tile(self, view: View, wanted: Wanted) -> Content:
        """A tile; an empty vector tile has an empty body.

        Raises:
            Problem: layers or a format that the map does not have, or what its SQL meets.
        """
        layers = self._chosen(view, wanted)
        # By the layers themselves: an address can name them in any number of ways.
        indices = tuple(layer.index for layer in layers)
        drawn = replace(wanted, layers=None)
        key = (view.account.id, view.map_id, view.role, view.version, indices, drawn)
        content = self._kept.get(key)
        if content is None:
            content = await self._flights.run(key, lambda: self._drawn(view, wanted, layers))
            if view.may_be_kept and content.is_whole:
                self._kept.put(key, content)
        return content

    async def picture(self, view: View, frame: Frame, layers: Sequence[Layer], *, jpeg: bool) -> Content:
        """A static picture of any part of the world."""
        drawn = (frame, jpeg, *(layer.index for layer in layers))
        key = (view.account.id, view.map_id, view.role, view.version, drawn)
        content = self._kept.get(key)
        if content is None:
            self._check_styles(layers)
            media_type = "image/jpeg" if jpeg else "image/png"
            shown = [layer for layer in layers if layer.is_shown_at(frame.tile.z)]
            alone = len(layers) == 1
            content = await self._flights.run(
                key, lambda: self._pictures.picture(view, shown, frame, media_type, alone=alone)
            )
            if view.may_be_kept and content.is_whole:
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
        found = await self._values(view, plan, sql)
        if len(found) != 1:
            text = (
                f"Multiple features ({len(found)}) identified by '{options['id']}' = {feature} "
                f"in layer {layer.index}"
            )
            raise MapProblem(400 if found else 404, text)
        return Content(found[0], "application/json; charset=utf-8")

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
            if layer.type not in ("mapnik", "plain", "http"):
                raise bad(f"Type for layer '{layer.type}' not supported", "layer", **layer.context)

    async def _drawn(self, view: View, wanted: Wanted, layers: Sequence[Layer]) -> Content:
        shown = [layer for layer in layers if layer.is_shown_at(wanted.tile.z)]
        if wanted.format == "mvt":
            plans = [view.plan.layers[layer.index] for layer in shown]
            return await Content.of(await self._vector(view, plans, wanted.tile), "application/x-protobuf")
        if wanted.format == "grid.json":
            return await self._pictures.grid(view, shown[0] if shown else None, wanted.tile)
        frame = Frame(
            wanted.tile.bounds(),
            _SIDE,
            _SIDE,
            wanted.tile,
            wanted.scale,
            _PNG[wanted.format],
        )
        return await self._pictures.picture(view, shown, frame, "image/png", alone=len(layers) == 1)

    async def _vector(self, view: View, plans: Sequence[LayerPlan], tile: Tile) -> bytes:
        """The tile in one statement, or one for each role whose rights layers are read with."""
        extent, simplify = view.config.extents
        buffer = view.buffer("mvt")
        body = b""
        start = 0
        while start < len(plans):
            end = start + 1
            while end < len(plans) and plans[end].role == plans[start].role:
                end += 1
            part = plans[start:end]
            bounds = tile.bounds(buffer)
            sources = [(plan.layer.id, await self._boxes.source_for(plan, tile, bounds)) for plan in part]
            sql = vector_tile(sources, tile, extent=extent, simplify=simplify, buffer=buffer)
            found = (await self._values(view, part[0], bounded(sql, self._limits.map_bytes)))[0]
            if found == TOO_LARGE:
                text = (
                    f"more than {self._limits.map_bytes} bytes in one tile: aggregate the rows, or draw fewer"
                )
                raise bad(text, "tile")
            body += found
            start = end
        return body

    async def _values(self, view: View, plan: LayerPlan, sql: str) -> list[bytes]:
        try:
            return await values_of(self._platform, view.account, plan.role, sql)
        except (psycopg.Error, Stopped) as error:
            raise told(error) from error
