"""New readings: checked against what their account may see, and written all or none."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from carto_like.server.pool import Connection

from .kinds import MINE
from .scopes import visible_projects
from .slugs import StreamKey, project_of

_COLUMNS = (
    "device, variable, timestamp, device_timestamp, streamer_local_id, int_value, value, type,"
    " status, dirty_ts"
)
# Devices and data blocks that the account sees; a block is seen with its device, too.
_RECORDERS = f"""
SELECT k.key FROM unnest(%(keys)s::bigint[]) AS k (key)
WHERE EXISTS (SELECT FROM carto_like.iotile_device d WHERE d.id = k.key & 281474976710655 AND d.org IN {MINE})
   OR EXISTS (SELECT FROM carto_like.iotile_datablock b WHERE b.id = k.key AND b.org IN {MINE})
"""


@dataclass(frozen=True)
class NewReading:
    """A reading to be recorded; either of ``int_value`` and ``value`` is given."""

    key: StreamKey
    moment: datetime
    int_value: int | None = None
    value: float | None = None
    type: str = "ITR"
    device_timestamp: int | None = None
    local_id: int = 0
    status: str = "unk"
    is_dirty: bool = False

    @property
    def row(self) -> tuple[object, ...]:
        """The values of a new row."""
        return (
            *(self.key.device, self.key.variable, self.moment, self.device_timestamp, self.local_id),
            *(self.int_value, self.value, self.type, self.status, self.is_dirty),
        )


async def unknown_streams(
    connection: Connection, account: int, keys: Iterable[StreamKey]
) -> dict[StreamKey, str]:
    """Those of the streams in which an account cannot record, each with the reason."""
    wanted = set(keys)
    projects = await visible_projects(connection, account)
    cursor = await connection.execute(_RECORDERS, {"me": account, "keys": [key.device for key in wanted]})
    recorders = {row[0] for row in await cursor.fetchall()}
    problems = {}
    for key in wanted:
        if project_of(key.variable) not in projects:
            problems[key] = "There is no such project."
        elif key.device not in recorders:
            problems[key] = "There is no such device."
    return problems


async def record_one(connection: Connection, reading: NewReading, account: int) -> int:
    """Record a reading, and answer its number."""
    await begin_streams(connection, [reading.key], account)
    marks = ", ".join(["%s"] * len(reading.row))
    row = await (
        await connection.execute(
            f"INSERT INTO carto_like.iotile_stream_data ({_COLUMNS}) VALUES ({marks}) RETURNING id".encode(),
            reading.row,
        )
    ).fetchone()
    assert row is not None, "INSERT ... RETURNING answers"
    return int(row[0])


async def record(connection: Connection, readings: Sequence[NewReading], account: int | None) -> None:
    """Record readings, all of them or none."""
    await begin_streams(connection, {reading.key for reading in readings}, account)
    copy = f"COPY carto_like.iotile_stream_data ({_COLUMNS}) FROM STDIN".encode()
    async with connection.cursor() as cursor, cursor.copy(copy) as sink:
        for reading in readings:
            await sink.write_row(reading.row)


async def begin_streams(connection: Connection, keys: Iterable[StreamKey], account: int | None) -> None:
    """Make the records of streams that have none, where their variables are described."""
    wanted = sorted(set(keys))
    await connection.execute(
        "INSERT INTO carto_like.iotile_stream (device, variable, project, var_type, created_by)"
        " SELECT k.device, k.variable, v.project, v.var_type, %s"
        " FROM unnest(%s::bigint[], %s::bigint[]) AS k (device, variable)"
        " JOIN carto_like.iotile_variable v ON v.variable = k.variable"
        " ON CONFLICT (device, variable) DO NOTHING",
        (account, [key.device for key in wanted], [key.variable for key in wanted]),
    )
