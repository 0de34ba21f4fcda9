"""Habits of scripts written for ``carto``, seen in its examples and tests and in CARTOframes."""

from __future__ import annotations

import io
import pickle
import re
import warnings
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
import requests
import responses
from requests.adapters import BaseAdapter

from carto_like.auth import (
    APIKeyAuthClient,
    AuthAPIClient,
    NoAuthClient,
    NonVerifiedAPIKeyAuthClient,
    _ClientIdentifier,
)
from carto_like.core._pyrestcli import NotFoundException, RestException, UnprocessableEntityError
from carto_like.datasets import Dataset, DatasetManager
from carto_like.exceptions import CartoException, CartoRateLimitException
from carto_like.resources import Resource
from carto_like.sql import CopySQLClient, SQLClient
from carto_like.users import UserManager
from tests.unit.sent import sent_query

ROOT = "https://ana.carto.com/"
SQL = ROOT + "api/v2/sql"
VIZ = ROOT + "api/v1/viz/"
RATE_LIMITED = {
    "Retry-After": "5",
    "Carto-Rate-Limit-Limit": "10",
    "Carto-Rate-Limit-Remaining": "0",
    "Carto-Rate-Limit-Reset": "3",
}


@pytest.fixture
def client() -> APIKeyAuthClient:
    return APIKeyAuthClient(ROOT, "secret-key")


# Clients


@pytest.mark.parametrize("status", [200, 301, 400, 401, 403, 404, 422, 500])
@responses.activate
def test_send_returns_the_response_whatever_its_status(client: APIKeyAuthClient, status: int) -> None:
    responses.get(ROOT + "api/v3/me", status=status, json={"a": 1})
    response = client.send("api/v3/me", "get")
    assert isinstance(response, requests.Response)
    assert (response.status_code, response.json()) == (status, {"a": 1})


@responses.activate
def test_only_a_rate_limit_raises(client: APIKeyAuthClient) -> None:
    responses.get(ROOT + "x", status=429, headers=RATE_LIMITED, body="too many")
    responses.get(ROOT + "y", status=429, body="too slow")
    with pytest.raises(CartoRateLimitException) as caught:
        client.send("x", "get")
    error = caught.value
    assert (error.limit, error.remaining, error.retry_after, error.reset) == (10, 0, 5, 3)
    assert (error.args, str(error)) == (("too many",), "too many")
    assert client.send("y", "get").status_code == 429


@responses.activate
def test_a_rate_limit_travels_between_processes(client: APIKeyAuthClient) -> None:
    responses.get(ROOT + "x", status=429, headers=RATE_LIMITED, body="too many")
    with pytest.raises(CartoRateLimitException) as caught:
        client.send("x", "get")
    copy = pickle.loads(pickle.dumps(caught.value))
    assert type(copy) is CartoRateLimitException
    assert (copy.limit, copy.remaining, copy.retry_after, copy.reset) == (10, 0, 5, 3)
    assert str(copy) == "too many"


@pytest.mark.parametrize(
    ("headers", "limited"),
    [({}, False), ({"Retry-After": "0"}, True), ({"Retry-After": "7"}, True), ({"Retry-After": "-1"}, False)],
)
def test_which_429_is_a_rate_limit(headers: dict[str, str], limited: bool) -> None:
    response = requests.Response()
    response.status_code = 429
    response.headers.update(headers)
    assert CartoRateLimitException.is_rate_limited(response) is limited
    if limited:
        assert CartoRateLimitException(response).limit is None


@responses.activate
def test_a_leading_slash_is_the_root_of_the_host() -> None:
    client = APIKeyAuthClient("https://carto.example/user/ana/", "secret-key")
    responses.get("https://carto.example/api/v3/me", json={})
    responses.get("https://carto.example/user/ana/api/v3/me", json={})
    assert client.send("/api/v3/me", "get").ok
    assert client.send("api/v3/me", "get").ok
    urls = [str(call.request.url).split("?")[0] for call in responses.calls]
    assert urls == ["https://carto.example/api/v3/me", "https://carto.example/user/ana/api/v3/me"]


