"""The statuses of batch jobs: every legal transition and no other, and what follows from each outcome."""

from __future__ import annotations

import itertools
from typing import Any
from uuid import UUID

import pytest

from carto_like.server.services.batchrun import may_have_committed
from carto_like.server.services.batchshapes import filled, item_seconds, read_query
from carto_like.server.services.batchstates import TRANSITIONS, IllegalTransition, States, Step, move

NOW = "2026-01-02T03:04:05.000Z"
LEGAL = {
    ("pending", "running"),
    ("pending", "cancelled"),
    ("pending", "skipped"),
    ("pending", "unknown"),
    ("running", "done"),
    ("running", "failed"),
    ("running", "cancelled"),
    ("running", "pending"),
    ("running", "unknown"),
}


@pytest.mark.parametrize(("present", "wanted"), list(itertools.product(TRANSITIONS, TRANSITIONS)))
def test_every_transition(present: str, wanted: str) -> None:
    owner = {"status": present}
    if (present, wanted) in LEGAL:
        move(owner, "status", wanted)
        assert owner == {"status": wanted}
    else:
        with pytest.raises(IllegalTransition, match=f"^Cannot set status from {present} to {wanted}$"):
            move(owner, "status", wanted)
        assert owner == {"status": present}


class Story:
    """A job that is worked off by hand."""

    def __init__(self, query: Any) -> None:
        self.states: States = read_query(query)
        self.ran: list[str] = []

    def step(self, error: str | None = None) -> Story:
        """Run what is next, to a good end or a bad one."""
        self.end(self.begin(), error)
        return self

    def begin(self) -> Step:
        step = self.states.next_step()
        assert step is not None
        self.ran.append(self.states.text_of(step))
        self.states.begin(step, NOW)
        assert self.states.running_step() == step
        return step

    def end(self, step: Step, error: str | None = None) -> None:
        self.states.end(step, NOW, error)

    @property
    def items(self) -> list[tuple[str, str | None]]:
        return [(item["status"], item.get("fallback_status")) for item in self.states.items]

    @property
    def job(self) -> tuple[str, str | None]:
        return self.states.job["status"], self.states.job.get("fallback_status")


def item(query: str, **fallbacks: str) -> dict[str, str]:
    return {"query": query, **fallbacks}


def test_a_job_waits_between_its_queries() -> None:
    story = Story(["a", "b"]).step()
    assert (story.items, story.job) == ([("done", None), ("pending", None)], ("pending", None))
    story.step()
    assert (story.items, story.job) == ([("done", None), ("done", None)], ("done", None))
    assert story.states.next_step() is None
    assert story.ran == ["a", "b"]


def test_what_comes_after_a_failed_query_of_a_list_stays_pending() -> None:
    story = Story(["a", "b", "c"]).step().step("broken")
    assert story.items == [("done", None), ("failed", None), ("pending", None)]
    assert story.job == ("failed", None)
    assert story.states.next_step() is None
    assert story.states.job["failed_reason"] == story.states.items[1]["failed_reason"] == "broken"


def test_a_query_that_is_done_runs_its_onsuccess() -> None:
    story = Story({"query": [item("a", onsuccess="s", onerror="e"), item("b")]})
    assert story.items == [("pending", "pending"), ("pending", None)]
    story.step()
    assert (story.items[0], story.job) == (("done", "pending"), ("pending", None))
    step = story.begin()
    assert (story.items[0], story.job) == (("done", "running"), ("running", None))
    story.end(step)
    assert story.items[0] == ("done", "done")
    story.step()
    assert story.job == ("done", None)
    assert story.ran == ["a", "s", "b"]


def test_a_query_that_is_done_skips_a_lone_onerror() -> None:
    story = Story({"query": [item("a", onerror="e")]}).step()
    assert (story.items, story.job) == ([("done", "skipped")], ("done", None))
    assert story.ran == ["a"]


