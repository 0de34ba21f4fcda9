"""Readings of streams, page by page into a list."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

from carto_like.iotile._times import moment, utc_text
from carto_like.iotile.api.connection import Api
from carto_like.iotile.api.exceptions import ImproperlyConfigured, RestFormatError

__all__ = ["BaseData", "RawData", "StreamData", "StreamRawData"]


class BaseData:
    """A list of readings, filled from the server; a subclass says where a page comes from.

    Attributes:
        data: the readings, as the server describes them.
    """

    def __init__(self, api: Api) -> None:
        self._api = api
        self.data: list[dict[str, Any]] = []

    def initialize_from_server(self, *args: Any, **kwargs: Any) -> None:
        """Read all pages into ``data``, in place of what is there.

        An error on a later page leaves the earlier ones in ``data``.

        Args:
            *args: none; a query goes by names.
            **kwargs: query parameters, usually ``lastn``, or ``start`` and ``end`` (text in UTC, or
                datetimes); ``page`` is the page to begin with.

        Raises:
            ValueError: an argument without a name, or one that cannot be sent.
            RestFormatError: a page holds no list of results.
        """
        if args:
            raise ImproperlyConfigured("a query goes by names: lastn=, start=, end=")
        self.data = []
        for page in self.pages_from_server(**kwargs):
            self.data.extend(page)

    def pages_from_server(self, **kwargs: Any) -> Iterator[list[dict[str, Any]]]:
        """Yield page by page what :meth:`initialize_from_server` reads, and keep none of them."""
        query = {name: _sendable(name, value) for name, value in kwargs.items()}
        place: dict[str, Any] | None = {"page": _page(query.pop("page", 1))}
        asked: list[dict[str, Any]] = []
        while place is not None and place not in asked:
            asked.append(place)
            body = self._fetch_data(**query, **place)
            results = body.get("results") if isinstance(body, dict) else None
            if not isinstance(results, list):
                raise RestFormatError(f"{type(self).__name__}: the answer holds no list of results")
            yield results
            place = _following(body.get("next"), place) if results else None

    def _fetch_data(self, **params: Any) -> Any:
        """One page of readings, as the server answers it."""
        return {"results": [], "next": None}

    @staticmethod
    def _date_format(timestamp: str) -> datetime:
        """The moment of a reading; raises ``ValueError`` when the text is none."""
        return moment(timestamp)


class StreamData(BaseData):
    """The readings of a stream, in its units.

    Args:
        stream_id: the stream's slug.
        api: a connection.

    Example:
        >>> stream = StreamData("s--0000-0001--0000-0000-0000-0097--5002", api)
        >>> stream.initialize_from_server(lastn=10)
    """

    def __init__(self, stream_id: str, api: Api) -> None:
        super().__init__(api)
        self.stream_id = stream_id

    def _fetch_data(self, **params: Any) -> Any:
        return self._api.path("stream", self.stream_id, "data").get(**params)


class RawData(BaseData):
    """Points as they were recorded; the query names what of with ``filter=<slug>``."""

    def _fetch_data(self, **params: Any) -> Any:
        return self._api.path("data").get(**params)


class StreamRawData(RawData):
    """The points of one stream as they were recorded.

    Args:
        stream_id: the stream's slug.
        api: a connection.
    """

    def __init__(self, stream_id: str, api: Api) -> None:
        super().__init__(api)
        self.stream_id = stream_id

    def _fetch_data(self, **params: Any) -> Any:
        return super()._fetch_data(**{"filter": self.stream_id, **params})


def _sendable(name: str, value: Any) -> Any:
    return utc_text(value, name) if isinstance(value, datetime) else value


def _page(value: Any) -> int:
    if not str(value).isdecimal():
        raise ImproperlyConfigured(f"page is a number from 1 on, not {value!r}")
    return int(value)


def _following(link: Any, place: dict[str, Any]) -> dict[str, Any] | None:
    """Where the page after this one is: at the link's cursor, which is quick at any depth, else by number."""
    if not link:
        return None
    told = parse_qs(urlsplit(link).query) if isinstance(link, str) else {}
    if "cursor" in told:
        return {"cursor": told["cursor"][0]}
    if "page" in place:
        return {"page": place["page"] + 1}
    # After a cursor nobody but the link knows the number.
    return {"page": int(told["page"][0])} if told.get("page", [""])[0].isdecimal() else None
