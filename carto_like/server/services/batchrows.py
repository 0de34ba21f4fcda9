"""Batch jobs as rows of the platform's database."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from carto_like.server.pool import Connection

from .batchshapes import shown_query, shown_time
from .batchstates import States

_COLUMNS = """
job.id, account.name, job.role, job.kind, job.items::text, job.extras::text, job.status, job.fallback_status,
job.failed_reason, job.created_at, job.updated_at
"""
_FROM = "FROM carto_like.batch_jobs job JOIN carto_like.users account ON account.id = job.account_id"


@dataclass
class BatchJob:
    """A batch job as it is stored."""

    id: UUID
    user: str
    role: str
    states: States
    created_at: datetime
    updated_at: datetime

    def shown(self) -> dict[str, Any]:
        """The job as the API answers it."""
        job = dict(self.states.job)
        return {
            "job_id": str(self.id),
            "user": self.user,
            "status": job.pop("status"),
            "query": shown_query(self.states),
            **job,
            "created_at": shown_time(self.created_at),
            "updated_at": shown_time(self.updated_at),
        }


async def find(
    connection: Connection, condition: str, values: Sequence[Any], *, rest: str = ""
) -> list[BatchJob]:
    """The jobs that meet a condition on ``job``.

    Args:
        connection: the platform's own.
        condition: SQL with placeholders, never from outside.
        values: for the placeholders.
        rest: what follows the condition: order, limit, locking.
    """
    query = f"SELECT {_COLUMNS} {_FROM} WHERE {condition} {rest}"
    cursor = await connection.execute(query.encode(), values)
    return [_job(row) for row in await cursor.fetchall()]


def _job(row: tuple[Any, ...]) -> BatchJob:
    number, user, role, kind, items, extras, status, fallback_status, reason, created, updated = row
    job = {"status": status, "fallback_status": fallback_status, "failed_reason": reason}
    present = {name: value for name, value in job.items() if value is not None}
    states = States(kind, json.loads(items), present, json.loads(extras))
    return BatchJob(number, user, role, states, created, updated)


async def insert(connection: Connection, account_id: UUID, role: str, states: States) -> UUID:
    """Store a new job; answers its id."""
    cursor = await connection.execute(
        "INSERT INTO carto_like.batch_jobs (account_id, role, kind, items, extras, status, fallback_status) "
        "VALUES (%s, %s, %s, %s, %s, %s, %s) RETURNING id",
        (
            account_id,
            role,
            states.kind,
            json.dumps(states.items),
            json.dumps(states.extras),
            states.job["status"],
            states.job.get("fallback_status"),
        ),
    )
    row = await cursor.fetchone()
    assert row is not None
    number: UUID = row[0]
    return number


async def save(connection: Connection, job: BatchJob, turn: UUID | None) -> None:
    """Store what became of a job, and the turn that runs it now, if one does."""
    states = job.states
    cursor = await connection.execute(
        "UPDATE carto_like.batch_jobs SET items = %s, status = %s, fallback_status = %s, failed_reason = %s, "
        "turn = %s, updated_at = clock_timestamp() WHERE id = %s RETURNING updated_at",
        (
            json.dumps(states.items),
            states.job["status"],
            states.job.get("fallback_status"),
            states.job.get("failed_reason"),
            turn,
            job.id,
        ),
    )
    row = await cursor.fetchone()
    if row is not None:
        job.updated_at = row[0]
