"""``/sql`` as KML, shapefile, GeoPackage and SpatiaLite; what was exported is read back with GDAL."""

from __future__ import annotations

import sqlite3
import xml.etree.ElementTree as ET
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.support.api import Api
from tests.support.files import Layer, read_layer, save, unpack, wkb
from tests.support.rows import rows_of

POINT = "ST_SetSRID(ST_MakePoint(33, 16), 4326)"
POINTS = """SELECT i AS cartodb_id, ST_SetSRID(ST_MakePoint(i / 100.0, i / 50.0), 4326) AS the_geom,
                   'né & "' || i AS name, i * 1.5 AS size, i % 2 = 0 AS even
            FROM generate_series(1, {}) i"""
TYPES = {
    "kml": "application/kml; charset=utf-8",
    "shp": "application/zip; charset=utf-8",
    "gpkg": "application/x-sqlite3; charset=utf-8",
    "spatialite": "application/x-sqlite3; charset=utf-8",
}
EXTENSIONS = {"kml": "kml", "shp": "zip", "gpkg": "gpkg", "spatialite": "sqlite"}
KML = "{http://www.opengis.net/kml/2.2}"
EVERY = pytest.mark.parametrize("format", sorted(TYPES))


def export(api: Api, q: str, format: str, **parameters: Any) -> bytes:
    response = api.sql(q, format=format, **parameters)
    assert response.status_code == 200, response.text
    assert response.headers["Content-Type"] == TYPES[format]
    return response.content


def layer_of(api: Api, folder: Path, q: str, format: str, **parameters: Any) -> Layer:
    content = export(api, q, format, **parameters)
    if format != "shp":
        return read_layer(save(folder, content, f"file.{EXTENSIONS[format]}"))
    names = unpack(folder, content)
    return read_layer(folder / next(name for name in names if name.endswith((".shp", ".dbf"))))


def error_of(api: Api, q: str, format: str, **parameters: Any) -> tuple[int, Any]:
    response = api.sql(q, format=format, **parameters)
    assert response.headers["Content-Disposition"] == "inline"
    assert response.headers["Content-Type"] == "application/json; charset=utf-8"
    return response.status_code, response.json()["error"]


@EVERY
def test_rows_and_geometries_come_back_as_they_were(api: Api, tmp_path: Path, format: str) -> None:
    api.sql(f"CREATE TABLE points AS {POINTS.format(1200)}")
    expected = rows_of(api, "SELECT * FROM points ORDER BY cartodb_id")
    layer = layer_of(api, tmp_path, "SELECT * FROM points ORDER BY cartodb_id", format)
    assert layer.geometries == [wkb(row["the_geom"]) for row in expected]
    names = [row["Name" if format == "kml" else "name"] for row in layer.rows]
    assert names == [row["name"] for row in expected]
    assert [float(row["size"]) for row in layer.rows] == [row["size"] for row in expected]
    assert [bool(int(row["even"])) for row in layer.rows] == [row["even"] for row in expected]
    numbers = layer.ids if format == "gpkg" else [int(row["cartodb_id"]) for row in layer.rows]
    assert numbers == [row["cartodb_id"] for row in expected]
    assert layer.info["crs"] == "EPSG:4326"


@EVERY
@pytest.mark.parametrize("end", [";", "; -- the end"])
def test_a_final_semicolon_is_cut(api: Api, tmp_path: Path, format: str, end: str) -> None:
    layer = layer_of(api, tmp_path, f"SELECT 1 AS a, {POINT} AS the_geom{end}", format)
    assert len(layer.rows) == 1


@EVERY
def test_no_rows_make_a_layer_without_features(api: Api, tmp_path: Path, format: str) -> None:
    layer = layer_of(api, tmp_path, f"SELECT 1 AS a, {POINT} AS the_geom LIMIT 0", format)
    assert (len(layer.names), layer.rows) == (1, [])


@EVERY
def test_a_null_geometry_may_come_first(api: Api, tmp_path: Path, format: str) -> None:
    q = f"""SELECT i AS a, CASE WHEN i > 20000 THEN {POINT} END AS the_geom, repeat('x', 1000) AS t
            FROM generate_series(1, 20001) i ORDER BY i"""
    layer = layer_of(api, tmp_path, q, format)
    assert (len(layer.rows), set(layer.geometries[:-1])) == (20001, {None})
    assert layer.geometries[-1] == wkb("010100000000000000008040400000000000003040")


