"""Anonymous maps: made from a configuration, seen with the rights of each request's own key."""

from __future__ import annotations

import json
import re
from email.utils import parsedate_to_datetime
from typing import Any

import pytest

from tests.support.api import Api, TestAccount
from tests.support.maps import (
    MAP,
    S,
    V,
    config,
    make,
    make_points,
    message,
    read_tile,
    styled_layer,
    tile,
    token_of,
    vector_layer,
)


@pytest.fixture(scope="module")
def master(owner_api: Api) -> Api:
    """An account with the public points t, the private points p, and a public table with a date."""
    for name in ("t", "p", "dated"):
        columns = "name text, v numeric, at timestamptz"
        make_points(owner_api, name, columns=columns, values="'n' || i, i, now()")
    assert owner_api.sql("GRANT SELECT ON t, dated TO publicuser").status_code == 200
    return owner_api


@pytest.fixture
def anyone(master: Api) -> Api:
    return master.anonymous


def test_case_1_a_styled_map_is_made(anyone: Api) -> None:
    response = make(anyone, S)
    assert re.fullmatch(r"[0-9a-f]{32}:\d+", token_of(response))
    layer = response.json()["metadata"]["layers"][0]
    assert (layer["type"], layer["id"]) == ("mapnik", "layer0")
    assert set(layer["tilejson"]) == {"vector", "raster"}
    assert layer["meta"]["cartocss"] == "#l{marker-width:4}"
    assert layer["meta"]["stats"]["estimatedFeatureCount"] > 0
    assert response.headers["X-Layergroup-Id"] == token_of(response)


def test_case_2_the_same_map_has_the_same_token_for_the_same_role(anyone: Api, master: Api) -> None:
    first, again, other = (token_of(make(api, S)) for api in (anyone, anyone, master))
    assert first == again
    assert first.partition(":")[0] != other.partition(":")[0]


def test_case_3_get_takes_the_configuration_from_the_query(anyone: Api, owner_account: TestAccount) -> None:
    response = anyone.get(MAP, params={"config": json.dumps(S)})
    assert token_of(response) == token_of(make(anyone, S))
    assert response.headers["Cache-Control"].endswith("must-revalidate")
    assert response.headers["X-Cache-Channel"].endswith(f":{owner_account.schema}.t")
    assert response.headers["Surrogate-Key"].startswith("t:")


def test_cases_4_to_6_of_bodies_that_are_no_configuration(anyone: Api) -> None:
    form = anyone.post(MAP, data={"a": 1})
    assert message(form) == (400, "POST data must be of type application/json")
    broken = anyone.post(MAP, data='{"layers"', headers={"Content-Type": "application/json"})
    assert broken.status_code == 400
    assert broken.json()["errors"][0].startswith("SyntaxError")
    assert message(anyone.get(MAP)) == (400, 'layergroup GET needs a "config" parameter')


def test_case_7_layers_are_needed_and_may_be_none(anyone: Api) -> None:
    assert message(make(anyone, {})) == (400, "Missing layers array from layergroup config")
    assert token_of(make(anyone, {"layers": []})).endswith(":0")