def test_a_failed_query_runs_its_onerror_and_skips_the_others() -> None:
    query = [item("a", onerror="e"), item("b", onsuccess="s"), item("c")]
    story = Story({"query": query, "onerror": "E"}).step("broken")
    assert story.items == [("failed", "pending"), ("skipped", "skipped"), ("skipped", None)]
    story.step()
    assert story.items[0] == ("failed", "done")
    assert story.job == ("failed", "pending")
    story.step()
    assert story.job == ("failed", "done")
    assert story.ran == ["a", "e", "E"]
    assert "failed_reason" not in story.states.job
    assert story.states.items[0]["failed_reason"] == "broken"


def test_a_failed_query_skips_a_lone_onsuccess() -> None:
    story = Story({"query": [item("a", onsuccess="s")]}).step("broken")
    assert (story.items, story.job) == ([("failed", "skipped")], ("failed", None))
    assert story.states.job["failed_reason"] == "broken"


@pytest.mark.parametrize("outcome", [None, "first"])
def test_a_querys_fallback_that_fails(outcome: str | None) -> None:
    story = Story({"query": [item("a", onsuccess="s", onerror="e"), item("b")]}).step(outcome)
    story.step("second")
    assert story.items[0] == ("done" if outcome is None else "failed", "failed")
    assert story.states.items[0]["failed_reason"] == "second"
    if outcome is None:
        assert story.step().job == ("done", None)
    else:
        assert story.job == ("failed", None)
        assert story.items[1] == ("skipped", None)


@pytest.mark.parametrize(
    ("error", "fallbacks", "ends", "ran"),
    [
        (None, {"onsuccess": "S"}, ("done", "done"), ["a", "S"]),
        (None, {"onsuccess": "S", "onerror": "E"}, ("done", "done"), ["a", "S"]),
        (None, {"onerror": "E"}, ("done", "skipped"), ["a"]),
        ("broken", {"onerror": "E"}, ("failed", "done"), ["a", "E"]),
        ("broken", {"onsuccess": "S", "onerror": "E"}, ("failed", "done"), ["a", "E"]),
        ("broken", {"onsuccess": "S"}, ("failed", "skipped"), ["a"]),
    ],
)
def test_the_fallback_of_a_job(
    error: str | None, fallbacks: dict[str, str], ends: tuple[str, str], ran: list[str]
) -> None:
    story = Story({"query": [item("a")], **fallbacks}).step(error)
    while story.states.next_step() is not None:
        story.step()
    assert (story.job, story.ran) == (ends, ran)
    assert story.states.job.get("failed_reason") == error


def test_a_jobs_fallback_that_fails_leaves_no_reason() -> None:
    story = Story({"query": [item("a")], "onsuccess": "S"}).step().step("broken")
    assert story.job == ("done", "failed")
    assert "failed_reason" not in story.states.job
    assert story.states.next_step() is None


def test_a_stopped_step_begins_again() -> None:
    story = Story({"query": [item("a", onsuccess="s")], "onsuccess": "S"})
    for text in ("a", "s", "S"):
        step = story.begin()
        story.states.put_back(step)
        assert story.states.running_step() is None
        assert "started_at" not in story.states.items[0] or text != "a"
        story.step()
    assert story.ran == ["a", "a", "s", "s", "S", "S"]
    assert story.job == ("done", "done")


def test_cancelling_what_waits() -> None:
    story = Story({"query": [item("a", onerror="e"), item("b")], "onsuccess": "S"})
    story.states.cancel(NOW)
    assert story.items == [("cancelled", "skipped"), ("skipped", None)]
    assert story.job == ("cancelled", "skipped")
    assert story.states.next_step() is None


def test_cancelling_a_list_leaves_later_queries_pending() -> None:
    story = Story(["a", "b", "c"]).step()
    story.begin()
    story.states.cancel(NOW)
    assert story.items == [("done", None), ("cancelled", None), ("pending", None)]
    assert story.job == ("cancelled", None)
    assert story.states.next_step() is None


