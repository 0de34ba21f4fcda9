"""Waiting for work that the server does in its own time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from carto_like.core.clock import SYSTEM_CLOCK, Clock
from carto_like.core.errors import JobFailed, JobTimeout

__all__ = ["wait"]

_T = TypeVar("_T")


def wait(
    read: Callable[[], _T],
    *,
    is_done: Callable[[_T], bool],
    failure: Callable[[_T], Any] = lambda job: None,
    interval: float = 1.0,
    growth: float = 1.5,
    longest: float = 30.0,
    timeout: float | None = None,
    clock: Clock = SYSTEM_CLOCK,
    failed: type[JobFailed] = JobFailed,
    timed_out: type[JobTimeout] = JobTimeout,
) -> _T:
    """The job as it was when it ended well.

    Args:
        read: asks the server for the job's present state; its own errors end the wait.
        is_done: whether a state is a good end.
        failure: what a state says about a bad end; None or empty while there is none.
        interval: seconds before the second look.
        growth: how much longer each wait is than the one before; 1 keeps them equal.
        longest: seconds that one wait may take.
        timeout: seconds to wait in all; None waits as long as it takes.
        clock: where time comes from.
        failed: class to raise for a bad end.
        timed_out: class to raise when time is up.

    Raises:
        JobFailed: the job ended badly; ``.job`` is its last state.
        JobTimeout: the job did not end in time; ``.job`` is its last state.
    """
    started = clock.now()
    while True:
        job = read()
        problem = failure(job)
        if problem:
            raise failed(problem, job=job)
        if is_done(job):
            return job
        elapsed = clock.now() - started
        if timeout is not None and elapsed >= timeout:
            raise timed_out(f"the job has not ended after {elapsed:.0f} s", job=job)
        left = interval if timeout is None else min(interval, timeout - elapsed)
        clock.sleep(left)
        interval = min(longest, interval * growth)