@EVERY
def test_types_keep_what_the_format_can_hold(api: Api, tmp_path: Path, format: str) -> None:
    q = f"""SELECT {POINT} AS the_geom, 9007199254740993::int8 AS big, 1.25::numeric AS num,
                   '2020-01-02'::date AS day, '2020-01-02 03:04:05.678'::timestamp AS at,
                   '2020-01-02 03:04:05+02'::timestamptz AS moment, 'infinity'::date AS never,
                   NULL::text AS nothing, ARRAY[1, 2] AS list, '{{"a": 1}}'::jsonb AS doc"""
    row = layer_of(api, tmp_path, q, format).rows[0]
    assert (int(row["big"]), float(row["num"])) == (9007199254740993, 1.25)
    assert (row["list"], row["doc"], row["nothing"], row["never"]) == ("{1,2}", '{"a": 1}', None, None)
    shown = {name: str(row[name]).replace("/", "-").replace("T", " ") for name in ("day", "at", "moment")}
    assert shown["day"].startswith("2020-01-02")
    assert shown["at"].startswith("2020-01-02 03:04:05")
    assert shown["moment"].startswith("2020-01-02 01:04:05")


@EVERY
def test_another_reference_system_is_told(api: Api, tmp_path: Path, format: str) -> None:
    q = "SELECT 1 AS a, ST_SetSRID(ST_MakePoint(111319.49, 222684.21), 3857) AS the_geom"
    layer = layer_of(api, tmp_path, q, format)
    assert layer.info["crs"] == ("EPSG:4326" if format == "kml" else "EPSG:3857")


@EVERY
@pytest.mark.parametrize("srid", [0, 910001])
def test_reference_systems_that_gdal_may_not_know_are_no_error(
    api: Api, tmp_path: Path, format: str, srid: int
) -> None:
    # Types with an SRID of PostGIS must be in its table; values need not.
    q = f"SELECT 1 AS a, ST_SetSRID(ST_MakePoint(1, 2), {srid}) AS the_geom"
    layer = layer_of(api, tmp_path, q, format)
    assert len(layer.rows) == 1
    assert layer.geometries[0] is not None


@pytest.mark.parametrize(("srid", "name"), [(102003, "USA_Contiguous_Albers"), (900913, "EPSG:3857")])
def test_reference_systems_of_other_authorities(api: Api, tmp_path: Path, srid: int, name: str) -> None:
    q = f"SELECT 1 AS a, ST_SetSRID(ST_MakePoint(1, 2), {srid}) AS the_geom"
    assert name in layer_of(api, tmp_path, q, "gpkg").info["crs"]


@EVERY
def test_fields_can_be_skipped_and_pages_asked_for(api: Api, tmp_path: Path, format: str) -> None:
    q = POINTS.format(5).replace("cartodb_id", "num")
    layer = layer_of(api, tmp_path, q, format, skipfields="name,size", page=1, rows_per_page=2)
    assert {"num", "even"} <= set(layer.info["fields"])
    assert not {"name", "size"} & set(layer.info["fields"])
    assert [int(row["num"]) for row in layer.rows] == [3, 4]


@EVERY
def test_names_that_differ_in_case_only_are_kept_apart(api: Api, tmp_path: Path, format: str) -> None:
    layer = layer_of(api, tmp_path, f'SELECT 1 AS a, 2 AS "A", 3 AS a_1, {POINT} AS the_geom', format)
    assert sorted(str(value) for value in layer.rows[0].values() if str(value) in "123") == ["1", "2", "3"]


@EVERY
@pytest.mark.parametrize("q", ["CREATE TABLE t (a int)", "SELECT 1; SELECT 2", "DELETE FROM t RETURNING *"])
def test_one_query_only(api: Api, q: str, format: str) -> None:
    status, (message,) = error_of(api, q, format)
    assert (status, message[:25]) == (400, 'syntax error at or near "S'[:25])


