"""``/sql`` as SVG, TopoJSON and binary blocks."""

from __future__ import annotations

import re
import struct
import xml.etree.ElementTree as ET
from typing import Any

import pytest

from tests.conftest import MakeServer
from tests.support.api import Api, make_account

SVG = "{http://www.w3.org/2000/svg}"
TYPES = {
    "svg": "image/svg+xml; charset=utf-8",
    "topojson": "application/json; charset=utf-8",
    "arraybuffer": "application/octet-stream",
}
LINE = "SELECT 'SRID=4326;LINESTRING(10 10, 1034 778)'::geometry AS the_geom"
POINT = "SELECT 'SRID=4326;POINT(33 16)'::geometry AS the_geom"
TRIANGLES = """SELECT 1 AS a, NULL AS nothing, 'POLYGON((-5 -5, 5 -5, 0 5, -5 -5))'::geometry AS the_geom
               UNION ALL SELECT 2, 'é', 'POLYGON((-5 -5, 0 5, -5 5, -5 -5))'::geometry"""


def export(api: Api, q: str, format: str, **parameters: Any) -> bytes:
    response = api.sql(q, format=format, **parameters)
    assert response.status_code == 200, response.text
    assert response.headers["Content-Type"] == TYPES[format]
    name = f"cartodb-query.{format}"
    assert response.headers["Content-Disposition"].startswith(f"attachment; filename={name}; modification-")
    return response.content


def svg(api: Api, q: str, **parameters: Any) -> tuple[str | None, list[dict[str, str]]]:
    """The view of a drawing, and its elements' attributes in order."""
    root = ET.fromstring(export(api, q, "svg", **parameters))
    assert root.tag == f"{SVG}svg"
    return root.get("viewBox"), [dict(element.attrib) for element in root]


def topojson(api: Api, q: str, **parameters: Any) -> dict[str, Any]:
    response = api.sql(q, format="topojson", **parameters)
    assert (response.status_code, response.headers["Content-Type"]) == (200, TYPES["topojson"])
    document: dict[str, Any] = response.json()
    assert document["type"] == "Topology"
    assert set(document) == {"type", "transform", "objects", "arcs"}
    return document


def lines(document: dict[str, Any]) -> list[list[tuple[float, float]]]:
    """The arcs of a topology in the coordinates of the world."""
    (kx, ky), (x0, y0) = document["transform"]["scale"], document["transform"]["translate"]
    found = []
    for arc in document["arcs"]:
        x = y = 0
        line = []
        for dx, dy in arc:
            x, y = x + dx, y + dy
            line.append((x * kx + x0, y * ky + y0))
        found.append(line)
    return found


def ring(document: dict[str, Any], numbers: list[int]) -> list[tuple[float, float]]:
    """A ring put together from its arcs."""
    arcs = lines(document)
    points: list[tuple[float, float]] = []
    for number in numbers:
        arc = arcs[number] if number >= 0 else arcs[~number][::-1]
        assert not points or points[-1] == arc[0]
        points += arc if not points else arc[1:]
    assert points[0] == points[-1]
    return points


def blocks(data: bytes) -> list[tuple[int, bytes]]:
    """The blocks of binary data: type and content."""
    found, place = [], 0
    while place < len(data):
        kind, length = struct.unpack_from(">II", data, place)
        found.append((kind, data[place + 8 : place + 8 + length]))
        place += 8 + length + -length % 4
    assert place == len(data)
    return found


def texts(content: bytes) -> list[str]:
    found = blocks(content)
    assert {kind for kind, _ in found} <= {10}
    return [text.decode("utf-16-le") for _, text in found]


def test_svg_fits_a_line_into_its_frame(api: Api) -> None:
    assert svg(api, LINE) == ("-6 -6 1036 780", [{"d": "M 0 768 L 1024 0"}])


def test_svg_of_a_point_is_a_circle(api: Api) -> None:
    assert svg(api, POINT) == ("-6 -6 12 12", [{"r": "5", "cx": "0", "cy": "0"}])


@pytest.mark.parametrize(("dp", "x"), [("2", "341.33"), ("3", "341.333"), (None, "341.333333")])
def test_svg_has_the_decimals_that_were_asked_for(api: Api, dp: str | None, x: str) -> None:
    q = "SELECT 'LINESTRING(0 0, 1 0, 3 2.25)'::geometry AS the_geom"
    _, (shape,) = svg(api, q, **({"dp": dp} if dp else {}))
    assert shape["d"] == f"M 0 768 L {x} 768 1024 0"


