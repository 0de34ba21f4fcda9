"""Reports of streamers: their readings and events, each recorded once however often they are sent."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson
from psycopg.types.json import Jsonb

from carto_like.server.pool import Connection

from . import chunks
from .recording import NewReading, record
from .slugs import StreamKey


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
    readings = await _news(connection, delivery.sender.device, delivery.readings)
    await record(connection, readings, account)
    for event in delivery.events:
        await _record_event(connection, event, account)
    ids = [reading.local_id for reading in readings] + [event.local_id for event in delivery.events]
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
                delivery.sender.device,
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


async def _news(connection: Connection, device: int, readings: list[NewReading]) -> list[NewReading]:
    """The readings that were not recorded before.

    A device that was reset begins to count anew, so its number alone does not tell a reading: value and
    moment do so with it, the moment on the device's clock where the report has that.
    """
    fresh: dict[tuple[object, ...], NewReading] = {}
    for place, reading in enumerate(readings):
        taken = reading.device_timestamp
        moment = reading.moment if taken is None else None
        identity = (reading.key.variable, reading.local_id, taken, moment, reading.int_value)
        fresh[identity if reading.local_id else (*identity, place)] = reading
    numbers = {(reading.key.variable, reading.local_id) for reading in readings if reading.local_id}
    cursor = await connection.execute(
        "SELECT r.variable, r.streamer_local_id, r.device_timestamp,"
        " CASE WHEN r.device_timestamp IS NULL THEN r.timestamp END, r.int_value"
        " FROM unnest(%s::bigint[], %s::bigint[]) AS k (variable, local_id)"
        " JOIN carto_like.iotile_stream_data r ON r.device = %s AND r.variable = k.variable"
        " AND r.streamer_local_id = k.local_id AND r.streamer_local_id <> 0",
        ([variable for variable, _ in numbers], [local_id for _, local_id in numbers], device),
    )
    for row in await cursor.fetchall():
        fresh.pop(tuple(row), None)
    return list(fresh.values())


async def _record_event(connection: Connection, event: NewEvent, account: int) -> None:
    await connection.execute(
        "INSERT INTO carto_like.iotile_stream_event (device, variable, timestamp, device_timestamp,"
        " streamer_local_id, extra_data, created_by) SELECT %(device)s, %(variable)s, %(moment)s, %(taken)s,"
        " %(local_id)s, %(extra)s, %(account)s WHERE %(local_id)s = 0 OR NOT EXISTS ("
        "SELECT FROM carto_like.iotile_stream_event e"
        " WHERE e.device = %(device)s AND e.variable = %(variable)s"
        " AND e.streamer_local_id = %(local_id)s AND e.device_timestamp IS NOT DISTINCT FROM %(taken)s"
        " AND (e.timestamp = %(moment)s OR %(taken)s IS NOT NULL))",
        {
            **event.key._asdict(),
            "moment": event.moment,
            "taken": event.device_timestamp,
            "local_id": event.local_id,
            # Not the standard library's, which writes NaN for what MessagePack brings.
            "extra": Jsonb(event.extra_data, orjson.dumps),
            "account": account,
        },
    )
