"""Maps of odd data, of tables that change, and under load."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest
import requests

from carto_like.server.maps.cache import ByteCache, SingleFlight
from carto_like.server.maps.coordinates import Tile
from carto_like.server.maps.layersql import Source, vector_tile
from carto_like.server.services import mapsession, maptiles
from carto_like.server.services.mapdrawing import Content
from tests.conftest import MakeServer
from tests.support.api import TIMEOUT, Api, TestAccount, make_account
from tests.support.maps import (
    MAP,
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

ODD = {
    "empty": "null::geometry(Point,3857)",
    "nothing in it": "'POINT EMPTY'",
    "invalid": "'POLYGON((0 0, 1000000 1000000, 1000000 0, 0 1000000, 0 0))'",
    "z": "'POINT Z (1 2 3)'",
    "zm": "'LINESTRING ZM (1 2 3 4, 500000 600000 7 8)'",
    "not a number": "'POINT(NaN NaN)'",
    "infinite": "ST_MakePoint('Infinity', 1)",
    "an infinite line": "ST_MakeLine(ST_MakePoint(0, 0), ST_MakePoint('Infinity', '-Infinity'))",
    "mixed": "'GEOMETRYCOLLECTION(POINT(1 1), LINESTRING(0 0, 500000 500000))'",
    "a line through no number": "'LINESTRING(0 0, 100 NaN, 500000 600000)'",
    "an area round no number": "'POLYGON((0 0, 100 NaN, 500000 600000, 0 0))'",
    "a long curve": "(select 'CIRCULARSTRING(' || string_agg(i * 9000 || ' ' || i % 2 * 9000, ',') || ')' "
    "from generate_series(0, 100) i)",
    "a curve": "'CIRCULARSTRING(0 0, 500000 500000, 1000000 0)'",
    "a multipoint": "'MULTIPOINT(1 1, 2 2)'",
    "huge": "'POINT(1e300 1e300)'",
}


@pytest.fixture(scope="module")
def master(owner_api: Api) -> Api:
    return owner_api


@pytest.mark.parametrize("name", sorted(ODD))
def test_odd_geometries_do_not_keep_others_from_the_map(master: Api, name: str) -> None:
    odd = ODD[name] if ODD[name].startswith("null") else f"ST_SetSRID({ODD[name]}::geometry, 3857)"
    sql = (
        f"select 1 as cartodb_id, {odd} as the_geom_webmercator union all "
        "select 2, ST_SetSRID(ST_MakePoint(5, 5), 3857)"
    )
    style = (
        "#l{marker-width:4; marker-placement:line; marker-allow-overlap:true; line-color:#f00; "
        "polygon-fill:#0f0; text-name:[cartodb_id]; text-face-name:'DejaVu Sans Book'; text-placement:line; "
        "text-spacing:9}"
    )
    token = token_of(make(master, config(styled_layer(sql, style, interactivity="cartodb_id"))))
    for address in ("0/0/0.mvt", "9/256/255.mvt"):
        found = read_tile(tile(master, token, address).content)["layer0"].features
        assert 2 in {feature["cartodb_id"] for feature in found}
    for address in ("0/0/0.png", "0/9/256/255.grid.json"):
        response = tile(master, token, address)
        assert response.status_code == 200, response.text


@pytest.mark.parametrize(
    "style",
    [
        "#l{line-width:2; line-clip:false; line-dasharray:1,1}",
        "#l{marker-width:2; marker-placement:line; marker-spacing:1; marker-clip:false; "
        "marker-allow-overlap:true}",
    ],
)
def test_long_lines_are_drawn_as_soon_as_short_ones(master: Api, style: str) -> None:
    """Dashes and markers along the equator at the deepest zoom would be thousands of millions."""
    shapes = [
        "ST_MakeLine(ST_MakePoint(-2e7, 0), ST_MakePoint(2e7, 1e-9))",
        "ST_MakeEnvelope(-2e7, -2e7, 0, 2e7)",
        *(odd for name, odd in ODD.items() if name != "empty"),
    ]
    rows = [f"select {n} as n, ST_SetSRID({shape}::geometry, 3857) as g" for n, shape in enumerate(shapes)]
    sql = f"select n, g as the_geom_webmercator from ({' union all '.join(rows)}) as odd"
    token = token_of(make(master, config(styled_layer(sql, style))))
    response = tile(master, token, "28/134217728/134217728.png")
    assert response.status_code == 200, response.text
    empty = tile(master, token, "28/134217000/134217000.png")
    assert (empty.status_code, len(empty.content) < len(response.content)) == (200, True)


@pytest.mark.parametrize("name", ["a curve", "a long curve"])
def test_curves_are_drawn(master: Api, name: str) -> None:
    sql = f"select ST_SetSRID(shape::geometry, 3857) as g from (select {ODD[name]}) as s (shape)"
    token = token_of(make(master, config(styled_layer(sql, "#l{line-width:3}", geom_column="g"))))
    drawn, empty = (tile(master, token, f"5/{place}.png") for place in ("16/15", "0/0"))
    assert (drawn.status_code, empty.status_code) == (200, 200), drawn.text
    assert drawn.content != empty.content


@pytest.mark.parametrize("name", ["mvt", "found", "cdbq", "near"])
def test_a_column_may_have_any_name(master: Api, name: str) -> None:
    sql = f"select 7 as cartodb_id, 'x'::text as {name}, ST_SetSRID(ST_MakePoint(1, 1), 3857) as g"
    exposed = {"id": "cartodb_id", "columns": [name]}
    counted = {"sample": {"num_rows": 1, "include_columns": [name]}}
    layer = vector_layer(sql, geom_column="g", attributes=exposed, metadata=counted)
    made = make(master, config(layer))
    token = token_of(made)
    assert made.json()["metadata"]["layers"][0]["meta"]["stats"]["sample"] == [{name: "x"}]
    features = read_tile(tile(master, token, "0/0/0.mvt").content)["layer0"].features
    assert features == [{"cartodb_id": 7, name: "x"}]
    assert tile(master, token, "0/attributes/7").json() == {name: "x"}


def test_what_is_no_map_is_refused(master: Api) -> None:
    text = config(vector_layer("select 'a'::text as the_geom_webmercator"))
    status, told = message(tile(master, token_of(make(master, text)), "0/0/0.mvt"))
    assert (status, "invalid geometry" in told) == (400, True)
    # What is in another system is taken for metres, unless the layer says which system it is.
    degrees = "select ST_SetSRID(ST_MakePoint(170,80),4326) as the_geom_webmercator"
    taken = token_of(make(master, config(vector_layer(degrees))))
    assert tile(master, taken, "9/256/255.mvt").status_code == 200
    told_so = token_of(make(master, config(vector_layer(degrees, srid=4326))))
    assert tile(master, told_so, "9/256/255.mvt").status_code == 204
    given = vector_layer("select ST_SetSRID(ST_MakePoint(1,1),4326) as g", srid=4326, geom_column="g")
    token = token_of(make(master, config(given)))
    assert list(read_tile(tile(master, token, "0/0/0.mvt").content)) == ["layer0"]
    nothing = token_of(
        make(
            master,
            config(vector_layer("select null::geometry(Point,3857) as the_geom_webmercator where false")),
        )
    )
    assert tile(master, nothing, "0/0/0.mvt").status_code == 204


@pytest.mark.parametrize("name", ["1", "a,b", "a/b", "..", "all", "twin", "é {z} ?#%2F"])
def test_the_address_of_a_layer_leads_to_it_whatever_its_id(master: Api, name: str) -> None:
    layers = [vector_layer(GENERATED.replace("1 as n", f"{n} as n")) for n in range(2)]
    others = {"id": "twin"} if name == "twin" else {}
    made = make(master, config({**layers[0], "id": name}, {**layers[1], **others}))
    for n, layer in enumerate(made.json()["metadata"]["layers"]):
        (address,) = layer["tilejson"]["vector"]["tiles"]
        response = master.session.get(address.format(z=0, x=0, y=0), timeout=TIMEOUT)
        assert response.status_code == 200, response.text
        (found,) = read_tile(response.content).values()
        assert found.features == [{"n": n}]


def test_names_with_quotes_are_names(master: Api) -> None:
    sql = """select 1 as "a'b", 2 as "c""d", 3 as "ü %s", 'x' as "the geom", 4 as dup, 5 as dup,
             ST_SetSRID(ST_MakePoint(1, 1), 3857) as "ge'o""m" -- a comment"""
    layer = {**vector_layer(sql, geom_column="ge'o\"m"), "id": 'lay\'er "1" \\'}
    token = token_of(make(master, config(layer)))
    (found,) = read_tile(tile(master, token, "0/0/0.mvt").content).values()
    assert found.name == layer["id"]
    assert found.features == [{"a'b": 1, 'c"d': 2, "ü %s": 3, "the geom": "x"}]


def test_a_table_that_changes_or_goes_after_the_map_was_made(
    platform_server: RunningServer, master: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What was read a moment ago counts for nothing here.
    monkeypatch.setattr("carto_like.server.cache.CACHE_SECONDS", -1.0)
    made = master.sql(
        "CREATE TABLE gone AS SELECT 1 AS n, 'x'::text AS name, "
        "ST_SetSRID(ST_MakePoint(1, 1), 3857) AS the_geom_webmercator"
    )
    assert made.status_code == 200, made.text
    token = token_of(make(master, config(vector_layer("select * from gone"))))
    assert read_tile(tile(master, token, "0/0/0.mvt").content)["layer0"].features == [{"n": 1, "name": "x"}]
    assert master.sql("ALTER TABLE gone RENAME name TO title").status_code == 200
    assert read_tile(tile(master, token, "0/0/0.mvt").content)["layer0"].features == [{"n": 1, "title": "x"}]
    assert master.sql("DROP TABLE gone").status_code == 200
    assert message(tile(master, token, "0/0/0.mvt")) == (404, 'relation "gone" does not exist')
    again = tile(master, token_of(make(master, config(vector_layer(GENERATED)))), "0/0/0.mvt")
    assert again.status_code == 200


GENERATED = "select 1 as n, ST_SetSRID(ST_MakePoint(1, 1), 3857) as the_geom_webmercator"


def test_a_right_that_is_taken_back_closes_warm_tiles(master: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("carto_like.server.cache.CACHE_SECONDS", -1.0)
    made = master.sql(
        "CREATE TABLE shown (the_geom geometry(Point, 4326)); SELECT CDB_CartodbfyTable('shown');"
        "INSERT INTO shown (the_geom) VALUES (ST_SetSRID(ST_MakePoint(1, 1), 4326));"
        "GRANT SELECT ON shown TO publicuser"
    )
    assert made.status_code == 200, made.text
    token = token_of(make(master.anonymous, config(vector_layer("select * from shown"))))
    for _ in range(2):
        assert tile(master.anonymous, token, "0/0/0.mvt").status_code == 200
    assert master.sql("REVOKE SELECT ON shown FROM publicuser").status_code == 200
    assert message(tile(master.anonymous, token, "0/0/0.mvt"))[0] == 403


def test_a_tile_writes_nothing_and_the_next_one_is_drawn(master: Api) -> None:
    assert master.sql("CREATE SEQUENCE counter").status_code == 200
    writing = GENERATED.replace("1 as n", "nextval('counter') as n")
    dividing = GENERATED.replace("1 as n", "1 / (random() * 0)::int as n")
    for sql, expected in (
        (writing, "cannot execute nextval() in a read-only transaction"),
        (dividing, "division by zero"),
    ):
        token = token_of(make(master, config(vector_layer(sql))))
        for _ in range(2):
            assert message(tile(master, token, "0/0/0.mvt")) == (400, expected)
        token = token_of(make(master, config(vector_layer(GENERATED))))
        assert tile(master, token, "0/0/0.mvt").status_code == 200


def test_no_processes_are_started_to_draw_a_few_rows(master: Api, admin: psycopg.Connection[Any]) -> None:
    made = master.sql(
        "CREATE TABLE many AS SELECT i AS n, "
        "ST_SetSRID(ST_MakePoint(i % 100 * 1e5, i / 100 * 1e5), 3857) AS g FROM generate_series(0, 9999) i;"
        "CREATE INDEX ON many USING gist (g)"
    )
    assert made.status_code == 200, made.text
    schema = master.sql("SELECT current_schema() AS name").json()["rows"][0]["name"]
    admin.execute(f'ANALYZE "{schema}".many; SET min_parallel_table_scan_size = 0'.encode())
    source = Source(f'SELECT * FROM "{schema}".many', "g", 3857, (("n", 23),))
    sql = vector_tile([("many", source)], Tile(5, 16, 15), extent=4096, simplify=256, buffer=64)
    plan = "\n".join(row[0] for row in admin.execute(f"EXPLAIN {sql}".encode()))
    assert ("many_g_idx" in plan, "Gather" in plan) == (True, False)


def test_a_slow_layer_ends_in_time_and_its_place_is_free_again(make_server: MakeServer) -> None:
    account = make_account(make_server(map_timeout=0.3, cancel_grace=0.2, connections=1))
    api = Api(account.base_url, account.api_key)
    made = api.sql(
        "CREATE FUNCTION stubborn() RETURNS geometry LANGUAGE plpgsql VOLATILE AS $$BEGIN LOOP BEGIN "
        "PERFORM pg_sleep(10); EXCEPTION WHEN query_canceled THEN NULL; END; END LOOP; END$$"
    )
    assert made.status_code == 200, made.text
    for slow in ("pg_sleep(10)::text", "stubborn()::text"):
        sql = f"select ST_SetSRID(ST_MakePoint(1, length({slow})), 3857) as the_geom_webmercator"
        response = tile(api, token_of(make(api, config(vector_layer(sql)))), "0/0/0.mvt")
        status, told = message(response)
        assert (status, told.partition(" Refactor")[0]) == (
            429,
            "You are over platform's limits: SQL query timeout error.",
        )
        assert response.json()["errors_with_context"][0]["type"] == "limit"
    token = token_of(make(api, config(vector_layer(GENERATED))))
    assert tile(api, token, "0/0/0.mvt").status_code == 200


def test_what_is_too_large_is_not_held(make_server: MakeServer) -> None:
    account = make_account(make_server(map_bytes=2000, connections=1))
    api = Api(account.base_url, account.api_key)
    point = "ST_SetSRID(ST_MakePoint(i, 1), 3857) as the_geom_webmercator"
    sql = f"select i as cartodb_id, {point}, repeat('x', i % 100) as s"
    style = "#l{marker-width:4} #l::top{marker-width:2} #l[s='x']{marker-width:1}"
    # Of many rows some are still on their way when it is known that they are too many.
    for most, status in ((1, 200), (100, 400), (30_000, 400), (1, 200)):
        layer = styled_layer(f"{sql} from generate_series(1, {most}) i", style, interactivity="s")
        token = token_of(make(api, config(layer)))
        for address, text in {
            "0/0/0.mvt": "more than 2000 bytes in one tile",
            "0/0/0.png": "more than 2000 bytes of rows in one picture",
            "0/0/0/0.grid.json": "more than 2000 bytes of rows in one picture",
        }.items():
            response = tile(api, token, address)
            assert response.status_code == status
            assert status == 200 or message(response)[1].startswith(text)
    assert tile(api, token, "5/0/31.mvt").status_code == 204


def test_200_who_want_one_cold_tile_cost_one_rendering(
    master: Api, owner_account: TestAccount, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = master.sql(
        "CREATE TABLE once (the_geom geometry(Point, 4326)); SELECT CDB_CartodbfyTable('once');"
        "INSERT INTO once (the_geom) VALUES (ST_SetSRID(ST_MakePoint(1, 1), 4326))"
    )
    assert made.status_code == 200, made.text
    token = token_of(make(master, config(vector_layer("select * from once"))))
    counts = {"waiting": 0, "drawn": 0}
    all_wait = asyncio.Event()
    run, values_of = SingleFlight.run, mapsession.values_of

    async def counted_run(self: Any, key: Any, work: Any) -> Any:
        if isinstance(key[-1], maptiles.Wanted):
            counts["waiting"] += 1
            if counts["waiting"] == 200:
                all_wait.set()
        return await run(self, key, work)

    async def counted_values(*arguments: Any) -> Any:
        counts["drawn"] += 1
        await asyncio.wait_for(all_wait.wait(), 30)
        return await values_of(*arguments)

    monkeypatch.setattr(SingleFlight, "run", counted_run)
    monkeypatch.setattr(maptiles, "values_of", counted_values)
    url = f"{owner_account.base_url}{MAP}/{token}/0/0/0.mvt?api_key={owner_account.api_key}"

    def fetch(_: int) -> tuple[int, bytes]:
        response = requests.get(url, timeout=60)
        return response.status_code, response.content

    with ThreadPoolExecutor(200) as pool:
        answers = list(pool.map(fetch, range(200)))
    assert len(set(answers)) == 1
    assert answers[0][0] == 200
    assert counts == {"waiting": 200, "drawn": 1}
    assert fetch(0) == answers[0]
    assert counts["drawn"] == 1


@pytest.mark.parametrize("size", [1, 2**18])
def test_equal_tiles_have_equal_validators_whatever_their_size(size: int) -> None:
    one, same, other = (asyncio.run(Content.of(letter * size, "a/b")) for letter in (b"x", b"x", b"y"))
    assert one == same == Content(b"x" * size, "a/b")
    assert one.etag != other.etag


def test_a_cache_keeps_what_fits_and_was_used_last() -> None:
    cache: ByteCache[bytes] = ByteCache(5000, len)
    for number in range(10):
        cache.put(number, b"x" * 1000)
        cache.get(7)
    assert cache.used <= 5000
    assert [number for number in range(10) if cache.get(number)] == [7, 8, 9]
    cache.put("large", b"x" * 6000)
    assert cache.get("large") is None
