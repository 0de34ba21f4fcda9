"""Exports of one table in every format, each beside the tool that people would use instead."""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Callable
from pathlib import Path

from benchmarks._bench import Line, Runs, describe_machine, interleaved, median, report, run_task, say
from benchmarks._measure import Cost
from benchmarks._peer_environment import environment
from benchmarks._platform import Platform, running

_MODULE = "_export_tasks"
_GEOPANDAS = ("geopandas", "psycopg[binary]", "pyarrow", "sqlalchemy")
_DRIVERS = {"csv": "CSV", "geojson": "GeoJSON", "shp": "ESRI Shapefile", "gpkg": "GPKG", "kml": "KML"}
_TARGETS = {"csv": 1.0, "geojson": 1.0, "shp": 1.5, "gpkg": 1.5, "kml": 1.5, "parquet": 1.0, "arrow": 1.0}
_COLUMNS = "cartodb_id, the_geom, name, people, share, seen"
_MB = 1e6
# Steps coprime to the range: no order that an index could profit from, and no random generator.
_TABLE = """
    CREATE TABLE points AS
    SELECT i AS cartodb_id, 'point ' || i AS name, (i::int8 * 7919 % 100000)::int AS people,
           i / 7.0::float8 AS share,
           timestamptz '2024-01-01' + i * interval '1 minute' AS seen,
           ST_SetSRID(ST_MakePoint((i::int8 * 222492239) % 360000000 / 1e6 - 180,
               (i::int8 * 105066887) % 170000000 / 1e6 - 85), 4326)::geometry(Point, 4326) AS the_geom
    FROM generate_series(1, {rows}) i
"""


class Contest:
    """One platform, one table of points, and everybody who exports it."""

    def __init__(self, platform: Platform, peer_python: str) -> None:
        self.platform = platform
        self.peer_python = peer_python
        self.folder = platform.folder / "exports"

    def ours(self, format: str) -> Callable[[], Cost]:
        """The table through the platform, and what its memory grew by."""

        def run() -> Cost:
            self._clear()
            held, before = self.platform.reset_peak(), self.platform.cpu()
            query = f"SELECT {_COLUMNS} FROM points"
            if format == "arrow":
                cost = run_task("ours_arrow", module=_MODULE, **self.platform.access, query=query)
            else:
                path = str(self.folder / f"ours.{format}")
                access = self.platform.access
                cost = run_task("ours", module=_MODULE, **access, query=query, path=path, format=format)
            after = self.platform.cpu()
            spent = {"server_cpu": after[0] - before[0], "database_cpu": after[1] - before[1]}
            return {**cost, **spent, "server_grew": self.platform.peak() - held}

        return run

    def peer(self, format: str) -> Callable[[], Cost]:
        """The same query by the other tool, straight from the database."""
        query = f'SELECT {_COLUMNS} FROM "{self.platform.user}".points'

        def run() -> Cost:
            self._clear()
            if format in _DRIVERS:
                path = str(self.folder / f"peer.{'shp.zip' if format == 'shp' else format}")
                driver = _DRIVERS[format]
                given = {"dsn": self.platform.dsn, "query": query, "path": path, "driver": driver}
                return run_task("ogr2ogr", module=_MODULE, **given)
            given = {"dsn": self.platform.dsn, "query": query}
            if format == "arrow":
                return run_task("pyarrow_rows", python=self.peer_python, module=_MODULE, **given)
            path = str(self.folder / "peer.parquet")
            task = "geopandas_parquet"
            return run_task(task, python=self.peer_python, module=_MODULE, **given, path=path)

        return run

    def _clear(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir()
        self.platform.settle()


def compare(contest: Contest, format: str, rounds: int) -> tuple[Runs, Line]:
    """Let platform and peer take turns."""
    say(format)
    runs = interleaved(rounds, {"ours": contest.ours(format), "peer": contest.peer(format)})
    ours, theirs = median(runs, "ours"), median(runs, "peer")
    tool = {"parquet": "geopandas", "arrow": "psycopg, pyarrow"}.get(format, "ogr2ogr")
    grew = median(runs, "ours", "server_grew") / _MB
    line = Line(
        format,
        f"{ours:.2f} s, server +{grew:.0f} MB",
        f"{theirs:.2f} s ({tool})",
        f"{ours / theirs:.2f} of its time",
        f"{_TARGETS[format]} or less",
    )
    return runs, line


def main(description: str | None) -> None:
    """Export in all formats and print what that took."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", action="append", choices=sorted(_TARGETS), help="this format; repeatable")
    parser.add_argument("--peer-python", type=Path, help=f"has {', '.join(_GEOPANDAS)}; made when not given")
    options = parser.parse_args()
    if shutil.which("ogr2ogr") is None:
        parser.error("ogr2ogr is not installed (Debian: apt-get install gdal-bin)")
    peer = options.peer_python or environment("geopandas", _GEOPANDAS)
    with running() as platform:
        say(f"Making {options.rows} rows")
        platform.sql(_TABLE.format(rows=options.rows))
        platform.sql("ANALYZE points")
        contest = Contest(platform, str(peer))
        runs, lines = {}, []
        for format in options.only or _TARGETS:
            runs[format], line = compare(contest, format, options.rounds)
            lines.append(line)
        machine = describe_machine(platform.versions())
    report(f"Exports, {options.rows} rows", machine, lines, {"rows": options.rows, "runs": runs})
