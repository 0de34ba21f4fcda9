"""Synchronizations: asked for, run when they are due, forced, and what a run leaves as it was."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from psycopg.conninfo import conninfo_to_dict

from carto_like.server.postgres import PrivatePostgres
from carto_like.server.services.syncends import wait_after
from tests.conftest import MakeServer
from tests.support.api import Api, make_account
from tests.support.datasets import Owner
from tests.support.postgresql import forwarded, listening
from tests.support.raw import eventually
from tests.support.rows import rows_of
from tests.support.server import RunningServer
from tests.support.source import CSV, SYNCS, Followers, Source, idle_server, numbers

KEYS = {
    "id",
    "user_id",
    "log_id",
    "visualization_id",
    "name",
    "interval",
    "url",
    "state",
    "created_at",
    "updated_at",
    "run_at",
    "ran_at",
    "type_guessing",
    "quoted_fields_guessing",
    "content_guessing",
    "error_code",
    "error_message",
    "retried_times",
    "etag",
    "checksum",
    "modified_at",
    "service_name",
    "service_item_id",
    "from_external_source",
}


@pytest.fixture(scope="module")
def idle(cluster: PrivatePostgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with idle_server(cluster, tmp_path_factory.mktemp("uploads")) as server:
        yield server


def moment(told: str) -> datetime:
    return datetime.fromisoformat(told.replace("Z", "+00:00"))


def test_the_first_run_is_an_ordinary_import(followers: Followers, source: Source) -> None:
    source.headers = {"ETag": '"v1"', "Last-Modified": "Wed, 01 May 2024 10:00:00 GMT"}
    made = followers.create(source.url(), interval="900", privacy="link")
    assert set(made) == KEYS | {"data_import"}
    assert (made["state"], made["interval"], made["url"]) == ("queued", 900, source.url())
    assert (made["name"], made["visualization_id"], made["etag"]) == (None, None, None)
    assert made["created_at"].endswith("+00:00")
    queued = made["data_import"]
    assert queued["endpoint"] == "/api/v1/imports"
    followers.work()
    end = followers.api.get(f"api/v1/imports/{queued['item_queue_id']}").json()
    assert (end["state"], end["table_name"], end["synchronization_id"]) == ("complete", "trees", made["id"])
    told = followers.read(made["id"])
    assert set(told) == KEYS
    assert (told["state"], told["name"], told["retried_times"]) == ("success", "trees", 0)
    assert (told["etag"], told["checksum"]) == ("v1", "v1")
    assert told["modified_at"] == "2024-05-01T10:00:00.000Z"
    assert moment(told["run_at"]) - moment(told["ran_at"]) == timedelta(seconds=900)
    viz = followers.api.get("api/v1/viz/trees").json()
    assert (told["visualization_id"], viz["privacy"]) == (viz["id"], "LINK")
    assert viz["synchronization"] == told
    assert viz["table"]["synchronization"] == told
    assert followers.api.get("api/v1/tables/trees").json()["synchronization"] == told
    assert "synchronization" not in followers.api.anonymous.get("api/v1/viz/trees").json()
    assert followers.api.get(SYNCS).json() == {"synchronizations": [told], "total_entries": 1}
    assert followers.api.get(f"{SYNCS}/{made['id']}/sync_now").json() == {"state": "success"}


@pytest.mark.parametrize("headers", [{"ETag": '"v%d"'}, {"ETag": 'W/"v%d"'}, {}, {"Last-Modified": "%d"}])
def test_only_what_has_changed_is_loaded(
    followers: Followers, source: Source, their_owner: Owner, headers: dict[str, str]
) -> None:
    def version(number: int) -> None:
        source.headers = {name: value % number for name, value in headers.items()}
        if "Last-Modified" in headers:
            source.headers = {"Last-Modified": f"Wed, 0{number} May 2024 10:00:00 GMT"}

    version(1)
    told = followers.followed(source.url())
    before = their_owner.execute("SELECT 'trees'::regclass::oid")
    unchanged = followers.again(told["id"])
    assert (unchanged["state"], unchanged["error_code"]) == ("success", None)
    assert unchanged["ran_at"] > told["ran_at"]
    assert {name: unchanged[name] for name in ("etag", "checksum", "modified_at")} == {
        name: told[name] for name in ("etag", "checksum", "modified_at")
    }
    assert their_owner.execute("SELECT 'trees'::regclass::oid") == before
    version(2)
    source.content = CSV + b"7,8,9\n"
    changed = followers.again(told["id"])
    assert changed["state"] == "success"
    assert numbers(followers.api) == [3, 6, 9]
    assert changed["checksum"] != told["checksum"]
    assert changed["visualization_id"] == told["visualization_id"]
    if "ETag" in headers:
        assert source.asked[1] == {"If-None-Match": headers["ETag"] % 1}


def test_a_run_keeps_what_others_were_given(followers: Followers, source: Source, their_owner: Owner) -> None:
    platform, account = followers.platform, followers.account
    role = f"{account.role}_key"

    async def make_key_role() -> None:
        async with platform.database.metadata() as connection:
            await platform.users.make_role(connection, role, ["publicuser"])

    followers.server.on_server(make_key_role())
    told = followers.followed(source.url(), privacy="public")
    their_owner.execute(f"GRANT SELECT, INSERT ON trees TO {role}")
    their_owner.execute(f"GRANT USAGE ON SEQUENCE trees_cartodb_id_seq TO {role}")
    their_owner.execute(f"GRANT UPDATE (n) ON trees TO {role}")
    their_owner.execute("CREATE INDEX by_number ON trees (n)")
    their_owner.execute("ALTER TABLE trees ADD COLUMN mine int")
    their_owner.execute("CREATE INDEX by_mine ON trees (mine)")
    their_owner.execute("UPDATE trees SET n = 0")
    viz = followers.api.get("api/v1/viz/trees").json()
    followers.api.put(
        f"api/v1/viz/{viz['id']}", json={"id": viz["id"], "description": "mine", "privacy": "LINK"}
    )
    indexes = "SELECT indexname::text FROM pg_indexes WHERE schemaname = current_schema() ORDER BY 1"
    kept = [row for row in their_owner.execute(indexes) if row != ("by_mine",)]
    triggers = "SELECT tgname::text FROM pg_trigger WHERE tgrelid = 'trees'::regclass ORDER BY 1"
    fired = their_owner.execute(triggers)
    source.content = CSV + b"7,8,9\n"
    assert followers.again(told["id"])["state"] == "success"
    assert numbers(followers.api) == [3, 6, 9]
    assert their_owner.execute(indexes) == kept
    assert their_owner.execute(triggers) == fired
    can = (
        "SELECT has_table_privilege(%(r)s, 'trees', 'SELECT, INSERT'),"
        " has_table_privilege(%(r)s, 'trees', 'DELETE'),"
        " has_sequence_privilege(%(r)s, 'trees_cartodb_id_seq', 'USAGE'),"
        " has_column_privilege(%(r)s, 'trees', 'n', 'UPDATE')"
    )
    assert their_owner.execute(can, {"r": role}) == [(True, False, True, True)]
    after = followers.api.get("api/v1/viz/trees").json()
    assert (after["id"], after["description"], after["privacy"]) == (viz["id"], "mine", "LINK")
    assert after["table"]["id"] == viz["table"]["id"]
    owners = "SELECT tableowner::text FROM pg_tables WHERE schemaname = current_schema()"
    assert their_owner.execute(owners) == [(account.role,)]
    their_owner.execute("INSERT INTO trees (n) VALUES (10)")
    assert their_owner.execute("SELECT max(cartodb_id) FROM trees") == [(4,)]


def test_another_shape_of_the_data_is_followed(
    followers: Followers, source: Source, their_owner: Owner
) -> None:
    told = followers.followed(source.url(), type_guessing=True)
    source.content = b"name,n\noak,many\n"
    assert followers.again(told["id"])["state"] == "success"
    assert rows_of(followers.api, "SELECT name, n, the_geom FROM trees") == [
        {"name": "oak", "n": "many", "the_geom": None}
    ]


def test_a_table_of_another_database_is_followed(
    followers: Followers, source: Source, their_owner: Owner, cluster: PrivatePostgres
) -> None:
    their_owner.execute("CREATE TABLE theirs AS SELECT 1 AS n")
    database = str(conninfo_to_dict(followers.settings.dsn)["dbname"])
    with listening(forwarded(Path(cluster.socket_dir or "") / ".s.PGSQL.5432")) as port:
        access = {"server": "localhost", "port": port, "database": database, "username": "postgres"}
        asked = {
            "provider": "postgres",
            "connection": {**access, "password": "s3cr3t"},
            "sql_query": f"SELECT n FROM {followers.account.schema}.theirs",
            "import_as": "ours",
        }
        told = followers.followed(None, connector=asked)
        assert (told["name"], told["url"], told["service_name"]) == ("ours", None, "connector")
        assert "s3cr3t" not in followers.stored(told["id"])
        their_owner.execute("INSERT INTO theirs VALUES (2)")
        again = followers.again(told["id"])
    assert (again["state"], again["visualization_id"]) == ("success", told["visualization_id"])
    assert numbers(followers.api, "ours") == [1, 2]
    # From now on it follows an address.
    assert followers.api.put(f"{SYNCS}/{told['id']}", json={"url": source.url()}).status_code == 200
    again = followers.again(told["id"])
    assert (again["state"], again["name"], again["service_name"]) == ("success", "ours", None)
    assert followers.api.get(f"api/v1/imports/{again['log_id']}").json()["data_type"] == "url"


def test_a_renamed_table_is_followed(followers: Followers, source: Source, their_owner: Owner) -> None:
    told = followers.followed(source.url())
    their_owner.execute("ALTER TABLE trees RENAME TO oaks")
    source.content = CSV + b"7,8,9\n"
    again = followers.again(told["id"])
    assert (again["state"], again["name"]) == ("success", "oaks")
    assert numbers(followers.api, "oaks") == [3, 6, 9]
    tables = "SELECT tablename::text FROM pg_tables WHERE schemaname = current_schema()"
    assert their_owner.execute(tables) == [("oaks",)]


@pytest.mark.parametrize("by_api", [True, False])
def test_a_synchronization_ends_with_its_dataset(
    followers: Followers, source: Source, their_owner: Owner, by_api: bool
) -> None:
    told = followers.followed(source.url())
    followers.make_due(told["id"])
    if by_api:
        assert followers.api.delete(f"api/v1/viz/{told['visualization_id']}").status_code == 204
    else:
        their_owner.execute("DROP TABLE trees")
        assert followers.begin_due() == 1
        followers.work()
    assert followers.api.get(f"{SYNCS}/{told['id']}").status_code == 404
    assert (followers.begin_due(), followers.waiting()) == (0, [])
    assert their_owner.execute("SELECT to_regclass('trees')::text") == [(None,)]


def test_deleting_one_leaves_an_ordinary_table(followers: Followers, source: Source) -> None:
    told = followers.followed(source.url())
    source.content = CSV + b"7,8,9\n"
    followers.make_due(told["id"])
    assert followers.begin_due() == 1
    response = followers.api.delete(f"{SYNCS}/{told['id']}")
    assert (response.status_code, response.content) == (204, b"")
    followers.work()
    assert numbers(followers.api) == [3, 6]
    assert followers.api.get("api/v1/viz/trees").json()["synchronization"] is None
    assert followers.api.delete(f"{SYNCS}/{told['id']}").status_code == 404


def test_changes_of_one(followers: Followers, source: Source) -> None:
    told = followers.followed(source.url())
    path = f"{SYNCS}/{told['id']}"
    changed = followers.api.put(path, json={"interval": 7200, "name": "ignored", "state": "failure"}).json()
    assert (changed["interval"], changed["state"], changed["name"]) == (7200, "success", "trees")
    assert moment(changed["run_at"]) - moment(changed["ran_at"]) == timedelta(seconds=7200)
    assert changed["checksum"] == told["checksum"]
    assert followers.api.put(path, json={"interval": None}).json()["interval"] == 7200
    assert (
        followers.api.put(path, json={"type_guessing": False, "url": source.url("b.csv")}).status_code == 200
    )
    again = followers.again(told["id"])
    assert (again["type_guessing"], again["url"], again["name"]) == (False, source.url("b.csv"), "trees")
    assert rows_of(followers.api, "SELECT n, the_geom FROM trees LIMIT 1") == [{"n": "3", "the_geom": None}]
    for bad in ({"interval": 1}, {"url": "ftp:/x"}, {"interval": "x"}):
        response = followers.api.put(path, json=bad)
        assert (response.status_code, list(response.json())) == (400, ["errors"]), bad
    assert followers.read(told["id"])["interval"] == 7200


def test_case_63_an_interval_of_899_is_refused_and_of_900_is_not(
    followers: Followers, source: Source
) -> None:
    for interval, status in ((899, 400), ("899", 400), (900, 200), ("900", 200)):
        response = followers.api.post(SYNCS, json={"url": source.url(), "interval": interval})
        assert response.status_code == status, interval
        if status == 400:
            assert list(response.json()) == ["errors"]
            assert "900" in response.json()["errors"]
    assert followers.api.post(SYNCS, json={"url": source.url()}).json()["interval"] == 3600
    assert followers.api.get(SYNCS).json()["total_entries"] == 3


def test_case_64_of_two_sync_now_at_once_the_second_is_not_enqueued(
    followers: Followers, source: Source
) -> None:
    told = followers.followed(source.url())
    path = f"{SYNCS}/{told['id']}/sync_now"
    refused = {"enqueued": False, "synchronization_id": told["id"]}
    assert followers.api.put(path).json() == refused, "the last run was just now"
    followers.set(told["id"], ran_at="2000-01-01")
    assert followers.api.put(path).json() == {**refused, "enqueued": True}
    second = followers.api.put(path)
    assert (second.status_code, second.json()) == (200, refused)
    assert len(followers.waiting()) == 1
    followers.set(told["id"], updated_at="2000-01-01")
    assert followers.api.put(path, json={}).json()["enqueued"] is True, "it waits for too long"
    followers.work()
    assert followers.read(told["id"])["state"] == "success"


def test_a_put_without_anything_forces_too(followers: Followers, source: Source) -> None:
    told = followers.followed(source.url())
    followers.set(told["id"], ran_at="2000-01-01")
    response = followers.api.put(f"{SYNCS}/{told['id']}")
    assert (response.status_code, response.json()["state"]) == (200, "queued")


def test_no_more_than_three_are_forced_at_once(followers: Followers, source: Source) -> None:
    told = [followers.followed(source.url(f"t{number}.csv")) for number in range(4)]
    for each in told:
        followers.set(each["id"], ran_at="2000-01-01")
    forced = [followers.api.put(f"{SYNCS}/{each['id']}/sync_now").json()["enqueued"] for each in told]
    assert forced == [True, True, True, False]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({}, "url"),
        ({"interval": 900}, "'url' is missing"),
        ({"url": "file:///etc/passwd"}, "http or https"),
        ({"url": "http://x/ y.csv"}, "blanks"),
        ({"url": 3}, "'url' must be text"),
        ({"sql": "SELECT 1"}, "'url' is missing"),
        ({"url": "http://x/y.csv", "interval": "often"}, "'interval'"),
        ({"url": "http://x/y.csv", "interval": True}, "'interval'"),
        ({"url": "http://x/y.csv", "interval": 10**12}, "'interval'"),
        ({"url": "http://x/y.csv", "privacy": "secret"}, "'privacy'"),
        ({"url": "http://x/y.csv", "collision_strategy": "skip"}, "'collision_strategy'"),
        ([1], "object"),
    ],
    ids=str,
)
def test_bad_requests_say_what_is_wrong(followers: Followers, body: Any, said: str) -> None:
    response = followers.api.post(SYNCS, json=body)
    assert response.status_code == 400
    assert list(response.json()) == ["errors"]
    assert said in response.json()["errors"]
    assert followers.api.get(SYNCS).json()["total_entries"] == 0


def test_a_form_is_refused(followers: Followers, source: Source) -> None:
    response = followers.api.post(SYNCS, data={"url": source.url(), "interval": 900})
    assert (response.status_code, "JSON" in response.json()["errors"]) == (400, True)


def test_keys_and_owners_are_told_apart(followers: Followers, source: Source) -> None:
    told = followers.followed(source.url())
    stranger = make_account(followers.server)
    foreign = Api(stranger.base_url, stranger.api_key)
    for path, api, status in (
        (SYNCS, followers.api.anonymous, 401),
        (SYNCS, followers.api.with_key("default_public"), 401),
        (f"{SYNCS}/{told['id']}", foreign, 401),
        (f"{SYNCS}/{uuid4()}", foreign, 404),
        (f"{SYNCS}/nonsense", foreign, 404),
    ):
        response = api.get(path)
        assert (response.status_code, response.content) == (status, b""), path
    assert foreign.delete(f"{SYNCS}/{told['id']}").status_code == 401
    assert foreign.put(f"{SYNCS}/{told['id']}/sync_now").status_code == 401
    assert foreign.get(SYNCS).json()["total_entries"] == 0
    body = {"url": source.url(), "api_key": followers.api.api_key, "client": "cc"}
    assert followers.api.anonymous.post(SYNCS, json=body).status_code == 200
    foreign.session.close()


def test_a_worker_begins_what_is_due(make_server: MakeServer, source: Source, followers: Followers) -> None:
    told = followers.followed(source.url())
    source.content = CSV + b"7,8,9\n"
    followers.make_due(told["id"])
    with_worker = {"dsn": followers.settings.dsn, "import_addresses": "loopback"}
    make_server(settings={**with_worker, "uploads_dir": followers.folder}, job_heartbeat=0.2)
    eventually(lambda: numbers(followers.api) == [3, 6, 9], "the run")
    eventually(lambda: followers.read(told["id"])["state"] == "success", "its end")


@pytest.mark.parametrize(
    ("failures", "seconds"), [(0, 900), (1, 1800), (2, 3600), (6, 57_600), (7, 86_400), (9, 86_400)]
)
def test_waits_grow_with_failures(failures: int, seconds: int) -> None:
    assert wait_after(timedelta(seconds=900), failures) == timedelta(seconds=seconds)
    assert wait_after(timedelta(days=7), failures) == timedelta(days=7)
