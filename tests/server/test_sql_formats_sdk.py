"""Exports by the SDK, from the real server."""

from __future__ import annotations

from pathlib import Path

import pytest

from carto_like.auth import APIKeyAuthClient
from carto_like.exceptions import CartoException
from carto_like.server.formats.catalog import FORMATS
from carto_like.sql import SQLClient
from tests.support.api import TestAccount
from tests.support.files import read_layer, save

BEGINNINGS = {
    "topojson": b'{"type":"Topology"',
    "svg": b"<?xml",
    "arraybuffer": b"\x00\x00\x00\x0b",
    "csv": b"a,",
    "kml": b"<?xml",
    "shp": b"PK",
    "gpkg": b"SQLite format 3\x00",
    "spatialite": b"SQLite format 3\x00",
    "parquet": b"PAR1",
    "arrow": b"\xff\xff\xff\xff",
}


@pytest.fixture
def client(account: TestAccount) -> SQLClient:
    return SQLClient(APIKeyAuthClient(account.base_url, account.api_key))


@pytest.mark.parametrize("format", sorted(BEGINNINGS))
def test_formats_come_as_bytes(client: SQLClient, format: str) -> None:
    column = "1 AS a" if format in ("arraybuffer", "csv") else "1 AS a, ST_MakePoint(1, 2) AS the_geom"
    content = client.send(f"SELECT {column}", format=format)
    assert isinstance(content, bytes)
    assert content.startswith(BEGINNINGS[format])


def test_every_format_is_tried() -> None:
    assert set(BEGINNINGS) == set(FORMATS) - {"json", "geojson"}


def test_a_file_has_the_name_that_was_asked_for(client: SQLClient, tmp_path: Path) -> None:
    content = client.send("SELECT ST_MakePoint(1, 2) AS the_geom", format="gpkg", filename="trees")
    assert isinstance(content, bytes)
    assert read_layer(save(tmp_path, content, "file.gpkg")).names == ["trees"]


def test_a_refused_export_is_an_error(client: SQLClient) -> None:
    mixed = "SELECT ST_MakePoint(1, 2) AS the_geom UNION ALL SELECT 'LINESTRING(0 0, 1 1)'"
    with pytest.raises(CartoException, match="Attempt to write non-point"):
        client.send(mixed, format="shp")
