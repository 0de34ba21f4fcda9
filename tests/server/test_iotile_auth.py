"""Logins to IOTile Cloud: who gets in with what, and for how long."""

from __future__ import annotations

import logging
import time
from typing import Any

import jwt
import psycopg
import pytest

from carto_like.server.services.iotile import tokens
from tests.conftest import MakeServer
from tests.support.api import TestAccount, make_account
from tests.support.iotile import IOTileApi
from tests.support.server import RunningServer


@pytest.fixture
def nobody(platform_server: RunningServer) -> IOTileApi:
    """Requests without credentials."""
    return IOTileApi(platform_server)


@pytest.fixture
def me(nobody: IOTileApi, account: TestAccount) -> IOTileApi:
    return nobody.login(account)


def with_payload(server: RunningServer, api: IOTileApi, **changes: Any) -> str:
    """The token of a login, with other claims, signed as the server signs."""
    assert api.authorization is not None
    payload = jwt.decode(api.authorization.split()[1], options={"verify_signature": False})
    key = server.app.platform.secrets.derive("iotile jwt")
    return jwt.encode({**payload, **changes}, key, algorithm="HS256")


def test_login_tells_the_account_and_both_tokens(nobody: IOTileApi, platform_server: RunningServer) -> None:
    ana = make_account(platform_server, email=f"ana-{time.time_ns()}@example.org")
    email = nobody.login(ana).get("auth/user-info/").json()["email"]
    answer = nobody.post("auth/login/", json={"email": email.upper(), "password": ana.api_key})
    assert answer.status_code == 200
    body = answer.json()
    assert set(body) == {
        *("id", "email", "username", "created_at", "updated_at", "name", "tagline", "avatar", "slug"),
        *("is_staff", "token", "jwt"),
    }
    assert (body["email"], body["username"], body["slug"]) == (email, ana.name, ana.name)
    assert body["is_staff"] is False
    for header in (f"jwt {body['jwt']}", f"JWT {body['jwt']}", f"token {body['token']}"):
        found = IOTileApi(platform_server, header).get("auth/user-info")
        assert found.json()["id"] == body["id"]


@pytest.mark.parametrize(
    ("given", "status", "body"),
    [
        ({"email": "nobody@example.org", "password": "x"}, 401, "Username/password combination invalid."),
        ({"email": "", "password": None}, 400, ["email", "password"]),
        ({}, 400, ["email", "password"]),
        ({"email": ["a"], "password": "x"}, 400, ["email"]),
        ([], 400, ["detail"]),
    ],
)
def test_bad_logins(nobody: IOTileApi, given: Any, status: int, body: Any) -> None:
    answer = nobody.post("auth/login/", json=given)
    assert answer.status_code == status
    assert (answer.json() if isinstance(body, str) else sorted(answer.json())) == body


def test_login_with_a_token_is_refused(me: IOTileApi, account: TestAccount) -> None:
    given = {"email": account.name, "password": account.api_key}
    assert me.post("auth/login/", json=given).status_code == 403


def test_password_of_ones_own(nobody: IOTileApi, account: TestAccount) -> None:
    before = nobody.login(account)
    server = nobody.server
    permanent = IOTileApi(server, f"token {before.get('auth/token/').json()['token']}")
    assert permanent.get("auth/user-info/").status_code == 200
    accounts = server.app.iotile.site.accounts
    server.on_server(accounts.set_password(account.account.id, "correct horse"))
    assert nobody.login(account, "correct horse").get("auth/user-info/").status_code == 200
    wrong = nobody.post("auth/login/", json={"email": account.name, "password": "correct hors"})
    assert wrong.status_code == 401
    for token in (before, permanent):
        assert token.get("auth/user-info/").status_code == 401, "a token from before the change"


def test_secrets_are_not_stored_in_clear(
    nobody: IOTileApi, account: TestAccount, admin: psycopg.Connection[Any]
) -> None:
    server = nobody.server
    server.on_server(server.app.iotile.site.accounts.set_password(account.account.id, "correct horse"))
    token = nobody.login(account, "correct horse").get("auth/token/").json()["token"]
    rows = admin.execute(
        "SELECT a::text, k::text FROM carto_like.iotile_account a JOIN carto_like.iotile_api_token k "
        "ON k.account = a.id WHERE a.user_id = %s",
        (account.account.id,),
    ).fetchall()
    assert len(rows) == 1
    for text in rows[0]:
        assert "horse" not in text
        assert token not in text


