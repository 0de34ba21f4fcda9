"""What operators watch: counts and times by endpoint, in Prometheus' text format."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

from .processes import is_alive

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_FOLDER = "PROMETHEUS_MULTIPROC_DIR"
# What a process has now, unlike what it has done, is gone with it.
_LIVE = re.compile(r"gauge_live\w+_(\d+)\.db")
_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)


class Metrics:
    """The metrics of one server process; with several workers, :meth:`render` answers for all of them.

    Args:
        open_connections: tells how many database connections clients' SQL holds now.
    """

    def __init__(self, open_connections: Callable[[], int]) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "carto_like_requests",
            "Requests answered.",
            ["endpoint", "method", "status"],
            registry=self._registry,
        )
        self._seconds = Histogram(
            "carto_like_request_seconds",
            "Seconds from the first byte of a request's head to the last of its answer.",
            ["endpoint"],
            buckets=_BUCKETS,
            registry=self._registry,
        )
        self._bytes = Counter(
            "carto_like_response_bytes", "Bytes of answers' bodies.", ["endpoint"], registry=self._registry
        )
        self._connections = Gauge(
            "carto_like_database_connections",
            "Database connections open for clients' SQL.",
            registry=self._registry,
            multiprocess_mode="livesum",
        )
        self._open_connections = open_connections

    def observe(self, endpoint: str, method: str, status: int, seconds: float, sent: int) -> None:
        """Count one answered request."""
        self._requests.labels(endpoint, method, str(status)).inc()
        self._seconds.labels(endpoint).observe(seconds)
        if sent:
            self._bytes.labels(endpoint).inc(sent)
        self._connections.set(self._open_connections())

    def render(self) -> bytes:
        """All metrics as Prometheus reads them."""
        self._connections.set(self._open_connections())
        if _FOLDER not in os.environ:
            return generate_latest(self._registry)
        _forget_the_dead(Path(os.environ[_FOLDER]))
        everybody = CollectorRegistry()
        MultiProcessCollector(everybody)  # type: ignore[no-untyped-call]
        return generate_latest(everybody)


def _forget_the_dead(folder: Path) -> None:
    """Remove what workers left that did not end by themselves; the next one has another number."""
    for file in folder.iterdir():
        match = _LIVE.fullmatch(file.name)
        if match and not is_alive(int(match[1])):
            # Another worker may be asked at the same moment.
            with suppress(FileNotFoundError):
                file.unlink()
