"""A request's body as it arrives: counted, limited, unpacked, and noticed when it breaks off."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Iterator

from starlette.types import Message, Receive

from carto_like.server.errors import Problem
from carto_like.server.sqlapi.gunzip import Gunzip, GzipError

TOO_SLOW = "Connection closed by server: input data too slow"
_UNITS = ((2**30, "GB"), (2**20, "MB"), (2**10, "kB"))


class ClientLeft(Exception):
    """The client closed the connection before its body was complete."""


class Upload:
    """The body of one request.

    Args:
        receive: the ASGI channel.
        gzip: whether the body is packed.
        max_bytes: bytes as received that it may have, 0 for any.
        max_unpacked: bytes after unpacking that it may have, None for any.
        min_bytes: bytes that must arrive in each window, 0 for none.
        window: seconds of that window.
    """

    def __init__(
        self,
        receive: Receive,
        *,
        gzip: bool,
        max_bytes: int,
        max_unpacked: int | None,
        min_bytes: int,
        window: float,
    ) -> None:
        self._receive = receive
        self._gunzip = Gunzip() if gzip else None
        self._max_bytes = max_bytes
        self._max_unpacked = max_unpacked
        self._min_bytes = min_bytes
        self._window = window
        self._complete = asyncio.Event()
        self._window_end = 0.0
        self._window_bytes = 0
        self.received = 0
        self.unpacked = 0

    @property
    def is_complete(self) -> bool:
        """Whether the whole body has arrived."""
        return self._complete.is_set()

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        """The body, unpacked.

        Raises:
            ClientLeft: it broke off.
            Problem: it is too large, too slow, or not gzip.
        """
        self._window_end = time.monotonic() + self._window
        more = True
        while more:
            message = await self._next_message()
            if message["type"] == "http.disconnect":
                raise ClientLeft
            data, more = message.get("body", b""), message.get("more_body", False)
            if not more:
                self._complete.set()
            self._count(len(data))
            for piece in self._unpack(data, last=not more):
                self._check_unpacked(len(piece))
                yield piece

    def _unpack(self, data: bytes, *, last: bool) -> Iterator[bytes]:
        if self._gunzip is None:
            yield data
            return
        try:
            yield from self._gunzip.feed(data)
            if last:
                self._gunzip.finish()
        except GzipError as error:
            raise Problem(400, f"Error while gunzipping: {error}") from error

    async def _next_message(self) -> Message:
        if not self._min_bytes:
            return await self._receive()
        while True:
            try:
                return await asyncio.wait_for(self._receive(), self._window_end - time.monotonic())
            except asyncio.TimeoutError:
                self._end_window()

    def _end_window(self) -> None:
        if self._window_bytes < self._min_bytes:
            raise Problem(400, TOO_SLOW)
        self._window_end += self._window
        self._window_bytes = 0

    def _count(self, size: int) -> None:
        self.received += size
        self._window_bytes += size
        if self._max_bytes and self.received > self._max_bytes:
            limit = readable_size(self._max_bytes)
            raise Problem(400, f"COPY FROM maximum POST size of {limit} exceeded")
        if self._min_bytes and time.monotonic() >= self._window_end:
            self._end_window()

    def _check_unpacked(self, size: int) -> None:
        self.unpacked += size
        if self._max_unpacked is not None and self.unpacked > self._max_unpacked:
            raise Problem(400, "DB Quota exceeded")

    async def gone(self) -> None:
        """Return when the client has left after its body was complete."""
        await self._complete.wait()
        while (await self._receive())["type"] != "http.disconnect":
            pass

    async def discard(self, seconds: float) -> None:
        """Read on for a while without use: a client that still sends would not see its answer otherwise."""
        deadline = time.monotonic() + seconds
        while not self.is_complete and (left := deadline - time.monotonic()) > 0:
            try:
                message = await asyncio.wait_for(self._receive(), left)
            except asyncio.TimeoutError:
                return
            if message["type"] == "http.disconnect" or not message.get("more_body", False):
                self._complete.set()


def readable_size(size: int) -> str:
    """A number of bytes in the largest unit that divides it."""
    for unit, name in _UNITS:
        if size % unit == 0:
            return f"{size // unit} {name}"
    return f"{size} bytes"
