"""What holds for every request, whichever family of routes answers it."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import requests
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from carto_like.server.app import split_user
from carto_like.server.bootstrap import bootstrap
from carto_like.server.migrations import migrate
from carto_like.server.postgres import PrivatePostgres
from carto_like.server.secrets import Secrets
from carto_like.server.settings import Settings
from tests.conftest import MakeServer
from tests.support.api import Api, TestAccount, make_account
from tests.support.server import SECRET, RunningServer
from tests.support.serving import wait_for


def test_health_and_version_need_no_account(platform_server: RunningServer) -> None:
    for path in ("health", "api/v2/health", "user/nobody/api/v2/health/"):
        answer = requests.get(platform_server.base_url + path, timeout=10)
        assert answer.status_code == 200
        assert answer.json() == {"enabled": True, "ok": True, "elapsed": answer.json()["elapsed"]}
    answer = requests.get(f"{platform_server.base_url}api/whatever/version", timeout=10)
    assert answer.json() == {"cartodb_sql_api": "6.0.0"}


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/api/v2/sql", (None, "/api/v2/sql")),
        ("/api/v2/sql/job/", (None, "/api/v2/sql/job")),
        ("/user/ana/api/v2/sql", ("ana", "/api/v2/sql")),
        ("/u/ana/api/v2/sql/", ("ana", "/api/v2/sql")),
        ("/user/ana", ("ana", "/")),
        ("/user//api", ("", "/api")),
        ("/users/ana/api", (None, "/users/ana/api")),
        ("/", (None, "/")),
    ],
)
def test_users_in_paths(path: str, expected: tuple[str | None, str]) -> None:
    assert split_user(path) == expected


@pytest.mark.parametrize("prefix", ["user/nobody/", "u/nobody/", "user/NOBODY/", "user/..%2f/", ""])
def test_an_unknown_account_is_named(make_server: MakeServer, prefix: str) -> None:
    server = make_server(settings={"default_user": "nobody"})
    answer = requests.get(f"{server.base_url}{prefix}api/v2/sql?q=select+1", timeout=10)
    if "%2f" in prefix:
        assert answer.status_code == 404
        return
    name = "NOBODY" if "NOBODY" in prefix else "nobody"
    text = f"Sorry, we can't find CARTO user '{name}'. Please check that you have entered the correct domain."
    assert (answer.status_code, answer.json()) == (404, {"error": [text]})
    assert answer.headers["access-control-allow-origin"] == "*"
    other = requests.get(f"{server.base_url}{prefix}api/v1/viz", timeout=10)
    assert (other.status_code, other.json()) == (404, {"errors": text})


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "api/v2/nothing"),
        ("GET", "api/v2/sql.csv"),
        ("GET", "api/v2/sql/copyfrom"),
        ("PUT", "api/v1/tables"),
        ("POST", "health"),
        ("GET", "<b>nothing</b>"),
    ],
)
def test_unknown_paths_and_methods_answer_a_page(api: Api, method: str, path: str) -> None:
    answer = api.request(method, path)
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    shown = path.replace("<", "&lt;").replace(">", "&gt;")
    assert f"Cannot {method} /user/{api.base_url.split('/')[-2]}/{shown}<" in answer.text
    assert api.api_key is not None
    assert api.api_key not in answer.text


def test_requests_have_an_id(api: Api) -> None:
    given = api.get("api/v2/version", headers={"X-Request-Id": "from-the-proxy.1"})
    assert given.headers["x-request-id"] == "from-the-proxy.1"
    for refused in ("", "with space", "<script>", "x" * 129):
        answer = api.get("api/v2/version", headers={"X-Request-Id": refused})
        assert str(UUID(answer.headers["x-request-id"])) == answer.headers["x-request-id"]


def lines(caplog: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    name = "carto_like.server.request"
    return [json.loads(record.getMessage()) for record in caplog.records if record.name == name]


def test_a_request_is_one_line_of_json_without_secrets(
    api: Api, account: TestAccount, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "carto_like.server.request")
    answer = api.get(
        "api/v2/sql",
        params={"q": "SELECT 'hidden-literal' FROM generate_series(1, 3)"},
        headers={"X-Request-Id": "one"},
    )
    # The line is written when the answer has been sent, which may be after it was read here.
    wait_for(lambda: any(line["id"] == "one" for line in lines(caplog)), "the request was not logged")
    (line,) = [line for line in lines(caplog) if line["id"] == "one"]
    assert line == {
        "id": "one",
        "user": account.name,
        "method": "GET",
        "path": f"/user/{account.name}/api/v2/sql",
        "status": 200,
        "ms": line["ms"],
        "rows": 3,
        "bytes": len(answer.content),
    }
    assert 0 < line["ms"] < 60_000
    assert account.api_key not in caplog.text
    assert "hidden-literal" not in caplog.text


def test_metrics_count_requests(make_server: MakeServer) -> None:
    server = make_server()
    account = make_account(server)
    api = Api(account.base_url, account.api_key)
    for _ in range(3):
        api.sql("SELECT 1 AS one")
    api.get("no/such/path")
    text = requests.get(f"{server.base_url}metrics", timeout=10).text
    assert 'carto_like_requests_total{endpoint="/api/{version}/sql",method="POST",status="200"} 3.0' in text
    assert 'carto_like_requests_total{endpoint="unknown",method="GET",status="404"} 1.0' in text
    assert 'carto_like_request_seconds_count{endpoint="/api/{version}/sql"} 3.0' in text
    assert "carto_like_database_connections 1.0" in text
    assert account.name not in text


def test_a_streamed_body_past_the_limit_is_refused(make_server: MakeServer) -> None:
    server = make_server(body_max_bytes=10_000)
    account = make_account(server)
    api = Api(account.base_url, account.api_key)

    def body() -> Iterator[bytes]:
        yield b"q=SELECT+1+AS+one"
        for _ in range(100):
            yield b"+" * 1000

    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    for data in (body(), b"".join(body())):
        answer = api.post("api/v2/sql", data=data, headers=headers)
        assert answer.status_code == 413
        assert answer.json()["error"] == [
            "The request's body is larger than the 10000 bytes that are allowed."
        ]
    api.sql("CREATE TABLE t (a text)")
    copied = api.post("api/v2/sql/copyfrom", params={"q": "COPY t FROM STDIN"}, data=b"x" * 50_000 + b"\n")
    assert copied.json()["total_rows"] == 1


def test_an_unexpected_error_tells_the_log_and_not_the_client(
    make_server: MakeServer, caplog: pytest.LogCaptureFixture
) -> None:
    server = make_server()

    async def fail(_: Request) -> Response:
        raise RuntimeError("internal-detail")

    server.app._open_routes.add(Route("/api/{version}/fail", fail))
    answer = requests.get(f"{server.base_url}api/v2/fail", headers={"X-Request-Id": "bad-day"}, timeout=10)
    assert answer.status_code == 500
    assert answer.json() == {"errors": "Unexpected error", "request_id": "bad-day"}
    assert answer.headers["x-request-id"] == "bad-day"
    record = next(record for record in caplog.records if record.levelno == logging.ERROR)
    assert "bad-day" in record.getMessage()
    assert record.exc_info is not None
    assert "internal-detail" in str(record.exc_info[1])
    assert requests.get(f"{server.base_url}health", timeout=10).status_code == 200


def test_a_database_that_goes_and_comes_back(short_dir: Path) -> None:
    with PrivatePostgres(short_dir / "coming-and-going") as postgres:
        dsn = bootstrap(postgres)
        asyncio.run(migrate(dsn, Secrets(SECRET)))
        server = RunningServer(Settings(dsn=dsn, secret=SECRET))
        account = make_account(server)
        api = Api(account.base_url, account.api_key)
        health = f"{server.base_url}health"
        try:
            assert api.sql("SELECT 1 AS one").status_code == 200
            postgres.restart()
            assert api.sql("SELECT 1 AS one").status_code == 200
            assert requests.get(health, timeout=10).status_code == 200
            postgres.halt()
            answer = api.sql("SELECT 1 AS one")
            assert (answer.status_code, answer.json()["error"]) == (500, ["cannot connect to the database"])
            answer = requests.get(health, timeout=10)
            assert (answer.status_code, answer.json()["ok"]) == (503, False)
            assert answer.json()["err"] == "cannot connect to the database"
            postgres.restart()
            assert api.sql("SELECT 1 AS one").status_code == 200
            assert requests.get(health, timeout=10).json()["ok"] is True
        finally:
            server.stop()


def test_a_client_that_sends_nothing_or_leaves_harms_nobody(platform_server: RunningServer) -> None:
    host, port = platform_server.base_url.split("/")[2].split(":")
    for start in (b"", b"GET", b"POST /api/v2/sql HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nq="):
        with socket.create_connection((host, int(port)), timeout=10) as connection:
            connection.sendall(start)
    assert requests.get(f"{platform_server.base_url}health", timeout=10).status_code == 200


def test_many_at_once(platform_server: RunningServer, api: Api) -> None:
    answers: list[int] = []

    def ask(number: int) -> None:
        answer = requests.post(f"{api.base_url}api/v2/sql", data={"q": f"SELECT {number} AS n"}, timeout=60)
        answers.append(answer.json()["rows"][0]["n"])

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(60)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == list(range(60))
