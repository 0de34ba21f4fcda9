"""Reports of streamers: their readings and events, each recorded once however often they are sent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID

import orjson
from psycopg.types.json import Jsonb

from carto_like.server.pool import Connection

from . import chunks
from .recording import NewReading, begin_streams, record
from .slugs import StreamKey

_READINGS, _EVENTS = "carto_like.iotile_stream_data", "carto_like.iotile_stream_event"
# What tells readings of one number and moment from each other; events have nothing more.
_VALUES = {_READINGS: "r.int_value", _EVENTS: "NULL"}


@dataclass(frozen=True)
class Sender:
    """A device that reports come from.

    Attributes:
        device: its number.
        project: number of the project that it records in; None while it is in none.
    """

    device: int
    project: int | None


@dataclass(frozen=True)
class NewEvent:
    """An event to be recorded."""

    key: StreamKey
    moment: datetime
    device_timestamp: int | None
    local_id: int
    extra_data: dict[str, Any]


T = TypeVar("T", bound=NewReading | NewEvent)


@dataclass(frozen=True)
class Delivery:
    """A report, ready to be recorded.

    Attributes:
        first: lowest number of a reading that the report says it has.
        last: the highest.
        sent: when it arrived.
        device_sent: seconds on the device's clock when it was sent.
        content: the file as it came.
        extension: of the file's name, with its dot.
    """

    sender: Sender
    index: int
    selector: int
    report_id: int
    first: int
    last: int
    sent: datetime
    device_sent: int
    content: bytes
    extension: str
    readings: list[NewReading]
    events: list[NewEvent]


async def sender_of(connection: Connection, account: int, device: int) -> Sender | None:
    """The device that a report is of; None when the account may not see it.

    Its reports wait for each other until the transaction ends, so that what comes twice at once, by one of
    its streamers or by two, is recorded once; nor does it change hands meanwhile.
    """
    row = await (
        await connection.execute(
            "SELECT d.id, p.gid FROM carto_like.iotile_device d"
            " JOIN carto_like.iotile_org_member m ON m.org = d.org AND m.account = %s AND m.is_active"
            " LEFT JOIN carto_like.iotile_project p ON p.id = d.project WHERE d.id = %s"
            " FOR NO KEY UPDATE OF d",
            (account, device),
        )
    ).fetchone()
    return None if row is None else Sender(*row)


async def deliver(connection: Connection, delivery: Delivery, account: int) -> UUID:
    """Record what is new in a report, keep its file, and answer its number."""
    streamer = await _streamer(connection, delivery)
    device = delivery.sender.device
    readings = await _news(connection, _READINGS, device, delivery.readings)
    events = await _news(connection, _EVENTS, device, delivery.events)
    await record(connection, readings, account)
    await _record_events(connection, events, account)
    ids = [reading.local_id for reading in readings] + [event.local_id for event in events]
    await connection.execute(
        "UPDATE carto_like.iotile_streamer SET last_id = greatest(last_id, %s) WHERE id = %s",
        (delivery.last, streamer),
    )
    row = await (
        await connection.execute(
            "INSERT INTO carto_like.iotile_streamer_report (streamer, original_first_id, original_last_id,"
            " actual_first_id, actual_last_id, sent_timestamp, device_sent_timestamp, incremental_id, ext,"
            " created_by, org) SELECT %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, d.org"
            " FROM carto_like.iotile_device d WHERE d.id = %s RETURNING id",
            (
                *(streamer, delivery.first, delivery.last, min(ids, default=None), max(ids, default=None)),
                *(delivery.sent, delivery.device_sent, delivery.report_id, delivery.extension, account),
                device,
            ),
        )
    ).fetchone()
    assert row is not None, "INSERT ... RETURNING answers"
    await chunks.keep(connection, "report", row[0], delivery.content)
    return UUID(str(row[0]))


async def _streamer(connection: Connection, delivery: Delivery) -> int:
    """The number of the streamer, which is made by its first report."""
    row = await (
        await connection.execute(
            "INSERT INTO carto_like.iotile_streamer (device, index, selector) VALUES (%s, %s, %s)"
            " ON CONFLICT (device, index) DO UPDATE SET selector = excluded.selector RETURNING id",
            (delivery.sender.device, delivery.index, delivery.selector),
        )
    ).fetchone()
    assert row is not None, "INSERT ... RETURNING answers"
    return int(row[0])


async def _news(connection: Connection, table: str, device: int, items: Sequence[T]) -> list[T]:
    """The readings or events that were not recorded before.

    A device that was reset begins to count anew, so its number alone does not tell a reading: value and
    moment do so with it, the moment on the device's clock where the report has that.
    """
    fresh: dict[tuple[object, ...], T] = {}
    for place, item in enumerate(items):
        fresh[_identity(item) if item.local_id else (*_identity(item), place)] = item
    numbers = {(item.key.variable, item.local_id) for item in items if item.local_id}
    cursor = await connection.execute(
        "SELECT r.variable, r.streamer_local_id, r.device_timestamp,"
        f" CASE WHEN r.device_timestamp IS NULL THEN r.timestamp END, {_VALUES[table]}"
        " FROM unnest(%s::bigint[], %s::bigint[]) AS k (variable, local_id)"
        f" JOIN {table} r ON r.device = %s AND r.variable = k.variable"
        " AND r.streamer_local_id = k.local_id AND r.streamer_local_id <> 0".encode(),
        ([variable for variable, _ in numbers], [local_id for _, local_id in numbers], device),
    )
    for row in await cursor.fetchall():
        fresh.pop(tuple(row), None)
    return list(fresh.values())


def _identity(item: NewReading | NewEvent) -> tuple[object, ...]:
    moment = item.moment if item.device_timestamp is None else None
    value = item.int_value if isinstance(item, NewReading) else None
    return (item.key.variable, item.local_id, item.device_timestamp, moment, value)


async def _record_events(connection: Connection, events: Sequence[NewEvent], account: int) -> None:
    await begin_streams(connection, {event.key for event in events}, account)
    columns = "device, variable, timestamp, device_timestamp, streamer_local_id, extra_data, created_by"
    async with (
        connection.cursor() as cursor,
        cursor.copy(f"COPY {_EVENTS} ({columns}) FROM STDIN".encode()) as sink,
    ):
        for event in events:
            # Not the standard library's JSON, which writes NaN for what MessagePack brings.
            extra = Jsonb(event.extra_data, orjson.dumps)
            row = (event.moment, event.device_timestamp, event.local_id, extra, account)
            await sink.write_row((*event.key, *row))
