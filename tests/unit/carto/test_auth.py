from __future__ import annotations

import base64
import io
import re
import warnings
from typing import Any

import pytest
import requests
import responses
from requests.adapters import HTTPAdapter
from urllib3.exceptions import InsecureRequestWarning

from carto_like import auth
from carto_like.auth import (
    APIKeyAuthClient,
    AuthAPIClient,
    BaseAuthClient,
    BasicAuthClient,
    NoAuthClient,
    NonVerifiedAPIKeyAuthClient,
)
from carto_like.core import _pyrestcli
from carto_like.core.errors import ConfigurationError
from carto_like.core.retry import Retry
from carto_like.exceptions import (
    CartoException,
    CartoForeignOriginException,
    CartoRateLimitException,
    CartoRedirectException,
    CartoTimeoutException,
    CartoTransportException,
)
from tests.support.clock import FakeClock
from tests.unit.sent import sent_query

KEY = "0123456789abcdef0123"
HOSTED = "https://user1.carto.com/"
BY_PATH = "https://gis.example.org/user/jane/"


def basic(user: str, password: str = KEY) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


# Base URLs


@pytest.mark.parametrize(
    ("base_url", "name", "used"),
    [
        ("https://user1.carto.com", "user1", "https://user1.carto.com/"),
        ("https://user1.carto.com/a/b/c", "user1", "https://user1.carto.com/a/b/c/"),
        ("https://www.user2.carto.com", "user2", "https://www.user2.carto.com/"),
        ("https://carto.com/user/user1/a/b/c", "user1", "https://carto.com/user/user1/a/b/c/"),
        ("https://www.carto.com/user/user2", "user2", "https://www.carto.com/user/user2/"),
        ("https://org.carto.com/user/bob/", "bob", "https://org.carto.com/user/bob/"),
        ("https://mycarto.example/user/jane/api", "jane", "https://mycarto.example/user/jane/api/"),
        ("https://user.carto.com:8443/", "user", "https://user.carto.com:8443/"),
        ("https://org.carto.com/u/bob", "bob", "https://org.carto.com/u/bob/"),
        ("https://user:pw@host.com/", "host", "https://host.com/"),
        ("HTTPS://USER1.carto.com", "user1", "https://user1.carto.com/"),
        ("https://user-1.carto.com?x=1", "user-1", "https://user-1.carto.com/"),
        ("https://carto.com/user/b%20b/", "b b", "https://carto.com/user/b%20b/"),
        ("http://127.0.0.1:8080/user/me/", "me", "http://127.0.0.1:8080/user/me/"),
        ("http://localhost:8080/user/me", "me", "http://localhost:8080/user/me/"),
        ("http://127.0.0.1:8080", None, "http://127.0.0.1:8080/"),
        ("http://[::1]:8080", None, "http://[::1]:8080/"),
    ],
)
@pytest.mark.parametrize("kind", [APIKeyAuthClient, AuthAPIClient])
def test_base_url_tells_the_user(base_url: str, name: str | None, used: str, kind: Any) -> None:
    client = kind(base_url, KEY)
    assert (client.username, client.base_url, client.api_key) == (name, used, KEY)
    assert client.organization is None


@pytest.mark.parametrize(
    "base_url",
    [
        "https://wrongurl",
        "https://localhost:8080",
        "",
        "user.carto.com",
        None,
        "https://carto.com",
        "https://[",
    ],
)
@pytest.mark.parametrize("kind", [APIKeyAuthClient, AuthAPIClient])
def test_base_url_without_a_user_is_refused(base_url: Any, kind: Any) -> None:
    with pytest.raises(CartoException):
        kind(base_url, KEY)


@pytest.mark.parametrize("base_url", ["http://www.user3.carto.com/a/b/c", "file://test.carto.com"])
def test_unencrypted_addresses_warn(base_url: str) -> None:
    session = requests.Session()
    session.mount("file", HTTPAdapter())
    with pytest.warns(UserWarning, match="unencrypted") as caught:
        client = APIKeyAuthClient(base_url, KEY, None, session)
    assert client.username in ("user3", "test")
    assert caught[0].filename == __file__


# Identity


