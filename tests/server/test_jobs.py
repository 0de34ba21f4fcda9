"""The queue: jobs run in order, come back after a stop, and survive the death of worker and database."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from carto_like.server.deployment import opened_platform
from carto_like.server.jobs import tasks
from carto_like.server.jobs.connector import QueueConnector
from carto_like.server.jobs.task import StalledJob, Task
from carto_like.server.platform import Platform
from carto_like.server.postgres import PrivatePostgres
from carto_like.server.settings import Limits, Settings
from tests.support.databases import another_database
from tests.support.raw import eventually
from tests.support.server import RunningServer

QUICK = Limits(job_heartbeat=0.1, job_stalled_after=1.0, job_drain=0.1)


class Work:
    """A kind of work that notes what happens to it, and goes on when it is told to."""

    def __init__(self) -> None:
        self.begun: list[tuple[UUID, Any]] = []
        self.ended: list[tuple[UUID, Any]] = []
        self.stalled: list[StalledJob] = []
        self.running: dict[UUID, int] = defaultdict(int)
        self.most = 0
        self.again = True
        self.gate = True

    def go_on(self) -> None:
        self.gate = True

    async def run(self, platform: Platform, *, account_id: UUID, number: int) -> None:
        self.begun.append((account_id, number))
        self.running[account_id] += 1
        self.most = max(self.most, self.running[account_id])
        try:
            while not self.gate:
                await asyncio.sleep(0.01)
        finally:
            self.running[account_id] -= 1
        self.ended.append((account_id, number))

    async def recover(self, platform: Platform, job: StalledJob) -> bool:
        self.stalled.append(job)
        return self.again


@pytest.fixture(scope="module")
def queue_settings(cluster: PrivatePostgres) -> Settings:
    return replace(another_database(cluster), limits=QUICK)


@pytest.fixture
def work(monkeypatch: pytest.MonkeyPatch) -> Work:
    work = Work()
    task = Task("probe", "import", work.run, work.recover)
    monkeypatch.setattr(tasks, "TASKS", {"probe": task})
    return work


@pytest.fixture
def server(queue_settings: Settings, work: Work) -> Iterator[RunningServer]:
    server = RunningServer(queue_settings)
    yield server
    work.go_on()
    server.stop()


@pytest.fixture
def queue(cluster: PrivatePostgres, queue_settings: Settings) -> Iterator[psycopg.Connection[Any]]:
    options = "-c search_path=carto_like_jobs"
    with psycopg.connect(queue_settings.dsn, autocommit=True, options=options) as connection:
        yield connection
        connection.execute("DELETE FROM procrastinate_jobs")


def defer(server: RunningServer, account_id: UUID, number: int) -> None:
    server.on_server(server.app.platform.jobs.defer("probe", account_id, number=number))


def waiting(queue: psycopg.Connection[Any]) -> int:
    row = queue.execute("SELECT count(*) FROM procrastinate_jobs").fetchone()
    assert row is not None
    return int(row[0])


def test_an_accounts_jobs_run_one_after_the_other(
    server: RunningServer, work: Work, queue: psycopg.Connection[Any]
) -> None:
    account = uuid4()
    for number in range(20):
        defer(server, account, number)
    eventually(lambda: len(work.ended) == 20, "all jobs run")
    assert work.ended == [(account, number) for number in range(20)]
    assert work.most == 1
    eventually(lambda: waiting(queue) == 0, "nothing is left in the queue")


def test_another_account_need_not_wait(
    server: RunningServer, work: Work, queue: psycopg.Connection[Any]
) -> None:
    busy, other = uuid4(), uuid4()
    work.gate = False
    for number in range(3):
        defer(server, busy, number)
    defer(server, other, 0)
    eventually(lambda: set(work.begun) == {(busy, 0), (other, 0)}, "one job of each runs")
    work.go_on()
    eventually(lambda: len(work.ended) == 4, "all jobs run")


def test_a_job_appears_with_its_transaction_or_not_at_all(
    server: RunningServer, work: Work, queue: psycopg.Connection[Any]
) -> None:
    platform = server.app.platform

    async def fail() -> None:
        async with platform.database.metadata() as connection:
            await platform.jobs.defer("probe", uuid4(), connection=connection, number=1)
            raise LookupError

    with pytest.raises(LookupError):
        server.on_server(fail())
    assert waiting(queue) == 0


def test_a_job_begins_anew_when_its_worker_was_stopped(
    queue_settings: Settings, work: Work, queue: psycopg.Connection[Any]
) -> None:
    account = uuid4()
    first = RunningServer(queue_settings)
    work.gate = False
    defer(first, account, 1)
    defer(first, account, 2)
    eventually(lambda: work.begun == [(account, 1)], "the job runs")
    first.stop()
    assert not work.ended
    assert waiting(queue) == 2
    work.go_on()
    second = RunningServer(queue_settings)
    eventually(lambda: work.ended == [(account, 1), (account, 2)], "both run, in their order")
    second.stop()
    assert not work.stalled


@pytest.mark.parametrize("turns", [0, 1, 2, 4, 8, 16, 32])
def test_a_worker_can_be_stopped_while_it_starts(queue_settings: Settings, work: Work, turns: int) -> None:
    async def start_and_stop() -> None:
        async with opened_platform(queue_settings) as platform:
            platform.start_worker()
            for _ in range(turns):
                await asyncio.sleep(0)
            await platform.jobs.close()

    # Ends only when nothing is left on the event loop that does not end.
    asyncio.run(asyncio.wait_for(start_and_stop(), 20))


async def forgetful(event: asyncio.Event) -> None:
    """Wait for an event; a cancellation ends the wait and is forgotten, as wait_for() of 3.11 may do."""
    with suppress(asyncio.CancelledError):
        await event.wait()


@pytest.mark.parametrize("place", ["open_async", "execute_query_one_async"])
def test_a_worker_stops_although_its_queue_forgot_that_it_was_cancelled(
    queue_settings: Settings, work: Work, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    async def start_and_stop() -> None:
        here, reached, never = asyncio.get_running_loop(), asyncio.Event(), asyncio.Event()
        real = getattr(QueueConnector, place)

        async def forgets(*args: Any, **kwargs: Any) -> Any:
            # Other servers of this process have workers, too, on loops of theirs.
            if asyncio.get_running_loop() is here:
                reached.set()
                await forgetful(never)
            return await real(*args, **kwargs)

        monkeypatch.setattr(QueueConnector, place, forgets)
        async with opened_platform(queue_settings) as platform:
            platform.start_worker()
            await reached.wait()
            monkeypatch.undo()
            await platform.jobs.close()

    asyncio.run(asyncio.wait_for(start_and_stop(), 20))


def test_a_worker_stops_although_its_upkeep_forgot_that_it_was_cancelled(
    queue_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def start_and_stop() -> None:
        reached, never = asyncio.Event(), asyncio.Event()

        async def tidy(platform: Platform) -> None:
            if not reached.is_set():
                reached.set()
                await forgetful(never)

        work = Work()
        task = Task("probe", "import", work.run, work.recover, tidy=tidy)
        monkeypatch.setattr(tasks, "TASKS", {"probe": task})
        async with opened_platform(queue_settings) as platform:
            platform.start_worker()
            await reached.wait()
            await platform.jobs.close()

    asyncio.run(asyncio.wait_for(start_and_stop(), 20))


@pytest.mark.parametrize("again", [True, False])
def test_a_dead_workers_job_is_recovered_once(
    server: RunningServer, work: Work, queue: psycopg.Connection[Any], again: bool
) -> None:
    account = uuid4()
    work.again = again
    queue.execute(
        "INSERT INTO procrastinate_jobs (queue_name, task_name, lock, args, status)"
        " VALUES ('import', 'probe', %s, jsonb_build_object('account_id', %s::text, 'number', 7), 'doing')",
        (f"import:{account}", str(account)),
    )
    eventually(lambda: waiting(queue) == 0, "the job is dealt with")
    assert work.stalled == [StalledJob(account, {"number": 7}, 0)]
    assert work.begun == ([(account, 7)] if again else [])


def test_garbage_on_the_channels_stops_nothing(
    server: RunningServer, work: Work, queue: psycopg.Connection[Any]
) -> None:
    for payload in ("", "{", '{"type": "abort_job_requested", "job_id": 1}', "x" * 7000):
        for channel in ("procrastinate_any_queue_v1", "carto_like_jobs"):
            queue.execute("SELECT pg_notify(%s, %s)", (channel, payload))
    queue.execute("SELECT count(pg_notify('carto_like_jobs', i::text)) FROM generate_series(1, 5000) i")
    account = uuid4()
    defer(server, account, 1)
    eventually(lambda: work.ended == [(account, 1)], "the job runs")


def test_the_worker_comes_back_when_its_connections_are_cut(
    server: RunningServer,
    work: Work,
    queue: psycopg.Connection[Any],
    cluster: PrivatePostgres,
    queue_settings: Settings,
) -> None:
    account = uuid4()
    with psycopg.connect(cluster.dsn(), autocommit=True) as superuser:
        superuser.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE application_name IN ('carto_like_worker', 'carto_like') AND pid <> %s"
            " AND datname = %s",
            (queue.info.backend_pid, queue.info.dbname),
        )
    defer(server, account, 1)
    eventually(lambda: work.ended == [(account, 1)], "the job runs")


def test_clients_cannot_touch_the_queue(api: Any) -> None:
    refused = api.sql("SELECT * FROM carto_like_jobs.procrastinate_jobs")
    assert refused.status_code == 403
    assert refused.json()["error"] == ["permission denied for schema carto_like_jobs"]
