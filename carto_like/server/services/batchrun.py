"""Running batch jobs: each turn runs one text, on a login of the role whose key created the job."""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import aclosing, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import UUID

import psycopg

from carto_like.pure.pgtext import leading_keyword, split_statements
from carto_like.server.errors import Problem
from carto_like.server.jobs.task import StalledJob, Task
from carto_like.server.sqlapi.guard import Guard, Stopped
from carto_like.server.sqlapi.wire import command, events

from .batch import TASK, tidy
from .batchqueue import Turn, finish, give_up, is_wanted, put_back, take

if TYPE_CHECKING:
    from carto_like.server.platform import Platform

logger = logging.getLogger(__name__)

_TIMEOUT = "canceling statement due to statement timeout"
_STOPPED = "the worker was stopped while this query ran; what the query had committed by itself stays"
_LOST = "the connection to the database was lost while this query ran"
_REFUSED = "cannot connect to the database"
_BROKEN = "the platform could not run this query; its log says why"
_BUSY = 503
# The database's own timeout comes first, and says so in its own words.
_MARGIN = 0.1
_LONGEST_MS = 2**31 - 1
_LOOK_SECONDS = 5.0
_RETRY_SECONDS = 0.5
_ATTEMPTS = 20
_SLICE_SECONDS = 0.2
# The first of these commit what came before them; a procedure or block may commit amid its own work.
_COMMITTING_INSIDE = frozenset({"call", "do"})
_COMMITTING = frozenset({"commit", "end", "prepare"}) | _COMMITTING_INSIDE
_OUTAGE = (Problem, psycopg.OperationalError)


@dataclass(frozen=True)
class Outcome:
    """What became of a turn: ``error`` is None when its text ran, ``untouched`` when nothing happened."""

    error: str | None = None
    untouched: bool = False


async def run_turns(platform: Platform, *, account_id: UUID) -> None:
    """Run what waits in an account's queue: one text, and more if they are short."""
    end = time.monotonic() + _SLICE_SECONDS
    while (turn := await take(platform, account_id)) is not None:
        await _run_turn(platform, turn)
        # Others have waited for their turn meanwhile; this account has another one coming.
        if time.monotonic() >= end:
            return


async def _run_turn(platform: Platform, turn: Turn) -> None:
    stop = asyncio.Event()
    running = asyncio.ensure_future(_run(platform, turn, stop))
    try:
        outcome = await asyncio.shield(running)
    except asyncio.CancelledError:
        # The worker stops: so does the query, and only then is it known what became of it.
        stop.set()
        outcome = await running
        with suppress(*_OUTAGE):
            await _note(platform, turn, outcome)
        raise
    while True:
        try:
            await _note(platform, turn, outcome)
        except _OUTAGE as error:
            logger.warning("the end of batch job %s waits for the database: %s", turn.job_id, error)
            await asyncio.sleep(_RETRY_SECONDS)
        else:
            return


async def _note(platform: Platform, turn: Turn, outcome: Outcome) -> None:
    if outcome.untouched:
        await put_back(platform, turn)
    else:
        await finish(platform, turn, outcome.error)


async def _run(platform: Platform, turn: Turn, stop: asyncio.Event) -> Outcome:
    """Run a turn's text; however that goes, there is an outcome."""
    try:
        return await _run_patiently(platform, turn, stop)
    except Exception:
        logger.exception("batch job %s could not be run", turn.job_id)
        return Outcome(_BROKEN)


async def _run_patiently(platform: Platform, turn: Turn, stop: asyncio.Event) -> Outcome:
    """Run a turn's text as soon as there is a connection for it."""
    failures = 0
    while not stop.is_set():
        try:
            async with platform.database.login(turn.role, turn.schema) as connection:
                return await _run_on(connection, platform, turn, stop)
        except Problem as problem:
            logger.warning("batch job %s waits for a connection: %s", turn.job_id, problem)
            failures += problem.status != _BUSY
        if failures == _ATTEMPTS:
            return Outcome(_REFUSED)
        await asyncio.sleep(_RETRY_SECONDS)
    return Outcome(untouched=True)


async def _run_on(
    connection: psycopg.AsyncConnection[tuple[object, ...]],
    platform: Platform,
    turn: Turn,
    stop: asyncio.Event,
) -> Outcome:
    milliseconds = min(round(turn.seconds * 1000), _LONGEST_MS)
    try:
        await command(connection, f"SET statement_timeout = {milliseconds}")
        if not await is_wanted(platform, turn):
            return Outcome()
        async with (
            Guard(
                connection,
                platform.database,
                lambda: _told_to_stop(platform, turn, stop),
                seconds=turn.seconds + _MARGIN if turn.seconds else 0,
                grace=platform.settings.limits.cancel_grace,
            ),
            aclosing(events(connection, turn.text)) as results,
        ):
            async for _ in results:
                pass
    except Stopped as stopped:
        return _after_stop(turn, stopped)
    except psycopg.Error as error:
        return Outcome(_reason(error))
    return Outcome()


def _after_stop(turn: Turn, stopped: Stopped) -> Outcome:
    if stopped.reason == "late":
        return Outcome(_TIMEOUT)
    undone = isinstance(stopped.__cause__, psycopg.errors.QueryCanceled)
    if undone and not may_have_committed(turn.text):
        return Outcome(untouched=True)
    return Outcome(_STOPPED)


def may_have_committed(text: str) -> bool:
    """Whether some of a text may be there to stay although a statement of it was cancelled."""
    *earlier, last = [leading_keyword(statement) for statement in split_statements(text)] or [""]
    return not _COMMITTING.isdisjoint(earlier) or last in _COMMITTING_INSIDE


def _reason(error: psycopg.Error) -> str:
    ended = error.sqlstate is None or error.sqlstate.startswith(("08", "57P"))
    if isinstance(error, psycopg.OperationalError) and ended:
        return _LOST
    return error.diag.message_primary or str(error).strip()


async def _told_to_stop(platform: Platform, turn: Turn, stop: asyncio.Event) -> None:
    """Return when the turn is not wanted any more, or its worker stops."""
    while not stop.is_set():
        nudged = platform.jobs.nudged
        with suppress(*_OUTAGE):
            if not await is_wanted(platform, turn):
                return
        waits = [asyncio.ensure_future(event.wait()) for event in (nudged, stop)]
        try:
            await asyncio.wait(waits, timeout=_LOOK_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()


async def _recover(platform: Platform, job: StalledJob) -> bool:
    await give_up(platform, job.account_id)
    return False


BATCH = Task(TASK, "batch", run_turns, _recover, tidy=tidy, once=True)
