"""What ``/sql`` answers: rows, fields, counts, notices."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conftest import MakeServer
from tests.support.api import Api, make_account


def rows(api: Api, q: str, **parameters: Any) -> list[dict[str, Any]]:
    response = api.sql(q, **parameters)
    assert response.status_code == 200, response.text
    found: list[dict[str, Any]] = response.json()["rows"]
    return found


def value(api: Api, expression: str) -> Any:
    return rows(api, f"SELECT {expression} AS x")[0]["x"]


def body(api: Api, q: str, **parameters: Any) -> dict[str, Any]:
    response = api.sql(q, **parameters)
    assert response.status_code == 200, response.text
    found: dict[str, Any] = response.json()
    return found


@pytest.mark.parametrize("path", ["api/v1/sql", "api/whatever/sql", "api/v4/sql/"])
def test_any_version_and_a_trailing_slash_are_accepted(api: Api, path: str) -> None:
    response = api.get(path, params={"q": "select 1"})
    assert (response.status_code, response.json()["rows"]) == (200, [{"?column?": 1}])


def test_the_members_of_an_answer_come_in_their_documented_order(api: Api) -> None:
    answer = body(api, "DO $$BEGIN RAISE NOTICE 'hello'; END$$; SELECT 1 AS a, 'é' AS b")
    assert list(answer) == ["rows", "time", "fields", "total_rows", "notices"]
    assert answer["rows"] == [{"a": 1, "b": "é"}]
    assert answer["fields"] == {
        "a": {"type": "number", "pgtype": "int4"},
        "b": {"type": "string", "pgtype": "text"},
    }
    assert answer["total_rows"] == 1
    assert answer["notices"] == ["hello"]
    assert 0 <= answer["time"] < 10


def test_non_ascii_text_is_not_escaped(api: Api) -> None:
    assert "é€😀".encode() in api.sql("SELECT 'é€😀' AS b").content


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("1::int2", 1),
        ("9007199254740993::int8", 9007199254740993),
        ("1.50::numeric", 1.5),
        ("1::float8", 1),
        ("1.25::float4", 1.25),
        ("1e300::float8", 1e300),
        ("'NaN'::float8", "NaN"),
        ("'Infinity'::float8", "Infinity"),
        ("'-Infinity'::float4", "-Infinity"),
        ("'NaN'::numeric", "NaN"),
        ("12::oid", 12),
        ("true", True),
        ("false", False),
        ("NULL::int", None),
        ("NULL::bool", None),
        ("NULL::text", None),
        ("NULL::timestamptz", None),
        ("NULL::jsonb", None),
        ("NULL::geometry", None),
        ("'a\"b\\c' || chr(9) || chr(1)", 'a"b\\c\t\x01'),
        ("'100%'", "100%"),
        ("1.5::money", "$1.50"),
        ("int4range(1, 5)", "[1,5)"),
        ("row(1, 'a')", "(1,a)"),
        ("'10.0.0.1'::inet", "10.0.0.1"),
        ("'03:04:05.5'::time", "03:04:05.5"),
        ("'a'::name", "a"),
        ("B'101'", "101"),
        ("'11111111-2222-3333-4444-555555555555'::uuid", "11111111-2222-3333-4444-555555555555"),
        ("'2020-01-02'::date", "2020-01-02T00:00:00Z"),
        ("'2020-01-02 03:04:05.999'::timestamp", "2020-01-02T03:04:05Z"),
        ("'2020-01-02 03:04:05.999+02'::timestamptz", "2020-01-02T01:04:05Z"),
        ("'infinity'::timestamptz", "Infinity"),
        ("'-infinity'::date", "-Infinity"),
        ("'0044-03-15 BC'::date", "0044-03-15 BC"),
        (
            "'1 day 2 hours 3.5 seconds'::interval",
            {"days": 1, "hours": 2, "seconds": 3, "milliseconds": 500},
        ),
        ("'-1 year -2 months +3 minutes'::interval", {"years": -1, "months": -2, "minutes": 3}),
        ("'0'::interval", {}),
        ("point(1, 2.5)", {"x": 1, "y": 2.5}),
        ("circle(point(1, 2), 3)", {"x": 1, "y": 2, "radius": 3}),
        ("'\\xdead'::bytea", {"type": "Buffer", "data": [222, 173]}),
        ('\'{"a": [1, null], "b": "é"}\'::jsonb', {"a": [1, None], "b": "é"}),
        ("'[1,\n2]'::json", [1, 2]),
        ("ARRAY[8.7, 4.3]::numeric[]", [8.7, 4.3]),
        ("ARRAY[[1, 2], [3, NULL]]", [[1, 2], [3, None]]),
        ("'[0:1]={5,6}'::int[]", [5, 6]),
        ("ARRAY['NaN', '-Infinity', 1]::float8[]", ["NaN", "-Infinity", 1]),
        ("ARRAY[true, NULL, false]", [True, None, False]),
        ("ARRAY['a,b', 'c\"d\\', NULL, 'NULL', '', '{}']", ["a,b", 'c"d\\', None, "NULL", "", "{}"]),
        ("'{}'::text[]", []),
        ("ARRAY['2020-01-02'::date]", ["2020-01-02T00:00:00Z"]),
        ("ARRAY['{\"a\": 1}'::jsonb]", [{"a": 1}]),
        ("ST_SetSRID(ST_MakePoint(1, 2), 4326)", "0101000020E6100000000000000000F03F0000000000000040"),
        ("ST_MakePoint(1, 2)::geography", "0101000020E6100000000000000000F03F0000000000000040"),
        ("pg_sleep(0)", ""),
    ],
)
def test_values_come_as_the_documented_json(api: Api, expression: str, expected: Any) -> None:
    assert value(api, expression) == expected


def test_nulls_and_values_may_mix_in_every_kind_of_column(api: Api) -> None:
    kinds = ["int", "float8", "text", "bool", "timestamptz", "jsonb", "uuid", "int[]", "bytea", "interval"]
    samples = ["1", "NaN", "a", "t", "2020-01-01", "{}", "11111111-2222-3333-4444-555555555555"]
    samples += ["{1}", "\\x00", "1 day"]
    present = ", ".join(f"'{s}'::{k} AS c{i}" for i, (k, s) in enumerate(zip(kinds, samples, strict=True)))
    absent = ", ".join(f"NULL::{k}" for k in kinds)
    found = rows(api, f"SELECT * FROM (SELECT {present} UNION ALL SELECT {absent}) x")
    assert set(found[1].values()) == {None}
    assert list(found[0].values()) == [
        *(1, "NaN", "a", True, "2020-01-01T00:00:00Z", {}, "11111111-2222-3333-4444-555555555555"),
        *([1], {"type": "Buffer", "data": [0]}, {"days": 1}),
    ]


def test_types_are_named_in_fields_even_without_rows(api: Api) -> None:
    q = """SELECT 1::int AS a, 1::float8 AS b, 'x'::varchar AS c, 'x'::char AS d, now() AS e, 'x'::text AS f,
           true AS g, ST_MakePoint(0, 0) AS h, now()::date AS i, 1::numeric AS j LIMIT 0"""
    answer = body(api, q)
    types = [field["type"] for field in answer["fields"].values()]
    expected = "number number string string date string boolean geometry date number"
    assert (answer["rows"], " ".join(types)) == ([], expected)


@pytest.mark.parametrize(
    ("expression", "field"),
    [
        ("1::int8", {"type": "number", "pgtype": "int8"}),
        ("'1 day'::interval", {"type": "number", "pgtype": "interval"}),
        ("point(1, 2)", {"type": "number", "pgtype": "point"}),
        ("'x'::bpchar", {"type": "string", "pgtype": "bpchar"}),
        ("'12:00'::timetz", {"type": "date", "pgtype": "timetz"}),
        ("gen_random_uuid()", {"type": "uuid", "pgtype": "uuid"}),
        ("'{}'::json", {"type": "JSON", "pgtype": "JSON"}),
        ("'{}'::jsonb", {"type": "jsonb", "pgtype": "jsonb"}),
        ("row(1)", {"type": "record", "pgtype": "record"}),
        ("pg_sleep(0)", {"type": "void", "pgtype": "void"}),
        ("ARRAY[1]", {"type": "number[]", "pgtype": "_int4"}),
        ("ARRAY['a']", {"type": "string[]", "pgtype": "_text"}),
        ("ARRAY['{}'::jsonb]", {"type": "_jsonb[]", "pgtype": "_jsonb"}),
        ("ST_MakePoint(0, 0)", {"type": "geometry", "dims": 4, "srid": -1}),
    ],
)
def test_fields_name_types_as_documented(api: Api, expression: str, field: dict[str, Any]) -> None:
    assert body(api, f"SELECT {expression} AS x")["fields"] == {"x": field}


def test_types_of_users_are_unknown_with_their_oid(api: Api) -> None:
    assert api.sql("CREATE TYPE mood AS ENUM ('sad', 'happy')").status_code == 200
    oid = value(api, "'mood'::regtype::oid::int8")
    answer = body(api, "SELECT 'happy'::mood AS m, ARRAY['sad'::mood] AS l")
    assert answer["rows"] == [{"m": "happy", "l": "{sad}"}]
    assert answer["fields"]["m"] == {"type": f"unknown({oid})"}


@pytest.mark.parametrize(
    ("declared", "wkbtype", "dims", "srid"),
    [
        ("geometry(Geometry, 4326)", "Unknown", 2, 4326),
        ("geometry(Point, 4326)", "Point", 2, 4326),
        ("geometry(LineStringZ, 3857)", "LineString", 3, 3857),
        ("geometry(PolygonZM, 4326)", "Polygon", 4, 4326),
        ("geometry(MultiPointM, 25830)", "MultiPoint", 3, 25830),
        ("geometry(MultiLineString)", "MultiLineString", 2, 0),
        ("geography(MultiPolygon, 4326)", "MultiPolygon", 2, 4326),
        ("geometry(GeometryCollection, 4326)", "GeometryCollection", 2, 4326),
    ],
)
def test_geometry_columns_tell_kind_dimensions_and_srid(
    api: Api, declared: str, wkbtype: str, dims: int, srid: int
) -> None:
    assert api.sql(f"CREATE TABLE g (g {declared})").status_code == 200
    expected = {"type": "geometry", "wkbtype": wkbtype, "dims": dims, "srid": srid}
    assert body(api, "SELECT * FROM g")["fields"] == {"g": expected}


@pytest.mark.parametrize("q", ["", ";", "-- nothing", "/* nothing */"])
def test_a_text_without_statements_has_no_rows(api: Api, q: str) -> None:
    answer = body(api, q)
    assert (answer["rows"], answer["fields"], answer["total_rows"]) == ([], {}, 0)


def test_a_statement_of_no_columns_gives_empty_objects(api: Api) -> None:
    assert rows(api, "SELECT FROM generate_series(1, 3)") == [{}, {}, {}]


def test_of_two_columns_with_one_name_the_last_counts(api: Api) -> None:
    assert api.sql("SELECT 1 AS a, 2 AS b, 3 AS a").text.startswith('{"rows":[{"a":3,"b":2}]')


def test_data_changes_are_counted(api: Api) -> None:
    api.sql("CREATE TABLE t (id int, name text)")
    for q in ("INSERT INTO t VALUES (1, 'ab'), (2, 'cd')", "UPDATE t SET name = name", "DELETE FROM t"):
        answer = body(api, q)
        assert (answer["rows"], answer["fields"], answer["total_rows"]) == ([], {}, 2), q


def test_returning_gives_rows(api: Api) -> None:
    api.sql("CREATE TABLE t (name text)")
    answer = body(api, "INSERT INTO t VALUES ('ab') RETURNING upper(name), reverse(name)")
    assert (answer["rows"], answer["total_rows"]) == ([{"upper": "AB", "reverse": "ba"}], 1)


def test_statements_that_count_nothing_give_zero(api: Api) -> None:
    api.sql("CREATE TABLE t (a int); CREATE INDEX i ON t (a)")
    for q in (
        "TRUNCATE t",
        "REINDEX TABLE t",
        "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "DROP FUNCTION f()",
        "DO $$BEGIN END$$",
    ):
        response = api.sql(q)
        answer = response.json()
        assert (response.status_code, answer["rows"], answer["total_rows"]) == (200, [], 0), q
        assert "X-Cache-Channel" not in response.headers
        writes = not q.startswith("DO")
        assert ("max-age=0," in response.headers["Cache-Control"]) == writes, q


def test_numbers_of_every_kind_are_json_numbers(api: Api) -> None:
    for kind in ("int2", "int4", "int8", "float4", "float8", "numeric"):
        answer = body(api, f"SELECT 8::{kind} AS one, ARRAY[8, 4]::{kind}[] AS more")
        assert answer["rows"] == [{"one": 8, "more": [8, 4]}]
        assert answer["fields"] == {
            "one": {"type": "number", "pgtype": kind},
            "more": {"type": "number[]", "pgtype": f"_{kind}"},
        }


def test_the_mercator_column_is_shown_unless_skipped(api: Api) -> None:
    q = "SELECT 1 AS cartodb_id, NULL::geometry AS the_geom, NULL::geometry AS the_geom_webmercator"
    assert list(rows(api, q)[0]) == ["cartodb_id", "the_geom", "the_geom_webmercator"]
    answer = api.sql(q, skipfields="the_geom_webmercator,nothing").json()
    assert list(answer["rows"][0]) == list(answer["fields"]) == ["cartodb_id", "the_geom"]


def test_rows_of_all_statements_come_one_after_the_other(api: Api) -> None:
    answer = body(api, "SELECT 1 AS a; SELECT 2 AS b, 'x' AS c; SELECT 3 AS b WHERE false")
    assert answer["rows"] == [{"a": 1}, {"b": 2, "c": "x"}]
    assert list(answer["fields"]) == ["b"]
    assert answer["total_rows"] == 0


def test_transactions_inside_one_text(api: Api) -> None:
    api.sql("CREATE TABLE t (b int); INSERT INTO t VALUES (1)")
    q = """BEGIN; DELETE FROM t; COMMIT; BEGIN; INSERT INTO t VALUES (5); COMMIT;
           ALTER TABLE t ALTER b TYPE float USING b::float / 2; SELECT b FROM t"""
    assert rows(api, q) == [{"b": 2.5}]


def test_an_error_undoes_the_implicit_transaction(api: Api) -> None:
    api.sql("CREATE TABLE t (b int)")
    assert api.sql("INSERT INTO t VALUES (1); SELECT 1 / 0").status_code == 400
    assert rows(api, "SELECT * FROM t") == []


def test_a_failed_transaction_is_not_the_next_requests(api: Api) -> None:
    response = api.sql("BEGIN; SELECT 1/0; COMMIT")
    assert (response.status_code, response.json()["error"]) == (400, ["division by zero"])
    assert rows(api, "SELECT 1 AS foo") == [{"foo": 1}]


def test_an_open_transaction_is_rolled_back(api: Api) -> None:
    api.sql("CREATE TABLE t (b int)")
    assert api.sql("BEGIN; INSERT INTO t VALUES (1)").status_code == 200
    assert rows(api, "SELECT * FROM t") == []


@pytest.mark.parametrize(
    ("leave", "look"),
    [
        ("SET TimeZone = 'Asia/Tokyo'", "current_setting('TimeZone')"),
        ("SET search_path = pg_catalog", "current_setting('search_path')"),
        ("CREATE TEMP TABLE left_behind AS SELECT 1", "to_regclass('left_behind')::text"),
        ("PREPARE p AS SELECT 1", "(SELECT count(*) FROM pg_prepared_statements)"),
    ],
)
def test_nothing_is_left_behind_for_the_next_request(api: Api, leave: str, look: str) -> None:
    before = value(api, look)
    assert api.sql(leave).status_code == 200
    assert value(api, look) == before


def test_notices_warnings_and_infos_have_lists_of_their_own(api: Api) -> None:
    q = "DO $$BEGIN RAISE NOTICE 'n'; RAISE WARNING 'w'; RAISE INFO 'i'; END$$"
    answer = body(api, q)
    assert (answer["notices"], answer["warnings"], answer["infos"]) == (["n"], ["w"], ["i"])


def test_notices_are_bounded(api: Api) -> None:
    answer = body(api, "DO $$BEGIN FOR i IN 1..200 LOOP RAISE NOTICE '%', repeat('x', 9999); END LOOP; END$$")
    assert 10 <= len(answer["notices"]) < 200


def test_a_dollar_number_is_no_parameter(api: Api) -> None:
    response = api.sql("SELECT $1")
    assert (response.status_code, response.json()["error"]) == (400, ["there is no parameter $1"])


def test_copy_to_stdout_counts_its_rows_and_leaves_the_connection_usable(api: Api) -> None:
    answer = body(api, "COPY (SELECT repeat('x', 1000) FROM generate_series(1, 5000)) TO STDOUT")
    assert (answer["rows"], answer["total_rows"]) == ([], 5000)
    assert rows(api, "SELECT 1 AS a") == [{"a": 1}]


def test_copy_from_stdin_has_no_source(api: Api) -> None:
    api.sql("CREATE TABLE t (a int)")
    response = api.sql("COPY t FROM STDIN")
    assert response.status_code == 400
    assert response.json()["error"] == ["COPY from stdin failed: No source stream defined"]
    assert rows(api, "SELECT 1 AS a") == [{"a": 1}]


def test_names_of_tables_may_hold_anything(api: Api) -> None:
    assert api.sql('CREATE TABLE "foo.bar%s" ("a b%" int)').status_code == 200
    assert api.sql('INSERT INTO "foo.bar%s" VALUES (1)').status_code == 200
    assert rows(api, 'SELECT * FROM "foo.bar%s"') == [{"a b%": 1}]
    assert api.sql('DROP TABLE "foo.bar%s"').status_code == 200


def test_large_results_arrive_whole_and_in_order(api: Api) -> None:
    api.sql(
        "CREATE TABLE big AS SELECT i, repeat('é', i % 50) AS t FROM generate_series(1, 30000) i; ANALYZE big"
    )
    found = rows(api, "SELECT * FROM big ORDER BY i")
    assert found == [{"i": i, "t": "é" * (i % 50)} for i in range(1, 30001)]


def test_dates_are_shown_in_the_servers_zone_whatever_the_session_says(make_server: MakeServer) -> None:
    server = make_server(settings={"timezone": "Europe/Rome"})
    account = make_account(server)
    api = Api(account.base_url, account.api_key)
    q = "SELECT '2000-01-01T00:00:00+01'::timestamptz AS t, '2000-07-01'::date AS d"
    for zone in ("UTC", "Europe/Rome", "America/New_York"):
        found = rows(api, f"SET timezone = '{zone}'; {q}")
        assert found == [{"t": "2000-01-01T00:00:00+0100", "d": "2000-07-01T00:00:00+0200"}]


def test_another_client_encoding_is_refused(api: Api) -> None:
    response = api.sql("SET client_encoding = 'latin1'; SELECT 'é'")
    assert response.status_code == 400
    assert "client_encoding" in response.json()["error"][0]
    assert rows(api, "SELECT 'é' AS a") == [{"a": "é"}]


def test_a_row_over_the_limit_is_refused(make_server: MakeServer) -> None:
    account = make_account(make_server(row_max_bytes=100))
    api = Api(account.base_url, account.api_key)
    response = api.sql("SELECT repeat('x', 101)")
    assert (response.status_code, response.json()["error"]) == (400, ["Row too large, was 101 bytes"])
    assert rows(api, "SELECT repeat('x', 100) AS a")[0]["a"] == "x" * 100
