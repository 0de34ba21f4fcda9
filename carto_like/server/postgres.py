"""A private PostgreSQL: made, started, found again and stopped by us, reachable by nobody else."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import psycopg
from psycopg.conninfo import make_conninfo

from .clusterdir import (
    SUPERUSER,
    initialise,
    make_data_dir,
    make_socket_dir,
    remove_socket_dir,
    shared_memory,
    tail,
    unprivileged,
)
from .datalock import DataDirectoryBusy, DataLock
from .errors import StartError
from .processes import command_line, is_alive
from .programs import INSTALL_HELP, Programs, find_programs

_START_SECONDS = 60.0
_GOING_AWAY_SECONDS = 10.0
_LEFTOVERS = ('lock file "postmaster.pid" already exists', "pre-existing shared memory block")
_STOP_STEPS = ((signal.SIGINT, 30.0), (signal.SIGQUIT, 5.0), (signal.SIGKILL, 5.0))

SETTINGS: dict[str, str] = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "max_connections": "100",
    "shared_buffers": "256MB",
    "work_mem": "16MB",
    # A user is deleted in one transaction, which locks each of his tables with its indexes.
    "max_locks_per_transaction": "256",
    "maintenance_work_mem": "256MB",
    "max_wal_size": "4GB",
    # Nobody replicates a private cluster; without it, bulk loads into new tables skip the log.
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "fsync": "on",
    # Compiling pays off for queries of many seconds and costs every short one with a large estimate.
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    # Clients' errors and statements are theirs; what is logged is the server's own life.
    "log_min_messages": "log",
    "log_min_error_statement": "panic",
    "log_checkpoints": "off",
}


@dataclass(frozen=True)
class _Postmaster:
    pid: int
    socket_dir: str
    ready: bool


class PrivatePostgres:
    """A cluster in ``data_dir/postgres`` with a socket in a short folder of its own and no TCP port.

    Args:
        data_dir: made when absent; locked while the cluster is ours.
        programs: the PostgreSQL to use; the best of the machine when absent.
        settings: server settings that replace or extend :data:`SETTINGS`.
    """

    def __init__(
        self, data_dir: Path, *, programs: Programs | None = None, settings: dict[str, str] | None = None
    ) -> None:
        self.data_dir = data_dir.absolute()
        self.cluster_dir = self.data_dir / "postgres"
        self.log_file = self.data_dir / "postgres.log"
        self.pid: int | None = None
        self.socket_dir: str | None = None
        self._programs = programs
        self._settings = {**SETTINGS, **shared_memory(), **(settings or {})}
        self._child: subprocess.Popen[bytes] | None = None
        self._lock = DataLock(self.data_dir)

    def __enter__(self) -> PrivatePostgres:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def dsn(self, dbname: str = "postgres", user: str = SUPERUSER) -> str:
        """A libpq connection string for the running cluster.

        Raises:
            StartError: the cluster is not running.
        """
        if self.socket_dir is None:
            raise StartError("The private database is not running.")
        return make_conninfo(host=self.socket_dir, dbname=dbname, user=user)

    def start(self) -> None:
        """Make the cluster if there is none, start it if it does not run; both at most once.

        Raises:
            DataDirectoryBusy: another process owns the data directory.
            StartError: no usable PostgreSQL, no PostGIS, or it does not come up.
        """
        if self.pid is not None:
            return
        make_data_dir(self.data_dir)
        last = self._lock.acquire()
        try:
            if not self._adopt():
                remove_socket_dir(last.get("socket_dir"))
                self._launch_patiently()
            self._lock.write(socket_dir=self.socket_dir)
            self._require_postgis()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop the cluster and remove its socket folder; nothing happens when it does not run."""
        self.halt()
        remove_socket_dir(self.socket_dir)
        self.pid = self.socket_dir = self._child = None
        self._lock.release()

    def halt(self) -> None:
        """End the server process, but keep directory and socket folder for :meth:`restart`."""
        if self.pid is not None:
            self._end(self.pid)

    def restart(self) -> None:
        """End the server process if it runs, and start it anew at the same address.

        Raises:
            StartError: it does not come up, or was never started.
        """
        if self.pid is None:
            raise StartError("The private database is not running.")
        self._end(self.pid)
        self._launch_patiently()

    def is_running(self) -> bool:
        """Whether the server process is alive."""
        return self.pid is not None and not self._has_ended(self.pid)

    @classmethod
    def find(cls, data_dir: Path) -> PrivatePostgres | None:
        """The cluster of a data directory that another process runs; None when none answers.

        The one found may be asked for its :meth:`dsn`; it is the other process that stops it.
        """
        found = cls(data_dir)
        server = found._postmaster()
        if server is None or not found._answers(server):
            return None
        found.socket_dir = server.socket_dir
        return found

    def _adopt(self) -> bool:
        """Take over a cluster that a killed owner left running; end it when it does not answer."""
        server = self._postmaster()
        if server is None or not is_alive(server.pid):
            return False
        if self._answers(server):
            self.pid, self.socket_dir = server.pid, server.socket_dir
            return True
        # The number may meanwhile belong to a process that has nothing to do with us.
        if str(self.cluster_dir) in command_line(server.pid):
            self._end(server.pid)
            remove_socket_dir(server.socket_dir)
        return False

    def _launch_patiently(self) -> None:
        """Launch; again while what a killed server left is still going away."""
        deadline = time.monotonic() + _GOING_AWAY_SECONDS
        while True:
            try:
                return self._launch()
            except StartError as error:
                leftovers = any(sign in str(error) for sign in _LEFTOVERS)
                if not leftovers or time.monotonic() > deadline:
                    raise
                time.sleep(0.1)

    def _launch(self) -> None:
        programs = self._programs or find_programs()
        run_as = unprivileged(self.data_dir)
        if not (self.cluster_dir / "PG_VERSION").exists():
            initialise(programs, self.cluster_dir, run_as)
        self.socket_dir = self.socket_dir or make_socket_dir(run_as)
        settings = {**self._settings, "unix_socket_directories": self.socket_dir}
        command = [str(programs.postgres), "-D", str(self.cluster_dir)]
        command += [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        with self.log_file.open("ab") as log:
            # A session of its own: Ctrl-C in the terminal is for us, and we stop the database last.
            self._child = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, **run_as
            )
        self.pid = self._child.pid
        self._wait_until(self._is_ready, _START_SECONDS, "did not become ready")

    def _is_ready(self) -> bool:
        if self.pid is None or self._has_ended(self.pid):
            raise StartError(f"PostgreSQL stopped while starting. It said: {tail(self.log_file)}")
        server = self._postmaster()
        return server is not None and server.pid == self.pid and server.ready

    def _wait_until(self, condition: Callable[[], bool], seconds: float, complaint: str) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                raise StartError(f"PostgreSQL {complaint} in {seconds:.0f} s; see {self.log_file}")
            time.sleep(0.02)

    def _end(self, pid: int) -> None:
        for number, seconds in _STOP_STEPS:
            try:
                os.kill(pid, number)
                self._wait_until(lambda: self._has_ended(pid), seconds, "did not stop")
            except ProcessLookupError:
                return
            except StartError:
                continue
            return
        raise StartError(f"PostgreSQL process {pid} does not stop.")

    def _has_ended(self, pid: int) -> bool:
        if self._child is not None and self._child.pid == pid:
            return self._child.poll() is not None
        return not is_alive(pid)

    def _postmaster(self) -> _Postmaster | None:
        try:
            lines = (self.cluster_dir / "postmaster.pid").read_text("utf-8").splitlines()
        except FileNotFoundError:
            return None
        if len(lines) < 8:
            return None
        return _Postmaster(int(lines[0]), lines[4], lines[7].strip() == "ready")

    def _answers(self, server: _Postmaster) -> bool:
        dsn = make_conninfo(host=server.socket_dir, dbname="postgres", user=SUPERUSER, connect_timeout=5)
        try:
            with psycopg.connect(dsn) as connection:
                row = connection.execute("SHOW data_directory").fetchone()
        except psycopg.OperationalError:
            return False
        return row is not None and Path(row[0]) == self.cluster_dir

    def _require_postgis(self) -> None:
        with psycopg.connect(self.dsn()) as connection:
            query = "SELECT 1 FROM pg_available_extensions WHERE name = 'postgis'"
            if connection.execute(query).fetchone() is None:
                raise StartError(f"This PostgreSQL has no PostGIS. {INSTALL_HELP}")


__all__ = ["SETTINGS", "SUPERUSER", "DataDirectoryBusy", "PrivatePostgres"]
