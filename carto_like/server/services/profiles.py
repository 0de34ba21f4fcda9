"""What an account is and has: the figures and facts that the account endpoints tell."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg import AsyncConnection, errors

from carto_like.server.accounts import Account
from carto_like.server.db import Database
from carto_like.server.errors import Problem
from carto_like.server.services.registry import TABLES, account_values

_LOCK_WAIT = "300ms"
_QUOTA_SIZE = "SELECT cartodb.cdb_userdatasize(%(schema)s::text)::bigint"
# By the statistics: what is known of tables that somebody has locked.
_ESTIMATED_SIZE = """
SELECT coalesce(sum(relpages::bigint * current_setting('block_size')::bigint), 0)::bigint / 2
FROM pg_catalog.pg_class
WHERE relnamespace = (SELECT oid FROM pg_catalog.pg_namespace WHERE nspname = %(schema)s)
"""


@dataclass(frozen=True)
class Profile:
    """An account's facts.

    Attributes:
        datasets: how many it has.
        used_bytes: storage that counts towards the quota.
    """

    email: str | None
    created_at: datetime
    datasets: int
    used_bytes: int


async def profile_of(database: Database, account: Account) -> Profile:
    """The account's facts, true at this moment.

    Raises:
        Problem: 404, the user has just been deleted.
    """
    query = (
        f"SELECT email, created_at, (SELECT count(*) FROM ({TABLES}) t)"
        " FROM carto_like.users WHERE id = %(account_id)s"
    )
    async with database.metadata() as conn:
        row = await (await conn.execute(query, account_values(account))).fetchone()
        if row is None:
            raise Problem(404, f"There is no user '{account.name}'.")
        email, created_at, datasets = row
        return Profile(email, created_at, datasets, await used_bytes(conn, account))


async def used_bytes(conn: AsyncConnection[Any], account: Account) -> int:
    """Storage that counts towards the quota; an estimate while somebody has locked a table."""
    values = {"schema": account.schema}
    await conn.execute("SELECT set_config('lock_timeout', %s, true)", (_LOCK_WAIT,))
    try:
        async with conn.transaction():
            row = await (await conn.execute(_QUOTA_SIZE, values)).fetchone()
    except errors.LockNotAvailable:
        row = await (await conn.execute(_ESTIMATED_SIZE, values)).fetchone()
    return int(row[0] or 0) if row else 0
