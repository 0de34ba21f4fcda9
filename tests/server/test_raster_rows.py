"""Pictures of what a role may read: tokens, reference systems, hostile SQL and odd geometries."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, TypeVar

import mapnik
import psycopg
import pytest

from carto_like.server.cartocss import RampError, compile_style
from carto_like.server.db import Database
from carto_like.server.pool import Connection
from carto_like.server.raster import Layer, Renderer, Source, View, fetch, query, read_only, without_ramps
from carto_like.server.secrets import Secrets
from carto_like.server.settings import Settings
from tests.support.api import TestAccount
from tests.support.datasets import Owner

T = TypeVar("T")
WORLD = 20037508.342789244
VIEW = View((-WORLD, -WORLD, WORLD, WORLD))
STYLE = compile_style(
    "#l { marker-fill: #f00; marker-width: 12; marker-line-width: 0; marker-allow-overlap: true }"
    " #l[n > 1] { marker-fill: #00f }"
)
HERE = "SELECT 1 AS n, ST_SetSRID(ST_MakePoint(0, 0), 3857) AS the_geom_webmercator"


@pytest.fixture(scope="module")
def renderer() -> Iterator[Renderer]:
    made = Renderer(threads=1)
    yield made
    made.close()


class Drawing:
    """Draws what the SQL of a role gives."""

    def __init__(self, settings: Settings, account: TestAccount, renderer: Renderer) -> None:
        self._settings, self._account, self._renderer = settings, account, renderer

    def __call__(self, sql: str, *, view: View = VIEW, **source: Any) -> Any:
        async def png(connection: Connection) -> bytes:
            rows = fetch(connection, Source(sql, **source), view, STYLE.columns)
            return await self._renderer.picture([Layer(STYLE, rows)], view, png="png32")

        return mapnik.Image.from_string(asyncio.run(self.reading(png)))

    def without_ramps(self, sql: str, sheet: str) -> tuple[str, list[dict[str, Any]]]:
        return asyncio.run(self.reading(lambda connection: without_ramps(connection, sql, sheet)))

    async def reading(self, work: Callable[[Connection], Awaitable[T]]) -> T:
        database = Database(self._settings, Secrets(self._settings.secret))
        await database.open()
        try:
            login = database.login(self._account.role, self._account.schema)
            async with login as connection, read_only(connection):
                return await work(connection)
        finally:
            await database.close()


@pytest.fixture
def draw(settings: Settings, account: TestAccount, renderer: Renderer) -> Drawing:
    return Drawing(settings, account, renderer)


def color(image: Any, x: int, y: int) -> tuple[int, int, int, int]:
    found = image.get_pixel_color(x, y)
    return found.r, found.g, found.b, found.a


RED, BLUE = (255, 0, 0, 255), (0, 0, 255, 255)


def test_rows_of_a_table_are_drawn_with_their_columns(draw: Drawing, owner: Owner) -> None:
    owner.execute(
        "CREATE TABLE p AS SELECT n, ST_SetSRID(ST_MakePoint(0, 0), 3857) AS g FROM (VALUES (2)) v(n)"
    )
    assert color(draw("SELECT * FROM p; -- all of them", geometry="g"), 128, 128) == BLUE
    assert color(draw("SELECT * FROM p WHERE n > 5", geometry="g"), 128, 128)[3] == 0


def test_more_rows_than_one_batch_are_drawn(draw: Drawing) -> None:
    across = f"ST_SetSRID(ST_MakePoint(({-WORLD}) + i * {2 * WORLD} / 21000, 0), 3857)"
    image = draw(f"SELECT 1 AS n, {across} AS the_geom_webmercator FROM generate_series(1, 21000) i")
    assert {color(image, x, 128) for x in range(256)} == {RED}


def test_wide_rows_come_a_few_at_a_time(draw: Drawing, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(query, "_BATCH_BYTES", 1_000_000)
    wide = "SELECT repeat('x', 10000) AS name, the_geom_webmercator FROM generate_series(1, 500) i"

    async def sizes(connection: Connection) -> list[int]:
        rows = fetch(connection, Source(wide.replace(" FROM", f" FROM ({HERE}) h,")), VIEW, ["name"])
        return [sum(len(name) for _, name in batch) async for batch in rows.iterate()]

    found = asyncio.run(draw.reading(sizes))
    assert sum(found) == 5_000_000
    # As many as libpq holds come on top.
    assert max(found) <= 1_000_000 + 64 * 10_000


def test_another_reference_system_is_transformed(draw: Drawing) -> None:
    image = draw("SELECT 1 AS n, ST_SetSRID(ST_MakePoint(90, 0), 4326) AS g", geometry="g", srid=4326)
    assert color(image, 192, 128) == RED


def test_tokens_are_replaced(draw: Drawing) -> None:
    point = "ST_SetSRID(ST_MakePoint(!pixel_width! * 64, !pixel_height! * 64), 3857)"
    where = "WHERE !scale_denominator! BETWEEN 559082264 AND 559082265 AND ST_Area(!bbox!) > 0"
    image = draw(f"SELECT 1 AS n, {point} AS the_geom_webmercator {where}")
    assert color(image, 192, 64) == RED


@pytest.mark.parametrize(
    "geometry",
    [
        "ST_MakePoint('NaN', 1)",
        "ST_MakePoint('Infinity', 1)",
        "'POINT EMPTY'",
        "'GEOMETRYCOLLECTION(POINT(1 1), LINESTRING(0 0, 9 9))'",
        "'POLYGON((0 0, 9 9, 9 0, 0 9, 0 0))'",
        "'POINT ZM (1 2 3 4)'",
        "NULL",
        *(
            f"ST_MakeLine(array_append(ARRAY(SELECT ST_MakePoint(i, i) FROM generate_series(1, 50) i),"
            f" ST_MakePoint('{odd}', 0)))"
            for odd in ("NaN", "Infinity")
        ),
    ],
)
def test_other_features_are_drawn_beside_odd_ones(draw: Drawing, geometry: str) -> None:
    odd = f"SELECT 1, ST_SetSRID({geometry}::geometry, 3857)"
    assert color(draw(f"{HERE} UNION ALL {odd}"), 128, 128) == RED


@pytest.mark.parametrize(
    ("sql", "error"),
    [
        ("SELECT 1 AS n", psycopg.errors.UndefinedColumn),
        (f"{HERE}) AS x; DROP TABLE q; SELECT * FROM ({HERE}", psycopg.errors.SyntaxError),
        (
            f"SELECT 1 / (n - 1) AS n, the_geom_webmercator FROM ({HERE}) h, generate_series(1, 2)",
            psycopg.errors.DivisionByZero,
        ),
        (
            f"SELECT n, the_geom_webmercator FROM ({HERE}) h, nextval('counter') AS used",
            psycopg.errors.ReadOnlySqlTransaction,
        ),
    ],
)
def test_what_postgresql_refuses_is_its_error_and_the_next_picture_is_drawn(
    draw: Drawing, owner: Owner, sql: str, error: type[psycopg.Error]
) -> None:
    owner.execute("CREATE SEQUENCE counter")
    owner.execute("CREATE TABLE q ()")
    with pytest.raises(error):
        draw(sql)
    assert owner.execute("SELECT count(*) FROM q") == [(0,)]
    assert color(draw(HERE), 128, 128) == RED


NUMBERS = "SELECT i AS n, chr(96 + i % 3) AS c FROM generate_series(1, 99) i"


@pytest.mark.parametrize(
    ("ramp", "breaks"),
    [
        ("ramp([n], (1, 2, 3), quantiles)", ["33", "66"]),
        ("ramp([n], (1, 2), equal)", ["50"]),
        ("ramp([n], (1, 2, 3), headtails)", ["75"]),
        ("ramp([n], (1, 2, 3), jenks)", ["33", "66"]),
        ("ramp([c], (1, 2, 3), category)", ['"a"', '"b"']),
    ],
)
def test_ramps_are_cut_where_the_data_say(draw: Drawing, ramp: str, breaks: list[str]) -> None:
    sheet, (rule,) = draw.without_ramps(NUMBERS, "#l { marker-width: " + ramp + " }")
    assert re.findall(r"(?:>|=) ([^\]]+)\]", sheet) == breaks
    assert rule["column"] in "nc"


def test_numbers_without_end_are_left_out_of_ramps(draw: Drawing) -> None:
    odd = "SELECT n FROM unnest(ARRAY[1, 3, 'NaN', 'Infinity', '-Infinity', NULL]::float8[]) n"
    _, (rule,) = draw.without_ramps(odd, "#l { marker-width: ramp([n], (1, 2), equal) }")
    assert [bucket["filter"]["end"] for bucket in rule["buckets"]] == [2.0, 3.0]
    assert rule["stats"] == {"filter_avg": 2.0}


def test_a_ramp_over_an_unknown_column_says_so(draw: Drawing) -> None:
    with pytest.raises(RampError) as caught:
        draw.without_ramps(NUMBERS, "#l { marker-fill: ramp([x], (1, 2)) }")
    expected = 'Failed to process "marker-fill" property: unable to compute ramp, column "x" does not exist'
    assert caught.value.message == expected
