"""Datasets through the whole platform: with SQL by HTTP, other keys, and a database that fails half-way."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from carto_like.server.errors import Problem
from carto_like.server.services import changes
from carto_like.server.services.datasets import Datasets
from tests.support.api import Api, TestAccount, make_account
from tests.support.datasets import Owner
from tests.support.server import RunningServer

VIZ = "api/v1/viz/"


def put(api: Api, viz: dict[str, Any], **values: Any) -> int:
    return api.put(VIZ + viz["id"], json={"id": viz["id"], **values}).status_code


def test_a_table_made_by_http_is_found_right_after(api: Api) -> None:
    made = api.sql(
        "CREATE TABLE trees (name text); INSERT INTO trees VALUES ('oak');"
        " SELECT CDB_CartodbfyTable(current_schema(), 'trees')"
    )
    assert made.status_code == 200, made.text
    viz = api.get(VIZ + "trees", params={"type": "table"}).json()
    assert (viz["name"], viz["privacy"], viz["table"]["row_count"]) == ("trees", "PRIVATE", 1)
    api.sql("DROP TABLE trees")
    assert api.get(VIZ + viz["id"]).status_code == 404


def test_sql_without_a_key_reads_what_is_public_or_linked(api: Api) -> None:
    api.sql("CREATE TABLE trees (name text); SELECT CDB_CartodbfyTable(current_schema(), 'trees')")
    viz = api.get(VIZ + "trees").json()
    for privacy, status, public in (("LINK", 200, 0), ("PUBLIC", 200, 1), ("PRIVATE", 403, 0)):
        assert put(api, viz, privacy=privacy) == 200
        for stranger in (api.anonymous, api.with_key("default_public")):
            assert stranger.sql("SELECT * FROM trees").status_code == status
            assert stranger.sql("EXPLAIN SELECT * FROM trees").status_code == status
            listed = stranger.get(VIZ, params={"type": "table"}).json()
            assert len(listed["visualizations"]) == listed["total_entries"] == public


@pytest.fixture
def regular_key(platform_server: RunningServer, account: TestAccount) -> str:
    """The token of a key that is neither the master's nor everybody's."""
    platform = platform_server.app.platform
    token = uuid4().hex

    async def make() -> None:
        async with platform.database.metadata() as connection:
            role = f"{account.role}_k_{token[:8]}"
            await platform.users.make_role(connection, role, [account.public_role])
            await platform.users._add_key(connection, account.account, "k", "regular", role, token)
        platform.users.forget()

    platform_server.on_server(make())
    return token


def test_a_regular_key_is_no_owner(api: Api, owner: Owner, regular_key: str) -> None:
    owner.dataset("trees")
    viz = api.get(VIZ + "trees").json()
    regular = api.with_key(regular_key)
    assert regular.get(VIZ, params={"type": "table"}).json()["visualizations"] == []
    assert regular.get(VIZ + "trees").status_code == 403
    for answer in (
        regular.put(VIZ + viz["id"], json={"id": viz["id"], "title": "T"}),
        regular.delete(VIZ + viz["id"]),
        regular.get("api/v1/tables/trees"),
        regular.get("api/v1/users/me"),
    ):
        assert (answer.status_code, answer.content) == (401, b"")
    assert "user_data" not in regular.get("api/v3/me").json()
    assert regular.get("api/v4/me").status_code == 200


def test_a_regular_key_sees_only_itself(api: Api, regular_key: str) -> None:
    regular = api.with_key(regular_key)
    body = regular.get("api/v3/api_keys").json()
    assert (body["total"], body["result"][0]["name"], body["result"][0]["type"]) == (1, "k", "regular")
    assert regular.get("api/v3/api_keys/k").json()["token"] == regular_key
    assert regular.get("api/v3/api_keys/Master").status_code == 404
    kinds = [key["type"] for key in api.get("api/v3/api_keys").json()["result"]]
    assert kinds == ["master", "default", "regular"]


@pytest.fixture
def failing_commit(admin: psycopg.Connection[Any]) -> Iterator[str]:
    """A title with which the platform's metadata fails, but only when it is committed."""
    title, name = uuid4().hex, f"fail_{uuid4().hex}"
    admin.execute(
        f"CREATE FUNCTION carto_like.{name}() RETURNS trigger LANGUAGE plpgsql AS"
        f" $$ BEGIN IF new.title = '{title}' THEN RAISE 'the disk is full'; END IF; RETURN NULL; END $$"
    )
    admin.execute(
        f"CREATE CONSTRAINT TRIGGER {name} AFTER UPDATE ON carto_like.datasets DEFERRABLE INITIALLY DEFERRED"
        f" FOR EACH ROW EXECUTE FUNCTION carto_like.{name}()"
    )
    yield title
    admin.execute(f"DROP FUNCTION carto_like.{name} CASCADE")


