"""Maps that lie on the tiles of another server, or on a picture that is repeated."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import mapnik
import pytest
import requests

from carto_like.server.maps.basemaps import placed_tiles
from carto_like.server.maps.coordinates import Tile, pixel_size
from carto_like.server.settings import Settings
from tests.support.api import Api, make_account
from tests.support.maps import MAP, config, make, message, styled_layer, tile, token_of
from tests.support.server import RunningServer
from tests.support.tiles import TileServer, color_of, painted

DOT = "#l{marker-width:40; marker-fill:#f00; marker-line-width:0; marker-allow-overlap:true}"
POINT = "select 1 as cartodb_id, ST_SetSRID(ST_MakePoint(0, 0), 3857) as the_geom_webmercator"
RED = (255, 0, 0)


@pytest.fixture(scope="module")
def tile_server() -> Iterator[TileServer]:
    server = TileServer()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def server(settings: Settings, tile_server: TileServer) -> Iterator[RunningServer]:
    """A server whose maps may lie on the tiles, in three folders."""
    allowed = (f"{tile_server.root}256/", f"{tile_server.root}512/", f"{tile_server.root}any/")
    server = RunningServer(replace(settings, basemaps=allowed))
    yield server
    server.stop()


@pytest.fixture
def tiles(tile_server: TileServer) -> TileServer:
    tile_server.asked.clear()
    tile_server.answers.clear()
    tile_server.hold.clear()
    return tile_server


@pytest.fixture
def api(server: RunningServer) -> Iterator[Api]:
    account = make_account(server)
    client = Api(account.base_url, account.api_key)
    yield client
    client.session.close()


def http(template: str, **options: Any) -> dict[str, Any]:
    return {"type": "http", "options": {"urlTemplate": template, **options}}


def on(tiles: TileServer, path: str = "256/{z}/{x}/{y}.png", **options: Any) -> dict[str, Any]:
    return http(tiles.root + path, **options)


def dots() -> dict[str, Any]:
    return styled_layer(POINT, DOT)


def pixels(response: requests.Response, *places: tuple[int, int]) -> list[tuple[int, int, int]]:
    """The colours at these places of a picture; all of them opaque."""
    assert response.status_code == 200, response.text
    image = mapnik.Image.from_string(response.content)
    colors = [image.get_pixel_color(x, y) for x, y in places]
    assert {color.a for color in colors} == {255}
    return [(color.r, color.g, color.b) for color in colors]


def alpha(response: requests.Response, x: int, y: int) -> int:
    assert response.status_code == 200, response.text
    return int(mapnik.Image.from_string(response.content).get_pixel_color(x, y).a)


def drawn(api: Api, *layers: dict[str, Any], where: str = "all/1/1/1.png") -> requests.Response:
    return tile(api, token_of(make(api, config(*layers))), where)


def static(api: Api, *layers: dict[str, Any], where: str) -> requests.Response:
    token = token_of(make(api, config(*layers)))
    return api.get(f"{MAP}/static/center/{token}/{where}")


def test_data_lie_on_the_tiles_below_them(api: Api, tiles: TileServer) -> None:
    shown = drawn(api, on(tiles), dots())
    # The point is in the upper left corner of the tile.
    assert pixels(shown, (3, 3), (200, 200)) == [RED, color_of(1, 1, 1)]
    assert tiles.asked == ["/256/1/1/1.png"]


@pytest.mark.parametrize("side", [128, 256, 512])
@pytest.mark.parametrize("kind", ["png", "jpg"])
def test_tiles_of_any_size_fill_their_place(api: Api, tiles: TileServer, side: int, kind: str) -> None:
    places = (0, 0), (255, 0), (0, 255), (255, 255), (128, 128)
    shown = drawn(api, on(tiles, f"any/{side}/{{z}}/{{x}}/{{y}}.{kind}"))
    for found in pixels(shown, *places):
        assert found == pytest.approx(color_of(1, 1, 1), abs=4)


def test_a_dense_picture_has_the_same_tiles_larger(api: Api, tiles: TileServer) -> None:
    shown = drawn(api, on(tiles), dots(), where="all/1/1/1@2x.png")
    assert pixels(shown, (3, 3), (511, 511)) == [RED, color_of(1, 1, 1)]


def test_a_static_picture_is_laid_out_with_all_that_it_shows(api: Api, tiles: TileServer) -> None:
    shown = static(api, on(tiles), dots(), where="2/0/0/600/300.png")
    places = {(1, 1): (100, 20), (2, 1): (400, 20), (1, 2): (100, 280), (2, 2): (500, 280)}
    expected = [color_of(2, x, y) for x, y in places]
    assert pixels(shown, *places.values(), (300, 150)) == [*expected, RED]
    # Two columns and a bit of those beside them, each once.
    assert sorted(tiles.asked) == [f"/256/2/{x}/{y}.png" for x in range(4) for y in (1, 2)]


def test_the_world_comes_again_beside_itself_and_ends_in_the_north(api: Api, tiles: TileServer) -> None:
    shown = static(api, on(tiles), where="0/0/0/700/400.png")
    assert pixels(shown, (5, 200), (350, 200), (695, 200)) == [color_of(0, 0, 0)] * 3
    assert alpha(shown, 350, 10) == 0
    assert tiles.asked == ["/256/0/0/0.png"]


def test_a_picture_of_very_many_tiles_takes_larger_ones() -> None:
    side = 256 * pixel_size(5)
    fine = placed_tiles((-8 * side, -8 * side, 9 * side, 9 * side), 5)
    assert (len(fine), {place.tile.z for place in fine}) == (17 * 17, {5})
    coarse = placed_tiles((-8 * side, -8 * side, 9.5 * side, 9 * side), 5)
    assert (len(coarse), {place.tile.z for place in coarse}) == (9 * 9, {4})
    assert coarse[0].tile == Tile(4, 4, 3)
    assert coarse[0].bounds == pytest.approx((-8 * side, 8 * side, -6 * side, 10 * side))


def test_hosts_take_turns_and_rows_may_count_from_the_south(api: Api, tiles: TileServer) -> None:
    template = "256/{z}/{x}/{y}.png?of={s}"
    for where in ("all/1/0/0.png", "all/1/1/0.png"):
        drawn(api, on(tiles, template, subdomains="pq", tms=True), where=where)
    drawn(api, on(tiles, template), where="all/2/1/1.png")
    assert tiles.asked == ["/256/1/0/1.png?of=p", "/256/1/1/1.png?of=q", "/256/2/1/1.png?of=c"]


def test_a_tile_that_does_not_come_is_a_hole_and_is_asked_for_again(api: Api, tiles: TileServer) -> None:
    path = "/256/1/1/1.png"
    tiles.answers[path] = (503, b"")
    stored = api.sql(
        "CREATE TABLE t (the_geom geometry(Point, 4326)); SELECT CDB_CartodbfyTable('t');"
        "INSERT INTO t (the_geom) VALUES (ST_SetSRID(ST_MakePoint(0, 0), 4326))"
    )
    assert stored.status_code == 200, stored.text
    token = token_of(make(api, config(on(tiles), styled_layer("select * from t", DOT))))
    shown = tile(api, token, "all/1/1/1.png")
    assert pixels(shown, (3, 3)) == [RED]
    assert alpha(shown, 200, 200) == 0
    del tiles.answers[path]
    assert pixels(tile(api, token, "all/1/1/1.png"), (200, 200)) == [color_of(1, 1, 1)]
    # And is kept then, as any tile.
    assert pixels(tile(api, token, "all/1/1/1.png"), (200, 200)) == [color_of(1, 1, 1)]
    assert tiles.asked == [path] * 2


def _header_of_a_huge_png() -> bytes:
    return painted(RED)[:16] + struct.pack(">II", 60_000, 60_000) + painted(RED)[24:]


@pytest.mark.parametrize(
    ("status", "body", "why"),
    [
        (404, b"", "404"),
        (302, b"", "302"),
        (200, b"", "neither a PNG nor a JPEG"),
        (200, b"<svg/>", "neither a PNG nor a JPEG"),
        (200, painted(RED)[:20], "neither a PNG nor a JPEG"),
        (200, b"\xff\xd8\xff", "neither a PNG nor a JPEG"),
        (200, b"\xff\xd8\xff\xe0\x00\x02" * 3, "neither a PNG nor a JPEG"),
        (200, painted(RED)[:60], "it cannot be read"),
        (200, _header_of_a_huge_png(), "more than 4096 pixels wide or high"),
        (200, painted(RED) + bytes(2**22), "more than 4194304 bytes"),
    ],
)
def test_what_is_wrong_with_a_tile_is_told_when_nothing_else_is_drawn(
    api: Api, tiles: TileServer, status: int, body: bytes, why: str
) -> None:
    path = "/256/1/1/1.png?token=hidden"
    tiles.answers[path] = (status, body)
    refused = drawn(api, on(tiles, "256/{z}/{x}/{y}.png?token=hidden"))
    assert message(refused) == (400, f"Unable to fetch http tile: {tiles.root}256/1/1/1.png [{why}]")
    assert alpha(drawn(api, on(tiles, "256/{z}/{x}/{y}.png?token=hidden"), dots()), 200, 200) == 0


def test_a_server_that_takes_long_is_an_error_even_among_others(api: Api, tiles: TileServer) -> None:
    tiles.hold.add("/256/1/1/1.png")
    refused = drawn(api, on(tiles), dots())
    assert message(refused) == (400, f"Unable to fetch http tile: {tiles.root}256/1/1/1.png [timeout]")


def test_no_other_server_is_asked(api: Api, tiles: TileServer) -> None:
    root = tiles.root
    for template in (
        "http://127.0.0.1:1/{z}/{x}/{y}.png",
        "file:///etc/{z}",
        root.replace("//", "//somebody@") + "256/{z}/{x}/{y}.png",
        root[:-1] + "0/256/{z}/{x}/{y}.png",
        root + "other/{z}/{x}/{y}.png",
    ):
        refused = drawn(api, http(template))
        assert message(refused) == (400, 'Invalid "urlTemplate" for http layer')
        # Under data it is as if it were not there.
        assert alpha(drawn(api, http(template), dots()), 200, 200) == 0
    assert tiles.asked == []


@pytest.mark.parametrize("step", ["..", "%2e%2E", ".%2e"])
def test_nothing_above_what_is_allowed_is_reached(api: Api, tiles: TileServer, step: str) -> None:
    refused = drawn(api, on(tiles, f"any/{step}/128/{{z}}/{{x}}/{{y}}.png"))
    assert message(refused) == (400, 'Invalid "urlTemplate" for http layer')
    assert tiles.asked == []


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({}, 'Missing mandatory "urlTemplate" option'),
        ({"urlTemplate": ""}, 'Missing mandatory "urlTemplate" option'),
        ({"urlTemplate": ["a"]}, 'Missing mandatory "urlTemplate" option'),
    ],
)
def test_an_address_is_needed(api: Api, options: dict[str, Any], why: str) -> None:
    for layers in ([{"type": "http", "options": options}], [{"type": "http", "options": options}, dots()]):
        refused = drawn(api, *layers)
        assert message(refused) == (400, why)


def test_a_part_of_a_host_is_no_more_than_that(api: Api, tiles: TileServer) -> None:
    refused = drawn(api, on(tiles, "256/{z}/{x}/{y}.png?of={s}", subdomains=["a.example.org/"]))
    text = 'Invalid "subdomains" for http layer: they are parts of the name of a host'
    assert message(refused) == (400, text)
    assert tiles.asked == []


def test_a_picture_is_repeated(api: Api, tiles: TileServer) -> None:
    image = mapnik.Image(32, 32)
    image.fill(mapnik.Color("blue"))
    image.set_pixel(0, 0, mapnik.Color("lime"))
    tiles.answers["/any/stone.png"] = (200, bytes(image.to_string("png32")))
    plain = {"type": "plain", "options": {"imageUrl": f"{tiles.root}any/stone.png"}}
    shown = drawn(api, plain, dots())
    assert pixels(shown, (3, 3), (64, 96), (65, 96)) == [RED, (0, 255, 0), (0, 0, 255)]
    assert tiles.asked == ["/any/stone.png"]


def test_a_single_pixel_is_repeated_soon_enough(api: Api, tiles: TileServer) -> None:
    tiles.answers["/any/pixel.png"] = (200, painted((0, 0, 255), side=1))
    plain = {"type": "plain", "options": {"imageUrl": f"{tiles.root}any/pixel.png"}}
    # One by one it would take a minute.
    shown = static(api, plain, where="2/0/0/2000/2000.png")
    assert pixels(shown, (0, 0), (1999, 1999), (127, 128)) == [(0, 0, 255)] * 3


@pytest.mark.parametrize(
    ("address", "why"),
    [
        (
            "http://127.0.0.1:1/stone.png",
            "this server may not ask there; its operator can allow it by --basemap",
        ),
        ("any/stone.png", "404"),
        (7, "it must be text"),
    ],
)
def test_a_picture_that_cannot_be_had(api: Api, tiles: TileServer, address: Any, why: str) -> None:
    if address == "any/stone.png":
        address = tiles.root + address
    refused = drawn(api, {"type": "plain", "options": {"imageUrl": address}}, dots())
    assert message(refused) == (400, f"Invalid imageUrl for 'plain' layer: {why}")
