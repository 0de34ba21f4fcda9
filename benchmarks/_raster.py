"""PNG tiles drawn from rows of ours, and by Mapnik with its own connection to the same table."""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mapnik
import psycopg

from benchmarks._bench import Line, Runs, describe_machine, interleaved, median, report, say
from carto_like.server.bootstrap import bootstrap
from carto_like.server.cartocss import MapnikStyle, compile_style
from carto_like.server.postgres import PrivatePostgres
from carto_like.server.raster import SMALL_PNG, Layer, Renderer, Source, View, fetch, read_only

_WORLD = 20037508.342789244
_ZOOMS = (0, 4, 8, 12)
# Most rows lie where a tile of each zoom shows them.
_CENTRE = (1_000_000.0, 6_000_000.0)
_PLACE = (
    f"{_CENTRE[0]} + sqrt(-2 * ln(1 - random())) * cos(6.283 * random()) * 10 ^ (2 + 4.5 * random()),"
    f" {_CENTRE[1]} + sqrt(-2 * ln(1 - random())) * cos(6.283 * random()) * 10 ^ (2 + 4.5 * random())"
)
_POINT = f"ST_SetSRID(ST_MakePoint({_PLACE}), 3857)"
_AREA = f"ST_Buffer({_POINT}, 50 + 5000 * random(), 16)"
_MARKERS = """#l { marker-width: 6; marker-fill: #e41a1c; marker-line-color: #fff; marker-line-width: 0.5;
marker-allow-overlap: true; [n > 50] { marker-fill: #377eb8 } }"""
_PLAIN = _MARKERS.replace("[n > 50] { marker-fill: #377eb8 }", "")
_AREAS = """#l { polygon-fill: #4daf4a; polygon-opacity: 0.6; line-color: #222; line-width: 1;
[n > 50] { line-width: 2 } }"""


def main(description: str | None) -> None:
    """Run the benchmark that the options ask for."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--points", type=int, nargs="*", default=[100_000, 2_000_000], metavar="ROWS")
    parser.add_argument("--areas", type=int, nargs="*", default=[50_000], metavar="ROWS")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        Path(folder).chmod(0o755)
        with PrivatePostgres(Path(folder)) as cluster:
            asyncio.run(_compare(bootstrap(cluster, "raster"), options))


async def _compare(dsn: str, options: argparse.Namespace) -> None:
    lines: list[Line] = []
    runs: dict[str, Runs] = {}
    renderer = Renderer(threads=2)
    tables = [(f"plain_{rows}", _POINT, _PLAIN, "i", rows) for rows in options.points]
    tables += [(f"points_{rows}", _POINT, _MARKERS, "i", rows) for rows in options.points]
    tables += [(f"scattered_{rows}", _POINT, _MARKERS, "37 * i", rows) for rows in options.points]
    tables += [(f"areas_{rows}", _AREA, _AREAS, "i", rows) for rows in options.areas]
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as connection:
        for name, shape, sheet, number, rows in tables:
            say(f"Making {name}")
            await connection.execute(
                f"CREATE TABLE {name} AS SELECT i AS id, ({number} % 100)::int AS n,"
                f" {shape} AS the_geom_webmercator FROM generate_series(1, {rows}) i".encode()
            )
            await connection.execute(f"CREATE INDEX ON {name} USING gist (the_geom_webmercator)".encode())
            await connection.execute(f"VACUUM ANALYZE {name}".encode())
            style = compile_style(sheet)
            peer = _Plugin(dsn, name, style)
            for zoom in _ZOOMS:
                view = _view(zoom)
                ours = _Ours(renderer, connection, Source(f"SELECT * FROM {name}"), style)
                what = f"{name}, zoom {zoom}"
                found = await _rounds(what, ours, peer, view, options.rounds)
                runs[what] = found
                lines.append(_line(f"{what} ({int(found['ours'][0]['rows'])} rows)", found))
        info = connection.info.server_version
    renderer.close()
    report("PNG tiles", describe_machine({"PostgreSQL": str(info)}), lines, {"runs": runs})


async def _rounds(what: str, ours: _Ours, peer: _Plugin, view: View, rounds: int) -> Runs:
    say(what)
    await ours(view)
    await asyncio.to_thread(peer, view)
    loop = asyncio.get_running_loop()

    def mine() -> dict[str, float]:
        return asyncio.run_coroutine_threadsafe(ours(view), loop).result()

    contestants: dict[str, Callable[[], dict[str, float]]] = {"ours": mine, "plugin": lambda: peer(view)}
    return await asyncio.to_thread(interleaved, rounds, contestants)


def _line(what: str, found: Runs) -> Line:
    (ours, ours_cpu), (peer, peer_cpu) = (
        (median(found, name), median(found, name, "cpu")) for name in ("ours", "plugin")
    )
    return Line(
        what,
        f"{ours * 1000:.0f} ms, CPU {ours_cpu * 1000:.0f} ms",
        f"{peer * 1000:.0f} ms, CPU {peer_cpu * 1000:.0f} ms",
        f"{ours / peer:.2f}, CPU {ours_cpu / peer_cpu:.2f}",
        "1.3",
    )


def _view(zoom: int) -> View:
    side = 2 * _WORLD / 2**zoom
    column, row = (int((place + _WORLD) // side) for place in _CENTRE)
    west, south = column * side - _WORLD, row * side - _WORLD
    return View((west, south, west + side, south + side))


class _Ours:
    """A tile as the platform makes it, without HTTP."""

    def __init__(self, renderer: Renderer, connection: Any, source: Source, style: MapnikStyle) -> None:
        self._renderer, self._connection = renderer, connection
        self._source, self._style = source, style

    async def __call__(self, view: View) -> dict[str, float]:
        begun, cpu = time.perf_counter(), time.process_time()
        async with read_only(self._connection):
            rows = fetch(self._connection, self._source, view, self._style.columns)
            png = await self._renderer.picture([Layer(self._style, rows)], view)
        seconds, cpu = time.perf_counter() - begun, time.process_time() - cpu
        box = "ST_MakeEnvelope({}, {}, {}, {}, 3857)".format(*view.buffered)
        query = f"SELECT count(*) FROM ({self._source.sql}) q WHERE the_geom_webmercator && {box}"
        cursor = await self._connection.execute(query.encode())
        return {"seconds": seconds, "cpu": cpu, "bytes": len(png), "rows": (await cursor.fetchone())[0]}


class _Plugin:
    """A tile by Mapnik alone, its map loaded and its connection open."""

    def __init__(self, dsn: str, table: str, style: MapnikStyle) -> None:
        given = {key: str(value) for key, value in psycopg.conninfo.conninfo_to_dict(dsn).items()}
        self._map = mapnik.Map(256, 256)
        mapnik.load_map_from_string(self._map, style.xml, True)
        self._map.layers[0].datasource = mapnik.PostGIS(
            **given,
            table=f"(SELECT * FROM {table}) AS q",
            geometry_field="the_geom_webmercator",
            srid=3857,
            extent=f"{-_WORLD},{-_WORLD},{_WORLD},{_WORLD}",
        )
        self._map.buffer_size = 64

    def __call__(self, view: View) -> dict[str, float]:
        begun, cpu = time.perf_counter(), time.process_time()
        image = mapnik.Image(view.width, view.height)
        self._map.zoom_to_box(mapnik.Box2d(*view.bounds))
        mapnik.render(self._map, image)
        png = image.to_string(SMALL_PNG)
        seconds, cpu = time.perf_counter() - begun, time.process_time() - cpu
        return {"seconds": seconds, "cpu": cpu, "bytes": len(png)}
