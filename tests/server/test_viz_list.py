"""Datasets in lists: what is there, in which order, and who may see it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from psycopg import AsyncConnection

from tests.support.api import Api, TestAccount, make_account
from tests.support.datasets import Owner
from tests.support.server import RunningServer

LIST = "api/v1/viz/"


def listed(api: Api, **params: Any) -> dict[str, Any]:
    answer = api.get(LIST, params={"type": "table", **params})
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


def names(api: Api, **params: Any) -> list[str]:
    return [viz["name"] for viz in listed(api, **params)["visualizations"]]


def describe(api: Api, name: str, **values: Any) -> dict[str, Any]:
    viz = api.get(f"api/v1/viz/{name}").json()
    answer = api.put(f"api/v1/viz/{viz['id']}", json={"id": viz["id"], **values})
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


def test_an_account_without_datasets_has_an_empty_list(api: Api) -> None:
    assert listed(api) == {
        "visualizations": [],
        "total_entries": 0,
        "total_user_entries": 0,
        "total_locked": 0,
        "total_likes": 0,
        "total_shared": 0,
    }


def test_tables_made_renamed_and_dropped_by_sql_show_at_once(api: Api, owner: Owner) -> None:
    owner.dataset("trees")
    first = listed(api)["visualizations"]
    assert [viz["name"] for viz in first] == ["trees"]
    owner.execute("ALTER TABLE trees RENAME TO woods")
    second = listed(api)["visualizations"]
    assert [(viz["name"], viz["id"]) for viz in second] == [("woods", first[0]["id"])]
    owner.execute("DROP TABLE woods")
    assert listed(api)["total_entries"] == 0


def test_plain_tables_and_views_are_no_datasets(api: Api, owner: Owner) -> None:
    owner.dataset("trees")
    owner.execute("CREATE TABLE plain (a int)")
    owner.execute("CREATE VIEW seen AS SELECT * FROM trees")
    owner.execute("CREATE TABLE shaped (cartodb_id int, the_geom geometry, the_geom_webmercator geometry)")
    assert names(api) == ["trees"]


def test_a_listed_dataset_has_all_its_parts(api: Api, owner: Owner, account: TestAccount) -> None:
    owner.dataset("trees", rows=12)
    viz = listed(api, exclude_shared="true", with_dependent_visualizations=1)["visualizations"][0]
    assert viz["type"] == "table"
    assert viz["kind"] == "geom"
    assert viz["privacy"] == "PRIVATE"
    assert viz["url"] == f"{account.base_url}tables/trees"
    assert viz["stats"] == {}
    assert viz["tags"] == []
    assert viz["synchronization"] is None
    assert viz["external_source"] == {}
    assert viz["dependent_visualizations"] == []
    assert viz["dependent_visualizations_count"] == 0
    assert viz["table"]["name"] == "trees"
    assert viz["table"]["row_count"] == 12
    assert viz["table"]["geometry_types"] == ["ST_Point"]
    assert viz["table"]["size"] > 0
    assert viz["permission"]["entity"] == {"id": viz["id"], "type": "vis"}
    assert viz["permission"]["acl"] == []
    assert viz["permission"]["owner"]["username"] == account.name
    assert viz["permission"]["owner"]["table_count"] == 1
    assert viz["liked"] is False
    assert viz["created_at"].endswith("Z")


def test_parts_can_be_refused(api: Api, owner: Owner) -> None:
    owner.dataset("trees")
    parts = (
        "table",
        "stats",
        "permission",
        "liked",
        "synchronization",
        "uses_builder_features",
        "auth_tokens",
    )
    body = listed(api, load_totals="false", **{f"show_{part}": "False" for part in parts})
    assert set(body) == {"visualizations"}
    viz = body["visualizations"][0]
    assert viz["stats"] == {}
    assert not {"table", "permission", "liked", "synchronization", "auth_tokens"} & set(viz)


def test_sizes_can_be_refused_alone(api: Api, owner: Owner) -> None:
    owner.dataset("trees")
    table = listed(api, show_table_size_and_row_count="false")["visualizations"][0]["table"]
    assert not {"size", "row_count"} & set(table)
    assert table["name"] == "trees"


def test_maps_are_none_and_the_default_type_is_maps(api: Api, owner: Owner) -> None:
    owner.dataset("trees")
    assert api.get(LIST).json()["visualizations"] == []
    assert listed(api, type="derived")["total_entries"] == 0
    assert listed(api, type="", types="derived,table")["total_entries"] == 1


def test_pages_hold_every_dataset_once_and_totals_are_exact(api: Api, owner: Owner) -> None:
    made = [f"t{number:02}" for number in range(7)]
    for name in made:
        owner.dataset(name)
    seen: list[str] = []
    for page in (1, 2, 3, 4):
        body = listed(api, page=page, per_page=3, order="name", order_direction="asc")
        assert body["total_entries"] == body["total_user_entries"] == 7
        seen += [viz["name"] for viz in body["visualizations"]]
    assert seen == made


def test_twenty_are_a_page_unless_asked(api: Api, owner: Owner) -> None:
    for number in range(21):
        owner.dataset(f"t{number}")
    assert len(names(api)) == 20
    assert len(names(api, page=2)) == 1
    assert len(names(api, per_page=500)) == 21


@pytest.mark.parametrize(
    "params",
    [
        {"page": "0"},
        {"page": "-1"},
        {"page": "x"},
        {"per_page": "0"},
        {"per_page": "99999999999999999999"},
        {"order": "colour"},
        {"order": "name,size"},
        {"order_direction": "sideways"},
        {"bbox": "1,2,3"},
        {"bbox": "1,2,3,nan"},
        {"bbox": "1,2,3,4", "type": "derived"},
    ],
)
def test_bad_parameters_answer_400_with_a_reason(api: Api, params: dict[str, str]) -> None:
    answer = api.get(LIST, params={"type": "table", **params})
    assert answer.status_code == 400
    assert set(answer.json()) == {"error"}
    assert answer.json()["error"]


def test_the_order_is_as_asked(api: Api, owner: Owner) -> None:
    owner.dataset("b", rows=50)
    owner.dataset("a", rows=2000)
    owner.dataset("c", rows=1)
    assert names(api, order="name", order_direction="asc") == ["a", "b", "c"]
    assert names(api, order="name") == ["c", "b", "a"]
    assert names(api) == ["c", "a", "b"]
    assert names(api, order_direction="asc") == ["b", "a", "c"]
    assert names(api, order="size") == ["a", "b", "c"]
    assert names(api, order="estimated_row_count", order_direction="asc") == ["c", "b", "a"]
    assert names(api, order="size", page=2, per_page=2) == ["c"]
    describe(api, "b", privacy="PUBLIC")
    assert names(api, order="privacy,name", order_direction="desc,asc") == ["b", "a", "c"]
    for equal in ("mapviews", "favorited", "dependent_visualizations"):
        assert sorted(names(api, order=equal)) == ["a", "b", "c"]


def test_a_write_by_sql_brings_a_dataset_to_the_top(api: Api, owner: Owner) -> None:
    owner.dataset("a", rows=1)
    owner.dataset("b", rows=1)
    assert names(api) == ["b", "a"]
    before = listed(api, order="name")["visualizations"][1]["updated_at"]
    owner.execute("UPDATE a SET n = 5")
    assert names(api) == ["a", "b"]
    assert listed(api)["visualizations"][0]["updated_at"] > before


def test_text_is_found_in_name_tags_and_description(api: Api, owner: Owner) -> None:
    for name in ("street_trees", "lamps", "benches"):
        owner.dataset(name)
    describe(api, "lamps", tags=["street"], description="Where 100% of the lights_are")
    assert names(api, q="street") == ["street_trees", "lamps"]
    assert names(api, q="REET_TR") == ["street_trees"]
    assert names(api, q="100%") == ["lamps"]
    assert names(api, q="0%t") == []
    assert names(api, q="light") == ["lamps"]
    assert names(api, q="r_e") == []
    assert names(api, q="nothing like it") == []
    body = listed(api, q="street", per_page=1)
    assert (body["total_entries"], body["total_user_entries"]) == (2, 3)
    assert names(api, q="street", order="size") == ["street_trees", "lamps"]


def test_filters_narrow_the_list(api: Api, owner: Owner) -> None:
    for name in ("a", "b", "c"):
        owner.dataset(name)
    describe(api, "a", tags=["red", "blue"], locked=True)
    describe(api, "b", tags=["green"], privacy="link", display_name="Bee")
    assert names(api, tags="blue") == ["a"]
    assert sorted(names(api, tags="green,red")) == ["a", "b"]
    assert names(api, locked="true") == ["a"]
    assert sorted(names(api, locked="false")) == ["b", "c"]
    assert listed(api)["total_locked"] == 1
    assert names(api, privacy="link") == names(api, privacy="LINK") == ["b"]
    assert sorted(names(api, privacy="private")) == ["a", "c"]
    assert names(api, privacy="secret") == []
    assert names(api, only_with_display_name="true") == ["b"]
    for nothing in (
        {"only_shared": "true"},
        {"shared": "only"},
        {"only_liked": "true"},
        {"subscribed": "true"},
    ):
        body = listed(api, **nothing)
        assert (body["visualizations"], body["total_entries"], body["total_user_entries"]) == ([], 0, 3)
    assert len(names(api, shared="no", only_shared="true")) == 3
    assert len(names(api, exclude_shared="true", exclude_raster="true")) == 3


def test_a_box_finds_what_lies_in_it(api: Api, owner: Owner) -> None:
    owner.dataset("west", rows=5)
    owner.dataset("east", rows=170)
    owner.dataset("empty")
    owner.dataset("odd", rows=1)
    owner.execute("ALTER TABLE odd DROP COLUMN the_geom CASCADE")
    owner.execute("ALTER TABLE odd ADD COLUMN the_geom text")
    assert len(names(api)) == 4
    assert names(api, bbox="100,0,110,2") == ["east"]
    assert sorted(names(api, bbox="0,0,3,3")) == ["east", "west"]
    assert names(api, bbox="-10,-10,-5,-5") == []


def test_strangers_see_public_datasets_only(api: Api, owner: Owner, account: TestAccount) -> None:
    for name, privacy in (("open", "PUBLIC"), ("linked", "LINK"), ("closed", "PRIVATE")):
        owner.dataset(name, rows=1)
        describe(api, name, privacy=privacy)
    for stranger in (api.anonymous, api.with_key("default_public")):
        body = listed(stranger)
        assert [viz["name"] for viz in body["visualizations"]] == ["open"]
        assert not {"total_user_entries", "total_locked", "total_shared"} & set(body)
        assert names(stranger, privacy="private") == ["open"]
        viz = body["visualizations"][0]
        assert viz["privacy"] == "PUBLIC"
        assert not {"url", "map_id", "locked", "auth_tokens", "synchronization"} & set(viz)
        assert set(viz["permission"]) == {"id", "owner"}
        assert not {"email", "quota_in_bytes"} & set(viz["permission"]["owner"])


def test_a_wrong_key_gets_an_empty_401(api: Api) -> None:
    answer = api.with_key("wrong").get(LIST, params={"type": "table"})
    assert (answer.status_code, answer.content) == (401, b"")
    answer = api.anonymous.get(LIST, auth=("somebody", api.api_key or ""))
    assert (answer.status_code, answer.content) == (401, b"")


def test_basic_credentials_are_the_owners(api: Api, owner: Owner, account: TestAccount) -> None:
    owner.dataset("closed")
    answer = api.anonymous.get(LIST, params={"type": "table"}, auth=(account.name, account.api_key))
    assert answer.json()["total_entries"] == 1


def test_a_slash_at_the_end_does_not_matter(api: Api) -> None:
    for path in ("api/v1/viz", "api/v1/viz/"):
        answer = api.get(path, params={"type": "table"}, allow_redirects=False)
        assert answer.status_code == 200


def test_a_callback_gets_a_script(api: Api) -> None:
    answer = api.get(LIST, params={"type": "table", "callback": "cb"})
    assert answer.text.startswith("/**/cb({")
    assert answer.headers["content-type"].startswith("text/javascript")
    refused = api.get(LIST, params={"type": "table", "callback": "alert(1)"})
    assert refused.status_code == 400
    assert set(refused.json()["errors"]) == {"callback"}


def test_two_hundred_datasets_take_few_queries(
    api: Api, owner: Owner, platform_server: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(200):
        owner.dataset(f"t{number:03}", rows=1)
    assert len(names(api, per_page=200)) == 200
    executed: list[Any] = []
    execute: Callable[..., Any] = AsyncConnection.execute

    async def counted(self: Any, query: Any, *args: Any, **kwargs: Any) -> Any:
        executed.append(query)
        return await execute(self, query, *args, **kwargs)

    monkeypatch.setattr(AsyncConnection, "execute", counted)
    viz = listed(api, per_page=200)["visualizations"]
    assert len(viz) == 200
    assert all(one["table"]["row_count"] == 1 for one in viz)
    assert 0 < len(executed) < 15


def test_a_locked_table_does_not_hold_the_list_up(api: Api, owner: Owner) -> None:
    owner.dataset("busy", rows=3)
    owner.dataset("idle", rows=3)
    assert {viz["table"]["row_count"] for viz in listed(api)["visualizations"]} == {3}
    with owner.connection.transaction():
        owner.execute("LOCK TABLE busy IN ACCESS EXCLUSIVE MODE")
        viz = {one["name"]: one["table"] for one in listed(api)["visualizations"]}
        assert viz["busy"]["row_count"] == viz["idle"]["row_count"] == 3
        assert api.get("api/v1/users/me").json()["table_count"] == 2


def test_another_accounts_datasets_are_not_listed(
    api: Api, owner: Owner, platform_server: RunningServer
) -> None:
    owner.dataset("mine")
    other = make_account(platform_server)
    stranger = Api(other.base_url, other.api_key)
    stranger.session.close()
    stranger.session = api.session
    assert names(stranger) == []
    assert stranger.get("api/v1/viz/mine").status_code == 404
    assert api.with_key(other.api_key).get(LIST, params={"type": "table"}).status_code == 401


def test_a_box_that_cannot_be_looked_into_now_says_so(api: Api, owner: Owner) -> None:
    owner.dataset("busy", rows=3)
    with owner.connection.transaction():
        owner.execute("LOCK TABLE busy IN ACCESS EXCLUSIVE MODE")
        answer = api.get(LIST, params={"type": "table", "bbox": "0,0,9,9"})
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")
    assert names(api, bbox="0,0,9,9") == ["busy"]
