"""When a failed request is sent again, and how long to wait before it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

__all__ = ["DEFAULT_RETRY", "IDEMPOTENT", "NO_RETRY", "Retry", "as_retry"]

IDEMPOTENT = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE"})
_TOO_MANY_REQUESTS = 429


@dataclass(frozen=True)
class Retry:
    """How often, and after what, a request is repeated.

    A body that cannot be sent twice is never repeated, and a 429 that names no ``Retry-After`` neither: that
    is a limit of the query, not of the rate.

    Attributes:
        attempts: how often to try again after the first time; 0 switches retries off.
        backoff: seconds before the first repetition; doubled each time, and shortened by chance.
        longest: seconds that one wait may take; a server that asks for more gets no second request.
        methods: methods repeated after a lost connection or one of ``statuses``. After a 429, or when no
            connection came about, any method is repeated: the server did nothing yet.
        statuses: statuses that are worth another try.
        rate_limited: whether to wait as long as a 429 asks for.
    """

    attempts: int = 3
    backoff: float = 0.5
    longest: float = 60.0
    methods: Collection[str] = IDEMPOTENT
    statuses: Collection[int] = frozenset({502, 503, 504})
    rate_limited: bool = True

    def after_status(self, status: int, method: str) -> bool:
        """Whether an answer of this status is worth another try."""
        if status == _TOO_MANY_REQUESTS:
            return self.rate_limited
        return status in self.statuses and method.upper() in self.methods

    def after_failure(self, method: str, *, unsent: bool) -> bool:
        """Whether to try again without an answer; ``unsent`` when no connection came about."""
        return unsent or method.upper() in self.methods

    def wait(self, attempt: int, retry_after: float | None, chance: float) -> float | None:
        """Seconds before repetition number ``attempt`` (from 1), or None to give up."""
        if attempt > self.attempts:
            return None
        if retry_after is not None:
            return retry_after if retry_after <= self.longest else None
        full: float = min(self.longest, self.backoff * 2 ** (attempt - 1))
        return full * (0.5 + chance / 2)


DEFAULT_RETRY = Retry()
NO_RETRY = Retry(attempts=0)


def as_retry(value: Retry | int | bool | None) -> Retry:
    """The policy meant by a policy, a number of repetitions, True (the default), False or None (never)."""
    if isinstance(value, Retry):
        return value
    if value is True:
        return DEFAULT_RETRY
    return Retry(attempts=int(value)) if value else NO_RETRY
