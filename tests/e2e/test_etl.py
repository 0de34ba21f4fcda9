"""The main job by the SDK alone: a table is made, filled, asked, read out, listed, renamed and deleted."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from carto_like.auth import APIKeyAuthClient, NoAuthClient
from carto_like.datasets import DatasetManager
from carto_like.exceptions import CartoException, NotFoundException
from carto_like.sql import CopySQLClient, SQLClient
from carto_like.tables import TableManager
from carto_like.users import UserManager
from tests.support.api import TestAccount, make_account
from tests.support.server import RunningServer

COUNT = 20_000
COLUMNS = ["code", "country", "the_geom"]


@pytest.fixture
def client(account: TestAccount) -> Iterator[APIKeyAuthClient]:
    with APIKeyAuthClient(account.base_url, account.api_key) as client:
        yield client


def stations() -> Iterator[tuple[str, str, str]]:
    """Points on a grid of one degree; country ``c0`` has those with an even longitude."""
    for number in range(COUNT):
        longitude, latitude = number % 200 - 100, number // 200 - 50
        yield f"s{number}", f"c{longitude % 2}", f"SRID=4326;POINT({longitude} {latitude})"


def test_from_rows_to_a_published_dataset_and_back(
    client: APIKeyAuthClient, account: TestAccount, tmp_path: Path
) -> None:
    sql, copy, datasets = SQLClient(client), CopySQLClient(client), DatasetManager(client)
    assert datasets.all() == []

    sql.send("CREATE TABLE stations (code text PRIMARY KEY, country text, the_geom geometry(Point, 4326))")
    sql.send("SELECT CDB_CartodbfyTable('stations')")
    assert copy.copyfrom_rows("stations", stations(), COLUMNS)["total_rows"] == COUNT

    nearest = sql.send("SELECT code FROM stations ORDER BY the_geom <-> CDB_LatLng(10.2, 20.4) LIMIT 1")
    assert nearest["rows"] == [{"code": f"s{(10 + 50) * 200 + 120}"}]
    per_country = sql.send("SELECT country, count(*) AS n FROM stations GROUP BY 1 ORDER BY 1")["rows"]
    assert per_country == [{"country": f"c{n}", "n": COUNT // 2} for n in (0, 1)]
    [mercator] = sql.send(
        "SELECT ST_SRID(the_geom_webmercator) AS srid, round(ST_X(the_geom_webmercator)) AS x"
        " FROM stations WHERE code = 's101'"
    )["rows"]
    assert mercator == {"srid": 3857, "x": 111319}
    within = "SELECT code FROM stations WHERE the_geom && ST_MakeEnvelope(0, 0, 1, 1, 4326)"
    features = sql.send(f"SELECT * FROM ({within.replace('code', '*')}) s", format="geojson")["features"]
    assert sorted(feature["geometry"]["coordinates"] for feature in features) == [
        [0, 0],
        [0, 1],
        [1, 0],
        [1, 1],
    ]

    path = tmp_path / "stations.csv"
    copy.copyto_file_path("COPY stations (code, country) TO STDOUT WITH (FORMAT csv, HEADER)", path)
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows == [{"code": code, "country": country} for code, country, _ in stations()]
    assert [row["code"] for row in sql.iterate("SELECT code FROM stations ORDER BY cartodb_id")] == [
        row["code"] for row in rows
    ]

    assert [dataset.name for dataset in datasets.all()] == ["stations"]
    dataset = datasets.get("stations")
    assert (dataset.privacy, TableManager(client).get("stations").rows_counted) == ("PRIVATE", COUNT)
    anonymous = SQLClient(NoAuthClient(account.base_url))
    with pytest.raises(CartoException, match="permission denied for table stations"):
        anonymous.send("SELECT count(*) FROM stations")
    dataset.privacy = "PUBLIC"
    dataset.name = "Weather stations"
    dataset.save()
    assert dataset.name == "weather_stations"
    assert anonymous.send("SELECT count(*) AS n FROM weather_stations")["rows"] == [{"n": COUNT}]
    assert [shown.name for shown in datasets.filter(q="weather")] == ["weather_stations"]
    user = UserManager(client).get(account.name)
    assert user.table_count == 1

    datasets.get(dataset.id).delete()
    assert datasets.all() == []
    with pytest.raises(NotFoundException):
        datasets.get(dataset.id)
    with pytest.raises(CartoException, match='relation "weather_stations" does not exist'):
        sql.send("SELECT 1 FROM weather_stations")


def test_rows_of_one_account_go_to_another_without_a_file(
    client: APIKeyAuthClient, platform_server: RunningServer
) -> None:
    source = CopySQLClient(client)
    SQLClient(client).send("CREATE TABLE s (code text, country text, the_geom geometry)")
    source.copyfrom_rows("s", stations(), COLUMNS)
    other = make_account(platform_server)
    with APIKeyAuthClient(other.base_url, other.api_key) as target_client:
        target, sql = CopySQLClient(target_client), SQLClient(target_client)
        sql.send("CREATE TABLE t (code text, country text, the_geom geometry(Point, 4326))")
        sql.send("SELECT CDB_CartodbfyTable('t')")
        done = target.copyfrom(
            f"COPY t ({', '.join(COLUMNS)}) FROM STDIN", source.copyto("COPY s TO STDOUT"), compress=True
        )
        assert done["total_rows"] == COUNT
        counted = sql.send("SELECT count(*) AS n, count(DISTINCT code) AS codes FROM t")["rows"]
        assert counted == [{"n": COUNT, "codes": COUNT}]
        assert [dataset.name for dataset in DatasetManager(target_client).all()] == ["t"]


def test_progress_tells_all_bytes_either_way(client: APIKeyAuthClient) -> None:
    seen: list[tuple[int, int | None]] = []
    copy = CopySQLClient(client)
    SQLClient(client).send("CREATE TABLE s (code text, country text, the_geom text)")

    def note(done: int, total: int | None) -> None:
        seen.append((done, total))

    copy.copyfrom_rows("s", stations(), COLUMNS, progress=note)
    assert seen == sorted(seen, key=lambda step: step[0])
    sent = seen[-1][0]
    seen.clear()
    target: Any = io.BytesIO()
    copy.copyto_file_object("COPY s TO STDOUT WITH (FORMAT csv)", target, progress=note)
    assert seen[-1][0] == len(target.getvalue())
    assert sent > COUNT * len("s0,c0,SRID=4326;POINT(0 0)")
