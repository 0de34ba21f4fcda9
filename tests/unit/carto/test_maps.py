"""Maps: templates, instances, addresses of their tiles, and pictures."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import responses
from requests.auth import _basic_auth_str

from carto_like.auth import APIKeyAuthClient, NoAuthClient
from carto_like.exceptions import CartoException, ForbiddenErrorException, NotFoundException
from carto_like.maps import AnonymousMap, BaseMap, NamedMap, NamedMapManager
from tests.unit.sent import sent_json, sent_paths, sent_query

ROOT = "https://ana.carto.com/"
MAPS = ROOT + "api/v1/map/"
NAMED = MAPS + "named/"
KEY = "0123456789abcdef"
TEMPLATE: dict[str, Any] = {
    "version": "0.0.1",
    "name": "world",
    "auth": {"method": "token", "valid_tokens": ["t 1", "t2"]},
    "placeholders": {"color": {"type": "css_color", "default": "red"}},
    "layergroup": {"version": "1.8.0", "layers": [{"type": "cartodb", "options": {"sql": "select 1"}}]},
    "view": {"zoom": 4, "center": {"lng": 0, "lat": 0}},
}
CONFIG = TEMPLATE["layergroup"]
INSTANCE = {
    "layergroupid": "ana@0a1b2c3d@c01a54877c62831bb51720263f91fb33:1513608333045",
    "last_updated": "2017-12-18T14:45:33.045Z",
    "metadata": {"layers": [{"type": "mapnik", "id": "layer0"}]},
    "cdn_url": {"http": "cdn.example"},
}
PNG = b"\x89PNG\r\n\x1a\n a picture"


@pytest.fixture
def client() -> APIKeyAuthClient:
    return APIKeyAuthClient(ROOT, KEY)


@pytest.fixture
def manager(client: APIKeyAuthClient) -> NamedMapManager:
    return NamedMapManager(client)


@pytest.fixture
def named(manager: NamedMapManager) -> NamedMap:
    """A map as the server tells of it."""
    named_map = manager.new_resource()
    named_map.load({"template": TEMPLATE})
    return named_map


@pytest.fixture
def anonymous(client: APIKeyAuthClient) -> AnonymousMap:
    """One that is instantiated."""
    anonymous_map = AnonymousMap(client)
    anonymous_map.load({**INSTANCE, "layergroupid": "c01a:15"})
    return anonymous_map


# Templates


@responses.activate
def test_the_template_is_sent_as_it_is_and_never_with_the_key(manager: NamedMapManager) -> None:
    responses.post(NAMED, json={"template_id": "world"})
    given = copy.deepcopy(TEMPLATE)
    named_map = manager.create(template=given)
    assert sent_json() == TEMPLATE == given
    request = responses.calls[0].request
    assert KEY not in str(request.url)
    assert KEY.encode() not in (request.body or b"")
    assert request.headers["Authorization"] == _basic_auth_str("ana", KEY)
    assert (named_map.template_id, named_map.name, str(named_map)) == ("world", "world", "world")
    assert repr(named_map) == "<NamedMap template_id='world'>"


@pytest.mark.parametrize("absent", ["view", "placeholders", "auth"])
@responses.activate
def test_parts_of_a_template_may_be_missing(manager: NamedMapManager, absent: str) -> None:
    responses.post(NAMED, json={"template_id": "world"})
    part = {name: value for name, value in TEMPLATE.items() if name != absent}
    named_map = manager.create(template=part)
    assert sent_json() == part
    assert getattr(named_map, absent) is None


@responses.activate
def test_a_template_may_be_given_by_its_parts(manager: NamedMapManager) -> None:
    responses.post(NAMED, json={"template_id": "world"})
    manager.create(**TEMPLATE)
    assert sent_json() == TEMPLATE


def test_no_template_is_no_request(manager: NamedMapManager) -> None:
    with pytest.raises(CartoException, match="template="):
        manager.create()


@responses.activate
def test_a_name_may_contain_any_word(manager: NamedMapManager) -> None:
    names = ["template", "my_template_1", "templates", "world"]
    responses.get(NAMED, json={"template_ids": names})
    assert [named_map.template_id for named_map in manager.all()] == names
    assert [str(named_map) for named_map in manager.filter()] == names
    assert sent_paths() == ["GET /api/v1/map/named/"] * 2


@responses.activate
def test_a_map_that_is_called_template(manager: NamedMapManager) -> None:
    responses.get(NAMED + "template", json={"template": {**TEMPLATE, "name": "template"}})
    assert manager.get("template").name == "template"


@responses.activate
def test_get_change_and_save(manager: NamedMapManager) -> None:
    responses.get(NAMED + "world", json={"template": {**TEMPLATE, "description": "of a later version"}})
    responses.put(NAMED + "world", json={"template_id": "world"})
    named_map = manager.get("world")
    assert {name: getattr(named_map, name) for name in TEMPLATE} == TEMPLATE
    assert named_map.template_id == "world"
    named_map.view = None
    assert named_map.auth is not None
    named_map.auth["method"] = "open"
    answer = named_map.save()
    assert answer.status_code == 200
    # All of it, since the server replaces all of it; what we have no word for is not lost either.
    wanted: dict[str, Any] = {**TEMPLATE, "auth": {**TEMPLATE["auth"], "method": "open"}}
    del wanted["view"]
    assert sent_json() == {**wanted, "description": "of a later version"}
    assert named_map.view is None


@responses.activate
def test_refresh_reads_the_template_again(named: NamedMap) -> None:
    responses.get(NAMED + "world", json={"template": {**TEMPLATE, "view": {"zoom": 1}}})
    named.refresh()
    assert named.view == {"zoom": 1}
    assert named.template_id == "world"


@responses.activate
def test_delete_answers_with_the_response(client: APIKeyAuthClient) -> None:
    responses.delete(NAMED + "world", status=204)
    named_map = NamedMap(client)
    named_map.template_id = "world"
    answer = named_map.delete()
    assert answer is not None
    assert answer.status_code == 204


@responses.activate
def test_a_template_that_is_not_there(manager: NamedMapManager) -> None:
    said = "Cannot find template 'nope' of user 'ana'"
    responses.get(NAMED + "nope", status=404, json={"errors": [said]})
    with pytest.raises(NotFoundException, match="Cannot find template"):
        manager.get("nope")


@pytest.mark.parametrize("name", ["../sql", "a/b", "a b", "ü?x=1#y"])
@responses.activate
def test_ids_are_quoted(manager: NamedMapManager, name: str) -> None:
    quoted = {"../sql": "..%2Fsql", "a/b": "a%2Fb", "a b": "a%20b", "ü?x=1#y": "%C3%BC%3Fx%3D1%23y"}[name]
    responses.get(NAMED + quoted, json={"template": {**TEMPLATE, "name": name}})
    named_map = manager.get(name)
    url = named_map.get_tile_url(1, 2, 3, layer_id="a/b")
    assert url.partition("?")[0] == f"{NAMED}{quoted}/a%2Fb/3/1/2.png"
    assert sent_paths() == [f"GET /api/v1/map/named/{quoted}"]


@pytest.mark.parametrize("name", [None, "", ".", ".."])
@responses.activate
def test_no_id_is_no_request(manager: NamedMapManager, client: APIKeyAuthClient, name: Any) -> None:
    named_map = NamedMap(client)
    named_map.template_id = name
    for request in (
        lambda: manager.get(name),
        lambda: named_map.instantiate({}),
        lambda: named_map.get_tile_url(0, 0, 0),
    ):
        with pytest.raises(CartoException):
            request()
    assert len(responses.calls) == 0


# Instances


@responses.activate
def test_params_are_sent_alone(named: NamedMap) -> None:
    responses.post(NAMED + "world", json=INSTANCE)
    params = {"color": "blue"}
    named.instantiate(params, "t 1")
    assert sent_json() == {"color": "blue"} == params
    query = sent_query()
    assert query.pop("client").startswith("cps-")
    assert query == {"auth_token": "t 1"}
    for name, value in INSTANCE.items():
        assert getattr(named, name) == value
    assert named.name == "world"


@responses.activate
def test_an_instance_is_no_part_of_the_template(named: NamedMap) -> None:
    responses.post(NAMED + "world", json=INSTANCE)
    responses.put(NAMED + "world", json={"template_id": "world"})
    named.instantiate(None)
    named.save()
    assert sent_json(0) == {}
    assert sent_json(1) == TEMPLATE


@responses.activate
def test_a_wrong_token(named: NamedMap) -> None:
    responses.post(NAMED + "world", status=403, json={"errors": ["Unauthorized template instantiation"]})
    with pytest.raises(ForbiddenErrorException, match="Unauthorized template instantiation") as caught:
        named.instantiate({}, "wrong token!")
    assert "wrong" not in str(caught.value.url)
    assert named.layergroupid is None


@responses.activate
def test_an_anonymous_map_needs_no_key() -> None:
    responses.post(MAPS, json=INSTANCE)
    config = copy.deepcopy(CONFIG)
    anonymous_map = AnonymousMap(NoAuthClient(ROOT))
    assert anonymous_map.instantiate(config) is None  # type: ignore[func-returns-value]
    assert sent_json() == CONFIG == config
    assert sent_query() == {}
    for name, value in INSTANCE.items():
        assert getattr(anonymous_map, name) == value
    assert str(anonymous_map) == INSTANCE["layergroupid"]


@responses.activate
def test_an_anonymous_map_is_kept_nowhere(client: APIKeyAuthClient) -> None:
    with pytest.raises(CartoException, match="instantiate"):
        AnonymousMap(client).save()
    assert AnonymousMap(client).delete() is None
    assert len(responses.calls) == 0


# Addresses


@pytest.mark.parametrize(
    ("arguments", "path"),
    [
        ({}, "3/1/2.png"),
        ({"extension": "mvt"}, "3/1/2.mvt"),
        ({"layer_id": 0, "extension": "grid.json"}, "0/3/1/2.grid.json"),
        ({"layer_id": "roads"}, "roads/3/1/2.png"),
        ({"filter": "mapnik"}, "mapnik/3/1/2.png"),
        ({"filter": [0, 2]}, "0,2/3/1/2.png"),
        ({"layer_id": 1, "feature_id": 7}, "1/attributes/7"),
    ],
)
def test_addresses_of_an_instance(
    anonymous: AnonymousMap, named: NamedMap, arguments: dict[str, Any], path: str
) -> None:
    assert anonymous.get_tile_url(1, 2, 3, **arguments) == f"{MAPS}c01a:15/{path}"
    named.load(INSTANCE)
    assert (
        named.get_tile_url(1, 2, 3, **arguments) == f"{MAPS}{INSTANCE['layergroupid']}/{path}?auth_token=t+1"
    )


def test_addresses_for_web_maps(anonymous: AnonymousMap) -> None:
    assert anonymous.get_tile_url("{x}", "{y}", "{z}") == f"{MAPS}c01a:15/{{z}}/{{x}}/{{y}}.png"


def test_addresses_of_a_template_name_their_layers(named: NamedMap) -> None:
    assert named.get_tile_url(1, 2, 3) == f"{NAMED}world/all/3/1/2.png?auth_token=t+1"
    assert named.get_tile_url(1, 2, 3, layer_id=0) == f"{NAMED}world/0/3/1/2.png?auth_token=t+1"


@pytest.mark.parametrize("auth", [{"method": "open"}, {"method": "token", "valid_tokens": []}, {}, None])
def test_maps_without_a_token(named: NamedMap, auth: Any) -> None:
    named.auth = auth
    assert named.get_tile_url(1, 2, 3, "all") == f"{NAMED}world/all/3/1/2.png"


@responses.activate
def test_the_token_of_the_instance_is_the_one_it_was_made_with(manager: NamedMapManager) -> None:
    responses.post(NAMED + "world", json=INSTANCE)
    named_map = manager.build("world")
    named_map.instantiate({}, "t2")
    assert named_map.get_tile_url(0, 0, 0).endswith("/0/0/0.png?auth_token=t2")


@pytest.mark.parametrize(
    "arguments",
    [
        {"layer_id": 0, "filter": "mapnik"},
        {"feature_id": 7},
        {"layer_id": "", "feature_id": 7},
        {"layer_id": ".."},
    ],
)
def test_addresses_that_there_are_not(anonymous: AnonymousMap, arguments: dict[str, Any]) -> None:
    with pytest.raises(CartoException):
        anonymous.get_tile_url(0, 0, 0, **arguments)


@pytest.mark.parametrize("arguments", [{}, {"layer_id": 0}, {"layer_id": 0, "feature_id": 1}])
def test_a_map_that_was_not_instantiated(
    client: APIKeyAuthClient, named: NamedMap, arguments: dict[str, Any]
) -> None:
    with pytest.raises(CartoException, match="instantiate"):
        AnonymousMap(client).get_tile_url(0, 0, 0, **arguments)
    if "feature_id" in arguments:
        with pytest.raises(CartoException, match="instantiate"):
            named.get_tile_url(0, 0, 0, **arguments)


# Contents


@responses.activate
def test_tiles_are_bytes(anonymous: AnonymousMap) -> None:
    responses.get(f"{MAPS}c01a:15/3/1/2.png", body=PNG)
    responses.get(f"{MAPS}c01a:15/0/3/1/2.mvt", status=204)
    assert anonymous.get_tile(1, 2, 3) == PNG
    assert anonymous.get_tile(1, 2, 3, layer_id=0, extension="mvt") == b""


@responses.activate
def test_tiles_of_a_token_map(named: NamedMap) -> None:
    responses.get(f"{NAMED}world/all/0/0/0.png", body=PNG)
    assert named.get_tile(0, 0, 0) == PNG
    assert sent_query()["auth_token"] == "t 1"


@responses.activate
def test_a_tile_that_is_refused_is_an_error(anonymous: AnonymousMap) -> None:
    responses.get(f"{MAPS}c01a:15/0/0/0.png", status=403, json={"errors": ["permission denied for table p"]})
    with pytest.raises(ForbiddenErrorException, match="permission denied for table p"):
        anonymous.get_tile(0, 0, 0)


@responses.activate
def test_attributes(anonymous: AnonymousMap) -> None:
    responses.get(f"{MAPS}c01a:15/0/attributes/7", json={"name": "Zürich"})
    assert anonymous.get_attributes(7) == {"name": "Zürich"}


WORLD = "static/bbox/c01a:15/-180.0,-85.0,180.0,85.0/800/600.png"


@pytest.mark.parametrize(
    ("view", "path"),
    [
        ({}, WORLD),
        ({"center": (8.5, 47), "zoom": 6}, "static/center/c01a:15/6/47.0/8.5/800/600.png"),
        ({"bbox": (-10, -9.5, 10, 9)}, "static/bbox/c01a:15/-10.0,-9.5,10.0,9.0/800/600.png"),
    ],
)
@responses.activate
def test_pictures(anonymous: AnonymousMap, view: dict[str, Any], path: str) -> None:
    responses.get(MAPS + path, body=PNG)
    assert anonymous.get_image(**view, layer="mapnik") == PNG
    assert sent_query()["layer"] == "mapnik"


@pytest.mark.parametrize(
    "view", [{"center": (0, 0)}, {"zoom": 1}, {"center": (0, 0), "zoom": 1, "bbox": (0, 0, 1, 1)}]
)
@responses.activate
def test_a_view_by_halves(anonymous: AnonymousMap, view: dict[str, Any]) -> None:
    with pytest.raises(CartoException, match="center"):
        anonymous.get_image(**view)
    assert len(responses.calls) == 0


@pytest.mark.parametrize("view", [{"center": (0, 0)}, {"center": (0, 0), "zoom": 1, "bbox": (0, 0, 1, 1)}])
@responses.activate
def test_a_view_of_a_template_by_halves(named: NamedMap, view: dict[str, Any]) -> None:
    with pytest.raises(CartoException, match="center"):
        named.get_image(**view)
    assert len(responses.calls) == 0
    responses.get(MAPS + "static/named/world/800/600.png", body=PNG)
    assert named.get_image(zoom=3) == PNG
    assert sent_query()["zoom"] == "3"


@responses.activate
def test_pictures_of_a_template(named: NamedMap) -> None:
    responses.post(NAMED + "world", json=INSTANCE)
    responses.get(MAPS + "static/named/world/300/200.jpg", body=b"jpeg")
    named.instantiate({"color": "blue"}, "t2")
    assert named.get_image(300, 200, extension="jpg") == b"jpeg"
    query = sent_query()
    assert (query["config"], query["auth_token"]) == ('{"color": "blue"}', "t2")


@pytest.mark.parametrize(("name", "suffix"), [("a.png", "png"), ("a.JPG", "jpg"), ("a", "png")])
@responses.activate
def test_a_picture_as_a_file(anonymous: AnonymousMap, tmp_path: Path, name: str, suffix: str) -> None:
    responses.get(MAPS + WORLD.replace(".png", f".{suffix}"), body=PNG)
    assert anonymous.save_image(tmp_path / name).read_bytes() == PNG


@responses.activate
def test_no_file_is_made_of_a_refusal(anonymous: AnonymousMap, tmp_path: Path) -> None:
    responses.get(MAPS + WORLD, status=400, json={"errors": ["no"]})
    with pytest.raises(CartoException):
        anonymous.save_image(tmp_path / "a.png")
    assert list(tmp_path.iterdir()) == []


# Notebooks


@responses.activate
def test_a_notebook_shows_the_picture(named: NamedMap) -> None:
    responses.get(MAPS + "static/named/world/640/400.png", body=PNG)
    named.name = '<b>"world"</b>'
    assert named._repr_png_() == PNG
    html = named._repr_html_()
    assert '<img src="data:image/png;base64,iVBORw0KGgo' in html
    assert "&lt;b&gt;&quot;world&quot;&lt;/b&gt;" in html
    assert "<b>" not in html
    assert "t 1" not in html


@responses.activate
def test_a_notebook_says_why_there_is_no_picture(named: NamedMap, client: APIKeyAuthClient) -> None:
    responses.get(MAPS + "static/named/world/640/400.png", status=400, json={"errors": ["<i>no</i> style"]})
    assert named._repr_png_() is None
    assert "&lt;i&gt;no&lt;/i&gt; style" in named._repr_html_()
    assert "instantiate" in AnonymousMap(client)._repr_html_()


@pytest.mark.parametrize("make", [NamedMap, AnonymousMap, BaseMap])
def test_a_map_has_a_text_from_the_start(client: APIKeyAuthClient, make: Callable[[Any], BaseMap]) -> None:
    assert make.__name__ in str(make(client))
