from __future__ import annotations

import io
import logging
import traceback
from collections.abc import Iterator
from typing import Any, ClassVar

import pytest
import requests
import responses
from requests.adapters import HTTPAdapter
from urllib3.exceptions import ConnectTimeoutError, MaxRetryError, NewConnectionError

from carto_like.core import _pyrestcli
from carto_like.core.client import Client
from carto_like.core.credentials import Basic, HeaderToken, with_parameters
from carto_like.core.errors import (
    ApiError,
    AuthenticationError,
    ConfigurationError,
    ConflictError,
    ForeignOriginError,
    NotFoundError,
    RateLimitError,
    RedirectError,
    ResponseFormatError,
    SdkError,
    ServerError,
    TimeoutExpired,
    TlsError,
    TransportError,
)
from carto_like.core.retry import IDEMPOTENT, Retry
from tests.support.clock import FakeClock

BASE = "https://api.example.org/v1/"
SECRET = "s3cr3t-and-long"


class KeyClient(Client):
    """Signs with a query parameter and a header, which is as leaky as it gets."""

    def sign(self, method: str, arguments: dict[str, Any]) -> dict[str, Any]:
        params = with_parameters(arguments.get("params"), {"api_key": SECRET})
        return {**arguments, "params": params, "auth": HeaderToken(SECRET)}

    def secrets(self) -> tuple[str, ...]:
        return (SECRET,)


@pytest.fixture
def client() -> Iterator[Client]:
    with KeyClient(BASE) as made:
        made.clock = FakeClock()
        yield made


def slept(client: Client) -> list[float]:
    assert isinstance(client.clock, FakeClock)
    return client.clock.slept


# Addresses


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ("https://api.example.org", "https://api.example.org/"),
        ("HTTPS://API.example.org:8443/a?x=1#y", "https://api.example.org:8443/a/"),
        ("https://ann:pw@api.example.org/a/", "https://api.example.org/a/"),
        ("http://[::1]:80", "http://[::1]:80/"),
        ("http://localhost:0", "http://localhost:0/"),
        ("file://api.example.org", "file://api.example.org/"),
    ],
)
def test_base_url_is_normalised(given: str, wanted: str) -> None:
    assert Client(given).base_url == wanted


@pytest.mark.parametrize(
    "nonsense", ["", "api.example.org", "https://", "https://[::1", "https://h:port/", None]
)
def test_base_url_without_scheme_or_host_is_refused(nonsense: Any) -> None:
    with pytest.raises(ConfigurationError):
        Client(nonsense)


@pytest.mark.parametrize(
    "path", ["https://evil.example/x", "//evil.example/x", "http://api.example.org/x", "x:y"]
)
def test_nothing_is_sent_to_another_server(path: str, client: Client) -> None:
    with responses.RequestsMock() as mock, pytest.raises(ForeignOriginError) as caught:
        client.send(path, "get")
    assert len(mock.calls) == 0
    assert SECRET not in str(caught.value)


@responses.activate
@pytest.mark.parametrize(
    "path", ["things", "/v1/things", BASE + "things", "https://api.example.org:443/v1/things"]
)
def test_paths_and_addresses_of_the_own_server(path: str, client: Client) -> None:
    responses.get(BASE + "things", json={})
    responses.get("https://api.example.org:443/v1/things", json={})
    assert client.send(path, "get").status_code == 200


# Requests


@responses.activate
def test_arguments_of_the_caller_stay_as_they_were(client: Client) -> None:
    responses.post(BASE + "things", json={})
    params, headers, body = {"a": 1}, {"X": "y"}, {"name": "z"}
    client.send("things", "post", params=params, headers=headers, json=body)
    assert (params, headers, body) == ({"a": 1}, {"X": "y"}, {"name": "z"})
    sent = responses.calls[0].request
    assert sent.headers["X"] == "y"
    assert sent.headers["User-Agent"].startswith("carto-like/")
    assert sent.body == b'{"name": "z"}'
    assert client.session.headers.get("X") is None
    assert client.session.params == {}


