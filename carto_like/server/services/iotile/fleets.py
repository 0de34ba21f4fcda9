"""Fleets of devices, and facts about things."""

from __future__ import annotations

from collections.abc import Iterable

from carto_like.server.pool import Connection

from .kinds import MINE, Kind
from .orgs import CREATOR

FLEET_TABLE, PROPERTY_TABLE, CATALOG_TABLE = "iotile_fleet", "iotile_property", "iotile_catalog"

FLEET = Kind(
    columns={
        "id": "f.id",
        "name": "f.name",
        "description": "f.description",
        "org": "o.slug",
        "is_network": "f.is_network",
        "created_on": "f.created_on",
        "created_by": CREATOR.format("f.created_by"),
        "org_id": "f.org",
    },
    source="carto_like.iotile_fleet f JOIN carto_like.iotile_org o ON o.id = f.org",
    keys=("f.id",),
    visible=f"f.org IN {MINE}",
)
FLEET_DEVICE = Kind(
    columns={
        "device": "x.device",
        "always_on": "x.always_on",
        "is_access_point": "x.is_access_point",
    },
    source="carto_like.iotile_fleet_device x JOIN carto_like.iotile_fleet f ON f.id = x.fleet",
    keys=("x.device",),
    visible=f"f.org IN {MINE}",
)
# Visible to who may ask for its target, which is looked at first.
PROPERTY = Kind(
    columns={
        "id": "q.id",
        "name": "q.name",
        "type": "q.type",
        "value": "q.value",
        "is_system": "q.is_system",
        "target": "q.target",
    },
    source="carto_like.iotile_property q",
    keys=("q.name", "q.id"),
    visible="true",
)


async def add_devices(connection: Connection, fleet: int, devices: Iterable[int], **facts: bool) -> None:
    """Put devices into a fleet; those in it already get the new facts."""
    values = [(fleet, device, facts["always_on"], facts["is_access_point"]) for device in devices]
    async with connection.cursor() as cursor:
        await cursor.executemany(
            "INSERT INTO carto_like.iotile_fleet_device (fleet, device, always_on, is_access_point) "
            "VALUES (%s, %s, %s, %s) ON CONFLICT (fleet, device) DO UPDATE "
            "SET always_on = excluded.always_on, is_access_point = excluded.is_access_point",
            values,
        )


async def remove_device(connection: Connection, fleet: int, device: int) -> None:
    """Take a device out of a fleet."""
    await connection.execute(
        "DELETE FROM carto_like.iotile_fleet_device WHERE fleet = %s AND device = %s", (fleet, device)
    )


def catalogue(kind: str) -> Kind:
    """Sensor graphs (``sg``) or device templates (``dt``), which everybody sees."""
    return Kind(
        columns={"id": "c.id", "slug": "c.slug", "created_on": "c.created_on", "data": "c.data"},
        source=f"carto_like.iotile_catalog c JOIN (VALUES ('{kind}')) k (kind) ON k.kind = c.kind",
        keys=("c.slug",),
        visible="true",
    )
