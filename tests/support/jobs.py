"""Batch jobs over HTTP, for tests."""

from __future__ import annotations

from typing import Any

from tests.support.api import Api
from tests.support.raw import eventually

Job = dict[str, Any]
FINAL = {"done", "failed", "cancelled", "skipped"}


def create(api: Api, query: Any) -> Job:
    """A new job, as it was answered."""
    response = api.post("api/v2/sql/job", json={"query": query})
    assert response.status_code == 201, response.text
    job: Job = response.json()
    assert job["status"] == "pending"
    return job


def read(api: Api, job: Job) -> Job:
    """The job as it is now."""
    response = api.get(f"api/v2/sql/job/{job['job_id']}")
    assert response.status_code == 200, response.text
    found: Job = response.json()
    return found


def is_over(job: Job) -> bool:
    """Whether neither the job nor its fallback will change any more."""
    return job["status"] in FINAL and job.get("fallback_status", "done") in FINAL


def finished(api: Api, job: Job, seconds: float = 15.0) -> Job:
    """The job when it is over."""
    return when(api, job, is_over, "the job is over", seconds)


def when(api: Api, job: Job, condition: Any, what: str, seconds: float = 15.0) -> Job:
    """The job as soon as it meets a condition."""
    seen: list[Job] = []

    def met() -> bool:
        seen[:] = [read(api, job)]
        return bool(condition(seen[0]))

    eventually(met, f"{what}: {job}", seconds)
    return seen[0]


def run(api: Api, query: Any, seconds: float = 15.0) -> Job:
    """Create a job and give it when it is over."""
    return finished(api, create(api, query), seconds)


def cancel(api: Api, job: Job) -> Job:
    """Cancel the job; the answer."""
    response = api.delete(f"api/v2/sql/job/{job['job_id']}")
    assert response.status_code == 200, response.text
    answer: Job = response.json()
    return answer
