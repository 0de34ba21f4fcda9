"""The drop-in ``Api`` and its resources."""

from __future__ import annotations

import io
import json
import logging
import socket
from pathlib import Path
from typing import Any

import pytest
import requests
import responses
from urllib3.util import Retry as UrllibRetry

from carto_like.core.errors import NotFoundError, PermissionDeniedError, SdkError, ServerError
from carto_like.core.retry import Retry
from carto_like.iotile.api import exceptions
from carto_like.iotile.api.connection import DEFAULT_HEADERS, Api, RestResource
from carto_like.iotile.api.exceptions import (
    HttpClientError,
    HttpNotFoundError,
    HttpServerError,
    RestBaseException,
    RestFormatError,
)
from tests.unit.sent import sent_json, sent_paths, sent_query

DOMAIN = "https://iotile.test"
ROOT = f"{DOMAIN}/api/v1"
ACCOUNT = {"jwt": "big-token", "token": "permanent", "username": "ana"}


@pytest.fixture
def api() -> Api:
    return Api(DOMAIN)


def logged_in(api: Api) -> Api:
    responses.post(f"{ROOT}/auth/login/", json=ACCOUNT)
    assert api.login(email="ana@example.org", password="pw") is True
    return api


def header(index: int = -1) -> str | None:
    return responses.calls[index].request.headers.get("Authorization")


def test_defaults() -> None:
    api = Api()
    assert (api.domain, api.base_url) == ("https://iotile.cloud", "https://iotile.cloud/api/v1")
    assert (api.use_token, api.token, api.token_type, api.username) == (True, None, "jwt", None)
    assert api.session.verify is True
    assert api.resource_class is RestResource
    api.set_token("big-token")
    assert api.token == "big-token"
    assert Api("http://h/").base_url == "http://h/api/v1"
    assert "big-token" not in repr(api)


@responses.activate
def test_login_and_logout(api: Api) -> None:
    logged_in(api)
    assert (api.username, api.token) == ("ana", "big-token")
    assert header() is None
    assert sent_json() == {"email": "ana@example.org", "password": "pw"}
    responses.post(f"{ROOT}/auth/logout/", status=204)
    api.logout()
    assert header() == "jwt big-token"
    assert (api.username, api.token) == (None, None)
    assert api.login("pw", "ana@example.org") is True
    assert (api.username, api.token) == ("ana", "big-token")


@responses.activate
def test_login_takes_the_token_of_its_type() -> None:
    api = logged_in(Api(DOMAIN, token_type="token"))
    assert api.token == "permanent"
    responses.get(f"{ROOT}/org/", json={})
    api.org.get()
    assert header() == "token permanent"


@responses.activate
@pytest.mark.parametrize(
    ("status", "body"),
    [(401, '"bad"'), (201, json.dumps(ACCOUNT)), (500, "oops"), (200, "<html>"), (200, '{"username": "x"}')],
)
def test_no_half_login(api: Api, status: int, body: str) -> None:
    responses.post(f"{ROOT}/auth/login/", body=body, status=status)
    assert api.login("pw", "ana@example.org") is False
    assert (api.username, api.token) == (None, None)


@responses.activate
def test_login_without_a_username_in_the_answer(api: Api) -> None:
    responses.post(f"{ROOT}/auth/login/", json={"jwt": "big-token"})
    assert api.login("pw", "ana@example.org") is True
    assert (api.username, api.token) == (None, "big-token")


@responses.activate
def test_a_failed_login_leaves_no_resource_as_username(api: Api) -> None:
    responses.post(f"{ROOT}/auth/login/", status=401)
    api.set_token("old-token")
    assert api.login("pw", "x") is False
    assert api.username is None
    assert api.token == "old-token"
    assert not hasattr(api, "_anything")


@responses.activate
def test_a_failed_logout_keeps_the_login(api: Api) -> None:
    logged_in(api)
    responses.post(f"{ROOT}/auth/logout/", status=500)
    api.logout()
    assert (api.username, api.token) == ("ana", "big-token")


@responses.activate
def test_refresh(api: Api) -> None:
    api.set_token("old-token")
    responses.post(f"{ROOT}/auth/api-jwt-refresh/", json={"token": "new-token"})
    assert api.refresh_token() is True
    assert (api.token, sent_json(), header()) == ("new-token", {"token": "old-token"}, None)


@responses.activate
def test_a_failed_refresh_keeps_the_token(api: Api) -> None:
    api.set_token("old-token")
    responses.post(f"{ROOT}/auth/api-jwt-refresh/", json={"non_field_errors": ["expired"]}, status=400)
    assert api.refresh_token() is False
    assert api.token == "old-token"
    with pytest.raises(ValueError, match="'jwt'"):
        Api(DOMAIN, token_type="token").refresh_token()


@responses.activate
def test_nothing_is_signed_without_a_token(api: Api) -> None:
    responses.get(f"{ROOT}/org/", json={})
    api.org.get()
    assert header() is None
    api.logout()
    assert len(responses.calls) == 1


