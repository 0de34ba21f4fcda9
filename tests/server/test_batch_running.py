"""Batch jobs on a real worker: fallbacks, placeholders, time limits, cancelling, order and fairness."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import psycopg
import pytest

from tests.conftest import MakeServer
from tests.support.api import Api, TestAccount, make_account
from tests.support.jobs import cancel, create, finished, read, run, when
from tests.support.raw import active_queries, eventually
from tests.support.rows import rows_of
from tests.support.server import RunningServer

BAD, GOOD = "SELECT 1/0", "SELECT 1"
FOREVER = "SELECT pg_sleep(60)"
STUBBORN = """
DO $$ BEGIN LOOP BEGIN PERFORM pg_sleep(60); EXCEPTION WHEN query_canceled THEN NULL; END; END LOOP; END $$
"""


def item(query: str, **more: Any) -> dict[str, Any]:
    return {"query": query, **more}


def outline(job: dict[str, Any]) -> tuple[Any, ...]:
    """Status and fallback status of a job, then of each of its queries."""
    items = [(each["status"], each.get("fallback_status")) for each in job["query"]["query"]]
    return job["status"], job.get("fallback_status"), *items


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"query": [item(GOOD, onsuccess=GOOD)]}, ("done", None, ("done", "done"))),
        ({"query": [item(GOOD, onsuccess=BAD)]}, ("done", None, ("done", "failed"))),
        ({"query": [item(GOOD, onerror=GOOD)]}, ("done", None, ("done", "skipped"))),
        ({"query": [item(BAD, onerror=GOOD)]}, ("failed", None, ("failed", "done"))),
        ({"query": [item(BAD, onerror=BAD)]}, ("failed", None, ("failed", "failed"))),
        ({"query": [item(BAD, onsuccess=GOOD)]}, ("failed", None, ("failed", "skipped"))),
        (
            {"query": [item(BAD, onerror=GOOD), item(GOOD, onsuccess=GOOD)], "onerror": GOOD},
            ("failed", "done", ("failed", "done"), ("skipped", "skipped")),
        ),
        ({"query": [item(GOOD)], "onsuccess": GOOD}, ("done", "done", ("done", None))),
        ({"query": [item(GOOD)], "onsuccess": BAD}, ("done", "failed", ("done", None))),
        ({"query": [item(GOOD)], "onerror": GOOD}, ("done", "skipped", ("done", None))),
        ({"query": [item(BAD)], "onerror": GOOD}, ("failed", "done", ("failed", None))),
        ({"query": [item(BAD)], "onsuccess": GOOD}, ("failed", "skipped", ("failed", None))),
    ],
)
def test_every_row_of_the_fallback_table(api: Api, query: Any, expected: tuple[Any, ...]) -> None:
    job = run(api, query)
    assert outline(job) == expected
    for given, stored in zip(query["query"], job["query"]["query"], strict=True):
        assert {name: stored[name] for name in given} == given
        if stored["status"] != "skipped":
            assert stored["started_at"] <= stored["ended_at"]


def test_reasons_of_a_job_with_fallbacks(api: Api) -> None:
    own = run(api, {"query": [item(BAD, onerror="SELECT * FROM nowhere")]})
    assert "failed_reason" not in own
    assert own["query"]["query"][0]["failed_reason"] == 'relation "nowhere" does not exist'
    without = run(api, {"query": [item(BAD)], "onerror": GOOD})
    assert without["failed_reason"] == without["query"]["query"][0]["failed_reason"] == "division by zero"


def test_placeholders_are_filled_in_and_stay_in_the_stored_text(api: Api) -> None:
    assert api.sql("CREATE TABLE log (job text, message text)").status_code == 200
    onerror = "INSERT INTO log VALUES ('<%= job_id %>', '<%= error_message %>')"
    job = run(api, {"query": [item("SELECT * FROM x", onerror=onerror)]})
    assert rows_of(api, "SELECT * FROM log") == [
        {"job": job["job_id"], "message": 'relation "x" does not exist'}
    ]
    assert job["query"]["query"][0]["onerror"] == onerror
    quoted = run(api, {"query": [item("SELECT 'it''s'::int", onerror=onerror)]})
    assert quoted["query"]["query"][0]["fallback_status"] == "done"
    (row,) = rows_of(api, f"SELECT message FROM log WHERE job = '{quoted['job_id']}'")
    assert row["message"] == 'invalid input syntax for type integer: "it\'s"'


@pytest.mark.parametrize(
    ("sleep", "timeout", "status"), [(0.1, 50, "failed"), (0.1, 2000, "done"), (0.1, "x", "done")]
)
def test_a_query_with_a_time_limit_of_its_own(api: Api, sleep: float, timeout: Any, status: str) -> None:
    job = run(api, {"query": [item(f"SELECT pg_sleep({sleep})", timeout=timeout)]})
    assert job["status"] == status
    if status == "failed":
        assert job["failed_reason"] == "canceling statement due to statement timeout"


def test_a_key_of_ones_own_role_runs_it(api: Api, account: TestAccount) -> None:
    job = run(api, "CREATE TABLE who AS SELECT session_user::text AS u, current_schema()::text AS s")
    assert job["status"] == "done"
    assert rows_of(api, "SELECT * FROM who") == [{"u": account.role, "s": account.schema}]
    denied = run(api, "SELECT * FROM carto_like.users")
    assert denied["failed_reason"] == "permission denied for schema carto_like"


def test_a_job_changes_nothing_for_the_next_one(api: Api) -> None:
    run(api, "SET search_path = nowhere; SET statement_timeout = 1; BEGIN")
    job = run(api, "SELECT pg_sleep(0.05); CREATE TABLE here (n int)")
    assert job["status"] == "done"
    assert rows_of(api, "SELECT * FROM here") == []


def test_results_of_any_size_are_dropped(api: Api) -> None:
    job = run(api, "SELECT repeat('x', 1000) FROM generate_series(1, 100000); COPY (SELECT 1) TO STDOUT")
    assert job["status"] == "done"


def test_the_running_text_is_marked_with_the_jobs_id(
    api: Api, account: TestAccount, admin: psycopg.Connection[Any]
) -> None:
    job = create(api, FOREVER)
    marked = f"/* {job['job_id']} */ {FOREVER}"
    eventually(lambda: active_queries(admin, account.role) == [marked], "the marked query runs")
    cancel(api, job)


@pytest.mark.parametrize("query", [FOREVER, STUBBORN], ids=["plain", "that swallows cancellations"])
def test_cancelling_a_running_query(
    api: Api, account: TestAccount, admin: psycopg.Connection[Any], query: str
) -> None:
    job = create(api, query)
    eventually(lambda: len(active_queries(admin, account.role)) == 1, "the query runs")
    answer = cancel(api, job)
    assert answer["status"] == "cancelled"
    eventually(lambda: not active_queries(admin, account.role), "the query is stopped")
    assert read(api, job)["status"] == "cancelled"
    assert run(api, GOOD)["status"] == "done"


def test_cancelling_what_waits(api: Api) -> None:
    first, second = create(api, FOREVER), create(api, "CREATE TABLE never (n int)")
    when(api, first, lambda job: job["status"] == "running", "the first runs")
    assert cancel(api, second)["status"] == "cancelled"
    cancel(api, first)
    assert run(api, GOOD)["status"] == "done"
    assert api.sql("SELECT * FROM never").status_code == 400


def test_cancelling_in_the_middle_of_a_list(api: Api) -> None:
    job = create(api, [GOOD, FOREVER, GOOD])
    when(api, job, lambda job: job["query"][1]["status"] == "running", "the second query runs")
    cancelled = cancel(api, job)
    assert [each["status"] for each in cancelled["query"]] == ["done", "cancelled", "pending"]
    assert cancelled["status"] == "cancelled"


def test_cancelling_a_query_with_fallbacks(api: Api) -> None:
    query = {"query": [item(FOREVER, onsuccess=GOOD), item(GOOD)], "onerror": GOOD}
    job = create(api, query)
    when(api, job, lambda job: job["status"] == "running", "the query runs")
    cancelled = cancel(api, job)
    assert outline(cancelled) == ("cancelled", "skipped", ("cancelled", "skipped"), ("skipped", None))


def test_cancelling_a_querys_fallback(api: Api, account: TestAccount, admin: psycopg.Connection[Any]) -> None:
    job = create(api, {"query": [item(GOOD, onsuccess=FOREVER), item(GOOD)], "onsuccess": GOOD})
    when(api, job, lambda job: job["query"]["query"][0]["fallback_status"] == "running", "the fallback runs")
    cancelled = cancel(api, job)
    assert outline(cancelled) == ("cancelled", "skipped", ("done", "cancelled"), ("skipped", None))
    eventually(lambda: not active_queries(admin, account.role), "the fallback is stopped")


def test_a_jobs_own_fallback_runs_when_it_is_over(api: Api) -> None:
    job = create(api, {"query": [item(GOOD)], "onsuccess": "SELECT pg_sleep(0.5)"})
    running = when(api, job, lambda job: job["fallback_status"] == "running", "the fallback runs")
    assert running["status"] == "done"
    refused = api.delete(f"api/v2/sql/job/{job['job_id']}")
    assert refused.json()["error"] == ["Cannot set status from done to cancelled"]
    assert finished(api, job)["fallback_status"] == "done"


def test_jobs_of_an_account_run_in_their_order(api: Api) -> None:
    assert api.sql("CREATE TABLE ran (n serial, job int)").status_code == 200
    jobs = [create(api, [f"INSERT INTO ran (job) VALUES ({number})"] * 2) for number in range(5)]
    assert finished(api, jobs[-1])["status"] == "done"
    order = [row["job"] for row in rows_of(api, "SELECT job FROM ran ORDER BY n")]
    assert order == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]


def test_many_jobs_of_one_user_do_not_keep_others_waiting(make_server: MakeServer) -> None:
    server = make_server(batch_queued=0)
    busy, other = (make_account(server) for _ in range(2))
    many = Api(busy.base_url, busy.api_key)
    one = Api(other.base_url, other.api_key)
    jobs = [create(many, "SELECT pg_sleep(0.02)") for _ in range(100)]
    assert run(one, GOOD)["status"] == "done"
    assert read(many, jobs[-1])["status"] == "pending"
    assert finished(many, jobs[-1], 60)["status"] == "done"
    assert {read(many, job)["status"] for job in jobs} == {"done"}
    for client in (many, one):
        client.session.close()


def test_more_accounts_than_a_worker_has_places_take_turns(
    platform_server: RunningServer, admin: psycopg.Connection[Any]
) -> None:
    # None ends before all have come, however slowly they do.
    admin.execute("SELECT pg_advisory_lock(2009)")
    query = "SELECT pg_advisory_lock_shared(2009), pg_sleep(0.6)"
    accounts = [make_account(platform_server) for _ in range(6)]
    clients = [Api(account.base_url, account.api_key) for account in accounts]
    jobs = [(client, create(client, query)) for client in clients for _ in range(3)]
    admin.execute("SELECT pg_advisory_unlock(2009)")
    for client, job in jobs:
        assert finished(client, job)["status"] == "done"
    ends = [
        sorted(datetime.fromisoformat(read(client, job)["updated_at"][:-1]) for c, job in jobs if c is client)
        for client in clients
    ]
    # Nobody waits for all jobs of another: first ones end in the round of the earliest last one at most.
    assert max(times[0] for times in ends) < min(times[-1] for times in ends) + timedelta(seconds=0.3)
    for client in clients:
        client.session.close()
