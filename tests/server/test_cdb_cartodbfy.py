"""What CDB_CartodbfyTable makes of tables of every kind, as the owner of the tables sees it."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest

from tests.support.api import TestAccount
from tests.support.datasets import Owner

STANDARD = ["cartodb_id", "the_geom", "the_geom_webmercator"]
TRIGGERS = ["test_quota", "test_quota_per_row", "track_updates", "update_the_geom_webmercator_trigger"]


def columns(owner: Owner, table: str) -> list[str]:
    return [row[0] for row in owner.execute("SELECT CDB_ColumnNames(%s::regclass)", (table,))]


def types(owner: Owner, table: str) -> dict[str, str]:
    rows = owner.execute(
        "SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute "
        "WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped",
        (table,),
    )
    return dict(rows)


def triggers(owner: Owner, table: str) -> list[str]:
    rows = owner.execute("SELECT tgname FROM pg_trigger WHERE tgrelid = %s::regclass", (table,))
    return sorted(row[0] for row in rows)


def indexes(owner: Owner, table: str) -> set[str]:
    return {row[0] for row in owner.execute("SELECT index_name FROM CDB_TableIndexes(%s)", (table,))}


def oid(owner: Owner, table: str) -> Any:
    return owner.execute("SELECT %s::regclass::oid", (table,))[0][0]


def cartodbfy(owner: Owner, table: str) -> None:
    """The form with one argument, which means the caller's schema."""
    assert owner.execute("SELECT CDB_CartodbfyTable(%s::regclass)::text", (table,)) == [(table,)]


def test_a_table_of_one_number_gets_key_geometries_indexes_and_triggers(owner: Owner) -> None:
    owner.execute("CREATE TABLE t (n int)")
    owner.execute("INSERT INTO t VALUES (7), (8)")
    cartodbfy(owner, "t")
    assert columns(owner, "t") == [*STANDARD, "n"]
    assert types(owner, "t") == {
        "cartodb_id": "bigint",
        "the_geom": "geometry(Geometry,4326)",
        "the_geom_webmercator": "geometry(Geometry,3857)",
        "n": "integer",
    }
    assert triggers(owner, "t") == TRIGGERS
    assert indexes(owner, "t") == {"t_pkey", "t_the_geom_idx", "t_the_geom_webmercator_idx"}
    assert owner.execute("SELECT * FROM t ORDER BY 1") == [(1, None, None, 7), (2, None, None, 8)]
    assert owner.execute("INSERT INTO t (n) VALUES (9) RETURNING cartodb_id") == [(3,)]
    assert owner.execute(
        "SELECT pg_get_serial_sequence('t', 'cartodb_id') LIKE '%%.t_cartodb_id_seq'", ()
    ) == [(True,)]


def test_the_second_time_nothing_changes(owner: Owner) -> None:
    owner.execute("CREATE TABLE t (n int)")
    cartodbfy(owner, "t")
    before = (oid(owner, "t"), types(owner, "t"), indexes(owner, "t"), triggers(owner, "t"))
    notices: list[str] = []
    owner.connection.add_notice_handler(lambda notice: notices.append(notice.message_primary or ""))
    cartodbfy(owner, "t")
    assert before == (oid(owner, "t"), types(owner, "t"), indexes(owner, "t"), triggers(owner, "t"))
    assert notices == []


def test_triggers_that_were_not_there_are_told_in_notices(owner: Owner) -> None:
    owner.execute("CREATE TABLE t (n int)")
    notices: list[str] = []
    owner.connection.add_notice_handler(lambda notice: notices.append(notice.message_primary or ""))
    cartodbfy(owner, "t")
    assert len(notices) == 4
    assert all("does not exist, skipping" in notice for notice in notices)


def test_one_argument_and_two_mean_the_same_schema(owner: Owner) -> None:
    owner.execute("CREATE TABLE one (n int)")
    owner.execute("CREATE TABLE two (n int)")
    cartodbfy(owner, "one")
    owner.cartodbfy("two")
    rows = owner.execute(
        "SELECT relnamespace::regnamespace::text = quote_ident(current_schema()) FROM pg_class "
        "WHERE oid IN ('one'::regclass, 'two'::regclass)"
    )
    assert rows == [(True,), (True,)]


