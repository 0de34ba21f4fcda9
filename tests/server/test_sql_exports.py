"""``/sql`` as GeoJSON and CSV."""

from __future__ import annotations

import csv
import io
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.support.api import Api

POINTS = "SELECT id, ST_SetSRID(ST_MakePoint(id, 1.23456789), 4326) AS the_geom FROM generate_series(1, 5) id"


def geojson(api: Api, q: str, **parameters: Any) -> dict[str, Any]:
    response = api.sql(q, format="geojson", **parameters)
    assert response.status_code == 200, response.text
    assert response.headers["Content-Type"] == "application/json; charset=utf-8"
    found: dict[str, Any] = response.json()
    return found


def export(api: Api, q: str, **parameters: Any) -> str:
    response = api.sql(q, format="csv", **parameters)
    assert response.status_code == 200, response.text
    assert response.headers["Content-Type"] == "text/csv; charset=utf-8; header=present"
    return response.content.decode()


def test_geojson_has_geometry_and_properties(api: Api) -> None:
    q = """SELECT 1 AS a, 'é' AS b, ST_SetSRID(ST_MakePoint(1, 2), 4326) AS the_geom,
                  NULL::geometry AS the_geom_webmercator"""
    assert geojson(api, q) == {
        "type": "FeatureCollection",
        "features": [
            {
                "type": "Feature",
                "geometry": {"type": "Point", "coordinates": [1, 2]},
                "properties": {"a": 1, "b": "é"},
            }
        ],
    }


def test_geojson_without_rows(api: Api) -> None:
    response = api.sql(f"{POINTS} LIMIT 0", format="geojson")
    assert response.text == '{"type": "FeatureCollection", "features": []}'


@pytest.mark.parametrize(("dp", "y"), [(None, 1.234568), ("1", 1.2), ("x", 1.234568), ("3); DROP", 1.234568)])
def test_geojson_has_the_decimals_that_were_asked_for(api: Api, dp: str | None, y: float) -> None:
    parameters = {} if dp is None else {"dp": dp}
    assert geojson(api, POINTS, **parameters)["features"][0]["geometry"]["coordinates"] == [1, y]


def test_geojson_keeps_null_geometries_and_cuts_nan(api: Api) -> None:
    q = """SELECT NULL::geometry AS the_geom, 'NaN'::float8 AS n, ARRAY['Infinity'::float8] AS l,
                  1 AS s, 2 AS s"""
    (feature,) = geojson(api, q)["features"]
    assert feature == {"type": "Feature", "geometry": None, "properties": {"n": None, "l": [None], "s": 2}}


def test_geojson_names_another_reference_system(api: Api) -> None:
    q = "SELECT ST_SetSRID(ST_MakePoint(1, 2), 3857) AS the_geom"
    geometry = geojson(api, q)["features"][0]["geometry"]
    assert geometry["crs"] == {"type": "name", "properties": {"name": "EPSG:3857"}}


@pytest.mark.parametrize(("q", "skip"), [("SELECT 1 AS a", ""), (POINTS, "the_geom")])
def test_geojson_needs_the_geom(api: Api, q: str, skip: str) -> None:
    response = api.sql(q, format="geojson", skipfields=skip)
    assert (response.status_code, response.json()["error"]) == (400, ['column "the_geom" does not exist'])


@pytest.mark.parametrize("format", ["geojson", "csv"])
@pytest.mark.parametrize("q", ["CREATE TABLE t (a int)", "SELECT 1; SELECT 2", "INSERT INTO t VALUES (1)"])
def test_exports_take_one_query_only(api: Api, q: str, format: str) -> None:
    response = api.sql(q, format=format)
    assert response.status_code == 400
    assert response.json()["error"][0].startswith("syntax error at or near")


@pytest.mark.parametrize("format", ["geojson", "csv"])
def test_exports_pass_a_final_semicolon_and_comment(api: Api, format: str) -> None:
    assert api.sql(f"{POINTS}; -- the end", format=format).status_code == 200


def test_geojson_pages_and_skips(api: Api) -> None:
    features = geojson(api, f"SELECT *, 1 AS x FROM ({POINTS}) p", page=1, rows_per_page=2, skipfields="x")[
        "features"
    ]
    assert [feature["properties"] for feature in features] == [{"id": 3}, {"id": 4}]


