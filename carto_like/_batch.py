"""What a batch client does: requests about jobs, and waiting for them."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import quote

from carto_like.core import jobs
from carto_like.core.clock import SYSTEM_CLOCK
from carto_like.exceptions import CartoException, CartoJobCancelled, CartoJobFailed, CartoJobTimeout, wrapped

__all__ = ["BatchQuery", "BatchRequests", "Job", "JobProgress"]

Job = dict[str, Any]
BatchQuery = str | Sequence[str] | Mapping[str, Any]
JobProgress = bool | Callable[[Job], object]
"""False for silence, True for a line on stderr, or a callable given the job each time it was read."""

_PENDING = ("pending", "running")
# Guides and old code spell it with one l, servers with two.
_CANCELLED = ("canceled", "cancelled")
_OVER = re.compile(r"Cannot set status from (\w+) to cancell?ed")
_FIRST_INTERVAL = 0.1
_CLOCK = SYSTEM_CLOCK


class BatchRequests:
    """The requests of the batch API; :class:`carto_like.sql.BatchSQLClient` is the class to use."""

    client: Any
    api_url: str

    def send(
        self,
        url: str,
        http_method: str,
        json_body: Any = None,
        http_header: Mapping[str, str] | None = None,
    ) -> Any:
        """The parsed answer to a request; the methods below say it more simply.

        Raises:
            CartoException: the server refused, or could not be reached.
            CartoRateLimitException: too many requests.
        """
        with wrapped(self.client):
            response = self.client.send(url, http_method, json=json_body, headers=http_header)
            return self.client.get_response_data(response, True)

    def create(self, sql_query: BatchQuery) -> Job:
        """Create a job and return it as the server stored it, with its ``job_id``.

        Args:
            sql_query: a query; a list of queries, each run when the one before it is done; or a dict with a
                list of queries that have ``onsuccess`` and ``onerror``, as the Batch API documents it.

        Raises:
            CartoException: the server refused, for instance a request of over 16 kB.
        """
        query = list(sql_query) if isinstance(sql_query, (tuple, list)) else sql_query
        return self._job(self.send(self.api_url, "post", json_body={"query": query}))

    def read(self, job_id: str) -> Job:
        """The job as it is now; raises CartoException when there is none of that id."""
        return self._job(self.send(self._url(job_id), "get"))

    def list_jobs(self) -> list[Job]:
        """The account's newest jobs, newest first.

        CARTO's own service cannot list jobs; it answers that there is no such address.
        """
        found: list[Job] = self.send(self.api_url, "get")["jobs"]
        return found

    def update(self, job_id: str, sql_query: BatchQuery) -> Job:
        """Change the query of a pending job, where the server still can.

        Raises:
            CartoException: it cannot: cancel the job and create another.
        """
        try:
            return self._job(self.send(self._url(job_id), "put", json_body={"query": sql_query}))
        except CartoException as error:
            if error.status_code not in (404, 405):
                raise
            raise CartoException(
                f"This server does not change batch jobs. Cancel job {job_id} and create another."
            ) from error

    def cancel(self, job_id: str) -> str:
        """Cancel a job and return its status: ``cancelled``, or what it was when it was over before.

        Raises:
            CartoException: there is no such job, or the server could not be reached.
        """
        try:
            return str(self.send(self._url(job_id), "delete")["status"])
        except CartoException as error:
            over = _OVER.search(str(error))
            if over is None:
                raise
            return over.group(1)

    def create_and_wait_for_completion(
        self,
        sql_query: BatchQuery,
        *,
        timeout: float | None = None,
        interval: float | None = None,
        progress: JobProgress = False,
    ) -> Job:
        """Create a job and return it when it is done; see :meth:`create` and :meth:`wait`."""
        job_id = self.create(sql_query)["job_id"]
        return self.wait(job_id, timeout=timeout, interval=interval, progress=progress)

    def wait(
        self,
        job_id: str,
        *,
        timeout: float | None = None,
        interval: float | None = None,
        progress: JobProgress = False,
    ) -> Job:
        """The job when it is done, and its fallback too if it has one.

        Args:
            job_id: of a job that was created before.
            timeout: seconds to wait; None waits as long as it takes. The job goes on when they are over.
            interval: seconds between two looks, which come sooner at first. The default is the module's
                ``BATCH_READ_STATUS_AFTER_SECONDS``.
            progress: True for a line on stderr, or a callable given the job each time it was read.

        Raises:
            CartoJobCancelled: somebody cancelled it.
            CartoJobFailed: it failed; ``job`` says where and why.
            CartoJobTimeout: it is not over yet; ``job`` is its present state.
            CartoException: the server could not be reached.
        """
        longest = self._interval() if interval is None else interval
        show = _shower(progress)

        def look() -> Job:
            job = self.read(job_id)
            show(job)
            return job

        job = jobs.wait(
            look,
            is_done=_is_over,
            interval=min(_FIRST_INTERVAL, longest),
            longest=longest,
            timeout=timeout,
            clock=_CLOCK,
            timed_out=CartoJobTimeout,
        )
        if job["status"] != "done":
            raise _failure(job)
        return job

    def update_from_dict(self, data_dict: Mapping[str, Any]) -> None:
        """Set each of the values as an attribute; ``item_queue_id`` is the ``id``, too."""
        for name, value in data_dict.items():
            setattr(self, name, value)
        if "item_queue_id" in data_dict:
            self.id = data_dict["item_queue_id"]

    def _interval(self) -> float:
        raise NotImplementedError

    def _url(self, job_id: str) -> str:
        return self.api_url + quote(str(job_id), safe="")

    def _job(self, data: Any) -> Job:
        if not isinstance(data, dict) or "job_id" not in data:
            raise CartoException(f"The server's answer is no batch job: {data!r}")
        return data


def _is_over(job: Job) -> bool:
    return job["status"] not in _PENDING and job.get("fallback_status") not in _PENDING


def _failure(job: Job) -> CartoJobFailed:
    kind = CartoJobCancelled if job["status"] in _CANCELLED else CartoJobFailed
    reason = job.get("failed_reason")
    told = f": {reason}" if reason else ""
    return kind(f"Batch job {job['job_id']} is {job['status']}{told}. {job}", job=job)


def _shower(progress: JobProgress) -> Callable[[Job], object]:
    if callable(progress):
        return progress
    return _Line() if progress else lambda job: None


class _Line:
    """Writes a line whenever the job has come further."""

    def __init__(self) -> None:
        self._shown = ""

    def __call__(self, job: Job) -> None:
        text = describe(job)
        if text != self._shown:
            sys.stderr.write(f"{text}\n")
            sys.stderr.flush()
            self._shown = text


def describe(job: Job) -> str:
    """A job's state in one line."""
    query = job.get("query")
    items = query.get("query") if isinstance(query, Mapping) else query
    text = f"{job['job_id']}: {job['status']}"
    if isinstance(items, list) and len(items) > 1:
        text += f", {sum(item.get('status') == 'done' for item in items)} of {len(items)} queries done"
    if job.get("fallback_status"):
        text += f", fallback {job['fallback_status']}"
    return text