def test_untyped_points_without_srid_are_taken_for_lon_lat(owner: Owner) -> None:
    owner.execute("CREATE TABLE t AS SELECT 'x' AS name, ST_MakePoint(1, 2) AS geom, 5 AS z")
    cartodbfy(owner, "t")
    assert columns(owner, "t") == [*STANDARD, "name", "z"]
    assert owner.execute(
        "SELECT ST_AsEWKT(the_geom), round(ST_X(the_geom_webmercator)), round(ST_Y(the_geom_webmercator)),"
        " name, z FROM t"
    ) == [("SRID=4326;POINT(1 2)", 111319, 222684, "x", 5)]


def test_untyped_points_of_another_srid_are_reprojected(owner: Owner) -> None:
    owner.execute("CREATE TABLE t AS SELECT 'SRID=3857;POINT(111319.49079327357 0)'::geometry AS the_geom")
    cartodbfy(owner, "t")
    assert owner.execute("SELECT ST_AsText(ST_SnapToGrid(the_geom, 0.0001)) FROM t") == [("POINT(1 0)",)]


def test_lines_in_mercator_keep_their_column_under_the_standard_name(owner: Owner) -> None:
    owner.execute("CREATE TABLE t (name text, way geometry(LineString, 3857))")
    owner.execute("INSERT INTO t VALUES ('a', 'SRID=3857;LINESTRING(0 0, 111319.49079327357 0)')")
    cartodbfy(owner, "t")
    assert columns(owner, "t") == [*STANDARD, "name"]
    assert owner.execute(
        "SELECT ST_AsText(ST_SnapToGrid(the_geom, 0.0001)), ST_AsText(the_geom_webmercator) FROM t"
    ) == [("LINESTRING(0 0,1 0)", "LINESTRING(0 0,111319.49079327357 0)")]


def test_a_good_column_replaces_a_misfit_under_the_standard_name(owner: Owner) -> None:
    owner.execute("CREATE TABLE t (the_geom geometry(Point, 25830), spot geometry(Point, 4326))")
    owner.execute("INSERT INTO t (spot) VALUES ('SRID=4326;POINT(3 4)')")
    cartodbfy(owner, "t")
    assert columns(owner, "t") == STANDARD
    assert owner.execute("SELECT ST_AsText(the_geom) FROM t") == [("POINT(3 4)",)]


def test_text_that_is_geometry_becomes_geometry(owner: Owner) -> None:
    owner.execute("CREATE TABLE t (the_geom text, n int)")
    owner.execute(
        "INSERT INTO t VALUES ('POINT(1 2)', 1), (NULL, 2), ('', 3), ('SRID=3857;POINT(0 0)', 4),"
        " ('0101000020E6100000000000000000F03F0000000000000040', 5)"
    )
    cartodbfy(owner, "t")
    assert owner.execute("SELECT ST_AsText(the_geom) FROM t ORDER BY n") == [
        ("POINT(1 2)",),
        (None,),
        (None,),
        ("POINT(0 0)",),
        ("POINT(1 2)",),
    ]
    assert types(owner, "t")["the_geom"] == "geometry(Geometry,4326)"


def test_what_is_no_geometry_keeps_its_data_under_another_name(owner: Owner) -> None:
    owner.execute("CREATE TABLE t (the_geom text, the_geom_1 int, the_geom_webmercator int)")
    owner.execute("INSERT INTO t VALUES ('nowhere', 1, 2)")
    cartodbfy(owner, "t")
    assert columns(owner, "t") == [*STANDARD, "the_geom_2", "the_geom_1", "the_geom_webmercator_1"]
    assert owner.execute("SELECT the_geom, the_geom_2, the_geom_webmercator_1 FROM t") == [
        (None, "nowhere", 2)
    ]


def test_points_with_height_keep_it_and_can_be_inserted(owner: Owner) -> None:
    owner.execute("CREATE TABLE t (geom geometry(PointZ, 4326))")
    owner.execute("INSERT INTO t VALUES ('SRID=4326;POINT Z (1 0 5)')")
    cartodbfy(owner, "t")
    owner.execute("INSERT INTO t (the_geom) VALUES ('SRID=4326;POINT Z (2 0 6)')")
    assert owner.execute("SELECT ST_Z(the_geom), ST_Z(the_geom_webmercator) FROM t ORDER BY 1") == [
        (5.0, 5.0),
        (6.0, 6.0),
    ]


