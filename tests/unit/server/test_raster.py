"""Pictures drawn from rows, compared with stored ones by what can be seen."""

import asyncio
import math
import struct
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import mapnik
import pytest

from carto_like.server.cartocss import MapnikStyle, compile_style
from carto_like.server.raster import Layer, RasterUnavailable, Renderer, RenderError, Row, Rows, View
from carto_like.server.raster.features import fill
from carto_like.server.raster.likeness import Likeness

DATA = Path(__file__).parents[2] / "data" / "raster"
BOUNDS = (0.0, 0.0, 256.0, 256.0)
RED = compile_style("#l { marker-fill: #f00; marker-width: 20; marker-line-width: 0 }")


def point(x: float, y: float) -> bytes:
    return struct.pack("<BIdd", 1, 1, x, y)


def ring(*corners: tuple[float, float]) -> bytes:
    return struct.pack("<BIII", 1, 3, 1, len(corners)) + b"".join(
        struct.pack("<dd", *pair) for pair in corners
    )


def line(*corners: tuple[float, float]) -> bytes:
    return struct.pack("<BII", 1, 2, len(corners)) + b"".join(struct.pack("<dd", *pair) for pair in corners)


@pytest.fixture(scope="module")
def renderer() -> Iterator[Renderer]:
    made = Renderer(threads=2)
    yield made
    made.close()


def pixels(png: bytes) -> tuple[int, int, bytes]:
    image = mapnik.Image.from_string(png)
    return image.width(), image.height(), bytes(image.to_string())


Feature = tuple[bytes, dict[str, Any]]


def feature(wkb: bytes, **attributes: Any) -> Feature:
    return wkb, attributes


def layer(style: MapnikStyle, *rows: Feature) -> Layer:
    columns = tuple(sorted(style.columns))
    return Layer(style, Rows(columns, [(wkb, *map(values.get, columns)) for wkb, values in rows]))


def tile(renderer: Renderer, style: MapnikStyle, *rows: Feature, scale: float = 1.0) -> bytes:
    view = View(BOUNDS, scale=scale)
    return asyncio.run(renderer.picture([layer(style, *rows)], view, png="png32"))


def at(png: bytes, x: int, y: int) -> tuple[int, ...]:
    width, _, raw = pixels(png)
    start = (y * width + x) * 4
    return tuple(raw[start : start + 4])


PICTURES = {
    "points": (
        "Map { background-color: #fff } #l { marker-fill: #e41a1c; marker-width: [size];"
        " marker-line-color: #000; marker-allow-overlap: true; [size>20] { marker-fill: #377eb8 } }",
        [feature(point(40 + 45 * n, 40 + 40 * n), size=8 + 6 * n) for n in range(5)],
    ),
    "areas": (
        "#l { polygon-fill: #4daf4a; polygon-opacity: 0.6; line-color: #222; line-width: 3 }"
        " #l::over { line-color: #ff0; line-width: 1; line-dasharray: 8, 4 }",
        [feature(ring((30, 30), (220, 60), (180, 220), (60, 200), (30, 30)))],
    ),
    "labels": (
        "Map { background-color: #eef } #l { marker-width: 6; marker-fill: #333; marker-allow-overlap: true }"
        " #l::names { text-name: [name]; text-face-name: 'DejaVu Sans Bold'; text-size: 16; text-dy: -12;"
        " text-halo-radius: 2; text-halo-fill: #fff; text-allow-overlap: true }",
        [feature(point(128, 70 + 60 * n), name=name) for n, name in enumerate(("Zürich", "O'Hare", "東"))],
    ),
}


@pytest.mark.parametrize("name", PICTURES)
def test_pictures_look_like_the_stored_ones(renderer: Renderer, name: str) -> None:
    sheet, rows = PICTURES[name]
    width, height, drawn = pixels(tile(renderer, compile_style(sheet), *rows))
    stored_width, stored_height, stored = pixels((DATA / f"{name}.png").read_bytes())
    assert (width, height) == (stored_width, stored_height)
    different = sum(abs(a - b) > 24 for a, b in zip(drawn, stored, strict=True))
    assert different < len(stored) * 0.005


