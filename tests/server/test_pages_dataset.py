"""The page of a dataset and its tiles: who sees what, and what data may hold."""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import quote

import pytest

from carto_like.server.services import preview
from tests.support.api import Api
from tests.support.rows import rows_of


@pytest.fixture
def owner(api: Api) -> Api:
    """A browser with a session."""
    visitor = Api(api.base_url, None)
    answer = visitor.session.get(api.post("api/v1/page_links").json()["url"], timeout=30)
    assert answer.status_code == 200
    return visitor


@pytest.fixture
def nobody(api: Api) -> Api:
    """A browser without one."""
    return Api(api.base_url, None)


def make_dataset(
    api: Api, name: str, columns: str = "name text", values: str = "('oak', CDB_LatLng(10, 20))"
) -> str:
    """A dataset with these columns and a geometry; its name as paths have it."""
    quoted = '"' + name.replace('"', '""') + '"'
    rows_of(api, f"CREATE TABLE {quoted} ({columns}, the_geom geometry(Geometry, 4326))")
    rows_of(api, f"SELECT CDB_CartodbfyTable('{quoted.replace(chr(39), chr(39) * 2)}'::regclass)")
    names = ", ".join(re.findall(r"(\"[^\"]+\"|\w+) \w+(?:,|$)", columns))
    if values:
        rows_of(api, f"INSERT INTO {quoted} ({names}, the_geom) VALUES {values}")
    return quote(name, safe="")


def config_of(page: str) -> Any:
    """What the page's script is told."""
    found = re.search(r'<script type="application/json" id="config">(.*)</script>', page)
    assert found is not None
    return json.loads(found[1])


def test_the_owner_sees_a_private_dataset(api: Api, owner: Api) -> None:
    make_dataset(api, "trees", values="('oak', CDB_LatLng(10, 20)), ('elm', CDB_LatLng(-10, -20))")
    page = owner.get("dataset/trees")
    assert page.status_code == 200
    assert "<h1>trees</h1>" in page.text
    config = config_of(page.text)
    assert config["bounds"] == [-20, -10, 20, 10]
    assert config["layers"] == ["rows"]
    assert config["raster"] is None
    path = config["vector"].format(z=0, x=0, y=0)
    tile = owner.session.get(api.base_url.split("/user/")[0] + path, timeout=30)
    assert (tile.status_code, tile.headers["Content-Type"]) == (200, "application/x-protobuf")
    for word in (b"rows", b"name", b"oak", b"elm", b"cartodb_id"):
        assert word in tile.content
    assert b"the_geom" not in tile.content


def test_nobody_else_does(api: Api, owner: Api, nobody: Api) -> None:
    make_dataset(api, "trees")
    for name in ("trees", "nope"):
        page = nobody.get(f"dataset/{name}")
        assert page.status_code == 401
        assert "carto-like open" in page.text
        assert "oak" not in page.text
    assert nobody.get("dataset/trees/0/0/0.mvt").status_code == 403
    assert nobody.get("dataset/nope/0/0/0.mvt").status_code == 404
    assert owner.get("dataset/nope").status_code == 404


@pytest.mark.parametrize("privacy", ["PUBLIC", "LINK"])
def test_everybody_sees_what_is_public(api: Api, nobody: Api, privacy: str) -> None:
    make_dataset(api, "trees")
    dataset = api.get("api/v1/viz/trees").json()
    body = {"id": dataset["id"], "privacy": privacy}
    assert api.request("PUT", f"api/v1/viz/{dataset['id']}", json=body).status_code == 200
    assert config_of(nobody.get("dataset/trees").text)["bounds"] == [20, 10, 20, 10]
    assert b"oak" in nobody.get("dataset/trees/0/0/0.mvt").content


def test_a_tile_is_sent_again_when_it_has_changed(api: Api, owner: Api) -> None:
    make_dataset(api, "trees")
    first = owner.get("dataset/trees/0/0/0.mvt")
    held = {"If-None-Match": first.headers["ETag"]}
    assert "no-cache" in first.headers["Cache-Control"]
    assert owner.get("dataset/trees/0/0/0.mvt", headers=held).status_code == 304
    rows_of(api, "UPDATE trees SET name = 'ash'")
    changed = owner.get("dataset/trees/0/0/0.mvt", headers=held)
    assert changed.status_code == 200
    assert b"ash" in changed.content


@pytest.mark.parametrize(
    "place",
    ["0/0/1", "1/2/0", "23/0/0", "99/0/0", "9" * 5000 + "/0/0", "0/0/" + "9" * 5000, "0/-1/0"],
    ids=["south", "east", "deep", "deeper", "no zoom", "no row", "west"],
)
def test_tiles_outside_of_the_world(api: Api, owner: Api, place: str) -> None:
    make_dataset(api, "trees")
    assert owner.get(f"dataset/trees/{place}.mvt").status_code == 404


