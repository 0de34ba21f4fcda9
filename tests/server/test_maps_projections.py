"""Maps of layers that are not stored in metres of EPSG:3857 show what the same rows show in metres."""

from __future__ import annotations

from typing import Any

import mapnik
import pytest

from carto_like.server.maps.config import Layer
from carto_like.server.maps.coordinates import Tile
from carto_like.server.maps.layersql import Source
from carto_like.server.services.mapboxes import Boxes
from carto_like.server.services.mapplans import LayerPlan
from tests.support.api import Api
from tests.support.maps import (
    config,
    make,
    message,
    read_tile,
    styled_layer,
    tile,
    token_of,
    vector_layer,
)
from tests.support.server import RunningServer

DOT = "#l{marker-width:10; marker-fill:#f00; marker-line-width:0; marker-allow-overlap:true}"
# Longitude and latitude: the middle, the edges of the world, and the poles, which no web map shows.
PLACES = [(0, 0), (-180, 0), (180, 60), (-179.9999, -84.9), (120, 85), (10, 50), (45, 90), (45, -90)]
QUARTERS = ["1/0/0", "1/1/0", "1/0/1", "1/1/1"]


@pytest.fixture(scope="module")
def master(owner_api: Api) -> Api:
    """Tables with a column g in some system, each of them with the same in metres beside it.

    ``world`` is in degrees; ``country`` has 400 points from 5 to 12 degrees east in EPSG:32632; ``pole``
    lies round the south pole, in EPSG:3031; ``nameless`` holds degrees that do not say so.
    """
    places = ", ".join(map(str, PLACES))
    degrees = f"ST_SetSRID(ST_MakePoint(x, y), 4326) FROM (VALUES {places}) v (x, y)"
    tables = {
        "world": f"SELECT {degrees}",
        "nameless": f"SELECT ST_SetSRID(g, 0) FROM (SELECT {degrees}) d (g)",
        "country": "SELECT ST_SetSRID(ST_MakePoint(250000 + (i % 20) * 25000, 5200000 + (i / 20) * 20000), "
        "32632) FROM generate_series(0, 399) i",
        "pole": "SELECT ST_Transform(ST_SetSRID(ST_MakePoint(i, -70), 4326), 3031) "
        "FROM generate_series(-179, 179, 10) i",
    }
    for name, rows in tables.items():
        made = owner_api.sql(
            f"CREATE TABLE {name} AS SELECT row_number() OVER ()::int AS cartodb_id, g, "
            "CDB_TransformToWebmercator(CASE ST_SRID(g) WHEN 0 THEN ST_SetSRID(g, 4326) ELSE g END) "
            f"AS metres FROM ({rows}) AS rows (g); CREATE INDEX ON {name} USING gist (g)"
        )
        assert made.status_code == 200, made.text
    return owner_api


def token_for(
    api: Api, table: str, column: str, srid: int = 3857, *, styled: bool = False, **more: Any
) -> str:
    layer = styled_layer if styled else vector_layer
    style = {"cartocss": DOT} if styled else {}
    given = layer(f"select * from {table}", geom_column=column, srid=srid, **style, **more)
    return token_of(make(api, config(given)))


def shown(api: Api, token: str, place: str) -> list[dict[str, Any]]:
    """The rows that a vector tile holds."""
    layers = read_tile(tile(api, token, f"{place}.mvt").content)
    features = [feature for layer in layers.values() for feature in layer.features]
    return sorted(features, key=lambda feature: int(feature["cartodb_id"]))


@pytest.mark.parametrize(
    ("table", "srid", "places", "least"),
    [
        ("world", 4326, ["0/0/0", *QUARTERS, "9/0/255", "9/511/0"], 6),
        ("nameless", 4326, ["0/0/0", *QUARTERS], 6),
        ("country", 32632, ["0/0/0", *QUARTERS, "6/33/22", "9/270/170", "9/0/255", "9/511/511"], 400),
        ("pole", 3031, ["0/0/0", *QUARTERS, "6/32/49"], 36),
    ],
)
def test_a_tile_holds_the_rows_that_it_holds_in_metres(
    master: Api, table: str, srid: int, places: list[str], least: int
) -> None:
    own, metres = token_for(master, table, "g", srid), token_for(master, table, "metres")
    found = {place: shown(master, own, place) for place in places}
    assert found == {place: shown(master, metres, place) for place in places}
    assert len(found["0/0/0"]) == least
    assert all(found[place] for place in QUARTERS if table == "world")


@pytest.mark.parametrize(
    ("table", "srid", "how"), [("world", 4326, {}), ("country", 32632, {"placement": "centroid"})]
)
def test_cells_gather_the_rows_that_they_gather_in_metres(
    master: Api, table: str, srid: int, how: dict[str, str]
) -> None:
    more: dict[str, Any] = {"aggregation": {"threshold": 0, "resolution": 4, **how}}
    own, metres = token_for(master, table, "g", srid, **more), token_for(master, table, "metres", **more)
    for place in ("0/0/0", *QUARTERS, "6/33/22"):
        found = shown(master, own, place)
        assert found == shown(master, metres, place)
        if place == "0/0/0":
            assert sum(cell["_cdb_feature_count"] for cell in found) == (6 if table == "world" else 400)


