"""Projections, tiles, grids, classes and dates of the CDB functions."""

from __future__ import annotations

import math
from typing import Any

import psycopg
import pytest

from tests.support.datasets import Owner

EDGE = 20037508.342789244


def one(owner: Owner, expression: str) -> Any:
    [(value,)] = owner.execute(f"SELECT {expression}")
    return value


@pytest.mark.parametrize(
    ("geometry", "result"),
    [
        ("POINT(0 0)", "POINT(0 0)"),
        ("POINT(180 0)", f"POINT({EDGE} 0)"),
        ("POINT(181 0)", None),
        ("POINT(0 90)", None),
        ("POINT(0 -89.5)", None),
        ("POINT EMPTY", None),
        ("POLYGON EMPTY", None),
        ("MULTIPOINT(0 0, 181 0)", "MULTIPOINT((0 0))"),
        ("LINESTRING(0 0, 0 0)", "LINESTRING(0 0,0 0)"),
        ("LINESTRING(170 0, 190 0)", f"LINESTRING(18924313.434856508 0,{EDGE} 0)"),
        ("LINESTRING(185 0, 190 0)", None),
    ],
)
def test_mercator_of_geometries_in_and_out_of_the_world(
    owner: Owner, geometry: str, result: str | None
) -> None:
    assert one(owner, f"ST_AsText(CDB_TransformToWebmercator('SRID=4326;{geometry}'))") == result


def test_mercator_agrees_with_postgis_in_every_digit(owner: Owner) -> None:
    assert owner.execute(
        "SELECT count(*) FROM (SELECT ST_SetSRID(ST_MakePoint(i * 7 % 180, i % 89), 4326) AS g"
        " FROM generate_series(-500, 500) i) p"
        " WHERE CDB_TransformToWebmercator(g)::bytea <> ST_Transform(g, 3857)::bytea"
    ) == [(0,)]


def test_mercator_of_areas_over_the_edge(owner: Owner) -> None:
    cut = "CDB_TransformToWebmercator('SRID=4326;POLYGON((170 0, 190 0, 190 95, 170 95, 170 0))')"
    assert one(owner, f"GeometryType({cut})") == "POLYGON"
    assert one(owner, f"ST_XMax({cut})") == pytest.approx(EDGE)
    multi = "CDB_TransformToWebmercator('SRID=4326;MULTIPOLYGON(((170 0, 190 0, 190 5, 170 5, 170 0)))')"
    assert one(owner, f"GeometryType({multi})") == "MULTIPOLYGON"
    bow_tie = "CDB_TransformToWebmercator('SRID=4326;POLYGON((170 0, 190 10, 190 0, 170 10, 170 0))')"
    assert one(owner, f"ST_IsValid({bow_tie})") is True
    mixed = "'SRID=4326;GEOMETRYCOLLECTION(POINT(181 0), LINESTRING(170 0, 190 0))'"
    assert one(owner, f"GeometryType(CDB_TransformToWebmercator({mixed}))") == "GEOMETRYCOLLECTION"
    assert one(owner, f"ST_NumGeometries(CDB_TransformToWebmercator({mixed}))") == 1


def test_mercator_of_other_projections(owner: Owner) -> None:
    assert one(owner, "ST_AsText(CDB_TransformToWebmercator('SRID=3857;POINT(99999999 1)'))") == (
        "POINT(99999999 1)"
    )
    utm = "ST_Transform('SRID=4326;POINT(3 40)'::geometry, 25831)"
    x = one(owner, f"ST_X(CDB_TransformToWebmercator({utm}))")
    assert x == pytest.approx(3 * EDGE / 180, abs=0.01)
    assert one(owner, "CDB_TransformToWebmercator(NULL)") is None


def test_ordinary_geometries_take_the_path_without_a_call(owner: Owner) -> None:
    owner.execute("CREATE TABLE t (g geometry)")
    plan = owner.execute("EXPLAIN VERBOSE SELECT CDB_TransformToWebmercator(g) FROM t")
    assert "CASE WHEN" in str(plan)
    assert "st_transform" in str(plan).lower()


def test_lat_lng(owner: Owner) -> None:
    assert one(owner, "ST_AsEWKT(CDB_LatLng(2, 1))") == "SRID=4326;POINT(1 2)"
    assert one(owner, "ST_AsEWKT(CDB_LatLng(2.5::float8, 1.5::float8))") == "SRID=4326;POINT(1.5 2.5)"


def test_tiles(owner: Owner) -> None:
    assert one(owner, "CDB_XYZ_Resolution(0)") == pytest.approx(156543.03392804097, rel=1e-12)
    assert one(owner, "CDB_XYZ_Resolution(8)") == pytest.approx(156543.03392804097 / 256, rel=1e-12)
    box = "ARRAY[ST_XMin(e), ST_YMin(e), ST_XMax(e), ST_YMax(e), ST_SRID(e)]"
    [(world,)] = owner.execute(f"SELECT {box} FROM CDB_XYZ_Extent(0, 0, 0) e")
    assert world == pytest.approx([-EDGE, -EDGE, EDGE, EDGE, 3857])
    [(south_west,)] = owner.execute(f"SELECT {box} FROM CDB_XYZ_Extent(0, 1, 1) e")
    assert south_west == pytest.approx([-EDGE, -EDGE, 0, 0, 3857])


