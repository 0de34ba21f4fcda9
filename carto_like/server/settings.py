"""The settings of one server: what they are called, what they default to, what they mean.

A :class:`Settings` is made once, when the server starts, and never changes. Limits carry their help text
with them, so that the documentation and ``carto-like serve --help`` show one and the same list.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

_SQL_GROUPS = ("query", "copy_from", "copy_to", "job_create", "job_get", "job_delete")
_MAP_GROUPS = ("map_create", "map_template", "map_tile", "map_attributes", "map_static")
RATE_GROUPS = (*_SQL_GROUPS, *_MAP_GROUPS)
"""What rate limits can be set for."""

# PostgreSQL counts milliseconds, in 31 bits.
_LONGEST_SECONDS = 2_000_000
_NEEDED = {
    "connections": "without a connection no query can run",
    "job_concurrency": "--no-worker runs no jobs",
    "job_heartbeat": "a worker that gives no sign of life is taken for dead",
    "job_stalled_after": "a worker is not dead at once",
    "import_timeout": "a reader that hangs must end",
    "import_url_timeout": "a source that hangs must end",
    "import_unpacked_max_bytes": "archives can be made that never end",
    "import_unpacked_ratio": "archives can be made that never end",
    "export_processes": "they write the files",
    "cancel_grace": "a query that is asked to stop needs a moment to do so",
    "map_ttl": "a map must live long enough to be read",
    "map_threads": "they draw the pictures",
    "copy_window": "in no time no byte can arrive",
}


def _limit(default: Any, help_text: str) -> Any:
    return field(default=default, metadata={"help": help_text})


@dataclass(frozen=True)
class RateLimit:
    """``burst`` requests at once, refilled at ``count`` per ``period`` seconds."""

    burst: int
    count: int
    period: float

    def __post_init__(self) -> None:
        if self.burst < 0 or self.count < 1 or not 0 < self.period < math.inf:
            raise ValueError("a rate limit needs 1 request or more in a time of more than 0 seconds")


@dataclass(frozen=True)
class Limits:
    """Every limit of the platform. Zero means unlimited unless the help says otherwise."""

    query_timeout: float = _limit(300.0, "seconds a SQL API query may run")
    export_timeout: float = _limit(
        300.0, "seconds an export to csv, kml, shp, gpkg, spatialite, parquet or arrow may take"
    )
    export_processes: int = _limit(
        4, "processes that write kml, shp, gpkg and spatialite at once, in each worker; never unlimited"
    )
    document_max_bytes: int = _limit(64 * 2**20, "bytes of rows in one topojson or arraybuffer document")
    copy_timeout: float = _limit(18_000.0, "seconds a COPY may take, either way")
    cancel_grace: float = _limit(
        2.0, "seconds a cancelled query has left before its session is terminated; never unlimited"
    )
    copy_max_bytes: int = _limit(0, "bytes received (as sent, compressed or not) that one COPY may hold")
    copy_min_bytes: int = _limit(0, "bytes a COPY must receive in each 15 s window")
    copy_window: float = _limit(15.0, "seconds of the window of copy_min_bytes; never unlimited")
    body_max_bytes: int = _limit(16 * 2**20, "bytes of a request body other than a COPY")
    url_max_bytes: int = _limit(64 * 2**10, "bytes of a request line, longer ones answer 414")
    header_max_bytes: int = _limit(64 * 2**10, "bytes of all request headers, longer ones answer 431")
    row_max_bytes: int = _limit(0, "bytes of one result row of the SQL API")
    connections: int = _limit(
        40, "database connections that clients' SQL may hold at once, in each worker; never unlimited"
    )
    connection_wait: float = _limit(10.0, "seconds a request waits for a connection before it answers 503")
    connection_idle: float = _limit(60.0, "seconds an unused connection is kept open")
    quota_bytes: int = _limit(0, "bytes of storage of a new user")
    batch_timeout: float = _limit(43_200.0, "seconds one query of a batch job may run")
    batch_queued: int = _limit(64, "batch jobs of one account that may wait at once")
    batch_payload: int = _limit(16_384, "characters of the request that creates a batch job")
    batch_kept: float = _limit(7200.0, "seconds a finished batch job can be read")
    batch_kept_waiting: float = _limit(172_800.0, "seconds a batch job waits before it is given up")
    job_concurrency: int = _limit(
        4, "jobs that one worker runs at once, each of another account or kind; never unlimited"
    )
    job_heartbeat: float = _limit(
        5.0, "seconds between two signs of life of a worker, and looks for dead ones; never unlimited"
    )
    job_stalled_after: float = _limit(
        30.0, "seconds without a sign of life after which a worker is dead; never unlimited"
    )
    job_drain: float = _limit(5.0, "seconds running jobs may go on when their worker stops; 0 is none")
    imports_at_once: int = _limit(0, "imports of one account that may be under way at once")
    sync_least_interval: int = _limit(
        900, "seconds between two runs of a synchronization, scheduled or forced, at least"
    )
    syncs_at_once: int = _limit(3, "synchronizations of one account under way, beyond which none is forced")
    import_max_bytes: int = _limit(0, "bytes of an imported file")
    import_max_rows: int = _limit(0, "rows of an imported file")
    import_timeout: float = _limit(
        3600.0, "seconds that reading and loading a file may take; never unlimited"
    )
    import_url_timeout: float = _limit(600.0, "seconds that a download may take; never unlimited")
    import_unpacked_max_bytes: int = _limit(
        4 * 2**30, "bytes that the files of an archive may have together; never unlimited"
    )
    import_unpacked_ratio: int = _limit(
        200, "how many times its own size an archive may become; never unlimited"
    )
    import_memory_bytes: int = _limit(4 * 2**30, "bytes of memory that the process reading a file may use")
    map_templates: int = _limit(4096, "named maps of one account")
    map_ttl: float = _limit(
        7200.0, "seconds that a map which was instantiated is kept after it was last read; never unlimited"
    )
    map_timeout: float = _limit(60.0, "seconds that the SQL of one tile, or of a map's creation, may take")
    map_rows: int = _limit(
        500_000, "rows that a grid, or a picture whose style needs all at once, may be drawn from"
    )
    map_bytes: int = _limit(
        256 * 2**20,
        "bytes of one vector tile, and of the rows that a grid, or a picture whose style needs all at once, "
        "may be drawn from",
    )
    map_cache_bytes: int = _limit(64 * 2**20, "bytes of tiles that each worker keeps in memory; 0 is none")
    map_threads: int = _limit(2, "threads of each worker that draw pictures; never unlimited")
    rate_limits: Mapping[str, tuple[RateLimit, ...]] = field(
        default_factory=dict,
        metadata={"help": f"rate limits by group: {', '.join(RATE_GROUPS)}"},
    )

    def __post_init__(self) -> None:
        for limit in fields(self):
            value = getattr(self, limit.name)
            if limit.name == "rate_limits":
                continue
            if not 0 <= value < math.inf:
                raise ValueError(f"{limit.name} must be 0 or more")
            if not value and limit.name in _NEEDED:
                least = "1 or more" if isinstance(value, int) else "more than 0"
                raise ValueError(f"{limit.name} must be {least}: {_NEEDED[limit.name]}")
            if isinstance(limit.default, float) and value > _LONGEST_SECONDS:
                raise ValueError(f"{limit.name} must be {_LONGEST_SECONDS} seconds or less, or 0")
        if 2 * self.job_heartbeat > self.job_stalled_after:
            raise ValueError("job_stalled_after must be twice job_heartbeat or more")
        for group in self.rate_limits:
            if group not in RATE_GROUPS:
                raise ValueError(f"there are no rate limits for '{group}', only for {', '.join(RATE_GROUPS)}")

    @classmethod
    def table(cls) -> list[tuple[str, Any, str]]:
        """``(name, default, help)`` of each limit, in order."""
        defaults = cls()
        return [(f.name, getattr(defaults, f.name), f.metadata["help"]) for f in fields(cls)]


@dataclass(frozen=True)
class Settings:
    """What a server needs to know before it starts.

    Attributes:
        dsn: libpq connection string of the database, as the platform's own (administering) role.
        secret: the instance secret (32 bytes or more), from which every key and password is derived.
        data_dir: where the platform keeps files; None when all it has is a database.
        default_user: who answers requests without ``/user/NAME/``.
        public_url: scheme and host (and port) clients use, for the URLs in answers; None takes the
            request's own.
        timezone: IANA name of the zone that dates without one are read in, and all are shown in.
        hard_system_tables: forbid system tables to the master key, too.
        worker: whether jobs are run by the server itself, and not only by workers of their own.
        import_addresses: where imports may be fetched from: ``public`` addresses, those and this machine
            itself (``loopback``), or ``any``.
        uploads_dir: where files wait for their import, to be shared by all servers and workers; None for a
            folder in ``data_dir`` or, without one, for temporary files.
        basemaps: beginnings of the addresses that maps may take pictures from, each with a whole host and a
            slash after it.
        limits: see :class:`Limits`.
    """

    dsn: str = field(repr=False)
    secret: bytes = field(repr=False)
    data_dir: Path | None = None
    default_user: str = "me"
    public_url: str | None = None
    timezone: str = "UTC"
    hard_system_tables: bool = False
    worker: bool = True
    import_addresses: Literal["public", "loopback", "any"] = "public"
    uploads_dir: Path | None = None
    basemaps: tuple[str, ...] = ()
    limits: Limits = field(default_factory=Limits)
