"""What bodies may say: which members there are, and what each must be."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from .parameters import LARGEST
from .problems import invalid

Check = Callable[[Any], Any]


class Wrong(Exception):
    """A value is not what it must be; the message says why."""


@dataclass(frozen=True)
class Field:
    """A member of a body.

    Attributes:
        check: answers the value as it is stored, and raises :class:`Wrong` for one that cannot be.
        required: whether a new thing needs it.
        null: whether it may be null.
    """

    check: Check
    required: bool = False
    null: bool = False


def text(*, longest: int = 255, blank: bool = True) -> Check:
    """Text of so many characters."""

    def check(value: Any) -> str:
        if isinstance(value, bool) or not isinstance(value, (str, int, float)):
            raise Wrong("Not a valid string.")
        found = str(value).strip()
        if not found and not blank:
            raise Wrong("This field may not be blank.")
        if len(found) > longest:
            raise Wrong(f"Ensure this field has no more than {longest} characters.")
        return found

    return check


def flag(value: Any) -> bool:
    """True or false."""
    if isinstance(value, bool):
        return value
    if value in (0, 1, "0", "1", "true", "false", "True", "False"):
        return value in (1, "1", "true", "True")
    raise Wrong("Must be a valid boolean.")


def number(*, least: int = -LARGEST, most: int = LARGEST, but: int | None = None) -> Check:
    """A whole number in a range, with one exception."""

    def check(value: Any) -> int:
        if isinstance(value, str) and value.lstrip("-").isdecimal() and len(value) < 20 and value.isascii():
            value = int(value) if value.count("-") < 2 else value
        if isinstance(value, bool) or not isinstance(value, int):
            raise Wrong("A valid integer is required.")
        if not least <= value <= most:
            raise Wrong(f"Ensure this value is between {least} and {most}.")
        if value == but:
            raise Wrong(f"Ensure this value is not {but}.")
        return value

    return check


def real(*, least: float = -math.inf, most: float = math.inf) -> Check:
    """A number in a range."""

    def check(value: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, (int, float, str)):
            raise Wrong("A valid number is required.")
        try:
            found = float(value)
        except (ValueError, OverflowError):
            raise Wrong("A valid number is required.") from None
        if not math.isfinite(found):
            raise Wrong("A valid number is required.")
        if not least <= found <= most:
            raise Wrong(f"Ensure this value is between {least} and {most}.")
        return found

    return check


def is_moderate(value: float) -> bool:
    """Whether a number is 0, or neither so large nor so small that units or statistics of it are none."""
    return value == 0 or 1e-100 <= abs(value) <= 1e100


def offset() -> Check:
    """A number that is added to readings."""
    finite: Callable[[Any], float] = real()

    def check(value: Any) -> float:
        found = finite(value)
        if not is_moderate(found):
            raise Wrong("Ensure this value is 0 or between 1e-100 and 1e100.")
        return found

    return check


def one_of(*choices: str) -> Check:
    """One of these texts."""

    def check(value: Any) -> str:
        if isinstance(value, str) and value in choices:
            return value
        shown = value[:40] if isinstance(value, str) else value
        raise Wrong(f'"{shown}" is not a valid choice.')

    return check


def texts(*, longest: int = 255, most: int = 100) -> Check:
    """A list of texts."""
    each = text(longest=longest)

    def check(value: Any) -> list[str]:
        if not isinstance(value, list):
            raise Wrong("Expected a list of items.")
        if len(value) > most:
            raise Wrong(f"Ensure this field has no more than {most} elements.")
        return [each(item) for item in value]

    return check


def read(body: Mapping[str, Any], fields: Mapping[str, Field], *, partial: bool = False) -> dict[str, Any]:
    """What a body says, as it is stored; members that are no fields are ignored.

    Args:
        body: as it came.
        fields: what it may say.
        partial: whether it changes a thing, and so may leave out what it does not change.

    Raises:
        Refusal: 400, with what is wrong under each name.
    """
    values: dict[str, Any] = {}
    problems: dict[str, list[str]] = {}
    for name, field in fields.items():
        if name not in body:
            if field.required and not partial:
                problems[name] = ["This field is required."]
            continue
        value = body[name]
        if value is None:
            if field.null:
                values[name] = None
            else:
                problems[name] = ["This field may not be null."]
            continue
        try:
            values[name] = field.check(value)
        except Wrong as error:
            problems[name] = [str(error)]
    if problems:
        raise invalid(problems)
    return values
