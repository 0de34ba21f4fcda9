"""``carto-like sql``: run SQL and print the rows while they arrive."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from itertools import chain
from typing import Any

import click

from carto_like.cli.options import as_json, connected
from carto_like.cli.output import print_csv, print_json_rows, print_table, say
from carto_like.rows import Rows
from carto_like.sql import SQLClient

__all__ = ["sql"]


@click.command()
@click.argument("query")
@click.option(
    "--format",
    "form",
    type=click.Choice(["table", "csv", "json"]),
    default="table",
    show_default=True,
    help="How to print the rows.",
)
@as_json
@connected
def sql(client: Any, query: str, form: str, json_output: bool) -> None:
    """Run SQL and print the rows.

    QUERY is one or more statements, or - to read them from stdin. As csv and json, the rows are printed while
    they arrive, however many there are; an error after the first of them ends the output with exit code 1.
    """
    if query == "-":
        query = sys.stdin.read()
    with SQLClient(client).iterate(query) as rows:
        if json_output or form == "json":
            print_json_rows(rows)
        else:
            _print_columns(rows, form)


def _print_columns(rows: Rows, form: str) -> None:
    first = next(rows, None)
    columns = list(rows.fields if first is None else first)
    if not columns:
        say(f"{rows.total_rows or 0} rows")
        return
    found: Iterator[dict[str, Any]] = rows if first is None else chain([first], rows)
    if form == "csv":
        print_csv(columns, found)
    else:
        print_table(columns, found)
