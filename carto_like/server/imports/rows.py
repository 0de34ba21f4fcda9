"""Rows on their way from a file to COPY: in batches, column by column, as COPY's text format."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

NULL = "\\N"
BATCH = 4096

_SPECIAL = "\\\t\n\r\0"
# PostgreSQL has no character 0.
_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r", "\0": ""})

Cells = Sequence[Any]
Clean = Callable[[Cells], Cells]


class Unreadable(Exception):
    """The file cannot be read; ``code`` is CARTO's.

    Attributes:
        encoding: whether another encoding might help.
    """

    def __init__(self, code: int, reason: str = "", *, encoding: bool = False) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason
        self.encoding = encoding


@dataclass(frozen=True)
class Column:
    """A column of the table.

    Attributes:
        name: final and valid.
        type: of PostgreSQL.
        index: of the cell that it is in.
        clean: makes what COPY takes of the cells of many rows.
    """

    name: str
    type: str
    index: int
    clean: Clean


@dataclass(frozen=True)
class Layout:
    """What the parent has to know before rows come.

    Attributes:
        columns: in the order in which cells come.
        numbered: a first cell numbers the rows; otherwise the key is among the columns.
        point: names of the columns of latitude and longitude.
        geometry: name of the column that holds the geometry, and how it is written there.
        srid: of the geometry.
    """

    columns: tuple[Column, ...]
    numbered: bool
    point: tuple[str, str] | None = None
    geometry: tuple[str, str] | None = None
    srid: int = 4326

    def as_json(self) -> dict[str, Any]:
        """For the parent, which believes nothing of it before it has looked."""
        return {
            "columns": [[column.name, column.type] for column in self.columns],
            "numbered": self.numbered,
            "point": self.point,
            "geometry": self.geometry,
            "srid": self.srid,
        }


def as_text(cells: Cells) -> Cells:
    """Text as it is; what is missing is NULL."""
    if None in cells:
        return [NULL if cell is None else cell.translate(_ESCAPES) for cell in cells]
    joined = "".join(cells)
    if any(map(joined.__contains__, _SPECIAL)):
        return [cell.translate(_ESCAPES) for cell in cells]
    return cells


def as_value(cells: Cells) -> Cells:
    """Values of another type, which are NULL when empty."""
    return [cell or NULL for cell in cells]


def as_trimmed_value(cells: Cells) -> Cells:
    """The same, without the blanks around."""
    return [(cell and cell.strip()) or NULL for cell in cells]


def copy_block(columns: Sequence[Cells]) -> bytes:
    """Lines of COPY's text format, from cells that are clean."""
    lines = map("\t".join, zip(*columns, strict=True))
    return ("\n".join(lines) + "\n").encode()


def numbers(first: int, count: int) -> Iterable[str]:
    """The numbers of ``count`` rows."""
    return list(map(str, range(first, first + count)))
