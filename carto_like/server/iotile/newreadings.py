"""Readings that requests bring, judged field by field."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from carto_like.server.services.iotile.recording import NewReading
from carto_like.server.services.iotile.slugs import stream_key

from .fields import is_moderate
from .parameters import moment
from .problems import Refusal

_LARGEST = 2**63 - 1
_LONGEST_SLUG = len("s--0000-0001--0000-0000-0000-0002--5001")
# A list of thousands of readings is of a few streams.
_key_of = lru_cache(maxsize=4096)(stream_key)
_REQUIRED = "This field is required."


class Wrong(Exception):
    """A reading that cannot be recorded.

    Attributes:
        problems: what is wrong, by field.
    """

    def __init__(self, problems: dict[str, list[str]]) -> None:
        super().__init__("a reading cannot be recorded")
        self.problems = problems


def reading_of(item: Any) -> NewReading:
    """The reading in an object of JSON; raises :class:`Wrong`."""
    if not isinstance(item, Mapping):
        raise Wrong({"non_field_errors": ["Invalid data. Expected a dictionary."]})
    problems: dict[str, list[str]] = {}

    def take(name: str, convert: Callable[[Any], Any], default: Any = None, *, needed: bool = False) -> Any:
        value = item.get(name)
        if value is None:
            if needed:
                problems[name] = [_REQUIRED]
            return default
        try:
            return convert(value)
        except ValueError as error:
            problems[name] = [str(error)]
            return default

    fields = {
        "key": take("stream", _stream, needed=True),
        "moment": take("timestamp", _moment, needed=True),
        "int_value": take("int_value", _whole),
        "value": take("value", _number),
        "device_timestamp": take("device_timestamp", _natural),
        "local_id": take("streamer_local_id", _natural, 0),
        "is_dirty": take("dirty_ts", _flag, False),
        "status": take("status", _code, "unk"),
        "type": take("type", _code, "ITR"),
    }
    given = [name for name in ("int_value", "value") if item.get(name) is not None]
    if len(given) != 1:
        problems.setdefault("non_field_errors", ["Give exactly one of int_value and value."])
    elif given == ["value"] and fields["type"] != "ITR":
        problems.setdefault("type", ["A reading with a value has the type 'ITR'."])
    if problems:
        raise Wrong(problems)
    return NewReading(**fields)


def _stream(value: Any) -> Any:
    key = _key_of(value) if isinstance(value, str) and len(value) <= _LONGEST_SLUG else None
    if key is None:
        raise ValueError("Enter the slug of a stream, such as s--0000-0001--0000-0000-0000-0002--5001.")
    return key


def _moment(value: Any) -> Any:
    try:
        return moment(value, "timestamp")
    except Refusal as refusal:
        raise ValueError(refusal.body["timestamp"][0]) from None


def _whole(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError("A valid integer is required.")
    if not -_LARGEST <= value <= _LARGEST:
        raise ValueError(f"Ensure this value is between {-_LARGEST} and {_LARGEST}.")
    return value


def _natural(value: Any) -> int:
    number = _whole(value)
    if number < 0:
        raise ValueError("Ensure this value is greater than or equal to 0.")
    return number


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ValueError("A valid number is required.")
    if not is_moderate(value):
        raise ValueError("Ensure this value is 0, or its size between 1e-100 and 1e100.")
    return float(value)


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("Must be a valid boolean.")
    return value


def _code(value: Any) -> str:
    if not isinstance(value, str) or not (len(value) == 3 and value.isascii() and value.isalnum()):
        raise ValueError("Enter three letters or digits.")
    return value
