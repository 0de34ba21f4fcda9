"""Readings of a stream: one after the other, or as arrays, frames and tables."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from carto_like.core.errors import ConfigurationError, ResponseFormatError
from carto_like.core.paging import NextUrlPaginator
from carto_like.core.paths import item_path
from carto_like.iotile._times import moment, utc_text

__all__ = ["Reading", "Readings"]

_LARGEST_PAGE = 20_000
_NUMBERS = ("value", "output_value")


class Reading(NamedTuple):
    """One reading.

    Attributes:
        timestamp: moment in UTC.
        value: in the unit the stream keeps.
        output_value: in the unit it is shown in.
        int_value: what the device sent.
    """

    timestamp: datetime
    value: float | None
    output_value: float | None
    int_value: int | None


class _Pages(NextUrlPaginator):
    """Follows ``next`` even if a page equals the one before: readings of one second can be all alike."""

    def accept(self, body: Any, items: Sequence[Any]) -> Sequence[Any]:
        """The items, all of which are news; an address that was asked before still ends the run."""
        self._request = self.next_request(body, items) if items else None
        return items


class Readings:
    """The readings of a stream, oldest first; each use asks the server anew, a page at a time.

    Args:
        client: an :class:`~carto_like.iotile.client.IOTileClient`.
        stream: slug of the stream.
        start: first moment, inclusive; datetime or ISO 8601, UTC where it names no zone.
        end: moment before which to stop.
        lastn: only that many, the latest.
        page_size: readings per request; by default the most the API grants.

    Raises:
        ValueError: a moment is malformed, or a number is not positive.

    Example:
        >>> Readings(client, slug, start="2024-01-01").to_numpy()["value"].mean()
    """

    def __init__(
        self,
        client: Any,
        stream: str,
        *,
        start: datetime | str | None = None,
        end: datetime | str | None = None,
        lastn: int | None = None,
        page_size: int | None = None,
    ) -> None:
        self.client = client
        self.stream = str(stream)
        self._query: dict[str, Any] = {"page_size": _positive("page_size", page_size) or _LARGEST_PAGE}
        if lastn is not None:
            self._query["lastn"] = _positive("lastn", lastn)
        for name, value in (("start", start), ("end", end)):
            if value is not None:
                self._query[name] = utc_text(value, name)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.stream}>"

    def __iter__(self) -> Iterator[Reading]:
        for page in self.pages():
            for item in page:
                yield Reading(
                    moment(item["timestamp"]),
                    item.get("value"),
                    item.get("output_value"),
                    item.get("int_value"),
                )

    def pages(self) -> Iterator[list[dict[str, Any]]]:
        """Yield the pages as the API answers them; the memory holds one of them.

        Raises:
            ResponseFormatError: a page holds no list of results.
        """
        paginator = _Pages(self.client.base_url, self._query)
        for url, params in paginator.get_urls(item_path("stream", self.stream, "data", slash=True)):
            body = self.client.get_response_data(self.client.send(url, "get", params=params))
            items = body.get("results") if isinstance(body, dict) else None
            if not isinstance(items, list):
                raise ResponseFormatError(f"{self!r}: the answer holds no list of results")
            yield list(paginator.accept(body, items))

    def to_numpy(self) -> Any:
        """A structured array of ``timestamp`` (``datetime64[us]``, UTC), ``value`` and ``output_value``.

        What has no value is NaN.

        Raises:
            ConfigurationError: numpy is not installed.
        """
        numpy = _library("numpy")
        kind = [("timestamp", "M8[us]"), *((name, "f8") for name in _NUMBERS)]
        blocks = []
        for page in self.pages():
            block = numpy.empty(len(page), dtype=kind)
            # numpy takes no zone; the API writes UTC.
            block["timestamp"] = [item["timestamp"].rstrip("Z") for item in page]
            for name in _NUMBERS:
                block[name] = [item.get(name) for item in page]
            blocks.append(block)
        return numpy.concatenate(blocks) if blocks else numpy.empty(0, dtype=kind)

    def to_pandas(self) -> Any:
        """A data frame of ``value`` and ``output_value``, indexed by ``timestamp`` in UTC.

        Raises:
            ConfigurationError: pandas is not installed.
        """
        pandas = _library("pandas")
        array = self.to_numpy()
        index = pandas.DatetimeIndex(array["timestamp"], tz="UTC", name="timestamp")
        return pandas.DataFrame({name: array[name] for name in _NUMBERS}, index=index)

    def to_arrow(self) -> Any:
        """An Arrow table of ``timestamp`` (UTC), ``value`` and ``output_value``, with nulls.

        Raises:
            ConfigurationError: pyarrow is not installed.
        """
        arrow = _library("pyarrow")
        array = self.to_numpy()
        moments = arrow.array(array["timestamp"]).cast(arrow.timestamp("us", tz="UTC"))
        columns = {name: arrow.array(array[name], from_pandas=True) for name in _NUMBERS}
        return arrow.table({"timestamp": moments, **columns})


def _library(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError:
        text = f"{name} is needed for this: pip install 'carto-like[frames]'"
    raise ConfigurationError(text)


def _positive(name: str, value: int | None) -> int | None:
    if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
        raise ConfigurationError(f"{name} is a positive whole number, not {value!r}")
    return value
