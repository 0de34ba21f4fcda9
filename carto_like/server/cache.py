"""What was read from the database a moment ago, so that a burst of requests reads it once."""

from __future__ import annotations

import time
from collections.abc import Hashable
from typing import Generic, TypeVar

# Several servers share one database, so what another of them changed is news here only after this long.
CACHE_SECONDS = 1.0
_MOST_ENTRIES = 10_000

T = TypeVar("T")


class Cache(Generic[T]):
    """Answers that stay good for :data:`CACHE_SECONDS`; bounded, as callers choose what to ask."""

    def __init__(self) -> None:
        self._entries: dict[Hashable, tuple[float, T]] = {}

    def get(self, key: Hashable) -> T | None:
        """What was put under the key, if it is still good; else None."""
        entry = self._entries.get(key)
        if entry is None or entry[0] < time.monotonic():
            return None
        return entry[1]

    def put(self, key: Hashable, value: T) -> None:
        """Keep a value for a moment."""
        now = time.monotonic()
        self._entries.pop(key, None)
        # They are in the order in which they expire.
        while self._entries and (oldest := next(iter(self._entries))) is not None:
            if self._entries[oldest][0] >= now and len(self._entries) < _MOST_ENTRIES:
                break
            del self._entries[oldest]
        self._entries[key] = (now + CACHE_SECONDS, value)

    def clear(self) -> None:
        """Forget everything."""
        self._entries.clear()
