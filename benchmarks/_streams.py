"""The parts of the streams benchmark."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import psycopg
import requests

from benchmarks._bench import Line, Runs, describe_machine, interleaved, median, report, run_task, say
from benchmarks._measure import Cost
from benchmarks._platform import Platform, running

PAGE = 20_000
_MS = 1000
# A page is read in a moment, and one moment is not like another on a busy machine.
_PAGES_PER_ROUND = 5
_FILL = (
    "INSERT INTO carto_like.iotile_stream_data (device, variable, timestamp, int_value)"
    " SELECT %s, %s, '2020-01-01Z'::timestamptz + n * interval '10 s', n %% 1000"
    " FROM generate_series(1, %s) n"
)
_BARE = (
    "SELECT type, timestamp, int_value, value, streamer_local_id FROM carto_like.iotile_stream_data"
    " WHERE device = %s AND variable = %s AND (timestamp, id) > (%s, %s) ORDER BY timestamp, id LIMIT %s"
)


class Stream:
    """One stream with readings, on a platform, and ways to read it."""

    def __init__(self, platform: Platform, rows: int) -> None:
        self.rows = rows
        self.platform = platform
        self.domain = f"{platform.base_url.split('/user/')[0]}/iotile"
        self.hand = psycopg.connect(platform.dsn, autocommit=True)
        self.session = requests.Session()
        given = {"email": platform.user, "password": platform.api_key}
        self.token = self._made("auth/login/", given, 200)["token"]
        self.session.headers["Authorization"] = f"token {self.token}"
        org = self._made("org/", {"name": "Farm"})["slug"]
        project = self._made("project/", {"name": "Pumps", "org": org})
        device = self._made("device/", {"project": project["id"], "label": "Pump"})["slug"]
        variable = {"name": "Flow", "project": project["slug"], "lid": 0x5001, "multiplication_factor": 2}
        self._made("variable/", variable)
        self.slug = f"s--{project['slug'][3:]}--{device[3:]}--5001"
        first = {"stream": self.slug, "timestamp": "2019-12-31T00:00:00Z", "int_value": 0}
        self._made("data/", first)
        self.key = self.hand.execute(
            "SELECT device, variable FROM carto_like.iotile_stream_data"
        ).fetchone() or (0, 0)
        self.hand.execute("SET TimeZone = 'UTC'")
        self.hand.execute(_FILL, (*self.key, rows - 1))
        self.hand.execute("VACUUM ANALYZE carto_like.iotile_stream_data")
        platform.settle()

    def _made(self, path: str, body: dict[str, Any], status: int = 201) -> dict[str, Any]:
        answer = self.session.post(f"{self.domain}/api/v1/{path}", json=body, timeout=60)
        if answer.status_code != status:
            raise RuntimeError(answer.text)
        made: dict[str, Any] = answer.json()
        return made

    @property
    def access(self) -> dict[str, str]:
        """What the clients need."""
        return {"domain": self.domain, "token": self.token, "stream": self.slug}

    def whole(self, task: str) -> Cost:
        """The stream read in a process of its own."""
        before = self.platform.cpu()
        cost = run_task(task, module="_streams_tasks", **self.access)
        after = self.platform.cpu()
        if cost["rows"] != self.rows:
            raise RuntimeError(f"{cost['rows']} readings came instead of {self.rows}")
        return {**cost, "server_cpu": after[0] - before[0], "database_cpu": after[1] - before[1]}

    def addresses(self) -> list[str]:
        """The address of each page, by cursor from the second on."""
        url = f"{self.domain}/api/v1/stream/{self.slug}/data/?page_size={PAGE}"
        found = []
        while url:
            found.append(url)
            url = self.session.get(url, timeout=60).json()["next"]
        return found

    def by_address(self, url: str) -> Cost:
        """One page, its body read and left alone."""
        started = time.perf_counter()
        size = len(self.session.get(url, timeout=60).content)
        return {"seconds": time.perf_counter() - started, "bytes": size}

    def by_number(self, number: int) -> Cost:
        """One page by its number."""
        return self.by_address(
            f"{self.domain}/api/v1/stream/{self.slug}/data/?page_size={PAGE}&page={number}"
        )

    def by_sql(self, number: int) -> Cost:
        """The rows of the same page by psycopg, from where it begins."""
        row = self.hand.execute(
            "SELECT timestamp, id FROM carto_like.iotile_stream_data ORDER BY timestamp, id"
            " LIMIT 1 OFFSET %s",
            (max(0, (number - 1) * PAGE - 1),),
        ).fetchone()
        assert row is not None, "the page is within the stream"
        started = time.perf_counter()
        rows = self.hand.execute(_BARE, (*self.key, *row, PAGE)).fetchall()
        return {"seconds": time.perf_counter() - started, "rows": len(rows)}


def clients(stream: Stream, rounds: int) -> tuple[Runs, list[Line]]:
    """The whole stream into numpy."""
    runs = interleaved(
        rounds, {"ours": partial(stream.whole, "by_client"), "by hand": partial(stream.whole, "by_hand")}
    )
    ours, theirs = median(runs, "ours"), median(runs, "by hand")
    cpu = {name: median(runs, name, "cpu") for name in runs}
    time_line = Line(
        f"{stream.rows} readings into numpy",
        f"{ours:.2f} s",
        f"requests + json {theirs:.2f} s",
        f"{ours / theirs:.2f} of its time",
    )
    cpu_line = Line(
        "the same, CPU of the client",
        f"{cpu['ours']:.2f} s",
        f"requests + json {cpu['by hand']:.2f} s",
        f"{cpu['ours'] / cpu['by hand']:.2f}",
    )
    spent = [median(runs, "ours", name) for name in ("server_cpu", "database_cpu")]
    server_line = Line(
        "the same, CPU of the server", f"{spent[0]:.2f} s", f"the database {spent[1]:.2f} s", ""
    )
    return runs, [time_line, cpu_line, server_line]


def depths(stream: Stream, rounds: int) -> tuple[Runs, list[Line]]:
    """One page at the beginning, in the middle and at the end."""
    addresses = stream.addresses()
    numbers = sorted({1, len(addresses) // 2, len(addresses) - 1} - {0})
    ways: dict[str, Callable[[], Cost]] = {}
    for number in numbers:
        ways[f"cursor {number}"] = partial(stream.by_address, addresses[number - 1])
        ways[f"page {number}"] = partial(stream.by_number, number)
        ways[f"sql {number}"] = partial(stream.by_sql, number)
    runs = interleaved(rounds * _PAGES_PER_ROUND, ways)
    lines = []
    for number in numbers:
        bare = median(runs, f"sql {number}")
        for way in ("cursor", "page"):
            told = median(runs, f"{way} {number}")
            first = median(runs, f"{way} {numbers[0]}")
            what = f"page {number} of {len(addresses)}, by {'cursor' if way == 'cursor' else 'number'}"
            lines.append(
                Line(
                    what,
                    f"{told * _MS:.0f} ms",
                    f"bare SQL {bare * _MS:.0f} ms",
                    f"{told / bare:.2f} of its time, {told / first:.2f} of the first page's",
                )
            )
    return runs, lines


def main(description: str | None) -> None:
    """Run the parts asked for and print what they cost."""
    parts = {"clients": clients, "depths": depths}
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--rows", type=int, default=1_000_000, help="readings of the stream")
    parser.add_argument("--rounds", type=int, default=3, help="how often each of them runs")
    parser.add_argument("--only", choices=parts, action="append", help="this part alone; may repeat")
    options = parser.parse_args()
    with running() as platform:
        say(f"Recording {options.rows} readings")
        stream = Stream(platform, options.rows)
        runs: dict[str, Runs] = {}
        lines: list[Line] = []
        for name in options.only or parts:
            say(name)
            runs[name], more = parts[name](stream, options.rounds)
            lines += more
        machine = describe_machine(platform.versions())
        stream.hand.close()
    report("Streams", machine, lines, {"rows": options.rows, "rounds": options.rounds, "runs": runs})
