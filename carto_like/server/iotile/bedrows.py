"""What IOTile Cloud for tests is told, as rows of its tables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from carto_like.pure.gids import padded_number, whole
from carto_like.server.pool import Connection
from carto_like.server.services.iotile import slugs


async def one(connection: Connection, query: str, value: Any) -> Any:
    """The first column of the row that a query finds; raises ``ValueError`` when there is none."""
    row = await (await connection.execute(query.encode(), (value,))).fetchone()
    if row is None:
        raise ValueError(f"there is no {value!r}")
    return row[0]


async def project_row(connection: Connection, name: str) -> dict[str, Any]:
    """``id``, ``gid`` and ``org`` of a project by slug or UUID; raises ``ValueError`` when there is none."""
    number = slugs.project_number(str(name))
    column, value = ("gid", number) if number is not None else ("id", UUID(str(name)))
    cursor = await connection.execute(
        f"SELECT id, gid, org FROM carto_like.iotile_project WHERE {column} = %s".encode(), (value,)
    )
    row = await cursor.fetchone()
    if row is None:
        raise ValueError(f"there is no project {name!r}")
    return dict(zip(("id", "gid", "org"), row, strict=True))


async def place_of(connection: Connection, project: str, accounts: list[int]) -> dict[str, Any]:
    """What puts a device into a project."""
    found = await project_row(connection, project)
    claimed_by = accounts[0] if accounts else None
    return {"project": found["id"], "org": found["org"], "claimed_by": claimed_by}


def device_number(value: Any) -> int:
    """The number of a device by number or slug; raises ``ValueError`` for what is neither."""
    if isinstance(value, str):
        return padded_number(value.removeprefix("d--"), 4, "a device")
    return whole(value, 48, "a device")


def streamer_facts(value: Any) -> dict[str, Any]:
    """What is meant by an index, ``(index, last id)``, or a mapping that says it all."""
    if isinstance(value, Mapping):
        return dict(value)
    index, *rest = value if isinstance(value, (tuple, list)) else (value,)
    return {"streamer_index": index, "streamer_ack": rest[0] if rest else 0}