def test_a_serial_key_under_another_name_is_renamed(owner: Owner) -> None:
    owner.execute("CREATE TABLE t (id serial PRIMARY KEY, name text)")
    owner.execute("INSERT INTO t VALUES (41, 'a'), (10, 'b')")
    cartodbfy(owner, "t")
    assert columns(owner, "t") == [*STANDARD, "name"]
    assert types(owner, "t")["cartodb_id"] == "integer"
    assert owner.execute("SELECT cartodb_id, name FROM t ORDER BY 1") == [(10, "b"), (41, "a")]
    assert owner.execute("INSERT INTO t (name) VALUES ('c') RETURNING cartodb_id") == [(42,)]


def test_a_key_on_another_column_gives_way(owner: Owner) -> None:
    owner.execute("CREATE TABLE t (code text PRIMARY KEY, n int)")
    owner.execute("INSERT INTO t VALUES ('x', 1)")
    cartodbfy(owner, "t")
    assert owner.execute("SELECT index_name, index_keys FROM CDB_TableIndexes('t') WHERE index_primary") == [
        ("t_pkey", ["cartodb_id"])
    ]


def test_numbers_written_as_text_serve_as_key(owner: Owner) -> None:
    owner.execute("CREATE TABLE t (cartodb_id text, n int)")
    owner.execute("INSERT INTO t VALUES ('10', 1), ('20', 2)")
    cartodbfy(owner, "t")
    assert owner.execute("SELECT cartodb_id, n FROM t ORDER BY 1") == [(10, 1), (20, 2)]
    assert types(owner, "t")["cartodb_id"] == "integer"


@pytest.mark.parametrize(
    ("kind", "values"), [("int", "(1), (1)"), ("int", "(1), (NULL)"), ("text", "('x')"), ("numeric", "(1.5)")]
)
def test_a_key_that_cannot_be_one_is_refused_and_the_table_stays(
    owner: Owner, kind: str, values: str
) -> None:
    owner.execute(f"CREATE TABLE t (cartodb_id {kind})")
    owner.execute(f"INSERT INTO t VALUES {values}")
    with pytest.raises(psycopg.Error, match="invalid cartodb_id"):
        cartodbfy(owner, "t")
    assert columns(owner, "t") == ["cartodb_id"]


def test_a_table_that_is_right_is_not_rewritten(owner: Owner) -> None:
    owner.execute(
        "CREATE TABLE t (n int, cartodb_id serial PRIMARY KEY, the_geom geometry(Point, 4326),"
        " the_geom_webmercator geometry(Point, 3857))"
    )
    before = oid(owner, "t")
    cartodbfy(owner, "t")
    assert oid(owner, "t") == before
    assert columns(owner, "t") == ["n", *STANDARD]
    assert triggers(owner, "t") == TRIGGERS
    assert indexes(owner, "t") == {"t_pkey", "t_the_geom_idx", "t_the_geom_webmercator_idx"}


def test_a_rewrite_keeps_what_was_granted(owner: Owner) -> None:
    owner.execute("CREATE TABLE t (n int)")
    owner.execute("GRANT SELECT ON t TO publicuser")
    before = oid(owner, "t")
    cartodbfy(owner, "t")
    assert oid(owner, "t") != before
    assert owner.execute("SELECT has_table_privilege('publicuser', 't', 'SELECT')") == [(True,)]


def test_names_of_any_kind_are_left_as_they_are(owner: Owner) -> None:
    name = '"My ""odd"" table.é' + "x" * 42 + '"'
    owner.execute(f'CREATE TABLE {name} ("A b" int, "the""geom" geometry(Point, 4326))')
    owner.execute("SELECT CDB_CartodbfyTable(%s::regclass)", (name,))
    assert columns(owner, name) == [*STANDARD, "A b"]
    assert owner.execute(f'INSERT INTO {name} ("A b") VALUES (1) RETURNING cartodb_id') == [(1,)]


def test_an_unknown_schema_is_refused(owner: Owner) -> None:
    owner.execute("CREATE TABLE t (n int)")
    with pytest.raises(psycopg.Error, match=r'^Invalid schema name "nowhere"'):
        owner.execute("SELECT CDB_CartodbfyTable('nowhere', 't')")


def test_a_table_goes_to_the_schema_that_is_named(
    owner: Owner, account: TestAccount, admin: psycopg.Connection[Any]
) -> None:
    second = f"{account.schema}_2"
    admin.execute(f'CREATE SCHEMA "{second}" AUTHORIZATION "{account.role}"'.encode())
    admin.execute("SELECT cartodb.CDB_SetUserQuotaInBytes(%s::text, 0)", (second,))
    owner.execute("CREATE TABLE rewritten (n int)")
    owner.dataset("moved", rows=2)
    moved = oid(owner, "moved")
    for table in ("rewritten", "moved"):
        owner.execute("SELECT CDB_CartodbfyTable(%s, %s::regclass)", (second, table))
        assert owner.execute("SELECT to_regclass(%s)", (table,)) == [(None,)]
        assert triggers(owner, f"{second}.{table}") == TRIGGERS
    assert oid(owner, f"{second}.moved") == moved
    assert owner.execute(f"INSERT INTO {second}.rewritten (n) VALUES (1) RETURNING cartodb_id") == [(1,)]