def test_svg_draws_by_dimension_and_splits_collections(api: Api) -> None:
    q = """SELECT g::geometry AS the_geom FROM (VALUES
             ('POLYGON((0 0, 1024 0, 1024 768, 0 0))'), ('LINESTRING(0 0, 1024 768)'), (NULL),
             ('POINT EMPTY'), ('MULTIPOINT(0 0, 1024 768)'),
             ('GEOMETRYCOLLECTION(POINT(1024 0), LINESTRING(0 0, 0 768))')) v(g)"""
    view, shapes = svg(api, q)
    assert view == "-6 -6 1036 780"
    assert shapes == [
        {"r": "5", "cx": "0", "cy": "768"},
        {"r": "5", "cx": "1024", "cy": "0"},
        {"d": "M 0 768 L 1024 0"},
        {"r": "5", "cx": "1024", "cy": "768"},
        {"d": "M 0 768 L 0 0"},
        {"d": "M 0 768 L 1024 768 1024 0 Z"},
    ]


@pytest.mark.parametrize("q", [f"{POINT} LIMIT 0", "SELECT NULL::geometry AS the_geom"])
def test_svg_of_nothing_has_no_view(api: Api, q: str) -> None:
    assert svg(api, q) == (None, [])


def test_svg_draws_many_rows(api: Api) -> None:
    q = "SELECT ST_MakePoint(i % 1025, i % 769) AS the_geom FROM generate_series(1, 20000) i"
    _, shapes = svg(api, q)
    assert len(shapes) == 20000
    assert shapes[4] == {"r": "5", "cx": "5", "cy": "763"}


def test_topojson_keeps_a_shared_edge_once(api: Api) -> None:
    document = topojson(api, TRIANGLES)
    assert document["transform"] == {"scale": [0.001, 0.001], "translate": [-5, -5]}
    assert len(document["arcs"]) == 3
    first, second = document["objects"]["0"], document["objects"]["1"]
    assert (first["properties"], second["properties"]) == ({"a": 1}, {"a": 2, "nothing": "é"})
    shared = {number if number >= 0 else ~number for number in first["arcs"][0]} & {
        number if number >= 0 else ~number for number in second["arcs"][0]
    }
    assert len(shared) == 1
    assert set(ring(document, first["arcs"][0])) == {(-5, -5), (5, -5), (0, 5)}
    assert set(ring(document, second["arcs"][0])) == {(-5, -5), (0, 5), (-5, 5)}


@pytest.mark.parametrize("q", [f"{POINT} LIMIT 0", "SELECT 1 AS a, NULL::geometry AS the_geom"])
def test_topojson_of_nothing_is_a_topology(api: Api, q: str) -> None:
    document = topojson(api, q)
    assert (document["objects"], document["arcs"]) == ({}, [])


@pytest.mark.parametrize(
    "q",
    [
        "SELECT 1e400::numeric AS a, ST_MakePoint(1, 2) AS the_geom",
        "SELECT 1 AS a, ST_MakePoint('infinity'::float8, 2) AS the_geom",
    ],
    ids=["number", "coordinate"],
)
def test_topojson_of_what_no_double_holds_is_refused(api: Api, q: str) -> None:
    response = api.sql(q, format="topojson")
    assert (response.status_code, "beyond" in response.text) == (400, True), response.text


def test_topojson_of_points_is_a_topology(api: Api) -> None:
    q = f"{POINT} UNION ALL SELECT 'MULTIPOINT(34 17, 43 26)'"
    document = topojson(api, q)
    assert document["transform"] == {"scale": [0.001, 0.001], "translate": [33, 16]}
    assert document["objects"] == {
        "0": {"type": "Point", "coordinates": [0, 0], "properties": {}},
        "1": {"type": "MultiPoint", "coordinates": [[1000, 1000], [10000, 10000]], "properties": {}},
    }


def test_topojson_numbers_what_has_a_geometry(api: Api) -> None:
    q = f"SELECT 1 AS a, NULL::geometry AS the_geom UNION ALL SELECT 2, the_geom FROM ({POINT}) p"
    assert [item["properties"] for item in topojson(api, q)["objects"].values()] == [{"a": 2}]


def test_topojson_rounds_as_asked_and_calls_back(api: Api) -> None:
    q = "SELECT 'LINESTRING(0.26 0, 10.04 5)'::geometry AS the_geom"
    assert lines(topojson(api, q, dp="1"))[0][0] == (0.3, 0)
    called = api.get("api/v2/sql", params={"q": f"{POINT} LIMIT 0", "format": "topojson", "callback": "f"})
    assert re.fullmatch(r'f\(\{"type":"Topology".*\}\)', called.text)


