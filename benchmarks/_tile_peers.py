"""What tiles over HTTP are compared with: another tile server, and a server that does nothing but send."""

from __future__ import annotations

import http.client
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import psycopg

from benchmarks._bench import ROOT
from benchmarks._peer_environment import environment
from benchmarks._platform import Platform

_START_SECONDS = 60.0
_TIPG = ("tipg==1.6.1", "uvicorn")
# Others have their turns between two requests.
_OPTIONS = ("--log-level", "warning", "--no-access-log", "--timeout-keep-alive", "600")


class Getter:
    """GETs by one connection that stays open, with as little of a client as there is."""

    def __init__(self, base_url: str) -> None:
        parts = urlsplit(base_url)
        self._connection = http.client.HTTPConnection(parts.hostname or "", parts.port)

    def __call__(self, url: str) -> bytes:
        """The body; raises RuntimeError for a refusal."""
        parts = urlsplit(url)
        self._connection.request("GET", f"{parts.path}?{parts.query}" if parts.query else parts.path)
        answer = self._connection.getresponse()
        body = answer.read()
        if answer.status >= 300:
            raise RuntimeError(f"{answer.status}: {body[:300]!r}")
        return body

    def close(self) -> None:
        """Hang up."""
        self._connection.close()


@contextmanager
def tipg(platform: Platform) -> Iterator[str]:
    """The address of a tipg that serves the tables of the platform's user; it knows those that exist now.

    Its tiles have our buffer, and as many features as ours.

    Raises:
        RuntimeError: it cannot be installed.
    """
    python = environment("tipg", _TIPG)
    given = psycopg.conninfo.conninfo_to_dict(platform.dsn)
    host = quote(str(given["host"]), safe="")
    own = {
        "DATABASE_URL": f"postgresql://{given['user']}@{host}/{given['dbname']}",
        "TIPG_DB_SCHEMAS": json.dumps([platform.user]),
        "TIPG_TILE_BUFFER": "1024",
        "TIPG_MAX_FEATURES_PER_TILE": str(10**9),
    }
    with _serving(python, "tipg.main:app", {**os.environ, **own}, platform.folder) as address:
        yield address


@contextmanager
def sender() -> Iterator[str]:
    """The address of :func:`send` under uvicorn as users start it."""
    with _serving(Path(sys.executable), "benchmarks._tile_peers:send", os.environ, ROOT) as address:
        yield address


_BODIES: dict[str, bytes] = {}


async def send(scope: Any, _: Any, send: Any) -> None:
    """An ASGI application whose answer to ``/N`` is N bytes."""
    if scope["type"] != "http":
        return
    size = scope["path"][1:]
    body = _BODIES.setdefault(size, bytes(int(size)))
    headers = [(b"content-length", size.encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


@contextmanager
def _serving(python: Path, application: str, env: Mapping[str, str], folder: Path) -> Iterator[str]:
    port = _free_port()
    command: Sequence[str] = [str(python), "-m", "uvicorn", application, "--port", str(port), *_OPTIONS]
    process = subprocess.Popen(command, env=dict(env), cwd=folder)
    try:
        _wait_for(process, port)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(_START_SECONDS)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


def _wait_for(process: subprocess.Popen[bytes], port: int) -> None:
    end = time.monotonic() + _START_SECONDS
    while time.monotonic() < end and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise RuntimeError(f"{process.args!r} did not start")
