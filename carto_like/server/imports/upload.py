"""Uploads: parameters of a request, and a file that goes to disk as it comes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

import anyio
from python_multipart import MultipartParser
from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import parse_options_header
from starlette.requests import ClientDisconnect, Request

from carto_like.server.errors import Problem
from carto_like.server.imports import codes
from carto_like.server.imports.codes import ImportFailure
from carto_like.server.imports.filenames import safe_name
from carto_like.server.vizapi.bodies import FORM, parameters

_FILE_FIELDS = ("file", "filename")
_SMALL_BYTES = 1 << 20


class Upload:
    """The body of one request.

    Attributes:
        fields: parameters that were in it.
        file_name: of the file that came with it; None when none did.
        failure: why the file could not be kept; the rest of the body was read and dropped.
        is_complete: whether all of the body has come.

    Args:
        target: where the file goes.
        max_bytes: that it may have; 0 for any number.
        on_file: called with the file's name when it begins to come.
    """

    def __init__(
        self, target: Path, max_bytes: int, on_file: Callable[[str], None] = lambda name: None
    ) -> None:
        self.fields: dict[str, Any] = {}
        self.file_name: str | None = None
        self.failure: ImportFailure | None = None
        self.is_complete = False
        self._target = target
        self._max_bytes = max_bytes
        self._on_file = on_file
        self._received = 0
        self._file: BinaryIO | None = None

    async def read(self, request: Request, authorise: Any) -> None:
        """Read the body; nothing of a file is kept before ``authorise(fields)`` has returned.

        Raises:
            Problem: 400 for a body that cannot be read, 413 for parameters that are too many, and whatever
                ``authorise`` raises.
        """
        kind, options = parse_options_header(request.headers.get("content-type"))
        query_name = request.query_params.get("filename")
        try:
            if kind == b"multipart/form-data":
                await self._read_multipart(request, options.get(b"boundary", b""), authorise)
            elif query_name and kind.decode("latin-1") not in (FORM, "application/json"):
                await authorise({})
                await self._read_raw(request, query_name)
            else:
                self.fields = parameters(kind.decode("latin-1"), await self._small_body(request))
                await authorise(self.fields)
        finally:
            await asyncio.to_thread(self._close)

    async def _read_raw(self, request: Request, name: str) -> None:
        self._begin_file(name)
        async for block in self._blocks(request):
            await self._write(block)

    async def _read_multipart(self, request: Request, boundary: bytes, authorise: Any) -> None:
        parts = _Parts(boundary)
        authorised = False
        async for block in self._blocks(request):
            parts.feed(block)
            for event in parts.take():
                if isinstance(event, _Field):
                    self.fields[event.name] = event.text
                elif isinstance(event, _FileBegins):
                    if not authorised:
                        await authorise(self.fields)
                        authorised = True
                    if self.file_name is None:
                        self._begin_file(event.file_name)
                elif event:
                    await self._write(event)
        parts.finish()
        if not authorised:
            await authorise(self.fields)

    async def _blocks(self, request: Request) -> AsyncIterator[bytes]:
        while not self.is_complete:
            message = await request.receive()
            if message["type"] == "http.disconnect":
                raise ClientDisconnect
            self.is_complete = not message.get("more_body", False)
            if message.get("body"):
                yield message["body"]

    async def discard(self, request: Request, seconds: float) -> None:
        """Read what is still to come, so that the client gets to see why it was refused."""
        with anyio.move_on_after(seconds), suppress(ClientDisconnect):
            async for _ in self._blocks(request):
                continue

    async def _small_body(self, request: Request) -> bytes:
        body = bytearray()
        async for block in self._blocks(request):
            body += block
            if len(body) > _SMALL_BYTES:
                raise Problem(413, f"The parameters are larger than {_SMALL_BYTES} bytes")
        return bytes(body)

    def _begin_file(self, name: str) -> None:
        self.file_name = safe_name(name) or "upload"
        self._on_file(self.file_name)
        try:
            self._target.parent.mkdir(parents=True, mode=0o700)
            self._file = self._target.open("xb")
        except OSError as error:
            self.failure = ImportFailure(codes.UPLOAD_FAILED, error.strerror or "")

    async def _write(self, block: bytes) -> None:
        self._received += len(block)
        if self._max_bytes and self._received > self._max_bytes and self.failure is None:
            self.failure = ImportFailure(codes.FILE_TOO_LARGE, f"{self._max_bytes} bytes are allowed")
        if self.failure is not None or self._file is None:
            return
        try:
            await asyncio.to_thread(self._file.write, block)
        except OSError as error:
            self.failure = ImportFailure(codes.UPLOAD_FAILED, error.strerror or "")

    def _close(self) -> None:
        if self._file is None:
            return
        try:
            self._file.close()
        except OSError as error:
            self.failure = self.failure or ImportFailure(codes.UPLOAD_FAILED, error.strerror or "")


class _Field:
    def __init__(self, name: str, text: str) -> None:
        self.name, self.text = name, text


class _FileBegins:
    def __init__(self, file_name: str) -> None:
        self.file_name = file_name


class _Parts:
    """A multipart body, as fields, beginnings of a file and pieces of it.

    One file counts: the first under a name that files have here, or under any with a file name.
    """

    def __init__(self, boundary: bytes) -> None:
        if not boundary:
            raise Problem(400, "The multipart body has no boundary")
        self._events: list[_Field | _FileBegins | bytes] = []
        self._header_name, self._header_value = b"", b""
        self._headers: dict[bytes, bytes] = {}
        self._name, self._text = "", b""
        self._is_file, self._files, self._small = False, 0, 0
        self._ended = False
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._begin,
                "on_part_data": self._data,
                "on_part_end": self._part_ended,
                "on_header_field": self._on_header_field,
                "on_header_value": self._on_header_value,
                "on_header_end": self._header_ended,
                "on_headers_finished": self._headers_finished,
                "on_end": self._all_ended,
            },
        )

    def feed(self, block: bytes) -> None:
        """Parse a piece of the body."""
        try:
            self._parser.write(block)
        except MultipartParseError as error:
            raise Problem(400, f"The multipart body cannot be read: {error}") from None

    def take(self) -> list[_Field | _FileBegins | bytes]:
        """What has been found since the last time."""
        events, self._events = self._events, []
        return events

    def finish(self) -> None:
        """The body is over; it must have been complete."""
        if not self._ended:
            raise Problem(400, "The multipart body ends in the middle")

    def _all_ended(self) -> None:
        self._ended = True

    def _begin(self) -> None:
        self._headers, self._text, self._is_file = {}, b"", False

    def _on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._header_name += data[start:end]

    def _on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._header_value += data[start:end]

    def _header_ended(self) -> None:
        self._headers[self._header_name.lower()] = self._header_value
        self._header_name, self._header_value = b"", b""

    def _headers_finished(self) -> None:
        _, options = parse_options_header(self._headers.get(b"content-disposition"))
        self._name = options.get(b"name", b"").decode("utf-8", "replace")
        # A field without a value costs as much to keep as one with.
        self._count(100 + len(self._name))
        file_name = options.get(b"filename")
        self._is_file = file_name is not None and self._name in _FILE_FIELDS
        if self._is_file:
            self._files += 1
            if self._files == 1:
                self._events.append(_FileBegins((file_name or b"").decode("utf-8", "replace")))

    def _data(self, data: bytes, start: int, end: int) -> None:
        if self._is_file:
            if self._files == 1:
                self._events.append(data[start:end])
            return
        self._count(end - start)
        self._text += data[start:end]

    def _count(self, size: int) -> None:
        self._small += size
        if self._small > _SMALL_BYTES:
            raise Problem(413, f"The parameters are larger than {_SMALL_BYTES} bytes")

    def _part_ended(self) -> None:
        if not self._is_file:
            self._events.append(_Field(self._name, self._text.decode("utf-8", "replace")))
