"""Which readings and events a filter means, among those of projects that an account may see."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from carto_like.server.pool import Connection

from .slugs import StreamKey, block_key, device_key, project_of, stream_key, variable_key


@dataclass(frozen=True)
class Scope:
    """Rows of readings or events, as a condition of SQL on their table ``r``.

    Attributes:
        condition: SQL.
        values: for its placeholders.
        stream: the one stream that is meant, if it is one.
    """

    condition: str
    values: Mapping[str, Any]
    stream: StreamKey | None = None


NOTHING = Scope("false", {})


async def scope_of(connection: Connection, account: int, text: str) -> Scope | None:
    """What a filter by the slug of a stream, device, block or variable means to an account.

    None when the text is no such slug; nothing that the account may not see is in the scope.
    """
    stream, variable = stream_key(text), variable_key(text)
    device = device_key(text) if text.startswith("d--") else block_key(text)
    if stream is not None:
        condition, values = "r.device = %(device)s AND r.variable = %(variable)s", dict(stream._asdict())
    elif variable is not None:
        condition, values = "r.variable = %(variable)s", {"variable": variable}
    elif device is not None:
        condition, values = "r.device = %(device)s", {"device": device}
    else:
        return None
    projects = await visible_projects(connection, account)
    if "variable" in values:
        return Scope(condition, values, stream) if project_of(values["variable"]) in projects else NOTHING
    condition += " AND r.variable >> 16 = ANY(%(projects)s)"
    return Scope(condition, {**values, "projects": sorted(projects)})


async def visible_projects(connection: Connection, account: int) -> set[int]:
    """Numbers of the projects of organizations that an account is in."""
    cursor = await connection.execute(
        "SELECT p.gid FROM carto_like.iotile_project p"
        " JOIN carto_like.iotile_org_member m ON m.org = p.org AND m.is_active"
        " WHERE m.account = %s",
        (account,),
    )
    return {row[0] for row in await cursor.fetchall()}
