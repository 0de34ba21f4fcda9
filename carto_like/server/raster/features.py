"""Features of Mapnik from rows: with as few calls as its interface allows, since rows are many."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator, Sequence
from itertools import repeat
from typing import Any

import mapnik

from .likeness import Likeness
from .renderer import Batch

# A point. Mapnik reads past the end of what is shorter.
_SHORTEST_WKB = 21
_POINT = b"\x01\x01\x00\x00\x00"
_PLACES = struct.Struct("<5sdd")
_HEAD = struct.Struct("<BII")
_MULTIPOINT = 4
# Mapnik counts in 64 bits.
_LIMIT = 2**63
_PLAIN = frozenset([str, float, bool, type(None)])


def fill(source: Any, columns: Sequence[str], rows: Batch, number: int, likeness: Likeness | None) -> int:
    """Add rows to a data source.

    Args:
        source: a ``MemoryDatasource``.
        columns: names of what follows the geometry in each row.
        rows: two-dimensional WKB and attributes. What cannot be drawn (unreadable, empty, without an end) is
            left out.
        number: of the row before these; rows are numbered.
        likeness: which points are drawn alike: neighbours of one kind become one feature of many points. None
            makes each row a feature.

    Returns:
        The number of the last row.
    """
    context = mapnik.Context()
    for column in columns:
        context.push(column)
    fits = [(column, _fitting([row[at] for row in rows])) for at, column in enumerate(columns, 1)]
    add, feature_of = source.add_feature, mapnik.Feature
    start = 0
    for geometry, count in _geometries(rows, likeness):
        if geometry is not None:
            feature = feature_of(context, number + start + 1)
            feature.geometry = geometry
            for column, values in fits:
                feature[column] = values[start]
            add(feature)
        start += count
    return number + len(rows)


def _geometries(rows: Batch, likeness: Likeness | None) -> Iterator[tuple[Any, int]]:
    """The geometries, None for what cannot be drawn, and of each how many rows it stands for."""
    shapes = [row[0] for row in rows]
    if not _are_points(shapes):
        yield from zip(map(_geometry, shapes), repeat(1))
        return
    from_wkb = mapnik.Geometry.from_wkb
    runs = likeness.runs(rows) if likeness is not None else None
    if runs is None:
        yield from zip(map(from_wkb, shapes), repeat(1))
        return
    start = 0
    for count in runs:
        if count == 1:
            yield from_wkb(shapes[start]), 1
        else:
            head = _HEAD.pack(1, _MULTIPOINT, count)
            yield from_wkb(head + b"".join(shapes[start : start + count])), count
        start += count


def _are_points(shapes: Sequence[bytes | None]) -> bool:
    """Whether all are points with coordinates that have an end; each for itself would take longer."""
    if any(shape is None or len(shape) != _SHORTEST_WKB for shape in shapes):
        return False
    # Only of numbers that have an end is the difference from themselves zero.
    places = _PLACES.iter_unpack(b"".join(shape for shape in shapes if shape))
    return all(kind == _POINT and x - x == y - y == 0 for kind, x, y in places)


def _geometry(wkb: bytes | None) -> Any:
    if wkb is None or len(wkb) < _SHORTEST_WKB:
        return None
    if len(wkb) == _SHORTEST_WKB and wkb.startswith(_POINT):
        # Mapnik takes longer to tell a point's envelope than to draw it.
        return mapnik.Geometry.from_wkb(wkb) if _are_points([wkb]) else None
    try:
        geometry = mapnik.Geometry.from_wkb(wkb)
    except RuntimeError:
        return None
    box = geometry.envelope()
    sides = (box.minx, box.miny, box.maxx, box.maxy)
    return geometry if all(map(math.isfinite, sides)) and box.minx <= box.maxx else None


def _fitting(values: Sequence[Any]) -> Sequence[Any]:
    """The values as Mapnik takes them: numbers of other types as float, all else as text."""
    kinds = {*map(type, values)}
    if kinds <= _PLAIN or (kinds == {int} and min(values) >= -_LIMIT and max(values) < _LIMIT):
        return values
    return [*map(_fit, values)]


def _fit(value: Any) -> Any:
    kind = type(value)
    if kind in _PLAIN or (kind is int and -_LIMIT <= value < _LIMIT):
        return value
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return str(value)
