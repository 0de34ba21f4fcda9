"""One dataset: shown, changed, deleted; by whom, and what can go wrong."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import quote

import psycopg
import pytest
import requests

from carto_like.server.secrets import Secrets
from carto_like.server.settings import Settings
from tests.support.api import Api, TestAccount
from tests.support.datasets import Owner, owner_of
from tests.support.server import SECRET

VIZ = "api/v1/viz/"


def show(api: Api, reference: str, **params: Any) -> dict[str, Any]:
    answer = api.get(VIZ + quote(reference, safe=""), params=params)
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


def put(api: Api, viz_id: str, **values: Any) -> requests.Response:
    return api.put(VIZ + viz_id, json={"id": viz_id, **values})


def changed(api: Api, viz_id: str, **values: Any) -> dict[str, Any]:
    answer = put(api, viz_id, **values)
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


def can_read(settings: Settings, account: TestAccount, table: str) -> bool:
    """Whether SQL without a key reads the table: tried, as the role that such requests have."""
    with psycopg.connect(
        settings.dsn,
        user=account.public_role,
        password=Secrets(SECRET).role_password(account.public_role),
        options=f'-c search_path="{account.schema}",public,cartodb',
        autocommit=True,
    ) as connection:
        try:
            connection.execute(f"SELECT * FROM {table}".encode())
        except psycopg.errors.InsufficientPrivilege:
            return False
        return True


def test_a_dataset_is_found_by_id_name_and_qualified_name(
    api: Api, owner: Owner, account: TestAccount
) -> None:
    owner.dataset("trees", rows=3)
    viz = show(api, "trees")
    assert show(api, viz["id"]) == viz
    assert show(api, viz["id"].upper()) == viz
    assert show(api, f"{account.schema}.trees") == viz
    assert show(api, f"{account.schema}.{viz['id']}") == viz
    assert viz["related_tables"] == []
    assert viz["table"]["row_count"] == 3
    assert not {"permission", "liked", "user"} & set(viz)


def test_parts_come_when_asked_for(api: Api, owner: Owner, account: TestAccount) -> None:
    owner.dataset("trees")
    viz = show(api, "trees", show_permission="true", show_liked="true", fetch_user="true")
    assert viz["permission"]["owner"]["username"] == account.name
    assert viz["liked"] is False
    assert viz["user"]["username"] == account.name
    assert viz["stats"] == {}


@pytest.mark.parametrize(
    "reference",
    [
        "nothing",
        "40d18510-473f-47ad-bec1-17148134aa34",
        "public.trees",
        "../../../api/v3/me",
        "a/b",
        "trees/..",
        "tre%s",
        "'; DROP TABLE trees; --",
        '"trees"',
        "Trees",
        "trees\0",
        "\udcff",
        "🌳",
        "x" * 5000,
        "%2e%2e",
        "..",
    ],
)
def test_what_does_not_exist_is_a_typed_404(api: Api, owner: Owner, reference: str) -> None:
    owner.dataset("trees")
    answer = api.get(VIZ + quote(reference, safe="", errors="surrogateescape").replace(".", "%2E"))
    assert answer.status_code == 404
    assert answer.json() == {"errors": "Visualization does not exist", "errors_cause": None}


@pytest.mark.parametrize("name", ["a/b", "..", "it's", 'say "x"', "50%2F", "🌳 trees", "Trees", "a.b", " "])
def test_names_that_only_sql_gives_work_too(api: Api, owner: Owner, name: str) -> None:
    table = psycopg.sql.Identifier(name)
    owner.execute(psycopg.sql.SQL("CREATE TABLE {} (n int)").format(table))
    owner.execute(
        "SELECT CDB_CartodbfyTable(current_schema(), oid::regclass) FROM pg_class"
        " WHERE relname = %s AND relnamespace = current_schema()::regnamespace",
        (name,),
    )
    found = [viz["name"] for viz in api.get(VIZ, params={"type": "table"}).json()["visualizations"]]
    assert found == [name]
    reference = quote(name, safe="").replace(".", "%2E")
    viz = api.get(VIZ + reference).json()
    assert viz["name"] == name
    assert viz["table"]["row_count"] == 0
    assert changed(api, viz["id"], name=name, privacy="PUBLIC")["name"] == name
    assert changed(api, viz["id"], name="plain")["name"] == "plain"
    assert api.delete(VIZ + viz["id"]).status_code == 204
    assert owner.execute("SELECT to_regclass('plain')") == [(None,)]


def test_strangers_see_what_privacy_allows(api: Api, owner: Owner) -> None:
    owner.dataset("trees", rows=1)
    viz = show(api, "trees")
    for stranger in (api.anonymous, api.with_key("default_public")):
        for privacy, status in (("PRIVATE", 403), ("LINK", 200), ("PUBLIC", 200)):
            changed(api, viz["id"], privacy=privacy)
            answer = stranger.get(VIZ + viz["id"])
            assert answer.status_code == status
            if status == 200:
                assert answer.json()["privacy"] == privacy
                assert not {"url", "locked", "auth_tokens"} & set(answer.json())
            else:
                assert answer.json() == {"errors": "Visualization not viewable", "errors_cause": None}


@pytest.mark.parametrize("key", [None, "default_public", "wrong"])
def test_only_the_master_key_changes_and_deletes(api: Api, owner: Owner, key: str | None) -> None:
    owner.dataset("trees")
    viz = show(api, "trees")
    stranger = api.with_key(key)
    for answer in (put(stranger, viz["id"], description="x"), stranger.delete(VIZ + viz["id"])):
        assert (answer.status_code, answer.content) == (401, b"")
    assert show(api, "trees") == viz


def test_the_key_may_be_in_the_body(api: Api, owner: Owner) -> None:
    owner.dataset("trees")
    viz = show(api, "trees")
    body = {"id": viz["id"], "description": "x", "api_key": api.api_key, "client": "cps-1"}
    assert api.anonymous.put(VIZ + viz["id"], json=body).json()["description"] == "x"


def test_what_can_be_said_is_kept_and_the_rest_ignored(api: Api, owner: Owner) -> None:
    owner.dataset("trees")
    viz = show(api, "trees", show_permission="true")
    said = {
        "display_name": "The Trees",
        "title": "Trees",
        "description": "Ü😀'\"",
        "license": "CC",
        "attributions": "me",
        "source": "city",
        "tags": ["a", "b"],
        "locked": True,
    }
    ignored = {
        "table": viz["table"]["id"],
        "permission": viz["permission"]["id"],
        "stats": ["2020-01-01"],
        "type": "derived",
        "created_at": "1999-01-01",
        "url": "http://elsewhere/",
        "nonsense": {"a": [1]},
        "auth_tokens": [],
        "kind": "raster",
        "version": 3,
        "dependent_visualizations_count": 7,
    }
    after = changed(api, viz["id"], **said, **ignored, name="trees", privacy="PRIVATE")
    assert {name: after[name] for name in said} == said
    for name in ("id", "type", "created_at", "url", "kind", "version", "dependent_visualizations_count"):
        assert after[name] == viz[name]
    assert after["updated_at"] > viz["updated_at"]
    assert show(api, "trees") == after
    cleared = changed(api, viz["id"], description=None, tags=None, locked=False)
    assert (cleared["description"], cleared["tags"], cleared["locked"]) == (None, [], False)
    assert cleared["title"] == "Trees"


@pytest.mark.parametrize(
    "body", [{}, {"id": None}, {"id": "40d18510-473f-47ad-bec1-17148134aa34"}, {"id": 5}]
)
def test_the_body_must_name_the_dataset(api: Api, owner: Owner, body: dict[str, Any]) -> None:
    owner.dataset("trees")
    viz = show(api, "trees")
    answer = api.put(VIZ + viz["id"], json={**body, "description": "x"})
    assert answer.status_code == 403
    assert show(api, "trees") == viz


@pytest.mark.parametrize(
    "values",
    [
        {"privacy": "secret"},
        {"privacy": "PASSWORD"},
        {"privacy": 1},
        {"name": ""},
        {"name": "  "},
        {"name": 7},
        {"tags": {"a": 1}},
        {"tags": [1]},
        {"description": ["x"]},
        {"description": "a\0b"},
    ],
)
def test_values_that_cannot_be_change_nothing(api: Api, owner: Owner, values: dict[str, Any]) -> None:
    owner.dataset("trees")
    viz = show(api, "trees")
    answer = put(api, viz["id"], **{"title": "new", **values})
    assert answer.status_code == 400
    assert len(answer.json()["errors"]) == 1
    assert show(api, "trees") == viz


@pytest.mark.parametrize("content", [b"{", b"[]", b'"x"', b"\xff", b'{"id": "\\ud800"}'])
def test_bodies_that_cannot_be_read_are_refused(api: Api, owner: Owner, content: bytes) -> None:
    owner.dataset("trees")
    answer = api.put(VIZ + "trees", data=content, headers={"Content-Type": "application/json"})
    assert answer.status_code == 400
    assert answer.json()["errors"]


def test_privacy_is_what_sql_without_a_key_may_do(
    api: Api, owner: Owner, settings: Settings, account: TestAccount
) -> None:
    owner.dataset("trees")
    viz_id = show(api, "trees")["id"]
    assert not can_read(settings, account, "trees")
    for privacy, readable in (
        ("link", True),
        ("PUBLIC", True),
        ("Link", True),
        ("private", False),
        ("public", True),
        ("PRIVATE", False),
    ):
        assert changed(api, viz_id, privacy=privacy)["privacy"] == privacy.upper()
        assert show(api, "trees")["privacy"] == privacy.upper()
        assert can_read(settings, account, "trees") is readable


def test_grants_made_by_sql_are_privacy(
    api: Api, owner: Owner, settings: Settings, account: TestAccount
) -> None:
    owner.dataset("trees")
    viz_id = show(api, "trees")["id"]
    for grantee in ("publicuser", "PUBLIC", f'"{account.public_role}"'):
        owner.execute(f"GRANT SELECT ON trees TO {grantee}")
        assert show(api, "trees")["privacy"] == "PUBLIC"
        assert changed(api, viz_id, privacy="PRIVATE")["privacy"] == "PRIVATE"
        assert not can_read(settings, account, "trees")
    changed(api, viz_id, privacy="LINK")
    owner.execute("REVOKE SELECT ON trees FROM publicuser")
    assert show(api, "trees")["privacy"] == "PRIVATE"


def test_overviews_are_as_private_as_their_table(
    api: Api, owner: Owner, settings: Settings, account: TestAccount
) -> None:
    owner.dataset("trees")
    owner.execute("CREATE TABLE _vovw_5_trees (a int)")
    viz_id = show(api, "trees")["id"]
    changed(api, viz_id, privacy="PUBLIC")
    assert can_read(settings, account, "_vovw_5_trees")
    changed(api, viz_id, privacy="PRIVATE")
    assert not can_read(settings, account, "_vovw_5_trees")


def test_a_new_name_is_cleaned_and_the_table_follows(api: Api, owner: Owner) -> None:
    owner.dataset("trees", rows=4)
    viz = show(api, "trees")
    after = changed(api, viz["id"], name="My Trees", description="same time")
    assert (after["name"], after["table"]["name"], after["id"]) == ("my_trees", "my_trees", viz["id"])
    assert after["description"] == "same time"
    assert owner.execute("SELECT count(*) FROM my_trees") == [(4,)]
    assert api.get(VIZ + "trees").status_code == 404
    assert changed(api, viz["id"], name="My Trees")["name"] == "my_trees"


def test_a_name_that_is_taken_gets_a_number(api: Api, owner: Owner) -> None:
    owner.dataset("trees")
    owner.execute("CREATE VIEW my_trees AS SELECT 1")
    owner.execute("CREATE SEQUENCE my_trees_1")
    assert changed(api, show(api, "trees")["id"], name="My Trees")["name"] == "my_trees_2"


def test_renaming_keeps_privacy_and_description(
    api: Api, owner: Owner, settings: Settings, account: TestAccount
) -> None:
    owner.dataset("trees")
    viz_id = show(api, "trees")["id"]
    changed(api, viz_id, privacy="LINK", title="T")
    after = changed(api, viz_id, name="woods")
    assert (after["privacy"], after["title"]) == ("LINK", "T")
    assert can_read(settings, account, "woods")


def test_two_renames_to_one_name_at_once_both_succeed(api: Api, owner: Owner) -> None:
    ids = []
    for name in ("a", "b", "c", "d"):
        owner.dataset(name)
        ids.append(show(api, name)["id"])
    barrier = threading.Barrier(len(ids))

    def rename(viz_id: str) -> str:
        client = Api(api.base_url, api.api_key)
        with client.session:
            barrier.wait(10)
            return str(changed(client, viz_id, name="same", title=viz_id)["name"])

    with ThreadPoolExecutor(len(ids)) as pool:
        renamed = list(pool.map(rename, ids))
    assert sorted(renamed) == ["same", "same_1", "same_2", "same_3"]
    for viz_id, name in zip(ids, renamed, strict=True):
        viz = show(api, viz_id)
        assert (viz["name"], viz["title"]) == (name, viz_id)


def test_a_locked_table_is_neither_renamed_nor_deleted(
    api: Api, owner: Owner, settings: Settings, account: TestAccount
) -> None:
    owner.dataset("trees", rows=1)
    viz = show(api, "trees")
    with owner.connection.transaction():
        owner.execute("SELECT * FROM trees")
        answers = [
            api.delete(VIZ + viz["id"], timeout=5),
            api.put(VIZ + viz["id"], json={"id": viz["id"], "name": "woods", "title": "T"}, timeout=5),
        ]
    for answer in answers:
        assert answer.status_code == 400
        assert "in use by another session" in answer.json()["errors"][0]
    assert show(api, "trees") == viz
    assert api.delete(VIZ + viz["id"]).status_code == 204


def test_a_failed_rename_leaves_the_description_too(api: Api, owner: Owner) -> None:
    owner.dataset("trees")
    viz = show(api, "trees")
    with owner.connection.transaction():
        owner.execute("LOCK TABLE trees IN ACCESS EXCLUSIVE MODE")
        answer = put(api, viz["id"], title="T", privacy="LINK", tags=["x"])
    assert answer.status_code == 400
    assert show(api, "trees") == viz


def test_delete_drops_the_table(api: Api, owner: Owner) -> None:
    owner.dataset("trees", rows=2)
    viz = show(api, "trees")
    answer = api.delete(VIZ + viz["id"])
    assert (answer.status_code, answer.content) == (204, b"")
    assert owner.execute("SELECT to_regclass('trees')") == [(None,)]
    assert api.get(VIZ + viz["id"]).status_code == 404
    assert api.delete(VIZ + viz["id"]).status_code == 404
    owner.dataset("trees")
    assert show(api, "trees")["id"] != viz["id"]


def test_delete_works_by_name_and_spares_tables_that_others_need(api: Api, owner: Owner) -> None:
    owner.dataset("trees")
    owner.execute("CREATE VIEW seen AS SELECT * FROM trees")
    answer = api.delete(VIZ + "trees")
    assert answer.status_code == 400
    assert "view seen depends on table trees" in answer.json()["errors"][0]
    owner.execute("DROP VIEW seen")
    assert api.delete(VIZ + "trees").status_code == 204


def test_a_table_that_was_missed_when_somebody_looked_is_a_new_dataset(api: Api, owner: Owner) -> None:
    owner.dataset("trees")
    first = changed(api, show(api, "trees")["id"], title="old")
    owner.execute("DROP TABLE trees")
    assert api.get(VIZ + "trees").status_code == 404
    owner.dataset("trees")
    second = show(api, "trees")
    assert second["id"] != first["id"]
    assert second["title"] is None


def test_a_table_that_was_replaced_keeps_identity_but_not_privacy(api: Api, owner: Owner) -> None:
    owner.dataset("trees", rows=5)
    first = changed(api, show(api, "trees")["id"], title="kept", privacy="PUBLIC")
    owner.execute("DROP TABLE trees")
    owner.dataset("trees", rows=2)
    second = show(api, "trees")
    assert (second["id"], second["title"]) == (first["id"], "kept")
    assert second["privacy"] == "PRIVATE"
    assert second["table"]["row_count"] == 2


def test_a_rewrite_by_the_platforms_functions_keeps_the_dataset(api: Api, owner: Owner) -> None:
    owner.dataset("trees", rows=5)
    first = changed(api, show(api, "trees")["id"], title="kept")
    oid = owner.execute("SELECT 'trees'::regclass::oid")
    owner.execute("ALTER TABLE trees DROP COLUMN the_geom CASCADE")
    owner.cartodbfy("trees")
    assert owner.execute("SELECT 'trees'::regclass::oid") != oid
    second = show(api, "trees")
    assert (second["id"], second["title"]) == (first["id"], "kept")


def test_swapped_names_follow_the_tables(api: Api, owner: Owner) -> None:
    owner.dataset("a")
    owner.dataset("b")
    a, b = show(api, "a")["id"], show(api, "b")["id"]
    with owner.connection.transaction():
        owner.execute("ALTER TABLE a RENAME TO c")
        owner.execute("ALTER TABLE b RENAME TO a")
        owner.execute("ALTER TABLE c RENAME TO b")
    assert (show(api, "a")["id"], show(api, "b")["id"]) == (b, a)


def test_many_at_once_register_one_dataset(api: Api, owner: Owner) -> None:
    owner.dataset("trees")
    with ThreadPoolExecutor(8) as pool:
        answers = list(
            pool.map(lambda _: requests.get(f"{api.base_url}{VIZ}trees?api_key={api.api_key}"), range(16))
        )
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.json()["id"] for answer in answers}) == 1


def test_figures_follow_the_data(api: Api, owner: Owner) -> None:
    owner.execute("CREATE TABLE shapes (the_geom geometry(Geometry, 4326))")
    owner.cartodbfy("shapes")
    table = show(api, "shapes")["table"]
    assert (table["row_count"], table["geometry_types"]) == (0, [])
    owner.execute("INSERT INTO shapes (the_geom) VALUES ('SRID=4326;POINT(1 2)'), (NULL)")
    table = show(api, "shapes")["table"]
    assert (table["row_count"], table["geometry_types"]) == (2, ["ST_Point"])
    owner.execute("INSERT INTO shapes (the_geom) VALUES ('SRID=4326;LINESTRING(1 2, 3 4)')")
    table = show(api, "shapes")["table"]
    assert (table["row_count"], table["geometry_types"]) == (3, ["ST_LineString", "ST_Point"])
    owner.execute("TRUNCATE shapes")
    assert show(api, "shapes")["table"]["row_count"] == 0


def test_the_rows_of_a_large_table_are_estimated_well_before_any_analyze(api: Api, owner: Owner) -> None:
    owner.execute("CREATE TABLE wide (filler text)")
    owner.cartodbfy("wide")
    owner.execute("INSERT INTO wide (filler) SELECT repeat('x', 500) FROM generate_series(1, 40000)")
    assert abs(show(api, "wide")["table"]["row_count"] - 40000) < 2000


def test_hostile_functions_of_the_user_run_as_the_user_only(
    api: Api, owner: Owner, account: TestAccount
) -> None:
    """Reading a table may run what its owner wrote: never with more rights than his own."""
    owner.execute("CREATE TABLE ran (role name)")
    owner.execute(
        "CREATE FUNCTION spy(public.geometry) RETURNS text LANGUAGE plpgsql AS"
        " $$ BEGIN INSERT INTO ran VALUES (session_user); RETURN 'ST_Spy'; END $$"
    )
    owner.execute("ALTER FUNCTION spy RENAME TO st_geometrytype")
    owner.dataset("trees", rows=2)
    assert show(api, "trees")["table"]["row_count"] == 2
    assert {role for (role,) in owner.execute("SELECT role FROM ran")} == {account.role}


def test_other_methods_are_not_there(api: Api, owner: Owner) -> None:
    owner.dataset("trees")
    assert api.post(VIZ + "trees", json={}).status_code in (404, 405)
    assert api.request("PATCH", VIZ + "trees", json={}).status_code in (404, 405)
    options = api.anonymous.request("OPTIONS", VIZ + "trees")
    assert (options.status_code, options.content) == (200, b"")


def test_sessions_of_two_users_do_not_meet(settings: Settings, api: Api, account: TestAccount) -> None:
    with owner_of(settings, account) as first, owner_of(settings, account) as second:
        first.dataset("one")
        second.dataset("two")
    names = {viz["name"] for viz in api.get(VIZ, params={"type": "table"}).json()["visualizations"]}
    assert names == {"one", "two"}
