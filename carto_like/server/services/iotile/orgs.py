"""Organizations and who is in them."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from psycopg import errors

from carto_like.server.pool import Connection

from .kinds import MINE, Kind, insert, update

TABLE = "iotile_org"
ADMIN, MEMBER = "a1", "m1"
CREATOR = (
    "(SELECT u.name FROM carto_like.iotile_account a JOIN carto_like.users u ON u.id = a.user_id "
    "WHERE a.id = {})"
)
"""The name of an account, as SQL."""

ORG = Kind(
    columns={
        "id": "o.id",
        "name": "o.name",
        "slug": "o.slug",
        "ot": "o.ot",
        "about": "o.about",
        "created_on": "o.created_on",
        "created_by": CREATOR.format("o.created_by"),
        "domain_names": "o.domain_names",
        "creator": "o.created_by",
    },
    source="carto_like.iotile_org o",
    keys=("o.name", "o.id"),
    visible=f"o.id IN {MINE}",
)
MEMBERSHIP = Kind(
    columns={
        "user": "u.name",
        "user_name": "a.name",
        "email": "coalesce(u.email, '')",
        "org": "o.slug",
        "created_on": "m.created_on",
        "is_active": "m.is_active",
        "is_org_admin": "m.is_org_admin",
        "role": "m.role",
        "account": "m.account",
        "org_id": "m.org",
    },
    source=(
        "carto_like.iotile_org_member m JOIN carto_like.iotile_org o ON o.id = m.org "
        "JOIN carto_like.iotile_account a ON a.id = m.account JOIN carto_like.users u ON u.id = a.user_id"
    ),
    keys=("u.name",),
    visible=f"o.id IN {MINE}",
)

_COUNTS = """
SELECT (SELECT count(*) FROM carto_like.iotile_project WHERE org = %(org)s),
       (SELECT count(*) FROM carto_like.iotile_device WHERE org = %(org)s),
       (SELECT count(*) FROM carto_like.iotile_datablock WHERE org = %(org)s),
       (SELECT count(*) FROM carto_like.iotile_org_member WHERE org = %(org)s AND is_active),
       (SELECT count(*) FROM carto_like.iotile_fleet WHERE org = %(org)s)
"""


class NameTaken(Exception):
    """Another organization has the name, or one that makes the same slug."""


@dataclass(frozen=True)
class Rights:
    """What an account may do in an organization."""

    is_member: bool
    is_admin: bool


def slug_of(name: str) -> str:
    """The slug that a name makes; empty when it has no letter or digit that a slug can have."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    return re.sub(r"[-\s]+", "-", re.sub(r"[^\w\s-]", "", plain.lower())).strip("-_")


async def rights(connection: Connection, account: int, org: Any) -> Rights:
    """What an account may do in the organization of this id."""
    cursor = await connection.execute(
        "SELECT is_org_admin FROM carto_like.iotile_org_member WHERE account = %s AND org = %s AND is_active",
        (account, org),
    )
    row = await cursor.fetchone()
    return Rights(row is not None, bool(row and row[0]))


async def create(connection: Connection, account: int, values: Mapping[str, Any]) -> Any:
    """Make an organization, of which the account becomes the administrator; answers its id.

    Raises:
        NameTaken: the name cannot be used again.
    """
    org = await _written(connection, None, {**values, "created_by": account})
    await join(connection, org, account, is_admin=True)
    return org


async def change(connection: Connection, org: Any, values: Mapping[str, Any]) -> None:
    """Change an organization; its slug follows its name.

    Raises:
        NameTaken: the name cannot be used again.
    """
    await _written(connection, org, values)


