"""The page of a named map: who sees it, what its script is told, and where its data is."""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import quote

import pytest

from tests.support.api import Api
from tests.support.rows import rows_of

STYLE = "#l { marker-width: 4; }"


@pytest.fixture
def owner(api: Api) -> Api:
    """A browser with a session."""
    visitor = Api(api.base_url, None)
    assert visitor.session.get(api.post("api/v1/page_links").json()["url"], timeout=30).status_code == 200
    return visitor


@pytest.fixture
def nobody(api: Api) -> Api:
    """A browser without one."""
    return Api(api.base_url, None)


@pytest.fixture
def trees(api: Api) -> str:
    """A private dataset of two rows."""
    rows_of(api, "CREATE TABLE trees (name text, the_geom geometry(Point, 4326))")
    rows_of(api, "SELECT CDB_CartodbfyTable('trees'::regclass)")
    rows_of(
        api,
        "INSERT INTO trees (name, the_geom) "
        "VALUES ('oak', CDB_LatLng(10, 20)), ('elm', CDB_LatLng(-10, -20))",
    )
    return "trees"


def make_map(
    api: Api,
    name: str = "parks",
    *,
    sql: str = "SELECT * FROM trees",
    style: str | None = STYLE,
    tokens: list[str] | None = None,
    layers: list[dict[str, Any]] | None = None,
) -> None:
    """A named map with a layer of trees, and others before it."""
    options = {"sql": sql, **({"cartocss": style, "cartocss_version": "2.3.0"} if style else {})}
    template = {
        "version": "0.0.1",
        "name": name,
        "auth": {"method": "token", "valid_tokens": tokens} if tokens else {"method": "open"},
        "layergroup": {
            "version": "1.8.0",
            "layers": [*(layers or ()), {"type": "cartodb", "options": options}],
        },
    }
    answer = api.post("api/v1/map/named", json=template)
    assert answer.status_code == 200, answer.text


def config_of(page: str) -> Any:
    """What the page's script is told."""
    found = re.search(r'<script type="application/json" id="config">(.*)</script>', page)
    assert found is not None, page
    return json.loads(found[1])


def fetch(api: Api, url: str, *, sharp: str = "") -> bytes:
    """A tile of the whole world, fetched as the page's script does."""
    place = url.replace("{z}/{x}/{y}", "0/0/0").replace("{sharp}", sharp)
    answer = api.session.get(api.base_url.split("/user/")[0] + place, timeout=30)
    assert answer.status_code == 200, answer.text
    return bytes(answer.content)


def test_an_open_map_is_for_everybody(api: Api, nobody: Api, trees: str) -> None:
    make_map(api)
    page = nobody.get("map/parks")
    assert page.status_code == 200
    assert "<h1>parks</h1>" in page.text
    config = config_of(page.text)
    assert [round(edge, 6) for edge in config["bounds"]] == [-20, -10, 20, 10]
    assert config["layers"] == ["layer0"]
    assert fetch(nobody, config["raster"]).startswith(b"\x89PNG")
    assert fetch(nobody, config["raster"], sharp="@2x").startswith(b"\x89PNG")
    assert b"oak" in fetch(nobody, config["vector"])


def test_a_map_with_tokens(api: Api, nobody: Api, owner: Api, trees: str) -> None:
    make_map(api, tokens=["a&b", "c"])
    for query in ({}, {"auth_token": "wrong"}, {"auth_token": ""}):
        page = nobody.get("map/parks", params=query)
        assert page.status_code == 403
        assert "Unauthorized template instantiation" in page.text
        assert "application/json" not in page.text
    shown = config_of(nobody.get("map/parks", params={"auth_token": "a&b"}).text)
    assert b"oak" in fetch(nobody, shown["vector"])
    # Whoever holds the key needs no token.
    assert b"oak" in fetch(owner, config_of(owner.get("map/parks").text)["vector"])


def test_a_map_without_a_style(api: Api, nobody: Api, trees: str) -> None:
    make_map(api, style=None)
    config = config_of(nobody.get("map/parks").text)
    assert config["raster"] is None
    assert b"oak" in fetch(nobody, config["vector"])


def test_layers_that_are_no_rows(api: Api, nobody: Api, trees: str) -> None:
    make_map(api, layers=[{"type": "plain", "options": {"color": "blue"}}])
    config = config_of(nobody.get("map/parks").text)
    assert config["layers"] == ["layer0"]
    assert fetch(nobody, config["raster"]).startswith(b"\x89PNG")


def test_a_map_of_nothing(api: Api, nobody: Api, trees: str) -> None:
    make_map(api, sql="SELECT * FROM trees WHERE false")
    assert config_of(nobody.get("map/parks").text)["bounds"] is None


def test_another_instance_after_a_write(api: Api, nobody: Api, trees: str) -> None:
    make_map(api)
    before = config_of(nobody.get("map/parks").text)["vector"]
    assert config_of(nobody.get("map/parks").text)["vector"] == before
    rows_of(api, "UPDATE trees SET name = 'ash'")
    after = config_of(nobody.get("map/parks").text)["vector"]
    assert after != before
    assert b"ash" in fetch(nobody, after)


@pytest.mark.parametrize("name", ["nope", "a/b", '"><script>alert(1)</script>'])
def test_a_map_that_is_not_there(nobody: Api, name: str) -> None:
    page = nobody.session.get(nobody.base_url + "map/" + quote(name, safe=""), timeout=30)
    assert page.status_code == 404
    assert "<script" not in page.text


def test_a_map_whose_table_is_gone(api: Api, nobody: Api, trees: str) -> None:
    make_map(api)
    rows_of(api, "DROP TABLE trees")
    page = nobody.get("map/parks")
    assert page.status_code in (400, 404)
    assert "does not exist" in page.text
