"""The benchmark of vector tiles: data, contestants, rounds."""

from __future__ import annotations

import argparse
import itertools
import statistics
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import psycopg
import requests

from benchmarks import _load, _tile_peers
from benchmarks._bench import Line, describe_machine, report, say
from benchmarks._platform import Platform, running
from carto_like.server.maps.coordinates import WORLD, Tile
from carto_like.server.maps.layersql import Source, vector_tile

_ZOOMS = (0, 4, 8, 12)
_NAMES = ("cartodb_id", "n", "name")
_COLUMNS = ", ".join((*_NAMES, "the_geom_webmercator"))
_POINT = "ST_SetSRID(ST_MakePoint(-20 + 40 * random(), 30 + 30 * random()), 4326)"
_TABLES = {
    "points_100k": (100_000, _POINT),
    "points_2m": (2_000_000, _POINT),
    # Most are small, and some are seen from afar.
    "polygons_50k": (50_000, f"ST_Buffer({_POINT}, 0.02 + random() ^ 8, 4)"),
}
# Where a tile is not empty, however small it is.
_MIDDLE = (
    "SELECT ST_X(g), ST_Y(g) FROM (SELECT ST_Centroid(the_geom_webmercator) AS g FROM {} "
    "ORDER BY the_geom <-> ST_SetSRID(ST_MakePoint(0, 45), 4326) LIMIT 1) AS nearest"
)
_CLIENTS = 32

Seconds = list[float]


