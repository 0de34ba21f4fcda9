"""Rows of a query while they arrive."""

from __future__ import annotations

from collections.abc import Iterator
from types import TracebackType
from typing import Any

import requests

from carto_like.exceptions import CartoResponseFormatException, PartialResultException
from carto_like.pure.jsonrows import JsonRows

__all__ = ["Rows"]


class Rows(Iterator[dict[str, Any]]):
    """Iterates over the rows of a query, each a dict by column name.

    Attributes:
        fields: name and type of each column; complete once all rows have been read, as are the others.
        total_rows: number of rows.
        time: seconds the server took.
    """

    def __init__(self, blocks: Iterator[bytes], response: requests.Response) -> None:
        self._response = response
        self._document = JsonRows(blocks)
        self._rows = iter(self._document)
        self.fields: dict[str, Any] = {}
        self.total_rows: int | None = None
        self.time: float | None = None

    def __next__(self) -> dict[str, Any]:
        try:
            row: dict[str, Any] = next(self._rows)
        except StopIteration:
            self._finish()
            raise
        except ValueError as error:
            self.close()
            raise CartoResponseFormatException(f"the rows cannot be read: {error}") from error
        return row

    def _finish(self) -> None:
        self.close()
        rest = self._document.rest
        self.fields = rest.get("fields", {})
        self.total_rows = rest.get("total_rows")
        self.time = rest.get("time")
        if rest.get("error"):
            raise PartialResultException(rest["error"])

    def close(self) -> None:
        """Stop reading; the server stops the query."""
        self._response.close()

    def __enter__(self) -> Rows:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
