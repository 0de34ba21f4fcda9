"""Move the airports of the world through the platform.

Create, load, ask, export, describe, rename, import the exported file, count in a batch job, delete.

The rows come from the package airportsdata (pip install airportsdata). What the platform answers is checked
against them, and nothing is left behind.
"""

from __future__ import annotations

import csv
import math
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import airportsdata

from carto_like.auth import APIKeyAuthClient
from carto_like.datasets import DatasetManager
from carto_like.pure.pgtext import quote_identifier, quote_literal
from carto_like.sql import BatchSQLClient, CopySQLClient, SQLClient

import account

COLUMNS = {
    "icao": "text NOT NULL",
    "iata": "text",
    "name": "text",
    "city": "text",
    "country": "text",
    "elevation": "float8",
    "tz": "text",
    "the_geom": "geometry(Point, 4326)",
}
CSV = "WITH (FORMAT csv, HEADER true)"

SOURCE = airportsdata.load("ICAO")

NEAREST = """
SELECT icao, name, country, ST_Distance(the_geom::geography, point::geography) / 1000 AS km
FROM {table}, CDB_LatLng({lat}, {lon}) AS point
ORDER BY the_geom::geography <-> point::geography
LIMIT 1
"""
WITHIN = """
SELECT count(*) AS airports FROM {table}
WHERE ST_DWithin(the_geom::geography, CDB_LatLng({lat}, {lon})::geography, {km} * 1000)
"""
BY_COUNTRY = (
    "SELECT country, count(*) AS airports FROM {table} GROUP BY country ORDER BY airports DESC, country"
)
DISTANCE = """
SELECT ST_Distance(a.the_geom::geography, b.the_geom::geography) / 1000 AS km
FROM {table} a, {table} b WHERE a.icao = {start} AND b.icao = {end}
"""


def kilometres(lat: float, lon: float, airport: Mapping[str, Any]) -> float:
    """The distance of an airport from a point on a spherical Earth, right to half a percent."""
    here, there = math.radians(lat), math.radians(airport["lat"])
    half = math.sin((here - there) / 2) ** 2
    half += math.cos(here) * math.cos(there) * math.sin(math.radians(lon - airport["lon"]) / 2) ** 2
    return 2 * 6371.0 * math.asin(math.sqrt(half))


class Story:
    """Prints what is done, with the seconds it took, and checks what is claimed."""

    def __init__(self) -> None:
        self.started = time.perf_counter()

    @contextmanager
    def step(self, title: str) -> Iterator[list[str]]:
        """Time a step; texts put in the list it gives are printed behind its title."""
        started, said = time.perf_counter(), list[str]()
        yield said
        print(f"{title:<32} {time.perf_counter() - started:7.2f} s   {'; '.join(said)}", flush=True)

    def check(self, what: str, found: object, expected: object) -> None:
        """End the program, saying why, unless both are the same."""
        if found != expected:
            sys.exit(f"FAILED: {what}: found {found}, expected {expected}")

    def end(self) -> None:
        """Say that everything held."""
        print(f"All checks passed, {time.perf_counter() - self.started:.1f} s in all.")


def rows() -> Iterator[dict[str, Any]]:
    """The airports, one at a time, with a point in place of their coordinates."""
    for airport in SOURCE.values():
        row: dict[str, Any] = {name: airport.get(name) for name in COLUMNS if name != "the_geom"}
        yield {**row, "the_geom": f"SRID=4326;POINT({airport['lon']} {airport['lat']})"}


