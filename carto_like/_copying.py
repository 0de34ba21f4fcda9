"""What uploads and downloads of the SQL API have in common."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice
from typing import Any

import requests

from carto_like.core.client import Client
from carto_like.core.failures import Failure
from carto_like.core.options import DEFAULT_TIMEOUT
from carto_like.core.streaming import response_blocks
from carto_like.core.urls import is_loopback
from carto_like.exceptions import CartoConfigurationException, CartoTransportException
from carto_like.pure.chunks import BLOCK

__all__ = [
    "RowSource",
    "block_size",
    "blocks",
    "checked_level",
    "download",
    "known_length",
    "patience",
    "raise_for_error",
    "statement",
    "worth_compressing",
]

# The service lets a COPY run for five hours, in which it may be silent while it builds indexes.
_COPY_TIMEOUT = (10.0, 5 * 3600.0)


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


def checked_level(level: Any) -> int:
    """The level of compression, if there is such a one."""
    if not isinstance(level, int) or not -1 <= level <= 9:
        raise CartoConfigurationException(f"levels of compression go from 1 to 9, not {level!r}")
    return level


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


def statement(sql: Any) -> str:
    """A statement as text: bytes are taken for UTF-8, and objects of query builders say what they mean.

    Raises:
        CartoConfigurationException: there is none.
    """
    if sql is None:
        raise CartoConfigurationException("a statement is needed, not None")
    return sql.decode() if isinstance(sql, (bytes, bytearray)) else str(sql)


class RowSource:
    """Rows, and the names of their columns.

    Attributes:
        columns: as given, or those of the first row if that is a mapping; None for the table's own.
        replayable: whether the rows can be read a second time.
    """

    def __init__(self, rows: Iterable[Any], columns: Sequence[str] | None) -> None:
        self._rows = rows
        # Only containers surely start anew. A cursor of a database goes on where it stopped, even one that
        # makes a new iterator each time it is asked.
        self.replayable = isinstance(rows, Collection)
        self.columns = list(columns) if columns is not None else None
        if columns is not None:
            return
        source = iter(rows)
        first = list(islice(source, 1))
        if first and isinstance(first[0], Mapping):
            self.columns = list(first[0])
        if not self.replayable:
            self._rows = chain(first, source)

    def open(self) -> Iterable[Any]:
        """All rows, from the first."""
        return self._rows