def test_identity() -> None:
    client = APIKeyAuthClient(HOSTED, KEY)
    assert re.fullmatch(r"carto-python-sdk/\d+\.\d+\.\S+", client.get_user_agent())
    assert re.fullmatch(r"test/\d+\.\d+\.\S+", client.get_user_agent("test"))
    assert client.get_client_identifier() == f"cps-{client.CARTO_VERSION}"
    assert client.get_client_identifier("x") == f"x-{client.CARTO_VERSION}"
    assert client.user_agent == client.get_user_agent()
    assert client.client_id == client.get_client_identifier()


def test_prepare_send_adds_to_copies() -> None:
    client = APIKeyAuthClient(HOSTED, KEY, client_id="mine", user_agent="me/1")
    params, headers, body = {"a": 1}, {"X": "y"}, {"z": 1}
    method, arguments = client.prepare_send("POST", params=params, headers=headers, json=body)
    assert method == "post"
    assert arguments["params"] == {"api_key": KEY, "client": "mine", "a": 1}
    assert arguments["headers"] == {"User-Agent": "me/1", "X": "y"}
    assert arguments["json"] is body
    assert (params, headers, body) == ({"a": 1}, {"X": "y"}, {"z": 1})


def test_prepare_send_without_arguments() -> None:
    client = APIKeyAuthClient(HOSTED, KEY)
    assert client.prepare_send("post")[1]["params"]["client"] == client.get_client_identifier()


class Mounted(HTTPAdapter):
    def __init__(self) -> None:
        super().__init__()
        self.sent: list[requests.PreparedRequest] = []

    def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:  # type: ignore[override]
        self.sent.append(request)
        response = requests.Response()
        response.status_code, response.url, response.request = 200, str(request.url), request
        response.raw = io.BytesIO(b"")
        return response


def test_a_session_with_an_adapter_for_files() -> None:
    session, adapter = requests.Session(), Mounted()
    session.mount("file", adapter)
    with pytest.warns(UserWarning, match="unencrypted"):
        client = APIKeyAuthClient("file://test.carto.com", KEY, None, session)
    assert client.send("headers", "post").status_code == 200
    (request,) = adapter.sent
    assert (request.method, request.url) == ("POST", "file://test.carto.com/headers")
    assert request.headers["User-Agent"] == client.get_user_agent()


# Where the key goes


@pytest.mark.parametrize(
    ("base_url", "path", "user"),
    [
        (HOSTED, "api/v2/sql", "user1"),
        (HOSTED, "/api/v2/sql/copyto", "user1"),
        (HOSTED, "api/v1/map/named", "user1"),
        (HOSTED, "api/v3/api_keys", "user1"),
        (BY_PATH, "api/v2/sql", "jane"),
        (HOSTED, "api/v1/viz", None),
        (HOSTED, "api/v3/me", None),
        (HOSTED, "api/v4/kuviz", None),
        (BY_PATH, "/api/v2/sql", None),
        ("https://gis.example.org/", "api/v2/sql", None),
    ],
)
@responses.activate
def test_the_key_is_a_header_where_that_is_certain_to_work(
    base_url: str, path: str, user: str | None
) -> None:
    client = APIKeyAuthClient(base_url, KEY)
    responses.post(re.compile(".*"), json={})
    client.send(path, "post", json={"a": 1})
    request = responses.calls[0].request
    assert request.headers.get("Authorization") == (basic(user) if user else None)
    assert sent_query() == {"client": client.client_id, **({} if user else {"api_key": KEY})}
    assert request.body == b'{"a": 1}'


@pytest.mark.parametrize(
    "arguments",
    [
        {"params": {"api_key": "other"}},
        {"data": {"api_key": "other", "q": "x"}},
        {"auth": ("user1", "other")},
    ],
)
@responses.activate
def test_a_key_given_with_the_call_is_the_one_that_counts(arguments: dict[str, Any]) -> None:
    responses.post(HOSTED + "api/v2/sql", json={})
    APIKeyAuthClient(HOSTED, KEY).send("api/v2/sql", "post", **arguments)
    assert responses.calls[0].request.headers.get("Authorization") in (None, basic("user1", "other"))