class RecordingAdapter(HTTPAdapter):
    def __init__(self) -> None:
        super().__init__()
        self.sent: list[tuple[requests.PreparedRequest, dict[str, Any]]] = []

    def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:  # type: ignore[override]
        self.sent.append((request, options))
        response = requests.Response()
        response.status_code, response.url, response.request = 200, str(request.url), request
        response.raw = io.BytesIO(b"{}")
        return response


def test_timeouts_certificates_and_proxies_reach_the_adapter() -> None:
    session, adapter = requests.Session(), RecordingAdapter()
    session.mount("https://", adapter)
    proxies = {"https": "http://proxy.example:3128"}
    client = Client(BASE, session, verify="/ca.pem", proxies=proxies)
    client.send("x", "get")
    client.send("x", "get", timeout=3)
    client.send("x", "get", timeout=None)
    client.send("x", "get", verify=False)
    options = [options for _, options in adapter.sent]
    assert [option["timeout"] for option in options] == [(10.0, 330.0), 3, None, (10.0, 330.0)]
    assert [option["verify"] for option in options] == ["/ca.pem"] * 3 + [False]
    assert options[0]["proxies"]["https"] == "http://proxy.example:3128"


def test_verify_false_beats_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/somewhere.pem")
    session, adapter = requests.Session(), RecordingAdapter()
    session.mount("https://", adapter)
    Client(BASE, session, verify=False).send("x", "get")
    assert adapter.sent[0][1]["verify"] is False


def test_a_session_of_the_caller_serves_any_scheme_and_stays_open(monkeypatch: pytest.MonkeyPatch) -> None:
    session, adapter = requests.Session(), RecordingAdapter()
    session.mount("file", adapter)
    closed: list[bool] = []
    monkeypatch.setattr(session, "close", lambda: closed.append(True))
    with Client("file://api.example.org", session) as client:
        client.send("things", "post", data=iter([b"a", b"b"]))
    request, options = adapter.sent[0]
    assert (request.method, request.url) == ("POST", "file://api.example.org/things")
    # An adapter of the caller's sends bodies under the connect timeout.
    assert options["timeout"] == (330.0, 330.0)
    assert closed == []


@responses.activate
def test_a_netrc_file_signs_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine api.example.org login ann password pw\n")
    monkeypatch.setenv("NETRC", str(netrc))
    responses.get(BASE + "x", json={})
    Client(BASE).send("x", "get")
    assert "Authorization" not in responses.calls[0].request.headers


@responses.activate
def test_credentials_of_the_callers_session_are_respected() -> None:
    responses.get(BASE + "x", json={})
    session = requests.Session()
    session.auth = Basic("ann", "pä")
    Client(BASE, session).send("x", "get")
    assert responses.calls[0].request.headers["Authorization"] == "Basic YW5uOnDDpA=="


# Answers


@responses.activate
def test_contents(client: Client) -> None:
    responses.get(BASE + "json", json=[1])
    responses.get(BASE + "bytes", body=b"\x00")
    responses.get(BASE + "empty", body=b"")
    responses.delete(BASE + "gone", status=204)
    assert client.get_response_data(client.send("json", "get")) == [1]
    assert client.get_response_data(client.send("bytes", "get"), parse_json=False) == b"\x00"
    assert client.get_response_data(client.send("empty", "get")) is None
    assert client.get_response_data(client.send("gone", "delete")) is None