def test_a_tile_shows_points_where_they_are(renderer: Renderer) -> None:
    png = tile(renderer, RED, feature(point(64, 192)))
    assert at(png, 64, 64) == (255, 0, 0, 255)
    assert at(png, 192, 192)[3] == 0


def test_scale_makes_the_picture_denser(renderer: Renderer) -> None:
    png = tile(renderer, RED, feature(point(64, 192)), scale=2)
    assert pixels(png)[:2] == (512, 512)
    assert at(png, 128 + 17, 128) == (255, 0, 0, 255)


def test_layers_lie_over_each_other_in_any_size(renderer: Renderer) -> None:
    dot = "marker-fill: #00f; marker-width: 8; marker-line-width: 0"
    blue = compile_style("#l { marker-allow-overlap: true; " + dot + " }")
    layers = [layer(RED, feature(point(50, 50))), layer(blue, feature(point(50, 50)))]
    png = asyncio.run(renderer.picture(layers, View((0, 0, 300, 100), 300, 100), png="png32"))
    assert pixels(png)[:2] == (300, 100)
    assert at(png, 50, 50) == (0, 0, 255, 255)
    assert at(png, 57, 50) == (255, 0, 0, 255)


@pytest.mark.parametrize(
    "wkb",
    [
        b"",
        b"\x01\x01",
        b"not a geometry at all, whatever it is",
        point(math.nan, 1),
        point(math.inf, 1),
        line((0, 0), (math.nan, 3), (9, 9)),
        struct.pack("<BIddd", 1, 1001, 5, 5, 9),
        struct.pack("<BIdddd", 1, 3001, 5, 5, 9, 9),
        ring((0, 0), (9, 9), (9, 0), (0, 9), (0, 0)),
    ],
)
def test_other_features_are_drawn_beside_odd_geometries(renderer: Renderer, wkb: bytes) -> None:
    assert at(tile(renderer, RED, feature(wkb), feature(point(64, 192))), 64, 64) == (255, 0, 0, 255)


@pytest.mark.parametrize("attachment", ["", "#l::top { marker-width: 4; marker-fill: #00f }"])
def test_batches_make_the_same_picture_as_all_rows_at_once(renderer: Renderer, attachment: str) -> None:
    sheet = "#l { marker-fill: [c]; marker-width: 40; marker-opacity: 0.5; marker-allow-overlap: true }"
    style = compile_style(sheet + attachment)
    rows = [feature(point(20 + 3 * n, 128), c=("red", "#00ff00")[n % 2]) for n in range(60)]

    async def batches() -> AsyncIterator[list[tuple[bytes, str]]]:
        for start in range(0, 60, 7):
            yield [(wkb, values["c"]) for wkb, values in rows[start : start + 7]]

    async def drawn() -> bytes:
        in_parts = Layer(style, Rows(("c",), batches=batches()))
        return await renderer.picture([in_parts], View(BOUNDS), png="png32")

    assert style.in_turn == (not attachment)
    parts, whole = pixels(asyncio.run(drawn()))[2], pixels(tile(renderer, style, *rows))[2]
    assert any(parts)
    assert max(abs(a - b) for a, b in zip(parts, whole, strict=True)) <= (4 if style.in_turn else 0)


MARKERS = {
    "one kind": "marker-width: 9; marker-fill: #f00",
    "see-through": "marker-width: 9; marker-opacity: 0.3; marker-allow-overlap: true",
    "mixed": "marker-width: 9; marker-fill: #808; marker-comp-op: multiply; marker-allow-overlap: true",
    "by value": "marker-width: [n]; marker-allow-overlap: true; [n > 9] { marker-fill: #f00 }",
    "by number": "marker-width: 9; marker-allow-overlap: true; [m > 9] { marker-fill: #f00 }",
    "by word": "marker-width: 9; marker-allow-overlap: true; [w = 'x'] { marker-fill: #f00 }",
    "attached": "marker-width: 9; marker-allow-overlap: true; ::top { marker-width: 4; marker-fill: #f00 }",
}


