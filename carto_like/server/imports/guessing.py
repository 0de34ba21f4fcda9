"""Which type of column holds these texts, decided by looking at all of them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import date
from typing import Final

INTEGER: Final = "integer"
BIGINT: Final = "bigint"
DOUBLE: Final = "double precision"
BOOLEAN: Final = "boolean"
DATE: Final = "date"
TIMESTAMP: Final = "timestamp with time zone"
TIME: Final = "time without time zone"
TEXT: Final = "text"

_INT32 = 2**31 - 1
_INT64 = 2**63 - 1

_CLOCK = r"([01]\d|2[0-3]):[0-5]\d(:[0-5]\d(\.\d{1,9})?)?"
_DAY = r"\d{4}(?P<mark>[-/])(0[1-9]|1[0-2])(?P=mark)(0[1-9]|[12]\d|3[01])"
_is_integer = re.compile(r"\s*[+-]?[0-9]+\s*", re.ASCII).fullmatch
is_number = re.compile(r"\s*[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,3})?\s*", re.ASCII).fullmatch
_is_boolean = re.compile(r"true|false|t|f|yes|no", re.IGNORECASE).fullmatch
_is_date = re.compile(_DAY, re.ASCII).fullmatch
_is_moment = re.compile(rf"{_DAY}([T ]{_CLOCK} ?(Z|[+-]\d\d(:?\d\d)?)?)?", re.ASCII).fullmatch
_is_time = re.compile(_CLOCK, re.ASCII).fullmatch

_WIDER: dict[frozenset[str], str] = {
    frozenset({INTEGER, BIGINT}): BIGINT,
    frozenset({INTEGER, DOUBLE}): DOUBLE,
    frozenset({BIGINT, DOUBLE}): DOUBLE,
    frozenset({DATE, TIMESTAMP}): TIMESTAMP,
}


def type_of(values: Iterable[str]) -> str | None:
    """The narrowest type that all values fit; empty ones and blanks say nothing, None when all are such."""
    said = set(values)
    said.discard("")
    if any(map(str.isspace, said)):
        said = {value for value in said if not value.isspace()}
    if not said:
        return None
    if all(map(is_number, said)):
        if not all(map(_is_integer, said)):
            # PostgreSQL refuses what a double cannot hold.
            return DOUBLE if all(map(_fits_double, said)) else TEXT
        return BIGINT if _exceeds(said, _INT32) else INTEGER
    if all(map(_is_boolean, said)):
        return BOOLEAN
    if all(map(_is_moment, said)):
        if not all(map(_exists, {value[:10] for value in said})):
            return TEXT
        return DATE if all(map(_is_date, said)) else TIMESTAMP
    return TIME if all(map(_is_time, said)) else TEXT


def wider(one: str | None, other: str | None) -> str | None:
    """The type for a column of which parts have these types."""
    if one is None or other is None or one == other:
        return one or other
    return _WIDER.get(frozenset({one, other}), TEXT)


def clipped(value: str) -> str:
    """A whole number as text, brought into the range of 64 bits."""
    number = int(value)
    return str(max(-_INT64 - 1, min(_INT64, number)))


def needs_clipping(values: Iterable[str]) -> bool:
    """Whether a whole number among the values needs more than 64 bits."""
    return _exceeds((value for value in values if value and not value.isspace()), _INT64)


def _exceeds(values: Iterable[str], limit: int) -> bool:
    digits = len(str(limit))
    # Most are short; Python would also refuse to convert thousands of digits.
    for value in values:
        if len(value) >= digits:
            number = value.strip().lstrip("+-").lstrip("0")
            if len(number) > digits or (len(number) == digits and int(number) > limit):
                return True
    return False


def _fits_double(value: str) -> bool:
    if len(value) < 100 and "e" not in value and "E" not in value:
        return True
    number = float(value)
    tiny = number == 0 and any(digit in "123456789" for digit in value.lower().partition("e")[0])
    return abs(number) != float("inf") and not tiny


def _exists(day: str) -> bool:
    try:
        date.fromisoformat(day.replace("/", "-"))
    except ValueError:
        return False
    return True
