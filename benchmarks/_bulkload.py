"""Hand-written bulk loads of what a dataset is in the end: the same columns, key and indexes, all of them.

Several ways, because nobody knows beforehand which is the best; the fastest of them is the one to compare
with. None has triggers to keep, and none lets others see or use the table before it is complete.
"""

from __future__ import annotations

from collections.abc import Callable

import psycopg

from benchmarks import _libpq, _points

SCHEMA = "handwritten"
PREPARE = (
    f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE",
    f"CREATE SCHEMA {SCHEMA}",
)
_COPY = "COPY {table} ({columns}) FROM STDIN WITH (FORMAT csv)"
_FINISH = (
    "ALTER TABLE bulk ADD PRIMARY KEY (cartodb_id)",
    "CREATE INDEX bulk_the_geom_idx ON bulk USING gist (the_geom)",
    "CREATE INDEX bulk_the_geom_webmercator_idx ON bulk USING gist (the_geom_webmercator)",
)


def _copy(connection: psycopg.Connection, table: str, path: str) -> int:
    query = _COPY.format(table=table, columns=_points.COLUMNS)
    return _libpq.copy_in(connection, query, path)


def generated(connection: psycopg.Connection, path: str) -> int:
    """The second geometry is a generated column; key and indexes follow the rows."""
    connection.execute(
        "CREATE TABLE bulk (cartodb_id bigserial NOT NULL, the_geom geometry(Geometry,4326),"
        " the_geom_webmercator geometry(Geometry,3857) GENERATED ALWAYS AS (ST_Transform(the_geom, 3857))"
        f" STORED, {_points.DEFINITION})"
    )
    rows = _copy(connection, "bulk", path)
    for statement in _FINISH:
        connection.execute(statement)
    return rows


def staged(connection: psycopg.Connection, path: str) -> int:
    """The rows come into a bare table; the final one is made from it by one query."""
    connection.execute(f"CREATE TABLE staging (the_geom geometry(Geometry,4326), {_points.DEFINITION})")
    rows = _copy(connection, "staging", path)
    connection.execute("CREATE SEQUENCE bulk_cartodb_id_seq")
    connection.execute(
        "CREATE TABLE bulk AS SELECT row_number() OVER () AS cartodb_id, the_geom,"
        " ST_Transform(the_geom, 3857)::geometry(Geometry,3857) AS the_geom_webmercator, name, amount"
        " FROM staging"
    )
    connection.execute("DROP TABLE staging")
    connection.execute(
        "ALTER TABLE bulk ALTER cartodb_id SET NOT NULL,"
        " ALTER cartodb_id SET DEFAULT nextval('bulk_cartodb_id_seq')"
    )
    connection.execute("ALTER SEQUENCE bulk_cartodb_id_seq OWNED BY bulk.cartodb_id")
    connection.execute("SELECT setval('bulk_cartodb_id_seq', max(cartodb_id)) FROM bulk")
    for statement in _FINISH:
        connection.execute(statement)
    return rows


def rewritten(connection: psycopg.Connection, path: str) -> int:
    """As most people write it: COPY, then columns with their values, then key and indexes."""
    connection.execute(f"CREATE TABLE bulk (the_geom geometry(Geometry,4326), {_points.DEFINITION})")
    rows = _copy(connection, "bulk", path)
    connection.execute(
        "ALTER TABLE bulk ADD COLUMN cartodb_id bigserial NOT NULL,"
        " ADD COLUMN the_geom_webmercator geometry(Geometry,3857)"
        " GENERATED ALWAYS AS (ST_Transform(the_geom, 3857)) STORED"
    )
    for statement in _FINISH:
        connection.execute(statement)
    return rows


def key_first(connection: psycopg.Connection, path: str) -> int:
    """Key and columns are there before, only the two spatial indexes come after the rows."""
    connection.execute(
        "CREATE TABLE bulk (cartodb_id bigserial PRIMARY KEY, the_geom geometry(Geometry,4326),"
        " the_geom_webmercator geometry(Geometry,3857) GENERATED ALWAYS AS (ST_Transform(the_geom, 3857))"
        f" STORED, {_points.DEFINITION})"
    )
    rows = _copy(connection, "bulk", path)
    for statement in _FINISH[1:]:
        connection.execute(statement)
    return rows


WAYS: dict[str, Callable[[psycopg.Connection, str], int]] = {
    "generated column": generated,
    "staging table": staged,
    "columns added": rewritten,
    "key first": key_first,
}
