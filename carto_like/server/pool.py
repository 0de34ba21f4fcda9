"""Database connections under one budget, whoever they are logged in as.

psycopg_pool keeps a pool per login, and pools cannot share a budget: with a thousand users either each gets
one connection or PostgreSQL gets a thousand. Here every connection counts against one number, an idle one of
another login is closed to make room, and who finds no room waits in a queue.
"""

from __future__ import annotations

import asyncio
import select
import time
from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeAlias

import anyio
import psycopg
from psycopg import AsyncConnection, generators
from psycopg.pq import ExecStatus, TransactionStatus

from .errors import Problem

Connection: TypeAlias = AsyncConnection[tuple[Any, ...]]
Key: TypeAlias = tuple[str, str]
"""A login: role and schema."""

_CLEAN_SECONDS = 2.0


class ConnectionPool:
    """Connections by login, at most ``budget`` of them open, the least recently used evicted first.

    Args:
        connect: opens a connection for a login.
        budget: connections open at once, idle ones included.
        wait: seconds that :meth:`connection` waits for its turn, 0 for any time.
        idle: seconds after which an unused connection is closed, 0 for never.
        reset: SQL that makes a connection as good as new; None when borrowers leave nothing behind.
    """

    def __init__(
        self,
        connect: Callable[[Key], Awaitable[Connection]],
        *,
        budget: int,
        wait: float,
        idle: float,
        reset: bytes | None,
    ) -> None:
        self._connect = connect
        self._budget = budget
        self._wait = wait
        self._idle_seconds = idle
        self._reset = reset
        self._turns = anyio.Semaphore(budget)
        self._idle: OrderedDict[Connection, tuple[Key, float]] = OrderedDict()
        self._cleaning: dict[Key, deque[asyncio.Task[None]]] = {}
        self._borrowed: set[Connection] = set()
        self._connecting = 0
        self._reaper: asyncio.Task[None] | None = None

    @property
    def open_connections(self) -> int:
        """How many connections are open, in use or not."""
        return len(self._idle) + len(self._borrowed) + self._connecting

    async def open(self) -> None:
        """Start closing connections that nobody uses."""
        if self._idle_seconds:
            self._reaper = asyncio.create_task(self._reap())

    async def close(self) -> None:
        """Close every connection, those in use too."""
        if self._reaper is not None:
            self._reaper.cancel()
            await asyncio.gather(self._reaper, return_exceptions=True)
        tasks = [task for tasks in self._cleaning.values() for task in tasks]
        await asyncio.gather(*tasks, return_exceptions=True)
        for connection in [*self._idle, *self._borrowed]:
            await connection.close()
        self._idle.clear()

    @asynccontextmanager
    async def connection(self, key: Key) -> AsyncIterator[Connection]:
        """Borrow a connection of a login.

        Raises:
            Problem: 503, none became free in time.
            psycopg.OperationalError: the database cannot be reached, or refuses the login.
        """
        await self._take_turn()
        try:
            connection = await self._obtain(key)
        except BaseException:
            self._turns.release()
            raise
        try:
            yield connection
        finally:
            self._give_back(key, connection)

    async def _take_turn(self) -> None:
        try:
            self._turns.acquire_nowait()
        except anyio.WouldBlock:
            with anyio.move_on_after(self._wait or None) as scope:
                await self._turns.acquire()
            if scope.cancelled_caught:
                raise Problem(
                    503,
                    f"All {self._budget} database connections are in use. Try again in a moment.",
                    headers={"Retry-After": "1"},
                ) from None

    async def _obtain(self, key: Key) -> Connection:
        connection = self._take_idle(key)
        while connection is None and (task := self._next_cleaned(key)) is not None:
            # Shielded: a borrower who leaves must not leave the connection half clean.
            await asyncio.shield(task)
            connection = self._take_idle(key)
        if connection is None:
            connection = await self._open_another(key)
        self._borrowed.add(connection)
        return connection

    async def _open_another(self, key: Key) -> Connection:
        self._connecting += 1
        try:
            while self.open_connections > self._budget and self._idle:
                await self._idle.popitem(last=False)[0].close()
            return await self._connect(key)
        finally:
            self._connecting -= 1

    def _next_cleaned(self, key: Key) -> asyncio.Task[None] | None:
        tasks = self._cleaning.get(key)
        return tasks.popleft() if tasks else None

    def _take_idle(self, key: Key) -> Connection | None:
        """The most recently used idle connection of a login that is still alive."""
        for connection in [c for c, (owner, _) in reversed(self._idle.items()) if owner == key]:
            del self._idle[connection]
            if is_alive(connection):
                return connection
            connection.pgconn.finish()
        return None

    def _give_back(self, key: Key, connection: Connection) -> None:
        if self._reset is None and connection.pgconn.transaction_status == TransactionStatus.IDLE:
            self._borrowed.discard(connection)
            self._turns.release()
            self._idle[connection] = (key, time.monotonic())
            return
        # Cleaning takes a round trip, for which the borrower's answer need not wait.
        task = asyncio.create_task(self._clean(key, connection))
        tasks = self._cleaning.setdefault(key, deque())
        tasks.append(task)
        task.add_done_callback(lambda _: self._forget(key, task))

    def _forget(self, key: Key, task: asyncio.Task[None]) -> None:
        tasks = self._cleaning.get(key)
        if tasks and task in tasks:
            tasks.remove(task)
        if not tasks:
            self._cleaning.pop(key, None)

    async def _clean(self, key: Key, connection: Connection) -> None:
        try:
            with anyio.fail_after(_CLEAN_SECONDS):
                kept = await self._make_clean(connection)
        except (psycopg.Error, TimeoutError):
            kept = False
        finally:
            self._borrowed.discard(connection)
            self._turns.release()
        if kept:
            self._idle[connection] = (key, time.monotonic())
        else:
            await connection.close()

    async def _make_clean(self, connection: Connection) -> bool:
        """Undo what a borrower left; answers whether the connection is fit for another."""
        status = connection.pgconn.transaction_status
        if status in (TransactionStatus.INTRANS, TransactionStatus.INERROR):
            await connection.rollback()
        elif status != TransactionStatus.IDLE:
            # Closing alone would let the abandoned query run on.
            await connection.cancel_safe(timeout=_CLEAN_SECONDS)
            return False
        if self._reset is not None:
            # Straight to libpq: this runs after each request, and a cursor costs more than the reset.
            connection.pgconn.send_query(self._reset)
            results = await connection.wait(generators.execute(connection.pgconn))
            if any(result.status != ExecStatus.COMMAND_OK for result in results):
                return False
        return connection.pgconn.transaction_status == TransactionStatus.IDLE

    async def _reap(self) -> None:
        while True:
            await asyncio.sleep(max(self._idle_seconds / 4, 0.05))
            limit = time.monotonic() - self._idle_seconds
            for connection in [c for c, (_, since) in self._idle.items() if since < limit]:
                # Closing may take a moment in which a borrower takes it: out of his sight first.
                if self._idle.pop(connection, None) is not None:
                    await connection.close()


def is_alive(connection: Connection) -> bool:
    """Whether an idle connection is good, as far as our end has heard; asks nothing, waits for nothing."""
    if connection.closed or connection.pgconn.transaction_status != TransactionStatus.IDLE:
        return False
    # Nobody asked anything, so what there is to read is a farewell, or the end.
    poll = select.poll()
    poll.register(connection.pgconn.socket, select.POLLIN)
    return not poll.poll(0)
