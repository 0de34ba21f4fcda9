"""Synchronizations: what is sent for each, and that none of the original's mistakes is made."""

from __future__ import annotations

from typing import Any

import pytest
import responses

from carto_like import datasets
from carto_like.auth import APIKeyAuthClient
from carto_like.datasets import DatasetManager
from carto_like.exceptions import (
    CartoConfigurationException,
    CartoException,
    CartoJobTimeout,
    CartoResponseFormatException,
)
from carto_like.file_import import FileImportJob, ImportFailed
from carto_like.sync_tables import SyncTableJob, SyncTableJobManager
from tests.support.clock import FakeClock
from tests.unit.sent import sent_json, sent_paths, sent_query

pytestmark = pytest.mark.filterwarnings("ignore::carto_like.resources.NonPublicApiWarning")

ROOT = "https://ana.carto.com/"
SYNCS = ROOT + "api/v1/synchronizations/"
ID = "0d1c2c9e-8f3e-4d43-9d2a-6f0f1f6f2a11"
VIZ = "77aa2c9e-8f3e-4d43-9d2a-6f0f1f6f2a11"
URL = "https://example.com/Trees.CSV?Key=Aa"
CONNECTION = {"connector": {"provider": "postgres", "table": "trees"}}


@pytest.fixture
def client() -> APIKeyAuthClient:
    return APIKeyAuthClient(ROOT, "secret-key")


def accept(**members: Any) -> None:
    responses.post(SYNCS, json={"id": ID, "state": "queued", "interval": 900, "url": URL, **members})


def state(**members: Any) -> None:
    responses.get(SYNCS + ID, json={"id": ID, **members})


def dataset() -> None:
    responses.get(f"{ROOT}api/v1/viz/{VIZ}", json={"id": VIZ, "name": "trees"})


def body(call: int = 0) -> dict[str, Any]:
    sent = sent_json(call)
    return {name: value for name, value in sent.items() if name not in ("api_key", "client")}


@responses.activate
def test_a_synchronization_is_one_request_in_json(client: APIKeyAuthClient) -> None:
    accept()
    job = SyncTableJobManager(client).create(URL, 900, type_guessing=False, privacy=None)
    assert sent_paths() == ["POST /api/v1/synchronizations/"]
    assert body() == {"url": URL, "interval": 900, "type_guessing": False}
    assert (job.get_id(), job.state, job.interval) == (ID, "queued", 900)
    job.run()
    with pytest.raises(CartoConfigurationException, match="privacy"):
        job.run(privacy="link")
    assert len(sent_paths()) == 1


@responses.activate
def test_it_starts_with_whatever_comes_first(client: APIKeyAuthClient) -> None:
    accept()
    state(state="success")
    job = SyncTableJob(URL, 900, client, privacy="link")
    assert (repr(job), str(job), sent_paths()) == ("<SyncTableJob id=None>", "<SyncTableJob id=None>", [])
    assert job != SyncTableJob(URL, 900, client)
    assert job in {job}
    job.refresh()
    assert sent_paths() == ["POST /api/v1/synchronizations/", f"GET /api/v1/synchronizations/{ID}"]
    assert body() == {"url": URL, "interval": 900, "privacy": "link"}
    assert (str(job), job.state) == (ID, "success")


@responses.activate
def test_forcing_names_the_synchronization_and_reads_the_answer(client: APIKeyAuthClient) -> None:
    accept()
    path = SYNCS + ID + "/sync_now"
    responses.put(path, json={"enqueued": True, "synchronization_id": ID})
    job = SyncTableJobManager(client).create(URL, 900)
    assert job.get_force_sync_endpoint() == f"api/v1/synchronizations/{ID}/sync_now"
    job.force_sync()
    assert (job.enqueued, job.synchronization_id, job.id) == (True, ID, ID)
    assert sent_paths()[1:] == [f"PUT /api/v1/synchronizations/{ID}/sync_now"]
    responses.replace(responses.PUT, path, status=401)
    with pytest.raises(CartoException):
        job.force_sync()
    with pytest.raises(CartoException, match="no id"):
        SyncTableJob(None, None, client).force_sync()


@responses.activate
def test_lists_really_list(client: APIKeyAuthClient) -> None:
    told = [{"id": ID, "name": "trees", "state": "success"}, {"id": VIZ, "error_code": 1017}]
    responses.get(SYNCS, json={"synchronizations": told, "total_entries": 2})
    found = SyncTableJobManager(client).all()
    assert [(job.id, job.name, job.state, job.error_code) for job in found] == [
        (ID, "trees", "success", None),
        (VIZ, None, None, 1017),
    ]
    assert sent_query() == {**sent_query(), "page": "1"}
    responses.get(SYNCS + ID, json=told[0])
    assert SyncTableJobManager(client).get(ID) == found[0]