REFUSED = {
    "8 version": (config(version="2.0.0"), "Unsupported layergroup configuration version 2.0.0"),
    "8 options": ({"layers": [{}]}, "Missing options from layer 0 of layergroup config"),
    "9 version": (
        config(vector_layer(cartocss="#l{}")),
        "Missing cartocss_version for layer 0 options",
    ),
    "9 empty": (config(styled_layer(cartocss="")), "style0: CartoCSS is empty"),
    "10 mixed": (
        config(styled_layer(), vector_layer()),
        "The `mapnik` or `cartodb` layers must be consistent",
    ),
    "11 property": (
        config(styled_layer(cartocss="#l{marker-wadus:3}")),
        "Unrecognized rule: marker-wadus",
    ),
    "11 column": (
        config(styled_layer(cartocss="#l[nope=1]{marker-width:3}")),
        'column "nope" does not exist',
    ),
    "12 no geometry": (config(styled_layer("select 1")), "does not exist"),
    "20 extents": (
        config(vector_layer(vector_extent=512), vector_layer()),
        "Multiple extent values in mapConfig (512,4096)",
    ),
    "46 placement": (
        config(vector_layer(aggregation={"placement": "x"})),
        "Invalid placement. Valid values: centroid, point-grid, point-sample",
    ),
    "sql": (config(vector_layer("")), "Missing sql for layer 0 options"),
    "two statements": (config(vector_layer("select 1; drop table t")), "syntax error"),
    "out of the subquery": (
        config(vector_layer("select 1) x; drop table t; select 1 from (select 1")),
        "multiple commands",
    ),
    "buffersize": (config(vector_layer(), buffersize={"png": "x"}), 'Buffer size of format "png" must be'),
    "interactivity": (config(styled_layer(interactivity="nope")), 'column "nope" does not exist'),
    "nul": (config(vector_layer("select '\0'")), "NUL"),
    "line 40": (config(styled_layer(cartocss="#l{\n" + "\n" * 38 + "marker-wdth: 3}")), "style0:40:"),
}


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_cases_8_to_12_20_46_what_is_wrong_is_said(anyone: Api, master: Api, name: str) -> None:
    given, text = REFUSED[name]
    status, told = message(make(anyone, given))
    assert status == 400, told
    assert text in told
    assert master.sql("SELECT count(*) AS n FROM t").json()["rows"] == [{"n": 5}]


def test_case_12_an_absent_table_is_not_found(anyone: Api) -> None:
    response = make(anyone, config(styled_layer("select * from absent")))
    status, told = message(response)
    assert (status, told) == (404, 'relation "absent" does not exist')
    (context,) = response.json()["errors_with_context"]
    assert (context["type"], context["subtype"]) == ("layer", "query")
    assert context["layer"] == {"id": "layer0", "index": 0, "type": "mapnik"}


def test_case_13_a_private_table_needs_a_key_for_the_map_and_for_each_tile(anyone: Api, master: Api) -> None:
    given = config(vector_layer("select * from p"))
    status, told = message(make(anyone, given))
    assert (status, told) == (403, "permission denied for table p")
    token = token_of(make(master, given))
    assert message(tile(anyone, token, "0/0/0.mvt"))[0] == 403
    assert tile(master, token, "0/0/0.mvt").status_code == 200
    # Nothing changes once the tile is warm.
    assert message(tile(anyone, token, "0/0/0.mvt"))[0] == 403


def test_case_14_errors_of_jsonp_have_status_200(anyone: Api) -> None:
    response = anyone.get(MAP, params={"callback": "f"})
    assert response.status_code == 200
    assert response.text.startswith("""/**/ typeof f === 'function' && f({"errors\"""")
    assert response.headers["Content-Type"] == "text/javascript; charset=utf-8"


def test_case_15_a_vector_map_has_vector_addresses_only(anyone: Api, owner_account: TestAccount) -> None:
    response = make(anyone, V, api_key="default_public")
    token = token_of(response)
    metadata = response.json()["metadata"]
    assert set(metadata["tilejson"]) == set(metadata["url"]) == {"vector"}
    assert set(metadata["layers"][0]["tilejson"]) == {"vector"}
    address = metadata["url"]["vector"]["urlTemplate"]
    expected = f"{owner_account.base_url}{MAP}/{token}/{{z}}/{{x}}/{{y}}.mvt?api_key=default_public"
    assert address == expected
    followed = address.replace("{z}", "0").replace("{x}", "0").replace("{y}", "0")
    assert anyone.session.get(followed, timeout=30).status_code == 200


