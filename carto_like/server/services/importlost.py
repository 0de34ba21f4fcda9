"""Imports that nobody will ever carry out, because their jobs are gone from the queue."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from carto_like.server.accounts import Account
from carto_like.server.db import Database
from carto_like.server.imports import codes
from carto_like.server.services.imports import FAILURE, FINAL, Imports

SECONDS_WHEN_READ: Final = 300.0
SECONDS_WHEN_LISTED: Final = 3600.0
"""How long nothing may have happened to an import before it is given up, by where that is noticed."""

# An import and its job appear together, and it has ended before its job goes: so one look tells.
_LOST = """
SELECT i.id FROM carto_like.imports i
WHERE i.state <> ALL (%(final)s) AND i.updated_at < now() - make_interval(secs => %(seconds)s)
  AND NOT EXISTS (SELECT FROM carto_like_jobs.procrastinate_jobs j
                  WHERE j.task_name = 'import' AND j.status IN ('todo', 'doing')
                    AND j.args ->> 'import_id' = i.id::text)
"""
_ONE = " AND i.id = %(id)s"
_OF_ACCOUNT = " AND i.account_id = %(account_id)s"
_OF_SYNCS = """
  AND i.id IN (SELECT import_id FROM carto_like.synchronizations WHERE state IN ('queued', 'syncing'))
"""


async def end_lost(database: Database, import_id: UUID) -> bool:
    """End this import with code 6671 if nobody is left to carry it out; whether that was so."""
    return bool(await _end(database, _ONE, SECONDS_WHEN_READ, id=import_id))


async def end_lost_of(database: Database, account: Account) -> int:
    """The same for all imports of an account; how many there were."""
    return await _end(database, _OF_ACCOUNT, SECONDS_WHEN_LISTED, account_id=account.id)


async def end_lost_runs(database: Database) -> int:
    """The same for runs of synchronizations, which would wait for their ends for ever."""
    return await _end(database, _OF_SYNCS, SECONDS_WHEN_LISTED)


async def _end(database: Database, condition: str, seconds: float, **values: UUID) -> int:
    imports = Imports(database)
    async with database.metadata() as conn:
        cursor = await conn.execute(
            (_LOST + condition).encode(), {**values, "final": list(FINAL), "seconds": seconds}
        )
        lost = [found for (found,) in await cursor.fetchall()]
        for found in lost:
            await imports.update(found, connection=conn, state=FAILURE, error_code=codes.STUCK)
    return len(lost)
