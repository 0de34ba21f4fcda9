"""Projects, which hold devices and their streams."""

from __future__ import annotations

from typing import Any

from carto_like.server.pool import Connection

from .kinds import MINE, Kind
from .orgs import CREATOR

TABLE = "iotile_project"

PROJECT = Kind(
    columns={
        "id": "p.id",
        "name": "p.name",
        "gid": "p.gid",
        "org": "o.slug",
        "about": "p.about",
        "project_template": "p.project_template",
        "created_on": "p.created_on",
        "created_by": CREATOR.format("p.created_by"),
        "org_id": "p.org",
    },
    source="carto_like.iotile_project p JOIN carto_like.iotile_org o ON o.id = p.org",
    keys=("p.name", "p.id"),
    visible=f"p.org IN {MINE}",
)

_COUNTS = """
SELECT (SELECT count(*) FROM carto_like.iotile_device WHERE project = %(project)s),
       (SELECT count(*) FROM carto_like.iotile_stream WHERE project = %(project)s),
       (SELECT count(*) FROM carto_like.iotile_variable WHERE project = %(project)s)
"""


async def counts(connection: Connection, project: Any) -> dict[str, int]:
    """How much a project has of each kind."""
    row = await (await connection.execute(_COUNTS, {"project": project})).fetchone()
    assert row is not None
    return dict(zip(("devices", "streams", "variables"), row, strict=True))


async def has_devices(connection: Connection, project: Any) -> bool:
    """Whether devices belong to a project; none joins it until the transaction ends."""
    await connection.execute("SELECT FROM carto_like.iotile_project WHERE id = %s FOR UPDATE", (project,))
    cursor = await connection.execute(
        "SELECT FROM carto_like.iotile_device WHERE project = %s LIMIT 1", (project,)
    )
    return await cursor.fetchone() is not None