@responses.activate
def test_a_success_that_is_not_json(client: Client) -> None:
    responses.get(BASE + "x", body="<html>")
    with pytest.raises(ResponseFormatError) as caught:
        client.get_response_data(client.send("x", "get"))
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    ("status", "ours", "pyrestcli_class"),
    [
        (400, ApiError, _pyrestcli.BadRequestException),
        (401, AuthenticationError, _pyrestcli.UnauthorizedErrorException),
        (403, ApiError, _pyrestcli.ForbiddenErrorException),
        (404, NotFoundError, _pyrestcli.NotFoundException),
        (409, ConflictError, _pyrestcli.RestException),
        (418, ApiError, _pyrestcli.RestException),
        (422, ApiError, _pyrestcli.UnprocessableEntityError),
        (429, RateLimitError, _pyrestcli.RateLimitException),
        (500, ServerError, _pyrestcli.ServerErrorException),
        (507, ServerError, _pyrestcli.ServerErrorException),
    ],
)
@responses.activate
def test_every_status_has_its_class_and_keeps_what_the_server_said(
    status: int, ours: type[ApiError], pyrestcli_class: type[Exception], client: Client
) -> None:
    body = {"error": ["no"], "detail": "d", "hint": "h", "context": "c"}
    responses.get(BASE + "x", json=body, status=status, headers={"X-Request-Id": "r1", "Retry-After": "7"})
    response = client.send("x", "get", retry=False)
    assert response.status_code == status
    with pytest.raises(ours) as caught:
        client.get_response_data(response)
    error = caught.value
    assert isinstance(error, pyrestcli_class)
    assert isinstance(error, SdkError)
    assert str(error) == "['no']"
    assert error.args == (["no"],)
    assert (error.status_code, error.detail, error.hint, error.context) == (status, "d", "h", "c")
    assert (error.request_id, error.retry_after, error.reason is not None) == ("r1", 7.0, True)
    assert error.url == BASE + "x?api_key=***"


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"<html>Bad gateway</html>", "<html>Bad gateway</html>"),
        (b'["one","two"]', "['one', 'two']"),
        (b'{"errors":"Validation failed"}', "Validation failed"),
        (b'{"unknown":1}', '{"unknown":1}'),
        (b'"text"', "text"),
        (b"null", "null"),
        (b"", "Bad Gateway"),
        (b"\xff\xfe", "\u00ff"),
    ],
)
@responses.activate
def test_error_bodies_of_every_kind(body: bytes, said: str, client: Client) -> None:
    responses.get(BASE + "x", body=body, status=502)
    with pytest.raises(ServerError) as caught:
        client.get_response_data(client.send("x", "get", retry=False))
    assert said in str(caught.value)


@responses.activate
def test_a_platform_has_classes_of_its_own() -> None:
    class OwnError(SdkError):
        pass

    class OwnForeign(OwnError, ForeignOriginError):
        pass

    class OwnNotFound(OwnError, NotFoundError):
        pass

    class OwnClient(Client):
        error_types: ClassVar = {404: OwnNotFound}
        twins: ClassVar = {ForeignOriginError: OwnForeign}

    client = OwnClient(BASE)
    responses.get(BASE + "x", json={"error": "gone"}, status=404)
    with pytest.raises(OwnNotFound, match="gone"):
        client.get_response_data(client.send("x", "get"))
    with pytest.raises(OwnForeign):
        client.send("https://evil.example/", "get")


# Repeating


@responses.activate
def test_a_passing_failure_is_repeated_with_growing_waits(client: Client) -> None:
    for status in (503, 502, 504):
        responses.get(BASE + "x", status=status)
    responses.get(BASE + "x", json={"ok": True})
    assert client.get_response_data(client.send("x", "get")) == {"ok": True}
    assert slept(client) == [0.5, 1.0, 2.0]


@responses.activate
def test_repeating_ends(client: Client) -> None:
    responses.get(BASE + "x", status=503)
    assert client.send("x", "get", retry=2).status_code == 503
    assert len(responses.calls) == 3


@pytest.mark.parametrize("switched_off", [False, None, 0])
@responses.activate
def test_repeating_can_be_switched_off(switched_off: Any, client: Client) -> None:
    responses.get(BASE + "x", status=503)
    client.send("x", "get", retry=switched_off)
    assert len(responses.calls) == 1


