"""One export of ``/sql``: a file that is complete before its first byte is sent."""

from __future__ import annotations

import time
from types import TracebackType
from typing import IO

from carto_like.server.formats.arraybuffer import export_arraybuffer
from carto_like.server.formats.ogr import Writer, Writers, feed
from carto_like.server.formats.topojson import export_topojson
from carto_like.server.services.answers import Query
from carto_like.server.services.export import export_csv
from carto_like.server.settings import Limits
from carto_like.server.sqlapi.guard import Gone
from carto_like.server.sqlapi.types import Types
from carto_like.server.sqlapi.wire import Connection

# GDAL is given the name for a layer, and archives for their members: longer ones cannot be unpacked.
_LONGEST_NAME = 200


class Export:
    """A file in the making; what is left of it goes with the ``async with`` block.

    Args:
        format: name of the format.
        name: the file's name without its extension.
        writers: the processes that write what GDAL makes.
        limits: the server's limits.
    """

    def __init__(self, format: str, name: str, writers: Writers, limits: Limits) -> None:
        self._format = format
        self._name = name[:_LONGEST_NAME]
        self._writers = writers
        self._limits = limits
        self._begun = time.monotonic()
        self._file: IO[bytes] | None = None
        self._writer: Writer | None = None

    async def make(self, conn: Connection, query: Query, types: Types) -> None:
        """Take all rows of a query; the connection is free afterwards.

        Raises:
            Problem, psycopg.Error: the query fails, or the format cannot hold its rows.
        """
        largest = self._limits.document_max_bytes
        if self._format == "csv":
            self._file = await export_csv(conn, query, types)
        elif self._format == "topojson":
            self._file = await export_topojson(conn, query, types, largest)
        elif self._format == "arraybuffer":
            self._file = await export_arraybuffer(conn, query, types, largest)
        else:
            self._writer = await feed(conn, query, types, self._writers, format=self._format, name=self._name)

    async def finish(self, gone: Gone) -> IO[bytes] | None:
        """The file, open at its beginning; None when nothing was made.

        Args:
            gone: returns when the client has left.

        Raises:
            Problem, Stopped: the format cannot hold the rows, the client left, the time is up.
        """
        if self._writer is not None:
            limit = self._limits.export_timeout
            left = max(self._begun + limit - time.monotonic(), 0.001) if limit else None
            self._file = await self._writer.finish(gone, left)
        return self._file

    async def __aenter__(self) -> Export:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            self._file.close()
        if self._writer is not None:
            await self._writer.abandon()
