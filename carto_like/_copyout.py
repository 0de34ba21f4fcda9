"""The data of a COPY on their way out, with the errors that come in their midst."""

from __future__ import annotations

import codecs
import json
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any

import requests
from requests.utils import stream_decode_response_unicode

from carto_like.exceptions import PartialResultException

__all__ = ["CopyResponse", "as_text"]

# An error appended to the data is shorter than this.
_TAIL = 32 * 1024
_APPENDED = b'{"error":'


class CopyResponse(requests.Response):
    """The answer to ``COPY ... TO STDOUT``, which raises an error that the server appended to the data.

    Every way to read it does, but for ``raw``. The error comes instead of the last 32 KB of data.
    """

    @classmethod
    def of(cls, response: Any) -> requests.Response:
        """This kind of answer in place of a plain one, which is not to be used any more."""
        if not isinstance(response, requests.Response):
            # What stands in for an answer in somebody's tests.
            return response  # type: ignore[no-any-return]
        answer = cls()
        vars(answer).update(vars(response))
        return answer

    def iter_content(self, chunk_size: int | None = 1, decode_unicode: bool = False) -> Iterator[Any]:
        """The content in pieces.

        Raises:
            PartialResultException: at the end, when the statement failed after the first data were sent.
        """
        pieces = _without_appended_error(super().iter_content(chunk_size))
        if not decode_unicode:
            return pieces
        decoded: Iterator[Any] = stream_decode_response_unicode(pieces, self)  # type: ignore[no-untyped-call]
        return decoded


def _without_appended_error(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The same pieces, unless they end in an error, which is raised.

    Data always end in a new line, or in the trailer of the binary format, so the two cannot be confused.
    """
    held: deque[bytes] = deque()
    size = 0
    for piece in pieces:
        held.append(piece)
        size += len(piece)
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
