"""The parts of the copy benchmark."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial
from typing import Any

from benchmarks import _bulkload, _points
from benchmarks._bench import Line, Runs, describe_machine, fastest, interleaved, median, report, say
from benchmarks._contest import FROM, MB, TO, Contest
from benchmarks._measure import Cost
from benchmarks._peer_environment import peer_python
from benchmarks._platform import running


def plain(contest: Contest) -> None:
    """Up into and down from a table without indexes or triggers."""
    platform, out = contest.platform, contest.out

    def fresh() -> None:
        contest.empty("plain")

    name = contest.table("plain")
    copy = rf"\copy {name} ({_points.COLUMNS}) from '{contest.csv}' with (format csv)"
    runs = contest.runs["plain up"] = interleaved(
        contest.rounds,
        {
            "ours": contest.after(fresh, lambda: contest.ours("plain")),
            "libpq": contest.after(fresh, lambda: contest.libpq("plain")),
            "psql": contest.after(
                fresh,
                lambda: contest.observed("psql", program=platform.psql, dsn=platform.dsn, command=copy),
            ),
        },
    )
    _speed(contest, "up into a plain table", runs, "0.95 or more")
    # Rows that were just written cost their first reader extra.
    platform.admin(f"VACUUM ANALYZE {name}")
    copy = rf"\copy {name} ({_points.COLUMNS}) to '{out}' with (format csv)"
    query = TO.format(name)
    runs = contest.runs["plain down"] = interleaved(
        contest.rounds,
        {
            "ours": lambda: contest.observed("down", **platform.access, query=TO.format("plain"), path=out),
            "libpq": lambda: contest.observed("libpq_down", dsn=platform.dsn, query=query, path=out),
            "psql": lambda: contest.observed("psql", program=platform.psql, dsn=platform.dsn, command=copy),
        },
    )
    _speed(contest, "down from a plain table", runs, "0.9 or more")


def _speed(contest: Contest, what: str, runs: Runs, target: str) -> None:
    best = fastest(runs, ("libpq", "psql"))
    ours, theirs = median(runs, "ours"), median(runs, best)
    peer = f"{best} {contest.rate(theirs)}"
    contest.lines.append(Line(what, contest.rate(ours), peer, f"{theirs / ours:.2f} of its speed", target))


def dataset(contest: Contest) -> None:
    """Up into an empty dataset, against the best hand-written load of what it is in the end."""
    platform = contest.platform

    def by_hand(way: str) -> Callable[[], Cost]:
        def run() -> Cost:
            platform.admin(*_bulkload.PREPARE)
            return contest.checked(contest.observed("bulk_load", dsn=platform.dsn, way=way, path=contest.csv))

        return run

    say("Which hand-written load is the best?")
    heats = contest.runs["hand-written loads"] = interleaved(1, {way: by_hand(way) for way in _bulkload.WAYS})
    best = fastest(heats, list(_bulkload.WAYS))
    runs = contest.runs["empty dataset"] = interleaved(
        contest.rounds,
        {
            "ours": contest.after(lambda: contest.dataset("points"), lambda: contest.ours("points")),
            "by hand": by_hand(best),
        },
    )
    platform.admin(*_bulkload.PREPARE)
    ours, theirs = median(runs, "ours"), median(runs, "by hand")
    contest.lines.append(
        Line(
            "up into an empty dataset",
            contest.rate(ours),
            f"by hand, {best}: {contest.rate(theirs)}",
            f"{ours / theirs:.2f} of its time",
            "1.3 or less",
        )
    )


def full(contest: Contest) -> None:
    """Up into a dataset that holds as many rows already, against libpq into the same table."""

    def filled() -> None:
        contest.dataset("points")
        contest.ours("points")

    runs = contest.runs["full dataset"] = interleaved(
        contest.rounds,
        {
            "ours": contest.after(filled, lambda: contest.ours("points")),
            "libpq": contest.after(filled, lambda: contest.libpq("points")),
        },
    )
    ours, theirs = median(runs, "ours"), median(runs, "libpq")
    contest.lines.append(
        Line(
            f"up into a dataset of {contest.rows} rows",
            contest.rate(ours),
            f"libpq {contest.rate(theirs)}",
            f"{ours / theirs:.2f} of its time",
        )
    )


def cpu(contest: Contest) -> None:
    """What the client's process spends, against the original client at its defaults."""
    python = peer_python(contest.peer_python)

    def fresh() -> None:
        contest.empty("plain")

    def theirs() -> Cost:
        return contest.checked(
            contest.observed(
                "up",
                python=python,
                module="_carto_peer",
                **contest.platform.access,
                query=FROM.format("plain"),
                path=contest.csv,
            )
        )

    ways: dict[str, dict[str, Any]] = {
        "ours, defaults": {},
        "ours, gzip, [fast]": {"compress": "always"},
        "ours, gzip, without [fast]": {"compress": "always", "fast": False},
    }
    contestants = {
        name: contest.after(fresh, partial(contest.ours, "plain", **options))
        for name, options in ways.items()
    }
    runs = contest.runs["client CPU"] = interleaved(
        contest.rounds, {"carto": contest.after(fresh, theirs), **contestants}
    )
    peer = median(runs, "carto", "cpu")
    for name in ways:
        mine = median(runs, name, "cpu")
        target = "0.4 or less" if "without" not in name else ""
        what = f"client CPU, up: {name}"
        contest.lines.append(Line(what, f"{mine:.2f} s", f"carto {peer:.2f} s", f"{mine / peer:.2f}", target))


