"""Removing a user: schema, roles, keys and datasets, all or nothing, whatever his sessions do meanwhile."""

from __future__ import annotations

from collections.abc import Sequence

from psycopg import errors, sql

from carto_like.server.accounts import Account
from carto_like.server.db import Database
from carto_like.server.errors import Problem
from carto_like.server.pool import Connection

# Short at first, for sessions that have just been started. Then long: an autovacuum gives way only to who has
# waited for a second.
_LOCK_WAITS = ("250ms",) * 6 + ("3s",) * 4
_END_MILLISECONDS = 1000

# Rows that carry no reference to the user's, so that nothing removes them with it.
_FORGET = (
    "DELETE FROM cartodb._CDB_Quotas WHERE schema = %(schema)s",
    "DELETE FROM carto_like.rate_limits WHERE account_id = %(id)s",
    "DELETE FROM carto_like.users WHERE id = %(id)s",
)
_FORGET_TABLES = """
DELETE FROM cartodb.CDB_TableMetadata
WHERE tabname::oid IN (SELECT c.oid FROM pg_catalog.pg_class c
                       JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = %(schema)s)
"""


async def remove_user(database: Database, account: Account) -> None:
    """Delete a user in one transaction; his sessions are ended, as they would hold on to his tables.

    A session that another server starts in the moment before the end outlives its role, without any right.

    Raises:
        Problem: 404, 409 or 503; see ``Users.delete``.
    """
    values = {"id": account.id, "schema": account.schema}
    async with database.metadata() as connection:
        await _claim(connection, account)
        cursor = await connection.execute(
            "SELECT role::text FROM carto_like.api_keys WHERE user_id = %(id)s "
            "UNION SELECT unnest(ARRAY[role, public_role])::text FROM carto_like.users WHERE id = %(id)s",
            values,
        )
        roles = [row[0] for row in await cursor.fetchall()]
        await connection.execute(_FORGET_TABLES, values)
        await _drop_owned(connection, account, roles)
        for statement in _FORGET:
            await connection.execute(statement, values)
        await _end_sessions(connection, roles)
        await connection.execute(_naming("DROP ROLE {}", roles))


async def _claim(connection: Connection, account: Account) -> None:
    """Keep others from deleting the user, or joining his organization, until we are done."""
    owned = await connection.execute(
        "SELECT id FROM carto_like.organizations WHERE owner_id = %s FOR UPDATE", (account.id,)
    )
    organization = await owned.fetchone()
    found = await connection.execute("SELECT FROM carto_like.users WHERE id = %s FOR UPDATE", (account.id,))
    if await found.fetchone() is None:
        raise Problem(404, f"There is no user '{account.name}'.")
    if organization is None:
        return
    others = await connection.execute(
        "SELECT FROM carto_like.users WHERE organization_id = %s AND id <> %s LIMIT 1",
        (organization[0], account.id),
    )
    if await others.fetchone() is not None:
        raise Problem(409, f"The user '{account.name}' owns an organization that other users are in.")


async def _drop_owned(connection: Connection, account: Account, roles: Sequence[str]) -> None:
    for patience in _LOCK_WAITS:
        await _end_sessions(connection, roles)
        try:
            async with connection.transaction():
                await connection.execute("SELECT set_config('lock_timeout', %s, true)", (patience,))
                # Drops the schema, too, and takes back what the roles were granted elsewhere.
                await connection.execute(_naming("DROP OWNED BY {} CASCADE", roles))
        except (errors.LockNotAvailable, errors.DeadlockDetected):
            # A request that was on its way has started another session.
            continue
        except errors.OutOfMemory:
            text = (
                f"The user '{account.name}' has too many tables to delete at once: drop some of them first."
            )
            raise Problem(409, text) from None
        return
    text = f"Somebody else is using tables of the user '{account.name}'. Try again in a moment."
    raise Problem(503, text, headers={"Retry-After": "1"})


async def _end_sessions(connection: Connection, roles: Sequence[str]) -> None:
    await connection.execute(
        "SELECT pg_catalog.pg_terminate_backend(pid, %s) FROM pg_catalog.pg_stat_activity "
        "WHERE usename = ANY (%s::name[])",
        (_END_MILLISECONDS, list(roles)),
    )


def _naming(statement: str, roles: Sequence[str]) -> sql.Composed:
    return sql.SQL(statement).format(sql.SQL(", ").join(map(sql.Identifier, roles)))
