"""The parts of the SQL benchmark."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial
from typing import Any

from benchmarks._bench import Line, Runs, describe_machine, interleaved, median, report, run_task, say
from benchmarks._measure import Cost
from benchmarks._platform import Platform, running

CLIENTS = (1, 8, 32)
FORMATS = ("json", "geojson", "csv")
_MB = 1e6
_QUERY = "select 1 as one"
_COLUMNS = "cartodb_id, name, amount, kind, seen_at, the_geom"
_TABLE = (
    "CREATE TABLE observations (name text, amount double precision, kind integer, seen_at timestamptz,"
    " the_geom geometry(Geometry,4326))",
    "SELECT CDB_CartodbfyTable('observations')",
    "INSERT INTO observations (name, amount, kind, seen_at, the_geom)"
    " SELECT 'point ' || n, n * 7919 % 100000 / 100.0, n % 17,"
    " '2024-01-01Z'::timestamptz + n * interval '1 s',"
    " ST_SetSRID(ST_MakePoint(n * 222492239::bigint % 360000000 / 1e6 - 180,"
    " n * 105066887::bigint % 170000000 / 1e6 - 85), 4326) FROM generate_series(1, {rows}) n",
)


class Asking:
    """One platform, and how it and psycopg are asked."""

    def __init__(self, platform: Platform, options: argparse.Namespace) -> None:
        self.platform = platform
        self.rows: int = options.rows
        self.rounds: int = options.rounds
        self.duration: float = options.duration
        self.lines: list[Line] = []
        self.runs: dict[str, Runs] = {}

    def observed(self, task: str, **keywords: Any) -> Cost:
        """Run a task, and note what the server and the database spent on it."""
        held, before = self.platform.reset_peak(), self.platform.cpu()
        cost = run_task(task, module="_sql_tasks", **keywords)
        after = self.platform.cpu()
        spent = {"server_cpu": after[0] - before[0], "database_cpu": after[1] - before[1]}
        return {**cost, **spent, "server_before": held, "server_peak": self.platform.peak()}


def requests(asking: Asking) -> None:
    """A query that costs nothing, so that what surrounds it shows."""
    platform = asking.platform
    for clients in CLIENTS:
        load = {"query": _QUERY, "clients": clients, "duration": asking.duration}
        contestants: dict[str, Callable[[], Cost]] = {
            "ours": partial(asking.observed, "ask_http", **platform.access, **load),
            "psycopg": partial(asking.observed, "ask_psycopg", dsn=platform.dsn, **load),
        }
        what = f"{_QUERY[:8]}, {clients} client" + ("s" if clients > 1 else "")
        runs = asking.runs[what] = interleaved(asking.rounds, contestants)
        ours, theirs = median(runs, "ours", "per_second"), median(runs, "psycopg", "per_second")
        asking.lines.append(
            Line(
                what,
                _load_text(runs, "ours"),
                "psycopg " + _load_text(runs, "psycopg"),
                f"{ours / theirs:.2f}",
            )
        )


def _load_text(runs: Runs, name: str) -> str:
    figures = (median(runs, name, key) for key in ("per_second", "p50_ms", "p99_ms"))
    return "{:.0f}/s, p50 {:.2f} ms, p99 {:.2f} ms".format(*figures)


def rows(asking: Asking) -> None:
    """Many rows with geometry in each format."""
    platform = asking.platform
    for statement in _TABLE:
        platform.sql(statement.format(rows=asking.rows))
    table = f'"{platform.user}".observations'
    platform.admin(f"VACUUM ANALYZE {table}")
    platform.settle()
    query = f"SELECT {_COLUMNS} FROM observations"
    for form in FORMATS:
        say(form)
        ask = {**platform.access, "query": query, "form": form}
        contestants: dict[str, Callable[[], Cost]] = {
            "ours, raw": partial(asking.observed, "rows_http", **ask),
            "ours, SDK": partial(asking.observed, "rows_sdk", **ask),
            "psycopg": partial(asking.observed, "rows_psycopg", dsn=platform.dsn, table=table, form=form),
        }
        runs = asking.runs[form] = interleaved(asking.rounds, contestants)
        theirs = median(runs, "psycopg")
        for name in ("ours, raw", "ours, SDK"):
            _compare(asking, runs, form, name, theirs)


def _compare(asking: Asking, runs: Runs, form: str, name: str, theirs: float) -> None:
    mine = median(runs, name)
    size = "bytes" in runs[name][0] and f", {median(runs, name, 'bytes') / _MB:.0f} MB"
    target = "1.0 or more" if (form, name) == ("json", "ours, raw") else ""
    asking.lines.append(
        Line(
            f"{asking.rows} rows, {form}, {name.removeprefix('ours, ')}",
            f"{mine:.3f} s{size or ''}",
            f"psycopg {theirs:.3f} s",
            f"{theirs / mine:.2f} of its speed",
            target,
        )
    )


def main(description: str | None) -> None:
    """Run the parts asked for and print what they cost."""
    parts = {"requests": requests, "rows": rows}
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--rows", type=int, default=100_000, help="rows of the large answer")
    parser.add_argument("--rounds", type=int, default=5, help="how often each of them runs")
    parser.add_argument("--duration", type=float, default=3.0, help="seconds of each run of short queries")
    parser.add_argument("--only", choices=parts, action="append", help="this part alone; may repeat")
    options = parser.parse_args()
    with running() as platform:
        asking = Asking(platform, options)
        for part in options.only or parts:
            say(part)
            parts[part](asking)
        machine = describe_machine(platform.versions())
    data = {"rows": asking.rows, "rounds": asking.rounds, "runs": asking.runs}
    report("SQL API", machine, asking.lines, data)