@pytest.mark.parametrize(
    "values", [{"name": "woods"}, {"privacy": "LINK"}, {"name": "woods", "privacy": "PUBLIC"}]
)
def test_when_metadata_cannot_be_committed_the_table_stays_as_it_was(
    api: Api, owner: Owner, failing_commit: str, values: dict[str, str]
) -> None:
    owner.dataset("trees", rows=1)
    viz = api.get(VIZ + "trees").json()
    assert put(api, viz, title=failing_commit, **values) == 500
    assert api.get(VIZ + viz["id"]).json() == viz
    assert put(api, viz, title="fine", **values) == 200


def test_a_dataset_that_was_to_be_closed_is_closed_whatever_fails(
    api: Api, owner: Owner, failing_commit: str
) -> None:
    owner.dataset("trees", rows=1)
    viz = api.get(VIZ + "trees").json()
    assert put(api, viz, privacy="LINK") == 200
    assert put(api, viz, title=failing_commit, privacy="PRIVATE") == 500
    after = api.get(VIZ + viz["id"]).json()
    assert (after["privacy"], after["title"]) == ("PRIVATE", None)
    assert put(api, viz, privacy="PRIVATE", title="fine") == 200


def test_a_table_that_is_swapped_under_a_request_is_not_touched(
    api: Api, owner: Owner, platform_server: RunningServer, account: TestAccount
) -> None:
    """Between finding a dataset and dropping its table another table can get the name."""
    owner.dataset("trees")
    database = platform_server.app.platform.database
    found = platform_server.on_server(Datasets(database).find(account.account, "trees"))
    assert found is not None
    owner.execute("ALTER TABLE trees RENAME TO woods")
    owner.dataset("trees", rows=3)
    for work in (
        changes.drop(database, account.account, found),
        changes.change(database, account.account, found, changes.Changes(name="parks")),
        changes.change(database, account.account, found, changes.Changes(privacy="public")),
    ):
        with pytest.raises(Problem) as refused:
            platform_server.on_server(work)
        assert refused.value.status == 404
    assert owner.execute("SELECT count(*) FROM trees") == [(3,)]
    assert api.get(VIZ + "trees").json()["privacy"] == "PRIVATE"


def test_the_database_may_lose_its_sessions_between_two_requests(
    api: Api, owner: Owner, admin: psycopg.Connection[Any]
) -> None:
    owner.dataset("trees", rows=1)
    viz = api.get(VIZ + "trees").json()
    admin.execute(
        "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity"
        " WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'"
    )
    assert api.get(VIZ + "trees").json() == viz
    assert put(api, viz, name="woods", privacy="PUBLIC") == 200


def test_no_connection_for_the_figures_is_a_503_that_says_when(
    make_server: Any, api: Api, owner: Owner, account: TestAccount
) -> None:
    server = make_server(connections=1, connection_wait=0.1)
    busy = Api(f"{server.base_url}user/{account.name}/", account.api_key)
    busy.session.close()
    busy.session = api.session
    owner.dataset("trees", rows=1)
    database = server.app.platform.database
    borrowed = database.login(account.role, account.schema)
    server.on_server(borrowed.__aenter__())
    try:
        answer = busy.get(VIZ + "trees")
        assert answer.status_code == 503
        assert answer.headers["Retry-After"] == "1"
        assert answer.json()["errors"]
    finally:
        server.on_server(borrowed.__aexit__(None, None, None))
    assert busy.get(VIZ + "trees").json()["table"]["row_count"] == 1


def test_an_oid_that_was_another_accounts_is_no_inheritance(
    api: Api, owner: Owner, admin: psycopg.Connection[Any], platform_server: RunningServer
) -> None:
    """PostgreSQL gives oids out again after four thousand million others."""
    other = make_account(platform_server)
    owner.dataset("trees")
    [(oid,)] = owner.execute("SELECT 'trees'::regclass::oid")
    admin.execute(
        "INSERT INTO carto_like.datasets (account_id, table_oid, table_name, title)"
        " VALUES (%s, %s, 'old', 'secret')",
        (other.account.id, oid),
    )
    viz = api.get(VIZ + "trees").json()
    assert (viz["name"], viz["title"]) == ("trees", None)
    assert api.get(VIZ, params={"type": "table"}).json()["total_entries"] == 1


def test_what_is_known_of_a_dropped_table_is_forgotten(
    api: Api, owner: Owner, admin: psycopg.Connection[Any], account: TestAccount
) -> None:
    owner.dataset("trees", rows=1)
    owner.dataset("lamps", rows=1)
    viz = api.get(VIZ + "trees").json()
    [(oid,)] = owner.execute("SELECT 'trees'::regclass::oid")
    assert api.delete(VIZ + viz["id"]).status_code == 204
    owner.execute("DROP TABLE lamps")
    assert api.get(VIZ, params={"type": "table"}).json()["total_entries"] == 0
    kept = admin.execute(
        "SELECT (SELECT count(*) FROM carto_like.datasets WHERE account_id = %s),"
        " (SELECT count(*) FROM cartodb.cdb_tablemetadata WHERE tabname::oid = %s)",
        (account.account.id, oid),
    ).fetchone()
    assert kept == (0, 0)
