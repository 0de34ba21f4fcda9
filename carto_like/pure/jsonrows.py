"""Reading the objects of one array in a JSON document while the document is still arriving."""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterable, Iterator
from json.decoder import WHITESPACE  # type: ignore[attr-defined]
from typing import Any

__all__ = ["JsonRows"]

_DECODER = json.JSONDecoder()
_ENDS = frozenset(",]} \t\r\n")


class JsonRows:
    """Iterates over ``document[key]``, an array; holds one block and one row at a time.

    Args:
        blocks: the document in UTF-8, cut anywhere.
        key: name of the array in the outermost object.

    Attributes:
        rest: every other member of the outermost object, complete once iteration has ended.

    Raises:
        ValueError: while iterating, when the document is not JSON of this shape, or ends too early.
    """

    def __init__(self, blocks: Iterable[bytes], key: str = "rows") -> None:
        self._blocks = iter(blocks)
        self._decode = codecs.getincrementaldecoder("utf-8")().decode
        self._key = key
        self._text = ""
        self._at = 0
        self._ended = False
        self.rest: dict[str, Any] = {}

    def __iter__(self) -> Iterator[Any]:
        self._expect("{")
        if self._peek() == "}":
            return
        while True:
            name = self._value()
            self._expect(":")
            if name == self._key and self._peek() == "[":
                yield from self._items()
            else:
                self.rest[name] = self._value()
            if self._expect(",}") == "}":
                return

    def _items(self) -> Iterator[Any]:
        self._expect("[")
        if self._peek() == "]":
            self._at += 1
            return
        while True:
            yield from self._items_in_sight()
            yield self._value()
            if self._expect(",]") == "]":
                return

    def _items_in_sight(self) -> Iterator[Any]:
        """Items that lie complete in the text at hand and are followed by another, without white space."""
        text, at, decode = self._text, self._at, _DECODER.raw_decode
        while True:
            try:
                value, end = decode(text, at)
            except json.JSONDecodeError:
                break
            if text[end : end + 1] != ",":
                break
            at = end + 1
            self._at = at
            yield value

    def _peek(self) -> str:
        """The next character that is not white space."""
        while True:
            self._at = WHITESPACE.match(self._text, self._at).end()
            if self._at < len(self._text):
                return self._text[self._at]
            if not self._more(1):
                raise ValueError("the document ends too early")

    def _expect(self, allowed: str) -> str:
        found = self._peek()
        if found not in allowed:
            raise ValueError(f"expected one of {allowed!r}, found {found!r}")
        self._at += 1
        return found

    def _value(self) -> Any:
        first = self._peek()
        while True:
            try:
                value, end = _DECODER.raw_decode(self._text, self._at)
            except json.JSONDecodeError:
                # Cut in the middle, it seems. Waiting for as much again keeps a huge value from being
                # parsed from its start once per block.
                if not self._more(len(self._text) - self._at):
                    raise
                continue
            # A number may go on in the next block, unless something that ends it is in sight.
            if first in '{["' or self._text[end : end + 1] in _ENDS or not self._more(1):
                self._at = end
                return value

    def _more(self, wanted: int) -> bool:
        """Read so many more characters; False when there are none."""
        parts = [self._text[self._at :]]
        self._at = 0
        gained = 0
        while gained < wanted and not self._ended:
            block = next(self._blocks, None)
            self._ended = block is None
            text = self._decode(block or b"", self._ended)
            parts.append(text)
            gained += len(text)
        self._text = "".join(parts)
        return gained > 0
