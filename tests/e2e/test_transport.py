"""The SDK's SQL and COPY through a real server into a real database, and back."""

from __future__ import annotations

import math
import tracemalloc
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from carto_like.auth import APIKeyAuthClient, AuthAPIClient, NoAuthClient
from carto_like.exceptions import BadRequestException, CartoException, PartialResultException
from carto_like.sql import CopySQLClient, SQLClient
from tests.support.api import TestAccount


@pytest.fixture
def auth_client(account: TestAccount) -> Iterator[APIKeyAuthClient]:
    with APIKeyAuthClient(account.base_url, account.api_key) as client:
        yield client


@pytest.fixture
def sql(auth_client: APIKeyAuthClient) -> SQLClient:
    return SQLClient(auth_client)


@pytest.fixture
def copy(auth_client: APIKeyAuthClient) -> CopySQLClient:
    return CopySQLClient(auth_client)


class Point:
    __geo_interface__ = {"type": "Point", "coordinates": [7.5, 47]}  # noqa: RUF012


NASTY = "\\N\t'\"\\.\n\r größer 😀"
TYPES: list[tuple[str, Any, str]] = [
    ("int", 7, "7"),
    ("numeric", Decimal("1.50"), "1.50"),
    ("numeric", 10**30, "1" + "0" * 30),
    ("float8", 0.1, "0.1"),
    ("float8", math.nan, "NaN"),
    ("float8", -math.inf, "-Infinity"),
    ("numeric", math.inf, "Infinity"),
    ("bool", True, "true"),
    ("text", NASTY, NASTY),
    ("text", "", ""),
    ("text", None, "null"),
    ("date", date(2026, 1, 2), "2026-01-02"),
    ("timestamptz", datetime(2026, 1, 2, 3, tzinfo=timezone(timedelta(hours=1))), "2026-01-02 02:00:00+00"),
    ("time", time(3, 4, 5), "03:04:05"),
    ("interval", timedelta(days=1, seconds=5), "1 day 00:00:05"),
    ("uuid", UUID(int=1), "00000000-0000-0000-0000-000000000001"),
    ("bytea", b"\x00\\\xff", "\\x005cff"),
    ("jsonb", {"a": [1, NASTY]}, '{"a": [1, "\\\\N\\t\'\\"\\\\.\\n\\r größer 😀"]}'),
    ("geometry(Point, 4326)", Point(), "POINT(7.5 47)"),
]


def test_values_of_every_type_arrive_as_they_are(sql: SQLClient, copy: CopySQLClient) -> None:
    columns = [f"c{number}" for number in range(len(TYPES))]
    typed = [f"{column} {kind}" for column, (kind, _, _) in zip(columns, TYPES, strict=True)]
    sql.send(f"create table t ({', '.join(typed)})")
    assert copy.copyfrom_rows("t", [tuple(value for _, value, _ in TYPES)], columns)["total_rows"] == 1
    shown = [
        f"st_astext({column})" if kind.startswith("geometry") else f"coalesce({column}::text, 'null')"
        for column, (kind, _, _) in zip(columns, TYPES, strict=True)
    ]
    rows = sql.send(f"select array[{', '.join(shown)}] as texts from t")["rows"]
    assert rows[0]["texts"] == [text for _, _, text in TYPES]


@pytest.mark.parametrize("compress", [False, "always"])
def test_a_table_goes_out_and_comes_back(
    compress: Any, sql: SQLClient, copy: CopySQLClient, tmp_path: Path
) -> None:
    sql.send("create table a (id int, name text); create table b (like a)")
    assert (
        copy.copyfrom_rows("a", ((n, f"name {n}") for n in range(50_000)), compress=compress)["total_rows"]
        == 50_000
    )
    path = tmp_path / "a.csv"
    copy.copyto_file_path("COPY a TO STDOUT WITH (FORMAT csv, HEADER)", path)
    copy.copyfrom_file_path("COPY b FROM STDIN WITH (FORMAT csv, HEADER)", path, compress)
    copy.copyfrom("COPY b FROM STDIN", copy.copyto("COPY a TO STDOUT"), compress)
    counted = sql.send("select count(*) as n, count(distinct id) as ids, max(id) as last from b")["rows"]
    assert counted == [{"n": 100_000, "ids": 50_000, "last": 49_999}]
    assert [row["id"] for row in sql.iterate("select id from a order by id")] == list(range(50_000))


def test_a_long_query_copies_out(copy: CopySQLClient) -> None:
    text = "x" * 200_000
    assert copy.copyto_stream(f"COPY (select '{text}') TO STDOUT").read() == text.encode() + b"\n"


def test_a_wrong_table_is_named_even_if_the_upload_would_never_end(copy: CopySQLClient) -> None:
    def endless() -> Iterator[bytes]:
        while True:
            yield b"1\tone\n" * 10_000

    with pytest.raises(BadRequestException, match='relation "any_wrong_table" does not exist'):
        copy.copyfrom("COPY any_wrong_table FROM STDIN", endless())


def test_a_source_that_fails_stores_nothing(sql: SQLClient, copy: CopySQLClient) -> None:
    def rows() -> Iterator[tuple[int]]:
        for number in range(100_000):
            yield (number,)
        raise ZeroDivisionError("mine")

    sql.send("create table t (id int)")
    with pytest.raises(ZeroDivisionError, match="mine"):
        copy.copyfrom_rows("t", rows())
    assert sql.send("select count(*) as n from t")["rows"] == [{"n": 0}]


def test_failures_in_the_middle_of_a_result(sql: SQLClient, copy: CopySQLClient, tmp_path: Path) -> None:
    query = "select 1 / (200000 - n) as x from generate_series(1, 200000) n"
    with pytest.raises(PartialResultException, match="division by zero"):
        list(sql.iterate(query))
    with pytest.raises(PartialResultException, match="division by zero"):
        sql.send(query)
    with pytest.raises(CartoException):
        copy.copyto_file_path(f"COPY ({query}) TO STDOUT", tmp_path / "out")
    assert list(tmp_path.iterdir()) == []
    assert sql.send("select 1 as one")["rows"] == [{"one": 1}]


def test_the_other_clients(account: TestAccount, sql: SQLClient) -> None:
    basic = AuthAPIClient(account.base_url, account.api_key)
    assert basic.is_valid_api_key() is True
    assert AuthAPIClient(account.base_url, "0" * 40).is_valid_api_key() is False
    assert SQLClient(basic).send("select current_schema() as name")["rows"] == [{"name": account.name}]
    sql.send("create table t (id int); grant select on t to publicuser")
    public = SQLClient(NoAuthClient(account.base_url))
    assert public.send("select * from t")["rows"] == []
    with pytest.raises(CartoException, match="permission denied") as caught:
        public.send("insert into t values (1)")
    assert caught.value.status_code == 403


def test_a_long_stream_needs_little_memory(copy: CopySQLClient, sql: SQLClient) -> None:
    query = "select n, repeat(md5(n::text), 10) as text from generate_series(1, 60000) n"
    received = 0
    tracemalloc.start()
    try:
        with copy.copyto_stream(f"COPY ({query}) TO STDOUT") as stream:
            while block := stream.read(65_536):
                received += len(block)
        sql.send("create table t (n int, text text)")
        copy.copyfrom("COPY t FROM STDIN", copy.copyto(f"COPY ({query}) TO STDOUT"))
        assert sum(1 for _ in sql.iterate("select * from t")) == 60_000
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # The server runs in this process too, so this bounds both; the data are 20 MB, three times.
    assert peak < 40_000_000
    assert received == sum(len(str(n)) + 322 for n in range(1, 60_001))
