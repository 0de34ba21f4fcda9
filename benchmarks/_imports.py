"""Imports of a large file and of a small one, and loads of the same files as one would write them by hand."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import psycopg
import requests

from benchmarks import _libpq
from benchmarks._bench import Line, Runs, describe_machine, fastest, interleaved, median, report, say
from benchmarks._measure import Cost
from benchmarks._platform import Platform, running
from carto_like.auth import APIKeyAuthClient
from carto_like.file_import import FileImportJob

_SMALL_ROWS, _SMALL_ROUNDS = 100, 15
SCHEMA = "handwritten"
_COLUMNS = (
    "lat double precision, lon double precision, name text, address text, amount double precision, day date"
)
_NAMES = "lat, lon, name, address, amount, day"
_POINT = "ST_SetSRID(ST_MakePoint(lon, lat), 4326)"
INDEXES = (
    "ALTER TABLE bulk ADD PRIMARY KEY (cartodb_id)",
    "CREATE INDEX ON bulk USING gist (the_geom)",
    "CREATE INDEX ON bulk USING gist (the_geom_webmercator)",
)
Way = Callable[[psycopg.Connection, str], None]


def _row(number: int) -> str:
    # Steps coprime to the range: no order that an index could profit from, and no random generator.
    longitude = number * 222_492_239 % 360_000_000 - 180_000_000
    latitude = number * 105_066_887 % 170_000_000 - 85_000_000
    amount = number * 7_919 % 100_000
    return (
        f"{latitude / 1e6:.6f},{longitude / 1e6:.6f},tree {number},"
        f'"{number % 977} Long Street, Quarter {number % 31}",{amount / 100},2024-{number % 12 + 1:02}-15\n'
    )


def write(path: Path, *, rows: int = 0, size: int = 0) -> tuple[int, int]:
    """Write a file of so many rows, or of at least so many bytes; answers rows and bytes."""
    count, written = 0, 0
    with path.open("w", encoding="ascii") as file:
        written += file.write(_NAMES.replace(" ", "") + "\n")
        while count < rows or written < size:
            block = [_row(number) for number in range(count, count + min(20_000, rows or 20_000))]
            written += file.write("".join(block))
            count += len(block)
    return count, written


def _copy(connection: psycopg.Connection, table: str, path: str) -> None:
    _libpq.copy_in(connection, f"COPY {table} ({_NAMES}) FROM STDIN WITH (FORMAT csv, HEADER true)", path)


def generated(connection: psycopg.Connection, path: str) -> None:
    """Both geometries are generated columns; key and indexes follow the rows."""
    connection.execute(
        "CREATE TABLE bulk (cartodb_id serial NOT NULL,"
        f" the_geom geometry(Geometry,4326) GENERATED ALWAYS AS ({_POINT}) STORED,"
        " the_geom_webmercator geometry(Geometry,3857)"
        f" GENERATED ALWAYS AS (ST_Transform({_POINT}, 3857)) STORED, {_COLUMNS})"
    )
    _copy(connection, "bulk", path)
    for statement in INDEXES:
        connection.execute(statement.encode())


def staged(connection: psycopg.Connection, path: str) -> None:
    """The rows come into a bare table; the final one is made from it by one query."""
    connection.execute(f"CREATE TEMPORARY TABLE staging ({_COLUMNS}) ON COMMIT DROP".encode())
    _copy(connection, "staging", path)
    connection.execute(
        f"CREATE TABLE bulk AS SELECT (row_number() OVER ())::int AS cartodb_id, g AS the_geom,"
        f" ST_Transform(g, 3857)::geometry(Geometry,3857) AS the_geom_webmercator, {_NAMES}"
        f" FROM (SELECT *, {_POINT}::geometry(Geometry,4326) AS g FROM staging OFFSET 0) s".encode()
    )
    for statement in INDEXES:
        connection.execute(statement.encode())


def updated(connection: psycopg.Connection, path: str) -> None:
    """As many people write it: COPY, then columns, then their values."""
    connection.execute(f"CREATE TABLE bulk ({_COLUMNS})".encode())
    _copy(connection, "bulk", path)
    connection.execute(
        "ALTER TABLE bulk ADD COLUMN cartodb_id serial NOT NULL, ADD COLUMN the_geom geometry(Geometry,4326),"
        " ADD COLUMN the_geom_webmercator geometry(Geometry,3857)"
    )
    connection.execute(
        f"UPDATE bulk SET the_geom = {_POINT}, the_geom_webmercator = ST_Transform({_POINT}, 3857)".encode()
    )
    for statement in INDEXES:
        connection.execute(statement.encode())


WAYS: dict[str, Way] = {"generated columns": generated, "staging table": staged, "update": updated}


class Contest:
    """One platform, and the same file loaded by it and by hand."""

    def __init__(self, platform: Platform) -> None:
        self.platform = platform
        self.client = APIKeyAuthClient(platform.base_url, platform.api_key)
        self.hand = psycopg.connect(platform.dsn, autocommit=True)
        self.hand.execute(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}".encode())
        self.hand.execute(f"SET search_path = {SCHEMA}, public".encode())

    def by_hand(self, way: Way, path: Path) -> Callable[[], Cost]:
        """The file into a new table, in one transaction."""

        def run() -> Cost:
            self.hand.execute("DROP TABLE IF EXISTS bulk")
            self.platform.settle()
            started = time.perf_counter()
            with self.hand.transaction():
                way(self.hand, str(path))
            return {"seconds": time.perf_counter() - started}

        return run

    def by_import(self, path: Path) -> Callable[[], Cost]:
        """The file through the Import API, from the request to the state ``complete``."""

        def run() -> Cost:
            self.platform.sql(f"DROP TABLE IF EXISTS {path.stem}")
            self.platform.settle()
            held = self.platform.reset_peak()
            started = time.perf_counter()
            job = FileImportJob(path, self.client)
            job.run()
            while job.state not in ("complete", "failure"):
                job.refresh()
                # Often enough to miss little, seldom enough to leave the processors to those at work.
                time.sleep(min(0.5, 0.002 + (time.perf_counter() - started) / 50))
            seconds = time.perf_counter() - started
            if job.state == "failure":
                raise RuntimeError(str(job.get_error_text))
            return {"seconds": seconds, "server_grew": self.platform.peak() - held}

        return run


def compare(contest: Contest, what: str, path: Path, rounds: int, target: float) -> tuple[Runs, Line]:
    """Let import and hand-written loads take turns."""
    runs = interleaved(
        rounds,
        {
            "import": contest.by_import(path),
            **{name: contest.by_hand(way, path) for name, way in WAYS.items()},
        },
    )
    best = fastest(runs, list(WAYS))
    ours, theirs = median(runs, "import"), median(runs, best)
    line = Line(what, f"{ours:.3f} s", f"{theirs:.3f} s ({best})", f"{ours / theirs:.2f}", f"under {target}")
    return runs, line


def main(description: str | None) -> None:
    """Load all files in all ways and print what that took."""
    # It needs what is in here.
    from benchmarks import _formats

    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--megabytes", type=int, default=500, help="size of the large CSV file; 0 for none")
    parser.add_argument("--rows", type=int, default=1_000_000, help="rows of the other formats; 0 for none")
    parser.add_argument("--rounds", type=int, default=3, help="how often each large file is loaded")
    options = parser.parse_args()
    runs: dict[str, Runs] = {}
    lines: list[Line] = []
    with running() as platform:
        requests.get(f"{platform.base_url}health", timeout=10)
        contest = Contest(platform)
        if options.megabytes:
            _compare_text(contest, options, runs, lines)
        if options.rows and _formats.is_possible():
            more, further = _formats.compare(contest, options.rows, options.rounds)
            runs, lines = {**runs, **more}, lines + further
        contest.hand.close()
        machine = describe_machine(platform.versions())
    report("Imports", machine, lines, {"runs": runs})


def _compare_text(
    contest: Contest, options: argparse.Namespace, runs: dict[str, Runs], lines: list[Line]
) -> None:
    large, small = contest.platform.folder / "large.csv", contest.platform.folder / "small.csv"
    say(f"Writing {options.megabytes} MB")
    rows, size = write(large, size=options.megabytes * 1_000_000)
    write(small, rows=_SMALL_ROWS)
    runs["small"], line = compare(contest, f"{_SMALL_ROWS} rows", small, _SMALL_ROUNDS, 5)
    lines.append(line)
    title = f"{rows} rows, {size / 1e6:.0f} MB"
    runs["large"], line = compare(contest, title, large, options.rounds, 1.5)
    lines.append(line)
