"""Geometries in PostGIS' binary form (EWKB), as far as other formats need to look into them."""

from __future__ import annotations

from math import inf
from struct import Struct
from typing import NamedTuple

__all__ = ["Header", "read_header", "spatialite_blob", "without_srid"]

_Z, _M, _SRID = 0x80000000, 0x40000000, 0x20000000
_KIND = 0x0FFFFFFF
_WORD = {0: Struct(">I"), 1: Struct("<I")}
_BOX = {0: Struct(">4d"), 1: Struct("<4d")}
_POINT, _LINE, _POLYGON, _LAST_FLAT = 1, 2, 3, 7
# SpatiaLite marks the geometries inside of another by this byte, where WKB repeats the byte order.
_INSIDE = b"\x69"


class Header(NamedTuple):
    """How a geometry begins.

    Attributes:
        order: 1 for little-endian, 0 for big-endian.
        kind: 1 point, 2 line, 3 polygon, 4 to 6 several of them, 7 collection, above that curves and solids.
        has_z: whether it has heights.
        has_m: whether it has measures.
        srid: its reference system, 0 when it has none.
    """

    order: int
    kind: int
    has_z: bool
    has_m: bool
    srid: int


def read_header(data: bytes) -> Header:
    """The header of a geometry in EWKB; raises ValueError for something else."""
    if len(data) < 9 or data[0] > 1:
        raise ValueError("this is no geometry in EWKB")
    order = data[0]
    word = _WORD[order]
    (kind,) = word.unpack_from(data, 1)
    srid = word.unpack_from(data, 5)[0] if kind & _SRID else 0
    return Header(order, kind & _KIND, bool(kind & _Z), bool(kind & _M), srid)


def without_srid(data: bytes) -> bytes:
    """The geometry without the SRID in its header; the WKB that all programs read."""
    word = _WORD[data[0]]
    (kind,) = word.unpack_from(data, 1)
    if not kind & _SRID:
        return data
    return data[:1] + word.pack(kind & ~_SRID) + data[9:]


def spatialite_blob(data: bytes) -> bytes | None:
    """The geometry in the form of SpatiaLite; None when it is empty.

    Raises:
        ValueError: SpatiaLite has no such kind of geometry: a curve or a solid.
    """
    header = read_header(data)
    walk = _Walk(without_srid(data), header.order)
    body = walk.geometry()
    if walk.box[0] > walk.box[2]:
        return None
    order = bytes([header.order])
    return b"".join(
        (
            b"\x00" + order,
            _WORD[header.order].pack(header.srid),
            _BOX[header.order].pack(*walk.box),
            b"\x7c",
            body,
            b"\xfe",
        )
    )


class _Walk:
    """Goes through a geometry once: rewrites its headers, and learns its box."""

    def __init__(self, data: bytes, order: int) -> None:
        self._data = data
        self._place = 0
        self._word = _WORD[order]
        self._pairs = {size: Struct(f"{'<' if order else '>'}2d{8 * (size - 2)}x") for size in (2, 3, 4)}
        self.box = [inf, inf, -inf, -inf]

    def geometry(self) -> bytes:
        """The geometry that begins here: its type and what follows, without the byte order."""
        self._place += 1
        word = self._next()
        kind = word & _KIND
        size = 2 + bool(word & _Z) + bool(word & _M)
        head = self._word.pack(kind + 1000 * bool(word & _Z) + 2000 * bool(word & _M))
        if kind == _POINT:
            return head + self._points(1, size)
        if kind == _LINE:
            return head + self._counted(size)
        count = self._next()
        head += self._word.pack(count)
        if kind == _POLYGON:
            return head + b"".join(self._counted(size) for _ in range(count))
        if kind > _LAST_FLAT:
            raise ValueError("SpatiaLite has no curves and no solids")
        return head + b"".join(_INSIDE + self.geometry() for _ in range(count))

    def _next(self) -> int:
        (value,) = self._word.unpack_from(self._data, self._place)
        self._place += 4
        return int(value)

    def _counted(self, size: int) -> bytes:
        count = self._next()
        return self._word.pack(count) + self._points(count, size)

    def _points(self, count: int, size: int) -> bytes:
        end = self._place + 8 * size * count
        raw = self._data[self._place : end]
        self._place = end
        box = self.box
        for x, y in self._pairs[size].iter_unpack(raw):
            if x == x and y == y:
                box[:] = min(box[0], x), min(box[1], y), max(box[2], x), max(box[3], y)
        return raw
