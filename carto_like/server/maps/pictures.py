"""The renderer of pictures, started with the first picture that is asked for."""

from __future__ import annotations

import asyncio
import sys

from carto_like.server.errors import Problem
from carto_like.server.raster import RasterUnavailable, Renderer


class Pictures:
    """Keeps one renderer for all maps of a server; Mapnik is not looked for before there is need of it."""

    def __init__(self, threads: int, features: int = 0, size: int = 0) -> None:
        self._threads = threads
        self._features = features or sys.maxsize
        self._size = size or sys.maxsize
        self._renderer: Renderer | None = None

    @property
    def renderer(self) -> Renderer:
        """The renderer.

        Raises:
            Problem: 400, Mapnik is not installed; the message names the extra.
        """
        if self._renderer is None:
            try:
                self._renderer = Renderer(self._threads, features=self._features, size=self._size)
            except RasterUnavailable as error:
                raise Problem(400, str(error)) from error
        return self._renderer

    async def close(self) -> None:
        """End the threads, once the pictures being drawn are done."""
        if self._renderer is not None:
            await asyncio.to_thread(self._renderer.close)