@pytest.mark.parametrize("params", [[("a", "1"), ("a", "2")], "a=1&a=2", b"a=1&a=2"])
@responses.activate
def test_parameters_of_every_form(params: Any) -> None:
    responses.get(HOSTED + "api/v1/viz", json={})
    APIKeyAuthClient(HOSTED, KEY).send("api/v1/viz", "get", params=params)
    assert f"a=1&a=2&api_key={KEY}&client=" in str(responses.calls[0].request.url)


@responses.activate
def test_the_key_stays_with_its_server() -> None:
    client = APIKeyAuthClient(HOSTED, KEY)
    with pytest.raises(CartoForeignOriginException) as caught:
        client.send("https://user2.carto.com/api/v2/sql", "get")
    assert KEY not in str(caught.value)
    assert len(responses.calls) == 0


@responses.activate
def test_basic_clients() -> None:
    responses.get(HOSTED + "api/v3/me", json={})
    session = requests.Session()
    client = AuthAPIClient(HOSTED, KEY, session=session)
    client.send("api/v3/me", "get")
    request = responses.calls[0].request
    assert request.headers["Authorization"] == basic("user1")
    assert request.headers["User-Agent"].startswith("carto-python-sdk/")
    assert sent_query() == {"client": client.client_id}
    BasicAuthClient("ann", "pw", HOSTED, session).send("api/v3/me", "get")
    assert responses.calls[1].request.headers["Authorization"] == basic("ann", "pw")
    assert session.auth is None


@responses.activate
def test_basic_without_an_account_falls_back_to_the_parameter() -> None:
    responses.get("http://127.0.0.1:8080/api/v3/me", json={})
    AuthAPIClient("http://127.0.0.1:8080", KEY).send("api/v3/me", "get")
    assert sent_query()["api_key"] == KEY


def test_families_of_clients() -> None:
    for kind in (APIKeyAuthClient, NonVerifiedAPIKeyAuthClient, AuthAPIClient, BasicAuthClient, NoAuthClient):
        assert issubclass(kind, BaseAuthClient)
        assert issubclass(kind, _pyrestcli.BaseAuthClient)
    assert issubclass(AuthAPIClient, auth.BasicAuthClient)
    assert issubclass(NoAuthClient, _pyrestcli.NoAuthClient)
    assert issubclass(BasicAuthClient, _pyrestcli.BasicAuthClient)


# Without a key


def test_no_auth_client_has_no_key() -> None:
    client = NoAuthClient(HOSTED)
    assert not hasattr(client, "api_key")
    assert (client.username, client.organization) == ("user1", None)
    assert NoAuthClient("https://wrongurl").username is None


@responses.activate
def test_no_auth_client_warns_once_and_for_writes_only() -> None:
    responses.add(responses.GET, re.compile(".*"), json={})
    responses.add(responses.POST, re.compile(".*"), json={})
    client = NoAuthClient(HOSTED)
    client.send("api/v1/viz", "GET")
    client.send("api/v2/sql", "post", data={"q": "select 1"})
    with pytest.warns(UserWarning, match="without authentication") as caught:
        client.send("api/v1/viz", "post", json={})
    assert caught[0].filename == __file__
    client.send("api/v1/viz", "post", json={})
    for call in responses.calls:
        assert "Authorization" not in call.request.headers
        assert "api_key" not in str(call.request.url)


@pytest.mark.parametrize("path", ["api/v2/sql/copyfrom", "api/v2/sql/job/", "api/v1/map/"])
@responses.activate
def test_which_posts_write(path: str) -> None:
    responses.post(HOSTED + path, json={})
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        NoAuthClient(HOSTED).send(path, "post")
    assert len(caught) == ("sql" in path)


# Certificates


@responses.activate
def test_an_unverified_client_says_so_once() -> None:
    responses.get(HOSTED + "x", json={})
    with pytest.warns(InsecureRequestWarning):
        client = NonVerifiedAPIKeyAuthClient(HOSTED, KEY, client_id="mine", user_agent="me/1")
    assert (client.verify, client.client_id, client.user_agent) == (False, "mine", "me/1")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        client.send("x", "get")
    assert responses.calls[0].request.req_kwargs["verify"] is False  # type: ignore[attr-defined]


# Answers


