"""``carto-like import``: make a dataset of a file or an address."""

from __future__ import annotations

import sys
import warnings
from typing import Any

import click

from carto_like.cli.options import as_json, connected
from carto_like.cli.output import print_json, print_record, say
from carto_like.datasets import Dataset, DatasetManager

__all__ = ["address_of", "import_", "made"]


@click.command("import")
@click.argument("source", metavar="FILE|URL")
@click.option("--privacy", type=click.Choice(["public", "link", "private"]), help="Of the dataset.")
@click.option(
    "--collision",
    type=click.Choice(["skip", "overwrite"]),
    help="What to do when there is a table of this name; default: give the new one another name.",
)
@click.option(
    "--type-guessing/--no-type-guessing", default=None, help="Whether columns get types, or are text."
)
@click.option(
    "--timeout", type=click.FloatRange(0, min_open=True), help="Seconds to wait; the import goes on."
)
@as_json
@connected
def import_(
    client: Any,
    source: str,
    privacy: str | None,
    collision: str | None,
    type_guessing: bool | None,
    timeout: float | None,
    json_output: bool,
) -> None:
    """Make a dataset of a file or an address.

    It is described when it is there. With - the http or https address is read from stdin: everybody on the
    machine can see a command line, and some addresses hold a secret.
    """
    warnings.simplefilter("ignore", FutureWarning)
    dataset = DatasetManager(client).create(
        address_of(source),
        timeout=timeout,
        progress=lambda job: say(f"{job.state}"),
        privacy=privacy,
        collision_strategy=collision,
        type_guessing=type_guessing,
    )
    show = print_json if json_output else print_record
    show(made(dataset))


def address_of(source: str) -> str:
    """What was given, or the line on stdin that stands in its place."""
    if source != "-":
        return source
    address = sys.stdin.readline().strip()
    if not address.lower().startswith(("http://", "https://")):
        raise click.UsageError("An http or https address was expected on stdin.")
    return address


def made(dataset: Dataset) -> dict[str, Any]:
    """A dataset in few words."""
    table = dataset.table
    return {
        "name": dataset.name,
        "id": dataset.id,
        "privacy": dataset.privacy,
        "rows": table.row_count if table else None,
        "url": dataset.url,
    }
