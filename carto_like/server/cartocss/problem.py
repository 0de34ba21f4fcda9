"""What is wrong with a style, and where."""

from __future__ import annotations

from typing import NoReturn


class CartoCssError(ValueError):
    """A style that cannot be compiled.

    Attributes:
        message: what is wrong, without the place.
        line: line of the sheet, from 1.
        column: column in that line, from 1.
    """

    def __init__(self, message: str, line: int = 1, column: int = 1) -> None:
        super().__init__(message)
        self.message = message
        self.line = line
        self.column = column

    def at_layer(self, index: int) -> str:
        """The text that a Maps API answer carries for the layer with this index."""
        return f"style{index}:{self.line}:{self.column} {self.message}"


def place(text: str, position: int) -> tuple[int, int]:
    """Line and column, from 1, of a position (an offset from 0) in the sheet."""
    before = text[:position]
    return before.count("\n") + 1, position - (before.rfind("\n") + 1) + 1


def fail(text: str, position: int, message: str) -> NoReturn:
    """Raise ``CartoCssError`` for a position (an offset from 0) in the sheet."""
    raise CartoCssError(message, *place(text, position))
