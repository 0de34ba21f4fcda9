"""The transfers that the copy benchmark compares, each with what it needs before and what it cost after."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

from benchmarks import _points
from benchmarks._bench import Line, Runs, run_task, say
from benchmarks._measure import Cost
from benchmarks._platform import Platform

MB = 1e6
FROM = f"COPY {{}} ({_points.COLUMNS}) FROM STDIN WITH (FORMAT csv)"
TO = f"COPY {{}} ({_points.COLUMNS}) TO STDOUT WITH (FORMAT csv)"
_BARE = "the_geom geometry(Geometry,4326), " + _points.DEFINITION


class Contest:
    """One platform, one file of rows, and the transfers to compare."""

    def __init__(self, platform: Platform, options: argparse.Namespace) -> None:
        self.platform = platform
        self.rows: int = options.rows
        self.rounds: int = options.rounds
        self.memory_bytes: int = options.memory_bytes
        self.peer_python: str | None = options.peer_python
        self.csv = str(platform.folder / "points.csv")
        self.out = str(platform.folder / "out.csv")
        say(f"Writing {self.rows} rows")
        self.size = _points.write(platform.folder / "points.csv", self.rows)
        self.lines: list[Line] = []
        self.runs: dict[str, Runs] = {}

    def table(self, name: str) -> str:
        """A user's table as libpq must call it."""
        return f'"{self.platform.user}".{name}'

    def observed(self, task: str, **keywords: Any) -> Cost:
        """Run a task, and note what the server and the database spent on it."""
        self.platform.settle()
        held, before = self.platform.reset_peak(), self.platform.cpu()
        cost = run_task(task, **keywords)
        after = self.platform.cpu()
        spent = {"server_cpu": after[0] - before[0], "database_cpu": after[1] - before[1]}
        return {**cost, **spent, "server_before": held, "server_peak": self.platform.peak()}

    def empty(self, name: str) -> None:
        """Make sure that a plain table is there and empty."""
        self.platform.sql(f"CREATE TABLE IF NOT EXISTS {name} ({_BARE}); TRUNCATE {name}")

    def dataset(self, name: str) -> None:
        """A fresh, empty dataset."""
        self.platform.sql(f"DROP TABLE IF EXISTS {name}")
        self.platform.sql(f"CREATE TABLE {name} ({_BARE})")
        self.platform.sql(f"SELECT CDB_CartodbfyTable('{name}')")

    def ours(self, name: str, **options: Any) -> Cost:
        """The file up into a table, through the platform."""
        cost = self.observed("up", **self.platform.access, query=FROM.format(name), path=self.csv, **options)
        return self.checked(cost)

    def libpq(self, name: str) -> Cost:
        """The file up into a table, by libpq."""
        query = FROM.format(self.table(name))
        return self.checked(self.observed("libpq_up", dsn=self.platform.dsn, query=query, path=self.csv))

    def checked(self, cost: Cost) -> Cost:
        """The same cost, when all rows arrived: a transfer that loses some is not to be compared."""
        if cost.get("rows", self.rows) != self.rows:
            raise RuntimeError(f"{cost['rows']} rows arrived instead of {self.rows}")
        return cost

    def after(self, prepare: Callable[[], object], transfer: Callable[[], Cost]) -> Callable[[], Cost]:
        """A transfer that finds things as `prepare` leaves them."""

        def run() -> Cost:
            prepare()
            return transfer()

        return run

    def rate(self, seconds: float) -> str:
        """A time, and the speed that it means."""
        return f"{seconds:.2f} s ({self.size / seconds / MB:.0f} MB/s)"
