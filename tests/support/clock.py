"""A clock that goes forward only when somebody sleeps."""

from __future__ import annotations


class FakeClock:
    def __init__(self, chance: float = 1.0) -> None:
        self.time = 0.0
        self.slept: list[float] = []
        self._chance = chance

    def now(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.time += seconds

    def chance(self) -> float:
        return self._chance
