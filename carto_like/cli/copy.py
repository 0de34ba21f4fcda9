"""``carto-like copy``: stream a file into a table, or a table or query into a file."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from itertools import chain
from typing import Any, BinaryIO

import click

from carto_like.cli.options import as_json, connected, progress, shown
from carto_like.cli.output import print_json, say
from carto_like.pure.pgtext import leading_keyword, quote_identifier
from carto_like.sql import CopySQLClient

__all__ = ["copy"]

PLAIN_NAME = re.compile(r"[A-Za-z_][\w$]*(\.[A-Za-z_][\w$]*)?")
QUERIES = frozenset({"select", "with", "values"})
HEADER_BYTES = 2**20
BLOCK = 2**16


@click.group()
def copy() -> None:
    """Stream rows into or out of a table, as CSV."""


@copy.command("from")
@click.argument("table")
@click.argument("file", type=click.File("rb"))
@click.option(
    "--columns", metavar="A,B,...", help="Columns in the order of the file; default: its header line."
)
@click.option("--header/--no-header", default=True, help="Whether the file starts with a header line.")
@click.option("--delimiter", default=",", show_default=True, help="What separates the fields.")
@click.option("--compress/--no-compress", default=True, help="Whether to gzip on the way.")
@progress
@as_json
@connected
def copy_from(
    client: Any,
    table: str,
    file: BinaryIO,
    columns: str | None,
    header: bool,
    delimiter: str,
    compress: bool,
    progress: bool | None,
    json_output: bool,
) -> None:
    """Stream the CSV FILE (- for stdin) into TABLE; either all of its rows are stored, or none."""
    line = b""
    names = columns.split(",") if columns else None
    if names is None and header:
        line, names = _read_header(file, delimiter)
    statement = (
        f"COPY {table_name(table)}{_column_list(names)} FROM STDIN WITH ({_format(header, delimiter)})"
    )
    rows = _from_the_start(line, file)
    answer = CopySQLClient(client).copyfrom(statement, rows, compress=compress, progress=shown(progress))
    if json_output:
        print_json(answer)
    else:
        say(f"{answer['total_rows']} rows in {answer['time']} s")


@copy.command("to")
@click.argument("source", metavar="TABLE|QUERY")
@click.argument("file", type=click.File("wb"))
@click.option("--header/--no-header", default=True, help="Whether to start with a header line.")
@click.option("--delimiter", default=",", show_default=True, help="What separates the fields.")
@progress
@connected
def copy_to(
    client: Any, source: str, file: BinaryIO, header: bool, delimiter: str, progress: bool | None
) -> None:
    """Stream a TABLE, or the result of a QUERY, into FILE (- for stdout) as CSV."""
    statement = f"COPY {copy_source(source)} TO STDOUT WITH ({_format(header, delimiter)})"
    CopySQLClient(client).copyto_file_object(statement, file, progress=shown(progress))


def table_name(text: str) -> str:
    """A table's name as SQL: taken as written when that is unambiguous, else quoted."""
    return text if PLAIN_NAME.fullmatch(text) else quote_identifier(text)


def copy_source(text: str) -> str:
    """What a COPY reads from: a query in parentheses, or a table."""
    if leading_keyword(text) in QUERIES and not PLAIN_NAME.fullmatch(text):
        # On a line of its own, so that a comment at the end of the query does not swallow the parenthesis.
        return f"({text.strip().rstrip(';')}\n)"
    return table_name(text)


def _format(header: bool, delimiter: str) -> str:
    quoted = "E'\\t'" if delimiter in ("\t", "\\t", "tab") else "'" + delimiter.replace("'", "''") + "'"
    return f"FORMAT csv, HEADER {'true' if header else 'false'}, DELIMITER {quoted}"


def _column_list(names: list[str] | None) -> str:
    return f" ({', '.join(quote_identifier(name.strip()) for name in names)})" if names else ""


def _read_header(file: BinaryIO, delimiter: str) -> tuple[bytes, list[str]]:
    """The header line, which is data of the COPY as well, and the columns that it names."""
    line = file.readline(HEADER_BYTES)
    # A file that comes from a spreadsheet may start with a byte order mark.
    text = line.decode("utf-8-sig")
    separator = "\t" if delimiter in ("\\t", "tab") else delimiter
    names = next(csv.reader([text], delimiter=separator), [])
    if not names:
        raise click.UsageError("The file is empty; a header line was expected.")
    return line, names


def _from_the_start(line: bytes, file: BinaryIO) -> BinaryIO | Iterator[bytes]:
    """The whole file again, of which a line has been read; a pipe cannot go back and is continued."""
    if not line:
        return file
    if file.seekable():
        file.seek(-len(line), 1)
        return file
    return chain([line], iter(lambda: file.read(BLOCK), b""))
