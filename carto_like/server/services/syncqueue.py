"""Runs of synchronizations: begun when they are due, or when somebody asks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from uuid import UUID, uuid4

from psycopg.rows import class_row

from carto_like.server.accounts import Account
from carto_like.server.imports.filenames import name_of_url
from carto_like.server.pool import Connection
from carto_like.server.services.imports import Imports
from carto_like.server.services.syncends import MOST_RETRIES
from carto_like.server.services.syncs import QUEUED, SYNCS, Sync

if TYPE_CHECKING:
    from carto_like.server.platform import Platform

_AT_A_TIME: Final = 100
_ACCOUNT = "SELECT id, name, role, public_role, quota_bytes FROM carto_like.users WHERE id = %s"
# Whoever has locked one is about to begin it.
_DUE = f"""
{SYNCS} WHERE s.state IN ('success', 'failure') AND s.run_at <= now()
    AND (s.state = 'success' OR s.retried_times < {MOST_RETRIES})
ORDER BY s.run_at LIMIT {_AT_A_TIME} FOR UPDATE OF s SKIP LOCKED
"""
_READY = f"""
{SYNCS} WHERE s.id = %(id)s AND s.ran_at < now() - make_interval(secs => %(pause)s)
    AND (s.state IN ('success', 'failure')
         OR s.state = 'queued' AND s.updated_at < now() - make_interval(secs => %(pause)s))
FOR UPDATE OF s
"""
_RUNNING = """
SELECT count(*) FROM carto_like.synchronizations
WHERE account_id = %s AND id <> %s AND state IN ('queued', 'syncing')
"""
# Those of a new run; of the first one, what it did to other tables must not happen to its own.
_ONCE_ONLY = ("privacy", "collision_strategy")


async def begin(platform: Platform, connection: Connection, account: Account, sync: Sync) -> UUID:
    """Put a run into the queue, with the transaction of a connection of the platform's own.

    Returns:
        The id of the import that it is.
    """
    import_id = uuid4()
    options = dict(sync.options)
    if sync.dataset_id is not None:
        options = {name: value for name, value in options.items() if name not in _ONCE_ONLY}
        options["replacing"] = True
    url = sync.source.get("url") or ""
    await Imports(platform.database).add(
        connection,
        account,
        import_id,
        data_type=sync.data_type,
        source=sync.source,
        options=options,
        display_name=name_of_url(url) if url else str(import_id),
        original_url=url,
        synchronization_id=sync.id,
    )
    await connection.execute(
        "UPDATE carto_like.synchronizations SET state = %s, import_id = %s, updated_at = now() WHERE id = %s",
        (QUEUED, import_id, sync.id),
    )
    await platform.jobs.defer("import", account.id, connection=connection, import_id=str(import_id))
    return import_id


async def begin_due(platform: Platform) -> int:
    """Begin what is due by now; answers how much that was. Any number of workers may do so at once."""
    async with platform.database.metadata() as connection:
        async with connection.cursor(row_factory=class_row(Sync)) as cursor:
            due = await (await cursor.execute(_DUE.encode())).fetchall()
        for sync in due:
            account = await _account_of(connection, sync)
            if account is not None:
                await begin(platform, connection, account, sync)
    return len(due)


async def force(platform: Platform, account: Account, sync_id: UUID) -> bool:
    """Begin a run now, unless one waits or runs, the last one was just now, or too many others run.

    Returns:
        Whether it was begun.
    """
    limits = platform.settings.limits
    async with platform.database.metadata() as connection:
        async with connection.cursor(row_factory=class_row(Sync)) as cursor:
            values = {"id": sync_id, "pause": limits.sync_least_interval}
            sync = await (await cursor.execute(_READY.encode(), values)).fetchone()
        if sync is None:
            return False
        row = await (await connection.execute(_RUNNING, (account.id, sync_id))).fetchone()
        if limits.syncs_at_once and row is not None and row[0] >= limits.syncs_at_once:
            return False
        await begin(platform, connection, account, sync)
    return True


async def _account_of(connection: Connection, sync: Sync) -> Account | None:
    async with connection.cursor(row_factory=class_row(Account)) as cursor:
        return await (await cursor.execute(_ACCOUNT, (sync.account_id,))).fetchone()
