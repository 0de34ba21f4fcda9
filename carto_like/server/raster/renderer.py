"""Draws in a few threads of its own, while the event loop goes on."""

from __future__ import annotations

import asyncio
import importlib.util
import math
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from ..cartocss import MapnikStyle

if TYPE_CHECKING:
    from .drawing import Canvas

MAX_SIDE = 8192
_LARGE_PIXELS = 1024 * 1024
GOOD_PNG = "png32"
SMALL_PNG = "png8:m=h"

Bounds = tuple[float, float, float, float]
Batch = Sequence[Sequence[Any]]
T = TypeVar("T")


class RasterUnavailable(RuntimeError):
    """Pictures were asked for, and the extra ``[maps]`` is not installed."""


class RenderError(ValueError):
    """This map cannot be drawn; the message says why."""


@dataclass(frozen=True)
class View:
    """What part of the world is drawn, and how large.

    Attributes:
        bounds: west, south, east, north in EPSG:3857.
        width: pixels, before ``scale``.
        height: pixels, before ``scale``.
        scale: 2 draws everything twice as large, for dense screens.
        buffer: pixels around the picture whose features may reach into it.
    """

    bounds: Bounds
    width: int = 256
    height: int = 256
    scale: float = 1.0
    buffer: int = 64

    @property
    def pixel(self) -> tuple[float, float]:
        """Width and height of a pixel (before ``scale``) in metres of the projection."""
        west, south, east, north = self.bounds
        return (east - west) / self.width, (north - south) / self.height

    @property
    def buffered(self) -> Bounds:
        """The bounds with the buffer around them."""
        west, south, east, north = self.bounds
        across, up = (side * self.buffer for side in self.pixel)
        return west - across, south - up, east + across, north + up

    def check(self) -> None:
        """Raise ``RenderError`` when there is nothing to draw on, or too much."""
        sides = (self.width * self.scale, self.height * self.scale)
        if not all(1 <= side <= MAX_SIDE for side in sides):
            raise RenderError(f"width and height must be between 1 and {MAX_SIDE} pixels")
        west, south, east, north = self.bounds
        if not (all(map(math.isfinite, self.bounds)) and west < east and south < north):
            raise RenderError("bounds must be west, south, east, north, and hold some area")


@dataclass(frozen=True)
class Rows:
    """Features: each a sequence of two-dimensional WKB in EPSG:3857 and the values of ``columns``."""

    columns: tuple[str, ...]
    rows: Batch = ()
    batches: AsyncIterator[Batch] | None = field(default=None)

    async def iterate(self) -> AsyncIterator[Batch]:
        """The rows in batches, those at hand first."""
        if self.rows:
            yield self.rows
        if self.batches is not None:
            async for batch in self.batches:
                yield batch


@dataclass(frozen=True)
class Layer:
    """Rows and how they look."""

    style: MapnikStyle
    rows: Rows


@dataclass(frozen=True)
class Picture:
    """A file; ``kind`` is ``"png"`` or ``"jpg"``."""

    content: bytes = field(repr=False)
    kind: str


@dataclass(frozen=True)
class Pictures:
    """Pictures and the boxes in EPSG:3857 that they fill.

    Attributes:
        pictures: each with its west, south, east and north.
        is_whole: whether none of those that belong here is missing.
    """

    pictures: tuple[tuple[Picture, Bounds], ...] = ()
    is_whole: bool = True


@dataclass(frozen=True)
class Paving:
    """A picture that is repeated in its own size."""

    picture: Picture


Drawn: TypeAlias = "Layer | Pictures | Paving"


@dataclass(frozen=True)
class Row:
    """One feature at hand: its geometry as two-dimensional WKB in EPSG:3857, and its attributes."""

    wkb: bytes
    attributes: Mapping[str, Any] = field(default_factory=dict)


