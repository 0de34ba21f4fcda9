"""What formats share whose document can only be written when the last row is there."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import IO

import psycopg

from carto_like.server.errors import Problem
from carto_like.server.services.answers import Query
from carto_like.server.sqlapi.results import Columns, Row
from carto_like.server.sqlapi.wire import Connection, events

_TOO_LARGE = (
    "The result is too large for this format, which is made in memory: ask for fewer rows or another format"
)


class Budget:
    """What may be kept of one result.

    Args:
        limit: characters of text that the rows may have, 0 for any.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._used = 0

    def take(self, rows: Sequence[Row]) -> None:
        """Count rows; raises the 400 when they do not fit any more."""
        if self._limit:
            self._used += sum(sum(map(len, filter(None, row))) for row in rows)
            if self._used > self._limit:
                raise Problem(400, _TOO_LARGE)


async def batches(
    conn: Connection, sql: str, query: Query, limit: int
) -> AsyncGenerator[Columns | list[Row], None]:
    """The columns of a statement, then its rows in batches.

    Raises:
        Problem: the statement fails, or its rows have more than ``limit`` characters.
    """
    budget = Budget(limit)
    try:
        async with aclosing(events(conn, sql, chunk=query.chunk)) as stream:
            async for event in stream:
                if isinstance(event, list):
                    query.count(event)
                    budget.take(event)
                    yield event
                elif isinstance(event, Columns):
                    yield event
    except psycopg.Error as error:
        raise query.explain(error) from error


def in_file(data: bytes) -> IO[bytes]:
    """Data as an open file."""
    file = tempfile.SpooledTemporaryFile(len(data) + 1)  # noqa: SIM115
    file.write(data)
    file.seek(0)
    return file
