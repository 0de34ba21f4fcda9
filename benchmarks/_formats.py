"""Imports of a GeoPackage and of a zipped shapefile, against ogr2ogr and what has to follow it."""

from __future__ import annotations

import resource
import shutil
import subprocess
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

from benchmarks import _imports
from benchmarks._bench import Line, Runs, interleaved, median, say
from benchmarks._measure import Cost

_GEOMETRY = "the_geom::geometry(Geometry,4326)"
# What is left to do when ogr2ogr has ended: the projection, the key, both indexes, and statistics.
_FOLLOWING = (
    f"CREATE TABLE bulk AS SELECT cartodb_id, {_GEOMETRY} AS the_geom,"
    " ST_Transform(the_geom, 3857)::geometry(Geometry,3857) AS the_geom_webmercator,"
    " name, address, amount, day FROM staging",
    *_imports.INDEXES,
    "ANALYZE bulk",
    "DROP TABLE staging",
)


def is_possible() -> bool:
    """Whether the peer is there."""
    return shutil.which("ogr2ogr") is not None


def write(folder: Path, rows: int) -> dict[str, Path]:
    """The same rows as a GeoPackage and as a zipped shapefile, made by ogr2ogr."""
    text, package, zipped = folder / "rows.csv", folder / "as_gpkg.gpkg", folder / "as_shp.zip"
    _imports.write(text, rows=rows)
    opening = ("X_POSSIBLE_NAMES=lon", "Y_POSSIBLE_NAMES=lat", "KEEP_GEOM_COLUMNS=NO", "AUTODETECT_TYPE=YES")
    options = [part for option in opening for part in ("-oo", option)]
    _ogr2ogr("-f", "GPKG", str(package), str(text), "-a_srs", "EPSG:4326", "-nln", "as_gpkg", *options)
    _ogr2ogr("-f", "ESRI Shapefile", str(folder / "as_shp.shp"), str(package))
    with zipfile.ZipFile(zipped, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for part in folder.glob("as_shp.[dps]*"):
            archive.write(part, part.name)
            part.unlink()
    text.unlink()
    return {"GeoPackage": package, "zipped shapefile": zipped}


def by_ogr2ogr(contest: _imports.Contest, path: Path) -> Callable[[], Cost]:
    """The file by ogr2ogr into a table, and from there into one like a dataset's."""
    source = f"/vsizip/{path}" if path.suffix == ".zip" else str(path)

    def run() -> Cost:
        contest.hand.execute("DROP TABLE IF EXISTS bulk")
        contest.platform.settle()
        started = time.perf_counter()
        _ogr2ogr(
            *("-f", "PostgreSQL", f"PG:{contest.platform.dsn}", source, "--config", "PG_USE_COPY", "YES"),
            *(
                "-nln",
                f"{_imports.SCHEMA}.staging",
                "-lco",
                "GEOMETRY_NAME=the_geom",
                "-lco",
                "FID=cartodb_id",
            ),
            *("-lco", "SPATIAL_INDEX=NONE", "-lco", "DIM=2"),
        )
        with contest.hand.transaction():
            for statement in _FOLLOWING:
                contest.hand.execute(statement.encode())
        return {"seconds": time.perf_counter() - started}

    return run


def _with_cpu(contest: _imports.Contest, run: Callable[[], Cost]) -> Callable[[], Cost]:
    """The same, with the CPU seconds of server, database and of programs that it started."""

    def spent() -> float:
        ended = resource.getrusage(resource.RUSAGE_CHILDREN)
        return sum(contest.platform.cpu()) + ended.ru_utime + ended.ru_stime

    def measured() -> Cost:
        # What the last one left to be done is not this one's.
        contest.platform.settle()
        before = spent()
        cost = run()
        return {**cost, "cpu": spent() - before}

    return measured


def compare(contest: _imports.Contest, rows: int, rounds: int) -> tuple[dict[str, Runs], list[Line]]:
    """Let imports and ogr2ogr take turns with each file."""
    say(f"Writing {rows} rows as GeoPackage and as shapefile")
    all_runs: dict[str, Runs] = {}
    lines: list[Line] = []
    for name, path in write(contest.platform.folder, rows).items():
        ways = {"import": contest.by_import(path), "ogr2ogr": by_ogr2ogr(contest, path)}
        ways = {way: _with_cpu(contest, run) for way, run in ways.items()}
        all_runs[name] = runs = interleaved(rounds, ways)
        ours, theirs = median(runs, "import"), median(runs, "ogr2ogr")
        spent, theirs_spent = median(runs, "import", "cpu"), median(runs, "ogr2ogr", "cpu")
        what = f"{rows} rows, {name}, {path.stat().st_size / 1e6:.0f} MB"
        lines.append(
            Line(
                what,
                f"{ours:.1f} s (CPU {spent:.1f})",
                f"ogr2ogr {theirs:.1f} s (CPU {theirs_spent:.1f})",
                f"{ours / theirs:.2f} (CPU {spent / theirs_spent:.2f})",
                "1.0 or less",
            )
        )
    return all_runs, lines


def _ogr2ogr(*arguments: str) -> None:
    done = subprocess.run(["ogr2ogr", *arguments], capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"ogr2ogr failed: {done.stderr[-2000:]}")