@EVERY
def test_errors_before_the_export_are_postgresqls_own(api: Api, format: str) -> None:
    api.sql("CREATE TABLE priv (a int)")
    assert error_of(api, "SELECT nope FROM priv", format) == (400, ['column "nope" does not exist'])
    denied = error_of(api.anonymous, "SELECT * FROM priv", format)
    assert denied == (403, ["permission denied for table priv"])


@EVERY
def test_errors_amid_the_rows_are_a_status(api: Api, format: str) -> None:
    q = f"SELECT 1 / (90000 - i) AS x, {POINT} AS the_geom FROM generate_series(1, 100000) i"
    assert error_of(api, q, format) == (400, ["ogr2ogr command return code 1, Error: division by zero"])
    assert api.sql("SELECT 1 AS a").json()["rows"] == [{"a": 1}]


@EVERY
def test_nothing_to_export_is_an_error(api: Api, format: str) -> None:
    assert error_of(api, "SELECT 1 AS a", format, skipfields="a") == (400, ["There is no column to export"])


@EVERY
def test_names_of_files(api: Api, format: str) -> None:
    extension = EXTENSIONS[format]
    q = f"SELECT 1 AS a, {POINT} AS the_geom"
    disposition = api.sql(q, format=format).headers["Content-Disposition"]
    assert disposition.startswith(f"attachment; filename=cartodb-query.{extension}; modification-date=")
    named = api.sql(q, format=format, filename='x;" ()[]y').headers["Content-Disposition"]
    assert named.startswith(f"attachment; filename=x_______y.{extension};")


@EVERY
def test_long_names_stay_under_the_limit_of_file_names(api: Api, tmp_path: Path, format: str) -> None:
    q = f"SELECT 1 AS cartodb_id, 2 AS b, {POINT} AS the_geom"
    layer = layer_of(api, tmp_path, q, format, filename="f" * 400, skipfields="s" * 300 + ",b")
    assert "b" not in layer.info["fields"]
    assert layer.names == ["f" * 200]


def test_shapefile_has_its_parts(api: Api, tmp_path: Path) -> None:
    names = unpack(tmp_path, export(api, POINTS.format(3), "shp", filename='x;" ()[]y'))
    assert sorted(names) == [f"x_______y.{part}" for part in ("cpg", "dbf", "prj", "shp", "shx")]
    assert (tmp_path / "x_______y.cpg").read_text().strip() == "UTF-8"


@pytest.mark.parametrize("order", ["", " DESC"])
def test_shapefile_of_mixed_types_is_an_error(api: Api, order: str) -> None:
    q = f"""SELECT * FROM (SELECT 1 AS i, {POINT} AS the_geom UNION ALL
            SELECT 2, 'SRID=4326;LINESTRING(0 0, 1 1)'::geometry) m ORDER BY i{order}"""
    status, (message,) = error_of(api, q, "shp")
    expected = (
        "Attempt to write non-point (LINESTRING) geometry to point shapefile"
        if not order
        else "Attempt to write non-linestring (POINT) geometry to ARC type shapefile"
    )
    assert (status, message.rstrip(".")) == (400, f"ogr2ogr command return code 1, Error: {expected}")


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("LINESTRING(0 0, 1 1)", "LineString"),
        ("MULTILINESTRING((0 0, 1 1), (2 2, 3 3))", "LineString"),
        ("POLYGON((0 0, 0 1, 1 1, 0 0))", "Polygon"),
        ("MULTIPOINT(0 0, 1 1)", "MultiPoint"),
        ("POINT Z (1 2 3)", "Point Z"),
        ("CURVEPOLYGON(CIRCULARSTRING(0 0, 1 1, 2 0, 1 -1, 0 0))", "Polygon"),
    ],
)
def test_shapefile_takes_its_type_from_the_first_geometry(
    api: Api, tmp_path: Path, text: str, kind: str
) -> None:
    q = f"SELECT NULL::geometry AS the_geom UNION ALL SELECT 'SRID=4326;{text}'::geometry"
    assert layer_of(api, tmp_path, q, "shp").info["geometry_type"] == kind


