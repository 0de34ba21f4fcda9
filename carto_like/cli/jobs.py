"""``carto-like jobs``: the batch jobs of an account."""

from __future__ import annotations

from typing import Any

import click

from carto_like._batch import Job
from carto_like.cli.options import as_json, connected
from carto_like.cli.output import print_json, print_table
from carto_like.sql import BatchSQLClient

__all__ = ["jobs"]

_SHOWN = 60


@click.group()
def jobs() -> None:
    """List, watch and cancel batch jobs."""


@jobs.command("list")
@as_json
@connected
def list_jobs(client: Any, json_output: bool) -> None:
    """List the account's newest jobs, newest first."""
    found = BatchSQLClient(client).list_jobs()
    if json_output:
        print_json(found)
        return
    rows = [{**job, "query": _first_text(job), "reason": job.get("failed_reason")} for job in found]
    print_table(["job_id", "status", "created_at", "updated_at", "query", "reason"], rows)


@jobs.command()
@click.argument("job_id")
@click.option("--timeout", type=click.FloatRange(0, min_open=True), help="Seconds to watch; the job goes on.")
@as_json
@connected
def watch(client: Any, job_id: str, timeout: float | None, json_output: bool) -> None:
    """Tell how a job goes on until it is over; exit code 1 says that it failed or was cancelled."""
    job = BatchSQLClient(client).wait(job_id, timeout=timeout, progress=True)
    if json_output:
        print_json(job)
    else:
        click.echo(job["status"])


@jobs.command()
@click.argument("job_id")
@connected
def cancel(client: Any, job_id: str) -> None:
    """Cancel a job and print its status, which is another when it was over before."""
    click.echo(BatchSQLClient(client).cancel(job_id))


def _first_text(job: Job) -> str:
    """The beginning of a job's first query, on one line."""
    query = job["query"]
    items = query["query"] if isinstance(query, dict) else query
    text = " ".join(str(items if isinstance(items, str) else items[0]["query"]).split())
    more = f" (and {len(items) - 1} more)" if isinstance(items, list) and len(items) > 1 else ""
    return (text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…") + more
