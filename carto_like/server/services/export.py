"""Exports that are complete before their first byte is sent, so that an error can still be a status."""

from __future__ import annotations

import csv
import io
import tempfile
from collections.abc import Iterator
from contextlib import aclosing
from typing import IO

import psycopg

from carto_like.pure.pgtext import without_semicolon
from carto_like.server.errors import Problem
from carto_like.server.services.answers import Query
from carto_like.server.services.copy import copy_out
from carto_like.server.sqlapi.results import Columns
from carto_like.server.sqlapi.scanning import scan
from carto_like.server.sqlapi.types import Types
from carto_like.server.sqlapi.wire import Connection, describe

# Clients look for the name of the tool that once made these files.
ERROR_PREFIX = "ogr2ogr command return code 1, Error: "
_MEMORY = 4 * 2**20
_BLOCK = 256 * 1024


async def export_csv(conn: Connection, query: Query, types: Types) -> IO[bytes]:
    """The rows as a CSV file, open at its beginning and gone when closed: on disk unless it is small.

    Raises:
        Problem: the query fails; PostgreSQL's own words when it was refused before it ran.
    """
    inner = await scan(without_semicolon, query.sql)
    try:
        columns = await describe(conn, f"SELECT * FROM (\n{inner}\n) AS q")
    except psycopg.Error as error:
        raise query.explain(error) from error
    # The geometry first; all others in their order.
    kept = [place for place, name in enumerate(columns.names) if name not in query.skip]
    kept.sort(key=lambda place: columns.names[place] != "the_geom")
    target: IO[bytes] = tempfile.SpooledTemporaryFile(_MEMORY)  # noqa: SIM115
    try:
        target.write(_header([columns.names[place] for place in kept]))
        if kept:
            await _write_rows(conn, _statement(inner, columns, kept, types), query, target)
    except BaseException:
        target.close()
        raise
    target.seek(0)
    return target


def _header(names: list[str]) -> bytes:
    text = io.StringIO(newline="")
    # A header of one name would not look like CSV; readers expect its comma.
    csv.writer(text, lineterminator="\r\n").writerow([*names, ""] if len(names) == 1 else names)
    return text.getvalue().encode()


def _statement(inner: str, columns: Columns, kept: list[int], types: Types) -> str:
    """The COPY that writes the lines, but for their ends."""
    listed = [_expression(f"c{place}", types.name(columns.oids[place])) for place in kept]
    if len(kept) == 1:
        # An empty line would be overlooked.
        listed = [f"coalesce(({listed[0]})::text,'')"]
    # Columns go by number: a query may have two of one name.
    aliases = ",".join(f"c{place}" for place in range(len(columns.names)))
    return f"COPY (SELECT {','.join(listed)} FROM (\n{inner}\n) AS q({aliases})) TO STDOUT WITH (FORMAT csv)"


def _expression(value: str, kind: str | None) -> str:
    if kind == "bool":
        return f"{value}::text"
    # PostgreSQL puts an empty text into quotes, to tell it from NULL.
    return f"NULLIF({value}::text,'')" if kind in _TEXTS else value


_TEXTS = frozenset({"text", "varchar", "name", "xml", "unknown"})


async def _write_rows(conn: Connection, sql: str, query: Query, target: IO[bytes]) -> None:
    try:
        async with aclosing(copy_out(conn, sql, largest_row=query.row_limit)) as blocks:
            async for block in blocks:
                rows, data = _with_line_ends(block)
                query.tally.rows += rows
                target.write(data)
    except psycopg.Error as error:
        raise run_problem(error, query) from error


def _with_line_ends(block: bytearray) -> tuple[int, bytes | bytearray]:
    """How many lines the block has, and the same lines with the ends that CSV wants."""
    if b'"' not in block:
        return block.count(b"\n"), block.replace(b"\n", b"\r\n")
    # What stands between quotes is data; quotes inside are doubled, with nothing between the two.
    parts = block.split(b'"')
    rows = sum(part.count(b"\n") for part in parts[::2])
    parts[::2] = [part.replace(b"\n", b"\r\n") for part in parts[::2]]
    return rows, b'"'.join(parts)


def run_problem(error: psycopg.Error, query: Query) -> Problem:
    """What to tell of an error that came while rows were read for an export."""
    problem = query.explain(error)
    # Class 42 is PostgreSQL's "syntax error or access rule violation": refused before anything ran.
    if problem.status != 400 or (error.sqlstate or "").startswith("42"):
        return problem
    return Problem(400, f"{ERROR_PREFIX}{problem.message}", detail=problem.detail, hint=problem.hint)


def read_blocks(source: IO[bytes]) -> Iterator[bytes]:
    """A file in blocks; one empty block for an empty file."""
    block = source.read(_BLOCK)
    yield block
    while block := source.read(_BLOCK):
        yield block