def test_arraybuffer_has_names_and_columns(api: Api) -> None:
    q = """SELECT i AS n, i::int8 AS small__int8, -i AS big__uint16, i % 2 = 0 AS even, 'é' || i AS name,
                  CASE WHEN i = 1 THEN i END AS gap FROM generate_series(1, 300, 299) i"""
    found = blocks(export(api, q, "arraybuffer"))
    assert [kind for kind, _ in found] == [11, 8, 1, 5, 8, 11, 8]
    assert texts(found[0][1]) == ["n", "small__int8", "big__uint16", "even", "name", "gap"]
    assert struct.unpack("<2f", found[1][1]) == (1, 300)
    assert struct.unpack("<2b", found[2][1]) == (1, 44)
    assert struct.unpack("<2H", found[3][1]) == (65535, 65236)
    assert struct.unpack("<2f", found[4][1]) == (0, 1)
    assert texts(found[5][1]) == ["é1", "é300"]
    first, missing = struct.unpack("<2f", found[6][1])
    assert (first, missing != missing) == (1, True)


def test_arraybuffer_nests_arrays(api: Api) -> None:
    q = """SELECT ARRAY[[1, 2], [3, 4]] AS grid__int32, ARRAY['a', NULL] AS words, 1e300::float8 AS huge
           UNION ALL SELECT '{}', NULL, 'NaN'"""
    _, (_, grids), (_, words), (kind, huge) = blocks(export(api, q, "arraybuffer"))
    grid, empty = blocks(grids)
    assert [struct.unpack("<2i", row) for _, row in blocks(grid[1])] == [(1, 2), (3, 4)]
    assert empty == (6, b"")
    assert [texts(content) for _, content in blocks(words)] == [["a", ""], []]
    assert (kind, struct.unpack("<2f", huge)[0]) == (8, float("inf"))


@pytest.mark.parametrize("q", ["SELECT 1 AS a LIMIT 0", "CREATE TABLE made (a int)"])
def test_arraybuffer_of_nothing_is_empty(api: Api, q: str) -> None:
    assert export(api, q, "arraybuffer") == b""


def test_arraybuffer_takes_no_geometries(api: Api) -> None:
    response = api.sql(POINT, format="arraybuffer")
    assert (response.status_code, response.json()) == (400, {"error": ["geometry types are not supported"]})


@pytest.mark.parametrize("format", ["svg", "topojson"])
@pytest.mark.parametrize("skip", ["", "the_geom"])
def test_the_geom_is_needed(api: Api, format: str, skip: str) -> None:
    response = api.sql(POINT if skip else "SELECT 1 AS a", format=format, skipfields=skip)
    assert (response.status_code, response.json()) == (400, {"error": ['column "the_geom" does not exist']})


@pytest.mark.parametrize("format", ["svg", "topojson"])
def test_only_one_query(api: Api, format: str) -> None:
    for q in ("SELECT 1; SELECT 2", "DELETE FROM t RETURNING the_geom"):
        response = api.sql(q, format=format)
        assert response.status_code == 400
        assert response.json()["error"][0].startswith("syntax error at or near")
    assert api.sql(f"{POINT};", format=format).status_code == 200


@pytest.mark.parametrize("format", sorted(TYPES))
def test_an_error_amid_the_rows_is_a_status(api: Api, format: str) -> None:
    column = "1 AS a" if format == "arraybuffer" else "ST_MakePoint(i, i) AS the_geom"
    q = f"SELECT {column}, 100 / (i - 3) AS x FROM generate_series(1, 5) i"
    response = api.sql(q, format=format)
    assert response.headers["Content-Disposition"] == "inline"
    assert (response.status_code, response.json()) == (400, {"error": ["division by zero"]})


@pytest.mark.parametrize("format", ["topojson", "arraybuffer"])
def test_a_document_made_in_memory_has_a_limit(make_server: MakeServer, format: str) -> None:
    account = make_account(make_server(document_max_bytes=10_000))
    api = Api(account.base_url, account.api_key)
    column = "NULL AS a" if format == "arraybuffer" else "ST_MakePoint(1, 2) AS the_geom"
    q = f"SELECT {column}, repeat('x', 100) AS t FROM generate_series(1, {{}})"
    assert api.sql(q.format(50), format=format).status_code == 200
    response = api.sql(q.format(500), format=format)
    assert response.status_code == 400
    assert response.json()["error"][0].startswith("The result is too large for this format")
