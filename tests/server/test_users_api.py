"""Who the caller is: ``/api/v1/users``, ``/api/v3/me``, ``/api/v4/me``."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.api import Api, TestAccount, make_account
from tests.support.datasets import Owner, owner_of
from tests.support.server import RunningServer


def at_root(platform_server: RunningServer, api: Api, key: str | None) -> Api:
    """The same client at addresses that name no user."""
    client = Api(platform_server.base_url, key)
    client.session.close()
    client.session = api.session
    return client


@pytest.mark.parametrize("anything", ["me", "somebody-else", "1", "a%2Fb", "%F0%9F%8C%B3", ".."])
def test_users_are_always_the_caller(api: Api, account: TestAccount, anything: str) -> None:
    answer = api.get("api/v1/users/" + anything.replace("..", "%2E%2E"))
    assert answer.status_code == 200
    assert answer.json()["username"] == account.name


@pytest.mark.parametrize("key", [None, "default_public", "wrong"])
def test_users_are_for_the_master_key(api: Api, key: str | None) -> None:
    answer = api.with_key(key).get("api/v1/users/me")
    assert (answer.status_code, answer.content) == (401, b"")


def test_the_figures_are_true(api: Api, owner: Owner, account: TestAccount) -> None:
    before = api.get("api/v1/users/me").json()
    assert (before["table_count"], before["db_size_in_bytes"]) == (0, 0)
    assert before["remaining_byte_quota"] == before["quota_in_bytes"]
    owner.dataset("trees", rows=5000)
    owner.dataset("lamps")
    data = api.get("api/v1/users/me").json()
    [(used,)] = owner.execute(
        "SELECT (pg_total_relation_size('trees') + pg_total_relation_size('lamps')) / 2"
    )
    assert data["table_count"] == 2
    assert data["db_size_in_bytes"] == used > 100_000
    assert data["remaining_byte_quota"] == data["quota_in_bytes"] - used
    assert isinstance(data["remaining_byte_quota"], float)
    assert data["id"] == str(account.account.id)
    assert data["api_key"] == account.api_key
    assert data["base_url"] == account.base_url.rstrip("/")
    assert data["created_at"].endswith("Z")
    assert data["organization"] is None
    assert data["actions"]["private_tables"] is True
    assert data["all_visualization_count"] == data["public_visualization_count"] == 0


def test_a_quota_is_told(platform_server: RunningServer, api: Api) -> None:
    limited = make_account(platform_server, quota_bytes=10_000_000)
    user = at_root(platform_server, api, limited.api_key).get(f"user/{limited.name}/api/v1/users/me").json()
    assert user["quota_in_bytes"] == 10_000_000
    with owner_of(platform_server.settings, limited) as owner:
        owner.dataset("trees", rows=100)
    user = at_root(platform_server, api, limited.api_key).get(f"user/{limited.name}/api/v1/users/me").json()
    assert 0 < user["remaining_byte_quota"] == 10_000_000 - user["db_size_in_bytes"] < 10_000_000


def test_me_has_user_data_for_the_master_key_only(api: Api, account: TestAccount) -> None:
    body = api.get("api/v3/me").json()
    assert body["config"]["user_name"] == account.name
    assert body["user_data"]["id"] == str(account.account.id)
    assert body["user_data"]["remaining_byte_quota"] > 0
    assert "mfa_required" in body
    for stranger in (api.anonymous, api.with_key("default_public")):
        answer = stranger.get("api/v3/me/")
        assert answer.status_code == 200
        assert set(answer.json()) == {"config", "user_frontend_version"}
        assert answer.json()["config"]["user_name"] == account.name
    assert account.api_key not in api.anonymous.get("api/v3/me").text


def test_me_refuses_keys_that_are_none(api: Api) -> None:
    answer = api.with_key("wrong").get("api/v3/me")
    assert (answer.status_code, answer.content) == (401, b"")


def test_me_at_the_hosts_root_is_told_by_the_key_alone(
    platform_server: RunningServer, make_server: Any, api: Api, account: TestAccount
) -> None:
    server = make_server(settings={"default_user": make_account(platform_server).name})
    root = at_root(server, api, account.api_key)
    assert root.get("api/v3/me").json()["user_data"]["username"] == account.name
    basic = root.anonymous.get("api/v3/me", auth=(account.name, account.api_key))
    assert basic.json()["user_data"]["username"] == account.name
    for stranger in (root.anonymous, root.with_key("default_public")):
        assert stranger.get("api/v3/me").json()["config"]["user_name"] == server.settings.default_user
    assert root.with_key("wrong").get("api/v3/me").status_code == 401
    assert root.anonymous.get("api/v3/me", auth=(account.name, "wrong")).status_code == 401
    other = make_account(platform_server)
    assert root.get(f"user/{other.name}/api/v3/me").status_code == 401


def test_v4_me_is_for_any_key(api: Api, account: TestAccount) -> None:
    body = api.get("api/v4/me").json()
    assert (body["username"], body["organization"]) == (account.name, None)
    assert set(body["api_endpoints"]) > {"sql", "maps", "import", "auth", "builder"}
    assert {"first_name", "avatar_url", "groups"} < set(body)
    answer = api.with_key("default_public").get("api/v4/me")
    assert set(answer.json()) == {"username", "organization", "api_endpoints"}
    called = api.get("api/v4/me", params={"callback": "f"})
    assert called.text.startswith('/**/f({"username":')
    for told in (answer, called):
        assert told.headers["Access-Control-Allow-Origin"] == "*"
        assert told.headers["Vary"] == "Authorization"
    for key in (None, "wrong"):
        refused = api.with_key(key).get("api/v4/me")
        assert (refused.status_code, refused.content) == (401, b"")


def test_unknown_users_are_not_found(platform_server: RunningServer, api: Api) -> None:
    assert at_root(platform_server, api, None).get("user/nobody-here/api/v3/me").status_code == 404
