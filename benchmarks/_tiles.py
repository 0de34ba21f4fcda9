"""The benchmark of vector tiles: data, contestants, rounds."""

from __future__ import annotations

import argparse
import itertools
import statistics
import time
from collections.abc import Callable
from typing import Any

import psycopg
import requests

from benchmarks import _load
from benchmarks._bench import Line, describe_machine, report, say
from benchmarks._platform import Platform, running
from carto_like.server.maps.coordinates import Tile
from carto_like.server.maps.layersql import Source, vector_tile

_ZOOMS = (0, 4, 8, 12)
_COLUMNS = "cartodb_id, n, name, the_geom_webmercator"
_POINT = "ST_SetSRID(ST_MakePoint(-20 + 40 * random(), 30 + 30 * random()), 4326)"
_TABLES = {
    "points_100k": (100_000, _POINT),
    "points_2m": (2_000_000, _POINT),
    "polygons_50k": (50_000, f"ST_Buffer({_POINT}, 0.05, 4)"),
}

Seconds = list[float]


def main(description: str | None) -> None:
    """Run all rounds and report."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--requests", type=int, default=5, help="tiles of each kind in a round")
    parser.add_argument("--seconds", type=float, default=3, help="of 32 clients at once")
    parser.add_argument("--only", choices=_TABLES, action="append", help="tables")
    options = parser.parse_args()
    lines: list[Line] = []
    data: dict[str, Any] = {"rounds": options.rounds, "requests": options.requests}
    with running() as platform:
        for table in options.only or _TABLES:
            _furnish(platform, table)
            token = _make(platform, table)
            for zoom in _ZOOMS:
                lines += _contest(platform, options, table, token, zoom, data)
        machine = describe_machine(platform.versions())
    report("Vector tiles", machine, lines, data)


def _furnish(platform: Platform, table: str) -> None:
    rows, geometry = _TABLES[table]
    say(f"{rows} rows of {table}")
    platform.sql(
        f"CREATE TABLE {table} AS SELECT i AS n, 'name ' || i AS name, {geometry} AS the_geom "
        f"FROM generate_series(1, {rows}) i"
    )
    platform.sql(f"SELECT CDB_CartodbfyTable('{table}')")
    platform.sql(f"UPDATE {table} SET n = n WHERE cartodb_id = 1")
    platform.admin(f'VACUUM ANALYZE "{platform.user}"."{table}"')


def _make(platform: Platform, table: str) -> str:
    options = {"sql": f"select {_COLUMNS} from {table}", "aggregation": False}
    answer = requests.post(
        f"{platform.base_url}api/v1/map",
        params={"api_key": platform.api_key},
        json={"layers": [{"options": options}]},
        timeout=600,
    )
    answer.raise_for_status()
    token: str = answer.json()["layergroupid"]
    return token


def _contest(
    platform: Platform, options: argparse.Namespace, table: str, token: str, zoom: int, data: dict[str, Any]
) -> list[Line]:
    tile = _middle(zoom)
    root = f"{platform.base_url}api/v1/map/"
    address = f"{tile.z}/{tile.x}/{tile.y}.mvt?api_key={platform.api_key}"
    map_id = token.partition(":")[0]
    # Older versions of the data are kept apart from each other: each number is a cold tile.
    versions = itertools.count(1 + 1000 * _ZOOMS.index(zoom))
    columns = (("cartodb_id", 20), ("n", 23), ("name", 25), ("the_geom_webmercator", 0))
    query = f'select {_COLUMNS} from "{platform.user}"."{table}"'
    source = Source(query, "the_geom_webmercator", 3857, columns)
    sql = vector_tile([("layer0", source)], tile, extent=4096, simplify=256, buffer=64)
    health = f"{platform.base_url.partition('/user/')[0]}/health"
    with requests.Session() as session, psycopg.connect(platform.dsn, autocommit=True) as connection:
        # As the platform's own sessions do.
        connection.execute("SET jit = off")

        def get(url: str) -> None:
            answer = session.get(url, timeout=600)
            answer.raise_for_status()

        contestants: dict[str, Callable[[], None]] = {
            "cold": lambda: get(f"{root}{map_id}:{next(versions)}/{address}"),
            "psycopg": lambda: _fetch(connection, sql),
            "warm": lambda: get(f"{root}{token}/{address}"),
            "health": lambda: get(health),
        }
        for once in contestants.values():
            once()
        times = _rounds(contestants, options.rounds, options.requests)
    found = {name: statistics.median(seconds) for name, seconds in times.items()}
    load = _load.address(f"{root}{token}/{address}", 32, options.seconds)
    data[f"{table} z{zoom}"] = {**times, "load": load}
    say(f"  {table} z{zoom}: " + ", ".join(f"{name} {1000 * s:.1f} ms" for name, s in found.items()))
    return [
        _line(f"{table}, zoom {zoom}, cold", found["cold"], "psycopg", found["psycopg"], "1.2"),
        _line(f"{table}, zoom {zoom}, warm", found["warm"], "/health", found["health"], "1.5"),
        Line("... 32 clients, warm", f"{load['per_second']:.0f}/s", "", f"p99 {load['p99_ms']:.0f} ms"),
    ]


def _rounds(contestants: dict[str, Callable[[], None]], rounds: int, count: int) -> dict[str, Seconds]:
    names = list(contestants)
    times: dict[str, Seconds] = {name: [] for name in names}
    for number in range(rounds):
        turn = number % len(names)
        for name in names[turn:] + names[:turn]:
            for _ in range(count):
                begun = time.perf_counter()
                contestants[name]()
                times[name].append(time.perf_counter() - begun)
    return times


def _fetch(connection: psycopg.Connection[Any], sql: str) -> None:
    connection.cursor().execute(sql.encode(), binary=True).fetchone()


def _middle(zoom: int) -> Tile:
    """The tile that holds the middle of the data, 0 degrees east and 45 degrees north."""
    side = 2**zoom
    return Tile(zoom, side // 2, int(side * 0.3598)) if zoom else Tile(0, 0, 0)


def _line(what: str, ours: float, peer_name: str, peer: float, target: str) -> Line:
    return Line(
        what, f"{1000 * ours:.2f} ms", f"{peer_name} {1000 * peer:.2f} ms", f"{ours / peer:.2f}", target
    )