class Renderer:
    """A bounded pool of drawing threads; each keeps the maps of the styles it drew last.

    Args:
        threads: pictures drawn at once; more of them wait their turn.
        features: features of one layer that are drawn at most. Layers that are drawn while their rows arrive
            (those without attachments and effects of a whole style) take any number.
        size: bytes of the rows of such a layer, at most.

    Raises:
        RasterUnavailable: Mapnik is absent.
    """

    def __init__(self, threads: int = 2, *, features: int = 1_000_000, size: int = 2**30) -> None:
        if importlib.util.find_spec("mapnik") is None:
            raise RasterUnavailable("PNG needs Mapnik: pip install 'carto-like[maps]'")
        self._limits = features, size
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="raster")
        # A large picture takes hundreds of megabytes from its first row to its last.
        self._large = asyncio.Semaphore(threads)

    async def picture(self, layers: Sequence[Drawn], view: View, *, png: str = SMALL_PNG) -> bytes:
        """Draw the layers as PNG, ``view.width * view.scale`` pixels wide; raises ``RenderError``.

        ``png`` is ``SMALL_PNG`` (256 colours) or ``GOOD_PNG`` (every colour).
        """
        if view.width * view.height * view.scale**2 <= _LARGE_PIXELS:
            return await self._picture(layers, view, png)
        async with self._large:
            return await self._picture(layers, view, png)

    async def _picture(self, layers: Sequence[Drawn], view: View, png: str) -> bytes:
        canvas = await self._canvas(view)
        styles = [layer.style for layer in layers if isinstance(layer, Layer)]
        backgrounds = [style.background for style in styles if style.background]
        if backgrounds:
            await self._run(canvas.fill, backgrounds[-1])
        for layer in layers:
            if isinstance(layer, Pictures):
                await self._run(canvas.lay, layer.pictures)
            elif isinstance(layer, Paving):
                await self._run(canvas.pave, layer.picture)
            else:
                await self._add(canvas, layer)
                await self._run(canvas.finish, layer.style)
        return await self._run(canvas.encoded, png)

    async def grid(
        self, layer: Layer, view: View, fields: Sequence[str], *, key: str = "cartodb_id", resolution: int = 4
    ) -> dict[str, Any]:
        """The UTFGrid of a layer: ``grid``, ``keys`` and the ``fields`` of each key under ``data``."""
        canvas = await self._canvas(view, whole=True)
        await self._add(canvas, layer)
        named = key if key in layer.rows.columns else "__id__"
        return await self._run(canvas.grid, layer.style, named, list(fields), resolution)

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
        """Draw rows that are at hand as one square tile."""
        view = View(bounds, size, size, scale, buffer)
        return await self.picture([_at_hand(style, rows, style.columns)], view, png=png)

    async def render_image(
        self,
        layers: Iterable[tuple[MapnikStyle, Iterable[Row]]],
        bounds: Bounds,
        width: int,
        height: int,
        *,
        scale: float = 1.0,
        buffer: int = 64,
        png: str = GOOD_PNG,
    ) -> bytes:
        """Draw layers whose rows are at hand over each other, the first at the bottom."""
        ready = [_at_hand(style, rows, style.columns) for style, rows in layers]
        return await self.picture(ready, View(bounds, width, height, scale, buffer), png=png)

    async def render_grid(
        self,
        style: MapnikStyle,
        rows: Iterable[Row],
        bounds: Bounds,
        *,
        key: str,
        fields: Sequence[str],
        size: int = 256,
        buffer: int = 64,
    ) -> dict[str, Any]:
        """The UTFGrid of rows that are at hand."""
        layer = _at_hand(style, rows, {*style.columns, *fields, key})
        return await self.grid(layer, View(bounds, size, size, 1.0, buffer), sorted({*fields, key}), key=key)

    def close(self) -> None:
        """Let the pictures being drawn finish, and end the threads."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    async def _canvas(self, view: View, *, whole: bool = False) -> Canvas:
        view.check()
        return await self._run(_canvas, view, self._limits, whole)

    async def _add(self, canvas: Canvas, layer: Layer) -> None:
        """Draw batch after batch; the next one is fetched meanwhile."""
        drawing: asyncio.Task[None] | None = None
        try:
            async for batch in layer.rows.iterate():
                if drawing is not None:
                    await drawing
                drawing = asyncio.create_task(self._run(canvas.add, layer.style, layer.rows.columns, batch))
            if drawing is not None:
                await drawing
        finally:
            # One canvas is never in two threads.
            if drawing is not None and not drawing.done():
                await asyncio.wait([drawing])

    async def _run(self, work: Callable[..., T], *arguments: Any) -> T:
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._pool, work, *arguments)
        except RuntimeError as error:
            raise RenderError(str(error)) from error


def _at_hand(style: MapnikStyle, rows: Iterable[Row], columns: Iterable[str]) -> Layer:
    named = tuple(sorted(columns))
    return Layer(style, Rows(named, [(row.wkb, *map(row.attributes.get, named)) for row in rows]))


def check_picture(content: bytes) -> None:
    """Raise ``ValueError`` for a picture that cannot be read; to be called in a thread."""
    from .drawing import check_picture

    check_picture(content)


def _canvas(view: View, limits: tuple[int, int], whole: bool) -> Canvas:
    # Mapnik takes a while to import, and is absent from installations that draw nothing.
    from .drawing import Canvas

    return Canvas(view, *limits, whole=whole)