def test_shapefile_names_have_ten_characters(api: Api, tmp_path: Path) -> None:
    q = f"SELECT 1 AS a_long_name_1, 2 AS a_long_name_2, 'NaN'::float8 AS n, {POINT} AS the_geom"
    assert layer_of(api, tmp_path, q, "shp").rows == [
        {"a_long_nam": 1, "a_long_n_1": 2, "n": pytest.approx(float("nan"), nan_ok=True)}
    ]


def test_shapefile_without_geometry_is_a_table(api: Api, tmp_path: Path) -> None:
    names = unpack(tmp_path, export(api, "SELECT 1 AS a, 'é' AS b", "shp"))
    assert sorted(names) == ["cartodb-query.cpg", "cartodb-query.dbf"]
    assert read_layer(tmp_path / "cartodb-query.dbf").rows == [{"a": 1, "b": "é"}]


def test_shapefile_without_rows_knows_its_declared_type(api: Api, tmp_path: Path) -> None:
    api.sql("CREATE TABLE areas (a int, the_geom geometry(MultiPolygon, 4326))")
    layer = layer_of(api, tmp_path, "SELECT * FROM areas", "shp")
    assert (layer.info["geometry_type"], layer.info["crs"]) == ("Polygon", "EPSG:4326")


def test_kml_is_a_folder_of_placemarks(api: Api) -> None:
    q = f"SELECT 'a & b' AS name, 'text' AS description, 7 AS n, {POINT} AS the_geom, NULL::geometry AS g"
    root = ET.fromstring(export(api, q, "kml"))
    folder = root.find(f"{KML}Document/{KML}Folder")
    assert folder is not None
    assert folder.findtext(f"{KML}name") == "cartodb_query"
    (placemark,) = folder.findall(f"{KML}Placemark")
    assert placemark.findtext(f"{KML}name") == "a & b"
    assert placemark.findtext(f"{KML}description") == "text"
    assert placemark.findtext(f"{KML}Point/{KML}coordinates") == "33,16"
    data = {item.get("name"): item.text for item in placemark.iter(f"{KML}SimpleData")}
    assert data == {"n": "7"}


@pytest.mark.parametrize("end", ["", ";"])
def test_kml_without_rows_is_an_empty_folder(api: Api, end: str) -> None:
    root = ET.fromstring(export(api, f"SELECT {POINT} AS the_geom LIMIT 0{end}", "kml", filename="a-b.c"))
    assert [name.text for name in root.iter(f"{KML}name")] == ["a_b"]
    assert list(root.iter(f"{KML}Placemark")) == []


def test_kml_of_many_rows_and_without_geometry(api: Api) -> None:
    root = ET.fromstring(export(api, POINTS.format(1200), "kml"))
    assert len(list(root.iter(f"{KML}Placemark"))) == 1200
    plain = ET.fromstring(export(api, "SELECT 1 AS a", "kml"))
    assert len(list(plain.iter(f"{KML}Placemark"))) == 1


def test_gpkg_has_the_layer_and_the_ids_of_the_table(api: Api, tmp_path: Path) -> None:
    api.sql("CREATE TABLE t (name text, the_geom geometry(Point, 4326))")
    assert api.sql("SELECT CDB_CartodbfyTable('t'::regclass)").status_code == 200
    api.sql(f"INSERT INTO t (cartodb_id, name, the_geom) VALUES (5, 'x', {POINT}), (9, 'y', {POINT})")
    q = "SELECT * FROM t ORDER BY cartodb_id"
    layer = layer_of(api, tmp_path, q, "gpkg", filename="My-file.x", skipfields="s" * 300)
    assert (layer.names, layer.ids) == (["My-file"], [5, 9])
    assert (layer.info["fid_column"], layer.info["geometry_name"]) == ("cartodb_id", "the_geom")
    assert list(layer.info["fields"]) == ["name"]


@pytest.mark.parametrize("none", ["-1", "NULL"])
def test_gpkg_keeps_a_row_whose_id_means_none(api: Api, tmp_path: Path, none: str) -> None:
    q = f"""SELECT i AS cartodb_id, coalesce('x' || i, 'x') AS name, {POINT} AS the_geom
            FROM (VALUES ({none}), (1), (2)) v(i)"""
    layer = layer_of(api, tmp_path, q, "gpkg")
    assert layer.ids == [1, 2, 3]
    assert [row["name"] for row in layer.rows] == ["x1", "x2", "x-1" if none == "-1" else "x"]


