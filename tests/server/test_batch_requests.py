"""Creating, reading, listing and cancelling batch jobs: shapes, words and the order of checks."""

from __future__ import annotations

import json
import re
from typing import Any

import psycopg
import pytest

from carto_like.server.secrets import new_token
from carto_like.server.settings import Limits, RateLimit
from tests.conftest import MakeServer
from tests.support.api import Api, TestAccount, make_account
from tests.support.jobs import cancel, create, finished, read, run, when
from tests.support.raw import eventually
from tests.support.server import RunningServer

_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


def error_of(response: Any, status: int = 400) -> str:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/json; charset=utf-8"
    (text,) = response.json()["error"]
    assert isinstance(text, str)
    return text


def test_a_simple_job(api: Api, account: TestAccount) -> None:
    job = create(api, "CREATE TABLE made AS SELECT 7 AS n")
    assert list(job) == ["job_id", "user", "status", "query", "created_at", "updated_at"]
    assert job["user"] == account.name
    assert job["query"] == "CREATE TABLE made AS SELECT 7 AS n"
    assert re.fullmatch(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", job["job_id"])
    assert _TIME.fullmatch(job["created_at"])
    done = finished(api, job)
    assert done["status"] == "done"
    assert done["created_at"] == job["created_at"]
    assert done["updated_at"] > job["updated_at"]
    assert "failed_reason" not in done
    assert api.sql("SELECT n FROM made").json()["rows"] == [{"n": 7}]


def test_a_list_of_queries_runs_in_order(api: Api) -> None:
    job = create(api, ["CREATE TABLE made (n int)", "INSERT INTO made VALUES (1), (2)"])
    assert job["query"] == [
        {"query": "CREATE TABLE made (n int)", "status": "pending"},
        {"query": "INSERT INTO made VALUES (1), (2)", "status": "pending"},
    ]
    done = finished(api, job)
    assert done["status"] == "done"
    assert [item["status"] for item in done["query"]] == ["done", "done"]
    assert api.sql("SELECT count(*)::int AS n FROM made").json()["rows"] == [{"n": 2}]


def test_a_list_whose_second_of_three_fails(api: Api) -> None:
    job = run(api, ["CREATE TABLE made (n int)", "SELECT 1/0", "INSERT INTO made VALUES (1)"])
    assert job["status"] == "failed"
    assert [item["status"] for item in job["query"]] == ["done", "failed", "pending"]
    assert job["query"][1]["failed_reason"] == job["failed_reason"] == "division by zero"
    assert api.sql("SELECT count(*)::int AS n FROM made").json()["rows"] == [{"n": 0}]


def test_a_failed_job_says_why(api: Api) -> None:
    job = run(api, "SELECT * FROM nowhere")
    assert job["status"] == "failed"
    assert job["failed_reason"] == 'relation "nowhere" does not exist'


def test_several_statements_in_one_text_are_one_transaction(api: Api) -> None:
    assert (
        run(api, "CREATE TABLE made (n int); INSERT INTO made VALUES (1); SELECT 1/0")["status"] == "failed"
    )
    assert "does not exist" in error_of(api.sql("SELECT * FROM made"))


@pytest.mark.parametrize("query", ["1", "select 'ä \\ \"🙂\"'", "  ", "-- nothing\n", "VACUUM"])
def test_any_text_can_be_read_back(api: Api, query: str) -> None:
    job = run(api, query)
    assert job["query"] == query
    assert job["status"] == ("failed" if query == "1" else "done")


def test_a_nul_character_fails_the_job_and_nothing_else(api: Api) -> None:
    job = run(api, "select '\0'")
    assert job["status"] == "failed"
    assert job["failed_reason"] == "SQL cannot hold a NUL character"
    assert run(api, "select 1")["status"] == "done"


@pytest.mark.parametrize(
    "options",
    [
        {"data": {"query": "select 1"}},
        {"files": {"query": (None, "select 1")}},
        {"params": {"query": "select 1"}},
        {"json": {"query": "select 1"}},
    ],
    ids=["form", "multipart", "query string", "json"],
)
def test_a_query_may_come_in_any_way(api: Api, options: dict[str, Any]) -> None:
    response = api.post("api/v2/sql/job/", **options)
    assert response.status_code == 201
    assert response.json()["query"] == "select 1"


@pytest.mark.parametrize("body", [{}, {"q": "select 1"}, {"query": ""}, {"query": None}, {"query": []}])
def test_without_a_query(api: Api, body: dict[str, Any]) -> None:
    assert error_of(api.post("api/v2/sql/job", json=body)) == "You must indicate a valid SQL"


@pytest.mark.parametrize(
    "query",
    [
        1,
        True,
        ["select 1", 2],
        ["select 1", {"query": "select 1"}],
        {"onerror": "select 1"},
        {"query": "select 1"},
        {"query": ["select 1"]},
        {"query": [{"onerror": "select 1"}]},
        {"query": [{"query": "select 1", "onerror": 1}]},
        {"query": [{"query": "select 1"}], "onsuccess": ["select 1"]},
    ],
)
def test_a_query_of_the_wrong_shape(api: Api, query: Any) -> None:
    answer = error_of(api.post("api/v2/sql/job", json={"query": query}))
    assert answer == "there is no job class for the provided query"


def body_of_size(size: int, **more: str) -> bytes:
    body = {"query": "", **more}
    padding = size - len(json.dumps(body, separators=(",", ":")))
    body["query"] = "select 1" + " " * (padding - 8)
    return json.dumps(body).encode()


def test_the_whole_body_counts_for_its_size(api: Api) -> None:
    headers = {"Content-Type": "application/json"}
    fits = body_of_size(16384, client="cps-1.0")
    assert api.post("api/v2/sql/job", data=fits, headers=headers).status_code == 201
    for client in (api, api.anonymous):
        answer = client.post("api/v2/sql/job", data=body_of_size(16385, client="cps-1.0"), headers=headers)
        assert error_of(answer) == (
            "Your payload is too large: 16385 bytes. Max size allowed is 16384 bytes (16kb). Are you trying "
            "to import data?. Please, check out import api http://docs.cartodb.com/cartodb-platform/import-api/"
        )


@pytest.fixture
def regular_key(platform_server: RunningServer, account: TestAccount) -> str:
    """A key that may read by SQL, and is no master."""
    token = new_token()

    async def add() -> None:
        platform = platform_server.app.platform
        async with platform.database.metadata() as connection:
            role = account.public_role
            await platform.users._add_key(connection, account.account, "k", "regular", role, token)

    platform_server.on_server(add())
    return token


def test_only_the_master_key_may(api: Api, regular_key: str) -> None:
    job = create(api, "select 1")
    regular = api.with_key(regular_key)
    for method, path in (
        ("POST", "api/v2/sql/job"),
        ("GET", "api/v2/sql/job"),
        ("GET", f"api/v2/sql/job/{job['job_id']}"),
        ("DELETE", f"api/v2/sql/job/{job['job_id']}"),
    ):
        for client in (regular, api.anonymous):
            assert (
                error_of(client.request(method, path, json={"query": "select 1"}), 403) == "permission denied"
            )
        wrong = api.with_key("wrong").request(method, path, json={"query": "select 1"})
        assert error_of(wrong, 401) == "Unauthorized"


def test_the_key_may_be_in_the_body(api: Api) -> None:
    body = {"query": "select 1", "api_key": api.api_key, "client": "cps"}
    response = api.anonymous.post("api/v2/sql/job", json=body)
    assert response.status_code == 201
    path = f"api/v2/sql/job/{finished(api, response.json())['job_id']}"
    assert error_of(api.anonymous.delete(path, json={"api_key": api.api_key})).startswith("Cannot set status")


def test_headers_of_an_answer(api: Api, account: TestAccount) -> None:
    response = api.post("api/v2/sql/job", params={"client": "tests"}, json={"query": "select 1"})
    headers = response.headers
    assert headers["access-control-allow-origin"] == "*"
    assert headers["carto-user"] == account.name
    assert headers["carto-client"] == "tests"
    assert headers["vary"] == "Authorization"
    assert headers["x-served-by-db-host"] == "localhost"
    for name in ("password", "role", "host", "dsn", "turn"):
        assert name not in response.json()


@pytest.mark.parametrize("job_id", ["078184e5-b1b4-4c95-926e-96fe17b18946", "nothing", "1' or true", "%00"])
def test_an_unknown_job(api: Api, job_id: str) -> None:
    for method in ("GET", "DELETE"):
        shown = "\0" if job_id == "%00" else job_id
        answer = error_of(api.request(method, f"api/v2/sql/job/{job_id}"))
        assert answer == f"Job with id {shown} not found"


def test_anothers_job_is_not_found(api: Api, platform_server: RunningServer) -> None:
    other = make_account(platform_server)
    theirs = Api(other.base_url, other.api_key)
    job = create(api, "SELECT pg_sleep(60)")
    for method in ("GET", "DELETE"):
        answer = error_of(theirs.request(method, f"api/v2/sql/job/{job['job_id']}"))
        assert answer == f"Job with id {job['job_id']} not found"
    assert theirs.get("api/v2/sql/job").json() == {"jobs": []}
    cancel(api, job)
    theirs.session.close()


def test_cancelling_what_is_over(api: Api) -> None:
    done, failed = run(api, "select 1"), run(api, "select 1/0")
    cancelled = cancel(api, create(api, "SELECT pg_sleep(60)"))
    for job in (done, failed, cancelled):
        answer = error_of(api.delete(f"api/v2/sql/job/{job['job_id']}"))
        assert answer == f"Cannot set status from {job['status']} to cancelled"
        assert read(api, job)["status"] == job["status"]


def test_a_list_of_the_accounts_jobs(api: Api) -> None:
    jobs = [create(api, f"select {number}") for number in range(3)]
    listed = api.get("api/v2/sql/job").json()["jobs"]
    assert [job["job_id"] for job in listed] == [job["job_id"] for job in reversed(jobs)]
    assert [job["query"] for job in listed] == ["select 2", "select 1", "select 0"]


def test_methods_that_do_not_exist(api: Api) -> None:
    job = create(api, "select 1")
    for method, path in (("PUT", f"api/v2/sql/job/{job['job_id']}"), ("PUT", "api/v2/sql/job")):
        response = api.request(method, path, json={"query": "select 2"})
        assert response.status_code == 404
        assert response.headers["content-type"].startswith("text/html")


def test_a_preflight_asks_nobody(api: Api) -> None:
    response = api.anonymous.request("OPTIONS", "api/v2/sql/job")
    assert (response.status_code, response.content) == (200, b"")
    assert response.headers["access-control-allow-headers"] == "*"


def test_running_jobs_are_public_by_id(
    api: Api, platform_server: RunningServer, account: TestAccount
) -> None:
    job = create(api, "SELECT pg_sleep(60)")
    when(api, job, lambda job: job["status"] == "running", "the job runs")
    shown = api.session.get(f"{platform_server.base_url}jobs-wip", timeout=10).json()
    assert shown[account.name] == [job["job_id"]]
    cancel(api, job)
    shown = api.session.get(f"{platform_server.base_url}jobs-wip", timeout=10).json()
    assert account.name not in shown


def test_too_many_waiting_jobs(make_server: MakeServer) -> None:
    server = make_server(batch_queued=1)
    account = make_account(server)
    api = Api(account.base_url, account.api_key)
    first = create(api, "SELECT pg_sleep(60)")
    when(api, first, lambda job: job["status"] == "running", "the first job runs")
    waiting = create(api, "select 1")
    answer = error_of(api.post("api/v2/sql/job", json={"query": "select 1"}))
    assert answer == "Failed to create job. Max number of jobs (1) queued reached"
    cancel(api, waiting)
    assert create(api, "select 1")["status"] == "pending"
    cancel(api, first)
    api.session.close()


def test_rates_are_limited_by_group(make_server: MakeServer) -> None:
    limit = (RateLimit(burst=1, count=1, period=60),)
    server = make_server(rate_limits={"job_create": limit, "job_get": limit})
    account = make_account(server)
    api = Api(account.base_url, account.api_key)
    job = create(api, "select 1")
    assert create(api, "select 1")["status"] == "pending"
    refused = api.post("api/v2/sql/job", json={"query": "select 1"})
    assert refused.status_code == 429
    assert refused.json()["detail"] == "rate-limit"
    # Not even a wrong key is looked at, but a body that is too large is.
    assert api.with_key("wrong").post("api/v2/sql/job", json={"query": "select 1"}).status_code == 429
    assert api.post("api/v2/sql/job", json={"query": "x" * 20000}).status_code == 400
    assert read(api, job)["job_id"] == job["job_id"]
    api.session.close()


def test_finished_jobs_are_forgotten(
    make_server: MakeServer, admin: psycopg.Connection[Any], api: Api, account: TestAccount
) -> None:
    old, fresh = run(api, "select 1"), run(api, "select 2")
    admin.execute(
        "UPDATE carto_like.batch_jobs SET updated_at = now() - interval '121 minutes' WHERE id = %s",
        (old["job_id"],),
    )
    # Every server that starts tidies up.
    make_server()
    when_gone = f"Job with id {old['job_id']} not found"

    def gone() -> bool:
        response = api.get(f"api/v2/sql/job/{old['job_id']}")
        return response.status_code == 400 and response.json()["error"] == [when_gone]

    eventually(gone, "the old job is forgotten")
    assert read(api, fresh)["status"] == "done"


@pytest.mark.parametrize(
    "limits",
    [
        {"job_heartbeat": 0},
        {"job_stalled_after": 0},
        {"job_heartbeat": 20, "job_stalled_after": 30},
        {"job_concurrency": 0},
    ],
)
def test_limits_of_jobs_that_make_no_sense(limits: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="job_"):
        Limits(**limits)
