from __future__ import annotations

import json
from typing import Any

import pytest
import responses

from carto_like import _batch
from carto_like import sql as sql_module
from carto_like.auth import APIKeyAuthClient
from carto_like.exceptions import (
    BadRequestException,
    CartoException,
    CartoJobCancelled,
    CartoJobFailed,
    CartoJobTimeout,
    CartoTransportException,
)
from carto_like.sql import BatchSQLClient
from tests.support.clock import FakeClock

BASE = "https://user1.carto.com/"
URL = BASE + "api/v2/sql/job/"
KEY = "0123456789abcdef"
JOB = {"job_id": "j1", "user": "user1", "query": "select 1"}


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> FakeClock:
    clock = FakeClock()
    monkeypatch.setattr(_batch, "_CLOCK", clock)
    return clock


@pytest.fixture
def batch(clock: FakeClock) -> BatchSQLClient:
    auth_client = APIKeyAuthClient(BASE, KEY)
    auth_client.clock = clock
    return BatchSQLClient(auth_client)


def job(status: str, **more: Any) -> dict[str, Any]:
    return {**JOB, "status": status, **more}


def answers(*jobs: dict[str, Any]) -> None:
    """What reading the job answers, one time after the other; the last one stays."""
    for each in jobs:
        responses.get(URL + "j1", json=each)


def test_what_a_client_tells(batch: BatchSQLClient) -> None:
    assert (batch.api_url, batch.api_key) == ("api/v2/sql/job/", KEY)
    assert BatchSQLClient(batch.client, "v4").api_url == "api/v4/sql/job/"


@pytest.mark.parametrize(
    "query", ["select 1", ["select 1", "select 2"], {"query": [{"query": "select 1"}], "onerror": "select 2"}]
)
@responses.activate
def test_creating(batch: BatchSQLClient, query: Any) -> None:
    responses.post(URL, json=job("pending"), status=201)
    assert batch.create(query) == job("pending")
    sent = json.loads(str(responses.calls[0].request.body, "utf-8"))  # type: ignore[arg-type]
    assert sent["query"] == query


@responses.activate
def test_a_tuple_is_a_list(batch: BatchSQLClient) -> None:
    responses.post(URL, json=job("pending"), status=201)
    batch.create(("select 1", "select 2"))
    sent = json.loads(str(responses.calls[0].request.body, "utf-8"))  # type: ignore[arg-type]
    assert sent["query"] == ["select 1", "select 2"]


@responses.activate
def test_an_answer_that_is_no_job(batch: BatchSQLClient) -> None:
    responses.post(URL, json=["x"], status=201)
    with pytest.raises(CartoException, match="no batch job"):
        batch.create("select 1")


@responses.activate
def test_reading_quotes_the_id(batch: BatchSQLClient) -> None:
    responses.get(URL + "..%2Fx", json=job("done"))
    assert batch.read("../x")["status"] == "done"


@responses.activate
def test_cancelling(batch: BatchSQLClient) -> None:
    responses.delete(URL + "j1", json=job("cancelled"))
    assert batch.cancel("j1") == "cancelled"


@pytest.mark.parametrize("status", ["done", "failed", "cancelled"])
@responses.activate
def test_cancelling_what_is_over_tells_how_it_ended(batch: BatchSQLClient, status: str) -> None:
    text = f"Cannot set status from {status} to cancelled"
    responses.delete(URL + "j1", json={"error": [text]}, status=400)
    assert batch.cancel("j1") == status


@responses.activate
def test_cancelling_what_is_not_there(batch: BatchSQLClient) -> None:
    responses.delete(URL + "j1", json={"error": ["Job with id j1 not found"]}, status=400)
    with pytest.raises(BadRequestException, match="Job with id j1 not found"):
        batch.cancel("j1")


@responses.activate
def test_cancelling_without_a_connection(batch: BatchSQLClient) -> None:
    with pytest.raises(CartoTransportException):
        batch.cancel("j1")


@pytest.mark.parametrize("status", [404, 405])
@responses.activate
def test_updating_says_that_it_is_not_possible(batch: BatchSQLClient, status: int) -> None:
    responses.put(URL + "j1", body="Cannot PUT", status=status)
    with pytest.raises(CartoException, match="Cancel job j1 and create another"):
        batch.update("j1", "select 2")


@responses.activate
def test_updating_where_the_server_can(batch: BatchSQLClient) -> None:
    responses.put(URL + "j1", json=job("pending"))
    assert batch.update("j1", "select 2")["status"] == "pending"
    refusal = "Job is not pending, it cannot be updated"
    responses.put(URL + "j2", json={"error": [refusal]}, status=400)
    with pytest.raises(BadRequestException, match=refusal):
        batch.update("j2", "select 2")


