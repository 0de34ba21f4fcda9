"""``carto-like sync``: datasets that follow an address."""

from __future__ import annotations

import warnings
from typing import Any

import click

from carto_like.cli.imports import address_of, made
from carto_like.cli.options import as_json, connected
from carto_like.cli.output import print_json, print_json_rows, print_record, print_table, say
from carto_like.sync_tables import SyncTableJob, SyncTableJobManager

__all__ = ["sync"]

COLUMNS = ("id", "name", "state", "interval", "ran_at", "run_at", "error_code", "url")


@click.group()
def sync() -> None:
    """Let datasets follow an address."""
    # The warning that this API is not public is for authors of scripts.
    warnings.simplefilter("ignore", FutureWarning)


@sync.command("list")
@as_json
@connected
def list_syncs(client: Any, json_output: bool) -> None:
    """List the synchronizations of the account."""
    found = [_summary(job) for job in SyncTableJobManager(client).all()]
    if json_output:
        print_json_rows(found)
    else:
        print_table(COLUMNS, found)


@sync.command()
@click.argument("url")
@click.option(
    "--interval",
    type=click.IntRange(min=1),
    default=3600,
    show_default=True,
    help="Seconds between two looks at the address; most servers want 900 or more.",
)
@click.option("--privacy", type=click.Choice(["public", "link", "private"]), help="Of the dataset.")
@click.option("--overwrite", is_flag=True, help="Take the place of a table of this name.")
@click.option("--wait/--no-wait", default=True, show_default=True, help="Wait for the dataset.")
@click.option("--timeout", type=click.FloatRange(0, min_open=True), help="Seconds to wait.")
@as_json
@connected
def create(
    client: Any,
    url: str,
    interval: int,
    privacy: str | None,
    overwrite: bool,
    wait: bool,
    timeout: float | None,
    json_output: bool,
) -> None:
    """Make a dataset of what is at URL, and keep it up to date.

    With - the address is read from stdin: everybody on the machine can see a command line, and some addresses
    hold a secret.
    """
    strategy = "overwrite" if overwrite else None
    job = SyncTableJobManager(client).create(
        address_of(url), interval, privacy=privacy, collision_strategy=strategy
    )
    say(f"Synchronization {job.id}")
    dataset = job.wait(timeout, lambda job: say(f"{job.state}")) if wait else None
    told = {**_summary(job), **({"dataset": made(dataset)} if dataset else {})}
    show = print_json if json_output else print_record
    show(told)


@sync.command()
@click.argument("identity", metavar="ID|NAME")
@click.option("--wait", is_flag=True, help="Wait until it has run.")
@click.option("--timeout", type=click.FloatRange(0, min_open=True), help="Seconds to wait.")
@as_json
@connected
def force(client: Any, identity: str, wait: bool, timeout: float | None, json_output: bool) -> None:
    """Look at the address of a synchronization now; exit code 1 says that the server will not."""
    job = _find(client, identity)
    job.force_sync()
    if not job.enqueued:
        raise click.ClickException("It waits or runs already, or ran a short time ago.")
    if wait:
        job.wait(timeout, lambda job: say(f"{job.state}"))
    else:
        job.refresh()
    if json_output:
        print_json(_summary(job))
    else:
        say(f"{job.name or job.id} is {job.state}.")


@sync.command()
@click.argument("identity", metavar="ID|NAME")
@connected
def delete(client: Any, identity: str) -> None:
    """End a synchronization; its dataset stays."""
    job = _find(client, identity)
    job.delete()
    say(f"{job.name or job.id} follows its source no more.")


def _find(client: Any, identity: str) -> SyncTableJob:
    """The synchronization with this id, or the one whose dataset has this name."""
    for job in SyncTableJobManager(client).all():
        if identity in (job.id, job.name):
            return job
    raise click.ClickException(f"There is no synchronization {identity}.")


def _summary(job: SyncTableJob) -> dict[str, Any]:
    times = {name: getattr(job, name) for name in ("ran_at", "run_at")}
    return {
        **{name: getattr(job, name) for name in COLUMNS},
        **{name: moment and moment.isoformat() for name, moment in times.items()},
    }
