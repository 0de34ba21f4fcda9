"""Which regular expressions a filter may have: drawing cannot be stopped while one is being matched."""

from __future__ import annotations

import re

MAX_LENGTH = 200
MAX_REPEATS = 3
MAX_CHOICES = 10

_PARTS = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|\(\?[#:=!<>]*|\{\d+(?P<range>,\d*)?\}|.", re.DOTALL)


def trouble_with(pattern: str) -> str | None:
    """Why this regular expression may take longer than anybody waits; None when it does not.

    A repeated group that fits a text in several ways takes twice as long for each further character, and so
    do many choices one after the other. References to groups make it worse.
    """
    if len(pattern) > MAX_LENGTH:
        return f"it is longer than {MAX_LENGTH} characters"
    repeats = choices = 0
    # Of each open group, and of all that is in none, whether it fits a text in several ways.
    several = [""]
    closed = ""
    for found in _PARTS.finditer(pattern):
        part = found[0]
        if re.fullmatch(r"\\[1-9gk]", part):
            return "it refers to a group"
        is_repeat = part in ("*", "+") or bool(found["range"])
        if closed and (is_repeat or part.startswith("{")):
            return "a repeated group holds another repeat or a choice"
        closed = ""
        if part.startswith("("):
            several.append("")
        elif part == ")" and len(several) > 1:
            closed = several.pop()
            choices += "|" in closed
            several[-1] += closed and "?"
        elif is_repeat or part in ("?", "|"):
            several[-1] += part
            repeats += is_repeat
            choices += part == "?"
    if repeats > MAX_REPEATS:
        return f"it has more than {MAX_REPEATS} repeats"
    return f"it has more than {MAX_CHOICES} choices" if choices > MAX_CHOICES else None
