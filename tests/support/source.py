"""A file on the web that changes, and a user whose synchronizations follow it when a test says so."""

from __future__ import annotations

import threading
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
from psycopg.types.json import Jsonb

from carto_like.server.postgres import PrivatePostgres
from carto_like.server.services.importrun import run_import
from carto_like.server.services.syncqueue import begin_due
from carto_like.server.settings import Limits, Settings
from tests.support.api import Api, TestAccount, make_account
from tests.support.databases import another_database
from tests.support.rows import rows_of
from tests.support.server import RunningServer

SYNCS = "api/v1/synchronizations"
CSV = b"lat,lon,n\n1,2,3\n4,5,6\n"


class Source(ThreadingHTTPServer):
    """Answers every path with the same file.

    Attributes:
        content: the file.
        headers: sent with it; an ``ETag`` among them is compared with the one that is asked for.
        status: of the answer when it is not the file.
        location: where it redirects to, if it does.
        is_endless: whether it never stops sending.
        asked: what each request said was known already.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.content = CSV
        self.headers: dict[str, str] = {}
        self.status = 200
        self.location: str | None = None
        self.is_endless = False
        self.asked: list[dict[str, str | None]] = []
        self.closing = threading.Event()
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()

    def url(self, name: str = "trees.csv") -> str:
        """An address of the file."""
        return f"http://127.0.0.1:{self.server_port}/{name}"

    def stop(self) -> None:
        """Answer nobody any more."""
        self.closing.set()
        self.shutdown()
        self._thread.join()
        self.server_close()


class _Handler(BaseHTTPRequestHandler):
    server: Source

    def do_GET(self) -> None:
        source = self.server
        names = ("If-None-Match", "If-Modified-Since")
        source.asked.append({name: self.headers.get(name) for name in names if self.headers.get(name)})
        tag = source.headers.get("ETag")
        if source.location:
            self._head(302, Location=source.location)
        elif source.status != 200:
            self._head(source.status)
        elif tag and self.headers.get("If-None-Match") == tag:
            self._head(304)
        else:
            self._head(200, **source.headers)
            self._send(source)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""

    def _head(self, status: int, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def _send(self, source: Source) -> None:
        try:
            self.wfile.write(source.content)
            while source.is_endless and not source.closing.is_set():
                self.wfile.write(source.content[-4:] * 10_000)
        except OSError:
            return


def idle_server(cluster: PrivatePostgres, folder: Path, **limits: Any) -> RunningServer:
    """A server on a database of its own whose jobs only the test runs; it may fetch from this machine."""
    own: Settings = another_database(cluster)
    chosen = replace(
        own, worker=False, uploads_dir=folder, import_addresses="loopback", limits=Limits(**limits)
    )
    return RunningServer(chosen)


class Followers:
    """A user of a server that runs no jobs by itself.

    Attributes:
        api: requests as the user.
        settings: of the server.
        folder: where its files wait.
    """

    def __init__(self, server: RunningServer) -> None:
        self.server = server
        self.platform = server.app.platform
        self.settings = server.settings
        self.folder = self.platform.uploads_dir
        self.account: TestAccount = make_account(server)
        self.api = Api(self.account.base_url, self.account.api_key)
        self._database = psycopg.connect(server.settings.dsn, autocommit=True)

    def close(self) -> None:
        """Give everything back but the server."""
        self.api.session.close()
        self._database.close()

    def create(self, url: str | None, **body: Any) -> dict[str, Any]:
        """Start a synchronization; what was answered."""
        response = self.api.post(SYNCS, json={"url": url, "interval": 3600, **body})
        assert response.status_code == 200, response.text
        told: dict[str, Any] = response.json()
        return told

    def read(self, identity: str) -> dict[str, Any]:
        """The synchronization as the API tells it."""
        response = self.api.get(f"{SYNCS}/{identity}")
        assert response.status_code == 200, response.text
        told: dict[str, Any] = response.json()
        return told

    def stored(self, identity: str) -> str:
        """All that is stored of the synchronization."""
        query = "SELECT s::text FROM carto_like.synchronizations s WHERE id = %s"
        row = self._database.execute(query, (identity,)).fetchone()
        assert row is not None
        return str(row[0])

    def waiting(self) -> list[UUID]:
        """The user's imports that have not ended."""
        query = (
            "SELECT id FROM carto_like.imports WHERE state NOT IN ('complete', 'failure') ORDER BY created_at"
        )
        return [identity for (identity,) in self._database.execute(query).fetchall()]

    def work(self) -> None:
        """Run all that waits, as a worker would."""
        for import_id in self.waiting():
            self.server.on_server(run_import(self.platform, import_id))

    def followed(self, url: str | None, **body: Any) -> dict[str, Any]:
        """A synchronization whose first run was a success."""
        identity = self.create(url, **body)["id"]
        self.work()
        told = self.read(identity)
        assert told["state"] == "success", told
        return told

    def give_up_after(self, import_id: UUID) -> None:
        """Let an import have killed as many workers as it may."""
        self._database.execute("UPDATE carto_like.imports SET attempts = 2 WHERE id = %s", (import_id,))

    def set(self, identity: str, **values: Any) -> None:
        """Change what is stored of a synchronization."""
        stored = {name: Jsonb(value) if isinstance(value, dict) else value for name, value in values.items()}
        settings = ", ".join(f"{name} = %({name})s" for name in values)
        query = f"UPDATE carto_like.synchronizations SET {settings} WHERE id = %(identity)s"
        done = self._database.execute(query.encode(), {**stored, "identity": identity})
        assert done.rowcount == 1

    def make_due(self, identity: str) -> None:
        """Let the time of a synchronization's next run have come."""
        self.set(identity, run_at="2000-01-01", ran_at="2000-01-01")

    def begin_due(self) -> int:
        """Let a worker look for what is due; how much was."""
        return self.server.on_server(begin_due(self.platform))

    def again(self, identity: str) -> dict[str, Any]:
        """The synchronization after another run of it."""
        self.make_due(identity)
        assert self.begin_due() == 1
        assert self.read(identity)["state"] == "queued"
        self.work()
        return self.read(identity)


def numbers(api: Api, table: str = "trees") -> list[int]:
    """What the column of the source's numbers holds, in the order of the rows."""
    return [row["n"] for row in rows_of(api, f"SELECT n FROM {table} ORDER BY cartodb_id")]
