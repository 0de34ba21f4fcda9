"""Readings as a table: row by row, a column per stream, or their statistics."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from carto_like.server.db import Database
from carto_like.server.pool import Connection

from .readings import all_told, told_rows
from .scopes import Scope
from .slugs import StreamKey, stream_slug

_CHUNK = 5000
# Most of them are empty where streams are many; their rows are as long nevertheless.
_MOST_CELLS = 500_000
_STATISTICS = ("count", "sum", "mean", "std", "min", "median", "max")
_AGGREGATES = (
    "count({0}), sum({0}), avg({0})::float8, stddev_samp({0})::float8, min({0}),"
    " percentile_cont(0.5) WITHIN GROUP (ORDER BY {0}), max({0})"
)
_LARGEST = 2**63

_MOMENT = "btrim(carto_like.iotile_json(r.timestamp), '\"')"
_VALUES = {"value": "r.told", "output_value": "r.output", "int_value": "r.int_value"}


@dataclass(frozen=True)
class Table:
    """A table that is read while it is written.

    Attributes:
        header: names of the columns.
        blocks: rows in the order of the header, many at a time; moments are text already.
    """

    header: Sequence[str]
    blocks: AsyncIterator[list[Sequence[Any]]]


class Frames:
    """Tables of the readings in a scope.

    Args:
        database: lent to each part of a table anew, so that a slow reader keeps nobody from it.
        scope: which readings.
        value: ``value``, ``output_value`` or ``int_value``.
    """

    def __init__(self, database: Database, scope: Scope, value: str) -> None:
        self._database = database
        self._scope = scope
        self._value = _VALUES[value]
        self._name = "int_value" if value == "int_value" else "value"

    def plain(self, *, extended: bool) -> Table:
        """A row per reading: moment, value, stream, and what the device said when ``extended``."""
        more = ("device_timestamp", "streamer_local_id") if extended else ()
        columns = ", ".join(["r.slug", *(f"r.{name}" for name in more)])
        return Table(("row", self._name, "stream_slug", *more), self._plain(columns))

    async def _plain(self, columns: str) -> AsyncIterator[list[Sequence[Any]]]:
        async for chunk in self._chunks(columns):
            yield [row[2:] for row in chunk]

    async def pivot(self) -> Table:
        """A row per moment, with a column per stream."""
        slugs = await self._streams()
        return Table(("row", *slugs), self._pivoted({slug: place for place, slug in enumerate(slugs)}))

    async def _pivoted(self, places: dict[str, int]) -> AsyncIterator[list[Sequence[Any]]]:
        block: list[list[Any]] = []
        most = max(1, _MOST_CELLS // (1 + len(places)))
        async for chunk in self._chunks("r.slug"):
            for _, _, moment, value, slug in chunk:
                # A stream that began after its columns were counted has none.
                if slug not in places:
                    continue
                place = 1 + places[slug]
                # A second reading of a stream at the same moment needs a row of its own.
                if not block or block[-1][0] != moment or block[-1][place] is not None:
                    if len(block) >= most:
                        yield list(block)
                        block.clear()
                    block.append([moment, *[None] * len(places)])
                block[-1][place] = value
            # The last row may go on in the next chunk.
            yield list(block[:-1])
            del block[:-1]
        yield list(block)

    async def statistics(self, *, pivot: bool) -> Table:
        """A row per statistic, of all values or, with ``pivot``, of each stream's."""
        aggregates = _AGGREGATES.format(self._value)
        rows = all_told(self._scope.condition)
        query = f"SELECT {'r.slug, ' if pivot else ''}{aggregates} FROM ({rows}) r"
        query += " GROUP BY r.slug ORDER BY r.slug" if pivot else ""
        async with self._database.metadata() as connection:
            found = await _all(connection, query, dict(self._scope.values))
        header = ("row", *(row[0] for row in found)) if pivot else ("row", self._name)
        columns = [[_told(value) for value in (row[1:] if pivot else row)] for row in found]
        return Table(header, _one(list(zip(_STATISTICS, *columns, strict=True))))

    async def _streams(self) -> list[str]:
        query = (
            "SELECT DISTINCT r.device, r.variable FROM carto_like.iotile_stream_data r"
            f" WHERE {self._scope.condition}"
        )
        async with self._database.metadata() as connection:
            found = await _all(connection, query, dict(self._scope.values))
        return sorted(stream_slug(StreamKey(*row)) for row in found)

    async def _chunks(self, columns: str) -> AsyncIterator[list[tuple[Any, ...]]]:
        """Rows of moment, number, moment as text, value, and the columns."""
        values: dict[str, Any] = {**self._scope.values, "size": _CHUNK, "offset": 0}
        condition = self._scope.condition
        slug = "%(slug)s::text" if self._scope.stream else None
        if self._scope.stream:
            values["slug"] = stream_slug(self._scope.stream)
        while True:
            rows = told_rows(condition, slug) if slug else told_rows(condition)
            query = f"SELECT r.timestamp, r.id, {_MOMENT}, {self._value}, {columns} FROM ({rows}) r"
            async with self._database.metadata() as connection:
                chunk = await _all(connection, query, values)
            if chunk:
                yield chunk
            if len(chunk) < _CHUNK:
                return
            condition = f"{self._scope.condition} AND (r.timestamp, r.id) > (%(after)s, %(after_id)s)"
            values |= {"after": chunk[-1][0], "after_id": chunk[-1][1]}


def _told(value: Any) -> Any:
    """A statistic as JSON can tell it: whole numbers are summed up to one of any size."""
    if not isinstance(value, Decimal):
        return value
    return int(value) if abs(value) < _LARGEST else float(value)


async def _all(connection: Connection, query: str, values: dict[str, Any]) -> list[tuple[Any, ...]]:
    return await (await connection.execute(query.encode(), values)).fetchall()


async def _one(block: list[Sequence[Any]]) -> AsyncIterator[list[Sequence[Any]]]:
    yield block
