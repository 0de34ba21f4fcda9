"""``carto-like export``: a table or the result of a query as a file, in any format."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from carto_like.cli.options import connected, progress, shown
from carto_like.cli.output import say
from carto_like.export import EXTENSIONS, Exporter

__all__ = ["export"]

_STDOUT = Path("-")


@click.command()
@click.argument("source", metavar="TABLE|QUERY")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    help="File to write, - for stdout; default: the table's name in this folder.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(sorted(EXTENSIONS)),
    help="Format of the file; default: what the name of the file ends in.",
)
@click.option("--skip", metavar="A,B,...", help="Columns to leave out.")
@click.option("--decimals", type=click.IntRange(0, 20), help="Decimal places in geojson and svg.")
@progress
@connected
def export(
    client: Any,
    source: str,
    output: Path | None,
    form: str | None,
    skip: str | None,
    decimals: int | None,
    progress: bool | None,
) -> None:
    """Write a TABLE, or the result of a QUERY, to a file.

    The file appears when all of it has arrived: whatever fails, what was there before stays.
    """
    parameters = {"skipfields": skip, "dp": decimals}
    given: dict[str, Any] = {name: value for name, value in parameters.items() if value is not None}
    exporter = Exporter(client)
    if output == _STDOUT:
        if form is None:
            raise click.UsageError("Give --format: stdout has no name to tell it.")
        exporter.to_file(source, sys.stdout.buffer, form, progress=shown(progress), **given)
        sys.stdout.buffer.flush()
        return
    target = output or _named_after(source, form)
    exporter.to_path(source, target, form, progress=shown(progress), **given)
    say(f"{target}: {target.stat().st_size} bytes")


def _named_after(source: str, form: str | None) -> Path:
    if form is None:
        raise click.UsageError("Give --output, --format or both.")
    if not source.replace("_", "").isalnum():
        raise click.UsageError("Give --output: only a table's name can be the file's.")
    return Path(f"{source}.{EXTENSIONS[form]}")
