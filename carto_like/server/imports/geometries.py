"""Geometries of many rows on their way to COPY."""

from __future__ import annotations

import binascii
import struct
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from carto_like.server.imports import codes
from carto_like.server.imports.rows import NULL, Unreadable
from carto_like.server.imports.wkb import LINE, POLYGON, HasCollection, as_stored

# A flat point and the flat collections are stored as they come.
_AS_THEY_COME = (1, 4, 5, 6)
_HEADER = 5
# The beginning of a collection of one, in hex: byte order, kind, count.
_COLLECTED = {LINE: "010500000001000000", POLYGON: "010600000001000000"}


def geometry_cells(column: pa.Array) -> pa.Array:
    """A column of well-known binary as COPY reads it, as datasets hold it.

    Raises:
        Unreadable: it holds collections of unlike geometries, or is damaged.
    """
    if isinstance(column, pa.ExtensionArray):
        column = column.storage
    wide = column.cast(pa.large_binary())
    kinds = _kinds(wide)
    if kinds is None:
        return pa.array(as_hex(wide.to_pylist()), pa.large_string())
    cells = _in_hex(wide)
    if np.isin(kinds, list(_COLLECTED)).any():
        beginnings = pa.array(["", *_COLLECTED.values()], pa.large_string())
        which = sum((kinds == kind) * number for number, kind in enumerate(_COLLECTED, 1))
        cells = pc.binary_join_element_wise(
            beginnings.take(pa.array(which)), cells, pa.scalar("", pa.large_string())
        )
    if wide.null_count:
        cells = pc.if_else(wide.is_valid(), cells, pa.scalar(NULL, pa.large_string()))
    return cells


def as_hex(wkbs: Sequence[bytes | None]) -> list[str]:
    """The same of a list, one by one."""
    try:
        return [NULL if wkb is None else as_stored(wkb).hex() for wkb in wkbs]
    except HasCollection:
        raise Unreadable(codes.COLLECTIONS) from None
    except (ValueError, IndexError, struct.error):
        raise Unreadable(codes.BAD_GEOMETRY, "It is no well-known binary of this kind") from None


def _kinds(column: pa.LargeBinaryArray) -> np.ndarray | None:
    """The kind of each geometry, 0 for none; None when some have to be looked at one by one."""
    offsets, data = _buffers(column)
    lengths = np.diff(offsets)
    there = lengths > 0
    if (there != column.is_valid().to_numpy(zero_copy_only=False)).any() or (lengths[there] < _HEADER).any():
        return None
    starts = offsets[:-1][there]
    orders, low = data[starts], data[starts + 1]
    high = data[starts + 2] | data[starts + 3] | data[starts + 4]
    if (orders != 1).any() or high.any() or not np.isin(low, (*_AS_THEY_COME, *_COLLECTED)).all():
        return None
    kinds = np.zeros(len(column), np.int64)
    kinds[there] = low
    return kinds


def _in_hex(column: pa.LargeBinaryArray) -> pa.LargeStringArray:
    """All of it at once: each byte becomes two characters, so places only double."""
    offsets, data = _buffers(column)
    text = binascii.hexlify(data[offsets[0] : offsets[-1]].data)
    places = (offsets - offsets[0]) * 2
    return pa.LargeStringArray.from_buffers(len(column), pa.py_buffer(places), pa.py_buffer(text))


def _buffers(column: pa.LargeBinaryArray) -> tuple[np.ndarray, np.ndarray]:
    _, places, content = column.buffers()
    offsets = np.frombuffer(places, np.int64)[column.offset : column.offset + len(column) + 1]
    return offsets, np.frombuffer(content or b"", np.uint8)
