"""What becomes of batch jobs when their worker, their connection or the whole database goes away."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest

from carto_like.server.postgres import PrivatePostgres
from carto_like.server.services import batchrun
from carto_like.server.services.batch import tidy
from carto_like.server.services.batchqueue import WORKER_GONE, give_up
from carto_like.server.settings import Limits, Settings
from tests.support.api import Api, TestAccount, make_account
from tests.support.databases import another_database
from tests.support.jobs import cancel, create, finished, read, run, when
from tests.support.raw import active_queries, eventually
from tests.support.rows import rows_of
from tests.support.server import SECRET, RunningServer

QUICK = {"job_heartbeat": 0.1, "job_stalled_after": 1.0, "job_drain": 0.1}
LOST = "the connection to the database was lost while this query ran"
FOREVER = "SELECT pg_sleep(60)"


@pytest.fixture(scope="module")
def own_cluster(short_dir: Path) -> Iterator[PrivatePostgres]:
    """A database of this module's own, for it is restarted, and no other worker may take the jobs."""
    with PrivatePostgres(short_dir / "batch", settings={"fsync": "off"}) as postgres:
        yield postgres


@pytest.fixture(scope="module")
def own_settings(own_cluster: PrivatePostgres) -> Settings:
    return another_database(own_cluster)


Start = Callable[..., RunningServer]


@pytest.fixture
def start(own_settings: Settings) -> Iterator[Start]:
    """Starts a server; keywords are limits, and ``worker``."""
    with ExitStack() as stack:

        def begin(*, worker: bool = True, **limits: Any) -> RunningServer:
            settings = replace(own_settings, worker=worker, limits=Limits(**{**QUICK, **limits}))
            return stack.enter_context(RunningServer(settings))

        yield begin


@pytest.fixture
def front(start: Start) -> RunningServer:
    """A server that answers, and leaves the jobs to others."""
    return start(worker=False, batch_queued=3)


@pytest.fixture
def own_account(front: RunningServer) -> TestAccount:
    return make_account(front)


@pytest.fixture
def client(own_account: TestAccount) -> Iterator[Api]:
    client = Api(own_account.base_url, own_account.api_key)
    assert client.sql("CREATE TABLE ran (what text)").status_code == 200
    yield client
    client.session.close()


@pytest.fixture
def watcher(own_cluster: PrivatePostgres, own_settings: Settings) -> Iterator[psycopg.Connection[Any]]:
    """A superuser's connection to the cluster, for looking at sessions and ending them."""
    with psycopg.connect(own_cluster.dsn(), autocommit=True) as connection:
        yield connection


