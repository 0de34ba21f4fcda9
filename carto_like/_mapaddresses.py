"""Where the Maps API has tiles, attributes and pictures: paths below an account's root.

Every part that comes from elsewhere is quoted, so that none can name another place.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from carto_like.exceptions import CartoConfigurationException

__all__ = [
    "Box",
    "Center",
    "attributes_path",
    "image_path",
    "map_root",
    "named_image_path",
    "named_root",
    "tile_path",
    "view_query",
]

MAP_PATH = "api/v1/map/"
NAMED_PATH = "api/v1/map/named/"

Center = tuple[float, float]
Box = tuple[float, float, float, float]

# Tokens, lists of layers and placeholders of web maps consist of these, too; none of them divides a path.
_SAFE = "@:,{}"
_HALF = "a view needs both center and zoom, or bbox, or none of them"
_WORLD: Box = (-180.0, -85.0, 180.0, 85.0)


def tile_path(root: str, x: Any, y: Any, z: Any, layer: Any, extension: str) -> str:
    """Path of a tile of the map at ``root``; without a layer, of all that the server draws by default."""
    layers = [] if layer is None else [_layer(layer)]
    return root + "/".join([*layers, _segment(z), _segment(x), f"{_segment(y)}.{_segment(extension)}"])


def attributes_path(root: str, layer: Any, feature_id: Any) -> str:
    """Path of one row's attributes."""
    return f"{root}{_layer(layer)}/attributes/{_segment(feature_id)}"


def image_path(
    token: str, size: tuple[int, int], center: Center | None, zoom: int | None, bbox: Box | None, suffix: str
) -> str:
    """Path of a picture of an instantiated map; of the whole world when no view is given.

    Raises:
        CartoConfigurationException: the view is given twice, or half.
    """
    ending = f"{_segment(size[0])}/{_segment(size[1])}.{_segment(suffix)}"
    if center is None and zoom is not None:
        raise CartoConfigurationException(_HALF)
    _check_view(center, zoom, bbox)
    if center is None:
        return f"{MAP_PATH}static/bbox/{_segment(token)}/{_numbers(bbox or _WORLD)}/{ending}"
    lng, lat = center
    view = f"{_segment(zoom)}/{float(lat)!r}/{float(lng)!r}"
    return f"{MAP_PATH}static/center/{_segment(token)}/{view}/{ending}"


def named_image_path(template_id: Any, size: tuple[int, int], suffix: str) -> str:
    """Path of a picture of a named map that need not be instantiated."""
    name = _segment(template_id)
    return f"{MAP_PATH}static/named/{name}/{_segment(size[0])}/{_segment(size[1])}.{_segment(suffix)}"


def map_root(token: Any) -> str:
    """Path that the addresses of an instantiated map begin with."""
    return f"{MAP_PATH}{_segment(token)}/"


def named_root(template_id: Any) -> str:
    """Path that the addresses of a named map begin with."""
    return f"{NAMED_PATH}{_segment(template_id)}/"


def view_query(center: Center | None, zoom: int | None, bbox: Box | None) -> Mapping[str, Any]:
    """The query parameters by which a picture of a named map is told what to show.

    A zoom alone goes with the centre that the map itself has.

    Raises:
        CartoConfigurationException: the view is given twice, or half.
    """
    _check_view(center, zoom, bbox)
    query: dict[str, Any] = {}
    if zoom is not None:
        query["zoom"] = zoom
    if center is not None:
        query["lon"], query["lat"] = center
    if bbox is not None:
        query["bbox"] = _numbers(bbox)
    return query


def _check_view(center: Center | None, zoom: int | None, bbox: Box | None) -> None:
    if center is not None and zoom is None:
        raise CartoConfigurationException(_HALF)
    if center is not None and bbox is not None:
        raise CartoConfigurationException("give either center and zoom, or bbox, not both")


def _layer(layer: Any) -> str:
    if isinstance(layer, (list, tuple)):
        return ",".join(_segment(each) for each in layer)
    return _segment(layer)


def _numbers(values: tuple[float, ...]) -> str:
    return ",".join(repr(float(value)) for value in values)


def _segment(value: Any) -> str:
    if value is None or str(value) in ("", ".", ".."):
        raise CartoConfigurationException(f"{value!r} cannot be part of the address of a map")
    return quote(str(value), safe=_SAFE)