@pytest.mark.parametrize(
    ("scale", "zoom"),
    [("559082264.028", 0), ("279541132.014", 1), ("0", 29), ("0.001", 29), ("600000001", None), ("4000", 17)],
)
def test_zoom_from_scale(owner: Owner, scale: str, zoom: int | None) -> None:
    assert one(owner, f"CDB_ZoomFromScale({scale})") == zoom


def test_great_circles_are_cut_at_the_date_line(owner: Owner) -> None:
    plain = "CDB_GreatCircle(ST_MakePoint(0, 0), ST_MakePoint(40, 40))"
    assert one(owner, f"GeometryType({plain})") == "LINESTRING"
    assert one(owner, f"ST_NPoints({plain})") > 50
    cut = "CDB_GreatCircle(CDB_LatLng(35, 139), CDB_LatLng(37, -122), 500000)"
    assert one(owner, f"GeometryType({cut})") == "MULTILINESTRING"
    longest = f"(SELECT max(abs(ST_X(ST_EndPoint(geom)) - ST_X(ST_StartPoint(geom)))) FROM ST_Dump({cut}))"
    assert one(owner, longest) < 100


def test_hexagons(owner: Owner) -> None:
    hexagon = "CDB_MakeHexagon('SRID=3857;POINT(10 20)', 2)"
    assert one(owner, f"ST_Area({hexagon})") == pytest.approx(1.5 * math.sqrt(3) * 4)
    assert one(owner, f"ST_SRID({hexagon})") == 3857
    assert one(owner, f"ST_AsText(ST_Centroid({hexagon}))") == "POINT(10 20)"


@pytest.mark.parametrize("grid", ["CDB_HexagonGrid(e, 1)", "CDB_RectangleGrid(e, 1, 2)"])
def test_grids_cover_the_extent_once(owner: Owner, grid: str) -> None:
    [(covered, overlap, stray, srid)] = owner.execute(
        "WITH x AS (SELECT ST_MakeEnvelope(0.3, 0.2, 7, 9, 3857) AS e), c AS (SELECT cell, e FROM x, "
        f"{grid} cell)"
        " SELECT ST_Area(ST_Intersection(ST_Union(ST_SnapToGrid(cell, 1e-6)), max(e::text)::geometry)),"
        " sum(ST_Area(cell)) - ST_Area(ST_Union(ST_SnapToGrid(cell, 1e-6))),"
        " count(*) FILTER (WHERE NOT ST_Intersects(cell, e)), min(ST_SRID(cell)) FROM c"
    )
    assert covered == pytest.approx(6.7 * 8.8, rel=1e-6)
    assert overlap == pytest.approx(0, abs=1e-4)
    assert (stray, srid) == (0, 3857)


@pytest.mark.parametrize(
    "grid", ["CDB_HexagonGrid(e, 1, NULL, 100)", "CDB_RectangleGrid(e, 1, 1, NULL, 100)"]
)
def test_grids_have_a_limit(owner: Owner, grid: str) -> None:
    with pytest.raises(psycopg.Error, match="too big"):
        owner.execute(f"SELECT count(*) FROM ST_MakeEnvelope(0, 0, 1000, 1000, 3857) e, {grid}")


VALUES = "ARRAY[1, 2, 3, 10, 11, 12, 50, 51]::numeric[]"


@pytest.mark.parametrize(
    ("call", "breaks"),
    [
        (f"CDB_JenksBins({VALUES}, 3)", [3, 12, 51]),
        (f"CDB_JenksBins({VALUES}, 3, 5, true)", [1, 10, 50]),
        ("CDB_JenksBins(ARRAY[4, 4, NULL]::numeric[], 3)", [4]),
        ("CDB_JenksBins('{}'::numeric[], 3)", None),
        (f"CDB_QuantileBins({VALUES}, 4)", [2, 10, 12, 51]),
        (f"CDB_HeadsTailsBins({VALUES}, 3)", [17.5, 50.5, 51]),
        ("CDB_EqualIntervalBins(ARRAY[0, 10, 3]::numeric[], 4)", [2.5, 5, 7.5, 10]),
        ("CDB_EqualIntervalBins(ARRAY[0, 8]::float8[], 2)", [4, 8]),
    ],
)
def test_classes(owner: Owner, call: str, breaks: list[float] | None) -> None:
    found = one(owner, call)
    assert (None if found is None else [float(value) for value in found]) == breaks


def test_natural_breaks_of_many_values(owner: Owner) -> None:
    owner.execute("SET statement_timeout = '30s'")
    many = "(SELECT array_agg((i % 3 * 1000 + i % 97)::numeric) FROM generate_series(1, 50000) i)"
    assert [float(value) for value in one(owner, f"CDB_JenksBins({many}, 3)")] == [96, 1096, 2096]


@pytest.mark.parametrize(
    ("text", "date"),
    [
        ("2020-01-02", "2020-01-02 00:00:00"),
        ("2020-01-02 03:04:05", "2020-01-02 03:04:05"),
        ("86400", "1970-01-02 00:00:00"),
        ("nonsense", None),
        ("2020-13-45", None),
    ],
)
def test_dates_from_text(owner: Owner, text: str, date: str | None) -> None:
    assert one(owner, f"CDB_StringToDate('{text}')::text") == date


def test_dates_to_numbers(owner: Owner) -> None:
    assert one(owner, "CDB_DateToNumber('1970-01-02'::timestamp)") == 86400
    assert one(owner, "CDB_DateToNumber('1970-01-02 00:00+01'::timestamptz)") == 82800
    assert one(owner, "CDB_DateToNumber(NULL::timestamp)") is None
