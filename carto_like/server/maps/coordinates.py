"""Where tiles are, in pixels and in metres of EPSG:3857."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from .problems import bad

WORLD = 20037508.342789244
TILE = 256
MAX_ZOOM = 30
_DIGITS = re.compile(r"[0-9]{1,18}")
_INTEGER = re.compile(r"-?[0-9]{1,18}")

Bounds = tuple[float, float, float, float]
"""West, south, east, north, in metres."""


@dataclass(frozen=True)
class Tile:
    """A tile's address, which exists: ``x`` is wrapped round the world."""

    z: int
    x: int
    y: int

    def bounds(self, buffer: float = 0) -> Bounds:
        """The tile's box, grown by a number of pixels."""
        side = pixel_size(self.z) * TILE
        grown = pixel_size(self.z) * buffer
        west, north = self.x * side - WORLD, WORLD - self.y * side
        return west - grown, north - side - grown, west + side + grown, north + grown


def pixel_size(z: int) -> float:
    """Metres per pixel of a tile of 256 pixels."""
    return 2 * WORLD / TILE / 2.0**z


def read_tile(z: str, x: str, y: str, *, vector: bool) -> Tile | None:
    """The tile that the parts of an address name; None beyond the deepest zoom that anything is drawn at.

    Raises:
        Problem: 400 for what is no number, and for a row that the zoom does not have.
    """
    zoom = read_zoom(z)
    if not _INTEGER.fullmatch(x):
        raise bad(f"Invalid coodinate 'x' value ({x}). It should be an integer number")
    if not _DIGITS.fullmatch(y):
        text = "It should be an integer number greather than or equal to 0"
        raise bad(f"Invalid coodinate 'y' value ({y}). {text}")
    if zoom > MAX_ZOOM:
        if vector:
            return None
        raise bad(f"Coordinates out of range: {zoom}/{int(x)}/{int(y)}", "tile")
    if int(y) >= 2**zoom:
        place = f"{zoom}/{int(x)}/{int(y)}"
        raise bad(f"Invalid tile XYZ ({place})" if vector else f"Coordinates out of range: {place}", "tile")
    return Tile(zoom, int(x) % 2**zoom, int(y))


def read_zoom(z: str) -> int:
    """A zoom in an address."""
    if not _DIGITS.fullmatch(z):
        text = "It should be an integer number greather than or equal to 0"
        raise bad(f"Invalid zoom value ({z}). {text}")
    return int(z)


def to_metres(longitude: float, latitude: float) -> tuple[float, float]:
    """Degrees to metres; latitudes beyond the map's edge are held at it."""
    latitude = max(-85.05112877980659, min(85.05112877980659, latitude))
    y = math.log(math.tan(math.pi / 4 + math.radians(latitude) / 2)) * WORLD / math.pi
    return longitude * WORLD / 180, y


def fitting_zoom(west: float, south: float, east: float, north: float, width: int, height: int) -> int:
    """The greatest zoom up to 18 at which a box in degrees fits a picture."""
    left, bottom = to_metres(west, south)
    right, top = to_metres(east, north)
    for zoom in range(18, 0, -1):
        size = pixel_size(zoom)
        if (right - left) / size <= width and (top - bottom) / size <= height:
            return zoom
    return 0


def picture_bounds(longitude: float, latitude: float, zoom: int, width: int, height: int) -> Bounds:
    """The box in metres of a picture round a centre."""
    x, y = to_metres(longitude, latitude)
    size = pixel_size(zoom)
    return x - width / 2 * size, y - height / 2 * size, x + width / 2 * size, y + height / 2 * size
