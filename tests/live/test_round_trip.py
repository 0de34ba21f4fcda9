"""The main job, on a real account."""

from __future__ import annotations

import pytest

from carto_like.auth import APIKeyAuthClient
from carto_like.datasets import DatasetManager
from carto_like.sql import CopySQLClient, SQLClient

pytestmark = [pytest.mark.live, pytest.mark.filterwarnings("ignore::FutureWarning")]


def test_rows_go_in_and_come_out(auth_client: APIKeyAuthClient, table: str) -> None:
    sql, copy, datasets = SQLClient(auth_client), CopySQLClient(auth_client), DatasetManager(auth_client)
    sql.send(f"CREATE TABLE {table} (name text, the_geom geometry(Point, 4326))")
    sql.send(f"SELECT CDB_CartodbfyTable(current_schema(), '{table}'::regclass)")
    rows = [("Porto", "SRID=4326;POINT(-8.61 41.15)"), ("Vigo", "SRID=4326;POINT(-8.72 42.24)")]
    assert copy.copyfrom_rows(table, rows, ["name", "the_geom"])["total_rows"] == 2
    out = copy.copyto_stream(f"COPY (SELECT name FROM {table} ORDER BY name) TO STDOUT")
    assert out.read() == b"Porto\nVigo\n"
    assert sql.send(f"SELECT count(*) AS n FROM {table} WHERE the_geom_webmercator IS NOT NULL")["rows"] == [
        {"n": 2}
    ]
    assert datasets.get(table).name == table
