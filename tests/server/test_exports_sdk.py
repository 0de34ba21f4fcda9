"""Exports by the SDK and the command line, from the real server; and what it says to exports of maps."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any
from uuid import uuid4

import pyarrow.parquet
import pytest
from click.testing import CliRunner, Result

from carto_like.auth import APIKeyAuthClient
from carto_like.cli.root import cli
from carto_like.datasets import DatasetManager
from carto_like.exceptions import CartoException, CartoTransportException, PartialResultException
from carto_like.export import Exporter, ExportJob
from tests.support.api import Api, TestAccount
from tests.support.rows import rows_of

BROKEN = """SELECT repeat('x', 1000) AS t, NULL::geometry AS the_geom, 1 / (40000 - i) AS n
            FROM generate_series(1, 40000) i"""


@pytest.fixture
def client(account: TestAccount) -> APIKeyAuthClient:
    return APIKeyAuthClient(account.base_url, account.api_key)


@pytest.fixture
def trees(api: Api) -> str:
    rows_of(
        api,
        """CREATE TABLE trees AS SELECT i AS id, 'tree ' || i AS name,
               ST_SetSRID(ST_MakePoint(i / 100.0, 50), 4326)::geometry(Point, 4326) AS the_geom
           FROM generate_series(1, 3000) i""",
    )
    return "trees"


def test_files_of_formats_have_all_rows(client: APIKeyAuthClient, trees: str, tmp_path: Path) -> None:
    exporter = Exporter(client)
    seen: list[int] = []
    path = exporter.to_path(trees, tmp_path / "t.csv", progress=lambda done, total: seen.append(done))
    with path.open(newline="") as file:
        assert sum(1 for _ in csv.DictReader(file)) == 3000
    assert seen[-1] == path.stat().st_size
    document = json.loads(exporter.to_path(trees, tmp_path / "t.geojson", dp=1).read_text())
    assert document["features"][9]["geometry"]["coordinates"] == [0.1, 50]
    table = pyarrow.parquet.read_table(exporter.to_path(f"SELECT id FROM {trees}", tmp_path / "t.parquet"))
    assert sorted(table.column("id").to_pylist()) == list(range(1, 3001))
    buffer = io.BytesIO()
    exporter.to_file(trees, buffer, "gpkg", filename="trees")
    assert buffer.getvalue().startswith(b"SQLite format 3\x00")
    with exporter.open(f"SELECT id FROM {trees} ORDER BY id", "csv") as stream:
        assert [stream.readline(), stream.readline()] == [b"id,\r\n", b"1\r\n"]


def test_rows_come_as_arrow_and_frames(client: APIKeyAuthClient, trees: str) -> None:
    exporter = Exporter(client)
    query = f"SELECT * FROM {trees} ORDER BY id"
    assert sum(batch.num_rows for batch in exporter.batches(query)) == 3000
    assert exporter.to_arrow(query).column("name")[41].as_py() == "tree 42"
    assert list(exporter.to_pandas(query, skipfields="the_geom,name")["id"][:3]) == [1, 2, 3]
    frame = exporter.to_geopandas(query)
    assert (frame.geometry.name, frame.crs.to_epsg(), len(frame)) == ("the_geom", 4326, 3000)
    assert (frame.geometry.iloc[41].x, frame.geometry.iloc[41].y) == (0.42, 50)
    with pytest.raises(CartoException, match="no geometry"):
        exporter.to_geopandas("SELECT 1 AS a")


@pytest.mark.parametrize(
    ("format", "error"),
    [
        ("arrow", CartoTransportException),
        ("parquet", CartoTransportException),
        ("geojson", PartialResultException),
        ("csv", CartoException),
    ],
)
def test_what_fails_on_the_way_leaves_no_file(
    client: APIKeyAuthClient, tmp_path: Path, format: str, error: type[Exception]
) -> None:
    with pytest.raises(error):
        Exporter(client).to_path(BROKEN, tmp_path / "out", format)
    assert list(tmp_path.iterdir()) == []


def test_what_fails_on_the_way_is_no_table(client: APIKeyAuthClient) -> None:
    with pytest.raises(CartoTransportException):
        Exporter(client).to_arrow(BROKEN)


def run(account: TestAccount, *arguments: str) -> Result:
    environment = {"CARTO_API_URL": account.base_url, "CARTO_API_KEY": account.api_key}
    return CliRunner().invoke(cli, ["export", *arguments], env=environment)


def test_command_writes_files(
    account: TestAccount, trees: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = run(account, trees, "--format", "parquet", "--skip", "name")
    assert (done.exit_code, done.stderr) == (
        0,
        f"trees.parquet: {Path('trees.parquet').stat().st_size} bytes\n",
    )
    assert pyarrow.parquet.read_schema("trees.parquet").names == ["id", "the_geom"]
    assert run(account, "SELECT 1 AS a, 2 AS b", "-o", "one.csv").exit_code == 0
    assert Path("one.csv").read_bytes() == b"a,b\r\n1,2\r\n"
    assert (
        run(account, "SELECT 1 AS a, 2 AS b", "-o", "-", "--format", "csv").stdout_bytes == b"a,b\r\n1,2\r\n"
    )


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (("trees",), 2, "Give --output, --format or both"),
        (("trees", "-o", "-"), 2, "Give --format"),
        (("SELECT 1", "--format", "csv"), 2, "Give --output"),
        (("trees", "-o", "trees.doc"), 2, "which format is trees.doc"),
        (("nothing", "-o", "nothing.csv"), 1, 'relation "nothing" does not exist'),
    ],
)
def test_command_says_what_is_wrong(
    account: TestAccount,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: Any,
    code: int,
    told: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    done = run(account, *arguments)
    assert (done.exit_code, list(tmp_path.iterdir())) == (code, [])
    assert told in done.stderr


def post(api: Api, **parameters: Any) -> tuple[int, str]:
    response = api.session.post(f"{api.base_url}api/v3/visualization_exports", params=parameters, timeout=60)
    return response.status_code, response.json()["errors"]


@pytest.fixture
def dataset(api: Api, client: APIKeyAuthClient) -> str:
    rows_of(api, "CREATE TABLE cities (name text)")
    rows_of(api, "SELECT CDB_CartodbfyTable('cities'::regclass)")
    return str(DatasetManager(client).get("cities").id)


def test_datasets_are_not_exported_as_maps(api: Api, client: APIKeyAuthClient, dataset: str) -> None:
    status, told = post(api, visualization_id=dataset, api_key=api.api_key)
    assert (status, told.partition(".")[0]) == (422, "Only maps can be exported")
    assert post(api, visualization_id=dataset) == (403, "Visualization not viewable")
    assert post(api, visualization_id=str(uuid4()))[0] == 404
    assert post(api, visualization_id="cities") == (400, "visualization_id is not an id")
    assert post(api)[0] == 400
    with pytest.raises(CartoException, match="format=gpkg"):
        ExportJob(client, dataset).run()


@pytest.mark.parametrize(("id", "status"), [("0d1c2c9e-8f3e-4d43-9d2a-6f0f1f6f2a11", 404), ("x", 400)])
@pytest.mark.parametrize("rest", ["", "/download"])
def test_there_are_no_exports_to_read(api: Api, id: str, status: int, rest: str) -> None:
    assert api.get(f"api/v3/visualization_exports/{id}{rest}").status_code == status
