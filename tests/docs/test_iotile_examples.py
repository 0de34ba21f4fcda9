"""The examples for IOTile Cloud run; sensors answer from a server with two readings."""

from __future__ import annotations

import http.server
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import urlsplit

import pytest

from tests.support.api import Api, TestAccount
from tests.support.rows import rows_of

EXAMPLES = Path(__file__).resolve().parents[2] / "examples" / "iotile"
STREAM = "s--0000-0001--0000-0000-0000-0002--5001"
READINGS = [
    {"timestamp": "2026-05-01T10:00:00Z", "value": 1.0, "output_value": 1.5},
    {"timestamp": "2026-05-01T11:00:00Z", "value": 2.0, "output_value": 2.5},
]


class Sensors(http.server.BaseHTTPRequestHandler):
    """One stream of one device; whoever brings no token is refused."""

    answers: ClassVar[dict[str, Any]] = {
        "/api/v1/stream/": {"next": None, "results": [{"slug": STREAM}]},
        f"/api/v1/stream/{STREAM}/data/": {"next": None, "results": READINGS},
        "/api/v1/device/d--0000-0000-0000-0002/": {"lat": 41.15, "lon": -8.61},
    }

    def do_GET(self) -> None:
        allowed = self.headers.get("Authorization") == "token sensor-token"
        body = json.dumps(self.answers[urlsplit(self.path).path]).encode()
        self.send_response(200 if allowed else 401)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@pytest.fixture
def sensors() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Sensors) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def run(script: str, *arguments: str, **variables: str) -> str:
    command = [sys.executable, "-W", "error", str(EXAMPLES / script), *arguments]
    environment = {**os.environ, **variables}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_slugs() -> None:
    out = run("slugs.py")
    assert "make s--0000-0005--0000-0000-0000-000a--5001" in out
    assert "variable: v--0000-0005--5001" in out
    assert "number 10." in out


def test_last_year_to_table(sensors: str, api: Api, account: TestAccount) -> None:
    out = run(
        "last_year_to_table.py",
        "p--0000-0001",
        IOTILE_DOMAIN=sensors,
        IOTILE_TOKEN="sensor-token",
        CARTO_API_URL=account.base_url,
        CARTO_API_KEY=account.api_key,
    )
    assert out == "2 readings are in readings\n"
    landed = rows_of(api, "SELECT sum(value) AS value, min(ST_X(the_geom)) AS x FROM readings")
    assert landed == [{"value": 4.0, "x": -8.61}]


def test_every_example_is_tested() -> None:
    text = Path(__file__).read_text("utf-8")
    scripts = sorted(path.name for path in EXAMPLES.glob("*.py"))
    assert scripts
    assert [name for name in scripts if f'"{name}"' not in text] == []
