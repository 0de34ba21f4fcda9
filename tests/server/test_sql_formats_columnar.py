"""``/sql`` as Parquet and Arrow, read back with pyarrow and compared with the table."""

from __future__ import annotations

import io
import json
import sys
import threading
from datetime import date, datetime, timezone
from decimal import Decimal
from typing import Any

import psycopg
import pyarrow as pa
import pyarrow.parquet
import pytest
import requests

from carto_like.server.formats.columnar import Encoder
from tests.conftest import MakeServer
from tests.support.api import Api, TestAccount, make_account
from tests.support.raw import RawRequest, active_queries, eventually
from tests.support.rows import rows_of

FORMATS = ("parquet", "arrow")
EVERYTHING = """
    SELECT 1::int2 AS a, 2::int4 AS b, 9007199254740993::int8 AS c, 1.50::numeric(12, 2) AS d,
           1.5::numeric AS e, 0.1::float4 AS f, 'Infinity'::float8 AS g, true AS h, 'é, "x"\n2' AS i,
           DATE '2020-02-29' AS j, TIMESTAMPTZ '2020-01-01 12:00:00.123456+02' AS k,
           TIMESTAMP '1969-12-31 23:59:59' AS l, '{"a": [1, null]}'::jsonb AS m, '\\x00ff'::bytea AS n,
           ARRAY[1, NULL, 3] AS o, ARRAY['x,y', NULL, ''] AS p, ARRAY[true, false] AS q, '' AS r,
           '8b0e2c4e-3b0a-4d7c-9d9c-2d8f1d5a7b10'::uuid AS s, ARRAY[]::float8[] AS t,
           123456789012345678901234567890123456789.5::numeric(40, 1) AS u
"""
VALUES: dict[str, Any] = {
    "a": 1,
    "b": 2,
    "c": 9007199254740993,
    "d": Decimal("1.50"),
    "e": 1.5,
    "f": pytest.approx(0.1),
    "g": float("inf"),
    "h": True,
    "i": 'é, "x"\n2',
    "j": date(2020, 2, 29),
    "k": datetime(2020, 1, 1, 10, 0, 0, 123456, timezone.utc),
    "l": datetime(1969, 12, 31, 23, 59, 59),
    "m": '{"a": [1, null]}',
    "n": b"\x00\xff",
    "o": [1, None, 3],
    "p": ["x,y", None, ""],
    "q": [True, False],
    "r": "",
    "s": "8b0e2c4e-3b0a-4d7c-9d9c-2d8f1d5a7b10",
    "t": [],
    "u": Decimal("123456789012345678901234567890123456789.5"),
}
TYPES = {
    "a": pa.int16(),
    "b": pa.int32(),
    "c": pa.int64(),
    "d": pa.decimal128(12, 2),
    "e": pa.float64(),
    "f": pa.float32(),
    "h": pa.bool_(),
    "j": pa.date32(),
    "k": pa.timestamp("us", tz="UTC"),
    "l": pa.timestamp("us"),
    "m": pa.string(),
    "n": pa.binary(),
    "u": pa.decimal256(40, 1),
}


def read(content: bytes, format: str) -> Any:
    if format == "parquet":
        return pyarrow.parquet.read_table(io.BytesIO(content))
    return pa.ipc.open_stream(content).read_all()


def export(api: Api, q: str, format: str, **parameters: Any) -> Any:
    response = api.sql(q, format=format, **parameters)
    assert response.status_code == 200, response.text
    return read(response.content, format)


def geo(table: Any) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(table.schema.metadata[b"geo"])
    return found


@pytest.mark.parametrize("format", FORMATS)
def test_types_are_kept(api: Api, format: str) -> None:
    table = export(
        api, f"SELECT e.* FROM generate_series(1, 2) z LEFT JOIN ({EVERYTHING}) e ON z = 1", format
    )
    assert table.slice(0, 1).to_pylist() == [VALUES]
    assert table.slice(1, 1).to_pylist() == [dict.fromkeys(VALUES)]
    assert {name: table.schema.field(name).type for name in TYPES} == TYPES
    assert table.schema.field("o").type.value_type == pa.int32()
    assert table.schema.field("t").type.value_type == pa.float64()


@pytest.mark.parametrize(
    ("format", "kind", "extension"),
    [
        ("parquet", "application/vnd.apache.parquet", "parquet"),
        ("arrow", "application/vnd.apache.arrow.stream", "arrows"),
    ],
)
def test_answers_are_files_of_that_kind(api: Api, format: str, kind: str, extension: str) -> None:
    response = api.sql("SELECT 1 AS a; -- one", format=format, filename="trees.x")
    assert response.headers["Content-Type"] == kind
    assert response.headers["Content-Disposition"].startswith(f"attachment; filename=trees.{extension};")
    assert read(response.content, format).to_pylist() == [{"a": 1}]