@responses.activate
def test_a_write_is_not_repeated_unless_asked(client: Client) -> None:
    responses.post(BASE + "x", status=503)
    client.send("x", "post", json={})
    assert len(responses.calls) == 1
    client.send("x", "post", json={}, retry=Retry(attempts=1, methods=IDEMPOTENT | {"POST"}))
    assert len(responses.calls) == 3


@responses.activate
def test_a_rate_limit_is_waited_for_as_long_as_the_server_says(client: Client) -> None:
    responses.post(BASE + "x", status=429, headers={"Retry-After": "7"})
    responses.post(BASE + "x", json={})
    assert client.send("x", "post", json={"a": 1}).status_code == 200
    assert slept(client) == [7.0]
    assert responses.calls[1].request.body == b'{"a": 1}'


@pytest.mark.parametrize("headers", [{}, {"Retry-After": "soon"}, {"Retry-After": "3600"}])
@responses.activate
def test_a_429_without_a_bearable_delay_is_not_repeated(headers: dict[str, str], client: Client) -> None:
    responses.get(BASE + "x", status=429, headers=headers)
    assert client.send("x", "get").status_code == 429
    assert len(responses.calls) == 1


@responses.activate
def test_a_lost_connection_is_repeated_for_reading_only(client: Client) -> None:
    lost = requests.ConnectionError("Connection aborted.")
    for method in (responses.GET, responses.POST):
        responses.add(method, BASE + "x", body=lost)
        responses.add(method, BASE + "x", json={})
    assert client.send("x", "get").status_code == 200
    with pytest.raises(TransportError):
        client.send("x", "post", json={})


def refused() -> requests.ConnectionError:
    reason = NewConnectionError(None, "refused")  # type: ignore[arg-type]
    return requests.ConnectionError(MaxRetryError(None, f"/v1/x?api_key={SECRET}", reason))  # type: ignore[arg-type]


@responses.activate
def test_what_was_never_sent_may_be_sent_again(client: Client) -> None:
    responses.post(BASE + "x", body=refused())
    responses.post(BASE + "x", body=requests.ConnectTimeout(ConnectTimeoutError("slow")))
    responses.post(BASE + "x", json={})
    assert client.send("x", "post", json={}).status_code == 200


@responses.activate
def test_silence_and_bad_certificates_are_not_repeated(client: Client) -> None:
    for error, ours in (
        (requests.ReadTimeout("slow"), TimeoutExpired),
        (requests.exceptions.SSLError("bad"), TlsError),
    ):
        responses.reset()
        responses.get(BASE + "x", body=error)
        with pytest.raises(ours):
            client.send("x", "get")
        assert len(responses.calls) == 1


def reading(request: requests.PreparedRequest) -> tuple[int, dict[str, str], str]:
    bodies.append(b"".join(request.body or ()))  # type: ignore[arg-type]
    return (429, {"Retry-After": "1"}, "") if len(bodies) == 1 else (200, {}, "{}")


bodies: list[bytes] = []


@pytest.mark.parametrize(
    ("data", "sent"),
    [
        (io.BytesIO(b"content"), 2),
        (iter([b"con", b"tent"]), 1),
        ((piece for piece in (b"con", b"tent")), 1),
    ],
)
@responses.activate
def test_only_a_body_that_can_be_replayed_is_sent_twice(data: Any, sent: int, client: Client) -> None:
    bodies.clear()
    responses.add_callback(responses.POST, BASE + "x", reading)
    response = client.send("x", "post", data=data)
    assert bodies == [b"content"] * sent
    assert response.status_code == (200 if sent == 2 else 429)


# Redirects


