"""Layers of pictures from other servers: what they ask for, and where their tiles lie in a picture."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from .config import Layer
from .coordinates import TILE, WORLD, Bounds, Tile, pixel_size
from .problems import MapProblem

# A picture of 4096 pixels' side; larger ones are drawn from tiles of a lower zoom.
_MOST_TILES = 17 * 17
_DEFAULT_SUBDOMAINS = "abc"
_PART = re.compile(r"\{([sxyz])\}")
# On its way an address loses such steps, and more than what was allowed could be reached.
_UPWARDS = re.compile(r"/(?:\.|%2e){1,2}(?:[/?#\\]|$)", re.IGNORECASE)
_LABEL = re.compile(r"[A-Za-z0-9-]{1,63}")


@dataclass(frozen=True)
class Basemap:
    """Tiles of a server.

    Attributes:
        template: an address with ``{z}``, ``{x}``, ``{y}`` and perhaps ``{s}``.
        subdomains: what ``{s}`` stands for, in turn.
        tms: whether rows are counted from the south.
    """

    template: str
    subdomains: tuple[str, ...] = ()
    tms: bool = False

    def address(self, tile: Tile) -> str:
        """Where a tile is."""
        row = 2**tile.z - 1 - tile.y if self.tms else tile.y
        parts = {"z": str(tile.z), "x": str(tile.x), "y": str(row)}
        if self.subdomains:
            parts["s"] = self.subdomains[abs(tile.x + tile.y) % len(self.subdomains)]
        return _PART.sub(lambda match: parts.get(match[1], match[0]), self.template)


@dataclass(frozen=True)
class Placed:
    """A tile, and the box in metres where it is drawn; beyond the edge of the world tiles come again."""

    tile: Tile
    bounds: Bounds


def read_basemap(layer: Layer, allowed: Sequence[str]) -> Basemap:
    """What a layer of type ``http`` asks for.

    Args:
        layer: of the map.
        allowed: beginnings of addresses that may be asked.

    Raises:
        Problem: 400, its address is missing, or is none that may be asked.
    """
    template = layer.options.get("urlTemplate")
    if not isinstance(template, str) or not template:
        raise _wrong(layer, 'Missing mandatory "urlTemplate" option')
    if not is_allowed(template, allowed):
        raise _wrong(layer, 'Invalid "urlTemplate" for http layer')
    subdomains: tuple[str, ...] = ()
    if "{s}" in template:
        given = layer.options.get("subdomains")
        subdomains = tuple(map(str, given)) if isinstance(given, (str, list)) and given else ()
        subdomains = subdomains or tuple(_DEFAULT_SUBDOMAINS)
        if not all(map(_LABEL.fullmatch, subdomains)):
            raise _wrong(layer, 'Invalid "subdomains" for http layer: they are parts of the name of a host')
    return Basemap(template, subdomains, bool(layer.options.get("tms")))


def is_allowed(address: str, allowed: Sequence[str]) -> bool:
    """Whether an address begins as one of those that may be asked; each of them names a whole host."""
    return not _UPWARDS.search(address) and any(map(address.startswith, allowed))


def shown_address(address: str) -> str:
    """An address for an error, without what may be a key."""
    return address.partition("?")[0]


def placed_tiles(bounds: Bounds, zoom: int) -> list[Placed]:
    """The tiles of a zoom that a box is laid out with, of a lower zoom when they are too many."""
    west, south, east, north = bounds
    while True:
        side = pixel_size(zoom) * TILE
        # A hair inwards, so that a tile is not laid out with its neighbours.
        columns = _between((west + WORLD) / side, (east + WORLD) / side)
        rows = _between((WORLD - north) / side, (WORLD - south) / side)
        rows = range(max(rows.start, 0), min(rows.stop, 2**zoom))
        if len(columns) * len(rows) <= _MOST_TILES:
            break
        zoom -= 1
    return [
        Placed(
            Tile(zoom, column % 2**zoom, row),
            (
                column * side - WORLD,
                WORLD - (row + 1) * side,
                (column + 1) * side - WORLD,
                WORLD - row * side,
            ),
        )
        for row in rows
        for column in columns
    ]


def _between(first: float, last: float) -> range:
    return range(math.floor(first + 1e-6), math.ceil(last - 1e-6))


def _wrong(layer: Layer, message: str) -> MapProblem:
    more: dict[str, Any] = layer.context
    return MapProblem(400, message, kind="layer", more=more)