@pytest.mark.parametrize(
    ("table", "srid", "places"),
    [("world", 4326, ("0/0/0", "1/0/0", "1/1/1")), ("country", 32632, ("0/0/0", "1/1/0", "6/33/22"))],
)
def test_pictures_show_the_rows_that_they_show_in_metres(
    master: Api, table: str, srid: int, places: tuple[str, ...]
) -> None:
    own, metres = (
        token_for(master, table, "g", srid, styled=True),
        token_for(master, table, "metres", styled=True),
    )
    for place in places:
        images = [
            mapnik.Image.from_string(tile(master, token, f"{place}.png32").content) for token in (own, metres)
        ]
        # Edges of dots that touch are mixed in the order of the rows.
        assert images[0].compare(images[1], 8) == 0
        assert images[0].compare(mapnik.Image(256, 256)) > 0


@pytest.mark.parametrize(
    ("place", "known"), [((9, 270, 170), True), ((4, 8, 5), True), ((0, 0, 0), False), ((9, 396, 255), False)]
)
def test_the_index_of_another_system_is_used_where_the_tile_lies_in_it(
    platform_server: RunningServer, place: tuple[int, int, int], known: bool
) -> None:
    tile_there = Tile(*place)
    plan = LayerPlan(Layer(0, "mapnik", "a", {}), Source("select 1", "g", 32632, ()), "nobody")
    boxes = Boxes(platform_server.app.platform)
    source = platform_server.on_server(boxes.source_for(plan, tile_there, tile_there.bounds(64)))
    assert (source.box is not None) is known
    # Each row is moved only where there is no other way.
    assert ("CDB_TransformToWebmercator" in source.near(tile_there.bounds())) is not known


ODD = ["'POINT(NaN NaN)'", "ST_MakePoint('Infinity', 1)", "'POINT EMPTY'", "'POINT(1e300 1e300)'", "null"]


@pytest.mark.parametrize("srid", [4326, 32632])
def test_odd_geometries_keep_no_other_from_the_map(master: Api, srid: int) -> None:
    odd = " union all ".join(
        f"select {number}, ST_SetSRID({geometry}::geometry, {srid})" for number, geometry in enumerate(ODD, 2)
    )
    place = "9, 49.65" if srid == 4326 else "500000, 5500000"
    rows = f"select 1 as cartodb_id, ST_SetSRID(ST_MakePoint({place}), {srid}) as g union all {odd}"
    # Rows of a table, which the planner does not look at beforehand.
    sql = f"select * from ({rows}) as rows offset 0"
    given = styled_layer(sql, DOT, geom_column="g", srid=srid)
    token = token_of(make(master, config(given)))
    for address in ("0/0/0", "9/268/174"):
        assert [row["cartodb_id"] for row in shown(master, token, address)] == [1]
        assert tile(master, token, f"{address}.png").status_code == 200


def test_a_layer_that_is_not_where_it_says_is_refused(master: Api) -> None:
    given = config(vector_layer("select * from country", geom_column="g", srid=4326))
    expected = 'Invalid srid for layer 0: "g" is in EPSG:32632, not in EPSG:4326'
    response = make(master, given)
    assert message(response) == (400, expected)
    assert response.json()["errors_with_context"][0]["layer"]["index"] == 0
    nowhere = config(vector_layer("select * from nameless", geom_column="g", srid=999_999))
    status, told = message(tile(master, token_of(make(master, nowhere)), "0/0/0.mvt"))
    assert (status, "999999" in told) == (400, True)


def test_what_reaches_beyond_the_world_is_cut_there(master: Api) -> None:
    sql = (
        "select 1 as cartodb_id, ST_MakeEnvelope(-180, -90, 180, 90, 4326) as g union all "
        "select 2, ST_SetSRID(ST_MakeLine(ST_MakePoint(0, 0), ST_MakePoint(200, 95)), 4326)"
    )
    sheet = "#l{polygon-fill:#f00; line-color:#f00}"
    token = token_of(make(master, config(styled_layer(sql, sheet, geom_column="g", srid=4326))))
    for place in ("0/0/0", "1/0/1", "9/0/511"):
        assert [row["cartodb_id"] for row in shown(master, token, place)][:1] == [1]
        image = mapnik.Image.from_string(tile(master, token, f"{place}.png").content)
        corners = [image.get_pixel_color(x, y) for x in (1, 254) for y in (1, 254)]
        assert {(color.r, color.g, color.b, color.a) for color in corners} == {(255, 0, 0, 255)}
    assert [row["cartodb_id"] for row in shown(master, token, "0/0/0")] == [1, 2]