def test_tokens_without_right(nobody: IOTileApi, me: IOTileApi, platform_server: RunningServer) -> None:
    expired = with_payload(platform_server, me, exp=int(time.time()) - 1)
    alien = jwt.encode({"user_id": 1, "generation": 0, "orig_iat": 1, "exp": 2**33}, "k" * 32)
    headers = {
        None: "Authentication credentials were not provided.",
        f"jwt {expired}": "Signature has expired.",
        f"jwt {alien}": "Error decoding signature.",
        "jwt None": "Error decoding signature.",
        "token wrong": "Invalid token.",
        "token a b": "Invalid Authorization header.",
        "Basic abc": "Authentication credentials were not provided.",
        f"jwt {with_payload(platform_server, me, user_id=2**62)}": (
            "User account is disabled or its password was changed."
        ),
        f"jwt {with_payload(platform_server, me, user_id='1')}": "Invalid payload.",
    }
    for header, text in headers.items():
        answer = IOTileApi(platform_server, header).get("auth/user-info/")
        assert (answer.status_code, answer.json()) == (401, {"detail": text}), header
        assert answer.headers["WWW-Authenticate"].startswith("JWT")


def test_renewal(nobody: IOTileApi, me: IOTileApi, platform_server: RunningServer) -> None:
    old = with_payload(platform_server, me, exp=int(time.time()) + 60)
    new = nobody.post("auth/api-jwt-refresh/", json={"token": old}).json()["token"]
    assert jwt.decode(new, options={"verify_signature": False})["exp"] > time.time() + tokens.SECONDS - 60
    assert nobody.post("auth/api-jwt-verify/", json={"token": new}).json() == {"token": new}
    long_ago = int(time.time()) - tokens.RENEWABLE_SECONDS - 1
    for token, text in (
        (with_payload(platform_server, me, orig_iat=long_ago), "Refresh has expired."),
        (with_payload(platform_server, me, exp=1), "Signature has expired."),
        ("x", "Error decoding signature."),
    ):
        answer = nobody.post("auth/api-jwt-refresh/", json={"token": token})
        assert (answer.status_code, answer.json()) == (400, {"non_field_errors": [text]})


def test_other_ways_in(nobody: IOTileApi, account: TestAccount) -> None:
    given = {"username": account.name, "password": account.api_key}
    token = nobody.post("auth/api-jwt-auth/", json=given).json()["token"]
    me = IOTileApi(nobody.server, f"jwt {token}")
    assert set(me.get("auth/token/").json()) == {"token", "jwt"}
    assert me.post("auth/logout/").status_code == 204
    wrong = nobody.post("auth/api-jwt-auth/", json={**given, "password": "x"})
    assert (wrong.status_code, list(wrong.json())) == (400, ["non_field_errors"])


def test_addresses_and_verbs(nobody: IOTileApi, me: IOTileApi) -> None:
    assert set(nobody.get("server").json()) == {"now", "stage", "name", "company"}
    assert me.get("auth/user-info").json() == me.get("auth/user-info/").json()
    unknown = nobody.get("nothing/here/")
    assert (unknown.status_code, unknown.json()) == (404, {"detail": "Not found."})
    wrong = nobody.get("auth/login/")
    assert (wrong.status_code, wrong.headers["Allow"]) == (405, "POST")
    assert wrong.json() == {"detail": 'Method "GET" not allowed.'}
    broken = nobody.post("auth/login/", data=b"{", headers={"Content-Type": "application/json"})
    assert broken.status_code == 400
    assert broken.json()["detail"].startswith("JSON parse error")


def test_log_lines_hold_no_secret(
    nobody: IOTileApi, account: TestAccount, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "carto_like.server"):
        logging.getLogger("carto_like.server.request").addHandler(caplog.handler)
        try:
            me = nobody.login(account)
            token = me.get("auth/token/").json()["token"]
            me.get("auth/user-info/", params={"token": token})
            IOTileApi(nobody.server, f"token {token}x").get("org/")
        finally:
            logging.getLogger("carto_like.server.request").removeHandler(caplog.handler)
    said = caplog.text + str([record.__dict__ for record in caplog.records])
    assert "/iotile/api/v1/auth/login" in said
    assert account.name in said, "lines say whose request it was"
    for secret in (account.api_key, token, str(me.authorization).split()[1]):
        assert secret not in said


def test_what_goes_wrong_inside_is_told_in_the_same_words(
    me: IOTileApi, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken(*_: Any) -> None:
        raise RuntimeError("secret details")

    def lost(*_: Any) -> None:
        raise psycopg.OperationalError("secret details")

    accounts = me.server.app.iotile.site.accounts
    for failure, text in ((broken, "Unexpected error"), (lost, "cannot connect to the database")):
        with monkeypatch.context() as patched, caplog.at_level(logging.CRITICAL):
            patched.setattr(accounts, "by_signed_token", failure)
            answer = me.get("org/", headers={"X-Request-Id": "mine"})
        assert answer.status_code == 500
        assert answer.json() == {"detail": text, "request_id": "mine"}
    assert me.get("org/").status_code == 200


def test_bodies_have_a_limit(make_server: MakeServer, account: TestAccount) -> None:
    small = IOTileApi(make_server(body_max_bytes=1000))
    answer = small.post("auth/login/", json={"email": "x" * 1000, "password": "x"})
    assert answer.status_code == 413
    assert list(answer.json()) == ["detail"]
    assert small.login(account).request("HEAD", "org/").content == b""
