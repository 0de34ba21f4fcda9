"""Devices, what was archived of them, and what sends their reports."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from psycopg import errors

from carto_like.server.pool import Connection

from .kinds import MINE, Kind, insert, update
from .orgs import CREATOR
from .slugs import StreamKey, stream_slug

TABLE = "iotile_device"

DEVICE = Kind(
    columns={
        "id": "d.id",
        "label": "d.label",
        "active": "d.active",
        "external_id": "d.external_id",
        "sg": "d.sg",
        "template": "d.template",
        "org": "o.slug",
        "project": "d.project",
        "lat": "d.lat",
        "lon": "d.lon",
        "state": "d.state",
        "created_on": "d.created_on",
        "claimed_by": CREATOR.format("d.claimed_by"),
        "claimed_on": "d.claimed_on",
        "org_id": "d.org",
    },
    source=(
        "carto_like.iotile_device d LEFT JOIN carto_like.iotile_org o ON o.id = d.org "
        "LEFT JOIN carto_like.iotile_project p ON p.id = d.project"
    ),
    keys=("d.id",),
    visible=f"d.org IN {MINE}",
)
DATABLOCK = Kind(
    columns={
        "id": "b.id",
        "title": "b.title",
        "description": "b.description",
        "org": "o.slug",
        "sg": "b.sg",
        "created_on": "b.created_on",
        "created_by": CREATOR.format("b.created_by"),
        "completed_on": "b.completed_on",
        "org_id": "b.org",
    },
    source="carto_like.iotile_datablock b JOIN carto_like.iotile_org o ON o.id = b.org",
    keys=("b.id",),
    visible=f"b.org IN {MINE}",
)
STREAMER = Kind(
    columns={
        "id": "t.id",
        "device": "t.device",
        "index": "t.index",
        "process_engine_ver": "t.process_engine_ver",
        "last_id": "t.last_id",
        "last_reboot_ts": "t.last_reboot_ts",
        "is_system": "t.is_system",
        "selector": "t.selector",
    },
    source="carto_like.iotile_streamer t JOIN carto_like.iotile_device d ON d.id = t.device",
    keys=("t.device", "t.index"),
    visible=f"d.org IN {MINE}",
)

_STREAM_COUNTS = """
SELECT coalesce(r.device, n.device, e.device), coalesce(r.variable, n.variable, e.variable),
       coalesce(n.amount, 0), coalesce(e.amount, 0), r.device IS NOT NULL
FROM (SELECT s.device, s.variable FROM carto_like.iotile_stream s WHERE s.device = %(device)s) r
FULL JOIN (SELECT device, variable, count(*) AS amount FROM carto_like.iotile_stream_data
           WHERE device = %(device)s GROUP BY 1, 2) n USING (device, variable)
FULL JOIN (SELECT device, variable, count(*) AS amount FROM carto_like.iotile_stream_event
           WHERE device = %(device)s GROUP BY 1, 2) e USING (device, variable)
WHERE EXISTS (SELECT FROM carto_like.iotile_project p
              WHERE p.gid = coalesce(r.variable, n.variable, e.variable) >> 16 AND p.org = %(org)s)
ORDER BY 1, 2
"""


class NumberTaken(Exception):
    """Another device has the number."""


async def create(connection: Connection, values: Mapping[str, Any]) -> int:
    """Make a device; without an ``id`` it gets the next number that is free.

    Raises:
        NumberTaken: there is a device of that number.
    """
    while True:
        try:
            async with connection.transaction():
                return int(await insert(connection, TABLE, values))
        except errors.UniqueViolation:
            # A number that was given by hand is in the way of those that are counted.
            if "id" in values:
                raise NumberTaken from None


async def unclaim(connection: Connection, device: int) -> None:
    """Let a device belong to nobody, and forget what was said about it."""
    await update(connection, TABLE, device, {"org": None})


async def stream_counts(connection: Connection, device: int, org: Any) -> dict[str, dict[str, Any]]:
    """How many readings and events each stream of a device (or block) has, by its slug.

    Only streams of projects of the organization count; ``has_streamid`` says whether there is a record of it.
    """
    cursor = await connection.execute(_STREAM_COUNTS, {"device": device, "org": org})
    return {
        stream_slug(StreamKey(row[0], row[1])): {
            "data_cnt": row[2],
            "event_cnt": row[3],
            "has_streamid": row[4],
        }
        for row in await cursor.fetchall()
    }
