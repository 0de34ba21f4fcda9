"""Limits of a request's head and body, on raw sockets: what no HTTP client library would send."""

from __future__ import annotations

import resource
import socket
from collections.abc import Iterator

import pytest

from tests.conftest import MakeServer
from tests.support.server import RunningServer

HOST = b"Host: localhost\r\n"


@pytest.fixture
def small_server(make_server: MakeServer) -> RunningServer:
    return make_server(url_max_bytes=2000, header_max_bytes=1000, body_max_bytes=100)


def exchange(server: RunningServer, parts: Iterator[bytes] | list[bytes]) -> bytes:
    """Send parts for as long as the server takes them, then read its answer to the end."""
    host, port = server.base_url.split("/")[2].split(":")
    answer = b""
    with socket.create_connection((host, int(port)), timeout=30) as connection:
        for part in parts:
            connection.sendall(part)
        while piece := connection.recv(65536):
            answer += piece
    return answer


def status_of(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])


def test_a_request_line_of_100_mb_is_refused_and_not_kept(platform_server: RunningServer) -> None:
    def parts() -> Iterator[bytes]:
        yield b"GET /api/v2/sql?q="
        for _ in range(100):
            yield b"x" * 2**20
        yield b" HTTP/1.1\r\n" + HOST + b"\r\n"

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    answer = exchange(platform_server, parts())
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert status_of(answer) == 414
    assert b"over 65536 bytes" in answer
    assert grown < 30 * 1024


def test_endless_headers_are_refused_and_not_kept(platform_server: RunningServer) -> None:
    def parts() -> Iterator[bytes]:
        yield b"GET /health HTTP/1.1\r\n" + HOST
        for number in range(20_000):
            yield b"X-%d: %s\r\n" % (number, b"x" * 1000)

    assert status_of(exchange(platform_server, parts())) == 431


def test_a_single_endless_header_is_refused(platform_server: RunningServer) -> None:
    parts = [b"GET /health HTTP/1.1\r\nX: ", *[b"x" * 2**20] * 20]
    assert status_of(exchange(platform_server, parts)) == 431


@pytest.mark.parametrize(
    ("url", "header", "status"), [(1000, 100, 404), (1999, 100, 404), (2001, 100, 414), (100, 1100, 431)]
)
def test_limits_are_exact_enough(small_server: RunningServer, url: int, header: int, status: int) -> None:
    line = b"GET /" + b"u" * (url - 1) + b" HTTP/1.1\r\n"
    answer = exchange(small_server, [line + HOST + b"X: " + b"h" * header + b"\r\nConnection: close\r\n\r\n"])
    assert status_of(answer) == status


def test_limits_hold_for_each_request_of_a_connection(small_server: RunningServer) -> None:
    good = b"GET /" + b"u" * 1000 + b" HTTP/1.1\r\n" + HOST + b"\r\n"
    bad = b"GET /" + b"u" * 2500 + b" HTTP/1.1\r\n" + HOST + b"\r\n"
    last = good.replace(HOST, HOST + b"Connection: close\r\n")
    assert exchange(small_server, [good * 4 + last]).count(b"HTTP/1.1 404") == 5
    answer = exchange(small_server, [good, bad, good])
    assert answer.count(b"HTTP/1.1 404") == 1
    assert answer.count(b"HTTP/1.1 414") == 1


def test_a_head_that_takes_too_long_is_not_waited_for(
    small_server: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("carto_like.server.http.HEAD_SECONDS", 0.3)
    request = b"GET /health HTTP/1.1\r\n" + HOST + b"\r\n"
    for start in (b"", b"GET /health HTTP/1.1\r\nX: ", request + b"GET"):
        answer = exchange(small_server, [start] if start else [])
        assert answer.count(b"HTTP/1.1 200") == start.count(request)


def test_what_is_no_http_is_a_bad_request(small_server: RunningServer) -> None:
    assert status_of(exchange(small_server, [b"hello\r\n\r\n"])) == 400


def test_a_declared_body_past_the_limit_is_refused_unread(small_server: RunningServer) -> None:
    head = b"POST /api/v2/sql HTTP/1.1\r\n" + HOST + b"Content-Length: 101\r\nConnection: close\r\n\r\n"
    answer = exchange(small_server, [head, b"x" * 101])
    assert status_of(answer) == 413
    assert b"larger than the 100 bytes" in answer
