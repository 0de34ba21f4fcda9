"""A worker's turn in an account's queue of batch jobs: one text, taken and given back in the database."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

from .batch import TASK, hold_account
from .batchrows import BatchJob, find, save
from .batchshapes import filled, item_seconds, shown_time
from .batchstates import Step

if TYPE_CHECKING:
    from carto_like.server.platform import Platform
    from carto_like.server.pool import Connection

WORKER_GONE = "the worker that ran this query is gone; it is not known whether the query ended"

_WAITING = (
    "job.account_id = %s AND (job.status = 'pending' "
    "OR job.status IN ('done', 'failed') AND job.fallback_status = 'pending')"
)


@dataclass(frozen=True)
class Turn:
    """One text that a worker is to run.

    Attributes:
        id: of this turn; when the job no longer has it, the turn's outcome is of no interest.
        role: the login role that runs it.
        schema: first of the ``search_path``.
        text: the SQL, marked with the job's id.
        seconds: it may run, 0 for ever.
    """

    id: UUID
    job_id: UUID
    account_id: UUID
    role: str
    schema: str
    step: Step
    text: str
    seconds: float


async def take(platform: Platform, account_id: UUID) -> Turn | None:
    """The next text of an account's queue, noted as running; None when nothing waits."""
    async with platform.database.metadata() as connection:
        await hold_account(connection, account_id)
        await _give_up(connection, account_id)
        jobs = await find(
            connection, _WAITING, (account_id,), rest="ORDER BY job.number LIMIT 1 FOR UPDATE OF job"
        )
        step = jobs[0].states.next_step() if jobs else None
        if step is None:
            return None
        job = jobs[0]
        job.states.begin(step, _now())
        turn = _turn(job, account_id, step, platform.settings.limits.batch_timeout)
        await save(connection, job, turn.id)
        return turn


def _turn(job: BatchJob, account_id: UUID, step: Step, longest: float) -> Turn:
    text, item = job.states.text_of(step), job.states.items[step.index]
    if step.part == "fallback":
        text = filled(text, job.id, item)
    seconds = item_seconds(item, longest) if step.part == "query" else longest
    marked = f"/* {job.id} */ {text}"
    return Turn(uuid4(), job.id, account_id, job.role, job.user, step, marked, seconds)


async def finish(platform: Platform, turn: Turn, error: str | None) -> None:
    """Note the end of a turn, and let the account have another when something waits."""
    async with platform.database.metadata() as connection:
        job = await _held(connection, turn)
        if job is not None:
            job.states.end(turn.step, _now(), error)
            await save(connection, job, None)
        await _go_on(platform, connection, turn.account_id)


async def put_back(platform: Platform, turn: Turn) -> None:
    """Note that a turn came to nothing, so that its text is run by the next one."""
    async with platform.database.metadata() as connection:
        job = await _held(connection, turn)
        if job is not None:
            job.states.put_back(turn.step)
            await save(connection, job, None)
        await _go_on(platform, connection, turn.account_id)


async def is_wanted(platform: Platform, turn: Turn) -> bool:
    """Whether a turn shall go on: its job was neither cancelled nor given up nor removed."""
    async with platform.database.metadata() as connection:
        cursor = await connection.execute(
            "SELECT 1 FROM carto_like.batch_jobs WHERE id = %s AND turn = %s", (turn.job_id, turn.id)
        )
        return await cursor.fetchone() is not None


async def give_up(platform: Platform, account_id: UUID) -> None:
    """Fail what an account's dead turn was running: nobody knows how far it came, so it never runs again."""
    async with platform.database.metadata() as connection:
        await hold_account(connection, account_id)
        await _give_up(connection, account_id)
        await platform.jobs.nudge(connection)


async def _give_up(connection: Connection, account_id: UUID) -> None:
    condition = "job.account_id = %s AND job.turn IS NOT NULL"
    for job in await find(connection, condition, (account_id,), rest="FOR UPDATE OF job"):
        step = job.states.running_step()
        if step is not None:
            job.states.end(step, _now(), WORKER_GONE)
        await save(connection, job, None)
        # A session does not notice at once that nobody waits for it any more.
        await connection.execute(
            "SELECT pg_catalog.pg_terminate_backend(pid) FROM pg_catalog.pg_stat_activity "
            "WHERE usename = %s AND starts_with(query, %s)",
            (job.role, f"/* {job.id} */"),
        )


async def _held(connection: Connection, turn: Turn) -> BatchJob | None:
    condition = "job.id = %s AND job.turn = %s"
    jobs = await find(connection, condition, (turn.job_id, turn.id), rest="FOR UPDATE OF job")
    return jobs[0] if jobs else None


async def _go_on(platform: Platform, connection: Connection, account_id: UUID) -> None:
    if await find(connection, _WAITING, (account_id,), rest="LIMIT 1"):
        await platform.jobs.defer(TASK, account_id, connection=connection)


def _now() -> str:
    return shown_time(datetime.now(timezone.utc))
