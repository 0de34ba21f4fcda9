"""Requests written byte by byte, to break off where a library would not."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode, urlsplit

import psycopg


class RawRequest:
    """A connection with the head of a request sent; close it whenever it hurts."""

    def __init__(self, base_url: str, method: str, path: str, headers: dict[str, str], **query: str) -> None:
        url = urlsplit(base_url)
        self.socket = socket.create_connection((url.hostname, url.port), timeout=30)
        target = f"{url.path}{path}?{urlencode(query)}"
        lines = [f"{method} {target} HTTP/1.1", f"Host: {url.netloc}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        self.socket.sendall("\r\n".join([*lines, "", ""]).encode())

    def send_chunk(self, data: bytes) -> None:
        """Send a chunk of a body in chunked transfer encoding; an empty one ends it."""
        self.socket.sendall(b"%x\r\n%b\r\n" % (len(data), data))

    def read_to_end(self) -> bytes:
        """All that the server sends until it closes."""
        pieces = []
        while piece := self.socket.recv(65536):
            pieces.append(piece)
        return b"".join(pieces)

    def close(self) -> None:
        """Break off."""
        self.socket.close()


def eventually(condition: Callable[[], bool], what: str, seconds: float = 15.0) -> None:
    """Wait for a condition that another process brings about; fails when it does not come."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not in time: {what}"
        time.sleep(0.02)


def active_queries(admin: psycopg.Connection[Any], role: str) -> list[str]:
    """The queries that a role is running now."""
    found = admin.execute(
        "SELECT query FROM pg_stat_activity WHERE usename = %s AND state = 'active'", (role,)
    )
    return [row[0] for row in found.fetchall()]


def sessions(admin: psycopg.Connection[Any], role: str) -> set[int]:
    """The process ids of a role's sessions."""
    found = admin.execute("SELECT pid FROM pg_stat_activity WHERE usename = %s", (role,))
    return {row[0] for row in found.fetchall()}
