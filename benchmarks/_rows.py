"""The same rows fetched with psycopg and written in each format, as somebody without the platform would."""

from __future__ import annotations

import csv
import io
from typing import Any

import orjson
import psycopg
from psycopg.rows import dict_row, tuple_row

_PROPERTIES = "cartodb_id, name, amount, kind, seen_at"


def as_json(connection: psycopg.Connection, table: str) -> bytes:
    """Rows as the SQL API names them, geometries as hexadecimal text."""
    cursor = connection.cursor(row_factory=dict_row)
    rows = cursor.execute(f"SELECT {_PROPERTIES}, the_geom FROM {table}".encode()).fetchall()
    return orjson.dumps({"rows": rows, "total_rows": len(rows)})


def as_geojson(connection: psycopg.Connection, table: str) -> bytes:
    """A FeatureCollection; PostGIS makes the geometries, orjson passes them on as they are."""
    query = f"SELECT {_PROPERTIES}, ST_AsGeoJSON(the_geom, 6) AS geometry FROM {table}"
    features: list[dict[str, Any]] = []
    for row in connection.cursor(row_factory=dict_row).execute(query.encode()):
        geometry = row.pop("geometry")
        features.append(
            {"type": "Feature", "geometry": orjson.Fragment(geometry or "null"), "properties": row}
        )
    return orjson.dumps({"type": "FeatureCollection", "features": features})


def as_csv(connection: psycopg.Connection, table: str) -> bytes:
    """A header and the rows, by the standard library's csv."""
    cursor = connection.cursor(row_factory=tuple_row)
    cursor.execute(f"SELECT {_PROPERTIES}, the_geom FROM {table}".encode())
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow([column.name for column in cursor.description or ()])
    writer.writerows(cursor.fetchall())
    return text.getvalue().encode()


FORMATS = {"json": as_json, "geojson": as_geojson, "csv": as_csv}
