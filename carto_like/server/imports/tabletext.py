"""Sheets and lists of objects as delimited text, so that their types are guessed like its."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Sequence
from typing import Any

import orjson

from carto_like.server.imports import codes
from carto_like.server.imports.ogr import Source, first_line
from carto_like.server.imports.rows import Unreadable


def text_of_sheet(source: Source) -> str:
    """The first sheet of a workbook as CSV, its first row being the header.

    Raises:
        Unreadable: 2008, it is no workbook, 1005, nothing is in it.
    """
    from pyogrio.raw import open_arrow

    try:
        with open_arrow(source.path, layer=0, use_pyarrow=True, datetime_as_string=True) as (_, reader):
            table = reader.read_all()
    except Exception as error:
        raise Unreadable(codes.BAD_SHEET, first_line(error)) from None
    if not table.num_columns:
        raise Unreadable(codes.EMPTY_FILE)
    columns = [column.to_pylist() for column in table.columns]
    return _written(table.column_names, zip(*columns, strict=True))


def text_of_list(path: str) -> str:
    """A JSON list of objects as CSV; the columns are those of the first object, then others as they appear.

    Raises:
        Unreadable: 3007, it is no such list, 1005, nothing is in it.
    """
    with open(path, "rb") as file:
        content = file.read()
    try:
        rows = orjson.loads(content.removeprefix(b"\xef\xbb\xbf"))
    except orjson.JSONDecodeError as error:
        raise Unreadable(codes.BAD_JSON, str(error)) from None
    if not all(isinstance(row, dict) for row in rows):
        raise Unreadable(codes.BAD_JSON, "It must be a list of objects")
    names = list(dict.fromkeys(name for row in rows for name in row))
    if not names:
        raise Unreadable(codes.EMPTY_FILE)
    return _written(names, ([row.get(name) for name in names] for row in rows))


def _written(names: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    sink = io.StringIO()
    writer = csv.writer(sink)
    writer.writerow(names)
    for row in rows:
        cells = [_cell(value) for value in row]
        # A line without any character would be no row.
        writer.writerow(cells if any(cells) or len(cells) > 1 else [" "])
    return sink.getvalue()


def _cell(value: Any) -> str:
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    return json.dumps(value, ensure_ascii=False)
