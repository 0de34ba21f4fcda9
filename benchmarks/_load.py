"""Many clients asking at once: over HTTP with as little of a client as possible, and with psycopg."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import quote, urlsplit

Answers = list[float]
"""Seconds that each answer took."""


def summary(answers: Sequence[float], seconds: float) -> dict[str, Any]:
    """Answers per second and percentiles in milliseconds."""
    ordered = sorted(answers)
    return {
        "requests": len(ordered),
        "per_second": len(ordered) / seconds,
        "p50_ms": 1000 * ordered[len(ordered) // 2],
        "p99_ms": 1000 * ordered[min(len(ordered) - 1, len(ordered) * 99 // 100)],
    }


def over_http(base_url: str, api_key: str, query: str, clients: int, seconds: float) -> dict[str, Any]:
    """GET one query again and again, each client on a connection of its own that stays open."""
    return address(f"{base_url}api/v2/sql?q={quote(query)}&api_key={quote(api_key)}", clients, seconds)


def address(url: str, clients: int, seconds: float) -> dict[str, Any]:
    """GET one address again and again, as :func:`over_http` does."""
    parts = urlsplit(url)
    target = f"{parts.path}?{parts.query}" if parts.query else parts.path
    request = f"GET {target} HTTP/1.1\r\nHost: {parts.netloc}\r\n\r\n".encode("ascii")
    return asyncio.run(_over_http(parts.hostname or "", parts.port or 80, request, clients, seconds))


async def _over_http(host: str, port: int, request: bytes, clients: int, seconds: float) -> dict[str, Any]:
    async def client(stop_at: float) -> Answers:
        reader, writer = await asyncio.open_connection(host, port)
        answers: Answers = []
        started = time.perf_counter()
        while started < stop_at:
            writer.write(request)
            await _read_answer(reader)
            now = time.perf_counter()
            answers.append(now - started)
            started = now
        writer.close()
        return answers

    await asyncio.gather(*(client(time.perf_counter() + 0.3) for _ in range(clients)))
    begun = time.perf_counter()
    answers = await asyncio.gather(*(client(begun + seconds) for _ in range(clients)))
    return summary([second for each in answers for second in each], time.perf_counter() - begun)


async def _read_answer(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 200"):
        raise RuntimeError(head.decode("latin-1"))
    lowered = head.lower()
    if b"transfer-encoding: chunked" in lowered:
        return await _read_chunks(reader)
    start = lowered.index(b"content-length:") + 15
    return await reader.readexactly(int(lowered[start : lowered.index(b"\r", start)]))


async def _read_chunks(reader: asyncio.StreamReader) -> bytes:
    body = b""
    while size := int(await reader.readline(), 16):
        body += (await reader.readexactly(size + 2))[:-2]
    await reader.readexactly(2)
    return body


def with_psycopg(dsn: str, query: str, clients: int, seconds: float) -> dict[str, Any]:
    """Take a pooled connection, run one query, fetch, encode; each client in a thread of its own."""
    import orjson
    from psycopg.rows import dict_row
    from psycopg_pool import ConnectionPool

    with ConnectionPool(dsn, min_size=clients, kwargs={"autocommit": True}) as pool:
        pool.wait()

        def once() -> bytes:
            with pool.connection() as connection, connection.cursor(row_factory=dict_row) as cursor:
                rows = cursor.execute(query).fetchall()
                return orjson.dumps({"rows": rows, "total_rows": cursor.rowcount})

        _in_threads(once, clients, 0.3)
        begun = time.perf_counter()
        answers = _in_threads(once, clients, seconds)
        return summary(answers, time.perf_counter() - begun)


def _in_threads(once: Callable[[], object], clients: int, seconds: float) -> Answers:
    answers: Answers = []

    def client() -> None:
        own: Answers = []
        started = time.perf_counter()
        stop_at = started + seconds
        while started < stop_at:
            once()
            now = time.perf_counter()
            own.append(now - started)
            started = now
        answers.extend(own)

    threads = [threading.Thread(target=client) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers
