"""Time as waiting code sees it; tests bring a clock that does not wait."""

from __future__ import annotations

import random
import time
from typing import Protocol

__all__ = ["SYSTEM_CLOCK", "Clock", "SystemClock"]


class Clock(Protocol):
    """Seconds that only go forward, a way to let them pass, and chance."""

    def now(self) -> float:
        """Seconds since some fixed moment."""

    def sleep(self, seconds: float) -> None:
        """Return after that many seconds."""

    def chance(self) -> float:
        """A random number from 0 up to, not including, 1."""


class SystemClock:
    """The machine's own clock."""

    def now(self) -> float:
        """Seconds of the monotonic clock."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Block this thread."""
        time.sleep(seconds)

    def chance(self) -> float:
        """A number that decides nothing but how long to wait."""
        return random.random()


SYSTEM_CLOCK: Clock = SystemClock()
