"""Files that other programs made become datasets, and come back from an export unchanged."""

from __future__ import annotations

import bz2
import gzip
import io
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import pytest

from carto_like.server.services import importrun
from tests.support.api import Api, make_account
from tests.support.imports import imported, upload
from tests.support.rows import rows_of
from tests.support.server import RunningServer

FILES = Path(__file__).resolve().parents[1] / "data" / "imports"
NAMES = ["Porto", "São João", 'Tab\tand "quote"', "Nowhere"]
PLACES = ["POINT(-8.61 41.15)", "POINT(-8.49 40.9)", "POINT(2.35 48.86)", None]


@pytest.fixture(scope="module")
def api(platform_server: RunningServer) -> Api:
    """One account for all formats: their tables have different names."""
    account = make_account(platform_server)
    return Api(account.base_url, account.api_key)


def read(name: str) -> bytes:
    return (FILES / name).read_bytes()


def types_of(api: Api, table: str) -> dict[str, str]:
    query = (
        "SELECT attname, format_type(atttypid, atttypmod) AS type FROM pg_attribute "
        f"WHERE attrelid = '{table}'::regclass AND attnum > 0 AND NOT attisdropped"
    )
    return {row["attname"]: row["type"] for row in rows_of(api, query)}


def column(api: Api, table: str, expression: str) -> list[Any]:
    rows = rows_of(api, f"SELECT ({expression})::text AS v FROM {table} ORDER BY cartodb_id")
    return [row["v"] for row in rows]


def places_of(api: Api, table: str) -> list[Any]:
    return column(api, table, "ST_AsText(the_geom, 5)")


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("cities.fgb", "flat.fgb"),
        ("cities.geojson", "json.geojson"),
        ("cities.parquet", "pq.parquet"),
        ("cities_3763.parquet", "projected.geoparquet"),
    ],
)
def test_places_come_with_types_and_geometry(api: Api, file: str, name: str) -> None:
    table = imported(api, name, read(file))
    assert table == name.partition(".")[0]
    # FlatGeobuf has no rows without a geometry.
    count = 3 if file == "cities.fgb" else 4
    assert column(api, table, "name") == NAMES[:count]
    assert places_of(api, table) == PLACES[:count]
    assert column(api, table, "people") == ["231800", "12345", None, "0"][:count]
    assert column(api, table, "area") == ["41.42", "7.5", "0.125", "-1.5"][:count]
    assert column(api, table, "visited")[:3] == ["2024-05-01 10:30:00+00", "2023-01-02 03:04:05+00", None]
    types = types_of(api, table)
    assert types["the_geom"] == "geometry(Geometry,4326)"
    assert types["the_geom_webmercator"] == "geometry(Geometry,3857)"
    # GeoPandas has no integers where some are missing.
    whole = "double precision" if "parquet" in file else "integer"
    assert (types["people"], types["area"], types["name"]) == (whole, "double precision", "text")
    assert types["visited"] == "timestamp with time zone"
    # GeoPandas and FlatGeobuf have no dates without a time.
    assert types["founded"] == ("date" if "geojson" in file else "timestamp with time zone")
    founded = ["1123-01-01", None, "2001-12-31", "1999-06-15"]
    assert column(api, table, "founded::date") == founded[:count]
    same = "the_geom_webmercator = CDB_TransformToWebmercator(the_geom)"
    assert column(api, table, same)[:3] == ["true"] * 3


def test_a_geopackage_becomes_a_table_per_layer_that_has_rows(api: Api) -> None:
    end = upload(api, "land.gpkg", read("places.gpkg"))
    assert (end["state"], end["tables_created_count"], end["table_name"]) == ("complete", 2, "land_roads")
    assert (end["error_code"], end["warnings"]) == (None, None)
    assert column(api, "land_cities", "name") == NAMES
    assert places_of(api, "land_cities") == PLACES
    assert column(api, "land_roads", "GeometryType(the_geom)") == ["MULTILINESTRING"] * 2
    listed = api.get("api/v1/viz", params={"type": "table", "q": "land"}).json()["visualizations"]
    assert {dataset["name"] for dataset in listed} == {"land_cities", "land_roads"}


