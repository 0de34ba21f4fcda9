"""A platform of our own for one benchmark: a separate process, as users run it, gone at the end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import requests
from psycopg import pq

from benchmarks._bench import ROOT
from benchmarks._measure import reset_peak, status_bytes
from carto_like.server.postgres import PrivatePostgres
from carto_like.server.programs import find_programs

_SERVE = (sys.executable, "-m", "carto_like.cli", "serve")
_STOP_SECONDS = 60.0
# A server that waits takes less CPU time than this from one look to the next.
_SETTLE_SECONDS, _LOOK_SECONDS, _IDLE_CPU = 10.0, 0.25, 0.02
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Platform:
    """A running platform: how clients reach it, how libpq reaches its database, what it uses."""

    base_url: str
    user: str
    api_key: str
    pid: int
    dsn: str
    folder: Path

    @property
    def access(self) -> dict[str, str]:
        """What the tasks of a client need to log in."""
        return {"base_url": self.base_url, "api_key": self.api_key}

    @property
    def psql(self) -> str:
        """The path of psql."""
        return str(find_programs().folder / "psql")

    def sql(self, query: str) -> list[dict[str, Any]]:
        """The rows of a query sent through the API, as a client of the platform would.

        Raises:
            RuntimeError: the platform did not like it; with what it said.
        """
        answer = requests.post(
            f"{self.base_url}api/v2/sql", data={"q": query, "api_key": self.api_key}, timeout=600
        )
        if not answer.ok:
            raise RuntimeError(f"{query}: {answer.text}")
        rows: list[dict[str, Any]] = answer.json()["rows"]
        return rows

    def admin(self, *statements: str) -> list[tuple[Any, ...]]:
        """Run statements as the database's superuser; the rows of the last one."""
        with psycopg.connect(self.dsn, autocommit=True) as connection:
            for statement in statements:
                cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description else []

    def settle(self) -> None:
        """Let what earlier transfers left behind be done, so that the next one does not pay for it.

        That is what is not written yet, and the processes that the server makes ready for the next file.
        """
        self.admin("CHECKPOINT")
        deadline = time.monotonic() + _SETTLE_SECONDS
        last, now = -1.0, self.cpu()[0]
        while now - last > _IDLE_CPU and time.monotonic() < deadline:
            time.sleep(_LOOK_SECONDS)
            last, now = now, self.cpu()[0]

    def processes(self) -> tuple[list[int], list[int]]:
        """Process ids of the server, and of its database."""
        known = {pid: _stat(pid) for pid in _every_process()}
        parents = {pid: int(stat[1]) for pid, stat in known.items() if stat}
        family = {self.pid}
        while more := {pid for pid, parent in parents.items() if parent in family} - family:
            family |= more
        names = {pid: _name(pid) for pid in family}
        database = [pid for pid, name in names.items() if name == "postgres"]
        # Sessions of the database come and go meanwhile; what has no name is gone.
        return [pid for pid, name in names.items() if name not in ("", "postgres")], database

    def cpu(self) -> tuple[float, float]:
        """CPU seconds so far of the server, and of the database."""
        server, database = self.processes()
        return sum(map(_cpu, server)), sum(map(_cpu, database))

    def reset_peak(self) -> int:
        """Bytes of memory the server holds now; its peak counts from here."""
        server, _ = self.processes()
        for pid in server:
            reset_peak(pid)
        return sum(status_bytes("VmRSS", pid) for pid in server)

    def peak(self) -> int:
        """Bytes of memory the server held at its highest."""
        server, _ = self.processes()
        return sum(status_bytes("VmHWM", pid) for pid in server)

    def versions(self) -> dict[str, str]:
        """Versions of the database, of PostGIS and of libpq."""
        ((server, postgis),) = self.admin(
            "SELECT current_setting('server_version'),"
            " (SELECT extversion FROM pg_extension WHERE extname = 'postgis')"
        )
        libpq = pq.version()
        return {
            "PostgreSQL": server.split()[0],
            "PostGIS": postgis,
            "libpq": f"{libpq // 10000}.{libpq % 10000}",
        }


@contextmanager
def running() -> Iterator[Platform]:
    """A fresh platform; afterwards its processes and its files are gone.

    Raises:
        RuntimeError: it did not start, or did not stop.
    """
    with tempfile.TemporaryDirectory(prefix="carto-like-bench-") as folder:
        # The database runs as another user when we are root, and has to enter.
        Path(folder).chmod(0o711)
        data = Path(folder) / "data"
        with (Path(folder) / "serve.log").open("w+") as log:
            command = [*_SERVE, "--port", "0", "--json", "--data-dir", str(data)]
            process = subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=log, text=True, cwd=ROOT, start_new_session=True
            )
            try:
                yield _ready(process, Path(folder), data)
            finally:
                _stop(process)


def _ready(process: subprocess.Popen[str], folder: Path, data: Path) -> Platform:
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        raise RuntimeError(f"The platform did not start: {(folder / 'serve.log').read_text()[-2000:]}")
    told = json.loads(line)
    cluster = PrivatePostgres.find(data)
    if cluster is None:
        raise RuntimeError("The platform's database does not answer.")
    return Platform(told["base_url"], told["user"], told["api_key"], told["pid"], _database(cluster), folder)


def _database(cluster: PrivatePostgres) -> str:
    """The connection string of the one database that holds the platform's schema."""
    with psycopg.connect(cluster.dsn()) as connection:
        names = [row[0] for row in connection.execute("SELECT datname FROM pg_database WHERE datallowconn")]
    for name in names:
        with psycopg.connect(cluster.dsn(name)) as connection:
            if connection.execute("SELECT to_regnamespace('carto_like')").fetchone() != (None,):
                return cluster.dsn(name)
    raise RuntimeError("No database of the cluster holds the platform.")


def _stop(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        raise RuntimeError("The platform did not stop.") from None


def _every_process() -> list[int]:
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]


def _stat(pid: int) -> list[str]:
    """What follows the name in a process's ``stat``: state, parent and so on."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text("utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return []
    return text.rpartition(")")[2].split()


def _name(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text("utf-8", errors="replace").strip()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def _cpu(pid: int) -> float:
    # Own user and system time; that of children who have ended counts too, their parent keeps it.
    return sum(map(int, _stat(pid)[11:15])) / _TICKS
