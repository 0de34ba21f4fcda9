"""Bodies that are made while they are sent, and answers that are read while they arrive."""

from __future__ import annotations

import io
import os
import stat
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import IO, Any

import requests

from carto_like.core import multipart
from carto_like.core.progress import Meter, ProgressOption
from carto_like.pure.chunks import (
    BLOCK,
    Compressor,
    coalesce,
    gzip_blocks,
    gzip_compressor,
    read_blocks,
    slices,
)

__all__ = [
    "Body",
    "ResponseReader",
    "Source",
    "SourceFailed",
    "as_request_body",
    "fast_compressor",
    "response_blocks",
]

Source = bytes | bytearray | memoryview | str | os.PathLike[str] | IO[bytes] | IO[str] | Iterable[bytes | str]
"""What can be sent: bytes, text (as UTF-8), a path, a file, an answer, or an iterable of pieces."""

_Opener = Callable[[], Iterator[Any]]
_ISAL_LEVELS = 3
_WORTH_STREAMING = 1024 * 1024


class SourceFailed(Exception):
    """The caller's own data raised an error while being read; hides it from the network's error handling."""

    def __init__(self, original: BaseException) -> None:
        super().__init__(str(original))
        self.original = original


class Body:
    """A request body in blocks.

    Attributes:
        replayable: whether it can be sent a second time.
        started: whether any of it was read.
        patience: seconds that sending one block may take, or None.
    """

    def __init__(self, opener: _Opener, *, size: int | None = None, replayable: bool = False) -> None:
        self._open = opener
        self.size = size
        self.replayable = replayable
        self.started = False
        self.patience: float | None = None
        self._meter: Meter | None = None

    @classmethod
    def of(cls, data: Source, *, block: int = BLOCK) -> Body:
        """A body out of anything in :data:`Source`; a file is sent from where it stands.

        Raises:
            TypeError: it is none of these.
        """
        opener, size, replayable = _open_source(data, block)
        return cls(opener, size=size, replayable=replayable)

    def with_length(self) -> Body:
        """The same, announced with a ``Content-Length`` instead of in chunks; needs a known size."""
        if self.size is not None:
            self.len = self.size
        return self

    def compressed(self, level: int) -> Body:
        """The same as one gzip stream."""
        inner = self._open
        body = Body(lambda: gzip_blocks(inner(), fast_compressor(level)), replayable=self.replayable)
        body._meter = self._meter
        return body

    def watched(self, progress: ProgressOption, label: str) -> Body:
        """The same, reporting the bytes taken from the source."""
        meter = Meter(progress, self.size, label)
        inner = self._open
        body = Body(lambda: meter.watch(inner()), size=self.size, replayable=self.replayable)
        body._meter = meter
        return body

    def close(self) -> None:
        """Take the progress bar down."""
        if self._meter is not None:
            self._meter.close()

    def __iter__(self) -> Iterator[Any]:
        self.started = True
        try:
            yield from self._open()
        except Exception as error:
            # Any error of the caller's data belongs to the caller. As it is, an OSError would pass for a lost
            # connection, and a BrokenPipeError for the end of the body.
            raise SourceFailed(error) from error


def _open_source(data: Any, block: int) -> tuple[_Opener, int | None, bool]:
    if isinstance(data, str):
        data = data.encode()
    if isinstance(data, (bytes, bytearray, memoryview)):
        return (lambda: slices(data, block)), memoryview(data).nbytes, True
    if isinstance(data, os.PathLike):
        known = os.stat(data)
        # A pipe has no size, and nothing in it a second time.
        regular = stat.S_ISREG(known.st_mode)
        return (lambda: _file_blocks(data, block)), known.st_size if regular else None, regular
    if hasattr(data, "iter_content"):
        return (lambda: response_blocks(data, block)), None, False
    if hasattr(data, "read"):
        return _open_file(data, block)
    if isinstance(data, Mapping) or not hasattr(data, "__iter__"):
        raise TypeError(
            f"cannot send a {type(data).__name__}: expected bytes, text, a file, a path or an iterable"
        )
    # Iterating a second time surely starts anew only with containers.
    return (lambda: coalesce(data, block)), None, isinstance(data, Collection)