def test_case_16_a_vector_tile_has_all_plain_columns(anyone: Api) -> None:
    response = tile(anyone, token_of(make(anyone, V)), "0/0/0.mvt")
    assert response.status_code == 200
    assert response.headers["Content-Type"] == "application/x-protobuf"
    layers = read_tile(response.content)
    assert list(layers) == ["layer0"]
    layer = layers["layer0"]
    assert layer.extent == 4096
    found = sorted((f["cartodb_id"], f["name"], f["v"]) for f in layer.features)
    assert found == [(i, f"n{i}", float(i)) for i in range(1, 6)]
    assert set(layer.features[0]) == {"cartodb_id", "name", "v"}


def test_case_17_an_empty_tile_has_no_content(anyone: Api) -> None:
    response = tile(anyone, token_of(make(anyone, V)), "5/0/31.mvt")
    assert (response.status_code, response.content) == (204, b"")
    assert response.headers["x-tilelive-contains-data"] == "false"


def test_case_18_a_vector_map_has_no_pictures(anyone: Api) -> None:
    response = tile(anyone, token_of(make(anyone, V)), "0/0/0.png")
    assert message(response) == (400, "Unsupported format: 'cartocss' option is missing for png")
    assert response.json()["errors_with_context"][0]["type"] == "tile"


def test_case_19_layers_of_a_tile_are_chosen_and_cut_at_its_box(anyone: Api) -> None:
    layers = [vector_layer(), {**vector_layer(), "id": "roads"}]
    token = token_of(make(anyone, config(*layers)))
    assert list(read_tile(tile(anyone, token, "0,1/0/0/0.mvt").content)) == ["layer0", "roads"]
    assert list(read_tile(tile(anyone, token, "roads/0/0/0.mvt").content)) == ["roads"]
    assert list(read_tile(tile(anyone, token, "layer0/0/0/0.mvt").content)) == ["layer0"]
    buffered = tile(anyone, token_of(make(anyone, V)), "3/3/3.mvt")
    bare = tile(anyone, token_of(make(anyone, {**V, "buffersize": {"mvt": 0}})), "3/3/3.mvt")
    assert len(read_tile(buffered.content)["layer0"].features) == 1
    assert bare.status_code == 204


def test_case_21_dates_are_left_out_or_become_numbers(anyone: Api) -> None:
    given = config(vector_layer("select * from dated", dates_as_numbers=True))
    response = make(anyone, given)
    assert "at" in response.json()["metadata"]["layers"][0]["meta"]["dates_as_numbers"]
    (layer,) = read_tile(tile(anyone, token_of(response), "0/0/0.mvt").content).values()
    assert layer.features[0]["at"] > 1.5e9


NATURAL = "It should be an integer number greather than or equal to 0"


def test_cases_23_to_27_addresses_that_lead_nowhere(anyone: Api) -> None:
    token = token_of(make(anyone, V))
    for address, expected in {
        "2/0/0/0.mvt": "Layer '2' not found in layergroup",
        "0,9/0/0/0.mvt": "Invalid layer filtering",
        "0,layer0/0/0/0.mvt": "Invalid layer filtering",
        "1/0/2.mvt": "Invalid tile XYZ (1/0/2)",
        "0/0/0.gif": "Unsupported format gif",
        "layer0/a/0/0.mvt": "Invalid zoom value (a). " + NATURAL,
        "-1/0/0.mvt": "Invalid zoom value (-1). " + NATURAL,
        "0/0.5/0.mvt": "Invalid coodinate 'x' value (0.5). It should be an integer number",
        "1/0/-1.mvt": "Invalid coodinate 'y' value (-1). " + NATURAL,
        "9/attributes/1": f"Map {token.partition(':')[0]} has no layer number 9",
    }.items():
        assert message(tile(anyone, token, address)) == (400, expected)
    assert tile(anyone, token, "0/-1/0.mvt").content == tile(anyone, token, "0/0/0.mvt").content
    assert tile(anyone, token, "1/2/0.mvt").content == tile(anyone, token, "1/0/0.mvt").content
    unknown = "Invalid or nonexistent map configuration token 'deadbeef'"
    assert message(tile(anyone, "deadbeef", "0/0/0.mvt")) == (400, unknown)
    assert tile(anyone, token, "0/0/0@4x.png").status_code == 404