@responses.activate
def test_resources_sign_with_the_token_of_the_moment(api: Api) -> None:
    responses.get(f"{ROOT}/org/", json={})
    found = api.org
    api.set_token("first-token")
    found.get()
    assert header() == "jwt first-token"
    api.set_token("second-token", "a-jwt")
    found.get()
    assert header() == "a-jwt second-token"


def test_addresses(api: Api) -> None:
    stream = "s--0000-0001--0000-0000-0000-0002--0003"
    for resource, path in (
        (api.org, "/org/"),
        (api.org(), "/org/"),
        (api.org("my-org"), "/org/my-org/"),
        (api.org("my-org").projects, "/org/my-org/projects/"),
        (api.stream(stream).data, f"/stream/{stream}/data/"),
        (api.event(1).data, "/event/1/data/"),
        (api.event(0), "/event/0/"),
        (api.event.upload, "/event/upload/"),
        (api.streamer.report, "/streamer/report/"),
        (api.streamer(action="report"), "/streamer/report/"),
        (api.streamer("t--1", action="report"), "/streamer/t--1/report/"),
        (api.report.generated("x").uploadurl, "/report/generated/x/uploadurl/"),
        (api.event(1)("url"), "/event/1/url/"),
        (api.path("event", 1, "url"), "/event/1/url/"),
        (api.org("a/b c"), "/org/a%2Fb%20c/"),
    ):
        assert resource.url() == ROOT + path


@pytest.mark.parametrize("identity", ["", ".", ".."])
def test_ids_that_name_nothing(api: Api, identity: str) -> None:
    with pytest.raises(exceptions.ImproperlyConfigured):
        api.org(identity)


@responses.activate
def test_verbs(api: Api) -> None:
    for method in ("GET", "POST", "PUT", "PATCH"):
        responses.add(method, f"{ROOT}/org/", json={"did": method})
    assert api.org.get(name="x", tags=["a", "b"], none=None, yes=True) == {"did": "GET"}
    assert str(responses.calls[0].request.url).endswith("?name=x&tags=a&tags=b&yes=True")
    assert api.org.post({"name": "x"}, dry="1") == {"did": "POST"}
    assert (sent_json(), sent_query()) == ({"name": "x"}, {"dry": "1"})
    assert api.org.put(data={"name": "y"}) == {"did": "PUT"}
    assert api.org.patch({"name": "z"}) == {"did": "PATCH"}
    assert {call.request.headers["Content-Type"] for call in responses.calls} == {"application/json"}


@responses.activate
@pytest.mark.parametrize("data", [{}, [], 0, False, ""])
def test_empty_data_is_a_body(api: Api, data: Any) -> None:
    responses.post(f"{ROOT}/org/", json={})
    api.org.post(data)
    assert sent_json() == data
    api.org.post()
    assert responses.calls[1].request.body is None


@responses.activate
@pytest.mark.parametrize(
    ("status", "body", "kind", "answer"),
    [
        (204, "", "text/plain", None),
        (205, "", "text/plain", None),
        (200, "", "application/json", b""),
        (200, '{"a": [1.5, null]}', "application/json", {"a": [1.5, None]}),
        (200, "1\n", "text/csv", b"1\n"),
        (200, "<html>", "text/html", b"<html>"),
        (200, "no json", "application/json", b"no json"),
    ],
)
def test_answers(api: Api, status: int, body: str, kind: str, answer: Any) -> None:
    responses.get(f"{ROOT}/df/", body=body, status=status, content_type=kind)
    assert api.df.get() == answer


@responses.activate
def test_an_answer_that_leads_nowhere(api: Api) -> None:
    responses.get(f"{ROOT}/org/", status=304)
    with pytest.raises(RestFormatError, match="304"):
        api.org.get()


@responses.activate
@pytest.mark.parametrize(
    ("status", "kind", "core"),
    [
        (400, HttpClientError, SdkError),
        (403, HttpClientError, PermissionDeniedError),
        (404, HttpNotFoundError, NotFoundError),
        (418, HttpClientError, SdkError),
        (500, HttpServerError, ServerError),
        (503, HttpServerError, ServerError),
    ],
)
def test_errors(api: Api, status: int, kind: type[Exception], core: type[Exception]) -> None:
    api.set_token("very-secret")
    responses.post(f"{ROOT}/org/", json={"name": ["taken: very-secret"]}, status=status)
    with pytest.raises(kind) as caught:
        api.org.post({"name": "x"})
    assert isinstance(caught.value, core)
    assert isinstance(caught.value, RestBaseException)
    assert issubclass(caught.type, HttpClientError) == (status < 500)
    error: Any = caught.value.with_traceback(None)
    assert (error.status_code, error.response.status_code) == (status, status)
    assert isinstance(error.content, bytes)
    assert str(status) in str(error)
    assert f"{ROOT}/org/" in str(error)
    assert ("taken" in str(error)) == (status == 400)
    assert "b'" not in str(error)
    assert "very-secret" not in str(error) + str(error.response.request.headers)


