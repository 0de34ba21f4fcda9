"""``/api/v1/tables/:id``: the table of a dataset."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from tests.support.api import Api, TestAccount
from tests.support.datasets import Owner

TABLES = "api/v1/tables/"


def show(api: Api, reference: str) -> dict[str, Any]:
    answer = api.get(TABLES + reference)
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


def test_a_table_is_found_by_id_name_and_qualified_name(api: Api, owner: Owner, account: TestAccount) -> None:
    owner.dataset("trees", rows=3)
    table = show(api, "trees")
    assert show(api, table["id"]) == table
    assert show(api, f"{account.schema}.trees") == table
    assert show(api, "trees/") == table
    viz = api.get("api/v1/viz/trees").json()
    assert table["table_visualization"]["id"] == viz["id"]
    assert table["id"] == viz["table"]["id"]
    assert (table["name"], table["privacy"]) == ("trees", "PRIVATE")
    assert (table["rows_counted"], table["geometry_types"]) == (3, ["ST_Point"])
    assert table["table_size"] == viz["table"]["size"] > 0
    assert table["dependent_visualizations"] == table["non_dependent_visualizations"] == []
    assert table["synchronization"] is None


def test_the_size_is_half_of_what_lies_on_disk(api: Api, owner: Owner) -> None:
    owner.dataset("trees", rows=1000)
    [(total,)] = owner.execute("SELECT pg_total_relation_size('trees')")
    assert show(api, "trees")["table_size"] == total // 2


def test_the_schema_names_columns_and_kinds(api: Api, owner: Owner) -> None:
    owner.execute(
        "CREATE TABLE t (z text, the_geom geometry(MultiPolygon, 4326), b boolean, at timestamptz, d date,"
        " n numeric(5,2), v varchar(3), i bigint, many int[], shape geometry(Point, 4326), j jsonb)"
    )
    owner.execute("ALTER TABLE t RENAME COLUMN shape TO place")
    owner.execute("ALTER TABLE t DROP COLUMN place")
    owner.cartodbfy("t")
    owner.execute("INSERT INTO t (the_geom) VALUES ('SRID=4326;MULTIPOLYGON(((0 0, 1 0, 1 1, 0 0)))')")
    assert show(api, "t")["schema"] == [
        ["cartodb_id", "number"],
        ["the_geom", "geometry", "geometry", "multipolygon"],
        ["at", "date"],
        ["b", "boolean"],
        ["d", "date"],
        ["i", "number"],
        ["j", "jsonb"],
        ["many", "integer[]"],
        ["n", "number"],
        ["v", "string"],
        ["z", "string"],
    ]


@pytest.mark.parametrize(
    "reference",
    ["nothing", str(UUID(int=5)), "..%2F..", "%00", "a%2Fb", "%F0%9F%8C%B3", "%27"],
)
def test_an_unknown_table_is_an_empty_404(api: Api, reference: str) -> None:
    for answer in (api.get(TABLES + reference), api.put(TABLES + reference, json={"privacy": 1})):
        assert (answer.status_code, answer.content) == (404, b"")


@pytest.mark.parametrize("key", [None, "default_public", "wrong"])
def test_only_the_master_key_reads_and_changes(api: Api, owner: Owner, key: str | None) -> None:
    owner.dataset("trees")
    stranger = api.with_key(key)
    for answer in (stranger.get(TABLES + "trees"), stranger.put(TABLES + "trees", json={"privacy": 1})):
        assert (answer.status_code, answer.content) == (401, b"")
    assert show(api, "trees")["privacy"] == "PRIVATE"


@pytest.mark.parametrize(
    ("given", "privacy"), [(1, "PUBLIC"), (2, "LINK"), ("2", "LINK"), ("public", "PUBLIC"), (0, "PRIVATE")]
)
def test_privacy_is_a_number_here(api: Api, owner: Owner, given: Any, privacy: str) -> None:
    owner.dataset("trees")
    answer = api.put(TABLES + "trees", json={"privacy": given, "description": "d", "tags": "a, b,,a"})
    assert answer.status_code == 200
    assert answer.json()["privacy"] == privacy
    viz = api.get("api/v1/viz/trees").json()
    assert (viz["privacy"], viz["description"], viz["tags"]) == (privacy, "d", ["a", "b"])


def test_a_name_is_ignored(api: Api, owner: Owner) -> None:
    owner.dataset("trees")
    answer = api.put(TABLES + "trees", json={"name": "woods", "description": "d"})
    assert (answer.json()["name"], answer.json()["description"]) == ("trees", "d")


def test_forms_are_understood(api: Api, owner: Owner) -> None:
    owner.dataset("trees")
    answer = api.anonymous.put(
        TABLES + "trees", data={"privacy": "2", "description": "ü", "api_key": api.api_key}
    )
    assert (answer.json()["privacy"], answer.json()["description"]) == ("LINK", "ü")


@pytest.mark.parametrize("values", [{"privacy": 3}, {"privacy": True}, {"privacy": "x"}, {"tags": 5}])
def test_values_that_cannot_be_are_refused(api: Api, owner: Owner, values: dict[str, Any]) -> None:
    owner.dataset("trees")
    before = show(api, "trees")
    answer = api.put(TABLES + "trees", json={"description": "new", **values})
    assert answer.status_code == 400
    assert len(answer.json()["errors"]) == 1
    assert show(api, "trees") == before


def test_points_are_made_from_two_columns(api: Api, owner: Owner) -> None:
    owner.execute("CREATE TABLE places (lat text, lon double precision)")
    owner.cartodbfy("places")
    owner.execute(
        "INSERT INTO places (lat, lon) VALUES ('2.5', 1), ('x', 1), ('95', 1), (' -3e0 ', 7), (NULL, 1)"
    )
    answer = api.put(TABLES + "places", json={"latitude_column": "lat", "longitude_column": "lon"})
    assert answer.status_code == 200
    assert answer.json()["geometry_types"] == ["ST_Point"]
    rows = owner.execute("SELECT ST_AsText(the_geom) FROM places ORDER BY cartodb_id")
    assert rows == [("POINT(1 2.5)",), (None,), (None,), ("POINT(7 -3)",), (None,)]


def test_points_need_columns_that_exist(api: Api, owner: Owner) -> None:
    owner.dataset("places")
    answer = api.put(TABLES + "places", json={"latitude_column": 'n"; --', "longitude_column": "n"})
    assert answer.status_code == 400
    assert answer.json()["errors"] == ['There is no column n"; --']


def test_there_is_no_delete(api: Api, owner: Owner) -> None:
    owner.dataset("trees")
    assert api.delete(TABLES + "trees").status_code in (404, 405)
    assert show(api, "trees")["name"] == "trees"
