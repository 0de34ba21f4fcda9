"""What goes on beside a running server: its announcement, word of it in a file, a watch over its database."""

from __future__ import annotations

import http.client
import json
import logging
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from .errors import StartError
from .postgres import PrivatePostgres
from .secrets import write_private

logger = logging.getLogger(__name__)

STATE_FILE = "server.json"
KEY_FILE = "api_key"
_WATCH_SECONDS = 1.0


@dataclass(frozen=True)
class Running:
    """What a server that is ready says about itself."""

    base_url: str
    user: str
    api_key: str = field(repr=False)
    pid: int

    def as_json(self) -> str:
        """One line for programs, key included."""
        return json.dumps(vars(self))


@contextmanager
def state_kept(data_dir: Path, running: Running) -> Iterator[None]:
    """Leave word in the data directory, for commands on this machine, while the server runs."""
    data_dir.mkdir(parents=True, exist_ok=True)
    write_private(data_dir / KEY_FILE, f"{running.api_key}\n".encode())
    state = data_dir / STATE_FILE
    write_private(state, running.as_json().encode())
    try:
        yield
    finally:
        state.unlink(missing_ok=True)


@contextmanager
def watched(postgres: PrivatePostgres) -> Iterator[None]:
    """Start the database again when it dies under the server."""
    done = threading.Event()

    def watch() -> None:
        while not done.wait(_WATCH_SECONDS):
            if postgres.is_running():
                continue
            logger.error("the database died; starting it again")
            try:
                postgres.restart()
            except StartError as error:
                logger.error("%s", error)

    with _thread(watch, done):
        yield


@contextmanager
def announced(
    running: Running, listener: socket.socket, announce: Callable[[Running], None]
) -> Iterator[None]:
    """Announce the server as soon as it answers, from another thread."""
    done = threading.Event()
    host, port = listener.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)

    def wait() -> None:
        while not done.is_set():
            if _is_healthy(host, port):
                announce(running)
                return
            done.wait(0.05)

    with _thread(wait, done):
        yield


@contextmanager
def _thread(work: Callable[[], None], done: threading.Event) -> Iterator[None]:
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def _is_healthy(host: str, port: int) -> bool:
    connection = http.client.HTTPConnection(host, port, timeout=2)
    with suppress(OSError, http.client.HTTPException):
        try:
            connection.request("GET", "/health")
            return connection.getresponse().status == 200
        finally:
            connection.close()
    return False