def test_errors_made_by_hand() -> None:
    error: Any = exceptions.RestHttpBaseException("text", flavour=1)
    assert (error.args, error.flavour) == (("text",), 1)
    client: Any = HttpClientError("text", content=b"x", flavour=2)
    assert (client.args, client.content, client.flavour, client.response) == (("text",), b"x", 2, None)


@responses.activate
def test_delete(api: Api, caplog: pytest.LogCaptureFixture) -> None:
    responses.delete(f"{ROOT}/org/a/", status=204)
    responses.delete(f"{ROOT}/org/b/", json={"error": "not yours"}, status=403)
    assert api.org("a").delete() is True
    resource = api.org("b")
    with caplog.at_level(logging.WARNING):
        assert resource.delete() is False
    assert "403" in caplog.text
    error: Any = resource.last_error
    assert (error.status_code, error.message) == (403, "not yours")
    with pytest.raises(HttpClientError, match="403"):
        resource.delete(raise_errors=True)


@responses.activate
def test_uploads(api: Api, tmp_path: Path) -> None:
    responses.post(f"{ROOT}/event/upload/", json={"id": 3}, status=201)
    file = tmp_path / "wave.json"
    file.write_text("[1]")
    api.set_token("big-token")
    assert api.event.upload.upload_file(str(file), {"stream": "s--1"}, timestamp="t") == {"id": 3}
    sent: Any = responses.calls[0].request
    content = bytes(sent.body)
    assert b'name="file"; filename="wave.json"' in content
    assert b'name="stream"\r\n\r\ns--1' in content
    assert sent.headers["Content-Type"].startswith("multipart/form-data; boundary=")
    assert (header(), sent_query()) == ("jwt big-token", {"timestamp": "t"})
    assert api.event.upload.upload_fp(io.BytesIO(b"[2]")) == {"id": 3}


@responses.activate
def test_a_resource_alone() -> None:
    url = f"{ROOT}/test/"
    made = RestResource(
        session=requests.Session(), base_url=url, use_token=True, token="my-token", token_type="jwt"
    )
    assert made.url() == url
    assert made._get_headers() == {**DEFAULT_HEADERS, "Authorization": "jwt my-token"}
    responses.get(url, json=[1])
    assert made.get() == [1]
    assert header() == "jwt my-token"
    unsigned = RestResource(base_url=url, token="my-token")
    assert unsigned.get() == [1]
    assert header() is None
    with pytest.raises(RestBaseException, match="token"):
        RestResource(base_url=url, use_token=True).get()


@responses.activate
def test_a_timeout_to_connect_is_one(api: Api) -> None:
    responses.get(f"{ROOT}/org/", body=requests.exceptions.ConnectTimeout("slow"))
    with pytest.raises(requests.exceptions.ConnectTimeout) as caught:
        api.org.get()
    assert isinstance(caught.value, RestBaseException)
    assert isinstance(caught.value, TimeoutError)
    assert len(responses.calls) == 1


@responses.activate
def test_a_lost_connection_is_one(api: Api) -> None:
    responses.get(f"{ROOT}/org/", body=requests.exceptions.ConnectionError("gone"))
    with pytest.raises(requests.exceptions.ConnectionError) as caught:
        api.org.get()
    assert isinstance(caught.value, RestBaseException)


@responses.activate
def test_only_idempotent_verbs_are_repeated() -> None:
    api = Api(DOMAIN, retries=Retry(attempts=2, backoff=0.0))
    for method in ("GET", "POST", "PATCH"):
        responses.add(method, f"{ROOT}/org/", body=requests.exceptions.ConnectionError("gone"))
    for verb in (api.org.post, api.org.patch, api.org.get):
        with pytest.raises(requests.exceptions.ConnectionError):
            verb()
    assert sent_paths() == ["POST /api/v1/org/", "PATCH /api/v1/org/", *["GET /api/v1/org/"] * 3]


def test_retries_and_timeouts_are_independent() -> None:
    assert Api(DOMAIN, timeout=3)._client.retry.attempts == 0
    assert Api(DOMAIN, retries=2)._client.retry.attempts == 2
    assert Api(DOMAIN, retries=UrllibRetry(4))._client.retry.attempts == 4
    assert Api(DOMAIN, retries=2)._client.timeout == Api(DOMAIN)._client.timeout is not None
    with pytest.raises(exceptions.ImproperlyConfigured, match="retries"):
        Api(DOMAIN, retries="many")


def test_a_silent_server_is_asked_once() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        api = Api(f"http://127.0.0.1:{server.getsockname()[1]}", timeout=0.2)
        with pytest.raises(requests.exceptions.ReadTimeout):
            api.org.get()
        server.accept()[0].close()
        server.setblocking(False)
        with pytest.raises(BlockingIOError):
            server.accept()


def test_a_foreign_address_gets_no_token(api: Api) -> None:
    with pytest.raises(exceptions.RestForeignOriginError):
        api._client.send("https://elsewhere.test/api/v1/org/", "get")
