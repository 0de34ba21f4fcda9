"""Readings of sensors become a table with geometries, through COPY into the real platform."""

from __future__ import annotations

import responses

from carto_like.auth import APIKeyAuthClient
from carto_like.iotile.client import IOTileClient
from carto_like.iotile.rows import READING_COLUMNS, reading_rows
from carto_like.sql import CopySQLClient
from tests.support.api import Api, TestAccount
from tests.support.rows import rows_of

ROOT = "https://iotile.test/api/v1"
STREAM = "s--0000-0001--0000-0000-0000-0002--5001"
DEVICE = "d--0000-0000-0000-0002"


@responses.activate
def test_readings_become_a_table(api: Api, account: TestAccount) -> None:
    responses.add_passthru(account.base_url)
    readings = [
        {"timestamp": "2024-05-01T10:00:00Z", "value": 1.0, "output_value": 1.5},
        {"timestamp": "2024-05-01T11:00:00Z", "value": 2.0, "output_value": None},
    ]
    responses.get(f"{ROOT}/stream/{STREAM}/data/", json={"next": None, "results": readings})
    responses.get(f"{ROOT}/device/{DEVICE}/", json={"slug": DEVICE, "lat": 41.15, "lon": -8.61})
    columns = (
        "stream text, device text, recorded_at timestamptz, value float8, the_geom geometry(Point, 4326)"
    )
    rows_of(api, f"CREATE TABLE readings ({columns})")
    auth_client = APIKeyAuthClient(account.base_url, account.api_key)
    with IOTileClient("https://iotile.test", token="big-token") as client:
        rows = reading_rows(client, [STREAM], start="2024-01-01")
        CopySQLClient(auth_client).copyfrom_rows("readings", rows, READING_COLUMNS)
    landed = rows_of(
        api,
        "SELECT device, extract(epoch FROM recorded_at)::int AS at, value, ST_AsText(the_geom) AS place"
        " FROM readings ORDER BY recorded_at",
    )
    place = "POINT(-8.61 41.15)"
    assert landed == [
        {"device": DEVICE, "at": 1714557600, "value": 1.5, "place": place},
        {"device": DEVICE, "at": 1714561200, "value": None, "place": place},
    ]