@pytest.mark.parametrize("format", FORMATS)
def test_empty_results_have_columns(api: Api, format: str) -> None:
    q = "SELECT 1::int8 AS a, NULL::geometry(Point, 4326) AS the_geom LIMIT 0"
    table = export(api, q, format)
    assert (table.num_rows, table.schema.names, table.schema.field("a").type) == (
        0,
        ["a", "the_geom"],
        pa.int64(),
    )


@pytest.mark.parametrize("format", FORMATS)
def test_rows_and_geometries_are_those_of_the_table(api: Api, format: str) -> None:
    rows_of(
        api,
        """CREATE TABLE mixed AS
           SELECT i AS id, 'row ' || i AS name, CASE i % 4 WHEN 0 THEN NULL
               WHEN 1 THEN ST_SetSRID(ST_MakePoint(i / 1000.0, 50), 4326)
               WHEN 2 THEN ST_SetSRID('LINESTRING(-3 1, 2 4)'::geometry, 4326)
               ELSE ST_SetSRID('POLYGON((0 0 1, 1 0 1, 1 1 1, 0 0 1))'::geometry, 4326) END AS the_geom
           FROM generate_series(1, 30000) i""",
    )
    table = export(api, "SELECT * FROM mixed ORDER BY id", format)
    wanted = rows_of(
        api, "SELECT id, name, encode(ST_AsBinary(the_geom, 'NDR'), 'hex') AS g FROM mixed ORDER BY id"
    )
    assert table.column("id").to_pylist() == [row["id"] for row in wanted]
    assert table.column("name").to_pylist() == [row["name"] for row in wanted]
    shapes = table.column("the_geom").to_pylist()
    assert [shape and shape.hex() for shape in shapes] == [row["g"] for row in wanted]
    if format == "parquet":
        about = geo(table)
        column = about["columns"]["the_geom"]
        assert (about["version"], about["primary_column"], column["encoding"]) == ("1.1.0", "the_geom", "WKB")
        assert column["geometry_types"] == ["LineString", "Point", "Polygon Z"]
        assert column["bbox"] == [-3, 0, 29.997, 50]
        assert column["crs"]["id"] == {"authority": "EPSG", "code": 4326}
    else:
        metadata = table.schema.field("the_geom").metadata
        assert metadata[b"ARROW:extension:name"] == b"geoarrow.wkb"
        told = json.loads(metadata[b"ARROW:extension:metadata"])
        assert (told["crs_type"], told["crs"]["id"]["code"]) == ("projjson", 4326)


def test_several_geometries_each_have_their_own_reference_system(api: Api) -> None:
    q = """SELECT ST_Transform(g, 3857)::geometry(Point, 3857) AS other, g AS the_geom,
                  'POINT EMPTY'::geometry AS e
           FROM (SELECT ST_SetSRID(ST_MakePoint(1, 2), 4326) AS g) p"""
    about = geo(export(api, q, "parquet"))
    codes = {
        name: (column["crs"] or {}).get("id", {}).get("code") for name, column in about["columns"].items()
    }
    assert (about["primary_column"], codes) == ("the_geom", {"other": 3857, "the_geom": 4326, "e": None})
    assert "bbox" not in about["columns"]["e"]
    assert about["columns"]["the_geom"]["bbox"] == [1, 2, 1, 2]


def test_curves_become_lines_and_measures_go(api: Api) -> None:
    q = """SELECT 1 AS id, 'CIRCULARSTRING(0 0, 1 1, 2 0)'::geometry AS the_geom
           UNION ALL SELECT 2, 'POINT ZM(1 2 3 4)' UNION ALL SELECT 3, 'POINT M(1 2 3)'"""
    table = export(api, q, "parquet")
    assert geo(table)["columns"]["the_geom"]["geometry_types"] == ["LineString", "Point", "Point Z"]
    assert len(table.column("the_geom")[1].as_py()) == 5 + 24


@pytest.mark.parametrize("format", FORMATS)
def test_dates_without_a_calendar_are_null(api: Api, format: str) -> None:
    q = """SELECT 'infinity'::date AS a, '-infinity'::timestamptz AS b, '0044-03-15 BC'::timestamp AS c,
                  'NaN'::numeric(5, 1) AS d"""
    assert export(api, q, format).to_pylist() == [{"a": None, "b": None, "c": None, "d": None}]


