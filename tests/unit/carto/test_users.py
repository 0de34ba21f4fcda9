"""Users: where they are depends on the client's organization."""

from __future__ import annotations

import pytest
import responses

from carto_like.auth import APIKeyAuthClient, NoAuthClient
from carto_like.exceptions import CartoException
from carto_like.users import User, UserManager
from tests.unit.sent import sent_json, sent_paths

ROOT = "https://ana.carto.com/"
ALONE = ROOT + "api/v1/users/"
TOGETHER = ROOT + "api/v1/organization/the%20city/users/"


@pytest.fixture
def alone() -> UserManager:
    return UserManager(APIKeyAuthClient(ROOT, "secret-key"))


@pytest.fixture
def together() -> UserManager:
    return UserManager(APIKeyAuthClient(ROOT, "secret-key", "the city"))


@responses.activate
def test_me(alone: UserManager) -> None:
    responses.get(ALONE + "ana", json={"username": "ana", "table_count": 3, "email": "a@x.example"})
    user = alone.get("ana")
    assert (user.username, user.table_count, str(user)) == ("ana", 3, "ana")
    assert user.get_resource_endpoint() == "api/v1/users/ana"


@responses.activate
def test_a_user_of_an_organization(together: UserManager) -> None:
    responses.get(TOGETHER + "b%2Fb", json={"username": "b/b", "email": "old"})
    responses.put(TOGETHER + "b%2Fb", json={"username": "b/b", "email": "new"})
    responses.delete(TOGETHER + "b%2Fb", json="User deleted")
    user = together.get("b/b")
    user.email = "new"
    user.save()
    assert sent_json() == {"email": "new"}
    answer = user.delete()
    assert answer is not None
    assert answer.json() == "User deleted"


@responses.activate
def test_create(together: UserManager) -> None:
    responses.post(TOGETHER, json={"username": "bob", "email": "b@x.example"})
    user = together.create(username="bob", password="pw", email="b@x.example")
    assert isinstance(user, User)
    assert sent_json() == {"username": "bob", "password": "pw", "email": "b@x.example"}
    assert user.get_id() == "bob"


@responses.activate
def test_an_organization_lists_its_users(together: UserManager) -> None:
    responses.get(
        ROOT + "api/v2/organization/the%20city/users/", json=[{"username": "ana"}, {"username": "bob"}]
    )
    assert [user.username for user in together.all()] == ["ana", "bob"]
    assert sent_paths() == ["GET /api/v2/organization/the%20city/users/"]


@responses.activate
def test_an_account_alone_has_no_list(alone: UserManager) -> None:
    for verb in (alone.all, alone.filter):
        with pytest.raises(CartoException, match="organization"):
            verb()
    assert len(responses.calls) == 0


@responses.activate
def test_no_name_is_no_request(alone: UserManager) -> None:
    with pytest.raises(CartoException):
        alone.get(None)
    assert len(responses.calls) == 0


def test_a_client_without_a_key_reads_users_too() -> None:
    user = User(NoAuthClient(ROOT))
    user.load({"username": "ana"})
    assert user.get_resource_endpoint() == "api/v1/users/ana"