@pytest.fixture
def worker_process(own_settings: Settings, tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """``carto-like worker`` in a process of its own, ready."""
    secret = tmp_path / "secret"
    secret.write_bytes(SECRET)
    secret.chmod(0o600)
    command = [sys.executable, "-m", "carto_like.cli", "worker", "--dsn", own_settings.dsn]
    command += ["--secret-file", str(secret), "--limit", "job_drain=0.1"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        try:
            line = process.stderr.readline()
            assert line.startswith("The worker is ready."), line
            yield process
        finally:
            process.kill()


def running(client: Api, query: Any) -> dict[str, Any]:
    job = create(client, query)
    return when(client, job, lambda job: job["status"] == "running", "the job runs")


def waiting_for_its_end(client: Api, what: str) -> str:
    """A query that leaves a trace if it ever ends well."""
    return f"INSERT INTO ran VALUES ('{what}'); SELECT pg_sleep(60)"


def test_without_a_worker_jobs_wait_as_far_as_there_is_room(client: Api) -> None:
    jobs = [create(client, "SELECT 1") for _ in range(3)]
    refused = client.post("api/v2/sql/job", json={"query": "SELECT 1"})
    assert refused.status_code == 400
    assert refused.json()["error"] == ["Failed to create job. Max number of jobs (3) queued reached"]
    assert {read(client, job)["status"] for job in jobs} == {"pending"}


def test_a_worker_of_its_own_does_the_work(client: Api, worker_process: subprocess.Popen[str]) -> None:
    assert run(client, "INSERT INTO ran VALUES ('once')")["status"] == "done"
    assert rows_of(client, "SELECT what FROM ran") == [{"what": "once"}]
    worker_process.terminate()
    assert worker_process.wait(20) == 0


def test_a_killed_workers_query_is_failed_and_never_run_again(
    client: Api,
    own_account: TestAccount,
    worker_process: subprocess.Popen[str],
    start: Start,
    watcher: psycopg.Connection[Any],
) -> None:
    onerror = "INSERT INTO ran VALUES ('<%= error_message %>')"
    job = running(client, {"query": [{"query": waiting_for_its_end(client, "job"), "onerror": onerror}]})
    following = create(client, "INSERT INTO ran VALUES ('next')")
    eventually(lambda: len(active_queries(watcher, own_account.role)) == 1, "the query runs")
    worker_process.kill()
    worker_process.wait(20)
    start()
    failed = finished(client, job)
    assert failed["status"] == "failed"
    assert failed["query"]["query"][0]["failed_reason"] == WORKER_GONE
    assert failed["query"]["query"][0]["fallback_status"] == "done"
    assert finished(client, following)["status"] == "done"
    assert rows_of(client, "SELECT what FROM ran") == [{"what": WORKER_GONE}, {"what": "next"}]
    eventually(lambda: not active_queries(watcher, own_account.role), "the query is stopped")


def test_a_stopped_workers_query_goes_back_to_the_head_of_the_queue(
    client: Api, worker_process: subprocess.Popen[str], start: Start
) -> None:
    sleep = "SELECT pg_sleep(CASE WHEN EXISTS (SELECT FROM go) THEN 0 ELSE 60 END)"
    query = f"INSERT INTO ran VALUES ('first'); {sleep}"
    assert client.sql("CREATE TABLE go ()").status_code == 200
    job = running(client, query)
    following = create(client, "INSERT INTO ran VALUES ('second')")
    worker_process.terminate()
    assert worker_process.wait(20) == 0
    assert read(client, job)["status"] == "pending"
    assert client.sql("INSERT INTO go DEFAULT VALUES").status_code == 200
    start()
    assert finished(client, following)["status"] == "done"
    assert read(client, job)["status"] == "done"
    assert rows_of(client, "SELECT what FROM ran") == [{"what": "first"}, {"what": "second"}]


def test_a_stopped_query_that_may_have_committed_is_not_run_again(
    client: Api, worker_process: subprocess.Popen[str], start: Start
) -> None:
    job = running(client, "BEGIN; INSERT INTO ran VALUES ('half'); COMMIT; SELECT pg_sleep(60)")
    eventually(lambda: len(rows_of(client, "SELECT what FROM ran")) == 1, "the first half is there")
    worker_process.terminate()
    assert worker_process.wait(20) == 0
    stopped = read(client, job)
    assert stopped["status"] == "failed"
    assert stopped["failed_reason"].startswith("the worker was stopped while this query ran")
    start()
    assert run(client, "SELECT 1")["status"] == "done"
    assert len(rows_of(client, "SELECT what FROM ran")) == 1


def test_a_lost_connection_fails_the_query(
    client: Api, own_account: TestAccount, start: Start, watcher: psycopg.Connection[Any]
) -> None:
    start()
    job = running(client, waiting_for_its_end(client, "job"))
    eventually(lambda: len(active_queries(watcher, own_account.role)) == 1, "the query runs")
    watcher.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = %s AND state = 'active'",
        (own_account.role,),
    )
    lost = finished(client, job)
    assert lost["status"] == "failed"
    assert lost["failed_reason"] == LOST
    assert run(client, "SELECT 1")["status"] == "done"
    assert rows_of(client, "SELECT what FROM ran") == []


def test_the_database_restarts_while_a_job_runs(
    client: Api, own_account: TestAccount, start: Start, own_cluster: PrivatePostgres
) -> None:
    start()
    job = running(client, [waiting_for_its_end(client, "job"), "INSERT INTO ran VALUES ('second')"])
    following = create(client, "INSERT INTO ran VALUES ('next')")
    with psycopg.connect(own_cluster.dsn(), autocommit=True) as looking:
        eventually(lambda: len(active_queries(looking, own_account.role)) == 1, "the query runs")
    own_cluster.halt()
    own_cluster.restart()

    def answers() -> bool:
        return client.get(f"api/v2/sql/job/{job['job_id']}").status_code == 200

    eventually(answers, "the server has the database back")
    lost = finished(client, job, 30)
    assert lost["status"] == "failed"
    # Who says so depends on who has the database back first: the worker, or who looks for dead ones.
    assert lost["failed_reason"] in (LOST, WORKER_GONE)
    assert [item["status"] for item in lost["query"]] == ["failed", "pending"]
    assert finished(client, following, 30)["status"] == "done"
    assert rows_of(client, "SELECT what FROM ran") == [{"what": "next"}]


def test_a_worker_taken_for_dead_has_no_say_any_more(
    client: Api,
    own_account: TestAccount,
    front: RunningServer,
    start: Start,
    watcher: psycopg.Connection[Any],
) -> None:
    start()
    job = running(client, waiting_for_its_end(client, "job"))
    eventually(lambda: len(active_queries(watcher, own_account.role)) == 1, "the query runs")
    front.on_server(give_up(front.app.platform, own_account.account.id))
    eventually(lambda: not active_queries(watcher, own_account.role), "the query is stopped")
    assert run(client, "SELECT 1")["status"] == "done"
    given_up = read(client, job)
    assert (given_up["status"], given_up["failed_reason"]) == ("failed", WORKER_GONE)


@pytest.mark.parametrize("query", [FOREVER, {"query": [{"query": FOREVER, "timeout": 0}]}])
def test_the_servers_time_limit(client: Api, start: Start, query: Any) -> None:
    start(batch_timeout=0.1)
    job = run(client, query)
    assert job["status"] == "failed"
    assert job["failed_reason"] == "canceling statement due to statement timeout"


def test_a_time_limit_that_the_query_lifts_for_itself(client: Api, start: Start) -> None:
    start(batch_timeout=0.2)
    job = run(client, f"SET statement_timeout = 0; {FOREVER}")
    assert job["failed_reason"] == "canceling statement due to statement timeout"


def test_a_queue_that_was_emptied_is_filled_again(client: Api, own_settings: Settings, start: Start) -> None:
    job = create(client, "INSERT INTO ran VALUES ('job')")
    with psycopg.connect(own_settings.dsn, autocommit=True) as connection:
        connection.execute("SET search_path = carto_like_jobs")
        connection.execute("DELETE FROM procrastinate_jobs")
    start()
    assert finished(client, job)["status"] == "done"


def test_a_platform_that_fails_fails_the_job(
    client: Api, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any, **__: Any) -> Any:
        raise LookupError("a mistake of ours")

    monkeypatch.setattr(batchrun, "Guard", broken)
    start()
    job = run(client, "SELECT 1")
    assert (job["status"], job["failed_reason"]) == (
        "failed",
        "the platform could not run this query; its log says why",
    )
    monkeypatch.undo()
    assert run(client, "SELECT 1")["status"] == "done"


@pytest.mark.parametrize("kept", [0, 3600])
def test_how_long_jobs_are_kept(client: Api, own_settings: Settings, start: Start, kept: int) -> None:
    server = start(worker=False, batch_kept=kept, batch_kept_waiting=kept)
    over, waiting = create(client, "SELECT 1"), create(client, "SELECT 2")
    cancel(client, over)
    with psycopg.connect(own_settings.dsn, autocommit=True) as connection:
        connection.execute(
            "UPDATE carto_like.batch_jobs SET updated_at = now() - interval '61 minutes' WHERE id = ANY (%s)",
            ([over["job_id"], waiting["job_id"]],),
        )
    server.on_server(tidy(server.app.platform))
    left = [job["job_id"] for job in client.get("api/v2/sql/job").json()["jobs"]]
    assert left == ([] if kept else [waiting["job_id"], over["job_id"]])
