"""Views of static pictures: what an address, a query or a template says, in metres and pixels."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from carto_like.server.services.mapdrawing import Frame

from .config import Layer, MapConfig
from .coordinates import Bounds, Tile, fitting_zoom, picture_bounds, read_zoom
from .problems import bad

MAX_SIDE = 8192
_DEEPEST = 30
_ZOOM_OF_NOTHING = 1


def center_frame(parts: Mapping[str, str]) -> Frame:
    """A picture round ``lat`` and ``lng`` at zoom ``z``; raises the 400 for what is no number."""
    zoom = read_zoom(parts["z"])
    return _frame(parts, _degrees(parts["lng"], "lng"), _degrees(parts["lat"], "lat"), zoom)


def box_frame(parts: Mapping[str, str]) -> Frame:
    """A picture that holds a box; raises the 400 for what is none."""
    return _box(parts, parts["box"])


def preview_frame(parts: Mapping[str, str], query: Mapping[str, str], view: Any) -> Frame | None:
    """A picture of a named map, as the query says, else as its template does; None when neither does."""
    if all(name in query for name in ("zoom", "lon", "lat")):
        longitude, latitude = _degrees(query["lon"], "lon"), _degrees(query["lat"], "lat")
        return _frame(parts, longitude, latitude, read_zoom(query["zoom"]))
    if "bbox" in query:
        return _box(parts, query["bbox"])
    view = view if isinstance(view, dict) else {}
    center, zoom = view.get("center"), view.get("zoom")
    place = [center.get(name) for name in ("lng", "lat")] if isinstance(center, dict) else []
    if len(place) == 2 and all(map(_is_number, place)) and ("zoom" in query or _is_number(zoom)):
        longitude, latitude = (_degrees(str(part), "center") for part in place)
        deep = read_zoom(query["zoom"]) if "zoom" in query else _zoom_of_view(zoom)
        return _frame(parts, longitude, latitude, deep)
    bounds = view.get("bounds")
    if isinstance(bounds, dict):
        sides = [bounds.get(name) for name in ("west", "south", "east", "north")]
        if all(map(_is_number, sides)):
            return _box(parts, ",".join(map(str, sides)))
    return None


def extent_frame(parts: Mapping[str, str], extent: Bounds | None) -> Frame:
    """A picture that holds an extent in degrees, and of much of the world without one."""
    if extent is None:
        return _frame(parts, 0, 0, _ZOOM_OF_NOTHING)
    return _around(parts, extent)


def preview_layers(view: Any, config: MapConfig) -> list[Layer]:
    """The layers that a template shows in its picture."""
    shown = view.get("preview_layers") if isinstance(view, dict) else None
    hidden = {name for name, value in shown.items() if value is False} if isinstance(shown, dict) else set()
    return [layer for layer in config.layers if not hidden & {str(layer.index), layer.id}]


def _box(parts: Mapping[str, str], text: str) -> Frame:
    sides = [_degrees(side, "bbox") for side in text.split(",")]
    if len(sides) != 4 or sides[0] >= sides[2] or sides[1] >= sides[3]:
        raise bad('Invalid bbox, expected format="west,south,east,north"')
    west, south, east, north = sides
    return _around(parts, (west, south, east, north))


def _around(parts: Mapping[str, str], box: Bounds) -> Frame:
    width, height = _sides(parts)
    west, south, east, north = box
    zoom = fitting_zoom(west, south, east, north, width, height)
    return _frame(parts, (west + east) / 2, (south + north) / 2, zoom)


def _frame(parts: Mapping[str, str], longitude: float, latitude: float, zoom: int) -> Frame:
    width, height = _sides(parts)
    if zoom > _DEEPEST:
        raise bad(f"Coordinates out of range: zoom {zoom}")
    bounds = picture_bounds(longitude, latitude, zoom, width, height)
    jpeg = parts["height"].endswith(".jpg")
    png = "jpeg85" if jpeg else "png32"
    return Frame(bounds, width, height, Tile(zoom, 0, 0), png=png)


def _sides(parts: Mapping[str, str]) -> tuple[int, int]:
    width, height = parts["width"], parts["height"].partition(".")[0]
    if not all(side.isascii() and side.isdigit() and 0 < len(side) < 10 for side in (width, height)):
        raise bad("Invalid size: width and height must be whole numbers of pixels")
    if not (0 < int(width) <= MAX_SIDE and 0 < int(height) <= MAX_SIDE):
        raise bad("Desired image is too large.")
    return int(width), int(height)


def _degrees(text: str, name: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not -360 <= value <= 360:
        raise bad(f"Invalid {name} value ({text}). It should be a number of degrees")
    return value


def _zoom_of_view(value: float) -> int:
    """A zoom in JSON, where 4.0 is another way to write 4."""
    whole = isinstance(value, float) and value.is_integer() and 0 <= value <= _DEEPEST
    return read_zoom(str(int(value) if whole else value))


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