def test_cases_29_and_30_attributes_of_one_feature(anyone: Api) -> None:
    told: dict[str, Any] = {"attributes": {"id": "cartodb_id", "columns": ["name"]}}
    token = token_of(make(anyone, config(vector_layer(**told))))
    response = tile(anyone, token, "0/attributes/1")
    assert (response.status_code, response.json()) == (200, {"name": "n1"})
    expected = "Multiple features (0) identified by 'cartodb_id' = -666 in layer 0"
    assert message(tile(anyone, token, "0/attributes/-666")) == (404, expected)
    assert tile(anyone, token, "0/attributes/1' or true --").status_code == 400
    bare = token_of(make(anyone, V))
    assert message(tile(anyone, bare, "0/attributes/1")) == (400, "Layer 0 has no exposed attributes")
    same = token_of(
        make(
            anyone, config(vector_layer("select 1 as cartodb_id, name, the_geom_webmercator from t", **told))
        )
    )
    expected = "Multiple features (5) identified by 'cartodb_id' = 1 in layer 0"
    assert message(tile(anyone, same, "0/attributes/1")) == (400, expected)


def test_case_31_tokens_in_sql(anyone: Api) -> None:
    sql = (
        "select *, !pixel_width! as w, !scale_denominator! as s from t "
        "where the_geom_webmercator && !bbox! and the_geom_webmercator && !tile_bbox!"
    )
    token = token_of(make(anyone, config(vector_layer(sql))))
    world = read_tile(tile(anyone, token, "0/0/0.mvt").content)["layer0"].features
    assert (len(world), round(world[0]["s"], 2)) == (5, 559082264.03)
    deep = tile(anyone, token, "10/540/483.mvt")
    assert round(read_tile(deep.content)["layer0"].features[0]["w"], 6) == round(156543.0339280410 / 1024, 6)


def test_cases_43_and_44_keys_and_switches(anyone: Api) -> None:
    assert message(make(anyone.with_key("nobody"), V)) == (401, "Unauthorized")
    expected = "Invalid value for 'aggregation' query param: maybe. Valid ones are 'true' or 'false'"
    assert message(make(anyone, V, aggregation="maybe")) == (400, expected)
    assert token_of(make(anyone, V, aggregation="false"))


def test_case_45_points_of_a_cell_are_gathered(anyone: Api) -> None:
    sql = "select cartodb_id, v, name, st_setsrid(st_makepoint(1,1),3857) as the_geom_webmercator from t"
    how = {"threshold": 1, "columns": {"n": {"aggregate_function": "sum", "aggregated_column": "v"}}}
    response = make(anyone, config(vector_layer(sql, aggregation=how)))
    meta = response.json()["metadata"]["layers"][0]["meta"]
    assert meta["aggregation"] == {"png": False, "mvt": True}
    (layer,) = read_tile(tile(anyone, token_of(response), "0/0/0.mvt").content).values()
    assert layer.features == [{"cartodb_id": 1, "_cdb_feature_count": 5, "n": 15.0}]
    token = token_of(make(anyone, config(vector_layer(sql, aggregation={"threshold": 1}))))
    (layer,) = read_tile(tile(anyone, token, "0/0/0.mvt").content).values()
    assert layer.features == [{"cartodb_id": 1, "_cdb_feature_count": 5, "v": 1.0, "name": "n1"}]