@pytest.mark.parametrize(
    "url", ["https://wrongurl", "https://localhost:8080", "", "user.carto.com", None, "https://carto.com"]
)
def test_a_base_url_without_a_user_is_refused(url: Any) -> None:
    with pytest.raises(CartoException):
        APIKeyAuthClient(url, "key")


@pytest.mark.parametrize("kind", [APIKeyAuthClient, AuthAPIClient])
@pytest.mark.parametrize(
    ("url", "user"),
    [
        ("https://user1.carto.com", "user1"),
        ("https://user1.carto.com/a/b/c", "user1"),
        ("https://www.user2.carto.com", "user2"),
        ("https://carto.com/user/user1/a/b/c", "user1"),
        ("https://www.carto.com/user/user2", "user2"),
        ("https://org.carto.com/user/bob/", "bob"),
        ("https://mycarto.example/user/jane/api", "jane"),
        ("https://user.carto.com:8443/", "user"),
        ("https://org.carto.com/u/bob", "bob"),
        ("https://user:pw@host.com/", "host"),
        ("https://carto.com/user/b%20b/", "b b"),
        ("HTTPS://USER1.carto.com", "USER1"),
    ],
)
def test_the_user_is_read_from_the_base_url(kind: Any, url: str, user: str) -> None:
    client = kind(url, "key")
    assert client.username is not None
    assert client.username.lower() == user.lower()
    assert client.base_url.endswith("/")


def test_an_unencrypted_base_url_warns_and_works() -> None:
    with pytest.warns(UserWarning, match="unencrypted"):
        client = APIKeyAuthClient("http://www.user3.carto.com/a/b/c", "key")
    assert client.username == "user3"


class Recorder(BaseAdapter):
    """Answers every request with 200 and remembers the last one."""

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        self.request = request
        response = requests.Response()
        response.status_code = 200
        response.raw = io.BytesIO()
        response.url = str(request.url)
        return response

    def close(self) -> None:
        """Nothing is open."""


def test_a_session_of_the_callers_is_used_adapters_and_all() -> None:
    session, recorder = requests.Session(), Recorder()
    session.mount("file://", recorder)
    with pytest.warns(UserWarning, match="unencrypted"):
        client = APIKeyAuthClient("file://test.carto.com", "key", None, session, None, "mine/1.2")
    assert client.session is session
    client.send("headers", "post")
    assert recorder.request.method == "POST"
    assert str(recorder.request.url).startswith("file://test.carto.com/headers")
    assert recorder.request.headers["User-Agent"] == "mine/1.2"
    assert session.auth is None
    assert not session.params


def test_how_the_client_introduces_itself(client: APIKeyAuthClient) -> None:
    assert re.match(r"carto-python-sdk/\d+\.\d+\.\d+", _ClientIdentifier().get_user_agent())
    assert re.match(r"test/\d+\.\d+\.\d+", _ClientIdentifier().get_user_agent("test"))
    method, arguments = client.prepare_send("POST")
    assert method == "post"
    assert arguments["params"]["client"] == client.get_client_identifier() == client.client_id
    assert client.client_id.startswith("cps-")
    own = APIKeyAuthClient(
        base_url=ROOT, api_key="k", session=requests.Session(), client_id="x", user_agent="y/1"
    )
    assert (own.client_id, own.user_agent) == ("x", "y/1")


@responses.activate
def test_arguments_of_the_caller_are_left_alone(client: APIKeyAuthClient) -> None:
    responses.post(ROOT + "x", json={})
    params, headers, body = {"a": 1}, {"X-Mine": "1"}, {"b": 2}
    client.send("x", "post", params=params, headers=headers, json=body)
    assert (params, headers, body) == ({"a": 1}, {"X-Mine": "1"}, {"b": 2})


def test_nobody_has_no_key() -> None:
    client = NoAuthClient(ROOT)
    assert not hasattr(client, "api_key")
    assert SQLClient(client).api_key is None