def main(description: str | None) -> None:
    """Run all rounds and report."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--requests", type=int, default=5, help="tiles of each kind in a round")
    parser.add_argument("--seconds", type=float, default=3, help="of 32 clients at once")
    parser.add_argument("--zooms", type=int, nargs="*", default=_ZOOMS)
    parser.add_argument("--only", choices=_TABLES, action="append", help="tables")
    parser.add_argument("--no-tipg", action="store_true", help="do not install and run tipg as a peer")
    options = parser.parse_args()
    lines: list[Line] = []
    data: dict[str, Any] = {"rounds": options.rounds, "requests": options.requests}
    tables = options.only or list(_TABLES)
    with ExitStack() as stack:
        platform = stack.enter_context(running())
        for table in tables:
            _furnish(platform, table)
        peer = None if options.no_tipg else stack.enter_context(_tile_peers.tipg(platform))
        sender = stack.enter_context(_tile_peers.sender())
        for table in tables:
            contest = _Contest(platform, options, table, sender, peer)
            for zoom in options.zooms:
                lines += contest.at(zoom, data)
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


class _Contest:
    """One table of one platform, and who gives tiles of it."""

    def __init__(
        self, platform: Platform, options: argparse.Namespace, table: str, sender: str, peer: str | None
    ) -> None:
        self._platform, self._options, self._table = platform, options, table
        self._sender, self._peer = sender, peer
        self._token = _make(platform, table)
        # Older versions of the data are kept apart from each other: each number is a cold tile.
        self._versions = itertools.count(1)
        (self._place,) = platform.admin(_MIDDLE.format(f'"{platform.user}"."{table}"'))

    def at(self, zoom: int, data: dict[str, Any]) -> list[Line]:
        """The table's lines for one zoom."""
        tile = _around(zoom, *self._place)
        what = f"{self._table}, zoom {zoom}"
        address = f"{tile.z}/{tile.x}/{tile.y}.mvt?api_key={self._platform.api_key}"
        with ExitStack() as stack:
            contestants, size = self._contestants(stack, tile, address)
            for once in contestants.values():
                once()
            times = _rounds(contestants, self._options.rounds, self._options.requests)
        found = {name: statistics.median(seconds) for name, seconds in times.items()}
        say(f"  {what}: " + ", ".join(f"{name} {1000 * s:.1f} ms" for name, s in found.items()))
        lines = [
            _line(f"{what}, cold, {size / 1000:.0f} kB", found, "cold", "psycopg", "1.2"),
            _line("... warm", found, "warm", "/health", "1.5"),
            _line("... warm", found, "warm", "bare uvicorn, as many bytes"),
        ]
        if self._peer:
            lines.insert(1, _line("... cold", found, "cold", "tipg"))
        load = self._under_load(address, tile)
        data[what] = {**times, "bytes": size, "load": load}
        others = f"tipg {_rate(load['tipg'])}" if "tipg" in load else ""
        return [*lines, Line(f"... {_CLIENTS} clients, warm", _rate(load["warm"]), others, "")]

    def _contestants(
        self, stack: ExitStack, tile: Tile, address: str
    ) -> tuple[dict[str, Callable[[], object]], int]:
        platform = self._platform
        get, bare = _getter(stack, platform.base_url), _getter(stack, self._sender)
        connection = stack.enter_context(psycopg.connect(platform.dsn, autocommit=True))
        # As the platform's own sessions do. Nor does a cold tile come twice, to be prepared.
        connection.execute("SET jit = off")
        connection.prepare_threshold = None
        root, map_id = f"{platform.base_url}api/v1/map/", self._token.partition(":")[0]
        columns = (*zip(_NAMES, (20, 23, 25), strict=True), ("the_geom_webmercator", 0))
        source = Source(
            f'select {_COLUMNS} from "{platform.user}"."{self._table}"', "the_geom_webmercator", 3857, columns
        )
        sql = vector_tile([("layer0", source)], tile, extent=4096, simplify=256, buffer=64).encode()
        size = len(get(f"{root}{self._token}/{address}"))
        found: dict[str, Callable[[], object]] = {
            "cold": lambda: get(f"{root}{map_id}:{next(self._versions)}/{address}"),
            "psycopg": lambda: connection.cursor().execute(sql, binary=True).fetchone(),
            "warm": lambda: get(f"{root}{self._token}/{address}"),
            "/health": lambda: get(f"{platform.base_url.partition('/user/')[0]}/health"),
            "bare uvicorn, as many bytes": lambda: bare(f"{self._sender}/{size}"),
        }
        if self._peer:
            other = _getter(stack, self._peer)
            found["tipg"] = lambda: other(self._of_tipg(tile))
        return found, size

    def _of_tipg(self, tile: Tile) -> str:
        names = ",".join(_NAMES)
        return (
            f"{self._peer}/collections/{self._platform.user}.{self._table}/tiles/WebMercatorQuad/"
            f"{tile.z}/{tile.x}/{tile.y}?geom-column=the_geom_webmercator&properties={names}"
        )

    def _under_load(self, address: str, tile: Tile) -> dict[str, dict[str, Any]]:
        urls = {"warm": f"{self._platform.base_url}api/v1/map/{self._token}/{address}"}
        if self._peer:
            urls["tipg"] = self._of_tipg(tile)
        seconds = self._options.seconds
        return {name: _load.address(url, _CLIENTS, seconds) for name, url in urls.items()}


def _getter(stack: ExitStack, base_url: str) -> _tile_peers.Getter:
    getter = _tile_peers.Getter(base_url)
    stack.callback(getter.close)
    return getter


def _rounds(contestants: dict[str, Callable[[], object]], rounds: int, count: int) -> dict[str, Seconds]:
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


def _around(zoom: int, x: float, y: float) -> Tile:
    """The tile that holds a place, in metres of EPSG:3857."""
    side = 2 * WORLD / 2**zoom
    return Tile(zoom, int((x + WORLD) // side), int((WORLD - y) // side))


def _line(what: str, found: dict[str, float], ours: str, peer: str, target: str = "") -> Line:
    mine, other = found[ours], found[peer]
    return Line(what, f"{1000 * mine:.2f} ms", f"{peer} {1000 * other:.2f} ms", f"{mine / other:.2f}", target)


def _rate(load: dict[str, Any]) -> str:
    return f"{load['per_second']:.0f}/s, p99 {load['p99_ms']:.0f} ms"
