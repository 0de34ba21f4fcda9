"""An account's API keys with their dates, for those who may list them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from carto_like.server.accounts import Key, KeyType, Principal
from carto_like.server.db import Database
from carto_like.server.secrets import Secrets
from carto_like.server.services.users import Users

TYPES: tuple[KeyType, ...] = ("master", "default", "regular")
ORDERS = ("type", "name", "updated_at")


@dataclass(frozen=True)
class DatedKey:
    """A key, and when it was made and changed."""

    key: Key
    created_at: datetime
    updated_at: datetime


async def visible_keys(database: Database, users: Users, principal: Principal) -> list[DatedKey]:
    """The keys that this principal may see: with the master key all of them, else the key itself.

    They come in the order master, default, regular keys by name.
    """
    account = principal.account
    async with database.metadata() as conn:
        cursor = await conn.execute(
            "SELECT name, created_at, updated_at FROM carto_like.api_keys WHERE user_id = %s", (account.id,)
        )
        dates = {name: (created, updated) for name, created, updated in await cursor.fetchall()}
    keys = [DatedKey(key, *dates[key.name]) for key in await users.keys(account) if key.name in dates]
    return [dated for dated in keys if principal.is_master or dated.key.name == principal.key.name]


async def owner_of_token(database: Database, secrets: Secrets, token: str) -> str | None:
    """Whose key a token seems to be, among all accounts; the key itself is still to be checked."""
    async with database.metadata() as conn:
        cursor = await conn.execute(
            "SELECT u.name FROM carto_like.api_keys k JOIN carto_like.users u ON u.id = k.user_id"
            " WHERE k.token_index = %s AND k.type <> 'default' ORDER BY u.name LIMIT 1",
            (secrets.token_index(token),),
        )
        row = await cursor.fetchone()
    return row[0] if row else None


def in_order(keys: list[DatedKey], order: str) -> list[DatedKey]:
    """The keys by one of :data:`ORDERS`."""
    if order == "name":
        return sorted(keys, key=lambda dated: dated.key.name)
    if order == "updated_at":
        return sorted(keys, key=lambda dated: dated.updated_at)
    return sorted(keys, key=lambda dated: TYPES.index(dated.key.type))
