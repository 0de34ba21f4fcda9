"""Columns of Arrow as COPY's text, made by Arrow's own functions: no value becomes an object of Python."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from carto_like.server.imports.guessing import BIGINT, BOOLEAN, DATE, DOUBLE, INTEGER, TEXT, TIME, TIMESTAMP
from carto_like.server.imports.rows import NULL

# Backslashes first: they are what escapes the others. PostgreSQL has no character 0.
_ESCAPES = (("\\", "\\\\"), ("\t", "\\t"), ("\n", "\\n"), ("\r", "\\r"), ("\0", ""))


def type_for(kind: pa.DataType) -> str:
    """The type of a column for these values."""
    tests = (
        (pa.types.is_boolean, BOOLEAN),
        (lambda given: pa.types.is_int64(given) or pa.types.is_uint32(given), BIGINT),
        (lambda given: pa.types.is_integer(given) and not pa.types.is_uint64(given), INTEGER),
        (pa.types.is_floating, DOUBLE),
        (pa.types.is_date, DATE),
        (pa.types.is_timestamp, TIMESTAMP),
        (pa.types.is_time, TIME),
    )
    return next((name for test, name in tests if test(kind)), TEXT)


def cells_of(column: pa.Array) -> pa.Array:
    """The cells of a column as COPY reads them."""
    if isinstance(column, pa.DictionaryArray):
        column = column.dictionary_decode()
    kind = column.type
    if pa.types.is_nested(kind) or pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        texts = pa.array(
            [None if value is None else _told(value) for value in column.to_pylist()], pa.string()
        )
        return _escaped(texts)
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return _escaped(column.cast(pa.large_string()))
    if pa.types.is_floating(kind) and not pa.types.is_float64(kind):
        column = column.cast(pa.float64())
    return pc.fill_null(column.cast(pa.large_string()), NULL)


def block_of(columns: Sequence[pa.Array]) -> bytes:
    """Lines of COPY's text format."""
    if not len(columns[0]):
        return b""
    wide = [column.cast(pa.large_string()) for column in columns]
    lines = pc.binary_join_element_wise(*wide, pa.scalar("\t", pa.large_string()))
    # One list of all lines, because joining works on lists.
    whole = pa.LargeListArray.from_arrays(pa.array([0, len(lines)], pa.int64()), lines)
    joined: bytes = pc.binary_join(whole, pa.scalar("\n", pa.large_string()))[0].as_buffer().to_pybytes()
    return joined + b"\n"


def _escaped(texts: pa.Array) -> pa.Array:
    for found, written in _ESCAPES:
        if pc.any(pc.match_substring(texts, found)).as_py():
            texts = pc.replace_substring(texts, found, written)
    return pc.fill_null(texts.cast(pa.large_string()), NULL)


def _told(value: Any) -> str:
    if isinstance(value, bytes):
        return "\\x" + value.hex()
    if isinstance(value, list) and value and isinstance(value[0], tuple):
        # How Arrow gives a map.
        value = dict(value)
    return json.dumps(value, ensure_ascii=False, default=str)
