"""Reads a sheet from left to right; spaces and comments are passed over."""

from __future__ import annotations

import re
from typing import NoReturn

from .problem import fail

_SPACE = re.compile(r"(?:\s+|//[^\n]*|/\*.*?\*/)*", re.DOTALL)
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff\ud800-\udfff]")


class Scanner:
    """A position in the text of a sheet, moved by what is recognised there."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.position = 0
        found = _CONTROL.search(text)
        if found:
            self.position = found.start()
            self.fail("the style holds a control character")

    def skip(self) -> int:
        """Pass over spaces and comments; the position of what follows."""
        found = _SPACE.match(self.text, self.position)
        self.position = found.end() if found else self.position
        if self.text.startswith("/*", self.position):
            self.fail("missing closing `*/`")
        return self.position

    def take(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        """What the pattern matches here after spaces; None, and no step, when it does not."""
        found = pattern.match(self.text, self.skip())
        if found:
            self.position = found.end()
        return found

    def accept(self, literal: str) -> bool:
        """Step over this text, if it comes next."""
        if not self.text.startswith(literal, self.skip()):
            return False
        self.position += len(literal)
        return True

    def expect(self, literal: str) -> None:
        """Step over this text, or raise ``CartoCssError``."""
        if not self.accept(literal):
            self.fail(f"missing closing `{literal}`" if literal in "])}" else f"expected `{literal}`")

    def peek(self) -> str:
        """The next character after spaces; empty at the end."""
        return self.text[self.skip() : self.position + 1]

    def fail(self, message: str) -> NoReturn:
        """Raise ``CartoCssError`` for the place reached."""
        fail(self.text, self.position, message)