def test_a_shapefile_in_an_archive(api: Api) -> None:
    """Projected by its .prj, in an encoding that nothing in it names."""
    table = imported(api, "Cities (2024).zip", read("cities_shp.zip"))
    assert table == "cities"
    assert column(api, table, "name") == NAMES
    assert places_of(api, table) == PLACES
    assert types_of(api, table)["founded"] == "date"


def test_mapinfo_in_an_archive(api: Api) -> None:
    table = imported(api, "mapinfo.zip", rezipped(read("cities_tab.zip"), "cities", "info"))
    assert table == "info"
    assert len(column(api, table, "name")) == 4
    assert places_of(api, table) == PLACES


def rezipped(content: bytes, old: str, new: str) -> bytes:
    """An archive with other names in it."""
    sink = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as given, zipfile.ZipFile(sink, "w") as made:
        for info in given.infolist():
            made.writestr(info.filename.replace(old, new), given.read(info))
    return sink.getvalue()


def test_kml_and_kmz(api: Api) -> None:
    table = imported(api, "one.kml", read("places.kml"))
    assert column(api, table, "name") == NAMES
    assert places_of(api, table)[:3] == PLACES[:3]
    end = upload(api, "both.kmz", read("places.kmz"))
    assert (end["state"], end["tables_created_count"]) == ("complete", 2)
    assert end["table_name"].startswith("roads")
    assert column(api, end["table_name"], "GeometryType(the_geom)") == ["MULTILINESTRING"] * 2


def test_kml_that_only_links_is_told_so(api: Api) -> None:
    link = "<kml><NetworkLink><Link><href>http://127.0.0.1/x.kml</href></Link></NetworkLink></kml>"
    assert upload(api, "link.kml", link)["error_code"] == 3202


def test_gpx_becomes_a_table_per_layer_that_has_something(api: Api) -> None:
    assert imported(api, "walk.gpx", read("tracks.gpx")) == "walk"
    assert places_of(api, "walk") == PLACES[:1]
    track = "<trk><trkseg><trkpt lat='1' lon='2'/><trkpt lat='3' lon='4'/></trkseg></trk></gpx>"
    content = read("tracks.gpx").decode().replace("</gpx>", track)
    end = upload(api, "hike.gpx", content)
    assert end["tables_created_count"] == 3
    names = {row["n"] for row in rows_of(api, "SELECT CDB_UserTables('all') AS n")}
    assert {"hike_waypoints", "hike_tracks", "hike_track_points"} <= names


def test_openstreetmap_becomes_four_tables(api: Api) -> None:
    end = upload(api, "town.osm.pbf", read("town.osm.pbf"))
    assert (end["state"], end["tables_created_count"]) == ("complete", 4)
    assert column(api, "town_points", "name") == ["Porto"]
    assert column(api, "town_lines", "name") == ["Avenida"]
    assert column(api, "town_multilinestrings", "name") == ["Line 1"]
    assert column(api, "town_multipolygons", "building") == ["yes"]


def test_sheets(api: Api) -> None:
    table = imported(api, "book.xlsx", read("cities_sheet.xlsx"))
    assert column(api, table, "name") == NAMES
    assert places_of(api, table) == PLACES
    types = types_of(api, table)
    assert (types["people"], types["area"], types["lat"]) == (
        "integer",
        "double precision",
        "double precision",
    )
    opened = imported(api, "calc.ods", read("cities_sheet.ods"))
    # LibreOffice keeps no tab in a cell.
    assert column(api, opened, "name") == [name.replace("\t", "") for name in NAMES]
    assert column(api, opened, "the_geom") == [None] * 4
    end = upload(api, "old.xls", read("cities_sheet.xls"))
    assert (end["state"], end["error_code"]) == ("failure", 2008)
    assert ".xlsx" in end["get_error_text"]["what_about"]


def test_json_lists_of_objects(api: Api) -> None:
    content = '[{"a": 1, "b": "x, y", "lat": 1.5, "lon": 2}, {"b": null, "a": 2, "c": {"d": [true]}}]'
    table = imported(api, "list.json", content)
    assert column(api, table, "a") == ["1", "2"]
    assert column(api, table, "b") == ["x, y", ""]
    assert column(api, table, "c") == ["", '{"d": [true]}']
    assert places_of(api, table) == ["POINT(2 1.5)", None]
    for broken in ("[1, 2]", "[{", "3", '[{"a": 1}'):
        assert upload(api, "bad.json", broken)["error_code"] == 3007


