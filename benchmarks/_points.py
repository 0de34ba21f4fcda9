"""Point rows as CSV, the same ones every time: about 53 bytes each, spread over the world."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

COLUMNS = "the_geom,name,amount"
DEFINITION = "name text, amount double precision"
_BLOCK_ROWS = 20_000


def _row(number: int) -> str:
    # Steps coprime to the range: no order that an index could profit from, and no random generator.
    longitude = number * 222_492_239 % 360_000_000 - 180_000_000
    latitude = number * 105_066_887 % 170_000_000 - 85_000_000
    amount = number * 7_919 % 100_000
    return f"SRID=4326;POINT({longitude / 1e6:.6f} {latitude / 1e6:.6f}),p{number},{amount / 100}\n"


def blocks(rows: int) -> Iterator[bytes]:
    """The CSV of so many rows, without a header, in blocks of about 1 MB."""
    for start in range(0, rows, _BLOCK_ROWS):
        yield "".join(map(_row, range(start, min(start + _BLOCK_ROWS, rows)))).encode("ascii")


def repeated(size: int) -> Iterator[bytes]:
    """At least so many bytes of CSV, made of one block, for when only the amount matters."""
    block = next(blocks(_BLOCK_ROWS))
    for _ in range(0, size, len(block)):
        yield block


def write(path: Path, rows: int) -> int:
    """Write the CSV of so many rows to a file; how many bytes that took."""
    with path.open("wb") as file:
        return sum(file.write(block) for block in blocks(rows))