class Airports:
    """One table of airports in one account, from its making to its end."""

    def __init__(self, auth_client: APIKeyAuthClient, name: str) -> None:
        self.sql = SQLClient(auth_client)
        self.copy = CopySQLClient(auth_client)
        self.batch = BatchSQLClient(auth_client)
        self.datasets = DatasetManager(auth_client)
        self.name = name
        self.story = Story()
        self.made: set[str] = set()

    def ask(self, query: str, **values: object) -> list[dict[str, Any]]:
        """The rows of a query about the table."""
        answer: dict[str, Any] = self.sql.send(query.format(table=quote_identifier(self.name), **values))
        rows: list[dict[str, Any]] = answer["rows"]
        return rows

    def create(self) -> None:
        """Make the table, and make it a dataset while it is empty, when that costs nothing."""
        with self.story.step("Create a table and cartodbfy it") as said:
            columns = ", ".join(f"{name} {kind}" for name, kind in COLUMNS.items())
            self.ask("CREATE TABLE {table} (" + columns + ")")
            self.made.add(self.name)
            self.ask("SELECT CDB_CartodbfyTable({name}::regclass)", name=quote_literal(self.name))
            said.append(self.name)

    def load(self, expected: int) -> None:
        """Stream the rows in."""
        with self.story.step("COPY rows in") as said:
            answer = self.copy.copyfrom_rows(self.name, rows(), columns=list(COLUMNS))
            said.append(f"{answer['total_rows']} rows in")
        self.story.check("rows in", answer["total_rows"], expected)

    def ask_where(self, lat: float, lon: float) -> None:
        """Ask what lies near a point, and how far apart two airports are."""
        expected = min(SOURCE.values(), key=lambda airport: kilometres(lat, lon, airport))
        with self.story.step("Nearest airport") as said:
            nearest = self.ask(NEAREST, lat=lat, lon=lon)[0]
            near = self.ask(WITHIN, lat=lat, lon=lon, km=100)[0]["airports"]
            said.append(f"to ({lat}, {lon}): {nearest['icao']} {nearest['name']}, {nearest['km']:.1f} km")
            said.append(f"{near} within 100 km")
        self.story.check("nearest airport", nearest["icao"], expected["icao"])
        with self.story.step("Distances") as said:
            for start, end in (("EGLL", "KJFK"), ("LPPT", "SBGL"), ("YSSY", "NZAA")):
                km = self.ask(DISTANCE, start=quote_literal(start), end=quote_literal(end))[0]["km"]
                sphere = kilometres(SOURCE[start]["lat"], SOURCE[start]["lon"], SOURCE[end])
                self.story.check(f"{start}-{end}", abs(km / sphere - 1) < 0.006, True)
                said.append(f"{start}-{end} {km:.0f} km")

    def ask_countries(self, expected: Counter[str]) -> None:
        """Count airports by country and compare with the source."""
        with self.story.step("Airports per country") as said:
            found = {row["country"]: row["airports"] for row in self.ask(BY_COUNTRY)}
            said.append(f"{len(found)} countries")
            said += [f"{country} {count}" for country, count in list(found.items())[:5]]
        self.story.check("airports per country", found, dict(expected))

    def export(self, file: Path, expected: set[str]) -> None:
        """Stream the rows out, into a file, and look whether they are the ones that went in."""
        with self.story.step("COPY rows out") as said:
            names = ", ".join(COLUMNS)
            self.copy.copyto_file_path(
                f"COPY {quote_identifier(self.name)} ({names}) TO STDOUT {CSV}", str(file)
            )
            with file.open(newline="", encoding="utf-8") as lines:
                codes = [row["icao"] for row in csv.DictReader(lines)]
            said.append(f"{len(codes)} rows out, {file.stat().st_size / 2**20:.1f} MB")
        self.story.check("rows out", len(codes), len(expected))
        self.story.check("airports out", set(codes) == expected, True)

    def import_file(self, file: Path, expected: int) -> str:
        """Make a second dataset of the file, which the platform reads and names by itself."""
        with self.story.step("Import the file") as said:
            name = str(self.datasets.create(str(file)).name)
            self.made.add(name)
            counting = f"SELECT count(*) AS rows, count(the_geom) AS points FROM {quote_identifier(name)}"
            found = self.sql.send(counting)["rows"][0]
            said.append(f"{name}: {found['rows']} rows, {found['points']} points")
        self.story.check("rows imported", found["rows"], expected)
        self.story.check("points imported", found["points"], expected)
        return name

    def count_in_batch(self, source: str, expected: Counter[str]) -> None:
        """Count airports by country in a batch job, into a table of its own."""
        made = f"{source}_by_country"
        with self.story.step("Count in a batch job") as said:
            self.story.check("tables of that name", self.exists(made), False)
            self.made.add(made)
            job = self.batch.create_and_wait_for_completion(
                f"CREATE TABLE {quote_identifier(made)} AS "
                f"SELECT country, count(*) AS airports FROM {quote_identifier(source)} GROUP BY country"
            )
            found = self.sql.send(f"SELECT country, airports FROM {quote_identifier(made)}")["rows"]
            said.append(f"{job['status']}, {len(found)} countries")
        counts = {row["country"]: row["airports"] for row in found}
        self.story.check("airports per country, in batch", counts, dict(expected))

    def describe(self) -> None:
        """Find the dataset in the list, describe it, rename it."""
        with self.story.step("List, describe, rename") as said:
            found = [dataset for dataset in self.datasets.all() if dataset.name == self.name]
            self.story.check("datasets of that name", len(found), 1)
            dataset = found[0]
            dataset.description = "Airports with an ICAO code"
            dataset.tags = ["aviation", "example"]
            dataset.save()
            renamed = f"{self.name}_renamed"
            self.story.check("tables of the new name", self.exists(renamed), False)
            self.made.add(renamed)
            dataset.name = renamed
            dataset.save()
            said.append(f"{self.name} is now {renamed}")
            self.name = renamed
        self.story.check("description", self.datasets.get(renamed).description, "Airports with an ICAO code")

    def delete(self) -> None:
        """Delete the dataset, which takes its table with it."""
        with self.story.step("Delete") as said:
            self.remove_leftovers(but=self.name)
            dataset_id = self.datasets.get(self.name).id
            self.datasets.get(dataset_id).delete()
            left = [dataset.name for dataset in self.datasets.all()]
            said.append(f"{len(left)} datasets left")
        self.story.check("the deleted dataset", self.name in left, False)

    def exists(self, name: str) -> bool:
        """Whether the account has a table of that name."""
        found = f"SELECT to_regclass({quote_literal(quote_identifier(name))}) IS NOT NULL AS found"
        return bool(self.sql.send(found)["rows"][0]["found"])

    def remove_leftovers(self, but: str | None = None) -> None:
        """Drop what was made here and is still there, whatever its name; not what others made."""
        for name in self.made - {but}:
            self.sql.send(f"DROP TABLE IF EXISTS {quote_identifier(name)}")


def main() -> None:
    """Do all of it on the account that the environment or the command line names."""
    parser = account.parser(__doc__)
    parser.add_argument(
        "--table", default="airports_etl", help="name of the table to make (default: %(default)s)"
    )
    parser.add_argument("--lat", type=float, default=38.7223, help="a point to look around (default: Lisbon)")
    parser.add_argument("--lon", type=float, default=-9.1393)
    arguments = parser.parse_args()

    airports = Airports(account.connect(arguments), arguments.table)
    counts = Counter(airport["country"] for airport in SOURCE.values())
    print(f"{len(SOURCE)} airports to move through {arguments.base_url}")
    try:
        airports.create()
        airports.load(len(SOURCE))
        airports.ask_where(arguments.lat, arguments.lon)
        airports.ask_countries(counts)
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / f"{arguments.table}_out.csv"
            airports.export(file, set(SOURCE))
            airports.describe()
            imported = airports.import_file(file, len(SOURCE))
        airports.count_in_batch(imported, counts)
        airports.delete()
    finally:
        airports.remove_leftovers()
    airports.story.end()


if __name__ == "__main__":
    main()