@responses.activate
def test_answers_come_back_whatever_their_status() -> None:
    for status in (200, 404, 422, 500):
        responses.post(HOSTED + f"s{status}", status=status, json={"error": "x"})
        assert APIKeyAuthClient(HOSTED, KEY).send(f"s{status}", "post").status_code == status


@pytest.mark.parametrize("make", [lambda: APIKeyAuthClient(HOSTED, KEY), lambda: NoAuthClient(HOSTED)])
@responses.activate
def test_a_rate_limit_is_raised_at_once(make: Any) -> None:
    responses.get(HOSTED + "x", status=429, headers={"Retry-After": "5"}, body="slow down")
    client = make()
    client.clock = FakeClock()
    with pytest.raises(CartoRateLimitException, match="slow down") as caught:
        client.send("x", "get")
    assert caught.value.retry_after == 5
    assert client.clock.slept == []
    responses.replace(responses.GET, HOSTED + "x", status=429)
    assert client.send("x", "get").status_code == 429


@responses.activate
def test_a_rate_limit_is_waited_for_when_asked() -> None:
    responses.get(HOSTED + "x", status=429, headers={"Retry-After": "5"})
    responses.get(HOSTED + "x", json={})
    client = APIKeyAuthClient(HOSTED, KEY, retry=Retry())
    clock = client.clock = FakeClock()
    assert client.send("x", "get").status_code == 200
    assert clock.slept == [5.0]


@pytest.mark.parametrize(
    ("original", "ours"),
    [
        (requests.ConnectionError(f"https://h/x?api_key={KEY} failed"), CartoTransportException),
        (requests.ReadTimeout("slow"), CartoTimeoutException),
    ],
)
@responses.activate
def test_a_failure_wraps_the_original_without_the_key(
    original: Exception, ours: type[CartoException]
) -> None:
    responses.post(HOSTED + "x", body=original)
    with pytest.raises(ours) as caught:
        APIKeyAuthClient(HOSTED, KEY).send("x", "post")
    wrapped = caught.value.args[0]
    assert type(wrapped) is type(original)
    assert str(caught.value) == str(wrapped) == str(original).replace(KEY, "***")


@responses.activate
def test_validity_of_a_key() -> None:
    client = AuthAPIClient(HOSTED, KEY)
    url = HOSTED + "api/v3/api_keys"
    responses.get(url, json={"result": [{"token": "x"}, {"token": KEY}]})
    assert client.is_valid_api_key() is True
    responses.replace(responses.GET, url, json={"result": []})
    assert client.is_valid_api_key() is False
    responses.replace(responses.GET, url, status=401, json={"errors": "x"})
    assert client.is_valid_api_key() is False
    responses.replace(responses.GET, url, json=[])
    assert client.is_valid_api_key() is False
    responses.replace(responses.GET, url, status=500, json={})
    with pytest.raises(CartoException):
        client.is_valid_api_key()


def test_a_printed_client_keeps_its_key() -> None:
    assert KEY not in repr(APIKeyAuthClient(HOSTED, KEY)) + repr(AuthAPIClient(HOSTED, KEY))


@responses.activate
def test_a_redirected_write_is_cartos_error_too() -> None:
    responses.post(HOSTED + "x", status=301, headers={"Location": HOSTED + "y"})
    with pytest.raises(CartoRedirectException, match="base URL") as caught:
        APIKeyAuthClient(HOSTED, KEY).send("x", "post", json={})
    assert caught.value.request is not None
    assert KEY not in str(caught.value.request.url)


@pytest.mark.parametrize("arguments", [{"headers": {"X": "a\nb"}}, {"json": {"a": float("nan")}}])
def test_nonsense_is_refused_before_it_is_sent(arguments: Any) -> None:
    with pytest.raises(CartoException) as caught:
        APIKeyAuthClient(HOSTED, KEY).send("x", "post", **arguments)
    assert isinstance(caught.value, ConfigurationError)


@pytest.mark.parametrize("kind", [APIKeyAuthClient, AuthAPIClient])
def test_a_key_that_is_not_text_is_refused_and_not_shown(kind: Any) -> None:
    with pytest.raises(CartoException, match="text, not bytes") as caught:
        kind(HOSTED, KEY.encode())
    assert KEY not in str(caught.value)
