"""What separates the cells of a delimited text file."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import islice

_CANDIDATES = (",", "\t", ";", "|", " ")
_LINES = 100
_QUOTED = re.compile(r'"[^"]*"')


def find_delimiter(lines: Iterable[str]) -> str:
    """The delimiter that is used most evenly in the first lines; a comma when none is used at all."""
    bare = _without_quoted(islice(lines, _LINES))
    if not bare:
        return ","
    counts = {mark: [line.count(mark) for line in bare] for mark in _CANDIDATES if mark in bare[0]}
    if not counts:
        return ","
    if len(bare) == 1:
        return max(counts, key=lambda mark: counts[mark][0] * (0.5 if mark == " " else 1))
    # Equals stay in the order of the candidates: a blank within names is the least likely delimiter.
    return min(counts, key=lambda mark: _unevenness(counts[mark]))


def _unevenness(counts: Sequence[int]) -> float:
    mean = sum(counts) / len(counts)
    return sum((count - mean) ** 2 for count in counts)


def _without_quoted(lines: Iterable[str]) -> Sequence[str]:
    """The lines without what is in double quotes, and without those that go on with a quoted cell."""
    bare: list[str] = []
    within = False
    for line in lines:
        opened = within
        if line.count('"') % 2:
            within = not within
        if not opened and line.strip("\r\n"):
            text = _QUOTED.sub("", line)
            bare.append(text.partition('"')[0] if within else text)
    return bare
