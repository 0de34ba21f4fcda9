"""Pictures drawn from rows, compared with stored ones by what can be seen."""

import asyncio
import math
import struct
from collections.abc import Iterator
from pathlib import Path

import mapnik
import pytest

from carto_like.server.cartocss import MapnikStyle, compile_style
from carto_like.server.raster import RasterUnavailable, Renderer, RenderError, Row

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


def tile(renderer: Renderer, style: MapnikStyle, *rows: Row, scale: float = 1.0) -> bytes:
    return asyncio.run(renderer.render_tile(style, rows, BOUNDS, scale=scale, png="png32"))


def at(png: bytes, x: int, y: int) -> tuple[int, ...]:
    width, _, raw = pixels(png)
    start = (y * width + x) * 4
    return tuple(raw[start : start + 4])


PICTURES = {
    "points": (
        "Map { background-color: #fff } #l { marker-fill: #e41a1c; marker-width: [size];"
        " marker-line-color: #000; marker-allow-overlap: true; [size>20] { marker-fill: #377eb8 } }",
        [Row(point(40 + 45 * n, 40 + 40 * n), {"size": 8 + 6 * n}) for n in range(5)],
    ),
    "areas": (
        "#l { polygon-fill: #4daf4a; polygon-opacity: 0.6; line-color: #222; line-width: 3 }"
        " #l::over { line-color: #ff0; line-width: 1; line-dasharray: 8, 4 }",
        [Row(ring((30, 30), (220, 60), (180, 220), (60, 200), (30, 30)))],
    ),
    "labels": (
        "Map { background-color: #eef } #l { marker-width: 6; marker-fill: #333; marker-allow-overlap: true }"
        " #l::names { text-name: [name]; text-face-name: 'DejaVu Sans Bold'; text-size: 16; text-dy: -12;"
        " text-halo-radius: 2; text-halo-fill: #fff; text-allow-overlap: true }",
        [Row(point(128, 70 + 60 * n), {"name": name}) for n, name in enumerate(("Zürich", "O'Hare", "東"))],
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
    png = tile(renderer, RED, Row(point(64, 192)))
    assert at(png, 64, 64) == (255, 0, 0, 255)
    assert at(png, 192, 192)[3] == 0


def test_scale_makes_the_picture_denser(renderer: Renderer) -> None:
    png = tile(renderer, RED, Row(point(64, 192)), scale=2)
    assert pixels(png)[:2] == (512, 512)
    assert at(png, 128 + 17, 128) == (255, 0, 0, 255)


def test_layers_lie_over_each_other_in_any_size(renderer: Renderer) -> None:
    blue = compile_style("#l { marker-fill: #00f; marker-width: 8; marker-line-width: 0 }")
    layers = [(RED, [Row(point(50, 50))]), (blue, [Row(point(50, 50))])]
    png = asyncio.run(renderer.render_image(layers, (0, 0, 300, 100), 300, 100))
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
    assert at(tile(renderer, RED, Row(wkb), Row(point(64, 192))), 64, 64) == (255, 0, 0, 255)


def test_threads_survive_a_style_that_cannot_be_loaded(renderer: Renderer) -> None:
    for _ in range(4):
        with pytest.raises(RenderError):
            tile(renderer, MapnikStyle("<Map><oops/></Map>", frozenset()))
    assert at(tile(renderer, RED, Row(point(64, 192))), 64, 64) == (255, 0, 0, 255)


def test_a_loaded_style_keeps_no_rows(renderer: Renderer) -> None:
    tile(renderer, RED, Row(point(64, 192)))
    assert not any(pixels(tile(renderer, RED))[2])


@pytest.mark.parametrize(("width", "height"), [(0, 10), (10, 100_000)])
def test_sizes_have_limits(renderer: Renderer, width: int, height: int) -> None:
    with pytest.raises(RenderError, match="between 1 and 8192"):
        asyncio.run(renderer.render_image([(RED, [])], BOUNDS, width, height))


def test_without_mapnik_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(RasterUnavailable, match=r"carto-like\[maps\]"):
        Renderer()
