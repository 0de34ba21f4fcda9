"""Exports that are broken off, by time, by their client or by what they hold; and that nothing stays."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psycopg
import pytest

from carto_like.server.errors import QUERY_TIMEOUT
from carto_like.server.formats.outcome import FOLDER_PREFIX
from tests.conftest import MakeServer
from tests.support.api import Api, TestAccount, make_account
from tests.support.raw import RawRequest, active_queries, eventually

SQL = "api/v2/sql"
TIMEOUT_BODY = {"error": [QUERY_TIMEOUT], "context": "limit", "detail": "datasource"}
FORMATS = ("kml", "shp", "gpkg", "spatialite")
ENDLESS = "SELECT generate_series(1, 1000000000) AS a, ST_MakePoint(1, 2) AS the_geom"
SLOW = "SELECT pg_sleep(60)::text AS a, ST_MakePoint(1, 2) AS the_geom"


@pytest.fixture
def exports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where exports are made during the test."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def leftovers(folder: Path) -> list[Path]:
    return list(folder.iterdir())


def writers(folder: Path) -> list[int]:
    """The processes that write into a folder."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if str(folder) in str((process / "cwd").readlink()):
                found.append(int(process.name))
        except OSError:
            continue
    return found


def make_api(make_server: MakeServer, **limits: Any) -> tuple[Api, TestAccount]:
    account = make_account(make_server(**limits))
    return Api(account.base_url, account.api_key), account


def usable(api: Api) -> bool:
    return bool(api.sql("SELECT 1 AS a").json()["rows"] == [{"a": 1}])


@pytest.mark.parametrize("format", FORMATS)
def test_an_export_leaves_nothing_behind(api: Api, exports: Path, format: str) -> None:
    for q in ("SELECT ST_MakePoint(1, 2) AS the_geom", "SELECT 1 / 0 AS a", "SELECT nope"):
        api.sql(q, format=format)
    mixed = "SELECT ST_MakePoint(1, 2) AS the_geom UNION ALL SELECT 'LINESTRING(0 0, 1 1)'"
    assert api.sql(mixed, format=format).status_code == (400 if format == "shp" else 200)
    assert leftovers(exports) == []


@pytest.mark.parametrize("format", ["csv", *FORMATS])
def test_an_export_over_its_time_is_a_limit(make_server: MakeServer, exports: Path, format: str) -> None:
    api, _ = make_api(make_server, export_timeout=0.5, cancel_grace=0.5)
    for q in (SLOW, ENDLESS):
        response = api.sql(q, format=format)
        assert (response.status_code, response.json()) == (429, TIMEOUT_BODY)
    assert leftovers(exports) == []
    assert writers(exports) == []
    assert usable(api)


def test_an_export_that_is_late_when_all_rows_are_there_is_a_limit(
    make_server: MakeServer, exports: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    api, _ = make_api(make_server, export_timeout=0.5, query_timeout=60.0)
    # A process that takes everything and never ends.
    monkeypatch.setattr("carto_like.server.formats.ogr._WRITER", "tests.support.endless")
    response = api.sql("SELECT ST_MakePoint(1, 2) AS the_geom", format="gpkg")
    assert (response.status_code, response.json()) == (429, TIMEOUT_BODY)
    assert (leftovers(exports), writers(exports)) == ([], [])
    assert usable(api)


@pytest.mark.parametrize("q", [SLOW, ENDLESS])
def test_a_client_that_leaves_takes_its_export_along(
    api: Api, account: TestAccount, admin: psycopg.Connection[Any], exports: Path, q: str
) -> None:
    raw = RawRequest(account.base_url, "GET", SQL, {}, q=q, format="gpkg", api_key=account.api_key)
    eventually(lambda: bool(active_queries(admin, account.role)) and bool(writers(exports)), "it runs")
    raw.close()
    eventually(lambda: not active_queries(admin, account.role), "the query has ended")
    eventually(lambda: not writers(exports) and not leftovers(exports), "the file is gone")
    assert usable(api)


def test_a_client_that_leaves_while_the_file_is_finished_takes_it_along(
    api: Api, account: TestAccount, exports: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("carto_like.server.formats.ogr._WRITER", "tests.support.endless")
    q = "SELECT ST_MakePoint(1, 2) AS the_geom"
    raw = RawRequest(account.base_url, "GET", SQL, {}, q=q, format="gpkg", api_key=account.api_key)
    eventually(lambda: bool(list(exports.glob("*/complete"))), "all rows are there")
    raw.close()
    eventually(lambda: not writers(exports) and not leftovers(exports), "the file is gone")
    assert usable(api)


def test_a_process_that_dies_is_an_error_without_details(
    api: Api, account: TestAccount, exports: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(api.sql, ENDLESS, format="gpkg")
        eventually(lambda: bool(writers(exports)), "the process runs")
        (process,) = writers(exports)
        os.kill(process, signal.SIGKILL)
        response = waiting.result()
    assert response.status_code == 500
    assert str(exports) not in response.text
    assert "the export ended with -9" in caplog.text
    assert leftovers(exports) == []
    assert usable(api)


@pytest.mark.parametrize("when", [2, 30_000])
def test_a_refusal_amid_the_rows_is_told(api: Api, exports: Path, when: int) -> None:
    shape = f"CASE WHEN i = {when} THEN 'LINESTRING(0 0, 1 1)' ELSE 'POINT(1 2)' END"
    q = f"""SELECT {shape}::geometry AS the_geom,
                   repeat('x', 100) AS t FROM (SELECT generate_series(1, 100000) AS i) s"""
    response = api.sql(q, format="shp")
    assert response.status_code == 400
    assert (
        "Attempt to write non-point (LINESTRING) geometry to point shapefile" in response.json()["error"][0]
    )
    assert (leftovers(exports), writers(exports)) == ([], [])
    assert usable(api)


def test_only_some_exports_are_written_at_once(
    make_server: MakeServer, admin: psycopg.Connection[Any], exports: Path
) -> None:
    api, account = make_api(make_server, export_processes=1)
    raw = RawRequest(account.base_url, "GET", SQL, {}, q=SLOW, format="kml", api_key=account.api_key)
    eventually(lambda: len(writers(exports)) == 1, "the first is written")
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(api.sql, "SELECT ST_MakePoint(1, 2) AS the_geom", format="gpkg")
        assert usable(api)
        assert not waiting.done()
        assert len(writers(exports)) == 1
        raw.close()
        assert waiting.result().status_code == 200
    eventually(lambda: not writers(exports) and not leftovers(exports), "nothing is left")


def test_several_exports_at_once(api: Api) -> None:
    q = "SELECT i AS a, ST_MakePoint(i, {0}) AS the_geom, '{0}' AS me FROM generate_series(1, 2000) i"
    with ThreadPoolExecutor(4) as pool:
        asked = [
            (format, pool.submit(api.with_key(api.api_key).sql, q.format(n), format=format))
            for n, format in enumerate(FORMATS)
        ]
        for format, answer in asked:
            assert answer.result().status_code == 200, format


def test_a_writer_empties_no_folder_but_its_own(tmp_path: Path) -> None:
    own, other = tmp_path / f"{FOLDER_PREFIX}x", tmp_path / "other"
    for folder in (own, other):
        folder.mkdir()
        (folder / "file").write_text("kept?")
        command = [sys.executable, "-m", "carto_like.server.formats.ogrprocess"]
        environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])}
        ended = subprocess.run(
            command, cwd=folder, env=environment, input=b"", capture_output=True, timeout=60
        )
        assert ended.returncode == 1
    assert leftovers(tmp_path) == [other]
    assert (other / "file").read_text() == "kept?"
