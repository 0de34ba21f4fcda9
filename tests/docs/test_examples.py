"""Every example script runs, on the real platform, and does what it says."""

from __future__ import annotations

import csv
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from tests.support.api import Api, TestAccount
from tests.support.rows import rows_of
from tests.support.source import Source

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"
CITIES = (
    "name,country,the_geom\nPorto,PT,SRID=4326;POINT(-8.61 41.15)\nVigo,ES,SRID=4326;POINT(-8.72 42.24)\n"
)

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def run(account: TestAccount, tmp_path: Path) -> Run:
    """Run an example on the account, its key in the environment only, in an empty folder."""

    def start(script: str, *arguments: object, code: int = 0) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "CARTO_API_URL": account.base_url, "CARTO_API_KEY": account.api_key}
        command = [sys.executable, "-W", "error", str(EXAMPLES / script), *map(str, arguments)]
        done = subprocess.run(
            command, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=100
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done

    return start


@pytest.fixture
def cities(api: Api) -> str:
    """A dataset of two rows."""
    rows_of(api, "CREATE TABLE cities (name text, country text, the_geom geometry(Point, 4326))")
    rows_of(api, "SELECT CDB_CartodbfyTable('cities'::regclass)")
    rows_of(
        api,
        "INSERT INTO cities (name, country, the_geom) VALUES ('Porto', 'PT', CDB_LatLng(41.15, -8.61)),"
        " ('Vigo', 'ES', CDB_LatLng(42.24, -8.72))",
    )
    return "cities"


def test_sql_batch_api_jobs(run: Run, api: Api) -> None:
    created = run("sql_batch_api_jobs.py", "create", "--query", "CREATE TABLE made AS SELECT 1 AS n").stdout
    found = re.search(r"^job_id: (\S+)$", created, re.MULTILINE)
    assert found is not None
    job = ("--job_id", found[1])
    assert "status: pending" in created
    waiting = run("sql_batch_api_jobs.py", "create", "--query", "SELECT pg_sleep(60)").stdout
    other = re.search(r"^job_id: (\S+)$", waiting, re.MULTILINE)
    assert other is not None
    update = run("sql_batch_api_jobs.py", "update", "--job_id", other[1], "--query", "SELECT 1", code=1)
    assert "Cancel job" in update.stderr
    assert run("sql_batch_api_jobs.py", "cancel", "--job_id", other[1]).stdout == "The job is cancelled.\n"
    assert "status: done" in run("sql_batch_api_jobs.py", "read", *job).stdout
    assert rows_of(api, "SELECT n FROM made") == [{"n": 1}]
    assert run("sql_batch_api_jobs.py", "cancel", *job).stdout == "The job is done.\n"
    listed = run("sql_batch_api_jobs.py", "list").stdout
    assert listed.index(other[1]) < listed.index(found[1])


def test_sql_batch_api_wait_for_completion(run: Run, api: Api) -> None:
    script = "sql_batch_api_wait_for_completion.py"
    done = run("sql_batch_api_wait_for_completion.py", "CREATE TABLE made AS SELECT 1 AS n")
    assert re.fullmatch(r"Job \S+ is done\.\n", done.stdout)
    assert rows_of(api, "SELECT n FROM made") == [{"n": 1}]
    assert run(script, "SELECT 1/0", code=1).stderr.endswith("The job is failed: division by zero\n")
    late = run(script, "SELECT pg_sleep(60)", "--timeout", "0.2", code=1)
    assert late.stderr.endswith("the job is cancelled.\n")


def test_every_example_is_tested() -> None:
    # The latter has another database, which its example needs.
    files = (Path(__file__), Path(__file__).parents[1] / "server" / "test_imports_connector.py")
    text = "".join(file.read_text("utf-8") for file in files)
    scripts = {path.name for path in EXAMPLES.glob("*.py")} - {"account.py"}
    assert len(scripts) > 10
    assert [name for name in sorted(scripts) if f'"{name}"' not in text] == []


def test_etl_airports(run: Run, api: Api) -> None:
    out = run("etl_airports.py").stdout
    assert re.search(r"COPY rows in .* (\d+) rows in", out)[1] == re.search(r"(\d+) rows out", out)[1]  # type: ignore[index]
    assert "LPPT" in out
    assert "All checks passed" in out
    left = "SELECT CDB_UserTables() AS name"
    assert [row["name"] for row in rows_of(api, left) if row["name"].startswith("airports")] == []


@pytest.mark.parametrize("taken", ["taken", "taken_renamed"])
def test_etl_airports_touches_no_table_that_was_there_before(run: Run, api: Api, taken: str) -> None:
    rows_of(api, f"CREATE TABLE {taken} (a int)")
    run("etl_airports.py", "--table", "taken", code=1)
    tables = "SELECT relname AS name FROM pg_class WHERE relnamespace = current_schema()::regnamespace"
    assert [row["name"] for row in rows_of(api, f"{tables} AND relkind = 'r'")] == [taken]


def test_change_dataset_privacy(run: Run, api: Api, cities: str) -> None:
    assert "cities is now PUBLIC" in run("change_dataset_privacy.py", cities, "public").stdout
    readers = "SELECT has_table_privilege('publicuser', 'cities', 'SELECT') AS public"
    assert rows_of(api, readers) == [{"public": True}]


def test_check_query(run: Run, cities: str) -> None:
    out = run("check_query.py", f"SELECT * FROM {cities} WHERE name = 'Porto'").stdout
    assert "Seq Scan on cities" in out
    assert re.search(r"It ran for \d+\.\d ms", out)
    assert "Hint: a whole table is read" in out


def test_copy_example(run: Run, api: Api, tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_text("name,country\nPorto,PT\nVigo,ES\n", "utf-8")
    out = run("copy_example.py", "in.csv", "--table", "copied", "--output", "out.csv").stdout
    assert "2 rows in" in out
    assert "2 rows out" in out
    assert (tmp_path / "out.csv").read_text("utf-8") == (tmp_path / "in.csv").read_text("utf-8")
    assert rows_of(api, "SELECT count(*) AS n FROM copied") == [{"n": 0}]


def test_copy_and_pandas_example(run: Run, cities: str) -> None:
    out = run("copy_and_pandas_example.py", f"SELECT name FROM {cities} ORDER BY name;").stdout
    assert "Porto" in out
    assert "2 rows" in out


def test_duplicate_table(run: Run, api: Api, account: TestAccount, cities: str, tmp_path: Path) -> None:
    login = f"base_url = {account.base_url}\napi_key = {account.api_key}\n"
    rows_of(api, "ALTER TABLE cities ALTER country SET DEFAULT 'PT'")
    (tmp_path / "accounts.ini").write_text(f"[source]\n{login}[target]\n{login}", "utf-8")
    out = run("duplicate_table.py", cities, "accounts.ini", "--target_table", "towns").stdout
    assert "Made table towns" in out
    assert "2 rows copied" in out
    same = "SELECT count(*) AS n FROM cities JOIN towns USING (cartodb_id, name, country, the_geom)"
    assert rows_of(api, same) == [{"n": 2}]
    rows_of(api, "INSERT INTO towns (cartodb_id, name) VALUES (99, 'default')")
    assert rows_of(api, "SELECT country FROM towns WHERE cartodb_id = 99") == [{"country": "PT"}]


@pytest.mark.parametrize("kind", ["csv", "geojson"])
def test_export_dataset(run: Run, cities: str, tmp_path: Path, kind: str) -> None:
    run("export_dataset.py", cities, "--format", kind)
    text = (tmp_path / f"cities.{kind}").read_text("utf-8")
    if kind == "csv":
        assert {row["name"] for row in csv.DictReader(text.splitlines())} == {"Porto", "Vigo"}
    else:
        assert {feature["properties"]["name"] for feature in json.loads(text)["features"]} == {
            "Porto",
            "Vigo",
        }


def test_export_parquet(run: Run, cities: str) -> None:
    out = run("export_parquet.py", f"SELECT name, the_geom FROM {cities}", "out.parquet").stdout
    assert re.match(r"out\.parquet: 2 rows, \d+ bytes\n", out)
    assert "the_geom: Point within [-8.72, 41.15, -8.61, 42.24]" in out


def test_export_map(run: Run, api: Api, cities: str) -> None:
    dataset = api.get(f"api/v1/viz/{cities}").json()["id"]
    assert "Only maps can be exported" in run("export_map.py", dataset, code=1).stderr


def test_export_all_datasets(run: Run, cities: str, tmp_path: Path) -> None:
    out = run("export_all_datasets.py", "backup").stdout
    assert "1 datasets exported" in out
    with (tmp_path / "backup" / "cities.csv").open(newline="", encoding="utf-8") as file:
        assert {row["name"] for row in csv.DictReader(file)} == {"Porto", "Vigo"}


def test_export_create_tables(run: Run, api: Api, cities: str, tmp_path: Path) -> None:
    run("export_create_tables.py", "tables.sql")
    statement = (tmp_path / "tables.sql").read_text("utf-8")
    rows_of(api, "DROP TABLE cities")
    rows_of(api, statement)
    columns = rows_of(api, "SELECT CDB_ColumnNames('cities'::regclass) AS name")
    assert {"cartodb_id", "the_geom", "name", "country"} <= {row["name"] for row in columns}


def test_list_tables(run: Run, api: Api, cities: str) -> None:
    rows_of(api, "CREATE TABLE plain (a int)")
    out = run("list_tables.py").stdout
    assert re.search(r"cities \* #+ \d", out)
    assert re.search(r"plain   #+ \d", out)
    assert "2 tables, 1 of them datasets" in out


def test_run_with_deadline(run: Run) -> None:
    assert "3 rows" in run("run_with_deadline.py", "SELECT generate_series(1, 3)").stdout
    late = run("run_with_deadline.py", "SELECT pg_sleep(60)", "--seconds", 0.5, code=1)
    assert "Stopped after" in late.stderr


def test_table_info(run: Run, account: TestAccount, cities: str) -> None:
    out = run("table_info.py", cities).stdout
    assert f"cities (PRIVATE), owner {account.name}" in out
    assert "2 rows" in out
    for expected in ("geometry(Geometry,4326)", "cities_pkey", "test_quota"):
        assert expected in out


def test_user_info(run: Run, account: TestAccount) -> None:
    out = run("user_info.py").stdout
    assert f"username: {account.name}" in out
    assert re.search(r"data: \d+ bytes", out)


def test_example_without_an_account_says_what_to_set() -> None:
    command = [sys.executable, str(EXAMPLES / "list_tables.py")]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("CARTO_")}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 1
    assert "CARTO_API_URL" in done.stderr


def test_import_archive(run: Run, api: Api, tmp_path: Path) -> None:
    file = Path(__file__).resolve().parents[1] / "data" / "imports" / "places.gpkg"
    (tmp_path / "land.gpkg").write_bytes(file.read_bytes())
    out = run("import_archive.py", "land.gpkg").stdout
    assert "Tables made: 2" in out
    assert "land_cities: http" in out
    assert "land_roads: http" in out


def test_import_standard_table(run: Run, api: Api, tmp_path: Path) -> None:
    (tmp_path / "My Cities.csv").write_text(CITIES, "utf-8")
    out = run("import_standard_table.py", "My Cities.csv", "--privacy", "link").stdout
    assert "State: complete\nName of table: my_cities\n" in out
    assert "Rows: 2" in out
    assert rows_of(api, "SELECT ST_X(the_geom) AS x FROM my_cities WHERE name = 'Porto'") == [{"x": -8.61}]
    (tmp_path / "empty.csv").touch()
    assert "(error 1005)" in run("import_standard_table.py", "empty.csv", code=1).stderr


MAP_OF_CITIES = {
    "version": "1.8.0",
    "layers": [
        {
            "type": "cartodb",
            "options": {
                "sql": "SELECT * FROM cities",
                "cartocss": "#cities { marker-width: 9; marker-fill: <%= color %>; }",
                "cartocss_version": "2.3.0",
            },
        }
    ],
}


def test_named_maps(run: Run, cities: str, tmp_path: Path) -> None:
    template = {
        "version": "0.0.1",
        "name": "towns",
        "auth": {"method": "token", "valid_tokens": ["shown"]},
        "placeholders": {"color": {"type": "css_color", "default": "red"}},
        "layergroup": MAP_OF_CITIES,
        "view": {"bounds": {"west": -10, "south": 40, "east": -7, "north": 43}},
    }
    (tmp_path / "towns.json").write_text(json.dumps(template), "utf-8")
    assert run("create_named_map.py", "towns.json").stdout == "Named map created: towns\n"
    refused = run("instantiate_named_map.py", "towns", code=1).stderr
    assert "Unauthorized template instantiation" in refused
    color = ("--params", '{"color": "#00f"}', "--token", "shown")
    out = run("instantiate_named_map.py", "towns", *color).stdout
    assert re.search(r"Tiles: http\S+/\{z\}/\{x\}/\{y\}\.png\?auth_token=shown", out)
    assert "Wrote towns.png" in run("save_map_picture.py", "towns", "towns.png", "--width", 300).stdout
    with Image.open(tmp_path / "towns.png") as picture:
        assert picture.size == (300, 400)
        assert (255, 0, 0) in {color for _, color in picture.convert("RGB").getcolors(2**20) or ()}


def test_create_anonymous_map(run: Run, cities: str, tmp_path: Path) -> None:
    text = json.dumps(MAP_OF_CITIES).replace("<%= color %>", "blue")
    (tmp_path / "towns.json").write_text(text, "utf-8")
    out = run("create_anonymous_map.py", "towns.json").stdout
    assert re.search(r"^Layergroup: [0-9a-f]{32}:\d+$", out, re.MULTILINE)


def test_map_airports(run: Run, api: Api, tmp_path: Path) -> None:
    out = run("map_airports.py", "--name", "of_airports", "--output", "world.png").stdout
    assert re.search(r"^\d{5} airports in the dataset of_airports$", out, re.MULTILINE)
    page = re.search(r"The map in a browser: (\S+)", out)
    with Image.open(tmp_path / "world.png") as picture:
        assert picture.size == (1000, 500)
    assert page is not None
    assert api.session.get(page[1], timeout=30).status_code == 200


def test_import_and_merge(run: Run, api: Api, tmp_path: Path) -> None:
    for name, city in (("a", "Porto"), ("b", "Vigo"), ("c", "Faro")):
        (tmp_path / f"{name}.csv").write_text(f"name,lat,lon\n{city},41.15,-8.61\n", "utf-8")
    out = run("import_and_merge.py", ".", "--name", "cities").stdout
    assert out.endswith("cities has 3 rows of 3 files\n")
    names = "SELECT name, the_geom_webmercator IS NULL AS lost FROM cities ORDER BY cartodb_id"
    assert [(row["name"], row["lost"]) for row in rows_of(api, names)] == [
        ("Porto", False),
        ("Vigo", False),
        ("Faro", False),
    ]
    assert [row["name"] for row in rows_of(api, "SELECT CDB_UserTables() AS name")] == ["cities"]


def test_import_sync_table(run: Run, api: Api, source: Source) -> None:
    out = run("import_sync_table.py", source.url()).stdout
    assert "State: success\nName of table: trees\n" in out
    assert out.endswith("Not forced: the last run was a short time ago.\n")
    listed = run("manage_sync_tables.py", "list").stdout
    assert re.search(r"^trees success, every 3600 s, next: \d{4}-", listed)
    assert "Not forced" in run("manage_sync_tables.py", "force", "trees").stdout
    assert run("manage_sync_tables.py", "delete", "trees").stdout == "trees stays as it is from now on.\n"
    assert api.get("api/v1/synchronizations").json()["total_entries"] == 0
    assert rows_of(api, "SELECT count(*) AS n FROM trees") == [{"n": 2}]
    source.status = 404
    assert (
        "The first run failed: The source is gone" in run("import_sync_table.py", source.url(), code=1).stderr
    )


def test_import_sync_table_as_dataset(run: Run, source: Source) -> None:
    out = run("import_sync_table_as_dataset.py", source.url("My Oaks.csv".replace(" ", "%20"))).stdout
    assert "Name of table: my_oaks\n" in out
    assert re.search(r"Synchronization: [0-9a-f-]{36}, next run: \d{4}-", out)
    refused = run("import_sync_table_as_dataset.py", source.url(), "--interval", 60, code=1)
    assert "'interval' must be at least 900 seconds" in refused.stderr


def test_import_jobs(run: Run, source: Source) -> None:
    out = run("import_jobs.py", source.url("a.csv"), source.url("b.doc")).stdout
    assert re.match(r"2 imports started, [0-2] under way\n", out)
    assert f"{source.url('a.csv')}: a\n" in out
    assert "(error 1002)" in out