@pytest.mark.parametrize("name", MARKERS)
def test_points_that_are_alike_are_one_feature_and_look_the_same(renderer: Renderer, name: str) -> None:
    style = compile_style(f"#l {{ {MARKERS[name]} }}")
    values = [{"n": 5 + n // 100, "m": n // 9 % 4 + 7.5, "w": "xyz"[n // 7 % 3]} for n in range(600)]
    rows = [feature(point(n * 37.3 % 256, n * 101.7 % 256), **each) for n, each in enumerate(values)]
    assert style.points_join
    columns = tuple(sorted(style.columns))
    runs = Likeness(columns, style.tests).runs(layer(style, *rows).rows.rows)
    assert runs is not None
    assert len(runs) < 300
    together = tile(renderer, style, *rows)
    assert together == tile(renderer, replace(style, points_join=False), *rows)
    assert len(set(pixels(together)[2])) > 2


NUMBERS, WORDS = {"n": frozenset([5.0, 10.0])}, {"n": frozenset(["a"])}
MIXED = [point(1, 1), line((0, 0), (1, 1)), None, point(1, math.inf), point(2, 2)]


@pytest.mark.parametrize(
    ("values", "tests", "features"),
    [
        ([()] * 9, {}, 1),
        ([(n // 5,) for n in range(500)], {}, 100),
        ([(n % 2,) for n in range(500)], {}, 500),
        ([(n % 4,) for n in range(500)], NUMBERS, 1),
        ([(4.9,), (5,), (5.0,), (5.1,), (9,), (10,), (11,), (2**60,), (2**60 + 1,)], NUMBERS, 7),
        ([(True,), (1,), (None,), (None,), (math.nan,), (0.0,), ("a",), ("b",)], NUMBERS, 7),
        ([("a",), ("a",), ("b",), ("c",), (None,), (1,), (1.0,)], WORDS, 5),
        ([(2**64,), (2**64,), ([1],)], {}, 2),
        ([], {}, 0),
    ],
)
def test_neighbours_that_are_alike_are_one_feature(
    values: list[tuple[Any, ...]], tests: Any, features: int
) -> None:
    columns = ("n",) if values and values[0] else ()
    rows = [(point(n % 256, n % 256), *each) for n, each in enumerate(values)]
    joined, single = mapnik.MemoryDatasource(), mapnik.MemoryDatasource()
    assert fill(joined, columns, rows, 7, Likeness(columns, tests)) == 7 + len(rows)
    assert joined.num_features() == features
    assert fill(single, columns, rows, 7, None) == 7 + len(rows)
    assert single.num_features() == len(rows)


def test_rows_of_which_some_are_no_points_are_features_each() -> None:
    source = mapnik.MemoryDatasource()
    assert fill(source, (), [(wkb,) for wkb in MIXED], 0, Likeness((), {})) == len(MIXED)
    assert source.num_features() == 3


def test_styles_that_look_at_a_whole_feature_join_no_points() -> None:
    for sheet in (
        "marker-width: 4; marker-placement: line",
        "marker-width: 4; marker-multi-policy: largest",
        "marker-width: 4; line-width: 1",
        "marker-width: 4; text-name: 'x'; text-face-name: 'DejaVu Sans Book'",
        'marker-width: 4; ["mapnik::geometry_type" = 1] { marker-width: 8 }',
    ):
        assert not compile_style(f"#l {{ {sheet} }}").points_join


def test_labels_of_one_layer_give_way_to_those_of_another(renderer: Renderer) -> None:
    style = compile_style("#l { text-name: 'XXXXXXXX'; text-face-name: 'DejaVu Sans Book'; text-size: 30 }")
    rows = feature(point(128, 128))
    twice = asyncio.run(renderer.picture([layer(style, rows)] * 2, View(BOUNDS), png="png32"))
    assert twice == tile(renderer, style, rows)


def test_the_background_lies_under_all_layers(renderer: Renderer) -> None:
    paper = compile_style("Map { background-color: #0f0 } #l { marker-width: 4 }")
    layers = [layer(RED, feature(point(64, 192))), layer(paper)]
    png = asyncio.run(renderer.picture(layers, View(BOUNDS), png="png32"))
    assert (at(png, 64, 64), at(png, 200, 200)) == ((255, 0, 0, 255), (0, 255, 0, 255))


def test_a_grid_names_the_feature_under_each_cell(renderer: Renderer) -> None:
    rows = Rows(("cartodb_id", "name"), [(point(64, 192), 43, "here"), (point(200, 20), 44, None)])
    grid = asyncio.run(renderer.grid(Layer(RED, rows), View(BOUNDS), ["cartodb_id", "name"]))
    assert sorted(grid["keys"]) == ["", "43", "44"]
    assert (len(grid["grid"]), len(grid["grid"][0])) == (64, 64)
    assert grid["data"]["43"] == {"cartodb_id": 43, "name": "here"}
    code = ord(grid["grid"][16][16])
    assert grid["keys"][code - 32 - (code > 34) - (code > 92)] == "43"


def test_rows_at_hand_make_the_same_pictures(renderer: Renderer) -> None:
    here = Row(point(64, 192), {"cartodb_id": 43})
    expected = tile(renderer, RED, feature(here.wkb))
    assert asyncio.run(renderer.render_tile(RED, [here], BOUNDS, png="png32")) == expected
    assert asyncio.run(renderer.render_image([(RED, [here])], BOUNDS, 256, 256)) == expected
    grid = asyncio.run(renderer.render_grid(RED, [here], BOUNDS, key="cartodb_id", fields=[]))
    assert grid["data"] == {"43": {"cartodb_id": 43}}


def test_too_many_features_for_one_picture_are_refused() -> None:
    few = Renderer(1, features=2)
    style = compile_style("#l { marker-width: 4 } #l::top { marker-width: 2 }")
    try:
        with pytest.raises(RenderError, match="more than 2 features"):
            tile(few, style, *[feature(point(n, n)) for n in range(3)])
    finally:
        few.close()


def test_too_large_features_for_one_picture_are_refused() -> None:
    small = Renderer(1, size=50)
    whole = compile_style("#l { marker-width: 4 } #l::top { marker-width: 2 }")
    try:
        assert tile(small, whole, *[feature(point(n, n)) for n in range(2)])
        with pytest.raises(RenderError, match="more than 50 bytes of rows"):
            tile(small, whole, *[feature(point(n, n)) for n in range(3)])
        # What is drawn row by row is not held.
        assert tile(small, RED, *[feature(point(n, n)) for n in range(3)])
    finally:
        small.close()


def test_threads_survive_a_style_that_cannot_be_loaded(renderer: Renderer) -> None:
    for _ in range(4):
        with pytest.raises(RenderError):
            tile(renderer, MapnikStyle("<Map><oops/></Map>", frozenset()))
    assert at(tile(renderer, RED, feature(point(64, 192))), 64, 64) == (255, 0, 0, 255)


def test_a_loaded_style_keeps_no_rows(renderer: Renderer) -> None:
    tile(renderer, RED, feature(point(64, 192)))
    assert not any(pixels(tile(renderer, RED))[2])


@pytest.mark.parametrize(("width", "height"), [(0, 10), (10, 100_000)])
def test_sizes_have_limits(renderer: Renderer, width: int, height: int) -> None:
    with pytest.raises(RenderError, match="between 1 and 8192"):
        asyncio.run(renderer.picture([layer(RED)], View(BOUNDS, width, height)))


def test_without_mapnik_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(RasterUnavailable, match=r"carto-like\[maps\]"):
        Renderer()
