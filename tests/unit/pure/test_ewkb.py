"""Geometries in EWKB: their headers, and their form in SpatiaLite."""

from __future__ import annotations

import struct

import pytest

from carto_like.pure.ewkb import Header, read_header, spatialite_blob, without_srid

# 'SRID=4326;POINT(1 2)', as PostGIS prints it.
POINT = bytes.fromhex("0101000020E6100000000000000000F03F0000000000000040")
BARE = bytes.fromhex("0101000000000000000000F03F0000000000000040")


def test_header() -> None:
    assert read_header(POINT) == Header(1, 1, False, False, 4326)
    assert read_header(BARE) == Header(1, 1, False, False, 0)
    turned = struct.pack(">BIIdddd", 0, 1 | 0xE0000000, 3857, 1, 2, 3, 4)
    assert read_header(turned) == Header(0, 1, True, True, 3857)


@pytest.mark.parametrize("data", [b"", b"\x01\x01", b"not a geometry"])
def test_what_is_no_geometry(data: bytes) -> None:
    with pytest.raises(ValueError, match="no geometry"):
        read_header(data)


def test_without_srid() -> None:
    assert without_srid(POINT) == BARE
    assert without_srid(BARE) == BARE


def test_spatialite_point() -> None:
    box = struct.pack("<4d", 1, 2, 1, 2)
    assert (
        spatialite_blob(POINT) == b"\x00\x01" + struct.pack("<I", 4326) + box + b"\x7c" + BARE[1:] + b"\xfe"
    )


@pytest.mark.parametrize("order", ["<", ">"])
def test_spatialite_marks_what_is_inside_and_shifts_the_kinds(order: str) -> None:
    first = b"\x01" if order == "<" else b"\x00"
    flag = 0x80000000
    line = struct.pack(f"{order}II6d", 2 | flag, 2, 0, 1, 9, -3, 4, 9)
    area = struct.pack(f"{order}III12d", 3 | flag, 1, 4, *(5, 5, 0, 6, 5, 0, 6, 8, 0, 5, 5, 0))
    collection = first + struct.pack(f"{order}II", 7 | flag, 2) + first + line + first + area
    blob = spatialite_blob(collection)
    assert blob is not None
    assert blob[:2] == b"\x00" + first
    assert struct.unpack_from(f"{order}I4d", blob, 2) == (0, -3, 1, 6, 8)
    shifted = struct.pack(f"{order}II", 1007, 2)
    shifted += b"\x69" + struct.pack(f"{order}I", 1002) + line[4:]
    shifted += b"\x69" + struct.pack(f"{order}I", 1003) + area[4:]
    assert blob[38:] == b"\x7c" + shifted + b"\xfe"


@pytest.mark.parametrize(
    "data",
    [
        struct.pack("<BII", 1, 2, 0),
        struct.pack("<BIdd", 1, 1, float("nan"), float("nan")),
        struct.pack("<BII", 1, 7, 0),
    ],
)
def test_spatialite_has_no_empty_geometries(data: bytes) -> None:
    assert spatialite_blob(data) is None


def test_spatialite_has_no_curves() -> None:
    with pytest.raises(ValueError, match="no curves"):
        spatialite_blob(struct.pack("<BII4d", 1, 8, 2, 0, 0, 1, 1))
