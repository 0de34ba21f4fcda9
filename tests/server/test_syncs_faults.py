"""Synchronizations whose source, table or worker does not do what it should."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from carto_like.server.postgres import PrivatePostgres
from carto_like.server.services.importjobs import IMPORT
from carto_like.server.services.replacing import take_place
from carto_like.server.services.syncqueue import begin_due
from tests.conftest import MakeServer
from tests.support.datasets import Owner
from tests.support.rows import rows_of
from tests.support.server import RunningServer
from tests.support.source import CSV, SYNCS, Followers, Source, idle_server, numbers

SECRET_QUERY = "?token=s3cr3t"


@pytest.fixture(scope="module")
def idle(cluster: PrivatePostgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with idle_server(cluster, tmp_path_factory.mktemp("uploads"), import_max_bytes=100_000) as server:
        yield server


@pytest.fixture
def queue(followers: Followers) -> Iterator[psycopg.Connection[Any]]:
    """A connection of the platform's own role, to which names are those of the queue's tables."""
    options = "-c search_path=carto_like_jobs"
    with psycopg.connect(followers.settings.dsn, autocommit=True, options=options) as connection:
        yield connection


def failed(followers: Followers, told: dict[str, Any], code: int, times: int) -> dict[str, Any]:
    """The synchronization after a run that must fail, and leave the dataset as it is."""
    before = numbers(followers.api)
    again = followers.again(told["id"])
    assert (again["state"], again["error_code"], again["retried_times"]) == ("failure", code, times), again
    assert again["error_message"]
    assert numbers(followers.api) == before
    assert list(followers.folder.iterdir()) == []
    return again


def test_each_fault_of_the_source_has_its_code(followers: Followers, source: Source) -> None:
    source.headers = {"ETag": '"v1"'}
    told = followers.followed(source.url())
    source.headers = {}
    faults: tuple[tuple[int, dict[str, Any]], ...] = (
        (1017, {"status": 404}),
        (1017, {"status": 410}),
        (1011, {"status": 401}),
        (1011, {"status": 403}),
        (1001, {"status": 500}),
        (1001, {"status": 200, "location": "http://169.254.169.254/latest/a.csv"}),
        (6666, {"location": None, "is_endless": True}),
        (1002, {"is_endless": False, "content": b"<!DOCTYPE html><html>log in, please</html>"}),
        (1005, {"content": b""}),
    )
    for times, (code, changes) in enumerate(faults, 1):
        vars(source).update(changes)
        failed(followers, told, code, times)
    source.content = CSV + b"7,8,9\n"
    well = followers.again(told["id"])
    assert (well["state"], well["error_code"], well["error_message"]) == ("success", None, None)
    assert (well["retried_times"], numbers(followers.api)) == (0, [3, 6, 9])


def test_after_ten_failures_only_somebody_can_begin_it(followers: Followers, source: Source) -> None:
    told = followers.followed(source.url())
    followers.set(told["id"], state="failure", retried_times=9)
    source.status = 404
    failed(followers, told, 1017, 10)
    followers.make_due(told["id"])
    assert followers.begin_due() == 0
    source.status = 200
    assert followers.api.put(f"{SYNCS}/{told['id']}/sync_now").json()["enqueued"] is True
    followers.work()
    assert followers.read(told["id"])["retried_times"] == 0


def test_a_first_run_that_fails_is_tried_again(followers: Followers, source: Source) -> None:
    source.status = 404
    told = followers.create(source.url())
    followers.work()
    end = followers.api.get(f"api/v1/imports/{told['data_import']['item_queue_id']}").json()
    assert (end["state"], end["error_code"]) == ("failure", 1100)
    first = followers.read(told["id"])
    assert (first["state"], first["error_code"], first["visualization_id"]) == ("failure", 1017, None)
    source.status = 200
    assert followers.again(told["id"])["name"] == "trees"
    assert numbers(followers.api) == [3, 6]


def test_a_run_whose_job_is_gone_has_failed(
    followers: Followers, source: Source, queue: psycopg.Connection[Any]
) -> None:
    told = followers.followed(source.url())
    followers.make_due(told["id"])
    assert followers.begin_due() == 1
    (identity,) = followers.waiting()
    queue.execute(
        "UPDATE carto_like.imports SET updated_at = now() - interval '2 h' WHERE id = %s", (identity,)
    )

    async def tidy() -> None:
        assert IMPORT.tidy is not None
        await IMPORT.tidy(followers.platform)

    followers.server.on_server(tidy())
    assert followers.waiting() == [identity]
    queue.execute("DELETE FROM procrastinate_jobs")
    followers.server.on_server(tidy())
    lost = followers.read(told["id"])
    assert (lost["state"], lost["error_code"], lost["retried_times"]) == ("failure", 6671, 1)
    assert followers.again(told["id"])["state"] == "success"


def test_a_view_on_the_table_ends_in_2013(followers: Followers, source: Source, their_owner: Owner) -> None:
    told = followers.followed(source.url())
    their_owner.execute("CREATE VIEW tall AS SELECT n FROM trees")
    source.content = CSV + b"7,8,9\n"
    assert "tall" in failed(followers, told, 2013, 1)["error_message"]
    assert numbers(followers.api, "(SELECT n, n AS cartodb_id FROM tall) t") == [3, 6]
    their_owner.execute("DROP VIEW tall")
    their_owner.execute("ALTER TABLE trees ENABLE ROW LEVEL SECURITY")
    assert "row security" in failed(followers, told, 2013, 2)["error_message"]
    their_owner.execute("ALTER TABLE trees DISABLE ROW LEVEL SECURITY")
    assert followers.again(told["id"])["state"] == "success"
    assert numbers(followers.api) == [3, 6, 9]


def test_a_table_that_is_renamed_during_the_run_is_left_alone(
    followers: Followers, source: Source, their_owner: Owner, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = followers.followed(source.url())

    async def renamed_before(*arguments: Any) -> None:
        await asyncio.to_thread(their_owner.execute, "ALTER TABLE trees RENAME TO oaks")
        await asyncio.to_thread(their_owner.execute, "CREATE TABLE trees AS SELECT 1 AS n, 1 AS cartodb_id")
        await take_place(*arguments)

    monkeypatch.setattr("carto_like.server.services.importtables.take_place", renamed_before)
    source.content = CSV + b"7,8,9\n"
    again = followers.again(told["id"])
    assert (again["state"], again["error_code"]) == ("failure", 2010)
    assert (numbers(followers.api, "oaks"), numbers(followers.api, "trees")) == ([3, 6], [1])


def test_readers_see_one_state_or_the_other(followers: Followers, source: Source, their_owner: Owner) -> None:
    told = followers.followed(source.url())
    seen: list[list[int]] = []
    done = threading.Event()

    def read() -> None:
        while not done.is_set():
            seen.append([n for (n,) in their_owner.execute("SELECT n FROM trees ORDER BY cartodb_id")])

    reader = threading.Thread(target=read)
    reader.start()
    states = [[3, 6]]
    for number in (9, 12):
        source.content = source.content + b"7,8,%d\n" % number
        states.append([*states[-1], number])
        assert followers.again(told["id"])["state"] == "success"
    done.set()
    reader.join()
    assert seen
    assert all(state in states for state in seen)


def test_of_several_workers_one_begins_what_is_due(
    followers: Followers, source: Source, make_server: MakeServer
) -> None:
    told = followers.followed(source.url())
    other = make_server(settings={"dsn": followers.settings.dsn, "worker": False})
    for _ in range(3):
        followers.make_due(told["id"])

        async def both() -> list[int]:
            here = [begin_due(followers.platform) for _ in range(3)]
            return await asyncio.gather(*here)

        theirs: list[int] = []
        thread = threading.Thread(
            target=lambda: theirs.append(other.on_server(begin_due(other.app.platform)))  # noqa: B023
        )
        thread.start()
        ours = followers.server.on_server(both())
        thread.join()
        assert sum([*ours, *theirs]) == 1
        assert len(followers.waiting()) == 1
        followers.work()
        assert followers.read(told["id"])["state"] == "success"


def test_nothing_of_a_password_is_logged(
    followers: Followers, source: Source, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(0):
        told = followers.followed(source.url() + SECRET_QUERY)
        source.status = 500
        failed(followers, told, 1001, 1)
    assert "s3cr3t" not in caplog.text


# A worker that carries out one run, and is killed when it gets to a certain step.
_WORKER = """
import asyncio, json, os, signal, sys
from pathlib import Path
from uuid import UUID
from carto_like.server.deployment import opened_platform
from carto_like.server.services import importrun
from carto_like.server.settings import Settings

