"""Sessions that the platform opens as an account by itself: nobody waits for them, so they end in time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from carto_like.server.accounts import Account
from carto_like.server.db import Database
from carto_like.server.pool import Connection
from carto_like.server.sqlapi.guard import Guard

_GRACE = 0.5


@asynccontextmanager
async def session_of(
    database: Database, account: Account, *, seconds: float, role: str | None = None
) -> AsyncIterator[Connection]:
    """A login as the account's role, or another of its roles, for work that reads or writes its tables.

    Such work may run functions of the account's own, and those can swallow a timeout and run on for ever.

    Args:
        database: where to log in.
        account: as whom.
        seconds: after which whatever runs is stopped, and the session ended if need be; 0 for never.
        role: of one of the account's keys; the master key's when not given.

    Raises:
        Stopped: the time was over.
        Problem: there is no connection.
    """
    async with (
        database.login(role or account.role, account.schema) as session,
        Guard(session, database, _nobody_leaves, seconds=seconds, grace=_GRACE),
    ):
        yield session


async def _nobody_leaves() -> None:
    await asyncio.Event().wait()
