"""The SDK's synchronizations, and the commands built on them, against the real server."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import psycopg
import pytest
from click.testing import CliRunner, Result

from carto_like.auth import APIKeyAuthClient
from carto_like.cli.root import cli
from carto_like.datasets import DatasetManager
from carto_like.exceptions import CartoException, NotFoundException
from carto_like.file_import import FileImportJobManager, ImportFailed
from carto_like.sync_tables import SyncTableJob, SyncTableJobManager
from tests.support.api import Api, TestAccount
from tests.support.rows import rows_of
from tests.support.source import CSV, Source

SECRET = "s3cr3t"


@pytest.fixture
def client(account: TestAccount) -> APIKeyAuthClient:
    return APIKeyAuthClient(account.base_url, account.api_key)


@pytest.fixture
def run(account: TestAccount) -> Any:
    environment = {"CARTO_API_URL": account.base_url, "CARTO_API_KEY": account.api_key}

    def invoke(*arguments: str, code: int = 0, **more: Any) -> Result:
        result = CliRunner().invoke(cli, arguments, env=environment, **more)
        assert result.exit_code == code, result.output
        return result

    return invoke


def long_ago(admin: psycopg.Connection[Any], job: SyncTableJob) -> None:
    """Let the last run have been long ago."""
    admin.execute("UPDATE carto_like.synchronizations SET ran_at = '2000-01-01' WHERE id = %s", (job.id,))


def forced(job: SyncTableJob) -> bool | None:
    """Whether the server takes up a forced run."""
    job.force_sync()
    return job.enqueued


def test_a_dataset_follows_an_address(
    client: APIKeyAuthClient, source: Source, admin: psycopg.Connection[Any], api: Api
) -> None:
    states: list[str | None] = []
    dataset = DatasetManager(client).create(
        source.url("Trees.CSV"), 900, privacy="link", progress=lambda job: states.append(job.state)
    )
    assert (dataset.name, dataset.privacy, states[-1]) == ("trees", "LINK", "success")
    assert dataset.synchronization is not None
    jobs = SyncTableJobManager(client).all()
    assert [job.get_id() for job in jobs] == [dataset.synchronization.get_id()]
    job = SyncTableJobManager(client).get(jobs[0].id)
    assert (job.name, job.interval, job.url) == ("trees", 900, source.url("Trees.CSV"))
    answers = [forced(job)]
    long_ago(admin, job)
    source.content = CSV + b"7,8,9\n"
    assert [*answers, forced(job)] == [False, True]
    assert job.wait(timeout=60).id == dataset.id
    assert rows_of(api, "SELECT count(*) AS n FROM trees") == [{"n": 3}]
    job.interval = 7200
    job.save()
    assert SyncTableJobManager(client).get(job.id).interval == 7200
    job.delete()
    assert SyncTableJobManager(client).all() == []
    DatasetManager(client).get("trees").delete()
    with pytest.raises(NotFoundException):
        DatasetManager(client).get("trees")


def test_failures_say_why(client: APIKeyAuthClient, source: Source) -> None:
    source.status = 404
    with pytest.raises(ImportFailed) as caught:
        DatasetManager(client).create(source.url(), 900)
    assert (caught.value.code, "gone" in str(caught.value)) == (1017, True)
    with pytest.raises(CartoException, match="900"):
        DatasetManager(client).create(source.url(), 60)
    with pytest.raises(CartoException, match="connector"):
        DatasetManager(client).create(None, 900, connection={"connector": {"provider": "none"}})
    assert FileImportJobManager(client).all() == []


def test_the_import_command(run: Any, source: Source, tmp_path: Path) -> None:
    file = tmp_path / "Oaks.csv"
    file.write_bytes(CSV)
    done = run("import", str(file), "--privacy", "public", "--json")
    told = json.loads(done.stdout)
    assert (told["name"], told["privacy"], told["rows"]) == ("oaks", "PUBLIC", 2)
    assert done.stderr.endswith("complete\n")
    done = run("import", "-", "--no-type-guessing", input=f"{source.url()}?token={SECRET}\n")
    assert "trees" in done.stdout
    assert SECRET not in done.output
    assert "(error 1022)" in run("import", str(file), "--collision", "skip", code=1).output
    assert "No such file" in run("import", str(tmp_path / "no.csv"), code=1).output
    run("import", "-", input="no address\n", code=2)


def test_the_sync_commands(run: Any, source: Source, admin: psycopg.Connection[Any], api: Api) -> None:
    done = run("sync", "create", "-", "--interval", "900", "--json", input=source.url())
    made = json.loads(done.stdout)
    assert (made["name"], made["state"], made["dataset"]["rows"]) == ("trees", "success", 2)
    assert made["id"] in done.stderr
    listed = json.loads(run("sync", "list", "--json").stdout)
    assert [(each["id"], each["interval"]) for each in listed] == [(made["id"], 900)]
    assert "trees" in run("sync", "list").stdout
    assert "a short time ago" in run("sync", "force", "trees", code=1).output
    admin.execute("UPDATE carto_like.synchronizations SET ran_at = '2000-01-01' WHERE id = %s", (made["id"],))
    source.content = CSV + b"7,8,9\n"
    assert json.loads(run("sync", "force", made["id"], "--wait", "--json").stdout)["state"] == "success"
    assert rows_of(api, "SELECT count(*) AS n FROM trees") == [{"n": 3}]
    assert "follows its source no more" in run("sync", "delete", "trees").stderr
    assert "no synchronization trees" in run("sync", "delete", "trees", code=1).output
    assert rows_of(api, "SELECT count(*) AS n FROM trees") == [{"n": 3}]
