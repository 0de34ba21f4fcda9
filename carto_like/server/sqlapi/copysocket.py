"""The data of a COPY to the client, read from the connection's socket instead of through libpq.

libpq hands out one row per call, with an allocation and two copies for each, which takes about as long as
PostgreSQL takes to make the row. On the socket a row is a header of five bytes and its data, and a short loop
takes the headers out of a whole block. libpq sends the query and reads how it ended; the rows it never sees.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncGenerator
from struct import Struct

from psycopg import pq

from carto_like.server.sqlapi.wire import readable

BLOCK_BYTES = 128 * 1024
_READ_BYTES = 64 * 1024
# PostgreSQL sends 8 KiB at a time, and waking up for each costs more than unpacking them. So in a stream that
# has become long we let them gather; the socket holds what comes in twice that time, and nobody is held up.
_LONG_STREAM = 256 * 1024
_FEW_BYTES = 32 * 1024
_GATHER_SECONDS = 0.001
_HEADER = Struct(">BI")
_DATA, _DONE, _COPY_OUT = b"dcH"
# Notices, settings and notifications may come between rows. During a COPY nobody looks at them.
_ASIDE = frozenset(b"NSA")


class Messages:
    """Takes the rows out of the messages of a COPY, wherever reading has cut them.

    Attributes:
        rows: rows and parts of rows so far.
        ended: whether something came that is neither row nor notice; that is left to somebody else.
    """

    def __init__(self) -> None:
        self.rows: list[bytes] = []
        self.ended = False
        self._head = b""
        self._kind = _DATA
        self._left = 0

    @property
    def is_whole(self) -> bool:
        """Whether what was fed ended with the end of a message."""
        return not (self._head or self._left)

    def feed(self, arrived: bytes) -> int:
        """Take what is of use; answers how many of the bytes that was."""
        data, held = self._head + arrived, len(self._head)
        place = self._left
        if place and self._kind == _DATA:
            self.rows.append(data[:place])
        place = self._pass(data, place)
        self._left = max(0, place - len(data))
        rest = data[place:]
        self._head = rest if rest[:1] == b"d" else b""
        self.ended = len(rest) >= _HEADER.size
        if self.ended and rest[0] == _DONE:
            place += _HEADER.size
        return min(place, len(data)) + len(self._head) - held

    def _pass(self, data: bytes, place: int) -> int:
        """Go from message to message; answers where the first one begins that is not for us."""
        rows, end, unpack = self.rows, len(data) - _HEADER.size, _HEADER.unpack_from
        while place <= end:
            kind, length = unpack(data, place)
            following = place + 1 + length
            if kind == _DATA:
                rows.append(data[place + 5 : following])
            elif kind not in _ASIDE:
                break
            self._kind = kind
            place = following
        return place


class CopySocket:
    """A COPY whose query libpq has sent, and of whose answer it has read nothing yet."""

    def __init__(self, pgconn: pq.abc.PGconn) -> None:
        self._pgconn = pgconn
        self._socket = socket.socket(fileno=os.dup(pgconn.socket))
        self._messages = Messages()

    @property
    def in_step(self) -> bool:
        """Whether libpq can read on where this stopped: between two messages."""
        return self._messages.is_whole

    async def begins(self) -> bool:
        """Whether rows are what comes; otherwise nothing was read, and libpq can go on."""
        # Over TCP there may be encryption between the socket and the protocol.
        if self._socket.family != socket.AF_UNIX:
            return False
        data = await self._peek()
        if len(data) < _HEADER.size:
            return False
        kind, length = _HEADER.unpack_from(data)
        if kind != _COPY_OUT or len(data) <= length:
            return False
        self._socket.recv(1 + length)
        return True

    async def blocks(self) -> AsyncGenerator[bytes, None]:
        """The rows, in blocks; how the COPY ended is left to libpq."""
        messages = self._messages
        gathered = total = 0
        while not messages.ended:
            arrived = await self._peek()
            used = messages.feed(arrived)
            self._socket.recv(used)
            gathered += used
            if gathered >= BLOCK_BYTES:
                yield b"".join(messages.rows)
                messages.rows.clear()
                total, gathered = total + gathered, 0
            if not arrived:
                break
            if not used or (used < _FEW_BYTES and total > _LONG_STREAM):
                await asyncio.sleep(_GATHER_SECONDS)
        if messages.rows:
            yield b"".join(messages.rows)

    def close(self) -> None:
        """Let go of the socket, which stays libpq's."""
        self._socket.close()

    async def _peek(self) -> bytes:
        while True:
            try:
                return self._socket.recv(_READ_BYTES, socket.MSG_PEEK | socket.MSG_DONTWAIT)
            except BlockingIOError:
                await readable(self._pgconn)
