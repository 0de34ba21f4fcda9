"""Imports: one request each, what it carries, and how its end is told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import responses

from carto_like import datasets
from carto_like.auth import APIKeyAuthClient
from carto_like.datasets import DatasetManager
from carto_like.exceptions import CartoException, CartoJobTimeout, CartoResponseFormatException
from carto_like.file_import import FileImportJob, FileImportJobManager, ImportFailed
from tests.support.clock import FakeClock
from tests.unit.sent import sent_json, sent_paths, sent_query

ROOT = "https://ana.carto.com/"
IMPORTS = ROOT + "api/v1/imports/"
ID = "0d1c2c9e-8f3e-4d43-9d2a-6f0f1f6f2a11"
TABLE = "5be02c9e-8f3e-4d43-9d2a-6f0f1f6f2a11"
VIZ = "77aa2c9e-8f3e-4d43-9d2a-6f0f1f6f2a11"
MAP = "99bb2c9e-8f3e-4d43-9d2a-6f0f1f6f2a11"
DONE: dict[str, Any] = {
    "id": ID,
    "state": "complete",
    "success": True,
    "table_id": TABLE,
    "table_name": "trees",
}


@pytest.fixture
def client() -> APIKeyAuthClient:
    return APIKeyAuthClient(ROOT, "secret-key")


@pytest.fixture
def trees(tmp_path: Path) -> Path:
    path = tmp_path / "httpTrees.CSV"
    path.write_text("a\n1\n")
    return path


def accept() -> None:
    responses.post(IMPORTS, json={"item_queue_id": ID, "success": True})


def state(**members: Any) -> None:
    responses.get(IMPORTS + ID, json={"id": ID, **members})


def dataset() -> None:
    responses.get(f"{ROOT}api/v1/tables/{TABLE}", json={"id": TABLE, "table_visualization": {"id": VIZ}})
    responses.get(f"{ROOT}api/v1/viz/{VIZ}", json={"id": VIZ, "name": "trees"})


@responses.activate
def test_an_import_is_one_request_with_all_that_was_said(client: APIKeyAuthClient, trees: Path) -> None:
    accept()
    job = FileImportJobManager(client).create(trees, privacy="link")
    assert sent_paths() == []
    assert repr(job) == "<FileImportJob item_queue_id=None>"
    assert job != FileImportJobManager(client).create(trees)
    assert job in {job}
    job.run(type_guessing=False, create_vis=True, user_defined_limits={"twitter_credits_limit": 0}, sql=None)
    assert job.get_id() == ID
    job.run()
    assert sent_paths() == ["POST /api/v1/imports/"]
    query = sent_query()
    assert {
        name: query[name] for name in ("privacy", "type_guessing", "create_vis", "user_defined_limits")
    } == {
        "privacy": "link",
        "type_guessing": "false",
        "create_vis": "true",
        "user_defined_limits": '{"twitter_credits_limit": 0}',
    }
    assert "sql" not in query
    with pytest.raises(CartoException, match="privacy"):
        job.run(privacy="public")


@responses.activate
@pytest.mark.parametrize("start", ["get_id", "refresh"])
def test_whatever_needs_the_job_starts_it(client: APIKeyAuthClient, trees: Path, start: str) -> None:
    accept()
    state(state="importing")
    job = FileImportJob(str(trees), client)
    getattr(job, start)()
    assert job.item_queue_id == ID
    assert sent_paths()[0] == "POST /api/v1/imports/"


def test_a_job_of_nothing_has_no_id(client: APIKeyAuthClient) -> None:
    job = FileImportJob(None, client)
    assert job.get_id() is None
    with pytest.raises(CartoException, match="run it first"):
        job.refresh()


@responses.activate
def test_addresses_and_connections_are_passed_as_they_are(client: APIKeyAuthClient) -> None:
    accept()
    FileImportJob("HTTPS://Example.com/Trees.CSV?Key=Aa", client).run()
    assert sent_query()["url"] == "HTTPS://Example.com/Trees.CSV?Key=Aa"
    connection = {"connector": {"provider": "postgres"}}
    FileImportJob(None, client, connection=connection).run(privacy="link")
    body = sent_json()
    assert (body["connector"], body["privacy"]) == ({"provider": "postgres"}, "link")
    assert connection == {"connector": {"provider": "postgres"}}
    assert "connector" not in FileImportJob.fields


@responses.activate
def test_waiting_looks_often_at_first_and_goes_on_through_outages(
    client: APIKeyAuthClient, trees: Path
) -> None:
    accept()
    state(state="pending")
    state(state="importing")
    responses.get(IMPORTS + ID, status=502)
    state(state="guessing")
    state(**DONE, visualization_id=MAP)
    dataset()
    clock = client.clock = FakeClock()
    job = FileImportJob(trees, client)
    seen: list[str | None] = []
    made = job.wait(timeout=60, progress=lambda job: seen.append(job.state), clock=clock)
    assert (made.id, made.name, job.visualization_id) == (VIZ, "trees", MAP)
    assert seen == ["pending", "importing", "guessing", "complete"]
    # The third wait is the request's own, after the outage.
    assert clock.slept == pytest.approx([0.05, 0.075, 1.0, 0.1125])


@responses.activate
@pytest.mark.parametrize("end", ["failure", "stuck", "unheard of"])
def test_a_bad_end_tells_why(client: APIKeyAuthClient, trees: Path, end: str) -> None:
    accept()
    told = {"title": "Empty", "what_about": "Fill it", "source": "user"}
    state(state=end, success=False, error_code=1005, get_error_text=told)
    with pytest.raises(ImportFailed, match=r"Empty: Fill it \(error 1005\)") as caught:
        FileImportJob(trees, client).wait()
    failed = caught.value
    assert (failed.code, failed.title, failed.what_about, failed.source) == (1005, "Empty", "Fill it", "user")


@responses.activate
def test_time_runs_out_as_the_constants_say(
    client: APIKeyAuthClient, trees: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    accept()
    state(state="importing")
    monkeypatch.setattr(datasets, "MAX_NUMBER_OF_RETRIES", 1)
    monkeypatch.setattr(datasets, "INTERVAL_BETWEEN_RETRIES_S", 0)
    with pytest.raises(CartoJobTimeout) as caught:
        DatasetManager(client).create(trees)
    assert caught.value.job.get_id() == ID


@responses.activate
def test_answers_without_ids_are_told_of(client: APIKeyAuthClient, trees: Path) -> None:
    responses.post(IMPORTS, json={"success": True})
    with pytest.raises(CartoResponseFormatException):
        FileImportJob(trees, client).run()


@responses.activate
def test_lists_hold_jobs_with_ids_only(client: APIKeyAuthClient) -> None:
    responses.get(IMPORTS, json={"imports": [ID], "success": True})
    jobs = FileImportJobManager(client).all()
    assert [job.get_id() for job in jobs] == [ID]
    assert jobs[0].state is None
