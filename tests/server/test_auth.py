"""Which key decides, and which answer a wrong one gets, independent of any family of routes."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from starlette.requests import Request

from carto_like.server.accounts import Principal
from carto_like.server.authentication import authenticate, require_api
from carto_like.server.errors import Problem
from tests.support.api import TestAccount, make_account
from tests.support.server import RunningServer


class Asker:
    """Authenticates made-up requests to one account."""

    def __init__(self, server: RunningServer, account: TestAccount) -> None:
        self.server = server
        self.account = account

    def __call__(
        self, query: str = "", basic: str | None = None, authorization: str | None = None, **options: Any
    ) -> Principal:
        headers = []
        if basic is not None:
            authorization = "Basic " + base64.b64encode(basic.encode()).decode()
        if authorization is not None:
            headers.append((b"authorization", authorization.encode()))
        scope = {
            "type": "http",
            "method": "GET",
            "query_string": query.encode(),
            "headers": headers,
            "state": {},
        }
        work = authenticate(self.server.app.platform, Request(scope), account=self.account.account, **options)
        return self.server.on_server(work)


@pytest.fixture
def ask(platform_server: RunningServer, account: TestAccount) -> Asker:
    return Asker(platform_server, account)


def test_without_a_key_the_public_role_asks(ask: Asker) -> None:
    for principal in (ask(), ask("api_key=&map_key="), ask(basic=f"{ask.account.name}:"), ask(body={})):
        assert principal.role == ask.account.public_role
        assert not principal.is_master
    with pytest.raises(Problem, match="Unauthorized"):
        ask(required=True)


def test_every_place_of_a_key_works(ask: Asker) -> None:
    key, name = ask.account.api_key, ask.account.name
    for principal in (
        ask(f"api_key={key}"),
        ask(f"map_key={key}"),
        ask(f"api_key=&map_key={key}"),
        ask(basic=f"{name}:{key}"),
        ask(body={"api_key": key}),
        ask(body={"map_key": key}),
        ask(f"api_key={key}", body={"api_key": "wrong"}),
        ask("api_key=default_public", basic=f"{name}:{key}"),
    ):
        assert principal.is_master
        assert principal.role == ask.account.role


def test_basic_decides_but_all_must_be_known(ask: Asker) -> None:
    key, name = ask.account.api_key, ask.account.name
    assert not ask(f"api_key={key}", basic=f"{name}:default_public").is_master
    for query, basic in (("api_key=wrong", f"{name}:{key}"), (f"api_key={key}", f"{name}:wrong")):
        with pytest.raises(Problem, match="Unauthorized") as caught:
            ask(query, basic=basic)
        assert caught.value.status == 401


@pytest.mark.parametrize("query", ["api_key=wrong", "api_key=a&api_key=a", "map_key=%00", "api_key=%ff"])
def test_unknown_and_repeated_keys(ask: Asker, query: str) -> None:
    with pytest.raises(Problem) as caught:
        ask(query)
    assert (caught.value.status, caught.value.message) == (401, "Unauthorized")


def test_a_repeated_right_key_is_refused_too(ask: Asker) -> None:
    with pytest.raises(Problem, match="Unauthorized"):
        ask(f"api_key={ask.account.api_key}&api_key={ask.account.api_key}")


def test_basic_of_another_user(ask: Asker) -> None:
    with pytest.raises(Problem, match="permission denied") as caught:
        ask(basic=f"other:{ask.account.api_key}")
    assert caught.value.status == 403


def test_another_accounts_key(ask: Asker) -> None:
    other = make_account(ask.server)
    for _ in range(2):
        with pytest.raises(Problem) as caught:
            ask(f"api_key={other.api_key}")
        assert (caught.value.status, caught.value.message) == (403, "Forbidden")


@pytest.mark.parametrize("header", ["Bearer abc", "Basic", "Basic !!!", "Basic YWJj", "Basic /w==", "", "x"])
def test_what_is_no_basic_is_ignored(ask: Asker, header: str) -> None:
    assert ask(authorization=header).role == ask.account.public_role


def test_an_api_that_the_key_does_not_grant(ask: Asker) -> None:
    principal = ask()
    require_api(principal, "sql")
    with pytest.raises(Problem, match="forbidden") as caught:
        require_api(principal, "datasets")
    assert caught.value.status == 403
