"""The examples for IOTile Cloud run, on the real platform, and do what they say.

They run in this process, as programs of their own would spend ten times as long on importing.
"""

from __future__ import annotations

import ast
import runpy
import sys
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from carto_like.auth import APIKeyAuthClient
from carto_like.iotile.api.connection import Api as IOTile
from carto_like.iotile.utils import main as script_frame
from carto_like.server.background import BackgroundServer
from carto_like.server.iotile.bed import IOTileCloud
from tests.docs.test_pages import python_blocks
from tests.support.api import Api, TestAccount
from tests.support.reports import binary_report
from tests.support.rows import rows_of

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples" / "iotile"
METERS = ROOT / "tests" / "e2e" / "iotile_data" / "meters.json"
DEVICE = "d--0000-0000-0000-00d2"
STREAM = "s--0000-0077--0000-0000-0000-00d2--5001"
EMAIL, PASSWORD = "ana@example.org", "correct horse"

Run = Callable[..., str]


@pytest.fixture(scope="module")
def cloud(iotile_cloud: IOTileCloud) -> IOTileCloud:
    iotile_cloud.quick_add_user(EMAIL, PASSWORD)
    iotile_cloud.add_data(METERS)
    return iotile_cloud


@pytest.fixture
def run(
    cloud: IOTileCloud,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Run:
    """Run an example on the cloud, and answer what it prints."""
    monkeypatch.setenv("IOTILE_DOMAIN", cloud.url)
    monkeypatch.setenv("IOTILE_EMAIL", EMAIL)
    monkeypatch.setenv("IOTILE_PASSWORD", PASSWORD)

    def start(script: str, *arguments: object, ends: str | None = None) -> str:
        monkeypatch.setattr(sys, "argv", [script, *map(str, arguments)])
        code: Any = None
        try:
            runpy.run_path(str(EXAMPLES / script), run_name="__main__")
        except SystemExit as end:
            code = end.code
        assert (code in (None, 0)) if ends is None else ends in str(code)
        return capsys.readouterr().out

    return start


def test_slugs(run: Run) -> None:
    out = run("slugs.py")
    assert "make s--0000-0005--0000-0000-0000-000a--5001" in out
    assert "variable: v--0000-0005--5001" in out
    assert "number 10." in out


def test_login(run: Run) -> None:
    assert run("login.py").splitlines()[1:] == [
        "The token is good for another week.",
        f"The account's address is {EMAIL}.",
        "A key that does not expire sees 1 organizations.",
        "Logged out: the token is None.",
    ]


def test_orgs(run: Run) -> None:
    assert run("orgs.py").splitlines() == [
        "Made my-new-org.",
        "Its name is taken: 400.",
        "- arch-systems: Arch Systems",
        "- my-new-org: My new Org",
        "Read My new Org.",
        "It is about: This is about my new org",
        "It is about: Something else",
        "Deleted: True.",
        "It is gone.",
    ]


def test_filters(run: Run) -> None:
    assert run("filters.py", "arch-systems").splitlines() == [
        "1 projects by a filter, 1 below the organization.",
        "p--0000-0077 Meters: 1 devices",
        "All devices: Meter",
    ]


def test_stream_data(run: Run) -> None:
    lines = run("stream_data.py", STREAM).splitlines()
    assert [line.split()[0] for line in lines[:3]] == [
        f"2017-01-10T10:{minute:02d}:00Z" for minute in (8, 9, 10)
    ]
    assert lines[3:] == [
        "5 readings in five minutes, two to a page",
        "from 0.0307 to 0.0338",
        "The device sent 110, which is 41639.5.",
    ]


def test_script(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(script_frame, "getpass", lambda: PASSWORD)
    out = run("script.py", "-u", EMAIL, "--stream", STREAM, "--last", 2)
    assert out.splitlines() == ["2017-01-10T10:09:00Z: 0.0335", "2017-01-10T10:10:00Z: 0.0338"]


def test_accumulation_report(run: Run) -> None:
    out = run("accumulation_report.py", "p--0000-0077", DEVICE, STREAM)
    per_stream = [line for line in out.splitlines() if line.startswith("s--")]
    assert len(per_stream) == 2
    assert f"{STREAM}: 0.3545 af" in per_stream
    assert out.splitlines()[-1] == "Total: 4.8545"


def test_upload(run: Run, cloud: IOTileCloud, tmp_path: Path) -> None:
    number = 0x77
    cloud.quick_add_device("p--0000-0077", number, label="Pump")
    report, recorded = tmp_path / "report.bin", tmp_path / "wave.json"
    report.write_bytes(binary_report(number, [(0x5001, each, each, each) for each in range(1, 8)]))
    recorded.write_text('{"x": [1, 2]}', "utf-8")
    stream = STREAM.replace("00d2", f"{number:04x}")
    assert run("upload.py", report, recorded, stream).splitlines() == [
        "The report holds 7 readings.",
        "The event of 2017-12-10T10:00:00Z has {'foo': 'bar'} and recorded:",
        "{'x': [1, 2]}",
    ]


def test_mdo(run: Run) -> None:
    assert run("mdo.py", STREAM).splitlines() == [
        "110 from the device is 41639.5; the server says 41639.5.",
        "That is 0.03376 af, and back again 37004.5.",
    ]


def test_mdo_of_a_stream_without_units(run: Run, cloud: IOTileCloud) -> None:
    project, _ = cloud.quick_add_project("Bare")
    stream = cloud.quick_add_stream(cloud.quick_add_device(project), cloud.quick_add_variable(project, 1))
    run("mdo.py", stream, ends="has no units")


@pytest.mark.parametrize(
    "script", ["accumulation_report", "data_frame", "filters", "mdo", "stream_data", "trip", "upload"]
)
def test_what_is_missing_on_the_command_line_is_named(run: Run, script: str) -> None:
    run(f"{script}.py", ends="2")
    run(f"{script}.py", "--help")


def test_trip(run: Run) -> None:
    assert run("trip.py", "0xd2").splitlines() == [
        "Meter of project Meters in arch-systems",
        "18 points were recorded.",
        "2017-01-10T10:01:00Z: peak 3, {'peak': 1}",
        "2017-01-10T10:02:00Z: peak 3, {'peak': 2}",
        "2017-01-10T10:03:00Z: nothing was recorded",
    ]


def test_data_frame(run: Run) -> None:
    assert run("data_frame.py", STREAM).splitlines() == [
        "11 rows of CSV, mean 39746.8",
        "11 readings, mean 39746.8",
    ]


def test_last_year_of_fifty_streams(
    run: Run, cloud: IOTileCloud, api: Api, account: TestAccount, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some readings are older than a year, and one device has no position."""
    project, slug = cloud.quick_add_project("Fields")
    variables = [cloud.quick_add_variable(project, lid, multiplication_factor=2) for lid in range(1, 6)]
    now = datetime.now(timezone.utc)
    ages = (400, 300, 200, 1)
    for place in range(10):
        position: dict[str, Any] = {} if place == 9 else {"lon": -8.0 - place / 10, "lat": 41.0}
        device = cloud.quick_add_device(project, **position)
        for variable in variables:
            stream = cloud.quick_add_stream(device, variable)
            moments = [now - timedelta(days=age) for age in ages]
            points = [{"timestamp": moment.isoformat(), "int_value": 3} for moment in moments]
            cloud.quick_add_points(stream, points)
    iotile = IOTile(cloud.url)
    assert iotile.login(email=EMAIL, password=PASSWORD)
    monkeypatch.setenv("IOTILE_TOKEN", iotile.auth.token.get()["token"])
    monkeypatch.setenv("CARTO_API_URL", account.base_url)
    monkeypatch.setenv("CARTO_API_KEY", account.api_key)
    run("last_year_to_table.py", "p--ffff", ends="has no streams")
    assert rows_of(api, "SELECT to_regclass('readings') AS found") == [{"found": None}]
    assert run("last_year_to_table.py", slug) == "150 readings are in readings\n"
    landed = rows_of(
        api,
        "SELECT count(DISTINCT stream) AS streams, count(DISTINCT device) AS devices, sum(value) AS value,"
        " count(the_geom) AS placed, min(ST_X(the_geom)) AS west, max(ST_X(the_geom)) AS east,"
        " min(now() - recorded_at) > interval '23 hours' AS dated FROM readings",
    )
    expected = {"streams": 50, "devices": 10, "value": 900.0, "placed": 135, "west": -8.8, "east": -8.0}
    assert landed == [{**expected, "dated": True}]


def test_every_example_is_tested() -> None:
    text = Path(__file__).read_text("utf-8")
    scripts = sorted(path.name for path in EXAMPLES.glob("*.py"))
    assert len(scripts) >= 12
    assert [name for name in scripts if f'"{name}"' not in text] == []


def test_the_page_about_a_server_of_your_own(
    cloud: IOTileCloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The part that makes things through the API, on our server instead of the one it names."""
    (block,) = (block for block in python_blocks("iotile") if "api.org.post" in block)
    name = cloud.quick_add_user("maker@example.org", PASSWORD)
    monkeypatch.chdir(tmp_path)
    block = block.replace("http://127.0.0.1:8080/iotile", cloud.url).replace('"..."', repr(PASSWORD))
    block = block.replace("ana@example.org", name)
    making, uploading = block.strip().rsplit("\n", 1)
    names: dict[str, Any] = {"Api": IOTile}
    exec(compile(making, "iotile.rst", "exec"), names)
    content = binary_report(names["device"]["id"], [(0x5001, 1, 1, 1)])
    (tmp_path / "report.bin").write_bytes(content)
    exec(compile(uploading, "iotile.rst", "exec"), names)
    assert names["api"].stream(names["stream"]["slug"]).data.get()["count"] == 2
    (units,) = (block for block in python_blocks("iotile") if "api.vartype.post" in block)
    platform = cloud.server.app.platform
    user = cloud.server.on_server(platform.users.get(name))
    assert user is not None
    cloud.server.on_server(cloud.server.app.iotile.site.accounts.set_staff(user.id, True))
    exec(compile(units, "iotile.rst", "exec"), names)
    reading = names["api"].stream(names["stream"]["slug"]).data.get(lastn=1)["results"][0]
    assert reading["output_value"] == pytest.approx(3.78541 * reading["int_value"])


def test_the_page_about_tests(iotile_server: BackgroundServer, cloud: IOTileCloud, tmp_path: Path) -> None:
    """Last in this module, as it empties the cloud."""
    (block,) = (block for block in python_blocks("iotile") if "iotile_cloud_private" in block)
    page = (ROOT / "doc" / "iotile.rst").read_text("utf-8")
    described = page.partition(".. code-block:: json\n")[2]
    (tmp_path / "data.json").write_text(described, "utf-8")
    fresh = IOTileCloud(iotile_server)
    fresh.reset()
    names: dict[str, Any] = {"Api": IOTile}
    exec(compile(block, "iotile.rst", "exec"), names)
    names["test_my_script"](fresh)
    fresh.reset()
    fresh.quick_add_user(EMAIL, PASSWORD)
    fresh.add_data(tmp_path / "data.json")
    api = IOTile(fresh.url)
    assert api.login(email=EMAIL, password=PASSWORD)
    assert api.data.get(filter="s--0077--0097--5001")["count"] == 1


def test_the_page_about_scripts_and_our_own_shape(
    iotile_server: BackgroundServer, api: Api, account: TestAccount, capsys: pytest.CaptureFixture[str]
) -> None:
    """All that the page does on the hosted service, done on ours."""
    fresh = IOTileCloud(iotile_server)
    fresh.reset()
    fresh.quick_add_user("ana@example.org", PASSWORD)
    fresh.add_data(ROOT / "tests" / "contract" / "iotile_farm.json")
    columns = (
        "stream text, device text, recorded_at timestamptz, value float8, the_geom geometry(Point, 4326)"
    )
    rows_of(api, f"CREATE TABLE readings ({columns})")
    blocks = [block for block in python_blocks("iotile") if "https://iotile.cloud" in block]
    assert len(blocks) == 3
    with APIKeyAuthClient(account.base_url, account.api_key) as auth_client:
        names: dict[str, Any] = {"auth_client": auth_client}
        for block in blocks:
            block = block.replace("https://iotile.cloud", fresh.url).replace('"..."', repr(PASSWORD))
            exec(compile(block, "iotile.rst", "exec"), names)
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "1"
    assert [round(value, 9) for value in ast.literal_eval(said[1])] == [8.0, 10.0, 12.0]
    assert said[2].startswith("d--0000-0000-0000-0097 Pump 1 (-8.61, 41.15)")
    assert len(said) == 7
    assert rows_of(api, "SELECT count(*) AS rows, count(the_geom) AS placed FROM readings") == [
        {"rows": 3, "placed": 3}
    ]
