"""What a map looks like: its tiles, its rows' attributes and pictures of it, fetched with its client."""

from __future__ import annotations

import base64
import json
from html import escape
from pathlib import Path
from typing import Any

from carto_like import _mapaddresses as addresses
from carto_like._mapaddresses import Box, Center
from carto_like.exceptions import CartoConfigurationException, CartoException, wrapped

__all__ = ["MapViews", "one_of"]

# What a notebook shows: wide enough for a page, small enough to stay in a file.
_NOTEBOOK_SIZE = (640, 400)


class MapViews:
    """Mixed into maps, which say where they are and what has to be sent along."""

    client: Any
    layergroupid: Any

    def get_tile(
        self,
        x: int,
        y: int,
        z: int,
        layer_id: Any = None,
        filter: Any = None,
        extension: str = "png",
    ) -> bytes:
        """The tile at column ``x``, row ``y`` and zoom ``z``; empty bytes when there is nothing in it.

        Args:
            x: counted from the west.
            y: counted from the north.
            z: 0 is the whole world.
            layer_id: number or id of one layer.
            filter: instead of that, several of them as a list or separated by commas, or a kind of layer.
            extension: ``png``, ``mvt`` or ``grid.json``.

        Raises:
            CartoException: the server refused, or the map was not instantiated.
        """
        layer = one_of(layer_id, filter)
        return self._fetch(addresses.tile_path(self._root(layer), x, y, z, self._drawn(layer), extension))

    def get_attributes(self, feature_id: Any, layer_id: Any = 0) -> dict[str, Any]:
        """The columns that a layer exposes of one row; the map must have been instantiated.

        Raises:
            NotFoundException: there is no such row.
            CartoException: the layer exposes nothing.
        """
        content = self._fetch(addresses.attributes_path(self._instance_root(), layer_id, feature_id))
        found: dict[str, Any] = json.loads(content)
        return found

    def get_image(
        self,
        width: int = 800,
        height: int = 600,
        *,
        center: Center | None = None,
        zoom: int | None = None,
        bbox: Box | None = None,
        layer: str | None = None,
        extension: str = "png",
    ) -> bytes:
        """A picture of the map.

        Args:
            width: in pixels.
            height: in pixels.
            center: longitude and latitude of the middle, with ``zoom``.
            zoom: of the tiles that the picture is put together from.
            bbox: instead of them west, south, east and north of what must be in the picture.
            layer: which layers, as in an address of tiles; all of them when not given.
            extension: ``png`` or ``jpg``.

        Raises:
            CartoException: the server refused, or the view is given by halves.
        """
        path, query = self._image_address((width, height), center, zoom, bbox, extension)
        return self._fetch(path, query if layer is None else {**query, "layer": layer})

    def save_image(self, path: str | Path, width: int = 800, height: int = 600, **view: Any) -> Path:
        """Write a picture of the map to a file and return its path; see :meth:`get_image`.

        A file that ends in ``.jpg`` or ``.jpeg`` becomes a JPEG, any other a PNG. Nothing is written when the
        server refuses.
        """
        target = Path(path)
        jpeg = target.suffix.lower() in (".jpg", ".jpeg")
        view.setdefault("extension", "jpg" if jpeg else "png")
        content = self.get_image(width, height, **view)
        target.write_bytes(content)
        return target

    def _repr_png_(self) -> bytes | None:
        try:
            return self.get_image(*_NOTEBOOK_SIZE)
        except CartoException:
            # A notebook then shows what the object says of itself instead.
            return None

    def _repr_html_(self) -> str:
        title = escape(str(self))
        try:
            picture = base64.b64encode(self.get_image(*_NOTEBOOK_SIZE)).decode()
        except CartoException as error:
            return f"<p><b>{title}</b>: {escape(str(error))}</p>"
        width, height = _NOTEBOOK_SIZE
        return (
            f'<figure><img src="data:image/png;base64,{picture}" width="{width}" height="{height}" '
            f'alt="Map {title}"><figcaption>{title}</figcaption></figure>'
        )

    # What a kind of map answers

    def _query(self) -> dict[str, Any]:
        """What every request about the map carries in its query."""
        return {}

    def _root(self, layer: Any) -> str:
        """Path that the map's tiles are below."""
        return self._instance_root()

    def _drawn(self, layer: Any) -> Any:
        """The layer to put into a tile's path."""
        return layer

    def _image_address(
        self, size: tuple[int, int], center: Center | None, zoom: int | None, bbox: Box | None, suffix: str
    ) -> tuple[str, dict[str, Any]]:
        self._instance_root()
        return addresses.image_path(self.layergroupid, size, center, zoom, bbox, suffix), self._query()

    def _instance_root(self) -> str:
        if not self.layergroupid:
            raise CartoConfigurationException(f"{self!r} has no tiles yet: call instantiate() first")
        return addresses.map_root(self.layergroupid)

    def _fetch(self, path: str, query: dict[str, Any] | None = None) -> bytes:
        with wrapped(self.client):
            response = self.client.send(path, "get", params=self._query() if query is None else query)
            content: bytes | None = self.client.get_response_data(response, False)
        return content or b""


def one_of(layer_id: Any, filter: Any) -> Any:
    """The one of the two that is given; an address has room for one only."""
    if layer_id is not None and filter is not None:
        raise CartoConfigurationException("give either layer_id or filter: an address has room for one")
    return filter if layer_id is None else layer_id
