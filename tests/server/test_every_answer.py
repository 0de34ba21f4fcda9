"""What holds for whatever goes wrong: headers, words of the API that was asked, preflight requests."""

from __future__ import annotations

import threading

import psycopg
import pytest
import requests

from tests.conftest import MakeServer
from tests.support.api import Api, TestAccount, make_account
from tests.support.raw import active_queries, eventually
from tests.support.server import RunningServer

SQL = "api/v2/sql"


def check_head(answer: requests.Response, account: TestAccount | None) -> None:
    for name in ("Allow-Origin", "Allow-Headers", "Expose-Headers"):
        assert answer.headers[f"Access-Control-{name}"] == "*"
    assert answer.headers["X-Served-By-Host"]
    assert answer.headers["Carto-Client"] == "me"
    assert answer.headers["Content-Disposition"] == "inline"
    assert answer.headers["Content-Type"] == "application/json; charset=utf-8"
    assert answer.headers.get("Carto-User") == (account.name if account else None)


@pytest.mark.parametrize("path", [SQL, f"{SQL}/", f"{SQL}/copyto", f"{SQL}/copyfrom/"])
@pytest.mark.parametrize("user", ["nobody", ""])
def test_an_unknown_account_has_the_headers_of_the_sql_api(
    platform_server: RunningServer, path: str, user: str
) -> None:
    url = f"{platform_server.base_url}user/{user}/{path}"
    answer = requests.post(url, params={"client": "me", "q": "select 1"}, timeout=10)
    text = f"Sorry, we can't find CARTO user '{user}'. Please check that you have entered the correct domain."
    assert (answer.status_code, answer.json()) == (404, {"error": [text]})
    check_head(answer, None)
    called = requests.post(url, params={"callback": "f"}, timeout=10)
    assert (called.status_code, called.text.startswith("/**/ typeof f === 'function' && f({")) == (200, True)


@pytest.mark.parametrize("path", [SQL, f"{SQL}/copyto", f"{SQL}/copyfrom"])
def test_a_refused_key_has_the_headers_of_the_sql_api(api: Api, account: TestAccount, path: str) -> None:
    answer = api.with_key("nonsense").post(path, params={"client": "me"})
    assert (answer.status_code, answer.json()) == (401, {"error": ["Unauthorized"]})
    check_head(answer, account)


def test_a_large_body_is_refused_in_the_words_of_the_sql_api(make_server: MakeServer) -> None:
    server = make_server(body_max_bytes=100)
    account = make_account(server)
    api = Api(account.base_url, account.api_key)
    answer = api.post(SQL, params={"client": "me"}, data={"q": "x" * 200})
    assert answer.status_code == 413
    check_head(answer, None)


def test_a_name_that_ends_like_a_copy_has_no_larger_body(make_server: MakeServer) -> None:
    server = make_server(body_max_bytes=100)
    account = make_account(server)
    api = Api(account.base_url, account.api_key)
    for path in ("api/v1/viz/x/sql/copyfrom", "api/v1/tables/sql/copyfrom"):
        assert api.put(path, data=b"x" * 200).status_code == 413


def test_a_server_without_connections_answers_in_the_words_of_the_sql_api(
    make_server: MakeServer, admin: psycopg.Connection[object]
) -> None:
    server = make_server(connections=1, connection_wait=0.1)
    account = make_account(server)
    api = Api(account.base_url, account.api_key)
    other = Api(account.base_url, account.api_key)
    busy = threading.Thread(target=other.sql, args=("SELECT pg_sleep(3)",))
    busy.start()
    eventually(lambda: bool(active_queries(admin, account.role)), "the query runs")
    answer = api.get(SQL, params={"q": "select 1", "client": "me"}, headers={"X-Request-Id": "full"})
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")
    assert answer.json()["request_id"] == "full"
    check_head(answer, account)
    busy.join()
    assert api.sql("select 1").status_code == 200


def test_names_of_datasets_do_not_choose_the_words(platform_server: RunningServer) -> None:
    answer = requests.get(f"{platform_server.base_url}user/nobody/api/v1/viz/a/sql", timeout=10)
    assert (answer.status_code, list(answer.json())) == (404, ["errors"])


@pytest.mark.parametrize(
    "path", [SQL, f"{SQL}/", f"{SQL}/copyfrom", f"{SQL}/copyto/", f"{SQL}/job", f"{SQL}/job/x", "api/x/sql"]
)
@pytest.mark.parametrize("prefix", ["", "user/nobody/", "u/nobody/"])
def test_preflight_of_the_sql_api_asks_for_nobody(
    platform_server: RunningServer, prefix: str, path: str
) -> None:
    answer = requests.options(
        f"{platform_server.base_url}{prefix}{path}", params={"q": "bad sql", "api_key": "bad"}, timeout=10
    )
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert answer.headers["Access-Control-Allow-Headers"] == "*"
    assert answer.headers["Access-Control-Expose-Headers"] == "*"
    assert not {"X-Served-By-Host", "Carto-User", "Vary"} & set(answer.headers)


@pytest.mark.parametrize(
    "path", ["api/v1/viz", "api/v1/viz/x", "api/v1/imports", "api/v3/api_keys/", "api/v4/me", "api/v4/kuviz"]
)
def test_preflight_of_the_other_apis_is_granted(platform_server: RunningServer, path: str) -> None:
    answer = requests.options(f"{platform_server.base_url}user/nobody/{path}", timeout=10)
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert answer.headers["Access-Control-Allow-Methods"] == "*"
    assert answer.headers["Access-Control-Allow-Headers"] == "Authorization, Content-Type"


@pytest.mark.parametrize(
    "path",
    ["sql?q=select+1", "sql/?q=select+1", "sql/copyto/?q=COPY+(select+1)+TO+STDOUT"],
)
@pytest.mark.parametrize("prefix", ["user", "u"])
def test_both_prefixes_and_a_slash_at_the_end_are_the_same(
    platform_server: RunningServer, account: TestAccount, prefix: str, path: str
) -> None:
    answer = requests.get(
        f"{platform_server.base_url}{prefix}/{account.name}/api/whatever/{path}", timeout=10
    )
    assert answer.status_code == 200
    assert answer.headers["Carto-User"] == account.name


@pytest.mark.parametrize("kind", ["form", "json"])
@pytest.mark.parametrize("name", ["api_key", "map_key"])
def test_a_key_given_twice_in_the_body_is_refused(api: Api, kind: str, name: str) -> None:
    values = {"q": "select 1", name: [api.api_key, api.api_key]}
    body = {"data": values} if kind == "form" else {"json": values}
    answer = api.anonymous.post(SQL, **body)
    assert (answer.status_code, answer.json()) == (401, {"error": ["Unauthorized"]})
