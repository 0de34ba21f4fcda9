"""The states of a batch job and of its queries, and how one follows from another; no clock, no database."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

PENDING, RUNNING, DONE, FAILED = "pending", "running", "done", "failed"
CANCELLED, SKIPPED, UNKNOWN = "cancelled", "skipped", "unknown"

TRANSITIONS: Mapping[str, frozenset[str]] = {
    PENDING: frozenset({RUNNING, CANCELLED, SKIPPED, UNKNOWN}),
    RUNNING: frozenset({DONE, FAILED, CANCELLED, PENDING, UNKNOWN}),
    DONE: frozenset(),
    FAILED: frozenset(),
    CANCELLED: frozenset(),
    SKIPPED: frozenset(),
    UNKNOWN: frozenset(),
}

Kind = Literal["simple", "multiple", "fallback"]
Item = dict[str, Any]


class IllegalTransition(Exception):
    """A state that does not follow from the present one; the text is the API's."""

    def __init__(self, present: str, wanted: str) -> None:
        super().__init__(f"Cannot set status from {present} to {wanted}")


@dataclass(frozen=True)
class Step:
    """One text to run: a query, the fallback of a query, or the fallback of the whole job.

    Attributes:
        part: which of them.
        index: number of the query, unless it is the job's fallback.
    """

    part: Literal["query", "fallback", "job fallback"]
    index: int = 0


def move(owner: dict[str, Any], key: str, status: str) -> None:
    """Set a status, if it may follow from the present one; raises IllegalTransition."""
    if status not in TRANSITIONS[owner[key]]:
        raise IllegalTransition(owner[key], status)
    owner[key] = status


@dataclass
class States:
    """A job's states, all of which change here and nowhere else.

    Attributes:
        kind: how the job was given, which decides what happens to later queries.
        items: its queries, each with ``status`` and, with a fallback of its own, ``fallback_status``.
        job: ``status`` of the job, ``fallback_status`` if it has a fallback, ``failed_reason`` if any.
        extras: ``onsuccess`` and ``onerror`` of the job.
    """

    kind: Kind
    items: list[Item]
    job: dict[str, Any]
    extras: Mapping[str, Any]

    def next_step(self) -> Step | None:
        """What is to be run next; None when all is done, or something runs."""
        if self.job["status"] == PENDING:
            for index, item in enumerate(self.items):
                if item["status"] == PENDING:
                    return Step("query", index)
                if item.get("fallback_status") == PENDING:
                    return Step("fallback", index)
        elif self.job["status"] in (DONE, FAILED) and self.job.get("fallback_status") == PENDING:
            return Step("job fallback")
        return None

    def running_step(self) -> Step | None:
        """What is running; None when nothing is."""
        for index, item in enumerate(self.items):
            if item["status"] == RUNNING:
                return Step("query", index)
            if item.get("fallback_status") == RUNNING:
                return Step("fallback", index)
        return Step("job fallback") if self.job.get("fallback_status") == RUNNING else None

    def text_of(self, step: Step) -> str:
        """The SQL of a step, as it was given."""
        if step.part == "query":
            return str(self.items[step.index]["query"])
        if step.part == "fallback":
            return _chosen(self.items[step.index], self.items[step.index]["status"])
        return _chosen(self.extras, self.job["status"])

    def begin(self, step: Step, now: str) -> None:
        """A step starts."""
        if step.part == "job fallback":
            move(self.job, "fallback_status", RUNNING)
            return
        item = self.items[step.index]
        move(self.job, "status", RUNNING)
        move(item, "status" if step.part == "query" else "fallback_status", RUNNING)
        if step.part == "query" and self.kind == "fallback":
            item["started_at"] = now

    def put_back(self, step: Step) -> None:
        """A step was stopped before it did anything, and will start again."""
        if step.part == "job fallback":
            move(self.job, "fallback_status", PENDING)
            return
        item = self.items[step.index]
        move(item, "status" if step.part == "query" else "fallback_status", PENDING)
        move(self.job, "status", PENDING)
        if step.part == "query":
            item.pop("started_at", None)

    def end(self, step: Step, now: str, error: str | None) -> None:
        """A step is over: well, or with an error."""
        status = DONE if error is None else FAILED
        if step.part == "job fallback":
            move(self.job, "fallback_status", status)
            return
        item = self.items[step.index]
        if step.part == "query":
            self._end_query(item, step.index, status, now)
        else:
            move(item, "fallback_status", status)
        if error is not None:
            item["failed_reason"] = error
        self._go_on(item, error if step.part == "query" else None)

    def cancel(self, now: str) -> None:
        """Stop it, whatever it does; raises IllegalTransition when it is over."""
        step = self.running_step() if self.job["status"] == RUNNING else self.next_step()
        move(self.job, "status", CANCELLED)
        if step is not None and step.part != "job fallback":
            item = self.items[step.index]
            if step.part == "query":
                was_running = item["status"] == RUNNING
                move(item, "status", CANCELLED)
                if self.kind == "fallback" and was_running:
                    item["ended_at"] = now
            else:
                move(item, "fallback_status", CANCELLED)
        self._skip(self.items)
        _skip_status(self.job, "fallback_status")

    def _end_query(self, item: Item, index: int, status: str, now: str) -> None:
        move(item, "status", status)
        if self.kind == "fallback":
            item["ended_at"] = now
        if not _chosen(item, status):
            _skip_status(item, "fallback_status")
        if status == FAILED:
            self._skip(self.items[index + 1 :])

    def _skip(self, items: list[Item]) -> None:
        # The queries of a plain list that are never reached stay pending for ever, as they always did.
        if self.kind != "fallback":
            return
        for item in items:
            _skip_status(item, "status")
            _skip_status(item, "fallback_status")

    def _go_on(self, item: Item, error: str | None) -> None:
        """Decide about the job after one of its queries, or the fallback of one."""
        failed = any(each["status"] == FAILED for each in self.items)
        if error is not None and not _chosen(item, FAILED):
            self.job["failed_reason"] = error
        if any(self._waiting(failed)):
            move(self.job, "status", PENDING)
            return
        status = FAILED if failed else DONE
        move(self.job, "status", status)
        if not _chosen(self.extras, status):
            _skip_status(self.job, "fallback_status")

    def _waiting(self, failed: bool) -> Iterator[bool]:
        for item in self.items:
            yield item.get("fallback_status") == PENDING and item["status"] in (DONE, FAILED)
            yield item["status"] == PENDING and not failed


def _chosen(owner: Mapping[str, Any], status: str) -> str:
    """The fallback that belongs to an outcome; empty when there is none."""
    return str(owner.get("onsuccess" if status == DONE else "onerror") or "")


def _skip_status(owner: dict[str, Any], key: str) -> None:
    if owner.get(key) == PENDING:
        move(owner, key, SKIPPED)
