"""Unpacking gzip as it arrives, and packing what leaves."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Any

_library: Any
try:
    from isal import isal_zlib as _library
except ImportError:
    _library = zlib

_PIECE = 256 * 1024
_GZIP = 16 + zlib.MAX_WBITS
_PACK_LEVEL = 1


class GzipError(Exception):
    """The data is not gzip, or not whole; the text is zlib's."""


class Gunzip:
    """Unpacks a gzip stream in pieces of bounded size, whatever its ratio; members may follow each other."""

    def __init__(self) -> None:
        self._member: Any = None
        self._head = b""

    def feed(self, data: bytes) -> Iterator[bytes]:
        """What ``data`` adds; raises :class:`GzipError`."""
        while data:
            if self._member is None:
                data = self._begin(data)
                if not data:
                    return
            piece = self._unpack(data)
            if piece:
                yield piece
            if self._member.eof:
                data = self._member.unused_data.lstrip(b"\0")
                self._member = None
            else:
                data = self._member.unconsumed_tail
                if not data and len(piece) < _PIECE:
                    return

    def _begin(self, data: bytes) -> bytes:
        """Start a member once its first bytes are there; gives back the data to unpack."""
        data = self._head + data
        if len(data) < 3:
            self._head = data
            return b""
        self._head = b""
        # Told here, since isal words these in its own way.
        if data[:2] != b"\x1f\x8b":
            raise GzipError("incorrect header check")
        if data[2] != 8:
            raise GzipError("unknown compression method")
        self._member = _library.decompressobj(_GZIP)
        return data

    def _unpack(self, data: bytes) -> bytes:
        try:
            piece: bytes = self._member.decompress(data, _PIECE)
        except _library.error as error:
            raise GzipError(str(error).rpartition(": ")[2]) from error
        return piece

    def finish(self) -> None:
        """Check that the stream was whole; raises :class:`GzipError`."""
        if self._head:
            raise GzipError("incorrect header check")
        if self._member is not None:
            raise GzipError("unexpected end of file")


def packer() -> Any:
    """A compressor to gzip that prefers speed."""
    return _library.compressobj(_PACK_LEVEL, zlib.DEFLATED, _GZIP)