def test_a_column_may_be_called_as_the_tile(api: Api, owner: Api) -> None:
    make_dataset(api, "floors", "tile text", "('oak', CDB_LatLng(10, 20))")
    answer = owner.get("dataset/floors/0/0/0.mvt")
    assert answer.status_code == 200, answer.text
    assert b"oak" in answer.content


def test_an_empty_tile(api: Api, owner: Api) -> None:
    make_dataset(api, "trees")
    answer = owner.get("dataset/trees/8/0/0.mvt")
    assert (answer.status_code, answer.content) == (204, b"")


def test_an_empty_dataset(api: Api, owner: Api) -> None:
    make_dataset(api, "trees", values="")
    assert config_of(owner.get("dataset/trees").text)["bounds"] is None


def test_every_kind_of_column_and_geometry(api: Api, owner: Api) -> None:
    columns = (
        "shape0 text, n numeric, d date, j jsonb, a integer[], b boolean, raw bytea, f float8, "
        '"odd ""name""" text'
    )
    rows_of(api, f"CREATE TABLE mixed ({columns}, the_geom geometry(Geometry, 4326))")
    rows_of(api, "SELECT CDB_CartodbfyTable('mixed'::regclass)")
    shapes = [
        "POINT(1 1)",
        "LINESTRING(0 0, 40 40)",
        "POLYGON((0 0, 50 50, 50 0, 0 50, 0 0))",
        "GEOMETRYCOLLECTION(POINT(1 1))",
        "POINT EMPTY",
        "POINT(NaN NaN)",
    ]
    for shape in shapes:
        values = "'s', 1.5, '2020-02-03', '{\"k\": 1}', '{7,8}', true, '\\x00', 'NaN'"
        rows_of(
            api,
            "INSERT INTO mixed (shape0, n, d, j, a, b, raw, f, the_geom) "
            f"VALUES ({values}, ST_GeomFromText('{shape}', 4326))",
        )
    rows_of(api, "INSERT INTO mixed (n) VALUES (1)")
    tile = owner.get("dataset/mixed/0/0/0.mvt")
    assert tile.status_code == 200, tile.text
    for word in (b"2020-02-03", b'{"k": 1}', b"{7,8}", b"shape0"):
        assert word in tile.content
    assert b"raw" not in tile.content
    assert owner.get("dataset/mixed").status_code == 200


@pytest.mark.parametrize(
    "name", ['"><script>alert(1)</script>', "it's", "{z}", "a/b", "100% ü?#&", "</script><script>", "a\\b"]
)
def test_names_are_no_markup_and_lead_nowhere_else(api: Api, owner: Api, name: str) -> None:
    path = make_dataset(api, name)
    page = owner.get(f"dataset/{path}")
    assert page.status_code == 200
    assert page.text.count("<script") == 3
    assert "<script>" not in page.text
    config = config_of(page.text)
    url = api.base_url.split("/user/")[0] + config["vector"].format(z=0, x=0, y=0)
    tile = owner.session.get(url, timeout=30)
    assert tile.status_code == 200
    assert b"oak" in tile.content


def test_a_table_that_is_gone(api: Api, owner: Api) -> None:
    make_dataset(api, "trees")
    rows_of(api, "DROP TABLE trees")
    assert owner.get("dataset/trees/0/0/0.mvt").status_code == 404


def test_other_accounts_tables_are_theirs(api: Api, owner: Api) -> None:
    for name in ("spatial_ref_sys", "carto_like.users", "pg_authid"):
        assert owner.get(f"dataset/{name}").status_code == 404
        assert owner.get(f"dataset/{name}/0/0/0.mvt").status_code == 404


def test_a_large_table_is_sampled_where_tiles_hold_much(
    api: Api, owner: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_dataset(api, "trees", values="")
    rows_of(
        api,
        "INSERT INTO trees (name, the_geom) SELECT 't', CDB_LatLng(20 + n / 1000, n % 1000 / 100.0)"
        " FROM generate_series(1, 20000) n",
    )
    rows_of(api, "ANALYZE trees")
    whole = {zoom: len(owner.get(f"dataset/trees/{zoom}.mvt").content) for zoom in ("0/0/0", "7/65/55")}
    assert min(whole.values()) > 1000
    monkeypatch.setattr(preview, "_SAMPLED_ROWS", 5000)
    part = {zoom: len(owner.get(f"dataset/trees/{zoom}.mvt").content) for zoom in whole}
    assert 1000 < part["0/0/0"] < whole["0/0/0"] / 2
    assert part["7/65/55"] == whole["7/65/55"]
