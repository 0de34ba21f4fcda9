"""Streams of bytes as blocks of a good size, for both ends of a transfer."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Iterator
from itertools import chain, islice
from typing import Any, Protocol

__all__ = [
    "BLOCK",
    "Compressor",
    "coalesce",
    "gzip_blocks",
    "gzip_compressor",
    "read_blocks",
    "slices",
]

BLOCK = 256 * 1024
"""Bytes per block: large enough that the cost of handling one disappears, small enough to keep many."""

_GZIP_CONTAINER = 16 + zlib.MAX_WBITS
# How many small pieces are joined in one go; bounds what a sudden run of big ones can hold in memory.
_BATCH = 64


class Compressor(Protocol):
    """What ``zlib.compressobj`` returns."""

    def compress(self, data: Any, /) -> bytes:
        """Compressed bytes that are ready, if any."""

    def flush(self) -> bytes:
        """The rest."""


def gzip_compressor(level: int) -> Compressor:
    """A fresh zlib compressor that writes gzip."""
    return zlib.compressobj(level, zlib.DEFLATED, _GZIP_CONTAINER)


def read_blocks(read: Callable[[int], bytes | str], size: int = BLOCK) -> Iterator[bytes]:
    """What ``read`` returns, text as UTF-8, until it returns nothing."""
    while block := read(size):
        yield block.encode() if isinstance(block, str) else block


def slices(data: bytes | bytearray | memoryview, size: int = BLOCK) -> Iterator[memoryview]:
    """Views of consecutive parts of one piece of memory; nothing is copied."""
    view = memoryview(data).cast("B")
    for start in range(0, len(view), size):
        yield view[start : start + size]


def coalesce(pieces: Iterable[bytes | str], size: int = BLOCK) -> Iterator[bytes]:
    """The same bytes in blocks of about ``size``; text becomes UTF-8, and large pieces pass through.

    Raises:
        TypeError: a piece is neither bytes-like nor text.
    """
    source = iter(pieces)
    held: list[bytes] = []
    total = 0
    for first in source:
        batch: Iterable[bytes | str] = (first,)
        if _length(first) < size // _BATCH:
            batch = chain(batch, islice(source, _BATCH - 1))
        joined = _join(list(batch))
        held.append(joined)
        total += len(joined)
        if total >= size:
            yield held[0] if len(held) == 1 else b"".join(held)
            held, total = [], 0
    if total:
        yield b"".join(held)


def _length(piece: Any) -> int:
    try:
        return len(piece)
    except TypeError:
        # What has no length is no data either; joining will say so.
        return 0


def _join(batch: list[bytes | str]) -> bytes:
    try:
        return b"".join(batch)  # type: ignore[arg-type]
    except TypeError:
        return b"".join([_as_bytes(piece) for piece in batch])


def _as_bytes(piece: Any) -> bytes:
    if isinstance(piece, str):
        return piece.encode()
    if isinstance(piece, (bytes, bytearray, memoryview)):
        return bytes(piece)
    raise TypeError(f"expected bytes or text to send, found {type(piece).__name__}")


def gzip_blocks(
    blocks: Iterable[Any], compressor: Compressor | None = None, level: int = 1
) -> Iterator[bytes]:
    """The blocks as one gzip stream."""
    compressor = compressor or gzip_compressor(level)
    for block in blocks:
        if ready := compressor.compress(block):
            yield ready
    yield compressor.flush()