async def join(
    connection: Connection, org: Any, account: int, *, is_admin: bool | None, role: str | None = None
) -> bool:
    """Let an account be in an organization; False when that would leave it without administrator.

    Where neither says what it is there, it stays what it is, and is a member when it was not in it.
    """
    place = place_of({"is_org_admin": is_admin, "role": role})
    values = {"is_org_admin": None, "role": None, **place, "org": org, "account": account, "member": MEMBER}
    await _lock(connection, org)
    await connection.execute(
        "INSERT INTO carto_like.iotile_org_member AS m (org, account, is_org_admin, role) "
        "VALUES (%(org)s, %(account)s, coalesce(%(is_org_admin)s, false), coalesce(%(role)s, %(member)s)) "
        "ON CONFLICT (org, account) DO UPDATE SET is_active = true, "
        "is_org_admin = coalesce(%(is_org_admin)s, m.is_active AND m.is_org_admin), "
        "role = coalesce(%(role)s, CASE WHEN m.is_active THEN m.role ELSE %(member)s END)",
        values,
    )
    return await _is_managed(connection, org)


def place_of(values: Mapping[str, Any]) -> dict[str, Any]:
    """What is said about a membership; the role and being an administrator follow from each other."""
    place = {name: value for name, value in values.items() if value is not None}
    if "role" in place:
        place.setdefault("is_org_admin", place["role"] == ADMIN)
    elif "is_org_admin" in place:
        place["role"] = ADMIN if place["is_org_admin"] else MEMBER
    return place


async def change_member(connection: Connection, org: Any, account: int, values: Mapping[str, Any]) -> bool:
    """Change what an account is in an organization; False when that would leave it without administrator."""
    place = {"is_active": None, "is_org_admin": None, "role": None, **place_of(values)}
    await _lock(connection, org)
    await connection.execute(
        "UPDATE carto_like.iotile_org_member SET is_active = coalesce(%(is_active)s, is_active), "
        "is_org_admin = coalesce(%(is_org_admin)s, is_org_admin), role = coalesce(%(role)s, role) "
        "WHERE org = %(org)s AND account = %(account)s",
        {**place, "org": org, "account": account},
    )
    return await _is_managed(connection, org)


async def leave(connection: Connection, org: Any, account: int) -> bool:
    """Take an account out of an organization; False when that would leave it without administrator."""
    await _lock(connection, org)
    cursor = await connection.execute(
        "SELECT FROM carto_like.iotile_org_member WHERE org = %s AND account <> %s "
        "AND is_active AND is_org_admin LIMIT 1",
        (org, account),
    )
    if await cursor.fetchone() is None:
        return False
    await connection.execute(
        "DELETE FROM carto_like.iotile_org_member WHERE org = %s AND account = %s", (org, account)
    )
    return True


async def counts(connection: Connection, org: Any) -> dict[str, int]:
    """How much an organization has of each kind."""
    row = await (await connection.execute(_COUNTS, {"org": org})).fetchone()
    assert row is not None
    return dict(zip(("projects", "devices", "archives", "members", "fleets"), row, strict=True))


async def delete_empty(connection: Connection, org: Any) -> bool:
    """Delete an organization that has no project, with its members; False when it has one."""
    await _lock(connection, org)
    cursor = await connection.execute("SELECT FROM carto_like.iotile_project WHERE org = %s LIMIT 1", (org,))
    if await cursor.fetchone() is not None:
        return False
    await connection.execute("DELETE FROM carto_like.iotile_org WHERE id = %s", (org,))
    return True


async def _lock(connection: Connection, org: Any) -> None:
    await connection.execute("SELECT FROM carto_like.iotile_org WHERE id = %s FOR UPDATE", (org,))


async def _is_managed(connection: Connection, org: Any) -> bool:
    cursor = await connection.execute(
        "SELECT FROM carto_like.iotile_org_member WHERE org = %s AND is_active AND is_org_admin LIMIT 1",
        (org,),
    )
    return await cursor.fetchone() is not None


async def _written(connection: Connection, org: Any, values: Mapping[str, Any]) -> Any:
    if "name" in values:
        values = {**values, "slug": slug_of(values["name"])}
    try:
        async with connection.transaction():
            if org is None:
                return await insert(connection, TABLE, values)
            await update(connection, TABLE, org, values)
            return org
    except errors.UniqueViolation:
        raise NameTaken from None
