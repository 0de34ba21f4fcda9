"""Files that are broken, too large or not what they seem, and workers and databases that die."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from carto_like.server.imports.upload import Upload
from carto_like.server.postgres import PrivatePostgres
from carto_like.server.services import importrun
from carto_like.server.services.importjobs import IMPORT
from carto_like.server.services.importrun import run_import
from carto_like.server.services.imports import Imports
from carto_like.server.settings import Settings
from tests.conftest import MakeServer
from tests.support.api import Api, make_account
from tests.support.databases import another_database
from tests.support.imports import ended, imported, start, upload
from tests.support.raw import eventually
from tests.support.rows import rows_of
from tests.support.server import RunningServer

CSV = b"lat,lon,n\n1,2,3\n4,5,6\n"
VRT = (
    b'<OGRVRTDataSource><OGRVRTLayer name="x"><SrcDataSource>/etc/passwd</SrcDataSource></OGRVRTLayer>'
    b"</OGRVRTDataSource>"
)
FEATURE = '{"type":"Feature","properties":{"a":1},"geometry":{"type":"Point","coordinates":[1,2]}}'
RELATIONS = (
    "SELECT relname FROM pg_class WHERE relnamespace = current_schema()::regnamespace "
    "AND relkind IN ('r', 'S')"
)


def collection(*features: str) -> str:
    return f'{{"type":"FeatureCollection","features":[{",".join(features)}]}}'


def nothing_is_left(api: Api) -> None:
    assert rows_of(api, RELATIONS) == []


@pytest.mark.parametrize(
    ("name", "content", "code"),
    [
        ("a.csv", b"", 1005),
        ("a.csv", b" \n\n", 1005),
        ("a.geojson", b"\n", 1005),
        ("a.csv", VRT, 1002),
        ("a.csv", b"<!DOCTYPE html><html><body>log in, please</body></html>", 1002),
        ("a.csv", b"PK\x03\x04 a zip", 1002),
        ("a.geojson", VRT, 1002),
        ("a.json", VRT, 3007),
        ("a.doc", b"a,b\n1,2\n", 1002),
        ("a", b"a,b\n1,2\n", 1002),
        ("a.csv", ",".join(f"c{n}" for n in range(5000)).encode(), 2004),
        ("a.geojson", collection(FEATURE, FEATURE)[:-40].encode(), 1002),
        ("a.json", collection(FEATURE)[:-1].encode(), 3007),
        ("a.geojson", b"[1, 2]", 1002),
        ("a.geojson", b'{"a": 1}', 1002),
        ("a.geojson", collection(FEATURE.replace("Point", "Dot")).encode(), None),
        (
            "a.geojson",
            collection(
                FEATURE.replace('"Point","coordinates":[1,2]', '"GeometryCollection","geometries":[]')
            ).encode(),
            3201,
        ),
        *(
            ("a.geojson", collection(FEATURE.replace('"Point","coordinates":[1,2]', geometry)).encode(), 2014)
            for geometry in (
                '"Polygon","coordinates":[[[0,0],[1,1]]]',
                '"Polygon","coordinates":[[[0,0],[1,1],[1,0],[2,2]]]',
                '"LineString","coordinates":[[0,0]]',
            )
        ),
    ],
    ids=lambda value: str(value)[:30],
)
def test_each_bad_file_has_its_code(api: Api, name: str, content: bytes, code: int | None) -> None:
    end = upload(api, name, content)
    if code is None:
        assert end["state"] == "complete"
        assert rows_of(api, "SELECT the_geom FROM a") == [{"the_geom": None}]
        return
    assert (end["state"], end["success"], end["error_code"]) == ("failure", False, code), end
    assert end["tables_created_count"] is None
    assert end["get_error_text"]["title"]
    assert "/" not in end["get_error_text"]["what_about"].replace("latitude", "")
    nothing_is_left(api)


def test_a_broken_row_at_the_end_harms_no_other(api: Api) -> None:
    table = imported(api, "t.csv", 'a,b\n1,x\n2,"never closed\n')
    assert rows_of(api, f"SELECT a, b FROM {table} ORDER BY a") == [
        {"a": 1, "b": "x"},
        {"a": 2, "b": "never closed\n"},
    ]


def test_zero_bytes_are_left_out(api: Api) -> None:
    table = imported(api, "t.csv", b"a,b\n1,x\0y\n")
    assert rows_of(api, f"SELECT b FROM {table}") == [{"b": "xy"}]


def test_as_many_columns_as_a_table_can_have(api: Api) -> None:
    header, row = (",".join(f"{letter}{n}" for n in range(1597)) for letter in ("c", ""))
    table = imported(api, "t.csv", f"{header}\n{row}\n")
    assert rows_of(api, f"SELECT c0, c1596 FROM {table}") == [{"c0": 0, "c1596": 1596}]


@pytest.fixture(scope="module")
def own(cluster: PrivatePostgres) -> Settings:
    """A database whose jobs no worker takes but those of the test."""
    return another_database(cluster)


@pytest.fixture
def limited(make_server: MakeServer, own: Settings) -> Iterator[Any]:
    """Another server with other limits, and a user of it."""
    opened = []

    def make(quota_bytes: int | None = None, settings: dict[str, Any] | None = None, **limits: Any) -> Api:
        server = make_server(settings={"dsn": own.dsn, **(settings or {})}, **limits)
        account = make_account(server, quota_bytes=quota_bytes)
        api = Api(account.base_url, account.api_key)
        opened.append(api)
        return api

    yield make
    for api in opened:
        api.session.close()


def test_limits_have_their_codes(limited: Any) -> None:
    api = limited(import_max_bytes=100, import_max_rows=2)
    assert upload(api, "a.csv", b"a\n" + b"1\n" * 60)["error_code"] == 6666
    assert upload(api, "a.csv", b"a\n1\n2\n3\n")["error_code"] == 6668
    assert upload(api, "a.csv", b"a\n1\n2\n")["state"] == "complete"


def test_the_quota_is_kept(limited: Any) -> None:
    api = limited(quota_bytes=300_000)
    assert upload(api, "a.csv", b"a,b\n" + b"1,xxxxxxxxxxxxxxxx\n" * 60_000)["error_code"] == 8001
    assert upload(api, "a.csv", b"a,b\n" + b"1,x\n" * 30_000)["error_code"] == 8001
    nothing_is_left(api)
    assert upload(api, "a.csv", CSV)["state"] == "complete"


def test_reading_may_not_take_any_memory(limited: Any) -> None:
    api = limited(import_memory_bytes=120 * 2**20)
    end = upload(api, "a.csv", b'a,b\n1,"' + b"x" * (60 * 2**20))
    assert (end["state"], end["error_code"]) == ("failure", 2001)
    assert "memory" in end["get_error_text"]["what_about"]
    assert upload(api, "b.csv", CSV)["state"] == "complete"


def test_a_full_disk_ends_the_upload_only(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    begin = Upload._begin_file

    def begin_on_a_full_disk(self: Upload, name: str) -> None:
        begin(self, name)
        assert self._file is not None
        self._file.close()
        self._file = os.fdopen(os.open("/dev/full", os.O_WRONLY), "wb", buffering=0)

    monkeypatch.setattr(Upload, "_begin_file", begin_on_a_full_disk)
    end = upload(api, "a.csv", CSV)
    assert (end["state"], end["error_code"]) == ("failure", 1000)
    monkeypatch.undo()
    assert upload(api, "a.csv", CSV)["state"] == "complete"


def test_a_full_disk_of_the_database_leaves_nothing(api: Api) -> None:
    api.sql(
        "CREATE FUNCTION fill() RETURNS int LANGUAGE plpgsql AS $$ BEGIN "
        "RAISE disk_full USING MESSAGE = 'could not extend file: No space left on device'; END $$"
    )
    end = ended(
        api,
        start(api, params={"sql": "SELECT i, CASE i WHEN 9 THEN fill() END FROM generate_series(1, 9) i"}),
    )
    assert (end["state"], end["error_code"]) == ("failure", 1000)
    assert "No space left" in end["get_error_text"]["what_about"]
    nothing_is_left(api)
    assert ended(api, start(api, params={"sql": "SELECT 1 AS a"}))["state"] == "complete"


def test_a_folder_that_cannot_be_written_is_told_of(limited: Any, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    api = limited(settings={"uploads_dir": tmp_path / "file" / "uploads"})
    end = upload(api, "a.csv", CSV)
    assert (end["state"], end["error_code"]) == ("failure", 1000)


def test_no_upload_is_kept(limited: Any, tmp_path: Path) -> None:
    api = limited(settings={"uploads_dir": tmp_path})
    upload(api, "a.csv", CSV)
    upload(api, "a.csv", b"")
    assert (
        api.post("api/v1/imports", params={"privacy": "x"}, files={"file": ("a.csv", CSV)}).status_code == 400
    )
    ended(api, start(api, params={"sql": "SELECT 1 AS a"}, files={"file": ("a.csv", CSV)}))
    eventually(lambda: list(tmp_path.iterdir()) == [], "the folder to be empty")


def test_uploads_of_dead_servers_are_removed(mortal: Mortal) -> None:
    platform = mortal.server.app.platform
    waiting = start(mortal.api, files={"file": ("t.csv", CSV)})
    dead, fresh, foreign = mortal.folder / str(uuid4()), mortal.folder / str(uuid4()), mortal.folder / "notes"
    for folder in (dead, fresh, foreign):
        folder.mkdir()
    for folder in (dead, foreign, mortal.folder / waiting):
        os.utime(folder, (0, 0))

    async def tidy() -> None:
        assert IMPORT.tidy is not None
        await IMPORT.tidy(platform)

    mortal.server.on_server(tidy())
    assert set(mortal.folder.iterdir()) == {fresh, foreign, mortal.folder / waiting}
    assert mortal.run(waiting)["state"] == "complete"


# A worker that carries out one import, and is killed when it gets to a certain step.
_WORKER = """
import asyncio, json, os, signal, sys
from pathlib import Path
from uuid import UUID, uuid4
from carto_like.server.deployment import opened_platform
from carto_like.server.imports.reader import ImportReaders
from carto_like.server.services import importrun, importtables
from carto_like.server.services.importload import Loader
from carto_like.server.settings import Settings

