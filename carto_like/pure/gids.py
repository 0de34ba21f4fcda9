"""Numbers as groups of four hex digits, joined by ``-``; terms of them are joined by ``--``."""

from __future__ import annotations

import re
from typing import Any

__all__ = [
    "fix_gid",
    "gid2int",
    "gid_join",
    "gid_split",
    "groups_of",
    "int2bid",
    "int2did",
    "int2fid",
    "int2pid",
    "int2vid",
    "int16gid",
    "int32gid",
    "int48gid",
    "int64gid",
    "joined_number",
    "padded_number",
    "whole",
]

_HEX = re.compile(r"[0-9a-fA-F]+")
_DIGITS = 4


def whole(value: Any, bits: int, what: str) -> int:
    """The value, when it is a whole number that fits; raises ``ValueError`` naming ``what`` otherwise."""
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 1 << bits:
        raise ValueError(f"{what} is a number of {bits} bits, not {value!r}")
    return value


def groups_of(number: int, count: int) -> str:
    """The number as this many groups; raises ``ValueError`` when it does not fit."""
    digits = f"{whole(number, 16 * count, 'an id'):0{_DIGITS * count}x}"
    return "-".join(digits[at : at + _DIGITS] for at in range(0, len(digits), _DIGITS))


def joined_number(text: str, bits: int, what: str) -> int:
    """The number that the digits of all groups make when they are written one after the other."""
    return whole(int("".join(_groups(text, what)), 16), bits, what)


def padded_number(text: str, count: int, what: str) -> int:
    """The number of groups each filled up to four digits; a single group may be longer.

    Args:
        text: the groups; those missing on the left are zero.
        count: how many groups there may be.
        what: what the text is to be, for the message of the ``ValueError``.
    """
    groups = _groups(text, what)
    if len(groups) == 1:
        return whole(int(groups[0], 16), 16 * count, what)
    if len(groups) > count or any(len(group) > _DIGITS for group in groups):
        raise ValueError(f"{what} has up to {count} groups of four hex digits, unlike {text!r}")
    return int("".join(group.rjust(_DIGITS, "0") for group in groups), 16)


def _groups(text: str, what: str) -> list[str]:
    groups = text.split("-")
    if len(groups) == 1:
        groups = [text[2:] if text.startswith("0x") else text]
    if not all(_HEX.fullmatch(group) for group in groups):
        raise ValueError(f"{what} consists of groups of hex digits, unlike {text!r}")
    return groups


def int16gid(number: int) -> str:
    """The number as one group."""
    return groups_of(number, 1)


def int32gid(number: int) -> str:
    """The number as two groups."""
    return groups_of(number, 2)


def int48gid(number: int) -> str:
    """The number as three groups."""
    return groups_of(number, 3)


def int64gid(number: int) -> str:
    """The number as four groups."""
    return groups_of(number, 4)


int2pid = int32gid
int2did = int48gid
int2fid = int48gid
int2vid = int16gid
int2bid = int16gid


def gid_split(gid: str) -> list[str]:
    """The terms of a slug, its letter first."""
    return gid.split("--")


def gid_join(elements: list[str]) -> str:
    """The slug that these terms make."""
    return "--".join(elements)


def fix_gid(gid: str, num_terms: int) -> str:
    """The right-most groups, as many as asked for; missing ones are ``0000``."""
    groups = gid.split("-")
    return "-".join((["0000"] * num_terms + groups)[-num_terms:])


def gid2int(gid: str) -> int:
    """The number that the digits make; raises ``ValueError`` when they are not hex."""
    return int("".join(_groups(gid, "an id")), 16)
