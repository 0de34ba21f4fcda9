"""Readings as they are told: pages of a stream, and of the raw points of a device, block or variable.

Where a page begins is found in an index, whatever its depth. PostgreSQL makes the text of its JSON:
it is several times faster at that than reading thousands of rows into Python.

A stored integer becomes a value through the factors of the stream and its input unit, and that becomes an
output value through those of the output unit: ``value * m / d + o`` each time.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from carto_like.server.pool import Connection

from .scopes import Scope

_TABLE = "carto_like.iotile_stream_data"
_FACTORS = "LEFT JOIN carto_like.iotile_factors f ON f.device = r.device AND f.variable = r.variable"
_VALUE = "coalesce(r.value, f.im * (f.sm * r.int_value / f.sd + f.so) / f.id + f.io)"

_READING = """
'{"type":"' || r.type || '","timestamp":' || carto_like.iotile_json(r.timestamp)
|| ',"int_value":' || coalesce(r.int_value::text, 'null')
|| ',"value":' || carto_like.iotile_json(r.told)
|| ',"display_value":' || coalesce('"' || round(r.output::text::numeric, r.places) || '"', 'null')
|| ',"output_value":' || carto_like.iotile_json(r.output)
|| ',"streamer_local_id":' || r.streamer_local_id || '}'
"""
_POINT = """
'{"id":' || r.id || ',"stream":"' || r.slug || '","project":"p--' || substr(r.slug, 4, 9)
|| '","device":"d--' || substr(r.slug, 15, 19)
|| '","variable":"v--' || substr(r.slug, 4, 9) || right(r.slug, 6)
|| '","type":"' || r.type || '","device_timestamp":' || coalesce(r.device_timestamp::text, 'null')
|| ',"timestamp":' || carto_like.iotile_json(r.timestamp)
|| ',"int_value":' || coalesce(r.int_value::text, 'null')
|| ',"value":' || carto_like.iotile_json(r.told)
|| ',"streamer_local_id":' || r.streamer_local_id || ',"dirty_ts":' || r.dirty_ts::text
|| ',"status":"' || r.status || '"}'
"""
_SLUG = "carto_like.iotile_stream_slug(r.device, r.variable)"
_ENDLESS = -1


@dataclass(frozen=True)
class Period:
    """Which readings of a scope are meant.

    Attributes:
        start: first moment.
        end: moment before which to stop.
        lastn: only so many, the latest ones.
        ids: lowest and highest number of a reading.
        local_ids: lowest and highest number that the device gave.
    """

    start: datetime | None = None
    end: datetime | None = None
    lastn: int | None = None
    ids: tuple[int | None, int | None] = (None, None)
    local_ids: tuple[int | None, int | None] = (None, None)

    def within(self, scope: Scope) -> Scope:
        """The scope, narrowed by all but ``lastn``."""
        conditions, values = [scope.condition], dict(scope.values)
        bounds: list[tuple[str, str, Any]] = [
            ("r.timestamp >=", "start", self.start),
            ("r.timestamp <", "end", self.end),
            ("r.id >=", "id_0", self.ids[0]),
            ("r.id <=", "id_1", self.ids[1]),
            ("r.streamer_local_id >=", "local_0", self.local_ids[0]),
            ("r.streamer_local_id <=", "local_1", self.local_ids[1]),
        ]
        for comparison, name, value in bounds:
            if value is not None:
                conditions.append(f"{comparison} %({name})s")
                values[name] = value
        return replace(scope, condition=" AND ".join(conditions), values=values)


@dataclass(frozen=True)
class Slice:
    """A part of a list of readings.

    Attributes:
        text: the items as JSON, joined by commas.
        size: how many they are.
        count: how many the whole list has.
        end: where the next part begins, None at the end: moment and number of the last reading, and how many
            may follow (-1 where that is not limited).
    """

    text: str
    size: int
    count: int
    end: tuple[datetime, int, int] | None


@dataclass(frozen=True)
class Place:
    """Where a part of a list begins.

    Attributes:
        offset: after so many; None where the last part of the list's size begins.
        after: after this reading, by :attr:`Slice.end`; the offset does not count then.
        count: how many the list has, where that is known.
    """

    offset: int | None = 0
    after: tuple[datetime, int, int] | None = None
    count: int | None = None


async def readings(connection: Connection, scope: Scope, period: Period, size: int, place: Place) -> Slice:
    """Part of the readings of one stream, oldest first, in the stream's units."""
    return await _slice(connection, _READING, "NULL", scope, period, size, place)


async def points(connection: Connection, scope: Scope, period: Period, size: int, place: Place) -> Slice:
    """Part of the points of a scope as they were recorded, oldest first."""
    return await _slice(connection, _POINT, _SLUG, scope, period, size, place)


async def point(connection: Connection, scope: Scope, number: int) -> str | None:
    """The JSON of one point of a scope, None when it is not in it."""
    narrowed = Period(ids=(number, number))
    return (await points(connection, scope, narrowed, 1, Place(count=1))).text or None


async def latest(connection: Connection, scope: Scope, period: Period) -> Scope:
    """The readings of a period, as a scope that knows where the last ones begin."""
    narrowed = period.within(scope)
    if period.lastn is None:
        return narrowed
    ending = (
        f"SELECT r.timestamp, r.id FROM {_TABLE} r WHERE {narrowed.condition}"
        " ORDER BY r.timestamp DESC, r.id DESC LIMIT %(lastn)s"
    )
    query = f"SELECT t.timestamp, t.id FROM ({ending}) t ORDER BY t.timestamp, t.id LIMIT 1".encode()
    first = await (await connection.execute(query, {**narrowed.values, "lastn": period.lastn})).fetchone()
    if first is None:
        return narrowed
    condition = f"{narrowed.condition} AND (r.timestamp, r.id) >= (%(first)s, %(first_id)s)"
    values = {**narrowed.values, "first": first[0], "first_id": first[1]}
    return replace(narrowed, condition=condition, values=values)


