"""PostgreSQL's text of values as columns of Arrow."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date, datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute

Texts = Sequence[str | None]
Column = Any
"""An array of Arrow, whose library has no types to check."""

ARROW_TYPES = {
    "bool": pa.bool_(),
    "int32": pa.int32(),
    "int64": pa.int64(),
    "float64": pa.float64(),
    "date": pa.date32(),
    "timestamp": pa.timestamp("us"),
    "timestamptz": pa.timestamp("us", tz="UTC"),
    "bytes": pa.binary(),
    "text": pa.string(),
}
_BOOLEANS = {"t": True, "f": False}
_FROM_TEXT: dict[str, Callable[[str], Any]] = {
    "date": date.fromisoformat,
    "timestamp": datetime.fromisoformat,
    "timestamptz": datetime.fromisoformat,
}


def column_of(kind: str, texts: Texts) -> Column:
    """The values of one column; moments that no calendar of the formats has become null."""
    if kind == "text":
        return pa.array(texts, pa.string())
    if kind == "bool":
        return pa.array([_BOOLEANS.get(text or "") for text in texts], pa.bool_())
    if kind == "bytes":
        return pa.array([None if text is None else bytes.fromhex(text[2:]) for text in texts], pa.binary())
    target = ARROW_TYPES[kind]
    try:
        return pa.array(texts, pa.string()).cast(target)
    except pa.ArrowInvalid:
        if kind not in _FROM_TEXT:
            raise
        return pa.array([_moment(kind, text) for text in texts], target)


def finite(column: Column) -> Column:
    """The numbers of a column, null for what is none and for infinity."""
    return pa.compute.if_else(pa.compute.is_finite(column), column, pa.scalar(None, column.type))


def fit_for_xml(column: Column) -> Column:
    """The texts of a column without the two characters that XML lacks and GDAL overlooks."""
    return pa.compute.replace_substring_regex(column, "[\ufffe\uffff]", "")


def _moment(kind: str, text: str | None) -> Any:
    """One date or time, None for infinity, for years before Christ and after 9999."""
    if text is None:
        return None
    try:
        return pa.scalar(text).cast(ARROW_TYPES[kind])
    except pa.ArrowInvalid:
        pass
    try:
        return _FROM_TEXT[kind](text)
    except ValueError:
        return None
