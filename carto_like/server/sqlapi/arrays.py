"""Array literals of PostgreSQL, such as ``{1,NULL,"a,b"}``, taken apart."""

from __future__ import annotations

import re
from typing import TypeAlias

Nested: TypeAlias = "str | list[Nested] | None"

_PIECE = re.compile(r'"((?:[^"\\]|\\.)*)"|([{},])|([^{},"]+)', re.S)
_ESCAPE = re.compile(r"\\(.)", re.S)


def parse_array(text: str) -> list[Nested]:
    """The elements of an array as texts, None for NULL, lists for further dimensions."""
    root: list[Nested] = []
    stack = [root]
    for match in _PIECE.finditer(text, text.index("{")):
        in_quotes, mark, bare = match.groups()
        if mark == "{":
            inner: list[Nested] = []
            stack[-1].append(inner)
            stack.append(inner)
        elif mark == "}":
            stack.pop()
        elif in_quotes is not None:
            stack[-1].append(_ESCAPE.sub(r"\1", in_quotes))
        elif bare is not None:
            stack[-1].append(None if bare == "NULL" else bare)
    array = root[0]
    return array if isinstance(array, list) else []
