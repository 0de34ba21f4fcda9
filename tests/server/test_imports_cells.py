"""Columns of Arrow on their way to COPY: as text, all at once."""

from __future__ import annotations

import struct

import pyarrow as pa
import pytest

from carto_like.server.imports import codes
from carto_like.server.imports.arrowcells import block_of, cells_of, numbers
from carto_like.server.imports.geometries import as_hex, geometry_cells
from carto_like.server.imports.rows import NULL, Unreadable


def wkb(kind: int, *values: float, counts: tuple[int, ...] = (), order: int = 1) -> bytes:
    mark = "<" if order else ">"
    head = struct.pack(f"{mark}BI{len(counts)}I", order, kind, *counts)
    return head + struct.pack(f"{mark}{len(values)}d", *values)


POINT = wkb(1, 1, 2)
LINE = wkb(2, 0, 0, 1, 1, counts=(2,))
POLYGON = wkb(3, 0, 0, 1, 0, 1, 1, 0, 0, counts=(1, 4))
POINTS = wkb(4, counts=(1,)) + POINT
HIGH = wkb(1001, 1, 2, 3)


@pytest.mark.parametrize("type", [pa.binary(), pa.large_binary()], ids=["binary", "large_binary"])
@pytest.mark.parametrize(
    "given",
    [
        [],
        [None, None],
        [POINT, POINT],
        [POINT, None, POINT],
        [None, LINE, POLYGON, POINTS, POINT, None],
        [POLYGON, POLYGON],
        [HIGH, LINE, None],
        [wkb(6, counts=(1,)) + POLYGON, POLYGON],
    ],
    ids=range(8),
)
def test_geometries_at_once_are_as_one_by_one(given: list[bytes | None], type: pa.DataType) -> None:
    column = pa.array(given, type)
    assert geometry_cells(column).to_pylist() == as_hex(given)
    # A slice begins in the middle of its buffers.
    assert geometry_cells(column.slice(1)).to_pylist() == as_hex(given[1:])


def test_lines_and_polygons_are_collected_and_heights_dropped() -> None:
    cells = geometry_cells(pa.array([LINE, HIGH, None])).to_pylist()
    assert cells == ["010500000001000000" + LINE.hex(), POINT.hex(), NULL]


@pytest.mark.parametrize(
    ("bad", "code"),
    [
        (wkb(7, counts=(1,)) + POINT, codes.COLLECTIONS),
        (wkb(1007, counts=(1,)) + POINT, codes.COLLECTIONS),
        (wkb(1, 1, 2, order=0), codes.BAD_GEOMETRY),
        (HIGH[:11], codes.BAD_GEOMETRY),
        (wkb(2002, counts=(1000,)), codes.BAD_GEOMETRY),
    ],
    ids=range(5),
)
def test_what_no_dataset_can_hold_has_its_code(bad: bytes, code: int) -> None:
    with pytest.raises(Unreadable) as caught:
        geometry_cells(pa.array([POINT, bad]))
    assert caught.value.code == code


def test_special_characters_are_escaped_wherever_they_are() -> None:
    texts = ["plain", "a\tb", None, "c\\d\ne\r", "f\0g", ""]
    escaped = ["plain", "a\\tb", NULL, "c\\\\d\\ne\\r", "fg", ""]
    column = pa.array(texts)
    assert cells_of(column).to_pylist() == escaped
    assert cells_of(column.slice(2, 3)).to_pylist() == escaped[2:5]
    assert cells_of(column.dictionary_encode()).to_pylist() == escaped
    assert cells_of(pa.array([["x\ty"]])).to_pylist() == ['["x\\\\ty"]']
    assert cells_of(pa.array([], pa.string())).to_pylist() == []


def test_blocks_are_lines() -> None:
    cells = [numbers(5, 2), cells_of(pa.array([1.5, None])), cells_of(pa.array(["x", "y"]))]
    assert block_of(cells) == b"5\t1.5\tx\n6\t\\N\ty\n"