@responses.activate
def test_listing(batch: BatchSQLClient) -> None:
    responses.get(URL, json={"jobs": [job("done")]})
    assert batch.list_jobs() == [job("done")]


@responses.activate
def test_waiting_looks_less_and_less_often(batch: BatchSQLClient, clock: FakeClock) -> None:
    responses.post(URL, json=job("pending"), status=201)
    answers(*[job("pending")] * 4, *[job("running")] * 8, job("done"))
    assert batch.create_and_wait_for_completion("select 1") == job("done")
    assert clock.slept[0] == 0.1
    assert clock.slept == sorted(clock.slept)
    assert clock.slept[-1] == 2


@responses.activate
def test_the_modules_constant_is_the_longest_interval(
    batch: BatchSQLClient, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sql_module, "BATCH_READ_STATUS_AFTER_SECONDS", 0.05)
    answers(*[job("running")] * 5, job("done"))
    batch.wait("j1")
    assert clock.slept == [0.05] * 5


@responses.activate
def test_an_interval_of_ones_own(batch: BatchSQLClient, clock: FakeClock) -> None:
    answers(*[job("running")] * 30, job("done"))
    batch.wait("j1", interval=60)
    assert clock.slept[-1] == 60


@responses.activate
def test_time_is_up(batch: BatchSQLClient, clock: FakeClock) -> None:
    answers(job("running"))
    with pytest.raises(CartoJobTimeout, match="not ended") as caught:
        batch.wait("j1", timeout=5)
    assert clock.now() == pytest.approx(5)
    assert caught.value.job == job("running")
    assert isinstance(caught.value, CartoException)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        ("failed", CartoJobFailed),
        ("unknown", CartoJobFailed),
        ("skipped", CartoJobFailed),
        ("canceled", CartoJobCancelled),
        ("cancelled", CartoJobCancelled),
    ],
)
@responses.activate
def test_a_bad_end_is_raised_with_the_whole_job(
    batch: BatchSQLClient, status: str, kind: type[CartoJobFailed]
) -> None:
    ended = job(status, failed_reason="division by zero")
    answers(job("running"), ended)
    with pytest.raises(CartoException) as caught:
        batch.wait("j1")
    assert type(caught.value) is kind
    assert caught.value.job == ended
    assert str(ended) in str(caught.value)
    assert "division by zero" in str(caught.value)


@pytest.mark.parametrize("status", ["done", "failed"])
@responses.activate
def test_a_fallback_is_waited_for(batch: BatchSQLClient, status: str) -> None:
    answers(
        job(status, fallback_status="pending"),
        job(status, fallback_status="running"),
        job(status, fallback_status="done"),
    )
    if status == "done":
        assert batch.wait("j1")["fallback_status"] == "done"
    else:
        with pytest.raises(CartoJobFailed) as caught:
            batch.wait("j1")
        assert caught.value.job["fallback_status"] == "done"


@responses.activate
def test_a_stumbling_server_does_not_end_the_wait(batch: BatchSQLClient) -> None:
    responses.get(URL + "j1", status=502)
    responses.get(URL + "j1", json=job("done"))
    assert batch.wait("j1") == job("done")


@responses.activate
def test_progress_by_a_callable(batch: BatchSQLClient) -> None:
    seen: list[str] = []
    answers(job("pending"), job("running"), job("done"))
    batch.wait("j1", progress=lambda job: seen.append(job["status"]))
    assert seen == ["pending", "running", "done"]


@responses.activate
def test_progress_on_stderr(batch: BatchSQLClient, capsys: pytest.CaptureFixture[str]) -> None:
    items = [{"query": "a", "status": "done"}, {"query": "b", "status": "pending"}]
    over = [{"query": "a", "status": "done"}, {"query": "b", "status": "done"}]
    fallback = {"query": over, "onsuccess": "c"}
    answers(
        job("pending", query=items),
        job("pending", query=items),
        job("done", query=fallback, fallback_status="running"),
        job("done", query=fallback, fallback_status="done"),
    )
    batch.wait("j1", progress=True)
    assert capsys.readouterr().err.splitlines() == [
        "j1: pending, 1 of 2 queries done",
        "j1: done, 2 of 2 queries done, fallback running",
        "j1: done, 2 of 2 queries done, fallback done",
    ]


def test_attributes_from_a_dict(batch: BatchSQLClient) -> None:
    batch.update_from_dict({"item_queue_id": "q1", "status": "done"})
    assert (vars(batch)["id"], vars(batch)["status"]) == ("q1", "done")


def test_without_a_client_of_its_own_there_is_no_interval() -> None:
    with pytest.raises(NotImplementedError):
        _batch.BatchRequests().wait("j1")
