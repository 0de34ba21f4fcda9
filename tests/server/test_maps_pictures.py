"""Pictures, grids and static images of maps."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable, Iterator
from typing import Any

import mapnik
import pytest
import requests

from carto_like.server.maps.pictures import Pictures
from carto_like.server.services import mapextents
from tests.support.api import Api
from tests.support.maps import (
    MAP,
    NAMED,
    S,
    V,
    config,
    make,
    make_points,
    message,
    styled_layer,
    template,
    tile,
    token_of,
)
from tests.support.server import RunningServer

Preview = Callable[..., requests.Response]

RED, WHITE = (255, 0, 0, 255), (255, 255, 255, 255)
DOT = "#l{marker-width:40; marker-fill:#f00; marker-line-width:0; marker-allow-overlap:true}"


@pytest.fixture(scope="module")
def anyone(owner_api: Api) -> Api:
    """No key; the account has the public points t, the first of them at 0, 0."""
    make_points(owner_api, "t", "20 * (i - 1), 0", values="'n' || i - 1")
    assert owner_api.sql("GRANT SELECT ON t TO publicuser").status_code == 200
    assert owner_api.post(NAMED, json=template()).status_code == 200
    return owner_api.anonymous


def picture(response: requests.Response, kind: str = "image/png") -> Any:
    assert response.status_code == 200, response.text
    assert response.headers["Content-Type"] == kind
    return mapnik.Image.from_string(response.content)


def size(image: Any) -> tuple[int, int]:
    return image.width(), image.height()


def pixel(image: Any, x: int, y: int) -> tuple[int, int, int, int]:
    color = image.get_pixel_color(x, y)
    return color.r, color.g, color.b, color.a


def test_case_22_pictures_and_their_sizes(anyone: Api) -> None:
    token = token_of(make(anyone, config(styled_layer(cartocss=DOT))))
    image = picture(tile(anyone, token, "0/0/0.png"))
    assert size(image) == (256, 256)
    assert pixel(image, 128, 128) == RED
    assert pixel(image, 20, 20)[3] == 0
    assert size(picture(tile(anyone, token, "0/0/0@2x.png"))) == (512, 512)
    assert size(picture(tile(anyone, token, "0/0/0.png32"))) == (256, 256)
    expected = "Tile with specified resolution not found"
    assert message(tile(anyone, token, "0/0/0@4x.png")) == (404, expected)
    # A styled map has vector tiles, too.
    assert tile(anyone, token, "0/0/0.mvt").headers["Content-Type"] == "application/x-protobuf"


def test_a_style_may_say_how_far_round_a_picture_is_read(anyone: Api) -> None:
    # 13 pixels to the right of the tile.
    sql = "select name, st_translate(the_geom_webmercator, 1e6, 0) as the_geom_webmercator from t"

    def corner(sheet: str, **more: Any) -> int:
        token = token_of(make(anyone, config(styled_layer(sql, sheet + DOT), **more)))
        return pixel(picture(tile(anyone, token, "1/0/0.png")), 254, 254)[3]

    assert corner("") == corner("Map{buffer-size:64}", buffersize={"png": 0}) == 255
    assert corner("", buffersize={"png": 0}) == corner("Map{buffer-size:0}", buffersize={"png": 64}) == 0


def test_cases_23_to_25_layers_and_places_of_pictures(anyone: Api) -> None:
    token = token_of(make(anyone, S))
    expected = "Layer '2' not found in layergroup"
    assert message(tile(anyone, token, "2/0/0/0.png")) == (400, expected)
    assert message(tile(anyone, token, "0,9/0/0/0.png")) == (400, "Invalid layer filtering")
    assert message(tile(anyone, token, "1/0/2.png")) == (400, "Coordinates out of range: 1/0/2")
    named = token_of(make(anyone, config({**styled_layer(), "id": "roads"})))
    assert tile(anyone, named, "roads/0/0/0.png").status_code == 200
    assert tile(anyone, named, "0/-1/0.png").content == tile(anyone, named, "0/0/0.png").content


def test_case_28_a_grid_tells_what_lies_where(anyone: Api) -> None:
    given = config(styled_layer(cartocss=DOT, interactivity=["name"]))
    response = make(anyone, given)
    assert "grids" in response.json()["metadata"]["layers"][0]["tilejson"]["raster"]
    token = token_of(response)
    found = tile(anyone, token, "0/0/0/0.grid.json").json()
    assert [len(row) for row in found["grid"]] == [64] * 64
    # Of the codes, which start with the blank, quotation mark and backslash are left out.
    under = {
        found["keys"][ord(code) - 32 - (ord(code) > 34) - (ord(code) > 92)] for code in found["grid"][32]
    }
    assert {found["data"][key]["name"] for key in under if key} == {f"n{i}" for i in range(5)}
    assert found["data"]["1"] == {"name": "n0"}
    bare = token_of(make(anyone, S))
    assert message(tile(anyone, bare, "0/0/0/0.grid.json")) == (400, "Tileset has no interactivity")


def test_a_grid_and_a_label_show_values_as_postgresql_writes_them(anyone: Api) -> None:
    """Python has no such dates, and other words for the rest."""
    values = {
        "soon": ("'infinity'::timestamp", "infinity"),
        "long_ago": ("'0044-03-15 BC'::date", "0044-03-15 BC"),
        "midnight": ("'24:00'::time", "24:00:00"),
        "thing": ("""'{"a": true}'::jsonb""", '{"a": true}'),
        "list": ("array[1, 2]", "{1,2}"),
        "half": ("0.5::numeric", 0.5),
        "yes": ("true", True),
        "count": ("3", 3),
    }
    columns = ", ".join(f"{sql} as {name}" for name, (sql, _) in values.items())
    sql = f"select {columns}, 1 as cartodb_id, ST_SetSRID(ST_MakePoint(0, 0), 3857) as the_geom_webmercator"
    style = "#l[soon='infinity']" + DOT[2:]
    token = token_of(make(anyone, config(styled_layer(sql, style, interactivity=[*values]))))
    found = tile(anyone, token, "0/0/0/0.grid.json").json()
    assert found["data"]["1"] == {name: value for name, (_, value) in values.items()}
    assert pixel(picture(tile(anyone, token, "0/0/0.png")), 128, 128) == RED


def test_case_32_plain_layers_are_one_color(anyone: Api) -> None:
    plain = {"type": "plain", "options": {"color": [255, 0, 0]}}
    token = token_of(make(anyone, config(plain)))
    image = picture(tile(anyone, token, "0/0/0/0.png"))
    assert {pixel(image, x, x) for x in range(0, 256, 16)} == {RED}
    assert message(tile(anyone, token, "0/0/0.png")) == (400, "No 'mapnik' layers in MapConfig")
    blue = config(plain, styled_layer(cartocss=DOT.replace("#f00", "#00f")))
    image = picture(tile(anyone, token_of(make(anyone, blue)), "all/0/0/0.png"))
    assert (pixel(image, 128, 128), pixel(image, 20, 20)) == ((0, 0, 255, 255), RED)
    wrong = token_of(make(anyone, config({"type": "plain", "options": {"color": [1]}})))
    expected = "Invalid color for 'plain' layer: invalid integer array"
    assert message(tile(anyone, wrong, "0/0/0/0.png")) == (400, expected)


def test_case_33_static_images(anyone: Api) -> None:
    token = token_of(make(anyone, config(styled_layer(cartocss=DOT))))
    static = f"{MAP}/static"
    image = picture(anyone.get(f"{static}/center/{token}/2/0/0/300/200.png"))
    assert (size(image), pixel(image, 150, 100)) == ((300, 200), RED)
    refused = anyone.get(f"{static}/center/{token}/2/0/0/300/200.gif")
    assert message(refused) == (400, 'Unsupported image format "gif"')
    boxed = anyone.get(f"{static}/bbox/{token}/-10,-10,10,10/640/480.jpg")
    image = picture(boxed, "image/jpeg")
    assert size(image) == (640, 480)
    # 20 degrees take 455 pixels at zoom 5.
    same = anyone.get(f"{static}/center/{token}/5/0/0/640/480.jpg")
    assert same.content == boxed.content
    large = anyone.get(f"{static}/center/{token}/2/0/0/9000/200.png")
    assert message(large) == (400, "Desired image is too large.")
    for box in ("1,2,3", "10,0,-10,1", "a,b,c,d", "nan,0,1,1"):
        assert message(anyone.get(f"{static}/bbox/{token}/{box}/64/64.png"))[0] == 400


def test_a_jpeg_has_a_white_background_and_the_colors_of_the_png(anyone: Api) -> None:
    half = "#l{marker-width:60; marker-fill:#f00; marker-fill-opacity:0.5; marker-line-width:0}"
    token = token_of(make(anyone, config(styled_layer("select * from t where cartodb_id = 1", half))))
    address = f"{MAP}/static/center/{token}/2/0/0/300/600"
    jpeg = picture(anyone.get(f"{address}.jpg"), "image/jpeg")
    for place, expected in (
        ((5, 5), (255, 255, 255)),
        ((5, 595), (255, 255, 255)),
        ((150, 300), (255, 128, 128)),
    ):
        assert all(abs(a - b) < 8 for a, b in zip(pixel(jpeg, *place), expected, strict=False))
    assert pixel(picture(anyone.get(f"{address}.png")), 5, 5)[3] == 0


def test_case_41_a_picture_of_a_template_and_its_preview(anyone: Api) -> None:
    path = f"{NAMED}/world/all/0/0/0.png"
    blue = anyone.get(path, params={"config": json.dumps({"color": "blue"})})
    assert picture(blue).width() == 256
    assert blue.content != anyone.get(path).content
    made = [anyone.post(f"{NAMED}/world", json=given).json() for given in ({}, {"color": "#00f"})]
    sheets = [each["metadata"]["layers"][0]["meta"]["cartocss"] for each in made]
    assert sheets == ["#l{marker-fill:red}", "#l{marker-fill:#00f}"]
    preview = f"{MAP}/static/named/world/300/200.png"
    image = picture(anyone.get(preview))
    assert size(image) == (300, 200)
    views = [{"zoom": 3, "lon": 20, "lat": 0}, {"bbox": "-10,-10,10,10"}, {"layer": "0"}]
    bodies = {anyone.get(preview, params=view).content for view in views}
    assert len(bodies) == 3


@pytest.fixture
def preview(anyone: Api, owner_api: Api) -> Iterator[Preview]:
    """Stores a template with a view, and fetches its picture."""
    layers = [styled_layer("select * from t where cartodb_id >= <%= id %>", DOT) for _ in range(2)]
    given = {**template("viewed"), "layergroup": config(layers[0], {**layers[1], "id": "second"})}
    assert owner_api.post(NAMED, json=given).status_code == 200

    def fetch(view: Any = None, **params: Any) -> requests.Response:
        changed = {**given, "view": view} if view else given
        assert owner_api.put(f"{NAMED}/viewed", json=changed).status_code == 200
        return anyone.get(f"{MAP}/static/named/viewed/300/200.png", params=params)

    yield fetch
    assert owner_api.delete(f"{NAMED}/viewed").status_code == 204


def test_a_preview_without_a_view_shows_where_the_data_is(
    preview: Preview, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Points from 0 to 80 degrees take 228 pixels at zoom 2, from 40 to 80 degrees as many at zoom 3.
    shown = preview()
    assert picture(shown).compare(mapnik.Image(300, 200)) > 0
    assert shown.content == preview(zoom=2, lon=40, lat=0).content
    later = {"config": json.dumps({"id": 3})}
    assert preview(**later).content == preview(zoom=3, lon=60, lat=0, **later).content
    one = {"config": json.dumps({"id": 5})}
    assert preview(**one).content == preview(zoom=18, lon=80, lat=0, **one).content
    nothing = {"config": json.dumps({"id": 9})}
    assert preview(**nothing).content == preview(zoom=1, lon=0, lat=0, **nothing).content
    monkeypatch.setattr(mapextents, "PATIENCE", 0.0)
    # Then the table's index says where all its rows are, whatever the layer shows of them.
    late = {"config": json.dumps({"id": 4})}
    expected = picture(preview(zoom=2, lon=40, lat=0, **late))
    assert picture(preview(**late)).compare(expected, 16) == 0


def test_a_preview_shows_what_its_view_says(preview: Preview) -> None:
    center = {"lng": 20, "lat": 0.0}
    there = preview(zoom=4, lon=20, lat=0).content
    for zoom in (4, 4.0):
        assert preview({"zoom": zoom, "center": center}).content == there
    assert preview({"zoom": 1, "center": center}, zoom=4).content == there
    for wrong, told in ((4.5, "4.5"), (-1, "-1"), (1e300, "1e+300")):
        expected = f"Invalid zoom value ({told}). It should be an integer number greather than or equal to 0"
        assert message(preview({"zoom": wrong, "center": center})) == (400, expected)
    # What is no place counts for nothing.
    whole = preview().content
    for view in (
        {"zoom": "4", "center": center},
        {"zoom": 4},
        {"center": center},
        {"zoom": True, "center": {}},
    ):
        assert preview(view).content == whole
    bounds = {"west": 10, "south": -10, "east": 30, "north": 10.0}
    assert preview({"bounds": bounds}).content == preview(bbox="10,-10,30,10").content


def test_a_preview_whose_layers_are_all_hidden_is_empty(preview: Preview) -> None:
    empty = mapnik.Image(300, 200)
    assert picture(preview({"preview_layers": {"0": False, "second": False}})).compare(empty) == 0
    for hidden in ({"0": False}, {"second": False}, {"layer0": False, "1": None}):
        assert picture(preview({"preview_layers": hidden})).compare(empty) > 0
    asked = preview({"preview_layers": {"0": False, "1": False}}, layer="second")
    assert picture(asked).compare(empty) > 0


def test_case_24_an_unstyled_map_has_no_static_image(anyone: Api) -> None:
    token = token_of(make(anyone, V))
    response = anyone.get(f"{MAP}/static/center/{token}/2/0/0/64/64.png")
    assert message(response) == (400, "Unsupported format: 'cartocss' option is missing for png")


def test_without_mapnik_pictures_are_refused_and_vectors_work(
    anyone: Api, platform_server: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = importlib.util.find_spec

    def without_mapnik(name: str, package: str | None = None) -> Any:
        return None if name == "mapnik" else found(name, package)

    monkeypatch.setattr(importlib.util, "find_spec", without_mapnik)
    empty = Pictures(1, 0)
    monkeypatch.setattr(type(platform_server.app.platform.pictures), "renderer", type(empty).renderer)
    monkeypatch.setattr(platform_server.app.platform.pictures, "_renderer", None)
    token = token_of(make(anyone, config(styled_layer("select * from t where cartodb_id < 3"))))
    status, told = message(tile(anyone, token, "0/0/0.png"))
    assert status == 400
    assert "carto-like[maps]" in told
    assert tile(anyone, token, "0/0/0.mvt").status_code == 200


def test_case_47_a_ramp_becomes_conditions(anyone: Api) -> None:
    ramp = "#l{marker-width: ramp([cartodb_id],(2,4,6),(10,20,30)); marker-fill: #f00}"
    response = make(anyone, config(styled_layer(cartocss=ramp)))
    meta = response.json()["metadata"]["layers"][0]["meta"]
    assert meta["cartocss"].replace(" ", "") == (
        '#l{marker-width:2;["cartodb_id">10]{marker-width:4}["cartodb_id">20]{marker-width:6}marker-fill:#f00}'
    )
    assert meta["cartocss_meta"]["rules"][0]["column"] == "cartodb_id"
    assert tile(anyone, token_of(response), "0/0/0.png").status_code == 200
    colors = 'marker-fill: ramp([name], (red, blue, grey), ("n0", "n1"), =)'
    dots = DOT.replace("40", "8").replace("marker-fill:#f00", colors)
    image = picture(tile(anyone, token_of(make(anyone, config(styled_layer(cartocss=dots)))), "0/0/0.png32"))
    # A point each 20 degrees.
    found = [pixel(image, 128 + round(each * 256 * 20 / 360), 128) for each in range(4)]
    assert found == [RED, (0, 0, 255, 255), (128, 128, 128, 255), (128, 128, 128, 255)]
    absent = config(styled_layer(cartocss="#l{marker-width: ramp([nope], (2, 4, 6), equal)}"))
    refused = make(anyone, absent)
    assert message(refused)[1].startswith('Failed to process "marker-width" property: unable to compute ramp')
    assert refused.json()["errors_with_context"][0]["subtype"] == "turbo-carto"
