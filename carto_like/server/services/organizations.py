"""Organizations: users who belong together, one of whom owns the organization."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from carto_like.server.accounts import Account
from carto_like.server.db import Database
from carto_like.server.errors import Problem
from carto_like.server.pool import Connection
from carto_like.server.services.users import ACCOUNTS, Changes, Users, account_from

ORDERS: dict[str, str] = {
    "username": "u.name",
    "email": "u.email, u.name",
    "created_at": "u.created_at, u.name",
}

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
_MEMBERS = "WHERE u.organization_id = %(organization)s AND (u.name ILIKE %(text)s OR u.email ILIKE %(text)s)"


@dataclass(frozen=True)
class Organization:
    """Users who belong together."""

    id: UUID
    name: str


@dataclass(frozen=True)
class Members:
    """A part of an organization's users; ``total`` counts all that were searched for."""

    accounts: Sequence[Account]
    total: int


class Organizations:
    """The organizations of one installation."""

    def __init__(self, database: Database, users: Users) -> None:
        self._database = database
        self._users = users

    async def find(self, reference: str) -> Organization | None:
        """The organization of that name or id; None when there is none."""
        column, value = "name", reference
        try:
            column, value = "id", str(UUID(reference))
        except ValueError:
            if not _NAME.fullmatch(reference):
                return None
        query = f"SELECT id, name FROM carto_like.organizations WHERE {column} = %s"
        async with self._database.metadata() as connection:
            row = await (await connection.execute(query.encode(), (value,))).fetchone()
        return None if row is None else Organization(*row)

    async def members(
        self,
        organization: Organization,
        *,
        text: str = "",
        order: str = "username",
        limit: int | None = None,
        offset: int = 0,
    ) -> Members:
        """The organization's users, those whose name or address contains a text.

        Args:
            organization: whose users.
            text: what their name or email has in it; empty for all.
            order: one of :data:`ORDERS`, upwards.
            limit: how many at most; None for all.
            offset: how many to leave out at the start.
        """
        values = {
            "organization": organization.id,
            "text": _containing(text),
            "limit": limit,
            "offset": offset,
        }
        page = f"{ACCOUNTS} {_MEMBERS} ORDER BY {ORDERS[order]} LIMIT %(limit)s OFFSET %(offset)s"
        async with self._database.metadata() as connection:
            cursor = await connection.execute(page.encode(), values)
            accounts = [account_from(row) for row in await cursor.fetchall()]
            count = await connection.execute(
                f"SELECT count(*) FROM carto_like.users u {_MEMBERS}".encode(),
                values,
            )
            row = await count.fetchone()
        return Members(accounts, row[0] if row else 0)

    async def member(self, organization: Organization, name: str) -> Account | None:
        """The organization's user of that name."""
        account = await self._users.get(name)
        if account is None or account.membership is None:
            return None
        return account if account.membership.organization_id == organization.id else None

    async def is_email_taken(self, email: str, *, by_other_than: Account | None = None) -> bool:
        """Whether a user has that address, in whatever case."""
        query = (
            "SELECT FROM carto_like.users WHERE lower(email) = lower(%s) AND id IS DISTINCT FROM %s LIMIT 1"
        )
        async with self._database.metadata() as connection:
            cursor = await connection.execute(query, (email, by_other_than and by_other_than.id))
            return await cursor.fetchone() is not None

    async def create_user(
        self,
        organization: str,
        name: str,
        *,
        api_key: str | None = None,
        changes: Changes,
    ) -> Account:
        """Make a user in an organization, which is made, too, and then his, when there is none of that name.

        Raises:
            Problem: 422 for a name that cannot be used, 409 for a user's name that is taken.
        """
        async with self._database.metadata() as connection:
            account = await self._users.add(
                connection, name, api_key=api_key, quota_bytes=changes.quota_bytes, email=changes.email
            )
            await _admit(connection, account, organization)
            account = await self._users.apply(connection, account, changes)
        self._users.forget()
        return account

    async def join(self, account: Account, organization: str, *, is_admin: bool = False) -> Account:
        """Put a user into an organization, which is made, and then his, when there is none of that name.

        Raises:
            Problem: 422 for a name that cannot be used, 409 when the user owns another organization.
        """
        membership = account.membership
        if membership is not None and membership.is_owner and membership.organization != organization:
            raise Problem(
                409, f"The user '{account.name}' owns the organization '{membership.organization}'."
            )
        async with self._database.metadata() as connection:
            await _admit(connection, account, organization)
            account = await self._users.apply(connection, account, Changes(org_admin=is_admin))
        self._users.forget()
        return account


async def _admit(connection: Connection, account: Account, name: str) -> None:
    if not _NAME.fullmatch(name):
        raise Problem(
            422,
            f"'{name[:63]}' cannot be an organization's name: it must have lower-case letters, digits, '-' "
            "and '_', 63 at most, and start with a letter or digit.",
        )
    made = (
        "INSERT INTO carto_like.organizations (name, owner_id) VALUES (%s, %s) ON CONFLICT (name) DO NOTHING"
    )
    await connection.execute(made, (name, account.id))
    found = await connection.execute(
        "SELECT id FROM carto_like.organizations WHERE name = %s FOR KEY SHARE", (name,)
    )
    row = await found.fetchone()
    if row is None:
        raise Problem(409, f"The organization '{name}' has just been deleted.")
    await connection.execute(
        "UPDATE carto_like.users SET organization_id = %s WHERE id = %s", (row[0], account.id)
    )


def _containing(text: str) -> str:
    # PostgreSQL's texts hold no NUL, so there is none to be found.
    return "%" + re.sub(r"([\\%_])", r"\\\1", text.replace("\0", "")) + "%"
