"""API keys, listed and shown: who sees which."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

import pytest

from tests.support.api import Api, TestAccount

KEYS = "api/v3/api_keys"


def test_the_master_key_sees_all(api: Api, account: TestAccount) -> None:
    for path in (KEYS, KEYS + "/"):
        answer = api.get(path, allow_redirects=False)
        assert answer.status_code == 200
    body = answer.json()
    assert (body["total"], body["count"]) == (2, 2)
    master, default = body["result"]
    assert (master["name"], master["type"], master["token"]) == ("Master", "master", account.api_key)
    assert (default["name"], default["type"], default["token"]) == (
        "Default public",
        "default",
        "default_public",
    )
    assert master["user"] == {"username": account.name}
    assert master["_links"]["self"] == f"{account.base_url}{KEYS}/Master"
    assert default["_links"]["self"] == f"{account.base_url}{KEYS}/Default%20public"
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC", master["created_at"])
    assert not {"id", "role", "password"} & set(master)


def test_grants_have_their_sections(api: Api) -> None:
    master, default = api.get(KEYS).json()["result"]
    empty = {"type": "database", "tables": [], "schemas": [], "table_metadata": []}
    assert default["grants"] == [{"type": "apis", "apis": ["sql", "maps"]}, empty]
    assert master["grants"] == [
        {"type": "apis", "apis": ["sql", "maps"]},
        empty,
        {"type": "dataservices", "services": ["geocoding", "routing", "isolines", "observatory"]},
    ]


def test_another_key_sees_only_itself(api: Api, account: TestAccount) -> None:
    public = api.with_key("default_public")
    body = public.get(KEYS).json()
    assert (body["total"], body["count"]) == (1, 1)
    assert body["result"][0]["name"] == "Default public"
    assert account.api_key not in public.get(KEYS).text
    assert public.get(KEYS + "/Default%20public").status_code == 200
    assert public.get(KEYS + "/Master").status_code == 404


@pytest.mark.parametrize("key", [None, "wrong", ""])
@pytest.mark.parametrize("path", [KEYS, KEYS + "/Master"])
def test_without_a_key_there_is_an_empty_401(api: Api, key: str | None, path: str) -> None:
    answer = api.with_key(key).get(path)
    assert (answer.status_code, answer.content) == (401, b"")


def test_basic_credentials_do(api: Api, account: TestAccount) -> None:
    answer = api.anonymous.get(KEYS, auth=(account.name, account.api_key))
    assert answer.json()["total"] == 2


def test_one_key_is_shown_without_links(api: Api) -> None:
    body = api.get(KEYS + "/Master").json()
    assert (body["name"], "_links" in body) == ("Master", False)


@pytest.mark.parametrize(
    "name", ["nothing", "master", "a%2Fb", "..%2F..", "%00", "%F0%9F%94%91", "%27", "%2E%2E"]
)
def test_unknown_names_are_not_found(api: Api, name: str) -> None:
    answer = api.get(f"{KEYS}/{name}")
    assert answer.status_code == 404
    assert answer.json()["errors"] == "API key not found"


def test_types_filter(api: Api) -> None:
    def types(wanted: str) -> list[str]:
        return [key["type"] for key in api.get(KEYS, params={"type": wanted}).json()["result"]]

    assert types("master") == ["master"]
    assert types("default") == ["default"]
    assert types("default,master") == ["master", "default"]
    assert types("regular") == []


def test_pages_and_orders(api: Api, account: TestAccount) -> None:
    first = api.get(KEYS, params={"per_page": 1, "order": "name"}).json()
    assert (first["total"], first["count"]) == (2, 1)
    assert first["result"][0]["name"] == "Default public"
    assert set(first["_links"]) == {"first", "next", "last"}
    following = first["_links"]["next"]["href"]
    assert account.api_key not in following
    parts = urlsplit(following)
    assert parts.path == f"/user/{account.name}/{KEYS}"
    second = api.get(f"{KEYS}?{parts.query}").json()
    assert [key["name"] for key in second["result"]] == ["Master"]
    assert set(second["_links"]) == {"first", "prev", "last"}
    assert api.get(KEYS, params={"order": "updated_at"}).json()["count"] == 2
    assert api.get(KEYS, params={"page": 9}).json()["result"] == []


@pytest.mark.parametrize(
    "params",
    [
        {"type": "secret"},
        {"type": "oauth"},
        {"order": "token"},
        {"page": "0"},
        {"per_page": "-1"},
        {"page": "x"},
    ],
)
def test_bad_parameters_are_refused(api: Api, params: dict[str, str]) -> None:
    answer = api.get(KEYS, params=params)
    assert answer.status_code == 400
    assert answer.json()["errors"]


def test_keys_of_others_are_for_administrators(api: Api) -> None:
    assert api.get(KEYS, params={"target_user": "somebody"}).status_code == 403


def test_writing_methods_are_not_there_yet(api: Api) -> None:
    assert api.post(KEYS, json={"name": "k", "grants": []}).status_code in (404, 405)
    assert api.delete(KEYS + "/Master").status_code in (404, 405)
