from __future__ import annotations

from collections.abc import Iterator

import pytest

from carto_like.core.errors import JobFailed, JobTimeout
from carto_like.core.jobs import wait
from tests.support.clock import FakeClock


def states(*names: str) -> Iterator[str]:
    yield from names
    while True:
        yield names[-1]


def failure(state: str) -> str | None:
    return f"it says {state}" if state == "failed" else None


def test_waits_grow_up_to_a_limit() -> None:
    clock, seen = FakeClock(), states("queued", "queued", "running", "running", "done")
    job = wait(lambda: next(seen), is_done="done".__eq__, interval=1, growth=2, longest=3, clock=clock)
    assert (job, clock.slept) == ("done", [1, 2, 3, 3])


def test_a_job_that_is_done_is_not_waited_for() -> None:
    clock = FakeClock()
    assert wait(lambda: "done", is_done="done".__eq__, clock=clock) == "done"
    assert clock.slept == []


def test_failure_carries_the_job() -> None:
    seen = states("running", "failed")
    with pytest.raises(JobFailed, match="it says failed") as caught:
        wait(lambda: next(seen), is_done="done".__eq__, failure=failure, clock=FakeClock())
    assert caught.value.job == "failed"


def test_time_is_up_exactly_when_it_is_up() -> None:
    clock = FakeClock()
    with pytest.raises(JobTimeout, match="5 s") as caught:
        wait(lambda: "running", is_done="done".__eq__, interval=2, growth=1, timeout=5, clock=clock)
    assert (caught.value.job, clock.slept) == ("running", [2, 2, 1])
    assert isinstance(caught.value, TimeoutError)