def test_case_50_a_write_shows_in_a_new_map_and_the_old_token_answers(master: Api, anyone: Api) -> None:
    assert master.sql("CREATE TABLE w AS SELECT name, the_geom FROM t").status_code == 200
    assert master.sql("SELECT CDB_CartodbfyTable('w'); GRANT SELECT ON w TO publicuser").status_code == 200
    assert master.sql("UPDATE w SET name = 'old'").status_code == 200
    given = config(vector_layer("select * from w"))
    old = token_of(make(anyone, given))
    before = tile(anyone, old, "0/0/0.mvt")
    assert master.sql("UPDATE w SET name = 'new'").status_code == 200
    new = token_of(make(anyone, given))
    after = tile(anyone, new, "0/0/0.mvt")
    assert old.partition(":")[0] == new.partition(":")[0]
    assert old != new
    assert {f["name"] for f in read_tile(after.content)["layer0"].features} == {"new"}
    for made, drawn in ((old, before), (new, after)):
        when = parsedate_to_datetime(drawn.headers["Last-Modified"])
        assert int(when.timestamp()) == int(made.partition(":")[2]) // 1000
        assert drawn.headers["Carto-Cache-Buster"] == made.partition(":")[2]
    assert tile(anyone, old, "0/0/0.mvt").content == before.content


def test_a_layer_is_part_of_its_zooms_only(anyone: Api) -> None:
    layers = [vector_layer(minzoom=1, maxzoom=2), vector_layer("select * from dated", minzoom=2)]
    token = token_of(make(anyone, config(*layers)))
    found = {zoom: list(read_tile(tile(anyone, token, f"{zoom}/0/0.mvt").content)) for zoom in range(2)}
    assert found == {0: [], 1: ["layer0"]}
    assert list(read_tile(tile(anyone, token, "2/2/1.mvt").content)) == ["layer0", "layer1"]
    assert list(read_tile(tile(anyone, token, "3/4/3.mvt").content)) == ["layer1"]


def test_a_style_may_say_how_far_round_a_tile_is_read(anyone: Api) -> None:
    def rows(sheet: str, **more: Any) -> int:
        given = config(styled_layer(cartocss=sheet), **more)
        response = tile(anyone, token_of(make(anyone, given)), "3/3/3.mvt")
        return sum(len(layer.features) for layer in read_tile(response.content).values())

    # The nearest point is 57 pixels away, the others 57 more each.
    style = "#l{marker-width:4}"
    assert rows(style) == 1
    assert rows("Map{buffer-size:128}" + style) == 2
    assert rows("Map{buffer-size:0}" + style) == 0
    assert rows("Map{buffer-size:128}" + style, buffersize={"mvt": 0}) == 0
    assert rows("Map{buffer-size:0}" + style, buffersize={"png": 128}) == 0


def test_lines_are_made_as_simple_as_the_map_asks_for(anyone: Api) -> None:
    wave = (
        "select 1 as cartodb_id, ST_SetSRID(ST_MakeLine(ARRAY(SELECT ST_MakePoint(i * 1e5, 2e5 * (i % 2)) "
        "FROM generate_series(0, 99) i)), 3857) as the_geom_webmercator"
    )
    sizes = [
        len(tile(anyone, token_of(make(anyone, config(vector_layer(wave, **options)))), "0/0/0.mvt").content)
        for options in (
            {"vector_extent": 4096, "vector_simplify_extent": 16},
            {"vector_extent": 4096, "vector_simplify_extent": 4096},
        )
    ]
    assert sizes[0] < 60 < 200 < sizes[1]
    wrong = make(anyone, config(vector_layer(wave, vector_simplify_extent=5000)))
    expected = "Invalid vector_simplify_extent (5000). Must be between 1 and vector_extent [4096]"
    assert message(wrong) == (400, expected)


def test_options_that_few_maps_have(anyone: Api, owner_account: TestAccount) -> None:
    wrapped = vector_layer(sql_wrap="select * from (<%= sql %>) as w where cartodb_id < 3")
    hidden = vector_layer("select 1 as a, null::geometry(Point,3857) as the_geom_webmercator")
    hidden["options"]["affected_tables"] = ["dated"]
    given = {**config(wrapped, hidden), "stat_tag": "tag-1"}
    made = anyone.get(MAP, params={"config": json.dumps(given), "client": "c"})
    names = made.headers["X-Cache-Channel"].partition(":")[2].split(",")
    assert names == [f"{owner_account.schema}.dated", f"{owner_account.schema}.t"]
    assert (made.headers["Carto-Stat-Tag"], made.headers["Carto-Client"]) == ("tag-1", "c")
    found = read_tile(tile(anyone, token_of(made), "0/0/0.mvt").content)["layer0"].features
    assert sorted(feature["cartodb_id"] for feature in found) == [1, 2]


