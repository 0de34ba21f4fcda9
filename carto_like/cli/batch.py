"""``carto-like batch``: run a file of SQL as a job on the server."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from carto_like._batch import Job, describe
from carto_like.cli.options import as_json, connected
from carto_like.cli.output import print_json
from carto_like.pure.pgtext import split_statements
from carto_like.sql import BatchSQLClient

__all__ = ["batch"]


@click.group()
def batch() -> None:
    """Run a file of SQL as a job on the server."""


@batch.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path))
@click.option(
    "--one-transaction",
    is_flag=True,
    help="Run all of the file or nothing of it; else each statement is a transaction, up to the first error.",
)
@click.option("--wait/--no-wait", default=True, show_default=True, help="Wait until the job is over.")
@click.option("--timeout", type=click.FloatRange(0, min_open=True), help="Seconds to wait; the job goes on.")
@as_json
@connected
def run(
    client: Any, file: Path, one_transaction: bool, wait: bool, timeout: float | None, json_output: bool
) -> None:
    """Run the statements of FILE, or of stdin if FILE is -, one after the other.

    Exit code 1 says that one of them failed. Ctrl-C ends the waiting, not the job.
    """
    text = sys.stdin.read() if str(file) == "-" else file.read_text("utf-8")
    statements = split_statements(text)
    if not statements:
        raise click.UsageError("There is no SQL in the file.")
    jobs = BatchSQLClient(client)
    job = jobs.create(text if one_transaction or len(statements) == 1 else statements)
    if wait:
        job = jobs.wait(job["job_id"], timeout=timeout, progress=True)
    _show(job, json_output=json_output)


def _show(job: Job, *, json_output: bool) -> None:
    if json_output:
        print_json(job)
    else:
        click.echo(describe(job))
