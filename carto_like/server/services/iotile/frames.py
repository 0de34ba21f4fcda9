"""Readings as a table: row by row, a column per stream, or their statistics."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from carto_like.server.db import Database
from carto_like.server.pool import Connection

from .readings import told_rows
from .scopes import Scope
from .slugs import StreamKey, stream_slug

_CHUNK = 5000
_STATISTICS = ("count", "sum", "mean", "std", "min", "median", "max")
_AGGREGATES = (
    "count({0}), sum({0}), avg({0}), stddev_samp({0}), min({0}),"
    " percentile_cont(0.5) WITHIN GROUP (ORDER BY {0}), max({0})"
)
_VALUES = {"value": "r.told", "output_value": "r.output", "int_value": "r.int_value"}


@dataclass(frozen=True)
class Table:
    """A table that is read while it is written.

    Attributes:
        header: names of the columns.
        rows: in the order of the header.
    """

    header: Sequence[str]
    rows: AsyncIterator[Sequence[Any]]


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

    async def _plain(self, columns: str) -> AsyncIterator[Sequence[Any]]:
        async for chunk in self._chunks(columns):
            for moment, _, value, *others in chunk:
                yield moment, value, *others

    async def pivot(self) -> Table:
        """A row per moment, with a column per stream."""
        slugs = await self._streams()
        return Table(("row", *slugs), self._pivoted({slug: place for place, slug in enumerate(slugs)}))

    async def _pivoted(self, places: dict[str, int]) -> AsyncIterator[Sequence[Any]]:
        current: datetime | None = None
        values: list[Any] = []
        async for chunk in self._chunks("r.slug"):
            for moment, _, value, slug in chunk:
                if moment != current:
                    if current is not None:
                        yield current, *values
                    current, values = moment, [None] * len(places)
                # A stream that began after its columns were counted has none.
                if slug in places:
                    values[places[slug]] = value
        if current is not None:
            yield current, *values

    async def statistics(self, *, pivot: bool) -> Table:
        """A row per statistic, of all values or, with ``pivot``, of each stream's."""
        aggregates = _AGGREGATES.format(self._value)
        rows = told_rows(self._scope.condition)
        query = f"SELECT {'r.slug, ' if pivot else ''}{aggregates} FROM ({rows}) r"
        query += " GROUP BY r.slug ORDER BY r.slug" if pivot else ""
        async with self._database.metadata() as connection:
            found = await _all(connection, query, {**self._scope.values, "size": None, "offset": 0})
        header = ("row", *(row[0] for row in found)) if pivot else ("row", self._name)
        columns = [row[1:] if pivot else row for row in found]
        return Table(
            header, _each((name, *parts) for name, *parts in zip(_STATISTICS, *columns, strict=True))
        )

    async def _streams(self) -> list[str]:
        query = (
            "SELECT DISTINCT r.device, r.variable FROM carto_like.iotile_stream_data r"
            f" WHERE {self._scope.condition}"
        )
        async with self._database.metadata() as connection:
            found = await _all(connection, query, dict(self._scope.values))
        return sorted(stream_slug(StreamKey(*row)) for row in found)

    async def _chunks(self, columns: str) -> AsyncIterator[list[tuple[Any, ...]]]:
        values: dict[str, Any] = {**self._scope.values, "size": _CHUNK, "offset": 0}
        condition = self._scope.condition
        while True:
            query = (
                f"SELECT r.timestamp, r.id, {self._value}, {columns} FROM ({told_rows(condition)}) r"
                " ORDER BY r.timestamp, r.id"
            )
            async with self._database.metadata() as connection:
                chunk = await _all(connection, query, values)
            if chunk:
                yield chunk
            if len(chunk) < _CHUNK:
                return
            condition = f"{self._scope.condition} AND (r.timestamp, r.id) > (%(after)s, %(after_id)s)"
            values |= {"after": chunk[-1][0], "after_id": chunk[-1][1]}


async def _all(connection: Connection, query: str, values: dict[str, Any]) -> list[tuple[Any, ...]]:
    return await (await connection.execute(query.encode(), values)).fetchall()


async def _each(rows: Any) -> AsyncIterator[Sequence[Any]]:
    for row in rows:
        yield row
