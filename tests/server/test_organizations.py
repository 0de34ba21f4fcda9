"""``/api/v1|v2/organization``: who may manage an organization's users, and what he is answered."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
from pyrestcli.exceptions import NotFoundException

from carto_like.auth import APIKeyAuthClient
from carto_like.exceptions import CartoException
from carto_like.server.services.organizations import Organizations
from carto_like.users import User, UserManager
from tests.support.api import Api, TestAccount, make_account
from tests.support.datasets import owner_of
from tests.support.server import RunningServer

NEW: dict[str, Any] = {"username": "bob", "email": "bob@example.org", "password": "long-enough"}


class City:
    """An organization with its owner, an administrator and a member."""

    def __init__(self, server: RunningServer) -> None:
        self.server = server
        self.name = f"city-{uuid4().hex[:8]}"
        self.owner = self.join()
        self.admin = self.join(is_admin=True)
        self.member = self.join()

    def join(self, *, is_admin: bool = False) -> TestAccount:
        user = make_account(self.server)
        platform = self.server.app.platform
        organizations = Organizations(platform.database, platform.users)
        self.server.on_server(organizations.join(user.account, self.name, is_admin=is_admin))
        return user

    def path(self, user: TestAccount | str | None = None, version: str = "v1") -> str:
        path = f"api/{version}/organization/{self.name}/users"
        return path if user is None else f"{path}/{user if isinstance(user, str) else user.name}"

    def id(self) -> str:
        with api_of(self.owner) as api:
            return str(api.get("api/v1/users/me").json()["organization"]["id"])


class api_of(Api):
    """Requests as a user, closed at the end of a ``with`` block."""

    def __init__(self, user: TestAccount) -> None:
        super().__init__(user.base_url, user.api_key)

    def __enter__(self) -> api_of:
        return self

    def __exit__(self, *_: object) -> None:
        self.session.close()


@pytest.fixture
def city(platform_server: RunningServer) -> City:
    return City(platform_server)


@pytest.fixture
def owner(city: City) -> Iterator[Api]:
    with api_of(city.owner) as api:
        yield api


@pytest.fixture
def admin(city: City) -> Iterator[Api]:
    with api_of(city.admin) as api:
        yield api


@pytest.fixture
def somebody() -> dict[str, Any]:
    """Facts of a user who does not exist yet."""
    name = f"n-{uuid4().hex[:8]}"
    return {"username": name, "email": f"{name}@example.org", "password": "long-enough"}


def test_all_users_are_listed(city: City, owner: Api) -> None:
    users = owner.get(city.path(version="v2")).json()
    names = sorted(user.name for user in (city.owner, city.admin, city.member))
    assert [user["username"] for user in users] == names
    told = {user["username"]: user for user in users}[city.member.name]
    assert "id" not in told
    assert told["api_key"] == city.member.api_key
    assert (told["org_user"], told["org_admin"], told["role_display"]) == (True, False, "user")
    assert told["soft_geocoding_limit"] is False
    roles = {user["username"]: (user["org_admin"], user["role_display"]) for user in users}
    assert roles[city.owner.name] == (True, "owner")
    assert roles[city.admin.name] == (True, "admin")


def test_pages_have_true_totals(city: City, owner: Api) -> None:
    first = owner.get(city.path(), params={"per_page": 2}).json()
    second = owner.get(f"api/v1/organization/{city.id()}/users/", params={"per_page": 2, "page": 2}).json()
    assert (len(first["users"]), len(second["users"])) == (2, 1)
    for page in (first, second):
        assert (page["total_user_entries"], page["total_entries"]) == (3, 3)
    found = owner.get(city.path(), params={"q": city.admin.name[1:].upper()}).json()
    assert [user["username"] for user in found["users"]] == [city.admin.name]
    assert found["total_user_entries"] == 1
    assert owner.get(city.path(), params={"q": "%"}).json()["total_entries"] == 0
    for wrong in ({"order": "password"}, {"page": "0"}, {"per_page": "x"}):
        assert owner.get(city.path(), params=wrong).status_code == 400


def test_members_meet_without_secrets(city: City) -> None:
    with api_of(city.member) as api:
        answer = api.get(city.path())
        assert len(answer.json()["users"]) == 3
        for secret in (city.owner.api_key, "email", "quota_in_bytes"):
            assert secret not in answer.text
        public = api.with_key("default_public").get(city.path())
        assert (public.status_code, public.json()) == (401, {})


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_only_admins_manage(
    city: City, api: Api, platform_server: RunningServer, version: str, somebody: dict[str, Any]
) -> None:
    stranger, member = api, api_of(city.member)
    elsewhere = api_of(City(platform_server).owner)
    one, every = city.path(city.member, version), city.path(version=version)
    try:
        for client in (stranger, member, elsewhere):
            refused = [
                client.post(every, json=somebody),
                client.get(one),
                client.put(one, json={"email": "new@example.org"}),
                client.delete(one),
            ]
            if client is not member or version == "v2":
                refused.append(client.get(every))
            assert [(answer.status_code, answer.json()) for answer in refused] == [(401, {})] * len(refused)
        nobody = member.anonymous.get(one)
        assert (nobody.status_code, nobody.content) == (401, b"")
    finally:
        member.session.close()
        elsewhere.session.close()


@pytest.mark.parametrize(
    "name", ["no-such", "00000000-0000-0000-0000-000000000000", "%00", "A B", "%F0%9F%8C%B3"]
)
def test_unknown_organizations(owner: Api, name: str) -> None:
    answer = owner.get(f"api/v2/organization/{name}/users")
    assert (answer.status_code, answer.json()) == (401, {})


@pytest.mark.parametrize("name", ["no-such", "b%2Fb", "%00", "..%2F", "x" * 300])
def test_unknown_users(city: City, owner: Api, name: str) -> None:
    for answer in (
        owner.get(city.path(name)),
        owner.put(city.path(name), json={}),
        owner.delete(city.path(name)),
    ):
        assert answer.status_code == 404
        assert isinstance(answer.json(), str)


def test_a_user_of_another_organization_is_unknown(
    city: City, owner: Api, account: TestAccount, platform_server: RunningServer
) -> None:
    for stranger in (account, City(platform_server).member):
        assert owner.delete(city.path(stranger)).status_code == 404
        with api_of(stranger) as api:
            assert api.get("api/v1/users/me").status_code == 200


def test_a_user_is_made_changed_and_deleted(city: City, admin: Api, somebody: dict[str, Any]) -> None:
    more = {"quota_in_bytes": 5_000_000, "soft_geocoding_limit": True, "viewer": False}
    made = admin.post(city.path() + "/", json={**somebody, **more})
    assert made.status_code == 200
    user = made.json()
    assert (user["username"], user["email"]) == (somebody["username"], somebody["email"])
    assert (user["quota_in_bytes"], user["soft_geocoding_limit"]) == (5_000_000, True)
    assert (user["db_size_in_bytes"], user["table_count"]) == (0, 0)
    assert "long-enough" not in made.text
    mine = Api(user["base_url"] + "/", user["api_key"])
    mine.session = admin.session
    me = mine.get("api/v1/users/me").json()
    assert (me["organization"]["name"], me["organization"]["owner"]["username"]) == (
        city.name,
        city.owner.name,
    )
    path = city.path(somebody["username"])
    changed = admin.put(path, json={"quota_in_bytes": 7_000_000, "email": "new@example.org"}).json()
    assert (changed["quota_in_bytes"], changed["email"]) == (7_000_000, "new@example.org")
    assert admin.get(path).json() == changed
    [row] = mine.sql("SELECT _CDB_UserQuotaInBytes() AS quota").json()["rows"]
    assert row == {"quota": 7_000_000}
    deleted = admin.delete(path)
    assert deleted.status_code == 200
    assert isinstance(deleted.json(), str)
    assert admin.get(path).status_code == 404
    assert mine.get("api/v1/users/me").status_code == 404


@pytest.mark.parametrize(
    ("wrong", "about"),
    [
        ({"username": None}, ["username can't be blank"]),
        ({"username": " ", "email": ""}, ["username can't be blank", "email can't be blank"]),
        ({"username": "Bob B"}, ["username is invalid"]),
        ({"username": "public"}, ["username is invalid"]),
        ({"username": 7}, ["username is invalid"]),
        ({"email": "nowhere"}, ["email is invalid"]),
        ({"email": "a\0@b.example"}, ["email is invalid"]),
        ({"email": ["a@b.example"]}, ["email is invalid"]),
        ({"password": "short"}, ["password must be at least"]),
        ({"password": 123456789}, ["password must be at least"]),
        ({"quota_in_bytes": -1}, ["quota_in_bytes must be"]),
        ({"quota_in_bytes": "many"}, ["quota_in_bytes must be"]),
        ({"quota_in_bytes": 1.5}, ["quota_in_bytes must be"]),
        ({"quota_in_bytes": True}, ["quota_in_bytes must be"]),
        ({"org_admin": "perhaps"}, ["org_admin must be true or false"]),
        ({"soft_geocoding_limit": {}}, ["soft_geocoding_limit must be"]),
        ({"viewer": True}, ["viewer is not available"]),
        ({"email": "x", "password": "y"}, ["email is invalid", "password must be"]),
    ],
)
def test_what_is_wrong_is_listed(
    city: City, owner: Api, somebody: dict[str, Any], wrong: dict[str, Any], about: list[str]
) -> None:
    answer = owner.post(city.path(), json={**somebody, **wrong})
    assert answer.status_code == 410
    messages = answer.json()
    assert len(messages) == len(about), messages
    for message, start in zip(messages, about, strict=True):
        assert message.startswith(start)
    assert len(owner.get(city.path(version="v2")).json()) == 3


def test_a_name_or_address_that_is_taken(city: City, owner: Api, somebody: dict[str, Any]) -> None:
    assert owner.post(city.path(), json=somebody).status_code == 200
    again = owner.post(city.path(), json={**somebody, "email": "other@example.org"})
    assert again.status_code == 410
    assert [message.split(":")[0] for message in again.json()] == ["username is already taken"]
    taken = owner.post(
        city.path(), json={**somebody, "username": "another-one", "email": somebody["email"].upper()}
    )
    assert (taken.status_code, taken.json()) == (410, ["email is already taken"])
    put = owner.put(city.path(city.member), json={"email": somebody["email"]})
    assert (put.status_code, put.json()) == (410, ["email is already taken"])
    same = owner.put(city.path(somebody["username"]), json={"email": somebody["email"]})
    assert same.status_code == 200


def test_changes_that_are_none_or_wrong(city: City, owner: Api) -> None:
    path = city.path(city.member)
    for nothing in ({}, {"username": "new"}, {"table_count": 3}):
        answer = owner.put(path, json=nothing)
        assert answer.status_code == 410
        assert isinstance(answer.json(), str)
    wrong = owner.put(path, json={"email": "x", "quota_in_bytes": 0})
    assert (wrong.status_code, len(wrong.json())) == (410, 2)
    malformed = owner.put(path, data=b"{", headers={"Content-Type": "application/json"})
    assert malformed.status_code == 400


def test_admins_are_for_the_owner_to_manage(city: City, owner: Api, admin: Api) -> None:
    other = city.join(is_admin=True)
    for above in (other, city.owner):
        answer = admin.put(city.path(above), json={"quota_in_bytes": 5})
        assert answer.status_code == 401
        refused = admin.delete(city.path(above))
        assert refused.status_code == 401
        assert isinstance(refused.json(), str)
    assert admin.put(city.path(city.admin), json={"email": "me@example.org"}).status_code == 200
    assert owner.put(city.path(other), json={"org_admin": False}).json()["org_admin"] is False
    assert admin.put(city.path(other), json={"quota_in_bytes": 5}).status_code == 200


def test_an_owner_stays(city: City, owner: Api) -> None:
    answer = owner.delete(city.path(city.owner))
    assert answer.status_code == 401
    assert isinstance(answer.json(), str)
    assert owner.put(city.path(city.owner), json={"org_admin": False}).status_code == 410
    refused = owner.delete("api/v3/me")
    assert refused.status_code == 409
    assert "owns an organization" in refused.json()["errors"]
    for member in (city.admin, city.member):
        assert owner.delete(city.path(member)).status_code == 200
    # The last one takes the organization with him.
    assert owner.delete("api/v3/me").status_code == 200


def test_forms_are_understood(city: City, owner: Api, somebody: dict[str, Any]) -> None:
    answer = owner.post(city.path(), data={**somebody, "quota_in_bytes": "9000000", "org_admin": "True"})
    assert answer.status_code == 200
    assert (answer.json()["quota_in_bytes"], answer.json()["org_admin"]) == (9_000_000, True)


def test_quota_and_tables_of_a_member_are_true(city: City, owner: Api) -> None:
    with owner_of(city.server.settings, city.member) as session:
        session.dataset("trees", rows=5000)
        [(used,)] = session.execute("SELECT pg_total_relation_size('trees') / 2")
    user = owner.get(city.path(city.member)).json()
    assert (user["table_count"], user["db_size_in_bytes"]) == (1, used)


def test_what_is_told_of_no_quota_sets_none(city: City, owner: Api) -> None:
    path = city.path(city.member)
    quota = owner.get(path).json()["quota_in_bytes"]
    assert owner.put(path, json={"quota_in_bytes": quota}).json()["quota_in_bytes"] == quota
    assert owner.put(path, json={"quota_in_bytes": 10**25}).json()["quota_in_bytes"] == quota
    with api_of(city.member) as api:
        assert api.sql("SELECT _CDB_UserQuotaInBytes() AS q").json()["rows"] == [{"q": 0}]


def test_what_was_read_can_be_sent_back(city: City, owner: Api) -> None:
    """As clients do that know no changes, and send all they have."""
    for user in (city.member, city.admin, city.owner):
        told = owner.get(city.path(user)).json()
        if told["email"] is None:
            del told["email"]
        answer = owner.put(city.path(user), json=told)
        assert answer.status_code == 200
        assert {**told, "email": None} == answer.json()


def test_me_tells_the_organization(city: City, owner: Api) -> None:
    told = {"name": city.name, "owner": {"username": city.owner.name}}
    assert owner.get("api/v4/me").json()["organization"] == told
    assert owner.with_key("default_public").get("api/v4/me").json()["organization"] == {"name": city.name}
    assert owner.get("api/v3/me").json()["user_data"]["org_admin"] is True


def test_the_sdk_manages_an_organization(city: City, somebody: dict[str, Any]) -> None:
    with APIKeyAuthClient(city.owner.base_url, city.owner.api_key, city.name) as client:
        manager = UserManager(client)
        user = manager.create(**somebody)
        assert isinstance(user, User)
        assert user.username == somebody["username"]
        assert user.org_user is True
        user.email = "changed@example.org"
        user.quota_in_bytes = 8_000_000
        user.save()
        again = manager.get(somebody["username"])
        assert (again.email, again.quota_in_bytes, again.table_count) == ("changed@example.org", 8_000_000, 0)
        assert somebody["username"] in [user.username for user in manager.all()]
        again.delete()
        with pytest.raises(NotFoundException):
            manager.get(somebody["username"])
        with pytest.raises(CartoException, match="username can't be blank"):
            manager.create(username="", password="long-enough", email="a@b.example")


def test_the_sdk_changes_its_own_account(account: TestAccount) -> None:
    with APIKeyAuthClient(account.base_url, account.api_key) as client:
        user = UserManager(client).get(account.name)
        user.email = "mine@example.org"
        user.name = "Ana"
        user.save()
        again = UserManager(client).get(account.name)
        assert (again.username, again.email, again.name) == (account.name, "mine@example.org", "Ana")
