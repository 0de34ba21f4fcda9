"""Form uploads that read their files while they are sent, where requests would hold them in memory."""

from __future__ import annotations

import io
import os
import secrets
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from urllib3.fields import RequestField

from carto_like.pure.chunks import BLOCK, read_blocks

__all__ = ["Parts", "encode"]


@dataclass(frozen=True)
class Parts:
    """A multipart body: how to produce it, its size, and the header that goes with it."""

    blocks: Callable[[], Iterator[bytes]]
    size: int | None
    replayable: bool
    content_type: str


@dataclass(frozen=True)
class _Part:
    head: bytes
    content: bytes | Any
    start: int | None
    size: int | None

    def blocks(self) -> Iterator[bytes]:
        yield self.head
        if isinstance(self.content, bytes):
            yield self.content
        else:
            if self.start is not None:
                self.content.seek(self.start)
            yield from read_blocks(self.content.read, BLOCK)
        yield b"\r\n"

    @property
    def whole_size(self) -> int | None:
        return None if self.size is None else len(self.head) + self.size + 2


def encode(data: Any, files: Any) -> Parts:
    """Requests' ``data`` and ``files`` as one body; files are read from where they stand."""
    boundary = secrets.token_hex(16)
    parts = [_field(name, value, boundary) for name, value in _fields(data)]
    parts += [_file(name, value, boundary) for name, value in _pairs(files)]
    end = f"--{boundary}--\r\n".encode()
    sizes = [part.whole_size for part in parts]

    def blocks() -> Iterator[bytes]:
        for part in parts:
            yield from part.blocks()
        yield end

    return Parts(
        blocks,
        None if None in sizes else sum(size or 0 for size in sizes) + len(end),
        all(isinstance(part.content, bytes) or part.start is not None for part in parts),
        f"multipart/form-data; boundary={boundary}",
    )


def _pairs(values: Any) -> list[tuple[str, Any]]:
    pairs = values.items() if isinstance(values, Mapping) else values or ()
    return [(name, value) for name, value in pairs if value is not None]


def _fields(values: Any) -> Iterator[tuple[str, Any]]:
    for name, value in _pairs(values):
        for item in value if isinstance(value, (list, tuple)) else (value,):
            yield name, item


def _field(name: str, value: Any, boundary: str) -> _Part:
    content = value if isinstance(value, bytes) else str(value).encode()
    return _Part(_head(boundary, RequestField(name, b"")), content, None, len(content))


def _file(name: str, value: Any, boundary: str) -> _Part:
    file_name, content, content_type, headers = _file_parts(value)
    field = RequestField(name, b"", filename=file_name or name, headers=headers)
    head = _head(boundary, field, content_type)
    if isinstance(content, (str, bytes, bytearray)):
        content = content.encode() if isinstance(content, str) else bytes(content)
        return _Part(head, content, None, len(content))
    start = content.tell() if hasattr(content, "seekable") and content.seekable() else None
    size = None
    if start is not None and not isinstance(content, io.TextIOBase):
        size = content.seek(0, os.SEEK_END) - start
        content.seek(start)
    return _Part(head, content, start, size)


def _file_parts(value: Any) -> tuple[str | None, Any, str | None, Any]:
    if isinstance(value, (tuple, list)):
        name, content, *rest = value
        content_type, headers = [*rest, None, None][:2]
        return name, content, content_type, headers
    path = getattr(value, "name", None)
    return (os.path.basename(path) if isinstance(path, str) else None), value, None, None


def _head(boundary: str, field: RequestField, content_type: str | None = None) -> bytes:
    field.make_multipart(content_type=content_type)
    return f"--{boundary}\r\n{field.render_headers()}".encode()
