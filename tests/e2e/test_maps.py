"""Maps through the SDK and the command line, on the real platform."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from click.testing import CliRunner, Result
from PIL import Image

from carto_like.auth import APIKeyAuthClient, NoAuthClient
from carto_like.cli.root import cli
from carto_like.exceptions import CartoException, ForbiddenErrorException, NotFoundException
from carto_like.maps import AnonymousMap, NamedMap, NamedMapManager
from tests.support.api import Api, TestAccount
from tests.support.rows import rows_of

RED, BLUE = (255, 0, 0), (0, 0, 255)


def template(**auth: Any) -> dict[str, Any]:
    """A map of two trees."""
    options = {
        "sql": "SELECT * FROM trees WHERE cartodb_id >= <%= least %>",
        "cartocss": "#trees { marker-width: 12; marker-fill: <%= color %>; marker-line-width: 0; }",
        "cartocss_version": "2.3.0",
        "interactivity": ["name"],
        "attributes": {"id": "cartodb_id", "columns": ["name"]},
    }
    return {
        "version": "0.0.1",
        "name": "my_template",
        "auth": auth or {"method": "open"},
        "placeholders": {
            "color": {"type": "css_color", "default": "#f00"},
            "least": {"type": "number", "default": 0},
        },
        "layergroup": {"version": "1.8.0", "layers": [{"type": "cartodb", "options": options}]},
    }


@pytest.fixture
def client(account: TestAccount, api: Api) -> Iterator[APIKeyAuthClient]:
    """A client of an account with a private dataset of two trees, the first in the middle of the world."""
    rows_of(api, "CREATE TABLE trees (name text, the_geom geometry(Point, 4326))")
    rows_of(api, "SELECT CDB_CartodbfyTable('trees'::regclass)")
    rows_of(
        api,
        "INSERT INTO trees (name, the_geom) VALUES ('oak', CDB_LatLng(0, 0)), ('elm', CDB_LatLng(40, 90))",
    )
    with APIKeyAuthClient(account.base_url, account.api_key) as opened:
        yield opened


def middle(picture: bytes) -> Any:
    """The colour in the middle of a picture."""
    image = Image.open(io.BytesIO(picture)).convert("RGB")
    return image.getpixel((image.width // 2, image.height // 2))


def test_a_named_map_from_its_making_to_its_end(client: APIKeyAuthClient, tmp_path: Path) -> None:
    manager = NamedMapManager(client)
    named_map = manager.create(template=template())
    assert [str(each) for each in manager.all()] == ["my_template"]
    assert manager.get("my_template").layergroup == template()["layergroup"]
    assert middle(named_map.get_image(200, 100, center=(0, 0), zoom=3)) == RED
    named_map.instantiate({"color": "#00f"})
    assert middle(named_map.get_image(200, 100, center=(0, 0), zoom=3)) == BLUE
    assert (
        middle(named_map.save_image(tmp_path / "map.jpg", 90, 60, bbox=(-9, -9, 9, 9)).read_bytes())[2] > 200
    )
    assert Image.open(io.BytesIO(named_map.get_tile(0, 0, 0))).size == (256, 256)
    assert b"oak" in named_map.get_tile(0, 0, 0, layer_id="layer0", extension="mvt")
    grid = json.loads(named_map.get_tile(0, 0, 0, layer_id=0, extension="grid.json"))
    assert {row["name"] for row in grid["data"].values()} == {"oak", "elm"}
    assert named_map.get_attributes(1) == {"name": "oak"}
    assert named_map.get_tile(0, 0, 6, extension="mvt") == b""
    with pytest.raises(NotFoundException):
        named_map.get_attributes(-666)
    # Its addresses are for everybody, although the table is private.
    for url in (named_map.get_tile_url(0, 0, 0), named_map.get_tile_url(0, 0, 0, layer_id=0, feature_id=1)):
        assert requests.get(url, timeout=30).status_code == 200
    assert str(named_map._repr_html_()).startswith("<figure>")
    answer = named_map.delete()
    assert answer is not None
    assert answer.status_code == 204
    assert manager.all() == []


def test_addresses_of_a_map_that_was_not_instantiated(client: APIKeyAuthClient) -> None:
    named_map = NamedMapManager(client).create(template=template(method="token", valid_tokens=["a&b"]))
    url = named_map.get_tile_url(0, 0, 0)
    assert requests.get(url, timeout=30).status_code == 200
    assert requests.get(url.partition("?")[0], timeout=30).status_code == 403
    assert named_map.get_tile(0, 0, 0)


def test_a_map_with_tokens(client: APIKeyAuthClient, account: TestAccount) -> None:
    NamedMapManager(client).create(template=template(method="token", valid_tokens=["a&b"]))
    named_map = NamedMap(NoAuthClient(account.base_url))
    named_map.template_id = "my_template"
    with pytest.raises(ForbiddenErrorException):
        named_map.instantiate({})
    named_map.instantiate({"least": 2}, "a&b")
    tile = named_map.get_tile(0, 0, 0, extension="mvt")
    assert b"elm" in tile
    assert b"oak" not in tile


def test_the_server_keeps_no_key_of_ours(client: APIKeyAuthClient, account: TestAccount, api: Api) -> None:
    NamedMapManager(client).create(template=template())
    stored = api.get("api/v1/map/named/my_template").text
    assert account.api_key not in stored
    assert "api_key" not in stored


def test_an_anonymous_map_reads_what_its_key_reads(client: APIKeyAuthClient, account: TestAccount) -> None:
    config = {"layers": [{"options": {"sql": "SELECT * FROM trees"}}]}
    anonymous_map = AnonymousMap(client)
    anonymous_map.instantiate(config)
    assert b"oak" in anonymous_map.get_tile(0, 0, 0, extension="mvt")
    with pytest.raises(ForbiddenErrorException, match="permission denied for table trees"):
        AnonymousMap(NoAuthClient(account.base_url)).instantiate(config)
    with pytest.raises(CartoException, match="cartocss"):
        anonymous_map.get_tile(0, 0, 0)


def test_the_command_line(client: APIKeyAuthClient, account: TestAccount, tmp_path: Path) -> None:
    def run(*arguments: str, stdin: str | None = None) -> Result:
        environment = {"CARTO_API_URL": account.base_url, "CARTO_API_KEY": account.api_key}
        result = CliRunner().invoke(cli, arguments, input=stdin, env=environment)
        assert result.exit_code == 0, result.output
        return result

    text = json.dumps(template(method="token", valid_tokens=["a&b"]))
    run("maps", "create", "-", "--name", "woods", stdin=text)
    run("maps", "create", "-", "--name", "woods", "--replace", stdin=text)
    assert run("maps", "list").stdout == "woods\n"
    out = tmp_path / "woods.png"
    view = ("--width", "100", "--height", "80", "--center", "0,0", "--zoom", "2")
    for color, options in ((RED, ()), (BLUE, ("-p", "color=#00f"))):
        run("maps", "static", "woods", str(out), *view, *options)
        assert middle(out.read_bytes()) == color
    page = requests.get(run("maps", "open", "woods", "--no-browser").stdout.strip(), timeout=30)
    assert page.status_code == 200
    assert "<h1>woods</h1>" in page.text
    run("maps", "delete", "woods", "--yes")
    assert run("maps", "list").stdout == ""
