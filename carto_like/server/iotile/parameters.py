"""Reading what requests give: query parameters, JSON bodies, moments and numbers in them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any
from uuid import UUID

import orjson
from starlette.datastructures import QueryParams
from starlette.requests import Request

from .problems import detail, invalid_texts, wrong

LARGEST = 2**63 - 1
_MOMENT = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d)(?:[.,](\d{1,9}))?)?)?\s*(Z|[+-]\d\d(?::?\d\d)?)?"
)
_NUMBER = re.compile(r"[+-]?\d{1,19}")
_TRUE = frozenset({"1", "true", "yes", "on"})
_FALSE = frozenset({"0", "false", "no", "off"})


def text_of(params: QueryParams, name: str) -> str | None:
    """A query parameter, None when it is absent or empty.

    Raises:
        Refusal: 400, it holds what no text of ours can.
    """
    value = params.get(name)
    if value is not None and "\0" in value:
        raise wrong(name, "Null characters are not allowed.")
    return value or None


def flag_of(params: QueryParams, name: str) -> bool | None:
    """A query parameter that says yes or no, None when it is absent.

    Raises:
        Refusal: 400, it says neither.
    """
    value = text_of(params, name)
    if value is None:
        return None
    if value.lower() in _TRUE:
        return True
    if value.lower() in _FALSE:
        return False
    raise wrong(name, "Must be 1 or 0.")


def number_of(params: QueryParams, name: str, *, least: int = 0, most: int = LARGEST) -> int | None:
    """A query parameter that is a whole number, None when it is absent.

    Raises:
        Refusal: 400, it is none, or out of range.
    """
    value = text_of(params, name)
    if value is None:
        return None
    if not _NUMBER.fullmatch(value) or not value.isascii():
        raise wrong(name, "A valid integer is required.")
    if not least <= int(value) <= most:
        raise wrong(name, f"Ensure this value is between {least} and {most}.")
    return int(value)


def moment_of(params: QueryParams, name: str) -> datetime | None:
    """A query parameter that is a moment, None when it is absent.

    Raises:
        Refusal: 400, it is none.
    """
    value = text_of(params, name)
    return None if value is None else moment(value, name)


def moment(value: Any, name: str) -> datetime:
    """ISO 8601 text as a moment; it is UTC when it names no offset.

    Raises:
        Refusal: 400, it is none.
    """
    # The plus sign of an offset is a blank in a query string that was not quoted.
    match = _MOMENT.fullmatch(value.strip()) if isinstance(value, str) and value.isascii() else None
    try:
        if match is not None:
            return _moment_from(match)
    except (ValueError, OverflowError):
        pass
    raise wrong(name, "Enter a date and time such as 2024-05-01T10:00:00Z.")


def _moment_from(match: re.Match[str]) -> datetime:
    numbers = [int(part or 0) for part in match.groups()[:6]]
    micros = int((match[7] or "").ljust(6, "0")[:6])
    offset = match[8] or "Z"
    if offset != "Z":
        digits = offset[1:].replace(":", "").ljust(4, "0")
        offset = f"{offset[0]}{digits[:2]}:{digits[2:]}"
        zone = datetime.strptime(offset, "%z").tzinfo
    else:
        zone = timezone.utc
    year, month, day, hour, minute, second = numbers
    return datetime(year, month, day, hour, minute, second, micros, zone).astimezone(timezone.utc)


def stamp(value: datetime | None) -> str | None:
    """A moment as the API writes it: seconds of UTC and ``Z``."""
    return None if value is None else value.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def uuid_of(value: Any) -> UUID | None:
    """A UUID in any of its spellings, None for what is none."""
    try:
        return UUID(value)
    except (ValueError, TypeError, AttributeError):
        return None


async def json_of(request: Request) -> Any:
    """The JSON that a request brings; None when its body is empty.

    Raises:
        Refusal: 400 for what is no JSON or holds null characters, 413 for too much of it.
    """
    content = await request.body()
    if not content.strip():
        return None
    try:
        value = orjson.loads(content)
    except orjson.JSONDecodeError as error:
        raise detail(400, f"JSON parse error - {error}") from None
    if b"\\u0000" in content and not can_be_kept(value):
        raise detail(400, "JSON parse error - null characters are not allowed")
    return value


async def object_of(request: Request) -> dict[str, Any]:
    """The JSON object that a request brings, empty without a body.

    Raises:
        Refusal: 400 for what is none; see also :func:`json_of`.
    """
    value = await json_of(request)
    if value is None:
        return {}
    if not isinstance(value, dict):
        kind = {list: "list", str: "str", bool: "bool", int: "int", float: "float"}[type(value)]
        text = f"Invalid data. Expected a dictionary, but got {kind}."
        raise detail(400, text) if isinstance(value, list) else invalid_texts(text)
    if not can_be_kept(value):
        raise detail(400, "JSON parse error - nested too deeply")
    return value


def can_be_kept(value: Any) -> bool:
    """Whether PostgreSQL can keep a value as JSON, and answers tell it again.

    They cannot for null characters, more than 254 levels, and what MessagePack has beyond JSON.
    """
    try:
        text = orjson.dumps(value)
    except TypeError:
        return False
    return b"\\u0000" not in text or not _has_null(value)


def identifier(text: str) -> int | None:
    """The number in a path, None for what is none."""
    if not text.isascii() or not text.isdigit() or len(text) > len(str(LARGEST)) or int(text) > LARGEST:
        return None
    return int(text)


def _has_null(value: Any) -> bool:
    if isinstance(value, str):
        return "\0" in value
    if isinstance(value, Mapping):
        return any(_has_null(key) or _has_null(member) for key, member in value.items())
    return isinstance(value, list) and any(map(_has_null, value))
