"""Jobs whose worker died: nobody else notices, so each worker looks for them every now and then.

This is no periodic task of the queue itself, since that would wait behind the very jobs that fill it.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING
from uuid import UUID

from .schema import in_schema
from .task import StalledJob, Task

if TYPE_CHECKING:
    from carto_like.server.platform import Platform

logger = logging.getLogger(__name__)

_FIND = """
SELECT job.id, job.task_name, job.args, job.attempts
FROM procrastinate_jobs job LEFT JOIN procrastinate_workers worker ON worker.id = job.worker_id
WHERE job.status = 'doing' AND job.task_name = ANY (%s)
    AND (worker.id IS NULL OR worker.last_heartbeat < now() - make_interval(secs => %s))
ORDER BY job.id LIMIT 1
FOR UPDATE OF job SKIP LOCKED
"""


async def recover_stalled(platform: Platform, tasks: Mapping[str, Task], seconds: float) -> bool:
    """Decide about one stalled job, if there is one; answers whether there was.

    Args:
        platform: an open platform.
        tasks: the kinds of work to look for.
        seconds: without a sign of life after which a worker counts as dead.
    """
    async with platform.database.metadata() as connection:
        async with in_schema(connection):
            cursor = await connection.execute(_FIND, (list(tasks), seconds))
            row = await cursor.fetchone()
            if row is None:
                return False
        number, name, arguments, attempts = row
        task = tasks[name]
        account_id = UUID(arguments.pop("account_id"))
        logger.warning("the worker of job %d (%s) is gone", number, name)
        again = await task.recover(platform, StalledJob(account_id, arguments, attempts))
        async with in_schema(connection):
            if again and not task.once:
                await connection.execute(
                    "SELECT procrastinate_retry_job_v2(%s, now(), NULL, NULL, NULL)", (number,)
                )
            else:
                await connection.execute("SELECT procrastinate_finish_job_v1(%s, 'failed', true)", (number,))
        if task.once:
            await platform.jobs.add(connection, task, account_id, arguments)
    return True
