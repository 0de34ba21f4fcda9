"""Draws in a few threads of its own, while the event loop goes on."""

from __future__ import annotations

import asyncio
import importlib.util
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from ..cartocss import MapnikStyle

MAX_SIDE = 8192
GOOD_PNG = "png32"
SMALL_PNG = "png8:m=h"

Bounds = tuple[float, float, float, float]


class RasterUnavailable(RuntimeError):
    """Pictures were asked for, and the extra ``[maps]`` is not installed."""


class RenderError(ValueError):
    """This map cannot be drawn; the message says why."""


@dataclass(frozen=True)
class Row:
    """One feature: its geometry as two-dimensional WKB in EPSG:3857, and the attributes the style reads."""

    wkb: bytes
    attributes: dict[str, Any] = field(default_factory=dict)


class Renderer:
    """A bounded pool of drawing threads; each keeps the maps of the styles it drew last.

    Raises ``RasterUnavailable`` when Mapnik is absent.
    """

    def __init__(self, threads: int = 2) -> None:
        if importlib.util.find_spec("mapnik") is None:
            raise RasterUnavailable("PNG needs Mapnik: pip install 'carto-like[maps]'")
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="raster")

    async def render_tile(
        self,
        style: MapnikStyle,
        rows: Iterable[Row],
        bounds: Bounds,
        *,
        size: int = 256,
        scale: float = 1.0,
        buffer: int = 64,
        png: str = SMALL_PNG,
    ) -> bytes:
        """Draw one square tile as PNG, ``size * scale`` pixels wide; raises ``RenderError``."""
        return await self._draw([(style, rows)], (bounds, size, size, scale, buffer), png)

    async def render_image(
        self,
        layers: Sequence[tuple[MapnikStyle, Iterable[Row]]],
        bounds: Bounds,
        width: int,
        height: int,
        *,
        scale: float = 1.0,
        buffer: int = 64,
        png: str = GOOD_PNG,
    ) -> bytes:
        """Draw layers over each other, the first at the bottom, as PNG; raises ``RenderError``."""
        return await self._draw(layers, (bounds, width, height, scale, buffer), png)

    def close(self) -> None:
        """Let the pictures being drawn finish, and end the threads."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    async def _draw(
        self,
        layers: Sequence[tuple[MapnikStyle, Iterable[Row]]],
        view: tuple[Bounds, int, int, float, int],
        png: str,
    ) -> bytes:
        bounds, width, height, scale, _ = view
        if not (0 < width * scale <= MAX_SIDE and 0 < height * scale <= MAX_SIDE):
            raise RenderError(f"width and height must be between 1 and {MAX_SIDE} pixels")
        if not (bounds[0] < bounds[2] and bounds[1] < bounds[3]):
            raise RenderError("bounds must be west, south, east, north, and hold some area")
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._pool, _draw, layers, view, png)
        except RuntimeError as error:
            raise RenderError(str(error)) from error


def _draw(
    layers: Sequence[tuple[MapnikStyle, Iterable[Row]]],
    view: tuple[Bounds, int, int, float, int],
    png: str,
) -> bytes:
    # Mapnik takes a while to import, and is absent from installations that draw nothing.
    from .drawing import View, draw

    return draw(layers, View(*view), png)
