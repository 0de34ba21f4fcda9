"""What uploads and downloads of the SQL API have in common."""

from __future__ import annotations

import codecs
import json
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import chain
from typing import Any

import requests

from carto_like.core._pyrestcli import RestException
from carto_like.core.client import Client
from carto_like.core.errors import SdkError
from carto_like.core.failures import Failure
from carto_like.core.options import DEFAULT_TIMEOUT
from carto_like.core.streaming import response_blocks
from carto_like.core.urls import is_loopback
from carto_like.exceptions import CartoException, CartoTransportException, PartialResultException
from carto_like.pure.chunks import BLOCK

__all__ = [
    "RowSource",
    "as_text",
    "block_size",
    "blocks",
    "carto_errors",
    "complete_blocks",
    "download",
    "known_length",
    "patience",
    "raise_for_error",
    "worth_compressing",
]

# The service lets a COPY run for five hours, in which it may be silent while it builds indexes.
_COPY_TIMEOUT = (10.0, 5 * 3600.0)
# An error appended to the data is shorter than this.
_TAIL = 32 * 1024
_APPENDED = b'{"error":'


@contextmanager
def carto_errors() -> Iterator[None]:
    """Let nothing out but CARTO's errors, whatever kind of client is in use."""
    try:
        yield
    except CartoException:
        raise
    except (RestException, SdkError, requests.RequestException) as error:
        raise CartoException(error) from error


def patience(client: Any) -> dict[str, Any]:
    """The timeout of a COPY, unless the client was given one of its own."""
    return {"timeout": _COPY_TIMEOUT} if getattr(client, "timeout", None) == DEFAULT_TIMEOUT else {}


def download(client: Any) -> dict[str, Any]:
    """Arguments for an answer that is read while it arrives."""
    options: dict[str, Any] = {"stream": True}
    if is_loopback(client.base_url):
        # Nothing travels, so compressing would only cost both ends their time.
        options["headers"] = {"Accept-Encoding": "identity"}
    return options


def worth_compressing(compress: Any, base_url: str) -> bool:
    """Whether to compress an upload to this server."""
    return compress == "always" or (bool(compress) and not is_loopback(base_url))


def block_size(least: int) -> int:
    """How much to read at once."""
    return max(least, BLOCK)


def raise_for_error(client: Any, response: requests.Response) -> None:
    """Raise what a streamed answer says, if it is an error."""
    if response.status_code >= 400:
        try:
            client.get_response_data(response)
        finally:
            response.close()


def known_length(response: requests.Response) -> int | None:
    """Bytes of the content, if the server told."""
    length = response.headers.get("Content-Length", "")
    return int(length) if length.isdigit() and "Content-Encoding" not in response.headers else None


def blocks(client: Any, response: requests.Response) -> Iterator[bytes]:
    """The content of an answer; a connection that breaks is reported as CARTO's error."""
    failure: Failure | None = None
    try:
        yield from response_blocks(response)
    except requests.RequestException as error:
        arguments = {"method": "reading", "url": response.url}
        failure = Failure.of(error, arguments, client.secrets() if isinstance(client, Client) else ())
    # Outside of the handler, so that the original, which may quote the key, is not kept as context.
    if failure is not None:
        raised = client.make_failure(failure) if isinstance(client, Client) else CartoTransportException()
        raised.args = (failure.cause,)
        raise raised from failure.cause


def complete_blocks(client: Any, response: requests.Response) -> Iterator[bytes]:
    """The data of a COPY; an error that the server appended to them is raised, not delivered.

    Data always end in a new line, or in the trailer of the binary format, so the two cannot be confused.
    """
    held: deque[bytes] = deque()
    size = 0
    for block in blocks(client, response):
        held.append(block)
        size += len(block)
        while size - len(held[0]) >= _TAIL:
            size -= len(held[0])
            yield held.popleft()
    _raise_appended(b"".join(held)[-_TAIL:])
    yield from held


def _raise_appended(tail: bytes) -> None:
    start = tail.rfind(_APPENDED)
    if start < 0 or not tail.endswith(b"}"):
        return
    try:
        said = json.loads(tail[start:])
    except ValueError:
        return
    error = PartialResultException(said["error"])
    error.detail, error.hint, error.context = said.get("detail"), said.get("hint"), said.get("context")
    raise error


def as_text(data: Iterable[bytes]) -> Iterator[str]:
    """UTF-8 decoded, wherever it was cut."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    for block in data:
        yield decoder.decode(block)
    yield decoder.decode(b"", final=True)


class RowSource:
    """Rows, and the names of their columns.

    Attributes:
        columns: as given, or those of the first row if that is a mapping; None for the table's own.
        replayable: whether the rows can be read a second time.
    """

    def __init__(self, rows: Iterable[Any], columns: Sequence[str] | None) -> None:
        self._rows = rows
        self.replayable = iter(rows) is not rows
        self.columns = list(columns) if columns is not None else None
        if columns is not None:
            return
        source = iter(rows)
        first = next(source, None)
        if isinstance(first, Mapping):
            self.columns = list(first)
        if not self.replayable:
            self._rows = () if first is None else chain([first], source)

    def open(self) -> Iterable[Any]:
        """All rows, from the first."""
        return self._rows
