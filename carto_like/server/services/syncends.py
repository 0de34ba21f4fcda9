"""What the end of an import means to the synchronization that it was a run of."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from psycopg.rows import dict_row

from carto_like.server.imports import codes
from carto_like.server.pool import Connection

MOST_RETRIES: Final = 10
"""Failures in a row after which a synchronization waits for somebody to force it."""

_LONGEST_WAIT = timedelta(days=1)
_GONE, _CLOSED = (404, 410), (401, 403)
_ENDED = """
SELECT s.id, s.seconds, s.retried_times, i.state, i.error_code, i.error_reason, i.answer_status,
       i.seen, d.id AS dataset_id, s.source = i.source AS is_current
FROM carto_like.imports i
JOIN carto_like.synchronizations s ON s.id = i.synchronization_id AND s.import_id = i.id
LEFT JOIN carto_like.datasets d ON d.table_id = i.table_id
WHERE i.id = %s FOR UPDATE OF s
"""
_SUCCESS = """
UPDATE carto_like.synchronizations
SET state = 'success', ran_at = now(), run_at = now() + %(wait)s, updated_at = now(), retried_times = 0,
    error_code = NULL, error_message = NULL, dataset_id = coalesce(%(dataset_id)s, dataset_id),
    etag = %(etag)s, modified_at = %(modified_at)s, digest = %(digest)s
WHERE id = %(id)s
"""
_FAILURE = """
UPDATE carto_like.synchronizations
SET state = 'failure', ran_at = now(), run_at = now() + %(wait)s, updated_at = now(),
    retried_times = retried_times + 1, error_code = %(code)s, error_message = %(message)s
WHERE id = %(id)s
"""


async def note_end(connection: Connection, import_id: UUID) -> None:
    """Note how a synchronization's run has ended, and when the next one is due; nothing for other imports.

    Args:
        connection: the platform's own, in the transaction that ends the import.
        import_id: which has ended.
    """
    async with connection.cursor(row_factory=dict_row) as cursor:
        ended = await (await cursor.execute(_ENDED, (import_id,))).fetchone()
    if ended is None:
        return
    values: dict[str, Any] = {"id": ended["id"], "dataset_id": ended["dataset_id"]}
    seconds = timedelta(seconds=ended["seconds"])
    # A first run that made nothing would have nothing to follow the source.
    if ended["state"] == "complete":
        # What was seen of another address says nothing about the one that it has now.
        seen = (ended["seen"] or {}) if ended["is_current"] else {}
        values |= {name: seen.get(name) for name in ("etag", "modified_at", "digest")}
        await connection.execute(_SUCCESS, {**values, "wait": seconds})
        return
    code = _code_of(ended)
    values |= {"code": code, "message": _message_of(code, ended["error_reason"])}
    await connection.execute(_FAILURE, {**values, "wait": wait_after(seconds, ended["retried_times"])})


def wait_after(interval: timedelta, failures: int) -> timedelta:
    """How long to wait for the next run after one that failed, and so many before it.

    The first time it is the interval, then twice as long each time, up to a day.
    """
    return max(interval, min(interval * int(2 ** min(failures, MOST_RETRIES)), _LONGEST_WAIT))


def _code_of(ended: dict[str, Any]) -> int:
    if ended["answer_status"] in _GONE:
        return codes.SOURCE_GONE
    if ended["answer_status"] in _CLOSED:
        return codes.SOURCE_CLOSED
    code: int | None = ended["error_code"]
    return codes.NO_CODE if code in (None, codes.UNKNOWN) else code


def _message_of(code: int, reason: str | None) -> str:
    told = codes.error_text(code, reason)
    return f"{told['title']}: {told['what_about']}"
