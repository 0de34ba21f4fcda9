"""Drawing with Mapnik; a canvas is used by one thread at a time, a loaded style by one thread ever."""

from __future__ import annotations

import tempfile
import threading
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import mapnik

from ..cartocss import MapnikStyle
from .features import fill
from .likeness import Likeness
from .renderer import Batch, Bounds, Picture, RenderError, View

# A loaded style takes some hundred kilobytes in every thread.
MAX_STYLES = 64
_PICTURES = """
<Map srs="epsg:3857">
  <Style name="picture"><Rule><RasterSymbolizer scaling="bilinear"/></Rule></Style>
</Map>
"""

_thread = threading.local()


def check_picture(content: bytes) -> None:
    """Raise ``ValueError`` for a picture that Mapnik cannot read, of which it would draw nothing."""
    try:
        mapnik.Image.from_string(content)
    except RuntimeError:
        raise ValueError("it cannot be read") from None


class Canvas:
    """A picture in the making.

    Rows of a style that draws feature after feature are drawn as they are added; others, and all of them when
    ``whole``, are gathered until :meth:`finish` or :meth:`grid`.
    """

    def __init__(self, view: View, features: int, size: int, *, whole: bool = False) -> None:
        self._view = view
        self._limit = features
        self._size_limit = size
        self._whole = whole
        self._width, self._height = round(view.width * view.scale), round(view.height * view.scale)
        self._image = mapnik.Image(self._width, self._height)
        # Shared by all layers, so that labels of one give way to those of another.
        self._labels: Any = None
        self._gathered: Any = None
        self._count = 0
        self._size = 0
        self._painted = False

    def fill(self, color: str) -> None:
        """Paint the background."""
        self._image.fill(mapnik.Color(color))
        self._painted = True

    def add(self, style: MapnikStyle, columns: Sequence[str], rows: Batch) -> None:
        """Draw these rows, or gather them."""
        if style.in_turn and not self._whole:
            self._draw(style, self._fill(mapnik.MemoryDatasource(), style, columns, rows))
            return
        if self._count + len(rows) > self._limit:
            raise RenderError(
                f"more than {self._limit} features in one picture: aggregate them in the SQL, or draw "
                "them from a higher zoom on"
            )
        self._size += sum(len(value) for row in rows for value in row if isinstance(value, (bytes, str)))
        if self._size > self._size_limit:
            raise RenderError(
                f"more than {self._size_limit} bytes of rows in one picture: draw fewer or simpler geometries"
            )
        if self._gathered is None:
            self._gathered = mapnik.MemoryDatasource()
        self._fill(self._gathered, style, columns, rows)

    def lay(self, pictures: Sequence[tuple[Picture, Bounds]]) -> None:
        """Draw pictures where they belong, scaled as they need be."""
        drawn = self._zoomed(mapnik.Map(self._width, self._height))
        mapnik.load_map_from_string(drawn, _PICTURES)
        # Mapnik reads such pictures from files only.
        with tempfile.TemporaryDirectory(prefix="carto-like-basemap-") as folder:
            for number, (picture, (west, south, east, north)) in enumerate(pictures):
                path = Path(folder, f"{number}.{picture.kind}")
                path.write_bytes(picture.content)
                layer = mapnik.Layer(str(number), "epsg:3857")
                layer.styles.append("picture")
                layer.datasource = mapnik.Raster(file=str(path), lox=west, loy=south, hix=east, hiy=north)
                drawn.layers.append(layer)
            self._render(drawn, apart=self._painted)

    def pave(self, picture: Picture) -> None:
        """Repeat a picture in its own size, from the upper left corner on."""
        stone = mapnik.Image.from_string(picture.content)
        stone.premultiply()
        self._image.premultiply()
        for top in range(0, self._height, stone.height()):
            for left in range(0, self._width, stone.width()):
                self._image.composite(stone, mapnik.CompositeOp.src_over, 1.0, left, top)
        self._painted = True

    def finish(self, style: MapnikStyle) -> None:
        """Draw what was gathered of a layer; a style that cannot be drawn fails here at the latest."""
        source, self._gathered = self._gathered, None
        if source is not None or not self._count:
            self._draw(style, source or mapnik.MemoryDatasource())
        self._count = self._size = 0

    def encoded(self, png: str) -> bytes:
        """The picture as a file."""
        self._image.demultiply()
        return bytes(self._image.to_string(png))

    def grid(self, style: MapnikStyle, key: str, fields: list[str], resolution: int) -> dict[str, Any]:
        """The UTFGrid of what was gathered."""
        grid = mapnik.Grid(self._width, self._height, key=key)
        drawn = self._map(style)
        drawn.layers[0].datasource = self._gathered or mapnik.MemoryDatasource()
        try:
            mapnik.render_layer(drawn, grid, layer=0, fields=fields, scale_factor=self._view.scale)
        finally:
            drawn.layers[0].datasource = None
        encoded: dict[str, Any] = grid.encode("utf", resolution=resolution)
        return encoded

    def _draw(self, style: MapnikStyle, source: Any) -> None:
        drawn = self._map(style)
        drawn.layers[0].datasource = source
        try:
            # Mapnik takes up a picture whose colours are multiplied by alpha, and leaves one where they are
            # not: going to and fro between them loses something of the fainter ones each time.
            self._render(drawn, apart=style.in_turn and self._painted)
        finally:
            drawn.layers[0].datasource = None

    def _render(self, drawn: Any, *, apart: bool) -> None:
        if self._labels is None:
            self._labels = mapnik.LabelCollisionDetector(drawn)
        target = mapnik.Image(self._width, self._height) if apart else self._image
        if target is self._image:
            target.premultiply()
        mapnik.render_with_detector(drawn, target, self._labels, self._view.scale)
        if apart:
            self._image.premultiply()
            self._image.composite(target, mapnik.CompositeOp.src_over, 1.0, 0, 0)
        self._painted = True

    def _map(self, style: MapnikStyle) -> Any:
        return self._zoomed(_map_of(style))

    def _zoomed(self, drawn: Any) -> Any:
        drawn.resize(self._width, self._height)
        drawn.buffer_size = round(self._view.buffer * self._view.scale)
        drawn.aspect_fix_mode = mapnik.aspect_fix_mode.RESPECT
        drawn.zoom_to_box(mapnik.Box2d(*self._view.bounds))
        return drawn

    def _fill(self, source: Any, style: MapnikStyle, columns: Sequence[str], rows: Batch) -> Any:
        likeness = Likeness(columns, style.tests) if style.points_join and not self._whole else None
        self._count = fill(source, columns, rows, self._count, likeness)
        return source


def _map_of(style: MapnikStyle) -> Any:
    known: OrderedDict[str, Any] | None = getattr(_thread, "styles", None)
    if known is None:
        known = _thread.styles = OrderedDict()
    if style.xml not in known:
        loaded = mapnik.Map(256, 256)
        mapnik.load_map_from_string(loaded, style.xml, True)
        known[style.xml] = loaded
    known.move_to_end(style.xml)
    while len(known) > MAX_STYLES:
        known.popitem(last=False)
    return known[style.xml]