told = json.load(sys.stdin)
places = {
    "reading": (ImportReaders, "reading"),
    "filling": (Loader, "fill"),
    "finishing": (Loader, "finish"),
    "publishing": (importtables.Tables, "_publish"),
    "announced": (importrun._Run, "_announce"),
    "committed": (importrun._Run, "conclude"),
}
owner, name = places[told["step"]]
original = getattr(owner, name)

async def killed(self, *args, **named):
    if told["step"] == "announced":
        await original(self, *args, **named)
    os.kill(os.getpid(), signal.SIGKILL)

setattr(owner, name, (lambda *a, **k: os.kill(os.getpid(), signal.SIGKILL)) if name == "reading" else killed)

async def main():
    settings = Settings(dsn=told["dsn"], secret=told["secret"].encode(), uploads_dir=Path(told["uploads"]))
    async with opened_platform(settings) as platform:
        await importrun.run_import(platform, UUID(told["id"]))

asyncio.run(main())
"""
STEPS = ("reading", "filling", "finishing", "publishing", "announced", "committed")


class Mortal:
    """A server that runs no jobs, and workers that die doing so."""

    def __init__(self, make_server: MakeServer, settings: Settings, folder: Path) -> None:
        self.server: RunningServer = make_server(
            settings={"dsn": settings.dsn, "worker": False, "uploads_dir": folder}
        )
        self.settings = settings
        self.folder = folder
        account = make_account(self.server)
        self.api = Api(account.base_url, account.api_key)

    def die_at(self, step: str, identity: str) -> None:
        told = {
            "step": step,
            "id": identity,
            "dsn": self.settings.dsn,
            "secret": self.settings.secret.decode(),
            "uploads": str(self.folder),
        }
        done = subprocess.run(
            [sys.executable, "-c", _WORKER],
            input=json.dumps(told),
            text=True,
            capture_output=True,
            timeout=60,
        )
        assert done.returncode == -9, done.stderr

    def run(self, identity: str) -> dict[str, Any]:
        """What another worker makes of the import."""
        self.server.on_server(run_import(self.server.app.platform, UUID(identity)))
        return ended(self.api, identity)


@pytest.fixture
def mortal(make_server: MakeServer, own: Settings, tmp_path: Path) -> Iterator[Mortal]:
    mortal = Mortal(make_server, own, tmp_path)
    yield mortal
    mortal.api.session.close()


@pytest.mark.parametrize("step", STEPS)
def test_a_worker_may_die_at_any_step(mortal: Mortal, step: str) -> None:
    identity = start(mortal.api, files={"file": ("t.csv", CSV)}, params={"privacy": "public"})
    mortal.die_at(step, identity)
    assert mortal.api.get(f"api/v1/imports/{identity}").json()["state"] != "failure"
    seen = [row["relname"] for row in rows_of(mortal.api, RELATIONS)]
    assert seen == ([] if step != "committed" else seen)
    end = mortal.run(identity)
    assert (end["state"], end["table_name"], end["tables_created_count"]) == ("complete", "t", 1)
    assert sorted(row["relname"] for row in rows_of(mortal.api, RELATIONS)) == ["t", "t_cartodb_id_seq"]
    assert rows_of(mortal.api, "SELECT count(*) AS n FROM t") == [{"n": 2}]
    assert mortal.api.get("api/v1/viz/t").json()["privacy"] == "PUBLIC"
    assert list(mortal.folder.iterdir()) == []


def test_a_database_that_takes_nothing_is_asked_with_pauses(
    mortal: Mortal, monkeypatch: pytest.MonkeyPatch
) -> None:
    identity = start(mortal.api, files={"file": ("t.csv", CSV)})
    pause, pauses, refusals = 0.0123, [], [psycopg.errors.DiskFull("no space left")] * 3
    sleep, update = asyncio.sleep, Imports.update

    async def noted(seconds: float) -> None:
        pauses.append(seconds)
        await sleep(seconds)

    async def refused(imports: Imports, *args: Any, **values: Any) -> None:
        if refusals:
            raise refusals.pop()
        await update(imports, *args, **values)

    monkeypatch.setattr(importrun, "_OUTAGE_SECONDS", pause)
    monkeypatch.setattr(asyncio, "sleep", noted)
    monkeypatch.setattr(Imports, "update", refused)
    assert mortal.run(identity)["state"] == "complete"
    assert pauses.count(pause) == 3


def test_an_import_that_kills_its_workers_is_given_up(mortal: Mortal) -> None:
    identity = start(mortal.api, files={"file": ("t.csv", CSV)})
    mortal.die_at("filling", identity)
    mortal.die_at("filling", identity)
    end = mortal.run(identity)
    assert (end["state"], end["success"], end["error_code"]) == ("failure", False, 6671)
    nothing_is_left(mortal.api)
    assert list(mortal.folder.iterdir()) == []


def test_a_lost_connection_is_made_good_once(api: Api, admin: psycopg.Connection[Any], account: Any) -> None:
    def terminate() -> bool:
        found = admin.execute(
            # Not before it is gone: another look would take the dying one for the next attempt.
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
            "WHERE usename = %s AND state = 'active' AND query LIKE 'CREATE TABLE%%'",
            (account.role,),
        )
        return found.rowcount > 0

    identity = start(api, params={"sql": "SELECT 1 AS a FROM pg_sleep(1)"})
    eventually(terminate, "the query to run")
    assert ended(api, identity)["state"] == "complete"
    identity = start(api, params={"sql": "SELECT 1 AS a FROM pg_sleep(30)"})
    eventually(terminate, "the query to run")
    eventually(terminate, "the query to run again")
    assert ended(api, identity)["error_code"] == 6671
    assert ended(api, start(api, params={"sql": "SELECT 1 AS a"}))["state"] == "complete"