def test_geojson_calls_back(api: Api) -> None:
    response = api.get("api/v2/sql", params={"q": f"{POINTS} LIMIT 0", "format": "geojson", "callback": "f"})
    assert response.text == 'f({"type": "FeatureCollection", "features": []})'


@pytest.mark.parametrize(("format", "member"), [("json", "rows"), ("geojson", "features")])
def test_an_error_after_rows_is_told_inside_the_document(api: Api, format: str, member: str) -> None:
    api.sql(f"CREATE TABLE five AS {POINTS}")
    response = api.sql("SELECT the_geom, 100 / (id - 3) AS x FROM five", format=format)
    answer = response.json()
    assert (response.status_code, len(answer[member]), answer["error"]) == (200, 2, ["division by zero"])


def test_an_error_after_many_rows_leaves_a_valid_document(api: Api) -> None:
    api.sql("CREATE TABLE many AS SELECT i FROM generate_series(1, 20000) i; ANALYZE many")
    response = api.sql("SELECT 1 / (15000 - i) AS x, i FROM many")
    answer = response.json()
    assert (response.status_code, answer["error"]) == (200, ["division by zero"])
    assert 14_000 < answer["total_rows"] == len(answer["rows"]) < 15_000


def test_csv_has_header_line_ends_and_quotes_where_needed(api: Api) -> None:
    q = """SELECT 1 AS id, 'é, "x"' AS t, true AS b, NULL::int AS n, 1.50::numeric AS d,
                  '2020-01-01 00:00:00+00'::timestamptz AS w, ST_MakePoint(1, 2) AS the_geom, 'plain' AS p"""
    assert export(api, q) == (
        "the_geom,id,t,b,n,d,w,p\r\n"
        '0101000000000000000000F03F0000000000000040,1,"é, ""x""",true,,1.50,2020-01-01 00:00:00+00,plain\r\n'
    )


def test_csv_without_rows_is_a_header(api: Api) -> None:
    assert export(api, f"{POINTS} LIMIT 0") == "the_geom,id\r\n"


def test_csv_of_one_column_has_a_comma_in_its_header(api: Api) -> None:
    assert export(api, "SELECT generate_series(1, 2) AS a") == "a,\r\n1\r\n2\r\n"


def test_csv_skips_and_pages(api: Api) -> None:
    assert export(api, POINTS, skipfields="the_geom", page=1, rows_per_page=2) == "id,\r\n3\r\n4\r\n"


def test_csv_is_not_cut(api: Api) -> None:
    q = "SELECT i, repeat('x', 10) || i AS t, true AS b FROM generate_series(1, 81921) i"
    found = list(csv.reader(io.StringIO(export(api, q), newline="")))
    assert len(found) == 81922
    assert found[-1] == ["81921", "x" * 10 + "81921", "true"]


def test_several_csvs_at_once(api: Api) -> None:
    q = "SELECT i, %d AS me FROM generate_series(1, 20000) i"
    with ThreadPoolExecutor(4) as pool:
        texts = list(pool.map(lambda n: export(api.with_key(api.api_key), q % n), range(4)))
    for n, text in enumerate(texts):
        lines = text.split("\r\n")
        assert (len(lines), {line.partition(",")[2] for line in lines[1:-1]}) == (20002, {str(n)})


def test_csv_errors_are_a_status_whenever_they_happen(api: Api) -> None:
    api.sql("CREATE TABLE priv (a int)")
    late = api.sql("SELECT 1 / (90000 - i) AS x FROM generate_series(1, 100000) i", format="csv")
    assert late.status_code == 400
    assert late.json()["error"] == ["ogr2ogr command return code 1, Error: division by zero"]
    assert late.headers["Content-Disposition"] == "inline"
    early = api.sql("SELECT nope FROM priv", format="csv")
    assert early.json()["error"] == ['column "nope" does not exist']
    denied = api.anonymous.sql("SELECT * FROM priv", format="csv")
    assert (denied.status_code, denied.json()["error"]) == (403, ["permission denied for table priv"])
