"""Changing and deleting an account: all of it goes, whoever is connected, or nothing does."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from carto_like.server.errors import Problem
from carto_like.server.services import removal
from carto_like.server.services.importrun import run_import
from tests.conftest import MakeServer
from tests.support.api import Api, TestAccount, make_account
from tests.support.datasets import owner_of
from tests.support.raw import active_queries, eventually, sessions
from tests.support.server import RunningServer

Admin = psycopg.Connection[Any]


def traces(admin: Admin, account: TestAccount) -> list[Any]:
    """What the database still knows of a user."""
    queries = {
        "SELECT rolname FROM pg_roles WHERE rolname LIKE %s": f"%{account.name}%",
        "SELECT nspname FROM pg_namespace WHERE nspname = %s": account.schema,
        "SELECT name FROM carto_like.users WHERE id = %s": account.account.id,
        "SELECT name FROM carto_like.api_keys WHERE user_id = %s": account.account.id,
        "SELECT table_name FROM carto_like.datasets WHERE account_id = %s": account.account.id,
        "SELECT schema FROM cartodb._CDB_Quotas WHERE schema = %s": account.schema,
    }
    rows = [row for query, value in queries.items() for row in admin.execute(query, (value,)).fetchall()]
    # Tables that other tests dropped by SQL leave their rows behind: only ours must not.
    return (
        rows
        + admin.execute(
            "SELECT tabname FROM cartodb.CDB_TableMetadata_Text WHERE tabname LIKE %s",
            (f"{account.schema}.%",),
        ).fetchall()
    )


def test_nothing_of_a_deleted_user_stays(api: Api, account: TestAccount, settings: Any, admin: Admin) -> None:
    with owner_of(settings, account) as owner:
        owner.dataset("trees", rows=100)
        owner.dataset("lamps")
        owner.execute("GRANT SELECT ON trees TO publicuser")
        owner.execute("CREATE VIEW tall AS SELECT * FROM trees")
        owner.execute("CREATE FUNCTION twice(int) RETURNS int LANGUAGE sql AS 'SELECT 2 * $1'")
        owner.execute("CREATE TYPE size AS ENUM ('small', 'large')")
    assert len(api.get("api/v1/viz", params={"types": "table"}).json()["visualizations"]) == 2
    assert traces(admin, account) != []
    answer = api.delete("api/v3/me")
    assert answer.status_code == 200
    assert traces(admin, account) == []
    assert api.get("api/v1/users/me").status_code == 404
    assert api.sql("SELECT 1").status_code == 404


def test_a_name_is_free_again(api: Api, account: TestAccount, platform_server: RunningServer) -> None:
    assert api.delete("api/v3/me").status_code == 200
    again = make_account(platform_server, account.name)
    assert api.get("api/v1/users/me").status_code == 401
    assert api.with_key(again.api_key).get("api/v1/users/me").json()["username"] == account.name


def test_running_queries_end(api: Api, account: TestAccount, settings: Any, admin: Admin) -> None:
    statuses: list[int] = []
    running = threading.Thread(target=lambda: statuses.append(api.sql("SELECT pg_sleep(60)").status_code))
    with owner_of(settings, account) as owner:
        owner.dataset("trees")
        owner.execute("BEGIN")
        owner.execute("LOCK TABLE trees")
        running.start()
        eventually(lambda: len(active_queries(admin, account.role)) == 1, "the query runs")
        other = Api(account.base_url, account.api_key)
        try:
            assert other.delete("api/v3/me").status_code == 200
        finally:
            other.session.close()
        with pytest.raises(psycopg.OperationalError):
            owner.execute("SELECT 1")
    running.join(30)
    assert statuses == [500]
    assert sessions(admin, account.role) == set()
    assert traces(admin, account) == []


def test_sessions_that_keep_coming_are_ended(
    account: TestAccount, platform_server: RunningServer, admin: Admin
) -> None:
    """Requests go on while the user is deleted, and each of them is answered."""
    stop = threading.Event()
    statuses: set[int] = set()

    def ask() -> None:
        client = Api(account.base_url, account.api_key)
        while not stop.is_set():
            statuses.add(client.sql("SELECT count(*) FROM trees, pg_sleep(0.01)").status_code)
        client.session.close()

    with owner_of(platform_server.settings, account) as owner:
        owner.dataset("trees", rows=10)
    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    eventually(lambda: 200 in statuses, "queries are answered")
    platform_server.on_server(platform_server.app.platform.users.delete(account.account))
    eventually(lambda: 404 in statuses, "the user is unknown")
    stop.set()
    for thread in threads:
        thread.join(30)
    # Who got in at the last moment finds nothing there, or is cut off.
    assert statuses <= {200, 400, 404, 500}
    assert traces(admin, account) == []


def test_a_table_that_others_hold_is_waited_for_and_nothing_is_lost(
    account: TestAccount, platform_server: RunningServer, admin: Admin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(removal, "_LOCK_WAITS", ("100ms", "200ms"))
    with owner_of(platform_server.settings, account) as owner:
        owner.dataset("trees", rows=10)
    users = platform_server.app.platform.users
    before = traces(admin, account)
    with admin.transaction():
        admin.execute(f'LOCK TABLE "{account.schema}".trees IN ACCESS SHARE MODE'.encode())
        with pytest.raises(Problem, match="Try again") as caught:
            platform_server.on_server(users.delete(account.account))
    assert caught.value.status == 503
    assert traces(admin, account) == before
    with owner_of(platform_server.settings, account) as owner:
        assert owner.execute("SELECT count(*) FROM trees") == [(10,)]
    platform_server.on_server(users.delete(account.account))
    assert traces(admin, account) == []
    with pytest.raises(Problem) as gone:
        platform_server.on_server(users.delete(account.account))
    assert gone.value.status == 404


def test_many_tables_go_at_once(account: TestAccount, platform_server: RunningServer, admin: Admin) -> None:
    with owner_of(platform_server.settings, account) as owner:
        owner.execute(
            "DO $$ BEGIN FOR i IN 1..1800 LOOP EXECUTE format('CREATE TABLE t%s (a text PRIMARY KEY)', i);"
            " IF i % 100 = 0 THEN COMMIT; END IF; END LOOP; END $$"
        )
    platform_server.on_server(platform_server.app.platform.users.delete(account.account))
    assert traces(admin, account) == []


@pytest.mark.parametrize("key", [None, "default_public", "wrong"])
def test_only_the_master_key_changes_or_deletes(api: Api, key: str | None) -> None:
    other = api.with_key(key)
    for answer in (
        other.delete("api/v3/me"),
        other.put("api/v3/me", json={"email": "a@b.example"}),
        other.put("api/v1/users/me", json={"email": "a@b.example"}),
    ):
        assert (answer.status_code, answer.content) == (401, b"")
    assert api.get("api/v1/users/me").json()["email"] is None


@pytest.mark.parametrize("path", ["api/v3/me", "api/v1/users/whoever"])
def test_an_account_changes_itself(api: Api, path: str) -> None:
    email = f"{uuid4().hex}@b.example"
    told = api.put(path, json={"user": {"email": email, "website": "https://b.example", "name": "Ana"}})
    assert told.status_code == 200
    changed = api.get("api/v1/users/me").json()
    assert (changed["email"], changed["website"], changed["name"]) == (email, "https://b.example", "Ana")
    assert {name: told.json()[name] for name in ("email", "website", "name")} == {
        name: changed[name] for name in ("email", "website", "name")
    }
    flat = api.put(path, json={"website": None, "quota_in_bytes": 5, "org_admin": True})
    assert (flat.json()["website"], flat.json()["name"], flat.json()["org_admin"]) == (None, "Ana", False)
    assert flat.json()["quota_in_bytes"] == changed["quota_in_bytes"]
    assert api.anonymous.get("api/v3/me").status_code == 200
    identity = api.get("api/v4/me").json()
    assert identity["first_name"] == "Ana"


@pytest.mark.parametrize("wrong", [{"email": "x"}, {"name": 5}, {"website": "a\0b"}, {"name": "x" * 3000}])
def test_wrong_facts_are_refused(api: Api, wrong: dict[str, Any]) -> None:
    answer = api.put("api/v3/me", json=wrong)
    assert answer.status_code == 422
    assert answer.json()["errors"]
    assert api.get("api/v1/users/me").json()["email"] is None


def test_jobs_of_a_deleted_user_end_and_those_of_others_go_on(
    api: Api, account: TestAccount, platform_server: RunningServer, admin: Admin
) -> None:
    for query in ("SELECT pg_sleep(60)", "SELECT 1"):
        assert api.post("api/v2/sql/job", json={"query": query}).status_code == 201
    eventually(lambda: active_queries(admin, account.role) != [], "the job runs")
    assert api.delete("api/v3/me").status_code == 200
    assert traces(admin, account) == []
    other = make_account(platform_server)
    api = Api(other.base_url, other.api_key)
    job = api.post("api/v2/sql/job", json={"query": "CREATE TABLE made AS SELECT 1 AS one"}).json()["job_id"]
    eventually(
        lambda: api.get(f"api/v2/sql/job/{job}").json()["status"] == "done", "another user's job is done"
    )
    left = (
        "SELECT count(*) FROM carto_like_jobs.procrastinate_jobs"
        " WHERE lock LIKE %s AND status IN ('todo', 'doing')"
    )
    eventually(
        lambda: admin.execute(left, (f"%{account.account.id}",)).fetchone() == (0,),
        "nothing of his is left to do",
    )
    api.session.close()


def test_an_import_of_a_deleted_user_leaves_no_file(
    account: TestAccount, make_server: MakeServer, tmp_path: Path, platform_server: RunningServer
) -> None:
    waiting = make_server(settings={"worker": False, "uploads_dir": tmp_path})
    api = Api(f"{waiting.base_url}user/{account.name}/", account.api_key)
    answer = api.post("api/v1/imports", files={"file": ("trees.csv", "name,n\noak,1\n")})
    assert answer.status_code == 200
    [folder] = tmp_path.iterdir()
    assert api.delete("api/v3/me").status_code == 200
    api.session.close()
    waiting.on_server(run_import(waiting.app.platform, UUID(folder.name)))
    assert list(tmp_path.iterdir()) == []
