"""A query's rows as columns of numbers and texts in binary blocks, ready for a browser's typed arrays.

A block is its type and the length of its content, four bytes each, big-endian, then the content, filled up
with zeros to a multiple of four bytes, which the length does not count. Numbers are little-endian, texts
UTF-16 little-endian, and a block of the type BUFFER holds further blocks. The document is a sequence of
blocks: the names of the columns, then one block for each column.
"""

from __future__ import annotations

import asyncio
import re
import sys
from array import array
from collections.abc import Iterable, Sequence
from contextlib import aclosing
from struct import Struct
from typing import IO

from carto_like.server.errors import Problem
from carto_like.server.formats.memory import batches, in_file
from carto_like.server.services.answers import Query
from carto_like.server.sqlapi.arrays import Nested, parse_array
from carto_like.server.sqlapi.results import Columns, Row
from carto_like.server.sqlapi.types import Types
from carto_like.server.sqlapi.values import NUMBERS
from carto_like.server.sqlapi.wire import Connection

# What a suffix of a column's name asks for: the type of the block, and the code of the array's items.
_SUFFIXES = {
    "int8": (1, "b"),
    "uint8": (2, "B"),
    "int16": (4, "h"),
    "uint16": (5, "H"),
    "int32": (6, "i"),
    "uint32": (7, "I"),
    "float32": (8, "f"),
}
_FLOATS = _SUFFIXES["float32"]
_TEXT, _BUFFER = 10, 11
_SUFFIX = re.compile(rf"__({'|'.join(_SUFFIXES)})\Z")
_HEAD = Struct(">II")
_LARGEST = 3.4028234663852886e38
_BOOLEANS = {"t": 1.0, "f": 0.0}

_GEOMETRY = "geometry types are not supported"


async def export_arraybuffer(conn: Connection, query: Query, types: Types, limit: int) -> IO[bytes]:
    """The rows as binary blocks, open at their beginning; nothing when there are no rows.

    Args:
        conn: the connection.
        query: the query, without a column ``the_geom``.
        types: the types of the database.
        limit: characters of text that the rows may have, 0 for any.

    Raises:
        Problem: the query fails, or has a geometry.
    """
    rows: list[Row] = []
    columns: Columns | None = None
    async with aclosing(batches(conn, query.sql, query, limit)) as stream:
        async for event in stream:
            if isinstance(event, list):
                rows += event
            else:
                columns = event
                rows = []
                if "the_geom" in event.names and "the_geom" not in query.skip:
                    raise Problem(400, _GEOMETRY)
    if columns is None or not rows:
        return in_file(b"")
    return in_file(await asyncio.to_thread(_document, columns, rows, query.skip, types))


def _document(columns: Columns, rows: Sequence[Row], skip: frozenset[str], types: Types) -> bytes:
    places = {name: place for place, name in enumerate(columns.names) if name not in skip}
    blocks = [_texts(places)]
    for name, place in places.items():
        values = [row[place] for row in rows]
        kind = types.name(columns.oids[place]) or ""
        if kind.startswith("_"):
            nested = [parse_array(value) if value else [] for value in values]
            blocks.append(_nested(nested, name, numeric=kind[1:] in NUMBERS))
        elif kind in NUMBERS or kind == "bool":
            blocks.append(_numbers(values, name))
        else:
            blocks.append(_texts(values))
    return b"".join(blocks)


def _block(kind: int, content: bytes) -> bytes:
    return _HEAD.pack(kind, len(content)) + content + bytes(-len(content) % 4)


def _texts(texts: Iterable[str | None]) -> bytes:
    return _block(_BUFFER, b"".join(_block(_TEXT, (text or "").encode("utf-16-le")) for text in texts))


def _nested(arrays: Sequence[Sequence[Nested]], name: str, *, numeric: bool) -> bytes:
    """A block of blocks, one for each array; further dimensions nest further."""
    blocks = []
    for items in arrays:
        inner = [item for item in items if isinstance(item, list)]
        leaves = [item for item in items if not isinstance(item, list)]
        if inner:
            blocks.append(_nested(inner, name, numeric=numeric))
        else:
            blocks.append(_numbers(leaves, name) if numeric else _texts(leaves))
    return _block(_BUFFER, b"".join(blocks))


def _numbers(values: Iterable[str | None], name: str) -> bytes:
    """Numbers of the type that the column's name asks for; too large ones wrap around, as in a browser."""
    suffix = _SUFFIX.search(name)
    kind, code = _SUFFIXES[suffix.group(1)] if suffix else _FLOATS
    numbers = (_number(value) for value in values)
    if code == "f":
        packed = array(code, (_narrow(number) for number in numbers))
    else:
        bits = 8 * array(code).itemsize
        packed = array(code, (_wrap(number, bits, signed=code.islower()) for number in numbers))
    if sys.byteorder == "big":
        packed.byteswap()
    return _block(kind, packed.tobytes())


def _number(text: str | None) -> float:
    if text is None:
        return float("nan")
    return _BOOLEANS[text] if text in _BOOLEANS else float(text)


def _narrow(number: float) -> float:
    return number if abs(number) <= _LARGEST or number != number else number * float("inf")


def _wrap(number: float, bits: int, *, signed: bool) -> int:
    if number != number or number in (float("inf"), float("-inf")):
        return 0
    wrapped = int(number) % (1 << bits)
    return wrapped - (1 << bits) if signed and wrapped >> (bits - 1) else wrapped
