"""The Import API: what is asked, how it is answered, what the datasets are called and who sees them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import pytest

from carto_like.server.imports.reader import Readers
from tests.conftest import MakeServer
from tests.support.api import Api, TestAccount, make_account
from tests.support.datasets import Owner
from tests.support.imports import ended, imported, start, upload
from tests.support.raw import eventually
from tests.support.rows import rows_of

CSV = "a,b\n1,x\n"


def relations(owner: Owner) -> set[str]:
    query = "SELECT relname::text FROM pg_class WHERE relnamespace = current_schema()::regnamespace"
    return {name for (name,) in owner.execute(query)}


def error_of(api: Api, **request: Any) -> tuple[int, Any]:
    response = api.post("api/v1/imports", **request)
    return response.status_code, response.json()


def test_readers_know_of_a_file_while_it_comes(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    names: list[str] = []
    monkeypatch.setattr(Readers, "expect", lambda readers, name: names.append(name))
    files = {"file": ("places.gpkg", b"x" * 100_000)}
    # Before anything is kept of it: this one is refused in the end.
    refused = api.post("api/v1/imports", files=files, params={"privacy": "secret"})
    assert (refused.status_code, names) == (400, ["places.gpkg"])
    unknown = api.with_key("unknown").post("api/v1/imports", files=files)
    assert (unknown.status_code, names) == (401, ["places.gpkg"])


def test_an_import_tells_all_about_itself(api: Api, account: TestAccount) -> None:
    end = upload(api, "Weird Name (2).csv", CSV)
    identity = end["id"]
    assert {**end, "table_id": None} == {
        "id": identity,
        "queue_id": identity,
        "item_queue_id": identity,
        "user_id": str(account.account.id),
        "state": "complete",
        "success": True,
        "error_code": None,
        "get_error_text": None,
        "table_id": None,
        "table_name": "weird_name_2",
        "tables_created_count": 1,
        "data_type": "file",
        "type_guessing": True,
        "quoted_fields_guessing": True,
        "content_guessing": False,
        "create_visualization": False,
        "visualization_id": None,
        "derived_visualization_id": None,
        "any_table_raster": False,
        "is_raster": False,
        "synchronization_id": None,
        "display_name": "Weird_Name_(2).csv",
        "original_url": "/uploads/Weird_Name_(2).csv",
        "user_defined_limits": "{}",
        "warnings": None,
    }
    table = api.get(f"api/v1/tables/{end['table_id']}").json()
    assert (table["name"], table["privacy"]) == ("weird_name_2", "PRIVATE")
    assert table["table_visualization"]["name"] == "weird_name_2"


def test_what_is_made_is_a_dataset_like_any_other(api: Api, owner: Owner) -> None:
    imported(api, "trees.csv", "lat,lon,n\n1,2,3\n")
    assert relations(owner) == {
        *("trees", "trees_pkey", "trees_cartodb_id_seq", "trees_the_geom_idx"),
        "trees_the_geom_webmercator_idx",
    }
    triggers = owner.execute(
        "SELECT tgname::text FROM pg_trigger WHERE tgrelid = 'trees'::regclass ORDER BY 1"
    )
    assert [name for (name,) in triggers] == [
        *("test_quota", "test_quota_per_row", "track_updates", "update_the_geom_webmercator_trigger")
    ]
    assert (
        owner.execute(
            "SELECT attgenerated FROM pg_attribute WHERE attgenerated <> '' AND attrelid = 'trees'::regclass"
        )
        == []
    )
    api.sql("UPDATE trees SET the_geom = CDB_LatLng(5, 6)")
    api.sql("INSERT INTO trees (n) VALUES (4)")
    assert rows_of(
        api, "SELECT cartodb_id, ST_X(ST_Transform(the_geom_webmercator, 4326)) AS x FROM trees"
    ) == [
        {"cartodb_id": 1, "x": pytest.approx(6)},
        {"cartodb_id": 2, "x": None},
    ]
    assert owner.execute("SELECT reltuples::int FROM pg_class WHERE oid = 'trees'::regclass") == [(1,)]


def test_the_other_ways_to_send_a_file(api: Api) -> None:
    by_older_name = ended(api, start(api, files={"filename": ("a.csv", b"a\n1\n")}))
    assert by_older_name["table_name"] == "a"
    raw = ended(api, start(api, params={"filename": "b c.tsv"}, data=b"a\tb\n1\t2\n"))
    assert (raw["table_name"], raw["display_name"]) == ("b_c", "b_c.tsv")
    with_fields = ended(api, start(api, data={"privacy": "PUBLIC"}, files={"file": ("c.csv", CSV.encode())}))
    assert api.get("api/v1/viz/c").json()["privacy"] == "PUBLIC"
    assert with_fields["table_name"] == "c"


def test_the_key_may_come_in_the_body_before_the_file(api: Api) -> None:
    stranger = api.anonymous
    files = {"file": ("a.csv", CSV.encode())}
    assert stranger.post("api/v1/imports", data={"api_key": api.api_key}, files=files).status_code == 200
    for refused in (
        stranger.post("api/v1/imports", files=files),
        stranger.post("api/v1/imports", data={"api_key": "wrong"}, files=files),
        api.with_key("default_public").post("api/v1/imports", files=files),
        stranger.get("api/v1/imports"),
        stranger.get(f"api/v1/imports/{uuid4()}"),
    ):
        assert (refused.status_code, refused.content) == (401, b"")


def test_paths_work_with_and_without_a_slash(api: Api) -> None:
    response = api.post("api/v1/imports/", files={"file": ("a.csv", CSV.encode())})
    end = ended(api, response.json()["item_queue_id"])
    assert api.get(f"api/v1/imports/{end['id']}/").json() == end
    assert api.get("api/v1/imports/").json() == {"imports": [], "success": True}


def test_nobody_sees_the_imports_of_others(api: Api, make_server: MakeServer) -> None:
    end = upload(api, "a.csv", CSV)
    server = make_server()
    other = make_account(server)
    there = Api(other.base_url, other.api_key)
    assert there.get(f"api/v1/imports/{end['id']}").status_code == 404
    assert api.get("api/v1/imports/none").status_code == 404
    assert api.get(f"api/v1/imports/{uuid4()}").status_code == 404
    there.session.close()


def test_names_that_are_taken_are_numbered(api: Api, owner: Owner) -> None:
    owner.execute("CREATE VIEW t AS SELECT 1")
    assert [
        imported(api, name, CSV) for name in ("t.csv", "T.csv", "123 data.csv", "all.csv", "()'.csv")
    ] == [*("t_1", "t_2", "table_123_data", "all_t", "untitled_table")]


def test_skip_leaves_what_is_there(api: Api) -> None:
    imported(api, "t.csv", CSV)
    end = upload(api, "t.csv", CSV, collision_strategy="skip")
    assert (end["state"], end["success"], end["error_code"]) == ("complete", True, 1022)
    assert (end["tables_created_count"], end["table_name"]) == (0, None)
    assert imported(api, "u.csv", CSV, collision_strategy="skip") == "u"


def test_overwrite_takes_the_place_of_a_table(api: Api, owner: Owner) -> None:
    imported(api, "t.csv", "n,name,when\n1,a,2020-01-01\n", privacy="link")
    before = api.get("api/v1/viz/t").json()
    owner.execute("CREATE INDEX by_name ON t (name)")
    owner.execute("CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'")
    owner.execute("CREATE TRIGGER mine BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION f()")
    assert (
        imported(api, "t.csv", "name,when,n,more\nb,2021-01-01,2.5,x\n", collision_strategy="overwrite")
        == "t"
    )
    after = api.get("api/v1/viz/t").json()
    assert (after["id"], after["privacy"]) == (before["id"], "LINK")
    assert rows_of(api, "SELECT cartodb_id, name, n, more FROM t") == [
        {"cartodb_id": 1, "name": "b", "n": 2.5, "more": "x"}
    ]
    assert "by_name" in relations(owner)
    assert owner.execute("SELECT 1 FROM pg_trigger WHERE tgname = 'mine' AND tgrelid = 't'::regclass") == [
        (1,)
    ]
    assert {name for name in relations(owner) if name.startswith("t_")} == {
        *("t_pkey", "t_cartodb_id_seq", "t_the_geom_idx", "t_the_geom_webmercator_idx")
    }
    for content in ("name,when\nb,2021-01-01\n", "n,name,when\nx,b,2021-01-01\n"):
        end = upload(api, "t.csv", content, collision_strategy="overwrite")
        assert (end["state"], end["error_code"]) == ("failure", 2012)
    owner.execute("CREATE VIEW seen AS SELECT * FROM t")
    end = upload(api, "t.csv", "name,when,n,more\nc,2021-01-01,1,x\n", collision_strategy="overwrite")
    assert (end["state"], end["error_code"]) == ("failure", 2013)
    assert rows_of(api, "SELECT name FROM t") == [{"name": "b"}]


@pytest.mark.parametrize("privacy", ["public", "LINK", "Private"])
def test_privacy_is_applied_in_any_case_of_letters(api: Api, privacy: str) -> None:
    imported(api, "t.csv", CSV, privacy=privacy)
    assert api.get("api/v1/viz/t").json()["privacy"] == privacy.upper()
    assert api.anonymous.sql("SELECT * FROM t").status_code == (403 if privacy == "Private" else 200)


def test_default_privileges_open_nothing(api: Api, owner: Owner) -> None:
    owner.execute("ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO publicuser, PUBLIC")
    imported(api, "t.csv", CSV)
    assert api.anonymous.sql("SELECT * FROM t").status_code == 403


@pytest.mark.parametrize(
    "params",
    [
        {"privacy": "secret"},
        {"collision_strategy": "x"},
        {"url": "ftp://example.com/a.csv"},
        {"url": "file:///etc/passwd"},
        {"url": "http://a b/"},
        {"connector": "{}"},
        {"user_defined_limits": "{"},
        {"user_defined_limits": '{"a":' * 1000 + "1" + "}" * 1000},
    ],
)
def test_what_makes_no_sense_is_refused_at_once(api: Api, params: dict[str, str]) -> None:
    status, body = error_of(api, params=params)
    assert status == 400
    assert isinstance(body["errors"]["imports"], str)


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"[1]", "application/json"),
        (b"{", "application/json"),
        (b"privacy=%ff", "application/x-www-form-urlencoded"),
        (b"no boundary", "multipart/form-data"),
        (b"--x\r\nContent-Disposition: form-data; name=a\r\n\r\n1", "multipart/form-data; boundary=x"),
        (b"nonsense", "multipart/form-data; boundary=x"),
    ],
)
def test_bodies_that_cannot_be_read_are_refused(api: Api, body: bytes, kind: str) -> None:
    status, answer = error_of(api, data=body, headers={"Content-Type": kind})
    assert status == 400, answer


def test_parameters_have_a_size(api: Api) -> None:
    assert error_of(api, data={"x": "y" * 2**21})[0] == 413
    assert error_of(api, data={"x": "y" * 2**21}, files={"file": ("a.csv", CSV.encode())})[0] == 413


def test_an_import_without_a_source_fails_by_itself(api: Api) -> None:
    end = ended(api, start(api, json={"client": "cc"}))
    assert (end["state"], end["success"], end["error_code"]) == ("failure", False, 1012)
    assert set(end["get_error_text"]) == {"title", "what_about", "source"}


def test_a_long_name_keeps_its_end(api: Api) -> None:
    assert imported(api, "n" * 251 + ".csv", "a\n1\n") == "n" * 63


def test_a_query_becomes_a_dataset(api: Api, owner: Owner) -> None:
    owner.dataset("trees", rows=3)
    query = 'SELECT n, n * 2 AS "Twice N", the_geom FROM trees WHERE n < 3; '
    end = ended(
        api, start(api, params={"sql": query.strip("; "), "table_name": "My Trees", "privacy": "public"})
    )
    assert (end["state"], end["data_type"], end["table_name"]) == ("complete", "query", "my_trees")
    rows = rows_of(api, "SELECT n, twice_n, ST_SRID(the_geom_webmercator) AS srid FROM my_trees ORDER BY n")
    assert rows == [{"n": 1, "twice_n": 2, "srid": 3857}, {"n": 2, "twice_n": 4, "srid": 3857}]
    assert api.get("api/v1/viz/my_trees").json()["privacy"] == "PUBLIC"
    assert ended(api, start(api, json={"sql": "SELECT 1 AS a"}))["table_name"] == "untitled_table"


def test_a_table_can_be_copied(api: Api, owner: Owner) -> None:
    owner.dataset("trees", rows=3)
    end = ended(api, start(api, params={"table_copy": "trees", "sql": "nonsense", "table_name": "trees"}))
    assert (end["table_name"], end["data_type"]) == ("trees_1", "query")
    same = "SELECT * FROM trees EXCEPT SELECT * FROM trees_1"
    assert rows_of(api, same) == []
    assert rows_of(api, "SELECT count(*) AS n FROM trees_1") == [{"n": 3}]


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("SELECT * FROM missing", 8003),
        ("nonsense", 8003),
        ("SELECT 1; DROP TABLE trees", 8003),
        ("SELECT 1; COMMIT", 8003),
        ("SELECT 1 AS a UNION SELECT 'x'::text", 8004),
        ("SELECT 1 AS cartodb_id UNION ALL SELECT 1", 2011),
        ("SELECT * FROM carto_like.users", 8003),
    ],
)
def test_queries_that_make_no_table_leave_nothing(api: Api, owner: Owner, query: str, code: int) -> None:
    owner.dataset("trees")
    before = relations(owner)
    end = ended(api, start(api, data={"sql": query}))
    assert (end["state"], end["error_code"]) == ("failure", code), end
    assert relations(owner) == before


def test_slots_are_counted(make_server: MakeServer) -> None:
    server = make_server(imports_at_once=1)
    account = make_account(server)
    api = Api(account.base_url, account.api_key)
    query = {"sql": "SELECT 1 AS a FROM pg_sleep(30)"}
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda _: api.post("api/v1/imports", params=query), range(6)))
    assert sorted(answer.status_code for answer in answers) == [200, *[429] * 5]
    slow = next(answer.json()["item_queue_id"] for answer in answers if answer.status_code == 200)
    eventually(lambda: api.get("api/v1/imports").json()["imports"] == [slow], "the import to be listed")
    status, body = error_of(api, files={"file": ("a.csv", CSV.encode())})
    assert (status, "1" in body["errors"]["imports"]) == (429, True)
    eventually(lambda: server.on_server(_cancel(server, account)) > 0, "the query to run")
    assert ended(api, slow)["error_code"] == 6667
    api.session.close()


async def _cancel(server: Any, account: TestAccount) -> int:
    async with server.app.platform.database.metadata() as conn:
        cursor = await conn.execute(
            "SELECT pg_cancel_backend(pid) FROM pg_stat_activity "
            "WHERE usename = %s AND query LIKE '%%pg_sleep%%'",
            (account.role,),
        )
        return len(await cursor.fetchall())
