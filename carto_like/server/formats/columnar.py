"""A query's rows as Parquet or Arrow, sent while they are read.

PostgreSQL sends CSV, which Arrow reads in its own code, without Python's lock and in another thread: the
event loop only hands blocks on. At most one block is being encoded while the next one is gathered.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

import orjson
import psycopg
import pyarrow as pa
import pyarrow.csv

from carto_like.pure.pgtext import without_semicolon
from carto_like.server.errors import Problem
from carto_like.server.formats.columnarfiles import FILES, File
from carto_like.server.formats.columnargeometry import Column, Geometries, from_hex
from carto_like.server.formats.columnarplan import Field, Plan, make_plan
from carto_like.server.services.answers import Block, Query
from carto_like.server.services.copy import copy_out
from carto_like.server.sqlapi.scanning import scan
from carto_like.server.sqlapi.types import Types
from carto_like.server.sqlapi.wire import Connection, describe

_TEXT_BYTES = 4 * 2**20


async def columnar_blocks(
    conn: Connection, query: Query, types: Types, format: str
) -> AsyncGenerator[Block, None]:
    """The rows of one query as a file; what fails before its first block is an error of its own.

    Raises:
        Problem, psycopg.Error: the query fails, or the format cannot hold its rows.
    """
    inner = await scan(without_semicolon, query.sql)
    columns = await describe(conn, f"SELECT * FROM (\n{inner}\n) AS q")
    plan = make_plan(columns, query.skip, types)
    encoder = Encoder(plan, format)
    sql = plan.statement(inner, len(columns.names))
    try:
        async with aclosing(_encoded(conn, sql, query, encoder)) as blocks:
            async for block in blocks:
                if block:
                    yield block, False
    except psycopg.Error as error:
        raise query.explain(error) from error
    yield await asyncio.to_thread(encoder.finish), True


async def _encoded(conn: Connection, sql: str, query: Query, encoder: Encoder) -> AsyncGenerator[bytes, None]:
    """What comes of the rows, a block behind what is read."""
    text = bytearray()
    ahead: asyncio.Future[tuple[int, bytes]] | None = None
    try:
        async with aclosing(copy_out(conn, sql, largest_row=query.row_limit)) as source:
            async for piece in source:
                text += piece
                if len(text) < _TEXT_BYTES:
                    continue
                # One after the other: of two threads the later could be the first to write to the file.
                encoded = None if ahead is None else await ahead
                ahead = asyncio.ensure_future(asyncio.to_thread(encoder.add, text))
                text = bytearray()
                if encoded is not None:
                    yield _counted(query, encoded)
        if ahead is not None:
            done, ahead = ahead, None
            yield _counted(query, await done)
        if text:
            yield _counted(query, await asyncio.to_thread(encoder.add, text))
    finally:
        # A thread cannot be stopped, and nobody is left to hear of what it meets.
        if ahead is not None:
            await asyncio.wait({ahead})
            ahead.exception()


def _counted(query: Query, encoded: tuple[int, bytes]) -> bytes:
    query.tally.rows += encoded[0]
    return encoded[1]


class Encoder:
    """Turns the text of whole rows into parts of a file; one call at a time, in any thread.

    Args:
        plan: the columns.
        format: ``parquet`` or ``arrow``.
    """

    def __init__(self, plan: Plan, format: str) -> None:
        self._plan = plan
        self._geometries = {
            field.name: Geometries(field.name, field.srid)
            for field in plan.fields
            if field.kind == "geometry"
        }
        self._file: File = FILES[format](plan, list(self._geometries.values()))
        self._names = [str(place) for place in range(len(plan.wire_types))]
        self._options = pyarrow.csv.ConvertOptions(
            column_types=dict(zip(self._names, plan.wire_types, strict=True)),
            null_values=[""],
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
            true_values=["t"],
            false_values=["f"],
        )
        self._schema = pa.schema([pa.field(field.name, field.type) for field in plan.fields])

    def add(self, text: bytearray) -> tuple[int, bytes]:
        """How many rows the text has, and what is ready to be sent.

        Raises:
            Problem: 400, the format cannot hold them.
        """
        try:
            batch = self._batch(text)
        except pa.ArrowInvalid as error:
            raise Problem(400, f"A value does not fit its column's type: {error}") from error
        return batch.num_rows, self._file.add(batch)

    def finish(self) -> bytes:
        """The end of the file."""
        return self._file.finish()

    def _batch(self, text: bytearray) -> Any:
        table = pyarrow.csv.read_csv(
            pa.BufferReader(text),
            pyarrow.csv.ReadOptions(
                column_names=self._names, use_threads=False, block_size=min(len(text) + 1, 2**31 - 1)
            ),
            pyarrow.csv.ParseOptions(newlines_in_values=True, ignore_empty_lines=False),
            self._options,
        )
        columns = iter([column.combine_chunks() for column in table.columns])
        arrays = [
            self._column(field, [next(columns) for _ in field.expressions]) for field in self._plan.fields
        ]
        return pa.record_batch(arrays, schema=self._schema)

    def _column(self, field: Field, parts: list[Column]) -> Column:
        if field.kind == "geometry":
            return self._geometries[field.name].take(parts[0], parts[1], parts[2] if parts[2:] else None)
        if field.kind == "hex":
            return from_hex(parts[0])
        if field.kind == "list":
            return _lists(field, parts[0])
        return parts[0] if parts[0].type == field.type else parts[0].cast(field.type)


def _lists(field: Field, column: Column) -> Column:
    """Lists out of JSON arrays of texts.

    Raises:
        Problem: 400, an array has more than one dimension, for which a list's type has no place.
    """
    values = [None if text is None else orjson.loads(text) for text in column.to_pylist()]
    flat = [item for value in values if value is not None for item in value]
    if any(isinstance(item, list) for item in flat):
        raise Problem(400, f'"{field.name}" has arrays of several dimensions: cast it to text or jsonb')
    ends = [0]
    for value in values:
        ends.append(ends[-1] + len(value or ()))
    missing = pa.array([value is None for value in values], pa.bool_())
    items = pa.array(flat, pa.string()).cast(field.type.value_type)
    return pa.ListArray.from_arrays(pa.array(ends, pa.int32()), items, mask=missing)
