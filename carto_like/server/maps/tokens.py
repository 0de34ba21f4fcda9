"""Layergroup tokens: ``[owner@[template hash@]]map id[:cache buster]``."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import Any

import orjson

from .problems import MapProblem, bad

_TOKEN = re.compile(
    r"(?:(?P<owner>[^@:/]+)@(?:(?P<hash>[0-9a-f]{8})@)?)?(?P<id>[0-9a-f]{32})(?::(?P<buster>[0-9]{1,32}))?"
)
# Digits that follow the milliseconds in the version of a map that reads several tables.
_DIGITS = 12
# Milliseconds since 1970 have fewer digits until the year 5138.
_LONGEST = 10**14


@dataclass(frozen=True)
class Token:
    """What a token says.

    Attributes:
        map_id: the stored configuration.
        owner: who signed it, None when it is not signed.
        buster: the version of the data it was made for, None when it does not say; see :func:`moment_of`.
    """

    map_id: str
    owner: str | None = None
    template_hash: str | None = None
    buster: int | None = None

    def __str__(self) -> str:
        owner = f"{self.owner}@" if self.owner else ""
        signed = f"{self.template_hash}@" if self.owner and self.template_hash else ""
        return f"{owner}{signed}{self.map_id}" + ("" if self.buster is None else f":{self.buster}")


def read_token(text: str) -> Token:
    """The parts of a token; raises the 400 for what is none."""
    found = _TOKEN.fullmatch(text)
    if found is None:
        raise unknown_map(text)
    buster = found["buster"]
    return Token(found["id"], found["owner"], found["hash"], None if buster is None else int(buster))


def version_of(milliseconds: int, state: Any) -> int:
    """A number that begins with a time and goes on with digits that tell one state from any other."""
    digest = hashlib.sha256(orjson.dumps(state)).digest()
    digits: int = 10**_DIGITS
    return milliseconds * digits + int.from_bytes(digest, "big") % digits


def moment_of(version: int) -> int:
    """The milliseconds since 1970 in a version of the data."""
    digits: int = 10**_DIGITS
    return version if version < _LONGEST else version // digits


def unknown_map(text: str) -> MapProblem:
    """The answer to a token that leads nowhere (any more)."""
    return bad(f"Invalid or nonexistent map configuration token '{text}'")


def map_id(record: dict[str, Any], database: str, role: str) -> str:
    """The id under which a map is stored: the same for the same map made by the same role."""
    text = orjson.dumps([record, database, role], option=orjson.OPT_SORT_KEYS)
    return hashlib.md5(text, usedforsecurity=False).hexdigest()


def content_hash(content: Any) -> str:
    """The eight digits that tell one version of a template from another."""
    text = orjson.dumps(content, option=orjson.OPT_SORT_KEYS)
    return hashlib.md5(text, usedforsecurity=False).hexdigest()[:8]