told = json.load(sys.stdin)
owner, name = {
    "swapped": (importrun._Run, "_announce"),
    "committed": (importrun._Run, "conclude"),
}[told["step"]]
original = getattr(owner, name)

async def killed(self, *arguments):
    if told["step"] == "swapped":
        await original(self, *arguments)
    os.kill(os.getpid(), signal.SIGKILL)

setattr(owner, name, killed)

async def main():
    settings = Settings(
        dsn=told["dsn"], secret=told["secret"].encode(), uploads_dir=Path(told["uploads"]),
        import_addresses="loopback",
    )
    async with opened_platform(settings) as platform:
        await importrun.run_import(platform, UUID(told["id"]))

asyncio.run(main())
"""


def die_at(step: str, followers: Followers) -> None:
    told = {
        "step": step,
        "id": str(followers.waiting()[0]),
        "dsn": followers.settings.dsn,
        "secret": followers.settings.secret.decode(),
        "uploads": str(followers.folder),
    }
    done = subprocess.run(
        [sys.executable, "-c", _WORKER], input=json.dumps(told), text=True, capture_output=True, timeout=60
    )
    assert done.returncode == -9, done.stderr


@pytest.mark.parametrize("step", ["swapped", "committed"])
def test_a_worker_may_die_in_the_middle(
    followers: Followers, source: Source, their_owner: Owner, step: str
) -> None:
    told = followers.followed(source.url())
    source.content = CSV + b"7,8,9\n"
    followers.make_due(told["id"])
    assert followers.begin_due() == 1
    die_at(step, followers)
    assert followers.read(told["id"])["state"] == "syncing"
    assert numbers(followers.api) == ([3, 6, 9] if step == "committed" else [3, 6])
    followers.work()
    again = followers.read(told["id"])
    assert (again["state"], again["visualization_id"]) == ("success", told["visualization_id"])
    assert numbers(followers.api) == [3, 6, 9]
    tables = "SELECT tablename::text FROM pg_tables WHERE schemaname = current_schema()"
    assert their_owner.execute(tables) == [("trees",)]
    assert rows_of(followers.api, "SELECT count(*) AS n FROM CDB_UserTables()") == [{"n": 1}]


def test_a_run_that_kills_its_workers_is_given_up_until_the_next(
    followers: Followers, source: Source
) -> None:
    told = followers.followed(source.url())
    source.content = CSV + b"7,8,9\n"
    followers.make_due(told["id"])
    assert followers.begin_due() == 1
    followers.give_up_after(followers.waiting()[0])
    followers.work()
    again = followers.read(told["id"])
    assert (again["state"], again["error_code"]) == ("failure", 6671)
    assert followers.again(told["id"])["state"] == "success"
    assert numbers(followers.api) == [3, 6, 9]
