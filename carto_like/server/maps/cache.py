"""Tiles kept in memory up to a size, and one rendering for all who ask for the same tile at once."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

T = TypeVar("T")
# What an entry costs beside its bytes: key, object, links.
_OVERHEAD = 600


class ByteCache(Generic[T]):
    """The most recently used values whose sizes together fit into ``limit`` bytes."""

    def __init__(self, limit: int, size: Callable[[T], int]) -> None:
        self._limit = limit
        self._size = size
        self._used = 0
        self._entries: OrderedDict[Hashable, T] = OrderedDict()

    @property
    def used(self) -> int:
        """Bytes in use."""
        return self._used

    def get(self, key: Hashable) -> T | None:
        """The value kept under a key, if it is still there."""
        value = self._entries.get(key)
        if value is not None:
            self._entries.move_to_end(key)
        return value

    def put(self, key: Hashable, value: T) -> None:
        """Keep a value, in place of those that were not asked for the longest."""
        old = self._entries.pop(key, None)
        if old is not None:
            self._used -= self._size(old) + _OVERHEAD
        cost = self._size(value) + _OVERHEAD
        if cost > self._limit:
            return
        self._entries[key] = value
        self._used += cost
        while self._used > self._limit:
            _, evicted = self._entries.popitem(last=False)
            self._used -= self._size(evicted) + _OVERHEAD


class SingleFlight(Generic[T]):
    """Work that is done once for all who want it while it is being done."""

    def __init__(self) -> None:
        self._flights: dict[Hashable, asyncio.Task[T]] = {}

    async def run(self, key: Hashable, work: Callable[[], Awaitable[T]]) -> T:
        """The result of ``work``, or of the same work that somebody else has begun."""
        task = self._flights.get(key)
        if task is None:
            task = self._flights[key] = asyncio.ensure_future(_awaited(work))
            task.add_done_callback(lambda done: self._landed(key, done))
        # Whoever leaves must not take the result from the others.
        return await asyncio.shield(task)

    def _landed(self, key: Hashable, task: asyncio.Task[T]) -> None:
        self._flights.pop(key, None)
        if not task.cancelled():
            # Nobody may be left to hear of it.
            task.exception()


async def _awaited(work: Callable[[], Awaitable[T]]) -> T:
    return await work()