def told_rows(condition: str, slug: str = _SLUG) -> str:
    """SQL of a part of the readings that meet a condition, oldest first.

    Besides the table's columns it has ``told`` (the value), ``output``, ``places`` (decimals) and ``slug``.
    The rows are cut first, by ``size`` and ``offset``; what is told of each is computed once.
    """
    order = "ORDER BY r.timestamp, r.id"
    cut = f"SELECT * FROM {_TABLE} r WHERE {condition} {order} LIMIT %(size)s OFFSET %(offset)s"
    # Ordered once more here, where the rows are in order, and not by readers, who have long texts by then.
    return _told(cut, slug, order)


def all_told(condition: str) -> str:
    """SQL of all readings that meet a condition, in no order; otherwise as :func:`told_rows`."""
    return _told(f"SELECT * FROM {_TABLE} r WHERE {condition}", _SLUG)


def _told(rows: str, slug: str, order: str = "") -> str:
    told = f"SELECT r.*, f.om, f.od, f.oo, f.places, {_VALUE} AS told, {slug} AS slug"
    return (
        "SELECT r.*, r.om * r.told / r.od + r.oo AS output"
        f" FROM ({told} FROM ({rows}) r {_FACTORS} {order} OFFSET 0) r OFFSET 0"
    )


async def _slice(
    connection: Connection, item: str, slug: str, scope: Scope, period: Period, size: int, place: Place
) -> Slice:
    narrowed = period.within(scope)
    count = place.count
    if count is None:
        count = await _count(connection, narrowed, period.lastn)
    offset = max(0, count - 1) // size * size if place.offset is None else place.offset
    condition, values, left = await _begin(
        connection, narrowed, period.lastn, count - offset, offset, place.after
    )
    values["size"] = size if left == _ENDLESS else min(size, left)
    # Aggregates and not rows: one text of a page costs a fraction of its thousands of rows.
    row = await _row(
        connection,
        "SELECT coalesce(string_agg(t.item, ','), ''), count(*), max(t.timestamp),"
        " (array_agg(t.id))[count(*)]"
        f" FROM (SELECT {item} AS item, r.timestamp, r.id FROM ({told_rows(condition, slug)}) r) t",
        values,
    )
    text, found, moment, number = row
    left = left if left == _ENDLESS else left - found
    end = (moment, number, left) if found and found == size and left else None
    if end is not None and not await _is_followed(connection, narrowed, end):
        end = None
    return Slice(text, found, count, end)


async def _begin(
    connection: Connection,
    scope: Scope,
    lastn: int | None,
    count: int,
    offset: int,
    after: tuple[datetime, int, int] | None,
) -> tuple[str, dict[str, Any], int]:
    """Condition and values of the rows from a place on, and how many of them may be told."""
    values: dict[str, Any] = {**scope.values, "offset": offset}
    if after is not None:
        values |= {"offset": 0, "first": after[0], "first_id": after[1]}
        return f"{scope.condition} AND (r.timestamp, r.id) > (%(first)s, %(first_id)s)", values, after[2]
    if lastn is None:
        return scope.condition, values, _ENDLESS
    # The last so many begin where the rest of them does, so nothing before it is skipped.
    first = await _first_of_last(connection, scope, count) if count > 0 else None
    if first is None:
        return "false", values, 0
    values |= {"offset": 0, "first": first[0], "first_id": first[1]}
    return f"{scope.condition} AND (r.timestamp, r.id) >= (%(first)s, %(first_id)s)", values, count


async def _count(connection: Connection, scope: Scope, lastn: int | None) -> int:
    rows = f"SELECT 1 FROM {_TABLE} r WHERE {scope.condition}"
    if lastn is not None:
        rows += " ORDER BY r.timestamp DESC, r.id DESC LIMIT %(lastn)s"
    row = await _row(connection, f"SELECT count(*) FROM ({rows}) t", {**scope.values, "lastn": lastn})
    return int(row[0])


async def _first_of_last(connection: Connection, scope: Scope, lastn: int) -> tuple[datetime, int] | None:
    query = (
        f"SELECT r.timestamp, r.id FROM {_TABLE} r WHERE {scope.condition}"
        " ORDER BY r.timestamp DESC, r.id DESC LIMIT 1 OFFSET %(before)s"
    )
    values = {**scope.values, "before": lastn - 1}
    row = await (await connection.execute(query.encode(), values)).fetchone()
    # None when they were deleted since they were counted.
    return None if row is None else (row[0], row[1])


async def _is_followed(connection: Connection, scope: Scope, end: tuple[datetime, int, int]) -> bool:
    row = await _row(
        connection,
        f"SELECT EXISTS (SELECT FROM {_TABLE} r WHERE {scope.condition}"
        " AND (r.timestamp, r.id) > (%(last)s, %(last_id)s))",
        {**scope.values, "last": end[0], "last_id": end[1]},
    )
    return bool(row[0])


async def _row(connection: Connection, query: str, values: dict[str, Any]) -> tuple[Any, ...]:
    row = await (await connection.execute(query.encode(), values)).fetchone()
    if row is None:
        raise LookupError("a reading went away while it was read")
    return row