def _file_blocks(path: os.PathLike[str], block: int) -> Iterator[bytes]:
    with open(path, "rb", buffering=0) as file:
        yield from read_blocks(file.read, block)


def _open_file(file: Any, block: int) -> tuple[_Opener, int | None, bool]:
    start = _position(file)

    def blocks() -> Iterator[bytes]:
        if start is not None:
            file.seek(start)
        yield from read_blocks(file.read, block)

    return blocks, _remaining(file, start), start is not None


def _position(file: Any) -> int | None:
    """Where a file stands that can go back there; None for pipes and the like."""
    try:
        return int(file.tell()) if file.seekable() else None
    except (AttributeError, OSError):
        return None


def _remaining(file: Any, start: int | None) -> int | None:
    if start is None or isinstance(file, io.TextIOBase):
        return None
    end = int(file.seek(0, os.SEEK_END))
    file.seek(start)
    return max(0, end - start)


def fast_compressor(level: int) -> Compressor:
    """A gzip compressor: ISA-L where it is installed and has the level, else zlib."""
    if 0 < level <= _ISAL_LEVELS:
        try:
            from isal import isal_zlib
        except ImportError:
            return gzip_compressor(level)
        compressor: Compressor = isal_zlib.compressobj(level, isal_zlib.DEFLATED, 31)
        return compressor
    return gzip_compressor(level)


def as_request_body(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of a call that must change for its body to be streamed."""
    data, files = arguments.get("data"), arguments.get("files")
    if files:
        parts = multipart.encode(data, files)
        headers = {**(arguments.get("headers") or {}), "Content-Type": parts.content_type}
        small = parts.size is not None and parts.size < _WORTH_STREAMING
        form = Body(parts.blocks, size=parts.size, replayable=parts.replayable).with_length()
        return {"data": b"".join(parts.blocks()) if small else form, "files": None, "headers": headers}
    if data is None or isinstance(data, (Body, str, bytes, list, tuple, Mapping)):
        return {}
    body = Body.of(data)
    # requests would announce an empty file as chunked, which some servers refuse.
    return {"data": b"" if body.size == 0 else body.with_length()}


def response_blocks(response: Any, block: int = BLOCK) -> Iterator[bytes]:
    """The decoded content of a streamed answer in blocks that are never empty; closes it at the end."""
    try:
        for piece in response.iter_content(block):
            if piece:
                yield piece
    finally:
        close = getattr(response, "close", None)
        if close is not None:
            close()


class ResponseReader(io.RawIOBase):
    """A streamed answer as a binary file that closes the answer when it has been read or is closed.

    Args:
        response: anything with ``iter_content``.
        blocks: its content, when that is to be read in another way.
    """

    def __init__(self, response: requests.Response, blocks: Iterator[bytes] | None = None) -> None:
        super().__init__()
        self.response = response
        self._blocks = response_blocks(response) if blocks is None else blocks
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        """Always."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill part of the buffer; 0 means the end."""
        self._require_open()
        if not self._rest:
            self._rest = memoryview(next(self._blocks, b""))
        target = memoryview(buffer).cast("B")
        count = min(len(target), len(self._rest))
        target[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count

    def readall(self) -> bytes:
        """All that is left."""
        self._require_open()
        rest, self._rest = self._rest, memoryview(b"")
        return b"".join([rest, *self._blocks])

    def _require_open(self) -> None:
        if self.closed:
            raise ValueError("I/O operation on closed file")

    def close(self) -> None:
        """Let the answer go, read or not."""
        if not self.closed:
            closer = getattr(self._blocks, "close", None)
            if closer is not None:
                closer()
            # A generator that never started does not run its own clean-up.
            response_closer = getattr(self.response, "close", None)
            if response_closer is not None:
                response_closer()
        super().close()
