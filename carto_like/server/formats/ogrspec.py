"""What the process that writes a file is told about the rows it will get."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Spec:
    """One export.

    Attributes:
        format: name of the format.
        name: the file's name without its extension.
        fields: name, place in a row and kind of each attribute.
        geometries: name and place of the geometry columns, the one that counts first.
        declared: kind, whether it has heights and measures, SRID: what the first geometry's column is
            declared to hold; zeros for what is not declared.
    """

    format: str
    name: str
    fields: list[tuple[str, int, str]]
    geometries: list[tuple[str, int]]
    declared: tuple[int, bool, bool, int] = (0, False, False, 0)

    def plain(self) -> dict[str, Any]:
        """The same in built-in types."""
        return asdict(self)