def test_rasters_get_a_key_and_are_tracked(owner: Owner) -> None:
    owner.execute("CREATE TABLE t (the_raster_webmercator bytea)")
    owner.execute("INSERT INTO t VALUES ('x')")
    for _ in range(2):
        cartodbfy(owner, "t")
        assert columns(owner, "t") == ["the_raster_webmercator", "cartodb_id"]
        assert triggers(owner, "t") == TRIGGERS[:3]
    assert owner.execute("SELECT cartodb_id FROM t") == [(1,)]


def test_a_schema_without_a_quota_is_refused(owner: Owner) -> None:
    owner.execute("DROP FUNCTION _CDB_UserQuotaInBytes()")
    owner.execute("CREATE TABLE t (n int)")
    with pytest.raises(psycopg.Error, match=r"^Please set user quota before cartodbfying tables\."):
        cartodbfy(owner, "t")


@pytest.mark.parametrize("definition", ["VIEW t AS SELECT 1 AS n", "TEMP TABLE t (n int)"])
def test_views_and_temporary_tables_are_no_datasets(owner: Owner, definition: str) -> None:
    owner.execute(f"CREATE {definition}")
    with pytest.raises(psycopg.errors.WrongObjectType, match='"t" is not a table that can be a dataset'):
        owner.execute("SELECT CDB_CartodbfyTable('t'::regclass)")


def test_a_view_on_the_table_keeps_it_as_it_is(owner: Owner) -> None:
    owner.execute("CREATE TABLE t (n int)")
    owner.execute("CREATE VIEW v AS SELECT n FROM t")
    with pytest.raises(psycopg.errors.DependentObjectsStillExist):
        cartodbfy(owner, "t")
    assert columns(owner, "t") == ["n"]


def test_writing_a_point_fills_the_mercator_column_and_the_time(owner: Owner) -> None:
    owner.dataset("t")
    assert owner.execute("SELECT * FROM CDB_TableMetadata") == []
    with owner.connection.transaction():
        owner.execute("INSERT INTO t (the_geom) VALUES (CDB_LatLng(2, 1))")
        assert owner.execute("SELECT tabname = 't'::regclass, updated_at = now() FROM CDB_TableMetadata") == [
            (True, True)
        ]
    assert owner.execute(
        "SELECT round(ST_X(the_geom_webmercator)), round(ST_Y(the_geom_webmercator)) FROM t"
    ) == [(111319, 222684)]


def test_the_mercator_column_follows_the_geometry_alone(owner: Owner) -> None:
    owner.dataset("t")
    point = "'SRID=3857;POINT(5 5)'"
    owner.execute(f"INSERT INTO t (n, the_geom_webmercator) VALUES (1, {point})")
    owner.execute(f"INSERT INTO t (n, the_geom, the_geom_webmercator) VALUES (2, CDB_LatLng(0, 1), {point})")
    owner.execute("INSERT INTO t (n) VALUES (3)")
    query = "SELECT n, round(ST_X(the_geom_webmercator)) FROM t ORDER BY n"
    assert owner.execute(query) == [(1, None), (2, 111319), (3, None)]
    owner.execute(f"UPDATE t SET the_geom_webmercator = {point} WHERE n = 2")
    owner.execute("UPDATE t SET the_geom = CDB_LatLng(0, 2) WHERE n = 3")
    assert owner.execute(query) == [(1, None), (2, 5), (3, 222639)]
    owner.execute("UPDATE t SET the_geom = NULL")
    assert owner.execute(query) == [(1, None), (2, None), (3, None)]


@pytest.mark.parametrize("write", ["UPDATE t SET n = 1", "DELETE FROM t", "TRUNCATE t"])
def test_every_kind_of_write_moves_the_time(owner: Owner, write: str) -> None:
    owner.dataset("t", rows=1)
    first = owner.execute("SELECT updated_at FROM CDB_TableMetadata")
    owner.execute(write)
    assert owner.execute("SELECT updated_at FROM CDB_TableMetadata") > first
