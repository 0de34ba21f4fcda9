"""Batches of rows as JSON text: columns are encoded one after the other, then put into a template."""

from __future__ import annotations

from collections.abc import Sequence

from carto_like.server.sqlapi.results import Columns, Row
from carto_like.server.sqlapi.values import Encoder, Encoders, quoted


class RowEncoder:
    """Turns the rows of one statement into JSON objects.

    Args:
        columns: the statement's columns. Of several with one name the last counts, at the first's place.
        encoders: the encoders by type.
        skip: names of columns to leave out.
    """

    def __init__(self, columns: Columns, encoders: Encoders, skip: frozenset[str] = frozenset()) -> None:
        places = {name: place for place, name in enumerate(columns.names) if name not in skip}
        self._encoders: list[tuple[int, Encoder]] = [
            (place, encoders.of(columns.oids[place])) for place in places.values()
        ]
        members = (f"{quoted(name).replace('%', '%%')}:%s" for name in places)
        self._template = "{" + ",".join(members) + "}"

    def objects(self, rows: Sequence[Row]) -> list[str]:
        """One JSON object per row."""
        if not self._encoders:
            return ["{}"] * len(rows)
        columns = list(zip(*rows, strict=True))
        texts = [encode(columns[place]) for place, encode in self._encoders]
        return [*map(self._template.__mod__, zip(*texts, strict=True))]