def test_statistics_that_a_layer_asks_for(anyone: Api) -> None:
    sql = """select cartodb_id, the_geom_webmercator, v, case when cartodb_id < 4 then 'a' end as "it's",
             case cartodb_id when 1 then 'NaN'::float8 else cartodb_id end as odd from t"""

    def stats(wanted: Any) -> Any:
        response = make(anyone, config(vector_layer(sql, metadata=wanted)))
        token_of(response)
        return response.json()["metadata"]["layers"][0]["meta"]["stats"]

    plain = stats(None)
    assert set(plain) == {"estimatedFeatureCount"}
    told = stats({"featureCount": True, "geometryType": True, "columns": True})
    assert (told["featureCount"], told["geometryType"]) == (5, "ST_Point")
    assert told["columns"]["v"] == {"type": "number"}
    columns = stats({"columnStats": {"topCategories": 1, "includeNulls": False}})["columns"]
    assert columns["v"] == {"type": "number", "min": 1, "max": 5, "avg": 3, "sum": 15}
    assert columns["odd"] == {"type": "number", "min": 2, "max": 5, "avg": 3.5, "sum": 14}
    assert columns["it's"] == {"type": "string", "categories": [{"category": "a", "frequency": 3}]}
    assert columns["the_geom_webmercator"] == {"type": "geometry"}
    categories = stats({"columnStats": True})["columns"]["it's"]["categories"]
    assert categories == [{"category": "a", "frequency": 3}, {"category": None, "frequency": 2}]
    sample = stats({"sample": {"num_rows": 3}})["sample"]
    assert len(sample) == 3
    assert all(set(row) == {"cartodb_id", "v", "it's", "odd"} for row in sample)
    named = stats({"sample": {"num_rows": 9, "include_columns": ["v"]}})["sample"]
    assert sorted(row["v"] for row in named) == [1, 2, 3, 4, 5]


def test_statistics_that_cannot_be_told(anyone: Api) -> None:
    for wanted, status, text in (
        ({"sample": {"num_rows": 5000}}, 400, "num_rows must be a whole number from 1 to 1000"),
        ({"columnStats": {"topCategories": "9"}}, 400, "topCategories must be a whole number from 1 to 1024"),
        ({"sample": {"num_rows": 1, "include_columns": ["nope"]}}, 404, 'column "nope" does not exist'),
    ):
        response = make(anyone, config(vector_layer(metadata=wanted)))
        assert response.status_code == status
        assert text in message(response)[1]
        assert response.json()["errors_with_context"][0]["layer"]["id"] == "layer0"


def test_an_answer_that_the_client_has_is_not_sent_again(anyone: Api) -> None:
    token = token_of(make(anyone, V))
    first = tile(anyone, token, "0/0/0.mvt")
    assert first.headers["Cache-Control"] == "public,max-age=31536000"
    assert first.headers["Vary"] == "Authorization"
    assert first.headers["Access-Control-Allow-Origin"] == "*"
    tag = first.headers["ETag"]
    assert not tag.startswith("W/")
    again = anyone.get(f"{MAP}/{token}/0/0/0.mvt", headers={"If-None-Match": tag})
    assert (again.status_code, again.content, again.headers["ETag"]) == (304, b"", tag)


def test_system_tables_are_for_the_master_key(anyone: Api, master: Api) -> None:
    given = config(
        vector_layer("select relname, null::geometry(Point, 3857) as the_geom_webmercator from pg_class")
    )
    assert message(make(anyone, given)) == (403, "system tables are forbidden")
    token = token_of(make(master, given))
    assert message(tile(anyone, token, "0/0/0.mvt"))[0] == 403
