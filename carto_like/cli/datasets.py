"""``carto-like datasets``: list, describe and delete the datasets of an account."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

import click

from carto_like.cli.options import as_json, connected
from carto_like.cli.output import print_json, print_json_rows, print_record, print_table, say
from carto_like.datasets import Dataset, DatasetManager

__all__ = ["datasets"]

COLUMNS = ("name", "privacy", "rows", "size", "updated_at")


@click.group()
def datasets() -> None:
    """List, describe and delete datasets."""
    # The warning that this API is not public is for authors of scripts.
    warnings.simplefilter("ignore", FutureWarning)


@datasets.command("list")
@click.option("--limit", type=click.IntRange(min=1), help="Stop after so many.")
@click.option("--query", "-q", metavar="TEXT", help="Only those whose name or description contains the text.")
@as_json
@connected
def list_datasets(client: Any, limit: int | None, query: str | None, json_output: bool) -> None:
    """List the datasets of the account."""
    search = {"q": query} if query else {}
    found = (_summary(dataset) for dataset in islice(DatasetManager(client).iterate(**search), limit))
    if json_output:
        print_json_rows(found)
    else:
        print_table(COLUMNS, found)


@datasets.command()
@click.argument("name")
@as_json
@connected
def info(client: Any, name: str, json_output: bool) -> None:
    """Describe the dataset NAME (or id)."""
    record = dict(_record(DatasetManager(client).get(name)))
    if json_output:
        print_json(record)
    else:
        print_record(record)


@datasets.command()
@click.argument("name")
@click.option("--force", is_flag=True, help="Also when maps depend on it.")
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@connected
def delete(client: Any, name: str, force: bool, yes: bool) -> None:
    """Delete the dataset NAME (or id) and its table."""
    dataset = DatasetManager(client).get(name)
    if not yes:
        click.confirm(f"Delete {dataset.name} with all its rows?", abort=True, err=True)
    if force:
        dataset.force_delete()
    else:
        dataset.delete()
    say(f"Deleted {dataset.name}.")


def _summary(dataset: Dataset) -> Mapping[str, Any]:
    table = dataset.table
    return {
        "name": dataset.name,
        "privacy": dataset.privacy,
        "rows": table.row_count if table else None,
        "size": table.size if table else None,
        "updated_at": dataset.updated_at and dataset.updated_at.isoformat(),
    }


def _record(dataset: Dataset) -> Iterator[tuple[str, Any]]:
    summary = _summary(dataset)
    yield "id", dataset.id
    yield from summary.items()
    for name in ("description", "tags", "license", "attributions", "source"):
        yield name, getattr(dataset, name)
    yield "created_at", dataset.created_at and dataset.created_at.isoformat()