def test_an_unverified_client_takes_the_same_arguments() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        client = NonVerifiedAPIKeyAuthClient(ROOT, "key", "org", requests.Session())
    assert (client.api_key, client.organization) == ("key", "org")


# Errors


@responses.activate
def test_either_family_of_exceptions_catches_a_404(client: APIKeyAuthClient) -> None:
    responses.get(VIZ + "gone", status=404, json={"errors": ["Visualization does not exist"]})
    for kind in (CartoException, NotFoundException, RestException):
        with pytest.raises(kind):
            DatasetManager(client).get("gone")


@responses.activate
def test_what_a_wrapped_error_says(client: APIKeyAuthClient) -> None:
    responses.post(SQL, status=404, json={"error": ["relation missing"], "hint": "try harder"})
    with pytest.raises(CartoException) as caught:
        SQLClient(client).send("select 1")
    error = caught.value
    assert type(error.args[0]) == NotFoundException  # noqa: E721
    assert type(error.args[0]).__name__ == "NotFoundException"
    assert str(error) == str(error.args[0]) == "['relation missing']"
    assert (error.status_code, error.hint) == (404, "try harder")


@pytest.mark.parametrize(
    "text",
    [
        "Validation failed: Name has already been taken",
        "Visualization over the size limit (10MB)",
        "Public map quota exceeded",
    ],
)
@responses.activate
def test_a_text_of_the_servers_is_the_text_of_the_exception(client: APIKeyAuthClient, text: str) -> None:
    responses.post(ROOT + "stones/", status=400, json={"error": text})
    with pytest.raises(CartoException) as caught:
        Resource(client).send("stones/", "post")
    assert str(caught.value) == text


@responses.activate
def test_a_list_of_texts_is_searched(client: APIKeyAuthClient) -> None:
    responses.post(SQL, status=400, json={"error": ['relation "nothing" does not exist']})
    with pytest.raises(CartoException) as caught:
        SQLClient(client).send("select * from nothing")
    assert 'relation "nothing" does not exist' in str(caught.value)


@responses.activate
def test_a_refused_validation(client: APIKeyAuthClient) -> None:
    responses.put(VIZ + "d", status=422, json={"errors": ["no"]})
    dataset = Dataset(client, id="d", name="n")
    for kind in (UnprocessableEntityError, CartoException):
        with pytest.raises(kind):
            dataset.save()


@responses.activate
def test_a_lost_connection(client: APIKeyAuthClient) -> None:
    responses.get(ROOT + "x", body=requests.ConnectionError("gone"))
    with pytest.raises(CartoException) as caught:
        client.send("x", "get", retry=False)
    assert isinstance(caught.value.args[0], requests.ConnectionError)
    assert "secret-key" not in str(caught.value)


@responses.activate
def test_waiting_as_long_as_a_rate_limit_says(client: APIKeyAuthClient) -> None:
    responses.post(SQL + "/copyfrom", status=429, headers=RATE_LIMITED, json={"error": ["slow down"]})
    with pytest.raises(CartoRateLimitException) as caught:
        CopySQLClient(client).copyfrom("COPY t FROM stdin", iter([b"1\n"]))
    assert caught.value.retry_after == 5


# SQL and COPY


@responses.activate
def test_sql_takes_its_arguments_by_position(client: APIKeyAuthClient) -> None:
    responses.post(SQL, body=b"a\n1\n")
    responses.get(SQL, json={"rows": [{"a": 1}], "total_rows": 1, "time": 0.1})
    sql = SQLClient(client, "v2")
    assert sql.send("select 1 as a", False, True, "csv", skipfields="the_geom") == b"a\n1\n"
    body = responses.calls[0].request.body
    assert parse_qs(body.decode() if isinstance(body, bytes) else str(body)) == {
        "q": ["select 1 as a"], "format": ["csv"], "skipfields": ["the_geom"],
    }  # fmt: skip
    assert sql.send("select 1 as a", do_post=False)["rows"] == [{"a": 1}]
    assert sent_query()["q"] == "select 1 as a"


