"""Layergroup tokens: ``[owner@[template hash@]]map id[:cache buster]``."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import Any

import orjson

from .problems import MapProblem, bad

_TOKEN = re.compile(
    r"(?:(?P<owner>[^@:/]+)@(?:(?P<hash>[0-9a-f]{8})@)?)?(?P<id>[0-9a-f]{32})(?::(?P<buster>[0-9]{1,18}))?"
)


@dataclass(frozen=True)
class Token:
    """What a token says.

    Attributes:
        map_id: the stored configuration.
        owner: who signed it, None when it is not signed.
        buster: the version of the data it was made for, None when it does not say.
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
