"""procrastinate's connection to the database, told only what can be believed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable

import anyio
from procrastinate import PsycopgConnector
from procrastinate.connector import Notify
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from .schema import NUDGES, SCHEMA

_LOOK = '{"type": "job_inserted", "job_id": 0}'
# A worker that is told while it looks forgets that it was told, and would wait for its next regular look.
_AGAIN_AFTER = (0.02, 0.1)
_LEAST_PAUSE = 0.002
_POOL = 2
CONNECTIONS = _POOL + 1
"""Connections that one worker holds: its pool's, and the one that listens."""


class QueueConnector(PsycopgConnector):
    """Connects as the platform's role.

    Whoever can log in can notify any channel, with any text. So what a notification says is not passed on:
    each means no more than that it may be worth a look into the tables.

    Args:
        dsn: of the platform's role.
        on_nudge: called for each notification.
    """

    def __init__(self, dsn: str, on_nudge: Callable[[], None]) -> None:
        given = str(conninfo_to_dict(dsn).get("options") or "")
        options = f"{given} -c search_path={SCHEMA} -c TimeZone=UTC".strip()
        conninfo = make_conninfo(dsn, options=options, application_name="carto_like_worker")
        super().__init__(conninfo=conninfo, min_size=1, max_size=_POOL, timeout=10.0)
        self._on_nudge = on_nudge

    async def listen_notify(self, on_notification: Notify, channels: Iterable[str]) -> None:
        """Listen until cancelled."""
        due = asyncio.Event()

        async def note(*, channel: str, payload: str) -> None:
            due.set()

        async def look() -> None:
            self._on_nudge()
            await on_notification(channel=NUDGES, payload=_LOOK)

        looking = asyncio.create_task(_look_when_due(due, look))
        try:
            await super().listen_notify(note, [*channels, NUDGES])
        finally:
            looking.cancel()


async def _look_when_due(due: asyncio.Event, look: Callable[[], Awaitable[None]]) -> None:
    """Look soon after each notification, but not for each of a thousand that come at once."""
    while True:
        await due.wait()
        for pause in (*_AGAIN_AFTER, 0.0):
            due.clear()
            await look()
            await asyncio.sleep(_LEAST_PAUSE)
            # Not asyncio.wait_for(), which may forget that this task is cancelled.
            with anyio.move_on_after(pause):
                await due.wait()
                break
