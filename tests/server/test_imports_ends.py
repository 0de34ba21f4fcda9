"""Imports that something keeps from ending: a table in use, a queue that lost the job."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest

from carto_like.server.services import changes, importload, importrun, replacing
from carto_like.server.settings import Settings
from tests.support.api import Api, make_account
from tests.support.datasets import Owner, owner_of
from tests.support.imports import ended, imported, start, upload
from tests.support.rows import rows_of
from tests.support.server import RunningServer

CSV = "n\n1\n"
AGE = "UPDATE carto_like.imports SET state = 'importing', updated_at = now() - make_interval(mins => %s)"
JOB = (
    "INSERT INTO procrastinate_jobs (queue_name, task_name, lock, args, status)"
    " VALUES ('elsewhere', 'import', %s, jsonb_build_object('import_id', %s::text), 'todo')"
)


@pytest.fixture
def in_use(owner: Owner, monkeypatch: pytest.MonkeyPatch) -> Owner:
    """Somebody who takes the table ``t`` for himself as soon as it appears."""
    conclude = importrun._Run.conclude

    async def late(run: importrun._Run) -> None:
        # Not a second time, when it has it already.
        if owner.connection.info.transaction_status == psycopg.pq.TransactionStatus.IDLE:
            owner.execute("BEGIN")
            owner.execute("LOCK TABLE t IN ACCESS EXCLUSIVE MODE")
        await conclude(run)

    monkeypatch.setattr(importrun._Run, "conclude", late)
    monkeypatch.setattr(importrun, "_PRIVACY_LOOKS", 2)
    monkeypatch.setattr(changes, "_LOCK_WAIT", "50ms")
    return owner


@pytest.mark.parametrize("is_replacing", [False, True])
def test_a_table_in_use_is_public_from_its_first_moment(api: Api, in_use: Owner, is_replacing: bool) -> None:
    if is_replacing:
        in_use.dataset("t", rows=1)
    end = upload(api, "t.csv", "name,n\nx,7\n", privacy="public", collision_strategy="overwrite")
    assert (end["state"], end["table_name"]) == ("complete", "t"), end
    in_use.execute("ROLLBACK")
    assert api.get("api/v1/viz/t").json()["privacy"] == "PUBLIC"
    assert rows_of(api, "SELECT n FROM t") == [{"n": 7}]


def test_what_is_replaced_can_become_private(api: Api, owner: Owner) -> None:
    for privacy in ("public", "link", "private"):
        assert imported(api, "t.csv", CSV, privacy=privacy, collision_strategy="overwrite") == "t"
        assert api.get("api/v1/viz/t").json()["privacy"] == privacy.upper()
    assert owner.execute("SELECT has_table_privilege('publicuser', 't', 'SELECT')") == [(False,)]
    # Nothing is kept of the link.
    owner.execute("GRANT SELECT ON t TO publicuser")
    assert api.get("api/v1/viz/t").json()["privacy"] == "PUBLIC"


def test_a_table_that_stays_in_use_ends_the_import(api: Api, in_use: Owner) -> None:
    end = upload(api, "t.csv", CSV, privacy="link")
    assert (end["state"], end["success"], end["error_code"]) == ("failure", False, 2013)
    assert "t was made" in end["get_error_text"]["what_about"]
    assert "in use by another session" in end["get_error_text"]["what_about"]
    in_use.execute("ROLLBACK")
    assert api.get("api/v1/viz/t").json()["privacy"] == "PRIVATE"
    assert imported(api, "u.csv", CSV) == "u"


def test_a_table_that_is_to_be_replaced_may_be_in_use(
    api: Api, owner: Owner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replacing, "_LOCK_WAIT", "50ms")
    assert imported(api, "t.csv", CSV) == "t"
    owner.execute("BEGIN")
    owner.execute("LOCK TABLE t IN ACCESS SHARE MODE")
    end = upload(api, "t.csv", "n\n7\n", collision_strategy="overwrite")
    assert (end["state"], end["error_code"]) == ("failure", 2013)
    owner.execute("ROLLBACK")
    assert rows_of(api, "SELECT n FROM t") == [{"n": 1}]
    assert rows_of(api, "SELECT CDB_UserTables('all') AS t") == [{"t": "t"}]


def test_the_quota_cannot_be_kept_while_a_table_is_in_use(
    platform_server: RunningServer, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importload, "LOCK_WAIT", "50ms")
    monkeypatch.setattr(importrun, "LOCK_WAIT", "50ms")
    account = make_account(platform_server, quota_bytes=100_000_000)
    api = Api(account.base_url, account.api_key)
    with owner_of(settings, account) as owner:
        owner.execute("CREATE TABLE busy ()")
        owner.execute("BEGIN")
        owner.execute("LOCK TABLE busy IN ACCESS EXCLUSIVE MODE")
        end = upload(api, "t.csv", CSV)
        assert (end["state"], end["error_code"]) == ("failure", 2013)
        owner.execute("ROLLBACK")
    assert rows_of(api, "SELECT to_regclass('t') AS t") == [{"t": None}]
    assert imported(api, "t.csv", CSV) == "t"
    api.session.close()


def of_age(admin: psycopg.Connection[Any], identity: str, minutes: int) -> None:
    """Let it seem that nobody has touched the import for a while, whose job is gone."""
    admin.execute(AGE.encode() + b" WHERE id = %s", (minutes, identity))


def test_an_import_whose_job_is_gone_has_failed(api: Api, admin: psycopg.Connection[Any]) -> None:
    identity = start(api, params={"sql": "SELECT 1 AS a"})
    assert ended(api, identity)["state"] == "complete"
    address = f"api/v1/imports/{identity}"
    of_age(admin, identity, 4)
    assert api.get(address).json()["state"] == "importing"
    of_age(admin, identity, 6)
    admin.execute("SET search_path = carto_like_jobs")
    admin.execute(JOB.encode(), (identity, identity))
    assert api.get(address).json()["state"] == "importing"
    admin.execute("DELETE FROM procrastinate_jobs WHERE lock = %s", (identity,))
    told = api.get(address).json()
    assert (told["state"], told["success"], told["error_code"]) == ("failure", False, 6671)
    assert told["get_error_text"]["title"]
    of_age(admin, identity, 59)
    assert api.get("api/v1/imports").json()["imports"] == [identity]
    of_age(admin, identity, 61)
    assert api.get("api/v1/imports").json()["imports"] == []
    assert api.get(address).json()["error_code"] == 6671