@responses.activate
def test_anything_true_parses_json(client: APIKeyAuthClient) -> None:
    responses.post(SQL, json={"rows": []})
    assert SQLClient(client).send("select 1", {"any": "thing"}) == {"rows": []}


@responses.activate
def test_copy_takes_its_arguments_by_position(client: APIKeyAuthClient, tmp_path: Path) -> None:
    responses.post(SQL + "/copyfrom", json={"total_rows": 1, "time": 0.1})
    responses.get(SQL + "/copyto", body=b"1,a\n")
    copy = CopySQLClient(client, "v2")
    source = tmp_path / "Rows.csv"
    source.write_bytes(b"1,a\n")
    query = "COPY t FROM stdin WITH (FORMAT csv)"
    assert copy.copyfrom(query, iter([b"1,a\n"]), False, 1)["total_rows"] == 1
    assert copy.copyfrom_file_object(query, io.BytesIO(b"1,a\n"), True, 1)["total_rows"] == 1
    assert copy.copyfrom_file_path(query, str(source), True, 1)["total_rows"] == 1
    out = tmp_path / "out.csv"
    copy.copyto_file_path("COPY t TO stdout", str(out), False)
    copy.copyto_file_path("COPY t TO stdout", str(out), True)
    assert out.read_bytes() == b"1,a\n" * 2
    target = io.BytesIO()
    assert copy.copyto_file_object("COPY t TO stdout", target) is None  # type: ignore[func-returns-value]
    assert target.getvalue() == b"1,a\n"
    assert copy.copyto_stream("COPY t TO stdout").read() == b"1,a\n"
    assert b"".join(copy.copyto("COPY t TO stdout").iter_content(10)) == b"1,a\n"


@responses.activate
def test_the_answer_of_a_copy_feeds_another(client: APIKeyAuthClient) -> None:
    responses.get(SQL + "/copyto", body=b"1\n2\n")
    responses.post(SQL + "/copyfrom", json={"total_rows": 2})
    copy = CopySQLClient(client)
    answer = copy.copyto("COPY a TO stdout")
    assert copy.copyfrom("COPY b FROM stdin", answer)["total_rows"] == 2


# Resources


@responses.activate
def test_lists_are_lists_and_nothing_is_an_empty_resource(client: APIKeyAuthClient) -> None:
    responses.get(VIZ, json={"visualizations": [{"id": "d", "synchronization": None}], "total_entries": 1})
    manager = DatasetManager(client)
    for found in (manager.all(), manager.filter(show_table="false", load_totals="false")):
        assert isinstance(found, list)
        assert found[0].synchronization is not None
        assert found[0].synchronization.get_id() is None
        assert not found[0].synchronization


@responses.activate
def test_verbs_of_a_resource_return_the_response(client: APIKeyAuthClient) -> None:
    responses.put(VIZ + "d", json={"id": "d"})
    responses.get(VIZ + "d", json={"id": "d"})
    dataset = Dataset(client, id="d")
    refreshed = dataset.refresh()
    assert refreshed is not None
    assert [dataset.save().status_code, refreshed.status_code] == [200, 200]


def test_resources_list_their_fields() -> None:
    assert isinstance(Dataset.fields, list)
    assert {"id", "name", "privacy", "table"} <= set(Dataset.fields)


@responses.activate
def test_the_table_count_of_an_account(client: APIKeyAuthClient) -> None:
    responses.get(ROOT + "api/v1/users/ana", json={"username": "ana", "table_count": 2})
    assert UserManager(client).get("ana").table_count == 2


def test_future_warnings_can_be_silenced(client: APIKeyAuthClient) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        warnings.filterwarnings("ignore", category=FutureWarning)
        Dataset(client)
    assert caught == []
    with pytest.warns(FutureWarning, match="Dataset"):
        Dataset(client)
