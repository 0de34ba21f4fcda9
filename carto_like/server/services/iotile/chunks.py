"""Files that came with reports and events, kept in pieces."""

from __future__ import annotations

from typing import Any

from carto_like.server.pool import Connection

_PIECE = 1 << 20
_TABLES = {"report": "carto_like.iotile_report_chunk", "event": "carto_like.iotile_event_chunk"}


async def keep(connection: Connection, owner: str, number: Any, content: bytes) -> None:
    """Keep the file of a ``report`` or an ``event``."""
    statement = f"INSERT INTO {_TABLES[owner]} ({owner}, number, content) VALUES (%s, %s, %s)".encode()
    for place, begin in enumerate(range(0, len(content), _PIECE)):
        await connection.execute(statement, (number, place, content[begin : begin + _PIECE]))


async def content_of(connection: Connection, owner: str, number: Any) -> bytes:
    """The file of a ``report`` or an ``event``; empty when there is none."""
    statement = f"SELECT content FROM {_TABLES[owner]} WHERE {owner} = %s ORDER BY number".encode()
    cursor = await connection.execute(statement, (number,))
    return b"".join([bytes(row[0]) for row in await cursor.fetchall()])