@pytest.mark.parametrize("status", [301, 302])
@pytest.mark.parametrize("own_session", [True, False])
@responses.activate
def test_a_redirected_write_is_refused(status: int, own_session: bool) -> None:
    responses.post(BASE + "x", status=status, headers={"Location": BASE + f"y?api_key={SECRET}"})
    client = KeyClient(BASE, requests.Session() if own_session else None)
    with pytest.raises(RedirectError) as caught:
        client.send("x", "post", json={})
    assert len(responses.calls) == 1
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("own_session", [True, False])
@responses.activate
def test_credentials_stay_when_a_redirect_leads_elsewhere(own_session: bool) -> None:
    responses.get(BASE + "x", status=302, headers={"Location": "https://files.example/y"})
    responses.get("https://files.example/y", json={"file": 1})
    client = KeyClient(BASE, requests.Session() if own_session else None)
    response = client.send("x", "get", headers={"X-Api-Key": SECRET, "Cookie": "sid=1", "Accept": "a/b"})
    assert response.json() == {"file": 1}
    assert [step.status_code for step in response.history] == [302]
    away = responses.calls[1].request
    assert SECRET not in str(away.url) + str(away.headers)
    assert "Cookie" not in away.headers
    assert away.headers["Accept"] == "a/b"


@responses.activate
def test_credentials_go_along_on_the_same_server(client: Client) -> None:
    responses.get(BASE + "x", status=302, headers={"Location": "/v1/y"})
    responses.get(BASE + "y", json={})
    client.send("x", "get")
    assert responses.calls[1].request.headers["Authorization"] == f"Bearer {SECRET}"


@responses.activate
def test_a_redirect_that_keeps_the_method_needs_a_body_that_can_be_replayed(client: Client) -> None:
    responses.post(BASE + "x", status=307, headers={"Location": "/v1/y"})
    responses.post(BASE + "y", json={})
    assert client.send("x", "post", data=b"abc").status_code == 200
    assert responses.calls[1].request.body == b"abc"
    assert client.send("x", "post", data=io.BytesIO(b"abc")).status_code == 200
    with pytest.raises(RedirectError, match="second time"):
        client.send("x", "post", data=iter([b"abc"]))


@responses.activate
def test_data_do_not_follow_a_redirect_to_another_server(client: Client) -> None:
    responses.post(BASE + "x", status=308, headers={"Location": "https://files.example/y"})
    with pytest.raises(ForeignOriginError):
        client.send("x", "post", data=b"abc")


@responses.activate
def test_redirects_that_never_end(client: Client) -> None:
    responses.get(BASE + "x", status=302, headers={"Location": "/v1/x"})
    with pytest.raises(RedirectError, match="more than 10"):
        client.send("x", "get")


@responses.activate
def test_redirects_can_be_left_to_the_caller(client: Client) -> None:
    responses.get(BASE + "x", status=302, headers={"Location": "https://files.example/y"})
    assert client.send("x", "get", allow_redirects=False).status_code == 302


# Secrets


@responses.activate
def test_no_secret_in_an_error_or_anything_that_hangs_on_it(client: Client) -> None:
    responses.get(BASE + "x", body=refused())
    with pytest.raises(TransportError) as caught:
        client.send("x", "get", retry=False)
    error = caught.value
    shown = "".join(traceback.format_exception(error)) + repr(error) + repr(error.__cause__)
    assert "refused" in shown
    assert SECRET not in shown
    assert error.__context__ is None or error.__context__ is error.__cause__
    if error.request is not None:
        assert SECRET not in f"{error.request.url} {error.request.headers}"


@responses.activate
def test_one_log_line_per_request_without_the_secret(
    client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    responses.get(BASE + "x", status=503)
    responses.get(BASE + "x", json={})
    with caplog.at_level(logging.DEBUG):
        client.send("x", "get", params={"q": "1"})
    lines = [record.getMessage() for record in caplog.records if record.name == "carto_like.http"]
    requests_made = [line for line in lines if line.startswith(f"GET {BASE}x?")]
    assert [line.split()[2] for line in requests_made] == ["503", "200"]
    assert "api_key=***&q=1" in requests_made[0]
    assert SECRET not in caplog.text


def test_representations_hide_secrets() -> None:
    assert SECRET not in repr(HeaderToken(SECRET)) + repr(Basic("ann", SECRET)) + repr(KeyClient(BASE))