def test_cancelling_a_running_query_skips_all_that_would_follow() -> None:
    story = Story({"query": [item("a", onsuccess="s"), item("b", onerror="e")], "onerror": "E"})
    story.begin()
    story.states.cancel(NOW)
    assert story.items == [("cancelled", "skipped"), ("skipped", "skipped")]
    assert story.job == ("cancelled", "skipped")
    assert story.states.items[0]["ended_at"] == NOW


@pytest.mark.parametrize("begun", [True, False])
def test_cancelling_a_querys_fallback(begun: bool) -> None:
    story = Story({"query": [item("a", onsuccess="s"), item("b")], "onsuccess": "S"}).step()
    if begun:
        story.begin()
    story.states.cancel(NOW)
    assert story.items == [("done", "cancelled"), ("skipped", None)]
    assert story.job == ("cancelled", "skipped")


def test_what_is_over_cannot_be_cancelled_not_even_while_its_fallback_runs() -> None:
    story = Story({"query": [item("a")], "onsuccess": "S"}).step()
    story.begin()
    with pytest.raises(IllegalTransition, match="from done to cancelled"):
        story.states.cancel(NOW)
    assert story.job == ("done", "running")


def test_what_clients_say_of_our_own_members_is_dropped_and_the_rest_kept() -> None:
    given = {"query": "a", "status": "done", "failed_reason": "x", "fallback_status": "done", "id": "q1"}
    states = read_query({"query": [given], "onsuccess": "S", "note": [1]})
    assert states.items == [{"query": "a", "id": "q1", "status": "pending"}]
    assert states.extras == {"onsuccess": "S", "note": [1]}


def test_placeholders() -> None:
    job_id = UUID("6ce8547b-1499-4859-b8dd-ae4752d79100")
    text = "<%= job_id %>|<%=job_id%>|'<%=  error_message  %>'|<%= other %>"
    failed = {"status": "failed", "failed_reason": "it's \\1 <%= job_id %>"}
    assert filled(text, job_id, failed) == (f"{job_id}|{job_id}|'it''s \\1 <%= job_id %>'|<%= other %>")
    assert filled(text, job_id, {"status": "done"}) == (
        f"{job_id}|{job_id}|'<%=  error_message  %>'|<%= other %>"
    )


@pytest.mark.parametrize(
    ("timeout", "longest", "seconds"),
    [
        (50, 10.0, 0.05),
        (20_000, 10.0, 10.0),
        (0, 10.0, 10.0),
        (-1, 10.0, 10.0),
        (50, 0.0, 0.05),
        ("50", 10.0, 10.0),
        (True, 10.0, 10.0),
        (None, 0.0, 0.0),
        (0.5, 1.0, 0.0005),
    ],
)
def test_the_time_a_query_may_take(timeout: Any, longest: float, seconds: float) -> None:
    assert item_seconds({"timeout": timeout}, longest) == seconds


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/* id */ INSERT INTO t VALUES (1); SELECT 1", False),
        ("/* id */ BEGIN; INSERT INTO t VALUES (1); COMMIT", False),
        ("/* id */ BEGIN; INSERT INTO t VALUES (1); COMMIT; -- over\n", False),
        ("/* id */ BEGIN; INSERT INTO t VALUES (1); COMMIT; SELECT 1", True),
        ("/* id */ BEGIN; INSERT INTO t VALUES (1); END; SELECT 1", True),
        ("/* id */ SELECT 'commit;'; SELECT 1", False),
        ("/* id */ CALL p()", True),
        ("/* id */ DO $$ BEGIN COMMIT; END $$", True),
        ("/* id */ ", False),
    ],
)
def test_what_a_cancelled_text_may_have_left(text: str, expected: bool) -> None:
    assert may_have_committed(text) is expected
