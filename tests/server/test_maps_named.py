"""Named maps: templates of the owner, seen by whoever their authorization lets in."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from tests.conftest import MakeServer
from tests.support.api import Api, TestAccount, make_account
from tests.support.maps import (
    MAP,
    NAMED,
    STYLE,
    config,
    make,
    make_points,
    message,
    read_tile,
    styled_layer,
    template,
    tile,
    token_of,
    vector_layer,
)
from tests.support.server import RunningServer


@pytest.fixture(scope="module")
def master(owner_api: Api) -> Api:
    """An account with the private points t."""
    make_points(owner_api, "t")
    return owner_api


@pytest.fixture
def anyone(master: Api) -> Api:
    return master.anonymous


@pytest.fixture
def world(master: Api) -> Iterator[str]:
    """The name of an open vector template over private points."""
    sql = template()["layergroup"]["layers"][0]["options"]["sql"]
    given = {**template(), "layergroup": config(vector_layer(sql))}
    assert master.post(NAMED, json=given).json() == {"template_id": "world"}
    yield "world"
    assert master.delete(f"{NAMED}/world").status_code in (204, 404)


def test_case_34_templates_are_the_owners(master: Api, anyone: Api, admin: psycopg.Connection[Any]) -> None:
    given = template("mine", auth={"method": "token", "valid_tokens": ["hidden-token"]})
    refused = "Only authenticated users can create templated maps"
    assert message(anyone.post(NAMED, json=given)) == (403, refused)
    assert message(anyone.with_key("default_public").post(NAMED, json=given)) == (403, "Forbidden")
    assert master.post(NAMED, json=given).json() == {"template_id": "mine"}
    status, told = message(master.post(NAMED, json=given))
    assert status == 400
    assert re.fullmatch(r"Template 'mine' of user '\w+' already exists", told)
    assert master.get(NAMED).json() == {"template_ids": ["mine"]}
    assert master.get(f"{NAMED}/mine").json()["template"] == given
    renamed = master.put(f"{NAMED}/mine", json={**given, "name": "other"})
    assert message(renamed) == (400, "Cannot update name of a map template ('mine' != 'other')")
    changed = {**given, "auth": {"method": "open"}}
    assert master.put(f"{NAMED}/mine", json=changed).json() == {"template_id": "mine"}
    assert master.get(f"{NAMED}/mine").json()["template"]["auth"] == {"method": "open"}
    assert b"select" not in admin.execute("SELECT content FROM carto_like.map_templates").fetchall()[0][0]
    assert master.delete(f"{NAMED}/mine").status_code == 204
    user = told.split("'")[3]
    absent = (404, f"Template 'mine' of user '{user}' does not exist")
    assert message(master.get(f"{NAMED}/mine")) == (404, f"Cannot find template 'mine' of user '{user}'")
    assert message(master.delete(f"{NAMED}/mine")) == absent
    assert message(master.put(f"{NAMED}/mine", json=given)) == absent
    for method, action in (("GET", "get"), ("PUT", "update"), ("DELETE", "delete")):
        answer = anyone.request(method, f"{NAMED}/mine", json=given)
        assert message(answer) == (403, f"Only authenticated users can {action} templated maps")
    assert message(anyone.get(NAMED)) == (403, "Only authenticated users can list templated maps")
    form = master.post(NAMED, data={"a": 1})
    assert message(form) == (400, "POST template data must be of type application/json")


def test_a_key_in_a_template_is_not_kept(master: Api, admin: psycopg.Connection[Any]) -> None:
    given = template("keyless")
    assert master.anonymous.post(NAMED, json={**given, "api_key": master.api_key}).status_code == 200
    assert "api_key" not in master.get(f"{NAMED}/keyless").json()["template"]
    assert master.delete(f"{NAMED}/keyless").status_code == 204


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "35 name": ({"name": "a b"}, "Invalid characters in template name 'a b'"),
    "35 placeholder": (
        {"placeholders": {"1x": {"type": "number", "default": 1}}},
        "Invalid characters in placeholder name '1x'",
    ),
    "35 default": ({"placeholders": {"x": {"type": "number"}}}, "Missing default for placeholder 'x'"),
    "quotes in the name": ({"name": "a'\"b"}, "Invalid characters in template name 'a'\"b'"),
    "version": ({"version": "9"}, "Unsupported template version 9"),
    "no name": ({"name": None}, "Missing template name"),
    "no layergroup": ({"layergroup": None}, "Missing layergroup"),
    "no layers": ({"layergroup": {"layers": []}}, "Missing or empty layers array from layergroup config"),
    "no options": (
        {"layergroup": {"layers": [{}, styled_layer(), {"options": 1}]}},
        "Missing `options` in layergroup config for layers: 0, 2",
    ),
    "type": ({"placeholders": {"x": {"default": 1}}}, "Missing type for placeholder 'x'"),
    "auth": ({"auth": {"method": "magic"}}, "Unsupported authentication method: magic"),
    "no tokens": (
        {"auth": {"method": "token", "valid_tokens": []}},
        "Invalid 'token' authentication: no valid_tokens",
    ),
    "tokens": ({"auth": {"method": "token"}}, "Invalid 'token' authentication: missing valid_tokens"),
}


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_case_35_templates_that_are_wrong(master: Api, name: str) -> None:
    change, expected = REFUSED[name]
    assert message(master.post(NAMED, json={**template(), **change})) == (400, expected)
    assert master.get(NAMED).json() == {"template_ids": []}


def test_case_36_an_open_template_is_instantiated(
    anyone: Api, world: str, owner_account: TestAccount
) -> None:
    response = anyone.post(f"{NAMED}/{world}", json={})
    token = token_of(response)
    assert re.fullmatch(owner_account.name + r"@[0-9a-f]{8}@[0-9a-f]{32}:\d+", token)
    assert token_of(anyone.post(f"{NAMED}/{owner_account.name}@{world}")) == token
    found = read_tile(tile(anyone, token, "0/0/0.mvt").content)["layer0"].features
    assert (len(found), found[0]["said"], found[0]["chosen"]) == (5, "a", "n1")
    colored = anyone.post(f"{NAMED}/{world}", json={"color": "##f"})
    assert message(colored) == (400, "Invalid css_color value for template parameter 'color': ##f")
    numbered = anyone.post(f"{NAMED}/{world}", json={"id": "x"})
    assert message(numbered) == (400, "Invalid number value for template parameter 'id': x")
    absent = f"Template 'absent' of user '{owner_account.name}' not found"
    assert message(anyone.post(f"{NAMED}/absent")) == (404, absent)


HOSTILE: dict[str, list[Any]] = {
    "text": ["it's", "'; drop table t; --", "\\'; drop table t; --", "<%= column %>", "' || version() || '"],
    "column": ['name" from pg_authid --', "name'; drop table t", "cartodb_id"],
    "id": ["1; drop table t", "1 or true", "--1", "0x1", "1e", "NaN", [1], True, None],
    "color": ["red;}", "rgba(1,1,1,1)", "#12", "url(/etc/passwd)", 5],
}


@pytest.mark.parametrize("name", sorted(HOSTILE))
def test_case_37_sql_in_placeholders_is_a_value_or_refused(
    anyone: Api, master: Api, world: str, name: str
) -> None:
    for value in HOSTILE[name]:
        response = anyone.post(f"{NAMED}/{world}", json={name: value})
        if name == "text":
            found = read_tile(tile(anyone, token_of(response), "0/0/0.mvt").content)["layer0"].features
            assert {feature["said"] for feature in found} == {value}
        elif value != "cartodb_id":
            assert message(response)[0] in (400, 404)
    assert master.sql("SELECT count(*) AS n FROM t").json()["rows"] == [{"n": 5}]


def test_numbers_of_all_shapes_pass(anyone: Api, world: str) -> None:
    for value in (2, "2", "+2", "2.0", ".2e1", "20E-1", 2.0):
        token = token_of(anyone.post(f"{NAMED}/{world}", json={"id": value}))
        found = read_tile(tile(anyone, token, "0/0/0.mvt").content)["layer0"].features
        assert len(found) == 4


def test_a_negative_number_does_not_begin_a_comment(master: Api, anyone: Api) -> None:
    sql = "select * from t where cartodb_id < 4-<%= id %> and name = 'n1'"
    given = {**template("minus"), "layergroup": config(vector_layer(sql))}
    assert master.post(NAMED, json=given).status_code == 200
    token = token_of(anyone.post(f"{NAMED}/minus", json={"id": -1}))
    found = read_tile(tile(anyone, token, "0/0/0.mvt").content)["layer0"].features
    assert [feature["name"] for feature in found] == ["n1"]
    assert master.delete(f"{NAMED}/minus").status_code == 204


def test_case_38_a_template_may_ask_for_a_token(master: Api, anyone: Api) -> None:
    auth = {"method": "token", "valid_tokens": ["right", "also"]}
    given = {**template("guarded", auth=auth), "layergroup": config(vector_layer())}
    assert master.post(NAMED, json=given).status_code == 200
    path = f"{NAMED}/guarded"
    for params in ({}, {"auth_token": "wrong"}):
        assert message(anyone.post(path, params=params)) == (403, "Unauthorized template instantiation")
    token = token_of(anyone.post(path, params={"auth_token": "right"}))
    assert token_of(anyone.post(path, params={"auth_token[]": ["x", "right"]})) == token
    refused = tile(anyone, token, "0/0/0.mvt")
    assert message(refused) == (403, "Sorry, you are unauthorized (permission denied)")
    assert tile(anyone, token, "0/0/0.mvt", auth_token="also").status_code == 200
    assert message(tile(anyone, token, "0/0/0.mvt"))[0] == 403
    # Instances live on with what they were made of.
    assert master.delete(path).status_code == 204
    assert tile(anyone, token, "0/0/0.mvt", auth_token="right").status_code == 200


def test_case_39_a_signature_opens_private_tables_and_a_key_decides_alone(
    anyone: Api, master: Api, world: str
) -> None:
    token = token_of(anyone.post(f"{NAMED}/{world}"))
    assert tile(anyone, token, "0/0/0.mvt").status_code == 200
    bare = token.rpartition("@")[2]
    assert message(tile(anyone, bare, "0/0/0.mvt"))[0] == 403
    assert message(tile(anyone.with_key("default_public"), token, "0/0/0.mvt"))[0] == 403
    assert tile(master, token, "0/0/0.mvt").status_code == 200


def test_a_forged_signature_opens_nothing(anyone: Api, master: Api, owner_account: TestAccount) -> None:
    given = config(vector_layer("select 1 as a, null::geometry(Point,3857) as the_geom_webmercator"))
    forged = {**given, "auth": {"method": "open"}, "template": {"name": "x", "hash": "0" * 8}}
    for token in (token_of(make(anyone, forged)), token_of(make(master, config(vector_layer())))):
        for signed in (f"{owner_account.name}@{token}", f"{owner_account.name}@00000000@{token}"):
            refused = tile(anyone, signed, "0/0/0.mvt")
            assert message(refused) == (403, "Sorry, you are unauthorized (permission denied)")


def test_case_40_a_signature_is_good_on_its_account_only(
    anyone: Api, world: str, owner_account: TestAccount, account: TestAccount
) -> None:
    token = token_of(anyone.post(f"{NAMED}/{world}"))
    other = Api(account.base_url, account.api_key)
    expected = f'Cannot use map signature of user "{owner_account.name}" on db of user "{account.name}"'
    assert message(tile(other, token, "0/0/0.mvt")) == (403, expected)
    bare = token.rpartition("@")[2]
    assert message(tile(other, bare, "0/0/0.mvt"))[1].startswith("Invalid or nonexistent map")


def test_a_signed_map_only_reads(master: Api, anyone: Api) -> None:
    made = master.sql(
        "CREATE TABLE log (n int); CREATE FUNCTION note() RETURNS int LANGUAGE plpgsql VOLATILE AS "
        "$$BEGIN PERFORM set_config('transaction_read_only', 'off', true); INSERT INTO log VALUES (1); "
        "RETURN 1; END$$"
    )
    assert made.status_code == 200, made.text
    given = {**template("writer"), "layergroup": config(vector_layer("select *, note() as n from t"))}
    assert master.post(NAMED, json=given).status_code == 200
    token = token_of(anyone.post(f"{NAMED}/writer"))
    assert message(tile(anyone, token, "0/0/0.mvt"))[0] == 400
    assert master.sql("SELECT * FROM log").json()["rows"] == []
    assert master.delete(f"{NAMED}/writer").status_code == 204


def test_case_41_a_tile_of_a_template_without_instantiating(anyone: Api, world: str) -> None:
    path = f"{NAMED}/{world}/all/0/0/0.mvt"
    response = anyone.get(path, params={"config": json.dumps({"id": 4})})
    assert len(read_tile(response.content)["layer0"].features) == 2
    assert response.headers["Surrogate-Key"].split(" ")[-1].startswith("n:")
    empty = anyone.get(f"{NAMED}/{world}/all/5/0/31.mvt")
    assert (empty.status_code, empty.content) == (200, b"")
    expected = "malformed config parameter, should be a valid JSON"
    assert message(anyone.get(path, params={"config": "{"})) == (400, expected)


def test_case_42_jsonp_needs_its_callback(anyone: Api, world: str) -> None:
    path = f"{NAMED}/{world}/jsonp"
    expected = "callback parameter should be present and be a function name"
    assert message(anyone.get(path)) == (400, expected)
    assert message(anyone.get(path, params={"callback": "a b"})) == (400, expected)
    response = anyone.get(path, params={"callback": "f", "config": '{"id": 3}'})
    found = re.fullmatch(r"/\*\*/ typeof f === 'function' && f\((.*)\);", response.text)
    assert found
    assert json.loads(found[1])["layergroupid"]
    broken = anyone.get(path, params={"callback": "f", "config": "{"})
    assert "Invalid config parameter, should be a valid JSON" in broken.text


def test_a_layer_can_be_a_named_map(anyone: Api, master: Api, world: str) -> None:
    def named(**options: Any) -> dict[str, Any]:
        return config({"type": "named", "options": options})

    assert message(make(anyone, named())) == (400, "Missing Named Map `name` in layer options")
    assert message(make(anyone, named(name="absent")))[0] == 404
    token = token_of(make(anyone, named(name=world, config={"id": 5})))
    assert len(read_tile(tile(anyone, token, "0/0/0.mvt").content)["layer0"].features) == 1
    mixed = named(name=world)
    mixed["layers"].append(vector_layer())
    assert message(make(anyone, mixed)) == (403, "permission denied for table t")
    nested = {**template("nested"), "layergroup": named(name=world)}
    assert master.post(NAMED, json=nested).status_code == 200
    assert message(make(anyone, named(name="nested"))) == (400, "Nested named layers are not allowed")
    assert master.delete(f"{NAMED}/nested").status_code == 204


def test_styles_of_an_instance_can_be_replaced(master: Api, anyone: Api) -> None:
    given = {**template("styled"), "layergroup": config(styled_layer())}
    assert master.post(NAMED, json=given).status_code == 200
    own = "#l{marker-fill:blue}"
    response = anyone.post(f"{NAMED}/styled", json={"styles": {"0": own}})
    assert response.json()["metadata"]["layers"][0]["meta"]["cartocss"] == own
    assert anyone.post(f"{NAMED}/styled").json()["metadata"]["layers"][0]["meta"]["cartocss"] == STYLE
    assert master.delete(f"{NAMED}/styled").status_code == 204


def test_no_more_templates_than_are_allowed(make_server: MakeServer) -> None:
    account = make_account(make_server(map_templates=2))
    api = Api(account.base_url, account.api_key)
    answers = [api.post(NAMED, json=template(f"t{number}")) for number in range(3)]
    warning = f"User {account.name} reaching the named maps limit"
    assert answers[0].json() == {"template_id": "t0", "limit_message": warning}
    expected = f"User '{account.name}' reached limit on number of templates (2/2)"
    assert message(answers[2]) == (409, expected)
    assert api.get(NAMED).json() == {"template_ids": ["t0", "t1"]}


def test_any_server_answers_for_a_map_and_it_is_forgotten_in_time(
    make_server: MakeServer,
    platform_server: RunningServer,
    anyone: Api,
    world: str,
    owner_account: TestAccount,
) -> None:
    other = make_server(map_ttl=1)
    elsewhere = Api(f"{other.base_url}user/{owner_account.name}/", None)
    token = token_of(anyone.post(f"{NAMED}/{world}"))
    assert tile(elsewhere, token, "0/0/0.mvt").status_code == 200
    with psycopg.connect(platform_server.settings.dsn) as connection:
        connection.execute("UPDATE carto_like.map_instances SET expires_at = now()")
    platform_server.app.platform.users.forget()
    third = make_server()
    gone = tile(Api(f"{third.base_url}user/{owner_account.name}/", None), token, "0/0/0.mvt")
    assert message(gone)[1].startswith("Invalid or nonexistent map configuration token")
    assert elsewhere.get(f"{MAP}/x").status_code == 404