@responses.activate
def test_what_is_changed_is_saved_and_nothing_else(client: APIKeyAuthClient) -> None:
    state(state="success", interval=900, url=URL, name="trees", etag="x")
    responses.put(SYNCS + ID, json={"id": ID, "interval": 7200})
    responses.delete(SYNCS + ID, status=204)
    job = SyncTableJobManager(client).get(ID)
    job.interval = 7200
    job.save()
    assert body(1) == {"interval": 7200}
    job.delete()
    assert sent_paths()[-1] == f"DELETE /api/v1/synchronizations/{ID}"
    assert SyncTableJob(URL, 900, client).delete() is None
    assert len(sent_paths()) == 3


@responses.activate
@pytest.mark.parametrize("waiting", ["created", "queued", "syncing"])
def test_waiting_goes_through_every_state_of_a_run(client: APIKeyAuthClient, waiting: str) -> None:
    accept()
    state(state=waiting)
    state(state="success", visualization_id=VIZ)
    dataset()
    clock, shown = FakeClock(), []
    job = SyncTableJobManager(client).create(URL, 900)
    assert job.wait(60, lambda job: shown.append(job.state), clock=clock).name == "trees"
    assert shown == [waiting, "success"]
    assert clock.slept == [0.05]


@responses.activate
def test_a_run_that_failed_tells_why(client: APIKeyAuthClient) -> None:
    accept()
    state(state="failure", error_code=1017, error_message="The source is gone")
    with pytest.raises(ImportFailed, match=r"^The source is gone \(error 1017\)$") as caught:
        SyncTableJobManager(client).create(URL, 900).wait(clock=FakeClock())
    assert (caught.value.code, caught.value.what_about) == (1017, "The source is gone")
    state(state="mended")
    with pytest.raises(ImportFailed, match="mended"):
        SyncTableJobManager(client).get(ID).wait(clock=FakeClock())


@responses.activate
def test_waiting_ends(client: APIKeyAuthClient) -> None:
    accept()
    state(state="queued")
    with pytest.raises(CartoJobTimeout):
        SyncTableJobManager(client).create(URL, 900).wait(30, clock=FakeClock())
    with pytest.raises(CartoException, match="no dataset yet"):
        SyncTableJobManager(client).get(ID).get_dataset()


@responses.activate
def test_a_dataset_may_follow_an_address(client: APIKeyAuthClient, monkeypatch: pytest.MonkeyPatch) -> None:
    accept()
    state(state="success", visualization_id=VIZ)
    dataset()
    monkeypatch.setattr(datasets, "INTERVAL_BETWEEN_RETRIES_S", 0)
    found = DatasetManager(client).create(URL, 900, privacy="link", quoted_fields_guessing=False)
    assert found.name == "trees"
    sent = {"url": URL, "interval": 900, "privacy": "link", "quoted_fields_guessing": False}
    assert body() == sent


@responses.activate
def test_a_connection_is_followed_and_changes_no_class(client: APIKeyAuthClient) -> None:
    accept()
    state(state="success", visualization_id=VIZ)
    dataset()
    before = list(SyncTableJob.fields), list(FileImportJob.fields)
    given = dict(CONNECTION)
    DatasetManager(client).create(None, 900, connection=given, type_guessing=False)
    assert body() == {"interval": 900, "type_guessing": False, **CONNECTION}
    assert given == CONNECTION
    assert (list(SyncTableJob.fields), list(FileImportJob.fields)) == before


@pytest.mark.parametrize("archive", ["trees.csv", "httpTrees.csv", b"x.csv", 3])
def test_only_addresses_are_followed(client: APIKeyAuthClient, archive: Any) -> None:
    with pytest.raises(CartoException, match="only an http or https address"):
        DatasetManager(client).create(archive, 900)
    with pytest.raises(CartoException, match="only an http or https address"):
        SyncTableJobManager(client).create(archive, 900)


@responses.activate
def test_an_answer_without_an_id_is_told_of(client: APIKeyAuthClient) -> None:
    responses.post(SYNCS, json={"state": "queued"})
    with pytest.raises(CartoResponseFormatException, match="does not name"):
        SyncTableJobManager(client).create(URL, 900)
    with pytest.raises(CartoException, match="run it first"):
        SyncTableJob(None, None, client).refresh()
