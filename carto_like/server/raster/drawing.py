"""Drawing with Mapnik in one thread; nothing here is shared between threads."""

from __future__ import annotations

import math
import threading
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import mapnik

from ..cartocss import MapnikStyle
from .renderer import Bounds, Row

# A loaded style takes some hundred kilobytes in every thread.
MAX_STYLES = 64
# A point. Mapnik reads past the end of what is shorter.
_SHORTEST_WKB = 21


@dataclass(frozen=True)
class View:
    """What part of the world is drawn, and how large (pixels; ``scale`` 2 for dense screens)."""

    bounds: Bounds
    width: int
    height: int
    scale: float = 1.0
    buffer: int = 64


_thread = threading.local()


def draw(layers: Sequence[tuple[MapnikStyle, Iterable[Row]]], view: View, png: str) -> bytes:
    """Draw the layers over each other, the first at the bottom; PNG bytes."""
    width, height = round(view.width * view.scale), round(view.height * view.scale)
    picture = mapnik.Image(width, height)
    for style, rows in layers:
        single = picture if len(layers) == 1 else mapnik.Image(width, height)
        _draw_layer(style, rows, view, single)
        if single is not picture:
            picture.composite(single, mapnik.CompositeOp.src_over, 1.0, 0, 0)
    return bytes(picture.to_string(png))


def _draw_layer(style: MapnikStyle, rows: Iterable[Row], view: View, picture: Any) -> None:
    drawn = _map_of(style)
    layer = drawn.layers[0]
    layer.datasource = _source(style, rows)
    try:
        drawn.resize(picture.width(), picture.height())
        drawn.buffer_size = round(view.buffer * view.scale)
        drawn.aspect_fix_mode = mapnik.aspect_fix_mode.RESPECT
        drawn.zoom_to_box(mapnik.Box2d(*view.bounds))
        mapnik.render(drawn, picture, view.scale)
    finally:
        layer.datasource = None


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


def _source(style: MapnikStyle, rows: Iterable[Row]) -> Any:
    source = mapnik.MemoryDatasource()
    context = mapnik.Context()
    columns = sorted(style.columns)
    for column in columns:
        context.push(column)
    for number, row in enumerate(rows, 1):
        geometry = _geometry(row.wkb)
        if geometry is None:
            continue
        feature = mapnik.Feature(context, number)
        feature.geometry = geometry
        for column in columns:
            feature[column] = _attribute(row.attributes.get(column))
        source.add_feature(feature)
    return source


def _geometry(wkb: bytes) -> Any:
    """The geometry; None for what cannot be drawn: unreadable, empty, or without an end."""
    if len(wkb) < _SHORTEST_WKB:
        return None
    try:
        geometry = mapnik.Geometry.from_wkb(wkb)
    except RuntimeError:
        return None
    box = geometry.envelope()
    sides = (box.minx, box.miny, box.maxx, box.maxy)
    return geometry if all(map(math.isfinite, sides)) and box.minx <= box.maxx else None


def _attribute(value: Any) -> Any:
    if value is None or isinstance(value, (bool, float, str)):
        return value
    # Mapnik counts in 64 bits.
    if isinstance(value, int) and abs(value) < 2**63:
        return value
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return str(value)
