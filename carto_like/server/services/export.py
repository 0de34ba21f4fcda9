"""Exports that are complete before their first byte is sent, so that an error can still be a status."""

from __future__ import annotations

import csv
import io
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import aclosing
from typing import IO

import psycopg

from carto_like.pure.pgtext import without_semicolon
from carto_like.server.errors import Problem
from carto_like.server.services.answers import Query
from carto_like.server.sqlapi.results import Columns, Row
from carto_like.server.sqlapi.scanning import scan
from carto_like.server.sqlapi.types import Types
from carto_like.server.sqlapi.wire import Connection, describe, events

# Clients look for the name of the tool that once made these files.
ERROR_PREFIX = "ogr2ogr command return code 1, Error: "
_MEMORY = 4 * 2**20
_BLOCK = 256 * 1024


async def export_csv(conn: Connection, query: Query, types: Types) -> IO[bytes]:
    """The rows as a CSV file, open at its beginning and gone when closed: on disk unless it is small.

    Raises:
        Problem: the query fails; PostgreSQL's own words when it was refused before it ran.
    """
    wrapped = f"SELECT * FROM (\n{await scan(without_semicolon, query.sql)}\n) AS q"
    try:
        await describe(conn, wrapped)
    except psycopg.Error as error:
        raise query.explain(error) from error
    target: IO[bytes] = tempfile.SpooledTemporaryFile(_MEMORY)  # noqa: SIM115
    try:
        await _write_csv(conn, wrapped, query, types, target)
    except BaseException:
        target.close()
        raise
    target.seek(0)
    return target


async def _write_csv(conn: Connection, sql: str, query: Query, types: Types, target: IO[bytes]) -> None:
    writer: _CsvWriter | None = None
    try:
        async with aclosing(events(conn, sql, chunk=query.chunk)) as stream:
            async for event in stream:
                if isinstance(event, Columns):
                    writer = _CsvWriter(event, query.skip, types, target)
                elif isinstance(event, list) and writer is not None:
                    query.count(event)
                    writer.write(event)
    except psycopg.Error as error:
        raise run_problem(error, query) from error


def run_problem(error: psycopg.Error, query: Query) -> Problem:
    """What to tell of an error that came while rows were read for an export."""
    problem = query.explain(error)
    # Class 42 is PostgreSQL's "syntax error or access rule violation": refused before anything ran.
    if problem.status != 400 or (error.sqlstate or "").startswith("42"):
        return problem
    return Problem(400, f"{ERROR_PREFIX}{problem.message}", detail=problem.detail, hint=problem.hint)


class _CsvWriter:
    """Writes rows with ``the_geom`` first, booleans in words, and quotes only where needed."""

    def __init__(self, columns: Columns, skip: frozenset[str], types: Types, target: IO[bytes]) -> None:
        kept = [place for place, name in enumerate(columns.names) if name not in skip]
        self._places = sorted(kept, key=lambda place: columns.names[place] != "the_geom")
        self._booleans = {place for place in kept if types.name(columns.oids[place]) == "bool"}
        self._target = target
        names = [columns.names[place] for place in self._places]
        # A header of one name would not look like CSV; readers expect its comma.
        self._write_lines([[*names, ""] if len(names) == 1 else names])

    def write(self, rows: Sequence[Row]) -> None:
        """Append rows."""
        columns = list(zip(*rows, strict=True))
        chosen = [self._texts(place, columns[place]) for place in self._places]
        self._write_lines(zip(*chosen, strict=True) if chosen else ())

    def _texts(self, place: int, column: tuple[str | None, ...]) -> Iterable[str | None]:
        if place in self._booleans:
            return [_WORDS.get(text or "", "") for text in column]
        return column

    def _write_lines(self, lines: Iterable[Iterable[str | None]]) -> None:
        text = io.StringIO(newline="")
        csv.writer(text, lineterminator="\r\n").writerows(lines)
        self._target.write(text.getvalue().encode())


_WORDS = {"t": "true", "f": "false"}


def read_blocks(source: IO[bytes]) -> Iterator[bytes]:
    """A file in blocks; one empty block for an empty file."""
    block = source.read(_BLOCK)
    yield block
    while block := source.read(_BLOCK):
        yield block
