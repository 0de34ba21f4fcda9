"""What a command says: results on stdout, talk on stderr."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import click

__all__ = ["SHOWN_ROWS", "print_csv", "print_json", "print_json_rows", "print_record", "print_table", "say"]

SHOWN_ROWS = 1000


def say(text: str) -> None:
    """Tell the user something that is not the result."""
    click.echo(text, err=True)


def print_json(value: Any) -> None:
    """Print a value as one line of JSON."""
    click.echo(json.dumps(value, ensure_ascii=False, default=str))


def print_json_rows(rows: Iterable[Mapping[str, Any]]) -> int:
    """Print rows as a JSON list, each as it comes, and return how many there were."""
    count = 0
    click.echo("[", nl=False)
    for row in rows:
        click.echo(",\n" if count else "\n", nl=False)
        click.echo(json.dumps(row, ensure_ascii=False, default=str), nl=False)
        count += 1
    click.echo("\n]" if count else "]")
    return count


def print_csv(columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> int:
    """Print rows as CSV with a header, and return how many there were."""
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(columns)
    count = 0
    for row in rows:
        writer.writerow([_plain(row.get(name)) for name in columns])
        count += 1
    return count


def print_table(columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> int:
    """Print the first :data:`SHOWN_ROWS` rows as a table; return how many were printed."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, header_style="bold")
    for name in columns:
        table.add_column(name, overflow="ellipsis")
    count = 0
    for row in rows:
        if count == SHOWN_ROWS:
            say(f"Only the first {SHOWN_ROWS} rows are shown; --format csv or json gives all.")
            break
        table.add_row(*(_plain(row.get(name)) for name in columns))
        count += 1
    # A pipe has no width that rows would have to fit.
    Console(markup=False, highlight=False, width=None if sys.stdout.isatty() else 100_000).print(table)
    return count


def print_record(record: Mapping[str, Any]) -> None:
    """Print one thing's attributes, a line for each."""
    width = max(map(len, record), default=0)
    for name, value in record.items():
        click.echo(f"{name:<{width}}  {_plain(value)}")


def _plain(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, default=str)
