"""Geometries as datasets have them, made from well-known binary: flat, and lines and polygons collected."""

from __future__ import annotations

from array import array
from struct import pack, unpack_from

POINT, LINE, POLYGON, COLLECTION = 1, 2, 3, 7
_COLLECTED = {LINE: 5, POLYGON: 6}


class HasCollection(ValueError):
    """The geometry is, or holds, a collection of unlike geometries."""


def as_stored(wkb: bytes) -> bytes:
    """The geometry in two dimensions, a line or polygon as a collection of one.

    Raises:
        HasCollection: it is a collection, for which datasets have no place.
    """
    kind = int.from_bytes(wkb[1:5], "little")
    if kind % 1000 == COLLECTION:
        raise HasCollection
    flat = wkb if kind < 1000 else _flat(wkb, 0)[0]
    kind %= 1000
    if kind in _COLLECTED:
        return _head(_COLLECTED[kind]) + pack("<I", 1) + flat
    return flat


def _head(kind: int) -> bytes:
    return pack("<BI", 1, kind)


def _flat(wkb: bytes, start: int) -> tuple[bytes, int]:
    """The geometry that starts there (GDAL writes little-endian ISO), and where the next one does."""
    (code,) = unpack_from("<I", wkb, start + 1)
    kind, dimensions = code % 1000, (2, 3, 3, 4)[code // 1000]
    at = start + 5
    if kind == POINT:
        flat, at = _points(wkb, at, 1, dimensions)
        return _head(kind) + flat, at
    (count,) = unpack_from("<I", wkb, at)
    at += 4
    if kind == LINE:
        flat, at = _points(wkb, at, count, dimensions)
        return _head(kind) + pack("<I", count) + flat, at
    pieces = [_head(kind), pack("<I", count)]
    for _ in range(count):
        if kind == POLYGON:
            (points,) = unpack_from("<I", wkb, at)
            flat, at = _points(wkb, at + 4, points, dimensions)
            flat = pack("<I", points) + flat
        else:
            flat, at = _flat(wkb, at)
        pieces.append(flat)
    return b"".join(pieces), at


def _points(wkb: bytes, at: int, count: int, dimensions: int) -> tuple[bytes, int]:
    end = at + 8 * count * dimensions
    given = array("d", wkb[at:end])
    if len(given) != count * dimensions:
        raise ValueError("the geometry ends in the middle")
    flat = array("d", bytes(16 * count))
    flat[0::2], flat[1::2] = given[0::dimensions], given[1::dimensions]
    return flat.tobytes(), end
