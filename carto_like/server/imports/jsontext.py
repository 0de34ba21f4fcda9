"""JSON before anything reads it: what it is, and whether all of it is there."""

from __future__ import annotations

import re

from carto_like.server.imports import codes
from carto_like.server.imports.rows import Unreadable

_BLOCK = 1 << 20
_STRING = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)
_MARK = b"\xef\xbb\xbf"


def is_list(path: str) -> bool:
    """Whether a file of JSON holds a list."""
    with open(path, "rb") as file:
        return file.read(_BLOCK).removeprefix(_MARK).lstrip().startswith(b"[")


def check_complete(path: str, broken: int) -> None:
    """Refuse what was cut: GDAL reads large files piece by piece and may not miss the rest."""
    depth, is_object, rest = 0, False, b""
    with open(path, "rb") as file:
        while block := file.read(_BLOCK):
            if not rest and not is_object and depth == 0:
                block = block.removeprefix(_MARK).lstrip()
                if not block:
                    continue
                if not block.startswith(b"{"):
                    raise Unreadable(broken, "It is no JSON object")
                is_object = True
            bare = _STRING.sub(b"", rest + block)
            quote = bare.find(b'"')
            bare, rest = (bare, b"") if quote < 0 else (bare[:quote], bare[quote:])
            depth += bare.count(b"{") + bare.count(b"[") - bare.count(b"}") - bare.count(b"]")
    if not is_object:
        raise Unreadable(codes.EMPTY_FILE)
    if depth or rest:
        raise Unreadable(broken, "It ends in the middle")
