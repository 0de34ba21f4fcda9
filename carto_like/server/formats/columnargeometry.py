"""Columns of geometries on their way to Arrow, and what is to be told of them in the end."""

from __future__ import annotations

import binascii
from math import inf
from typing import Any

import numpy as np
import pyarrow as pa

from carto_like.server.errors import Problem

_NAMES = {
    1: "Point",
    2: "LineString",
    3: "Polygon",
    4: "MultiPoint",
    5: "MultiLineString",
    6: "MultiPolygon",
    7: "GeometryCollection",
}
_HEAD = 5
_PAIR = 16

Column = Any
"""An array of Arrow, whose library has no types to check."""


def from_hex(column: Column) -> Column:
    """The bytes that a column of hexadecimal text stands for, all at once."""
    offsets, data = _parts(column)
    raw = binascii.unhexlify(memoryview(data)[offsets[0] : offsets[-1]]) if len(column) else b""
    places = pa.py_buffer(np.ascontiguousarray((offsets - offsets[0]) // 2, dtype=np.int32))
    valid = None
    if column.null_count:
        bits = np.packbits(column.is_valid().to_numpy(zero_copy_only=False), bitorder="little")
        valid = pa.py_buffer(bits)
    return pa.Array.from_buffers(pa.binary(), len(column), [valid, places, pa.py_buffer(raw)])


def _parts(column: Column) -> tuple[Any, Any]:
    """Where the values of a column begin and end, and all of their bytes."""
    _, places, data = column.buffers()
    count = len(column) + 1
    if places is None:
        return np.zeros(count, np.int32), b""
    offsets = np.frombuffer(places, np.int32, count, column.offset * 4)
    return offsets, data if data is not None else b""


class Geometries:
    """What is known of one column of geometries, from the rows so far.

    Attributes:
        name: name of the column.
        srid: number of its reference system, 0 for none.
        box: least and greatest x and y, ``[x, y, x, y]``; None as long as there is no geometry.
    """

    def __init__(self, name: str, srid: int) -> None:
        self.name = name
        self.srid = srid
        self._known = bool(srid)
        self._codes: set[int] = set()
        self._box = [inf, inf, -inf, -inf]

    @property
    def box(self) -> list[float] | None:
        """See the class."""
        return self._box if self._box[0] <= self._box[2] else None

    @property
    def kinds(self) -> list[str]:
        """The kinds of geometry, in the words of GeoParquet."""
        return sorted(_NAMES[code % 1000] + " Z" * (code // 1000) for code in self._codes)

    def take(self, wkb: Column, boxes: Column, srids: Column | None) -> Column:
        """The geometries of some rows as bytes.

        Args:
            wkb: WKB in hexadecimal.
            boxes: the corners of all but points, as big-endian numbers in hexadecimal.
            srids: numbers of reference systems, None when that is declared.

        Raises:
            Problem: 400, the column holds what neither format has.
        """
        if srids is not None:
            self._look_at_srids(srids)
        shapes = from_hex(wkb)
        offsets, data = _parts(shapes)
        starts = offsets[:-1][np.diff(offsets) > 0]
        if len(starts):
            self._look_at_shapes(starts, np.frombuffer(data, np.uint8))
        corners = from_hex(boxes.drop_null())
        if len(corners):
            flat = np.frombuffer(_parts(corners)[1], ">f8").reshape(-1, 4)
            self._widen(flat[:, :2].min(0), flat[:, 2:].max(0))
        return shapes

    def _look_at_srids(self, srids: Column) -> None:
        found = [int(srid) for srid in srids.drop_null().unique().to_pylist()]
        if found and not self._known:
            self.srid, self._known = found[0], True
        others = sorted({*found, self.srid}) if found else []
        if len(others) > 1:
            raise Problem(
                400,
                f'The geometries of "{self.name}" are in several reference systems'
                f" ({', '.join(map(str, others))}): bring them into one with ST_Transform",
            )

    def _look_at_shapes(self, starts: Any, data: Any) -> None:
        codes = data[starts + 1].astype(np.int64)
        for place in (1, 2, 3):
            codes |= data[starts + 1 + place].astype(np.int64) << (8 * place)
        found = {int(code) for code in np.unique(codes)}
        strange = {code for code in found - self._codes if code % 1000 not in _NAMES or code // 1000 > 1}
        if strange:
            raise Problem(400, f'"{self.name}" has geometries that are neither points, lines nor polygons')
        self._codes |= found
        points = starts[codes % 1000 == 1]
        if len(points):
            pairs = data[points[:, None] + np.arange(_HEAD, _HEAD + _PAIR)].view("<f8")
            pairs = pairs[~np.isnan(pairs[:, 0])]
            if len(pairs):
                self._widen(pairs.min(0), pairs.max(0))

    def _widen(self, least: Any, most: Any) -> None:
        x, y, far_x, far_y = self._box
        self._box = [
            min(x, float(least[0])),
            min(y, float(least[1])),
            max(far_x, float(most[0])),
            max(far_y, float(most[1])),
        ]