def memory(contest: Contest) -> None:
    """By how much client and server grow while a stream passes that fits in neither."""
    access, size = contest.platform.access, contest.memory_bytes
    contest.empty("plain")
    query = FROM.format("plain")
    generated = (
        "COPY (SELECT 'SRID=4326;POINT(-95.015522 -44.866226)', 'p' || n, n"
        f" FROM generate_series(1, {size // 57}) n) TO STDOUT WITH (FORMAT csv)"
    )
    streams: dict[str, Callable[[], Cost]] = {
        "up": lambda: contest.observed("stream_up", **access, query=query, size=size),
        "up, gzip": lambda: contest.observed(
            "stream_up", **access, query=query, size=size, compress="always"
        ),
        "down": lambda: contest.observed("stream_down", **access, query=generated),
    }
    runs = contest.runs["memory"] = {}
    for name, stream in streams.items():
        cost = stream()
        runs[name] = [cost]
        contest.empty("plain")
        client = (cost["memory_peak"] - cost["memory_before"]) / MB
        server = (cost["server_peak"] - cost["server_before"]) / MB
        say(f"  {name}: {cost['bytes'] / 1e9:.2f} GB in {cost['seconds']:.0f} s")
        contest.lines.append(
            Line(
                f"memory, {cost['bytes'] / 1e9:.1f} GB {name}",
                f"client +{client:.0f} MB (peak {cost['memory_peak'] / MB:.0f}), "
                f"server +{server:.0f} MB (peak {cost['server_peak'] / MB:.0f})",
                "",
                "",
                "less than +60 MB",
            )
        )


def main(description: str | None) -> None:
    """Run the parts asked for and print what they cost."""
    parts = {"plain": plain, "dataset": dataset, "full": full, "cpu": cpu, "memory": memory}
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--rows", type=int, default=2_000_000, help="point rows; about 53 bytes each")
    parser.add_argument("--rounds", type=int, default=3, help="how often each transfer runs")
    parser.add_argument("--only", choices=parts, action="append", help="this part alone; may repeat")
    parser.add_argument("--memory", action="store_true", help="measure memory too, with a long stream")
    parser.add_argument("--memory-bytes", type=int, default=2 * 10**9, help="how long that stream is")
    parser.add_argument("--peer-python", help="an interpreter that has carto 1.11.3; made when not given")
    options = parser.parse_args()
    wanted = options.only or [name for name in parts if name != "memory" or options.memory]
    with running() as platform:
        contest = Contest(platform, options)
        for part in wanted:
            say(part)
            parts[part](contest)
        machine = describe_machine(platform.versions())
    data = {"rows": contest.rows, "bytes": contest.size, "rounds": contest.rounds, "runs": contest.runs}
    report(f"COPY, {contest.rows} rows, {contest.size / MB:.0f} MB", machine, contest.lines, data)
