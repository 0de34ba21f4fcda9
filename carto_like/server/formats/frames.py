"""How rows travel to the process that writes a file: frames of a length and marshalled data.

Both ends are this package on one interpreter, so the quickest form will do.
"""

from __future__ import annotations

import marshal
from collections.abc import Iterator
from struct import Struct
from typing import IO, Any

_LENGTH = Struct(">I")
# Ends the rows: without it the sender broke off.
END = _LENGTH.pack(0)


class BrokenOffError(Exception):
    """The sender went away before its last row."""


def frame(value: Any) -> bytes:
    """A value of built-in types as a frame."""
    data = marshal.dumps(value)
    return _LENGTH.pack(len(data)) + data


def read_frames(source: IO[bytes]) -> Iterator[Any]:
    """The values of all frames up to the end; raises BrokenOffError when there is no end."""
    while True:
        head = source.read(_LENGTH.size)
        if len(head) < _LENGTH.size:
            raise BrokenOffError
        (length,) = _LENGTH.unpack(head)
        if not length:
            return
        data = source.read(length)
        if len(data) < length:
            raise BrokenOffError
        yield marshal.loads(data)