def test_archives_of_every_kind(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importrun, "MOST_TABLES", 2)
    csv = b"n,v\n1,x\n"
    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w:gz") as archive:
        for name in ("deep/er/Some File.csv", "deep/__hidden.csv", "deep/.dot.csv", "readme first.txt"):
            info = tarfile.TarInfo(name)
            info.size = len(csv)
            archive.addfile(info, io.BytesIO(csv))
    end = upload(api, "several.tar.gz", tar.getvalue())
    assert (end["table_name"], end["tables_created_count"]) == ("some_file", 1)
    assert imported(api, "alone.csv.gz", gzip.compress(csv)) == "alone"
    assert imported(api, "second.csv.bz2", bz2.compress(csv)) == "second"
    zipped = io.BytesIO()
    with zipfile.ZipFile(zipped, "w") as made:
        for number in range(3):
            made.writestr(f"part {number:02}.csv", csv)
        made.writestr("notes.pdf", b"x")
    end = upload(api, "many.zip", zipped.getvalue())
    assert (end["state"], end["tables_created_count"]) == ("complete", 2)
    assert end["warnings"] == {"max_tables_per_import": 2}


def test_one_bad_file_does_not_spoil_the_others(api: Api) -> None:
    zipped = io.BytesIO()
    with zipfile.ZipFile(zipped, "w") as made:
        made.writestr("bad.geojson", "{")
        made.writestr("good_one.csv", "n\n1\n")
    end = upload(api, "mixed.zip", zipped.getvalue())
    assert (end["state"], end["success"], end["error_code"]) == ("complete", True, 1002)
    assert (end["table_name"], end["tables_created_count"]) == ("good_one", 1)


def test_skip_counts_each_file_of_an_archive(api: Api) -> None:
    zipped = io.BytesIO()
    with zipfile.ZipFile(zipped, "w") as made:
        made.writestr("skipped_a.csv", "n\n1\n")
        made.writestr("skipped_b.csv", "n\n1\n")
    assert imported(api, "skipped_a.csv", "n\n5\n") == "skipped_a"
    end = upload(api, "s.zip", zipped.getvalue(), collision_strategy="skip")
    assert (end["tables_created_count"], end["table_name"]) == (1, "skipped_b")
    end = upload(api, "s.zip", zipped.getvalue(), collision_strategy="skip")
    assert (end["state"], end["error_code"], end["tables_created_count"]) == ("complete", 1022, 0)


@pytest.mark.parametrize("form", ["gpkg", "shp", "kml", "geojson", "csv", "parquet"])
def test_what_is_exported_can_be_imported_again(api: Api, form: str) -> None:
    source = "round_trip"
    if not rows_of(api, f"SELECT to_regclass('{source}') IS NOT NULL AS there")[0]["there"]:
        rows_of(api, f"CREATE TABLE {source} (name text, n integer, x double precision, t timestamptz)")
        rows_of(api, f"SELECT CDB_CartodbfyTable('{source}')")
        rows_of(
            api,
            f"INSERT INTO {source} (name, n, x, t, the_geom) VALUES"
            " ('São', 1, 0.1, '2024-05-01 10:00:00Z', ST_SetSRID(ST_MakePoint(-8.61, 41.15), 4326)),"
            " ('two', -5, 2.5, '2020-01-01 00:00:00Z', ST_SetSRID(ST_MakePoint(2, 48.5), 4326))",
        )
    query = f"SELECT cartodb_id, the_geom, name, n, x, t FROM {source} ORDER BY cartodb_id"
    exported = api.get("api/v2/sql", params={"q": query, "format": form, "filename": f"again_{form}"})
    assert exported.status_code == 200
    extension = "zip" if form == "shp" else form
    table = imported(api, f"again_{form}.{extension}", exported.content)
    assert places_of(api, table) == places_of(api, source)
    for name in ("name", "n", "x"):
        assert column(api, table, name) == column(api, source, name)
    moments = column(api, table, "t::text")
    assert [moment[:10].replace("/", "-") for moment in moments] == ["2024-05-01", "2020-01-01"]
