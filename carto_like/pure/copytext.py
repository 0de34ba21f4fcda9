"""Rows as PostgreSQL's COPY text format, a batch at a time.

Columns of a batch that hold one type are converted as a whole, at a fraction of the cost of value by value.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from itertools import islice
from operator import itemgetter
from typing import Any
from uuid import UUID

from carto_like.pure.pgtext import quote_identifier

__all__ = ["CopyValueError", "copy_statement", "encode_rows"]

_NULL = "\\N"
_BATCH = 1000
_NONE = type(None)
_ROW_TYPES = frozenset({tuple, list})
_SPECIAL = re.compile(r"[\\\t\n\r]")
_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})
_PLAIN_NAME = re.compile(r"[a-z_][a-z0-9_]*")
_QUOTED_PART = r'(?:[A-Za-z_][A-Za-z0-9_$]*|"(?:[^"]|"")+")'
_QUOTED_NAME = re.compile(rf"{_QUOTED_PART}(?:\.{_QUOTED_PART})*")


class CopyValueError(ValueError):
    """A row that cannot be written; the text names the row, counted from 1, and the column."""


def copy_statement(table: str, columns: Sequence[str] | None) -> str:
    """``COPY table (columns) FROM STDIN`` for a table name that may carry a schema, or quotes of its own.

    Raises:
        CopyValueError: the table or a column has no name that the database could have.
    """
    for column in columns or ():
        if not isinstance(column, str) or not column or "\0" in column:
            said = repr(column) if isinstance(column, str) else type(column).__name__
            raise CopyValueError(f"the name of a column is text, not {said}, and holds no NUL")
    listed = f" ({', '.join(map(quote_identifier, columns))})" if columns is not None else ""
    return f"COPY {_table_name(table)}{listed} FROM STDIN"


def _table_name(table: Any) -> str:
    """The name as SQL has it; quotes in it must be well-formed, so that nothing but a name gets through."""
    if isinstance(table, str) and "\0" not in table:
        if '"' in table and _QUOTED_NAME.fullmatch(table):
            return table
        parts = table.split(".")
        if '"' not in table and all(parts):
            return ".".join(part if _PLAIN_NAME.fullmatch(part) else quote_identifier(part) for part in parts)
    raise CopyValueError(f"{table!r} is no name of a table")


def encode_rows(
    rows: Iterable[Any], columns: Sequence[str] | None = None, *, strict: bool = False
) -> Iterator[bytes]:
    """Blocks of COPY text.

    Args:
        rows: sequences in the order of the columns, or mappings with the columns' names.
        columns: the names; None when rows are sequences in the table's own order.
        strict: refuse mappings that have more than the columns.

    Raises:
        CopyValueError: a row has another width than the first, lacks a column, or holds a value of a type
            that has no form in the database.
    """
    source = iter(rows)
    done = 0
    width = len(columns) if columns is not None else None
    while batch := list(islice(source, _BATCH)):
        if any(issubclass(kind, Mapping) for kind in set(map(type, batch))):
            batch = _from_mappings(batch, columns, done, strict)
        width = _check_widths(batch, width, done)
        yield _encode_batch(batch, columns, done)
        done += len(batch)


def _from_mappings(batch: list[Any], columns: Sequence[str] | None, done: int, strict: bool) -> list[Any]:
    if not columns:
        number = next(number for number, row in enumerate(batch, done + 1) if isinstance(row, Mapping))
        raise CopyValueError(f"row {number} is a mapping, so the names of the columns must be given")
    pick = itemgetter(*columns) if len(columns) > 1 else lambda row: (row[columns[0]],)
    picked = []
    for number, row in enumerate(batch, done + 1):
        if not isinstance(row, Mapping):
            picked.append(row)
            continue
        if strict and len(row) > len(columns):
            unknown = ", ".join(repr(name) for name in row if name not in columns)
            raise CopyValueError(f"row {number} has {unknown}, which the first row has not")
        try:
            picked.append(pick(row))
        except KeyError as error:
            raise CopyValueError(f"row {number} has no {error.args[0]!r}; give None for NULL") from None
    return picked


def _check_widths(batch: list[Any], width: int | None, done: int) -> int:
    if _ROW_TYPES.issuperset(map(type, batch)):
        widths = set(map(len, batch))
        if len(widths) == 1 and (width is None or width in widths) and 0 not in widths:
            return widths.pop()
    for number, row in enumerate(batch, done + 1):
        if isinstance(row, (str, bytes)) or not hasattr(row, "__len__") or not hasattr(row, "__iter__"):
            raise CopyValueError(f"row {number} is a {type(row).__name__}, not a sequence or a mapping")
        width = len(row) if width is None else width
        if len(row) != width:
            raise CopyValueError(f"row {number} has {len(row)} values where {width} are expected")
    if not width:
        raise CopyValueError("rows without values cannot be written")
    return width


def _encode_batch(batch: list[Any], columns: Sequence[str] | None, done: int) -> bytes:
    texts = []
    for index, values in enumerate(zip(*batch, strict=True)):
        try:
            texts.append(_encode_column(values))
        except (TypeError, ValueError):
            _point_at_failure(values, done, columns[index] if columns else f"number {index + 1}")
            raise
    lines = "\n".join(map("\t".join, zip(*texts, strict=True)))
    return f"{lines}\n".encode()


def _point_at_failure(values: Sequence[Any], done: int, column: str) -> None:
    for number, value in enumerate(values, done + 1):
        try:
            _encode_value(value)
        except (TypeError, ValueError) as error:
            raise CopyValueError(f"row {number}, column {column}: {error}") from None


def _encode_column(values: Sequence[Any]) -> Iterable[str]:
    kinds = set(map(type, values))
    has_nulls = _NONE in kinds
    kinds.discard(_NONE)
    if not kinds:
        return [_NULL] * len(values)
    bulk = _BULK.get(next(iter(kinds))) if len(kinds) == 1 else None
    if bulk is None:
        return list(map(_encode_value, values))
    if not has_nulls:
        return bulk(values)
    texts = iter(bulk([value for value in values if value is not None]))
    return [_NULL if value is None else next(texts) for value in values]


def _encode_value(value: Any) -> str:
    if value is None:
        return _NULL
    if isinstance(value, Enum):
        return _encode_value(value.value)
    for kind in type(value).__mro__:
        encode = _ENCODERS.get(kind)
        if encode is not None:
            return encode(value)
    if hasattr(value, "__geo_interface__"):
        return _json(value.__geo_interface__)
    if hasattr(value, "dtype") and hasattr(value, "item"):
        return _encode_value(value.item())
    raise TypeError(f"a {type(value).__name__} has no form in the database; convert it first")


def _text(value: str) -> str:
    text = str.__str__(value)
    _check_text(text)
    return text.translate(_ESCAPES) if _SPECIAL.search(text) else text


def _check_text(text: str) -> None:
    if "\x00" in text:
        raise ValueError("PostgreSQL text cannot hold the character NUL")
    text.encode()


def _texts(values: Sequence[str]) -> Iterable[str]:
    together = "".join(values)
    _check_text(together)
    if _SPECIAL.search(together) is None:
        return values
    return [text.translate(_ESCAPES) for text in values]


def _bool(value: bool) -> str:
    return "t" if value else "f"


def _bytes(value: bytes | bytearray | memoryview) -> str:
    return "\\\\x" + bytes(value).hex()


def _moment(value: datetime) -> str:
    return value.isoformat(" ")


def _interval(value: timedelta) -> str:
    return f"{value.days} days {value.seconds} seconds {value.microseconds} microseconds"


def _json(value: Any) -> str:
    return _text(json.dumps(value, ensure_ascii=False, allow_nan=False, default=_json_default))


def _json_default(value: Any) -> Any:
    if isinstance(value, (date, time)):
        return value.isoformat()
    if isinstance(value, (Decimal, UUID)):
        return str(value)
    if hasattr(value, "__geo_interface__"):
        return value.__geo_interface__
    raise TypeError(f"a {type(value).__name__} has no form in JSON; convert it first")


_ENCODERS: dict[type, Callable[[Any], str]] = {
    str: _text,
    bool: _bool,
    int: int.__repr__,
    float: float.__repr__,
    Decimal: str,
    datetime: _moment,
    date: date.isoformat,
    time: time.isoformat,
    timedelta: _interval,
    UUID: str,
    bytes: _bytes,
    bytearray: _bytes,
    memoryview: _bytes,
    dict: _json,
    list: _json,
    tuple: _json,
}


def _in_bulk(encode: Callable[[Any], str]) -> Callable[[Sequence[Any]], Iterable[str]]:
    return lambda values: list(map(encode, values))


_BULK = {kind: _in_bulk(encode) for kind, encode in _ENCODERS.items()}
_BULK[str] = _texts