def test_gpkg_numbers_rows_that_have_no_id(api: Api, tmp_path: Path) -> None:
    layer = layer_of(api, tmp_path, f"SELECT 'x' AS cartodb_id, {POINT} AS geom", "gpkg")
    assert (layer.info["fid_column"], layer.ids, layer.rows) == ("cartodb_id", [1], [{"cartodb_id_1": "x"}])
    assert layer.info["geometry_name"] == "geom"


def test_gpkg_takes_geometries_of_all_kinds(api: Api, tmp_path: Path) -> None:
    texts = (
        "POINT(1 2)",
        "LINESTRING(0 0, 1 1)",
        "GEOMETRYCOLLECTION(POINT(1 2), POINT(3 4))",
        "POINT Z (1 2 3)",
    )
    q = " UNION ALL ".join(f"SELECT 'SRID=4326;{text}'::geometry AS the_geom" for text in texts)
    layer = layer_of(api, tmp_path, q, "gpkg")
    assert len([shape for shape in layer.geometries if shape]) == 4


def test_gpkg_with_the_same_id_twice_is_an_error(api: Api) -> None:
    q = f"SELECT 1 AS cartodb_id, {POINT} AS the_geom FROM generate_series(1, 2)"
    status, (message,) = error_of(api, q, "gpkg")
    assert (status, message.startswith("ogr2ogr command return code 1, Error: ")) == (400, True)
    assert "UNIQUE constraint failed" in message
    assert "/tmp" not in message


def test_spatialite_keeps_all_geometries(api: Api, tmp_path: Path) -> None:
    areas = "ST_Buffer(ST_SetSRID(ST_MakePoint(i, 2), 4326), 1, 1)"
    q = f"""SELECT ST_Transform({areas}, 3857) AS the_geom_webmercator, i AS "Id", {areas} AS the_geom,
                   CASE WHEN i = 2 THEN 'MULTIPOINT (1 2, 4 5)'::geometry END AS other
            FROM generate_series(1, 3) i"""
    expected = rows_of(api, q)
    path = save(tmp_path, export(api, q, "spatialite", filename="My-File"), "file.sqlite")
    layer = read_layer(path)
    assert (layer.names, layer.info["fid_column"], layer.ids) == (["my_file"], "ogc_fid", [1, 2, 3])
    assert (layer.info["geometry_name"], layer.info["crs"]) == ("the_geom", "EPSG:4326")
    assert layer.rows == [{"id": 1}, {"id": 2}, {"id": 3}]
    assert layer.geometries == [wkb(row["the_geom"]) for row in expected]
    mercator = read_layer(path, "my_file(the_geom_webmercator)")
    assert mercator.info["crs"] == "EPSG:3857"
    assert mercator.geometries == [wkb(row["the_geom_webmercator"]) for row in expected]
    shapes = read_layer(path, "my_file(other)").geometries
    assert (shapes[0], shapes[1], shapes[2]) == (None, wkb(expected[1]["other"]), None)


@EVERY
def test_names_may_hold_anything(api: Api, tmp_path: Path, format: str) -> None:
    q = f"""SELECT 1 AS "a""b", 2 AS "c'd", 3 AS "e; f", 4 AS "Ünï", 5 AS fid, 6 AS {"x" * 63},
                   7 AS "l<&>m", 'n' || chr(1) || '<&"' || chr(65534) AS o,
                   {POINT} AS "g""h'i", {POINT} AS "j""k" """
    layer = layer_of(api, tmp_path, q, format, filename="A#b-%27.x")
    assert layer.geometries == [wkb("010100000000000000008040400000000000003040")]
    values = [*layer.rows[0].values(), *layer.ids] if format == "gpkg" else layer.rows[0].values()
    assert {1, 2, 3, 4, 5, 6, 7} <= {int(value) for value in values if str(value).isdigit()}


def test_spatialite_without_geometry_is_a_table(api: Api, tmp_path: Path) -> None:
    path = save(tmp_path, export(api, "SELECT 'é' AS a, 2 AS ogc_fid", "spatialite"), "file.sqlite")
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT * FROM cartodb_query").fetchall() == [(1, "é", 2)]
