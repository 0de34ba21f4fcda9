"""Pictures of other servers, fetched for the maps that lie on them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread
import urllib3

from carto_like import __version__
from carto_like.pure.pictures import picture_size
from carto_like.server import raster
from carto_like.server.maps.basemaps import (
    is_allowed,
    placed_tiles,
    read_basemap,
    shown_address,
)
from carto_like.server.maps.config import Layer
from carto_like.server.maps.problems import bad

if TYPE_CHECKING:
    from .mapdrawing import Frame

_SECONDS = 2.0
_AT_ONCE = 8
_MAX_BYTES = 4 * 2**20
# A file of a few kilobytes can say that it is a picture of gigabytes.
_MAX_SIDE = 4096


class NotFetched(Exception):
    """A picture that did not come; the text says why."""


class NotFetchedInTime(NotFetched):
    """A picture that took too long."""

    def __init__(self) -> None:
        super().__init__("timeout")


class Basemaps:
    """Asks those servers that the operator allows, a few pictures at a time.

    Args:
        allowed: beginnings of their addresses.
    """

    def __init__(self, allowed: Sequence[str]) -> None:
        self._allowed = allowed
        self._pool = urllib3.PoolManager(
            maxsize=_AT_ONCE, headers={"User-Agent": f"carto-like/{__version__}", "Accept": "image/*"}
        )
        self._turns = asyncio.Semaphore(_AT_ONCE)
        # Threads that were given up go on for a while.
        self._threads = anyio.CapacityLimiter(2 * _AT_ONCE)

    async def laid(self, layer: Layer, frame: Frame, *, alone: bool) -> raster.Pictures:
        """The tiles of a layer of type ``http`` that a picture is laid out with.

        Args:
            layer: of the map.
            frame: the picture.
            alone: whether nothing else is drawn. Among others, a layer whose server may not be asked and a
                tile that does not come stay transparent.

        Raises:
            Problem: 400, the layer cannot be drawn, or the server took more than two seconds.
        """
        template = layer.options.get("urlTemplate")
        if not alone and isinstance(template, str) and template and not is_allowed(template, self._allowed):
            return raster.Pictures()
        basemap = read_basemap(layer, self._allowed)
        placed = placed_tiles(frame.bounds, frame.tile.z)
        addresses = {place.tile: basemap.address(place.tile) for place in placed}
        answers = await asyncio.gather(*map(self.picture, addresses.values()), return_exceptions=True)
        found: dict[object, raster.Picture] = {}
        for (tile, address), answer in zip(addresses.items(), answers, strict=True):
            if isinstance(answer, raster.Picture):
                found[tile] = answer
            elif not isinstance(answer, NotFetched):
                raise answer
            elif alone or isinstance(answer, NotFetchedInTime):
                text = f"Unable to fetch http tile: {shown_address(address)} [{answer}]"
                raise bad(text, "layer", **layer.context)
        return raster.Pictures(
            tuple((found[place.tile], place.bounds) for place in placed if place.tile in found),
            is_whole=len(found) == len(addresses),
        )

    async def paving(self, layer: Layer) -> raster.Paving:
        """The picture that a layer of type ``plain`` is paved with.

        Raises:
            Problem: 400, there is none.
        """
        address = str(layer.options["imageUrl"])
        try:
            if not is_allowed(address, self._allowed):
                raise NotFetched("this server may not ask there; its operator can allow it by --basemap")
            return raster.Paving(await self.picture(address))
        except NotFetched as error:
            text = f"Invalid imageUrl for 'plain' layer: {error}"
            raise bad(text, "layer", **layer.context) from None

    async def picture(self, address: str) -> raster.Picture:
        """One picture.

        Raises:
            NotFetched: it did not come, in time or at all, or is none.
        """
        async with self._turns:
            with anyio.move_on_after(_SECONDS):
                return await anyio.to_thread.run_sync(
                    self._fetch, address, abandon_on_cancel=True, limiter=self._threads
                )
        raise NotFetchedInTime

    def _fetch(self, address: str) -> raster.Picture:
        try:
            response = self._pool.request(
                "GET", address, timeout=_SECONDS, redirect=False, retries=False, preload_content=False
            )
            try:
                if response.status != 200:
                    raise NotFetched(str(response.status))
                content = response.read(_MAX_BYTES + 1)
            finally:
                response.close()
        except urllib3.exceptions.TimeoutError:
            raise NotFetchedInTime from None
        except (urllib3.exceptions.HTTPError, OSError, ValueError):
            # Its own words tell what is in the network that we ask from.
            raise NotFetched("no answer") from None
        return _checked(content)


def _checked(content: bytes) -> raster.Picture:
    if len(content) > _MAX_BYTES:
        raise NotFetched(f"more than {_MAX_BYTES} bytes")
    try:
        kind, width, height = picture_size(content)
        if max(width, height) > _MAX_SIDE:
            raise NotFetched(f"more than {_MAX_SIDE} pixels wide or high")
        raster.check_picture(content)
    except ValueError as error:
        raise NotFetched(str(error)) from None
    return raster.Picture(content, kind)
