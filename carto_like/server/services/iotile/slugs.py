"""Slugs as the database's numbers, and back.

A request may leave out leading groups of a slug, but no digits in a group: ``d--0abc`` and
``s--0001--0097--5002`` name things, ``d--abc`` names none. What names nothing is None here.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from carto_like.pure.gids import gid_split, groups_of, padded_number

_PROJECT, _DEVICE, _FLEET, _VARIABLE = 2, 4, 3, 1
_TERM = re.compile(r"[0-9a-fA-F]{4}(-[0-9a-fA-F]{4})*")
_DEVICE_BITS = 48
_VARIABLE_BITS = 16
_SIGN = 1 << 63

# A list of streams tells the same few devices and variables thousands of times.
_groups = lru_cache(maxsize=8192)(groups_of)


class StreamKey(NamedTuple):
    """A stream by the columns of readings.

    Attributes:
        device: of a device or a block, signed.
        variable: with its project.
    """

    device: int
    variable: int


def signed(number: int) -> int:
    """A number of 64 bits as a bigint holds it."""
    return number - 2 * _SIGN if number >= _SIGN else number


def unsigned(number: int) -> int:
    """A bigint as the number of 64 bits that it holds."""
    return number + 2 * _SIGN if number < 0 else number


# Slugs that requests name


def project_number(text: str) -> int | None:
    """The number of ``p--0000-0001``, with or without the letter."""
    return _number(text.removeprefix("p--"), _PROJECT)


def device_number(text: str) -> int | None:
    """The number of ``d--0000-0000-0000-0001``; of 48 bits, as no device has a block."""
    number = _lettered(text, "d", _DEVICE)
    return None if number is None or number >> _DEVICE_BITS else number


def block_key(text: str) -> int | None:
    """The key of ``b--0001-0000-0000-0001``."""
    number = _lettered(text, "b", _DEVICE)
    return None if number is None else signed(number)


def device_key(text: str) -> int | None:
    """The key of a device or, by its slug with ``d--`` or ``b--``, of a block."""
    number = _number(text[3:], _DEVICE) if text.startswith(("d--", "b--")) else None
    return None if number is None else signed(number)


def fleet_number(text: str) -> int | None:
    """The number of ``g--0000-0000-0001``."""
    return _lettered(text, "g", _FLEET)


def variable_key(text: str) -> int | None:
    """The key of ``v--0000-0001--5001``."""
    terms = gid_split(text)
    if len(terms) != 3 or terms[0] != "v":
        return None
    return _variable(terms[1], terms[2])


def stream_key(text: str) -> StreamKey | None:
    """The key of ``s--0000-0001--0000-0000-0000-0002--5001``."""
    terms = gid_split(text)
    if len(terms) != 4 or terms[0] != "s":
        return None
    device, variable = _number(terms[2], _DEVICE), _variable(terms[1], terms[3])
    return None if device is None or variable is None else StreamKey(signed(device), variable)


def streamer_key(text: str) -> tuple[int, int] | None:
    """``(device, index)`` of ``t--0000-0000-0000-0001--0002``."""
    terms = gid_split(text)
    if len(terms) != 3 or terms[0] != "t":
        return None
    device, index = _number(terms[1], _DEVICE), _number(terms[2], 1)
    return None if device is None or index is None else (signed(device), index)


def make_variable_key(project: int, local: int) -> int:
    """The key of a project's variable by both numbers."""
    return project << _VARIABLE_BITS | local


# Slugs that answers tell


def project_slug(number: int) -> str:
    """``p--0000-0001``."""
    return f"p--{_groups(number, _PROJECT)}"


def device_slug(key: int) -> str:
    """``d--0000-0000-0000-0001``; a block's with the block in the first group."""
    return f"d--{_groups(unsigned(key), _DEVICE)}"


def block_slug(key: int) -> str:
    """``b--0001-0000-0000-0001``."""
    return f"b--{_groups(unsigned(key), _DEVICE)}"


def fleet_slug(number: int) -> str:
    """``g--0000-0000-0001``."""
    return f"g--{_groups(number, _FLEET)}"


def variable_slug(key: int) -> str:
    """``v--0000-0001--5001``."""
    return f"v--{_groups(project_of(key), _PROJECT)}--{_groups(local_of(key), _VARIABLE)}"


def stream_slug(key: StreamKey) -> str:
    """``s--0000-0001--0000-0000-0000-0002--5001``."""
    project, local = _groups(project_of(key.variable), _PROJECT), _groups(local_of(key.variable), 1)
    return f"s--{project}--{_groups(unsigned(key.device), _DEVICE)}--{local}"


def streamer_slug(device: int, index: int) -> str:
    """``t--0000-0000-0000-0001--0002``."""
    return f"t--{_groups(unsigned(device), _DEVICE)}--{_groups(index, 1)}"


# What keys consist of


def project_of(variable: int) -> int:
    """The project's number in the key of a variable."""
    return variable >> _VARIABLE_BITS


def local_of(variable: int) -> int:
    """The variable's own number in its key."""
    return variable & ((1 << _VARIABLE_BITS) - 1)


def block_of(device: int) -> int:
    """The block in the key of a device; 0 for the device itself."""
    return unsigned(device) >> _DEVICE_BITS


def device_of(block: int) -> int:
    """The device's own number in the key of a block."""
    return unsigned(block) & ((1 << _DEVICE_BITS) - 1)


def _lettered(text: str, letter: str, groups: int) -> int | None:
    head = f"{letter}--"
    return _number(text[len(head) :], groups) if text.startswith(head) else None


def _variable(project: str, local: str) -> int | None:
    owner, number = _number(project, _PROJECT), _number(local, 1)
    return None if owner is None or number is None else make_variable_key(owner, number)


def _number(text: str, groups: int) -> int | None:
    if not _TERM.fullmatch(text):
        return None
    try:
        return padded_number(text, groups, "a slug")
    except ValueError:
        return None