@pytest.mark.parametrize("format", FORMATS)
def test_pages_skips_and_double_names(api: Api, format: str) -> None:
    q = "SELECT i AS id, 1 AS x, 'a' AS s, i * 2 AS s FROM generate_series(1, 5) i"
    found = export(api, q, format, page=1, rows_per_page=2, order_by="id", skipfields="x")
    assert found.to_pylist() == [{"id": 3, "s": 6}, {"id": 4, "s": 8}]


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize(
    ("q", "told"),
    [
        ("SELECT nope FROM pg_class", 'column "nope" does not exist'),
        ("SELECT 1; SELECT 2", "syntax error at or near"),
        ("INSERT INTO t VALUES (1)", "syntax error at or near"),
        ("SELECT 1 / (3 - i) AS x FROM generate_series(1, 5) i", "division by zero"),
        ("SELECT 1 AS skipped", "There is no column to export"),
        ("SELECT ARRAY[[1, 2], [3, 4]] AS a", "arrays of several dimensions"),
        (
            "SELECT ST_SetSRID(ST_MakePoint(1, 2), s) AS the_geom FROM unnest(ARRAY[3857, 4326]) s",
            "several reference systems (3857, 4326)",
        ),
        (
            "SELECT 'TRIANGLE((0 0, 1 0, 1 1, 0 0))'::geometry AS the_geom",
            "neither points, lines nor polygons",
        ),
    ],
)
def test_what_fails_before_the_first_block_is_an_error(api: Api, format: str, q: str, told: str) -> None:
    response = api.sql(q, format=format, skipfields="skipped")
    assert (response.status_code, response.headers["Content-Disposition"]) == (400, "inline")
    assert told in response.json()["error"][0]


def test_tables_of_others_stay_closed(api: Api) -> None:
    api.sql("CREATE TABLE priv (a int)")
    response = api.anonymous.sql("SELECT * FROM priv", format="parquet")
    assert (response.status_code, response.json()["error"]) == (403, ["permission denied for table priv"])


@pytest.mark.parametrize("format", FORMATS)
def test_an_error_after_the_first_block_breaks_the_answer_off(api: Api, format: str) -> None:
    q = "SELECT repeat('x', 1000) AS t, 1 / (40000 - i) AS x FROM generate_series(1, 40000) i"
    with pytest.raises(requests.RequestException):
        api.sql(q, format=format).content  # noqa: B018
    assert rows_of(api, "SELECT 1 AS a") == [{"a": 1}]


@pytest.mark.parametrize("format", ["arrow", "parquet"])
def test_rows_that_come_faster_than_they_are_written_keep_their_order(
    api: Api, monkeypatch: pytest.MonkeyPatch, format: str
) -> None:
    add, both = Encoder.add, threading.Event()
    inside: list[int] = []
    most = 0

    def slow(self: Encoder, text: bytearray) -> tuple[int, bytes]:
        nonlocal most
        inside.append(len(text))
        most = max(most, len(inside))
        # A second one would come while this one waits: the rows are there long before.
        if most > 1:
            both.set()
        both.wait(0.3)
        try:
            return add(self, text)
        finally:
            inside.pop()

    monkeypatch.setattr(Encoder, "add", slow)
    many = "SELECT i, repeat('x', 1000) AS t FROM generate_series(1, 15000) i"
    table = export(api, many, format)
    assert most == 1
    assert table["i"].to_pylist() == list(range(1, 15001))


def test_limits_hold(make_server: MakeServer) -> None:
    server = make_server(row_max_bytes=1000, export_timeout=0.5)
    account = make_account(server)
    api = Api(account.base_url, account.api_key)
    large = api.sql("SELECT repeat('x', 2000) AS a", format="parquet")
    assert (large.status_code, large.json()["error"]) == (400, ["Row too large, was 2001 bytes"])
    late = api.sql("SELECT 1 AS a, pg_sleep(30)::text AS b", format="arrow")
    assert late.status_code == 429


@pytest.mark.parametrize("format", FORMATS)
def test_a_client_that_leaves_amid_the_file_takes_its_query_along(
    api: Api, account: TestAccount, admin: psycopg.Connection[Any], format: str
) -> None:
    q = "SELECT repeat('x', 1000) AS a, generate_series(1, 100000000) AS i"
    raw = RawRequest(account.base_url, "GET", "api/v2/sql", {}, q=q, format=format, api_key=account.api_key)
    assert raw.socket.recv(100).startswith(b"HTTP/1.1 200")
    raw.close()
    eventually(lambda: not active_queries(admin, account.role), "the query has ended")
    assert rows_of(api, "SELECT 1 AS a") == [{"a": 1}]


def test_a_missing_library_is_named(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "carto_like.server.formats.columnar", None)
    response = api.sql("SELECT 1 AS a", format="parquet")
    assert response.status_code == 501
    assert "carto-like[server]" in response.json()["error"][0]
