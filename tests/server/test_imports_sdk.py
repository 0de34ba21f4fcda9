"""The SDK's imports against the real server."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
import requests

from carto_like import datasets
from carto_like.auth import APIKeyAuthClient
from carto_like.datasets import DatasetManager
from carto_like.exceptions import CartoConfigurationException, CartoException, CartoJobTimeout
from carto_like.file_import import FileImportJob, FileImportJobManager, ImportFailed
from tests.support.api import Api, TestAccount
from tests.support.datasets import Owner


@pytest.fixture
def client(account: TestAccount) -> APIKeyAuthClient:
    return APIKeyAuthClient(account.base_url, account.api_key)


@pytest.fixture
def trees(tmp_path: Path) -> Path:
    path = tmp_path / "My Trees.CSV"
    path.write_text("lat,lon,name\n1,2,oak\n3,4,elm\n")
    return path


def test_a_path_becomes_a_dataset(client: APIKeyAuthClient, trees: Path) -> None:
    states: list[str | None] = []
    manager = DatasetManager(client)
    dataset = manager.create(trees, privacy="link", progress=lambda job: states.append(job.state))
    assert (dataset.name, dataset.privacy) == ("my_trees", "LINK")
    assert dataset.table is not None
    assert dataset.table.row_count == 2
    assert states[-1] == "complete"
    assert manager.create(str(trees), create_vis=True).name == "my_trees_1"
    assert manager.create(bytes(trees)).name == "my_trees_2"
    with trees.open("rb") as file:
        assert manager.create(file).name == "my_trees_3"
        assert not file.closed
    assert manager.create(io.BytesIO(trees.read_bytes()), file_name="b.csv").name == "b"
    with pytest.raises(FileNotFoundError):
        manager.create(trees.with_name("missing.csv"))
    with pytest.raises(CartoConfigurationException, match="cannot import a int"):
        manager.create(3)  # type: ignore[arg-type]


def test_queries_and_copies_become_datasets(client: APIKeyAuthClient, owner: Owner) -> None:
    owner.dataset("trees", rows=3)
    manager = DatasetManager(client)
    assert manager.create(None, sql="SELECT * FROM trees WHERE n > 1", table_name="few").name == "few"
    assert manager.create(None, table_copy="trees", table_name="again").name == "again"


def test_booleans_are_understood(client: APIKeyAuthClient, trees: Path) -> None:
    job = FileImportJob(trees, client, type_guessing=False)
    job.wait()
    assert (job.type_guessing, job.quoted_fields_guessing, job.success) == (False, True, True)


def test_a_failure_tells_code_title_and_what_to_do(client: APIKeyAuthClient, tmp_path: Path) -> None:
    empty = tmp_path / "empty.csv"
    empty.touch()
    with pytest.raises(ImportFailed) as caught:
        DatasetManager(client).create(empty)
    failed = caught.value
    assert isinstance(failed, CartoException)
    assert (failed.code, failed.title, failed.source) == (1005, "The file is empty", "user")
    assert "header" in (failed.what_about or "")
    assert failed.job.state == "failure"
    assert str(failed) == f"{failed.title}: {failed.what_about} (error 1005)"


def test_nothing_made_is_a_failure_too(client: APIKeyAuthClient, trees: Path) -> None:
    manager = DatasetManager(client)
    manager.create(trees)
    with pytest.raises(ImportFailed) as caught:
        manager.create(trees, collision_strategy="skip")
    assert caught.value.code == 1022


def test_refusals_are_what_the_server_says(client: APIKeyAuthClient, trees: Path) -> None:
    with pytest.raises(CartoException, match="privacy"):
        DatasetManager(client).create(trees, privacy="secret")


def test_waiting_ends_when_time_is_up(
    client: APIKeyAuthClient, monkeypatch: pytest.MonkeyPatch, api: Api
) -> None:
    monkeypatch.setattr(datasets, "MAX_NUMBER_OF_RETRIES", 1)
    monkeypatch.setattr(datasets, "INTERVAL_BETWEEN_RETRIES_S", 0.2)
    with pytest.raises(CartoJobTimeout) as caught:
        DatasetManager(client).create(None, sql="SELECT 1 AS a FROM pg_sleep(2)", table_name="slow")
    job = caught.value.job
    assert [each.get_id() for each in FileImportJobManager(client).all()] == [job.get_id()]
    assert job.wait(timeout=60).name == "slow"
    assert FileImportJobManager(client).all() == []


def test_a_job_is_found_again(client: APIKeyAuthClient, trees: Path) -> None:
    job = FileImportJobManager(client).create(trees)
    job.run(privacy="public")
    job.run()
    again = FileImportJobManager(client).get(job.get_id())
    assert again == job
    assert again.wait().name == "my_trees"
    with pytest.raises(CartoConfigurationException, match="privacy"):
        job.run(privacy="private")


def test_two_requests_of_the_original_make_one_dataset(api: Api, owner: Owner) -> None:
    """It asks for an import of nothing first, and sends the file with the second request."""
    first = api.post("api/v1/imports/", json={"api_key": api.api_key, "client": "cc"})
    assert first.status_code == 200
    response = requests.post(
        f"{api.base_url}api/v1/imports/",
        params={"api_key": api.api_key, "client": "cc", "create_vis": "True"},
        files={"file": ("low.csv", b"a\n1\n")},
        timeout=60,
    )
    job = response.json()["item_queue_id"]
    assert job != first.json()["item_queue_id"]
    client = APIKeyAuthClient(api.base_url, str(api.api_key))
    assert FileImportJobManager(client).get(job).wait().name == "low"
    made = (
        "SELECT relname::text FROM pg_class "
        "WHERE relkind = 'r' AND relnamespace = current_schema()::regnamespace"
    )
    assert owner.execute(made) == [("low",)]
