"""Batch jobs for those who own them: create, read, list, cancel."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any
from uuid import UUID

from carto_like.server.accounts import Account, Principal
from carto_like.server.errors import Problem

from .batchrows import BatchJob, find, insert, save
from .batchshapes import read_query, shown_time
from .batchstates import IllegalTransition

if TYPE_CHECKING:
    from carto_like.server.platform import Platform
    from carto_like.server.pool import Connection

TASK = "batch"
LISTED = 100


async def create(platform: Platform, principal: Principal, query: Any) -> dict[str, Any]:
    """Put a new job into its account's queue.

    Raises:
        Problem: 400, the query is none, or too many jobs wait already.
    """
    states = read_query(query)
    account = principal.account
    limit = platform.settings.limits.batch_queued
    async with platform.database.metadata() as connection:
        await hold_account(connection, account.id)
        cursor = await connection.execute(
            "SELECT count(*) FROM carto_like.batch_jobs WHERE account_id = %s AND status = 'pending'",
            (account.id,),
        )
        row = await cursor.fetchone()
        if limit and row is not None and row[0] >= limit:
            raise Problem(400, f"Failed to create job. Max number of jobs ({limit}) queued reached")
        job_id = await insert(connection, account.id, principal.role, states)
        await platform.jobs.defer(TASK, account.id, connection=connection)
        return (await find(connection, "job.id = %s", (job_id,)))[0].shown()


async def hold_account(connection: Connection, account_id: UUID) -> None:
    """Let nobody else change the queue of an account until the transaction ends."""
    await connection.execute("SELECT FROM carto_like.users WHERE id = %s FOR NO KEY UPDATE", (account_id,))


async def read(platform: Platform, account: Account, job_id: str) -> dict[str, Any]:
    """A job of an account; raises Problem 400 when it has none of that id."""
    async with platform.database.metadata() as connection:
        return (await _own(connection, account, job_id)).shown()


async def list_jobs(platform: Platform, account: Account) -> list[dict[str, Any]]:
    """The account's newest :data:`LISTED` jobs, newest first."""
    async with platform.database.metadata() as connection:
        rest = f"ORDER BY job.number DESC LIMIT {LISTED}"
        return [
            job.shown() for job in await find(connection, "job.account_id = %s", (account.id,), rest=rest)
        ]


async def cancel(platform: Platform, account: Account, job_id: str) -> dict[str, Any]:
    """Cancel a job; what runs of it is stopped at once.

    Raises:
        Problem: 400, there is no such job, or it is over.
    """
    async with platform.database.metadata() as connection:
        job = await _own(connection, account, job_id, rest="FOR UPDATE OF job")
        try:
            job.states.cancel(shown_time(datetime.now(timezone.utc)))
        except IllegalTransition as error:
            raise Problem(400, str(error)) from None
        await save(connection, job, None)
        await platform.jobs.nudge(connection)
    return job.shown()


async def _own(connection: Connection, account: Account, job_id: str, *, rest: str = "") -> BatchJob:
    try:
        number = UUID(job_id)
    except ValueError:
        number = None
    condition = "job.id = %s AND job.account_id = %s"
    jobs = await find(connection, condition, (number, account.id), rest=rest) if number else []
    if not jobs:
        raise Problem(400, f"Job with id {job_id} not found")
    return jobs[0]


async def at_work(platform: Platform) -> dict[str, list[str]]:
    """The ids of the jobs that run now, by user."""
    async with platform.database.metadata() as connection:
        found: dict[str, list[str]] = {}
        for job in await find(connection, "job.turn IS NOT NULL", (), rest="ORDER BY job.number"):
            found.setdefault(job.user, []).append(str(job.id))
        return found


_FORGET = """
DELETE FROM carto_like.batch_jobs WHERE turn IS NULL AND updated_at < now() - make_interval(secs =>
    NULLIF(CASE WHEN status = 'pending' OR fallback_status = 'pending' THEN %s ELSE %s END, 0))
"""
# Work and the queue's entry for it are written together, so this finds something only when the queue was
# emptied from outside, or restored from an older state.
_FORGOTTEN = """
SELECT DISTINCT account_id FROM carto_like.batch_jobs job
WHERE (turn IS NOT NULL OR status = 'pending' OR fallback_status = 'pending' AND status IN ('done', 'failed'))
    AND NOT EXISTS (
        SELECT FROM carto_like_jobs.procrastinate_jobs WHERE lock = 'batch:' || job.account_id
            AND status IN ('todo', 'doing'))
"""


async def tidy(platform: Platform) -> None:
    """Forget jobs that were finished long ago or waited for too long; see that all others have their turn."""
    limits = platform.settings.limits
    async with platform.database.metadata() as connection:
        await connection.execute(_FORGET.encode(), (limits.batch_kept_waiting, limits.batch_kept))
        cursor = await connection.execute(_FORGOTTEN.encode())
        for (account_id,) in await cursor.fetchall():
            await platform.jobs.defer(TASK, account_id, connection=connection)
