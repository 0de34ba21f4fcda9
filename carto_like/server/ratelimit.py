"""How often an account may ask: the generic cell rate algorithm, its state shared by all servers.

For each limit the database keeps one number: when the account's next request would be on time if requests
came at exactly the allowed rate. A request may be early by as much as the burst is worth.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from .accounts import Account
from .errors import RATE_LIMITED, Problem
from .platform import Platform
from .pool import Connection
from .settings import RateLimit

# Locks the rows it returns, so that two servers decide one after the other.
_TAKE = """
INSERT INTO carto_like.rate_limits AS r (account_id, kind, position, due)
SELECT %s, %s, position, 0 FROM generate_series(0, %s) position
ON CONFLICT (account_id, kind, position) DO UPDATE SET due = r.due
RETURNING position, due, extract(epoch FROM clock_timestamp())::float8
"""
_PUT = """
UPDATE carto_like.rate_limits r SET due = v.due
FROM unnest(%s::float8[]) WITH ORDINALITY v (due, position)
WHERE r.account_id = %s AND r.kind = %s AND r.position = v.position - 1
"""


@dataclass(frozen=True)
class Verdict:
    """What one limit says about one request.

    Attributes:
        due: when the next request would be on time, seconds since the epoch.
        limit: requests that may come at once.
        remaining: how many more may come now.
        reset: seconds until all of them may again.
        retry_after: seconds to wait, None when the request may pass.
    """

    due: float
    limit: int
    remaining: int
    reset: float
    retry_after: float | None

    @property
    def headers(self) -> dict[str, str]:
        """The verdict as response headers, in whole seconds."""
        headers = {
            "Carto-Rate-Limit-Limit": str(self.limit),
            "Carto-Rate-Limit-Remaining": str(self.remaining),
            "Carto-Rate-Limit-Reset": str(math.ceil(self.reset)),
        }
        if self.retry_after is not None:
            headers["Retry-After"] = str(max(1, math.ceil(self.retry_after)))
        return headers


def judge(limit: RateLimit, due: float, now: float) -> Verdict:
    """Judge a request that comes at ``now``, when the state of its limit is ``due``."""
    interval = limit.period / limit.count
    size = limit.burst + 1
    due = max(due, now)
    # Rounding must not turn a request away that comes exactly on time.
    early = due + interval - interval * size - now
    if early > 1e-6:
        return Verdict(due, size, 0, due - now, early)
    due += interval
    remaining = math.floor((interval * size - (due - now)) / interval + 1e-6)
    return Verdict(due, size, remaining, due - now, None)


async def limit(platform: Platform, account: Account, group: str) -> dict[str, str]:
    """Count a request; answers the headers that tell a limited account where it stands.

    Args:
        platform: whose settings hold the limits; without any for the group nothing is counted.
        account: who asks; all its keys share one count.
        group: one of :data:`~carto_like.server.settings.RATE_GROUPS`.

    Raises:
        Problem: 429 with ``Retry-After``; a refused request does not count.
    """
    limits = platform.settings.limits.rate_limits.get(group)
    if not limits:
        return {}
    async with platform.database.metadata() as connection:
        verdicts = await _judge_all(connection, account, group, limits)
    refusals = [verdict for verdict in verdicts if verdict.retry_after is not None]
    if refusals:
        strictest = max(refusals, key=lambda verdict: verdict.retry_after or 0)
        raise Problem(429, RATE_LIMITED, context="limit", detail="rate-limit", headers=strictest.headers)
    return min(verdicts, key=lambda verdict: verdict.remaining).headers


async def _judge_all(
    connection: Connection, account: Account, group: str, limits: Sequence[RateLimit]
) -> list[Verdict]:
    cursor = await connection.execute(_TAKE, (account.id, group, len(limits) - 1))
    states = sorted(await cursor.fetchall())
    verdicts = [judge(one, due, now) for one, (_, due, now) in zip(limits, states, strict=True)]
    if all(verdict.retry_after is None for verdict in verdicts):
        await connection.execute(_PUT, ([verdict.due for verdict in verdicts], account.id, group))
    return verdicts
