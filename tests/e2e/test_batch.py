"""Batch jobs from the SDK and the command line, on a real platform."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from carto_like.auth import APIKeyAuthClient
from carto_like.exceptions import CartoException, CartoJobCancelled, CartoJobFailed, CartoJobTimeout
from carto_like.sql import BATCH_JOBS_FINISHED_STATUSES, BatchSQLClient
from tests.support.api import Api, TestAccount
from tests.support.rows import rows_of

ROOT = Path(__file__).resolve().parents[2]
Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def batch(account: TestAccount) -> BatchSQLClient:
    return BatchSQLClient(APIKeyAuthClient(account.base_url, account.api_key))


def test_create_and_wait(batch: BatchSQLClient, api: Api) -> None:
    job = batch.create_and_wait_for_completion("CREATE TABLE made AS SELECT 1 AS n")
    assert job["status"] == "done"
    assert batch.read(job["job_id"]) == job
    assert rows_of(api, "SELECT n FROM made") == [{"n": 1}]


def test_a_list_and_a_dict_with_fallbacks(batch: BatchSQLClient, api: Api) -> None:
    job = batch.create_and_wait_for_completion(
        ["CREATE TABLE made (n text)", "INSERT INTO made VALUES ('a')"]
    )
    assert [item["status"] for item in job["query"]] == ["done", "done"]
    onsuccess = "INSERT INTO made VALUES ('<%= job_id %>')"
    job = batch.create_and_wait_for_completion({"query": [{"query": "SELECT 1", "onsuccess": onsuccess}]})
    assert rows_of(api, "SELECT n FROM made") == [{"n": "a"}, {"n": job["job_id"]}]


def test_a_failed_job(batch: BatchSQLClient) -> None:
    with pytest.raises(CartoJobFailed, match='relation "nowhere" does not exist') as caught:
        batch.create_and_wait_for_completion("SELECT * FROM nowhere")
    assert caught.value.job["status"] in BATCH_JOBS_FINISHED_STATUSES


def test_a_job_that_somebody_cancels_while_it_is_waited_for(batch: BatchSQLClient) -> None:
    running = threading.Event()
    job_id = batch.create("SELECT pg_sleep(60)")["job_id"]

    def cancel() -> None:
        running.wait(20)
        batch.cancel(job_id)

    thread = threading.Thread(target=cancel)
    thread.start()
    with pytest.raises(CartoJobCancelled):
        batch.wait(job_id, progress=lambda job: running.set() if job["status"] == "running" else None)
    thread.join()
    assert batch.cancel(job_id) == "cancelled"


def test_a_job_that_takes_too_long(batch: BatchSQLClient) -> None:
    with pytest.raises(CartoJobTimeout) as caught:
        batch.create_and_wait_for_completion("SELECT pg_sleep(60)", timeout=0.3)
    assert batch.cancel(caught.value.job["job_id"]) == "cancelled"


def test_cancelling_what_is_done(batch: BatchSQLClient) -> None:
    assert batch.cancel(batch.create_and_wait_for_completion("SELECT 1")["job_id"]) == "done"


def test_updating_is_refused_clearly(batch: BatchSQLClient) -> None:
    job_id = batch.create("SELECT 1")["job_id"]
    with pytest.raises(CartoException, match=f"Cancel job {job_id} and create another"):
        batch.update(job_id, "SELECT 2")


def test_listing(batch: BatchSQLClient) -> None:
    ids = [batch.create(f"SELECT {number}")["job_id"] for number in range(2)]
    assert [job["job_id"] for job in batch.list_jobs()] == ids[::-1]


@pytest.fixture
def run(account: TestAccount) -> Run:
    """Run a command on the account; its key is in the environment only."""
    environment = {**os.environ, "CARTO_API_URL": account.base_url, "CARTO_API_KEY": account.api_key}

    def start(*arguments: str, stdin: str = "", code: int = 0) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [sys.executable, "-W", "error", "-m", "carto_like.cli", *arguments],
            env=environment,
            cwd=ROOT,
            input=stdin,
            capture_output=True,
            encoding="utf-8",
            timeout=100,
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done

    return start


@pytest.fixture
def script(tmp_path: Path) -> str:
    path = tmp_path / "script.sql"
    path.write_text("-- two\nCREATE TABLE made (n text);\nINSERT INTO made VALUES ('a;b');\n", "utf-8")
    return str(path)


def test_batch_run(run: Run, script: str, api: Api) -> None:
    done = run("batch", "run", script)
    assert done.stdout.endswith(": done, 2 of 2 queries done\n")
    assert rows_of(api, "SELECT n FROM made") == [{"n": "a;b"}]


def test_batch_run_in_one_transaction(run: Run, api: Api) -> None:
    text = "CREATE TABLE made (n int); SELECT 1/0"
    failed = run("batch", "run", "-", "--one-transaction", stdin=text, code=1)
    assert "division by zero" in failed.stderr
    assert api.sql("SELECT * FROM made").status_code == 400
    run("batch", "run", "-", stdin=text, code=1)
    assert rows_of(api, "SELECT * FROM made") == []


def test_batch_run_without_sql(run: Run) -> None:
    assert "no SQL" in run("batch", "run", "-", stdin="-- nothing\n", code=2).stderr


def test_jobs_are_listed_watched_and_cancelled(run: Run, batch: BatchSQLClient) -> None:
    started = run("batch", "run", "-", "--no-wait", "--json", stdin="SELECT pg_sleep(60)")
    job: dict[str, Any] = json.loads(started.stdout)
    assert job["status"] == "pending"
    listed = json.loads(run("jobs", "list", "--json").stdout)
    assert [each["job_id"] for each in listed] == [job["job_id"]]
    table = run("jobs", "list").stdout
    assert job["job_id"] in table
    assert "SELECT pg_sleep(60)" in table
    run("jobs", "watch", job["job_id"], "--timeout", "0.2", code=1)
    assert run("jobs", "cancel", job["job_id"]).stdout == "cancelled\n"
    assert "is cancelled" in run("jobs", "watch", job["job_id"], code=1).stderr
    done = batch.create_and_wait_for_completion(["SELECT 1", "SELECT 2"])
    assert run("jobs", "watch", done["job_id"]).stdout == "done\n"
    assert "SELECT 1 (and 1 more)" in run("jobs", "list").stdout
