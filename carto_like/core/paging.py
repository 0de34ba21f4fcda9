"""How the pages of a collection follow each other.

A paginator lives for one run over a collection, so that two runs never end each other. The manager asks it
for the next address, fetches it, and hands over the parsed answer; an empty or a repeated page ends the run,
whatever the server says about totals.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar
from urllib.parse import urljoin

from carto_like.core import _pyrestcli

__all__ = [
    "CursorPaginator",
    "NextUrlPaginator",
    "PageNumberPaginator",
    "PageRequest",
    "Paginator",
    "SinglePage",
]

PageRequest = tuple[str, dict[str, Any]]
"""Where a page is, and the query parameters to ask for it with."""


class Paginator(_pyrestcli.Paginator):
    """Base of one run; a platform's own derives from it and answers :meth:`next_request`.

    Args:
        base_url: root of the platform's API.
        params: query parameters that the caller asks the collection with.
    """

    skip_empty: ClassVar[bool] = False
    """Whether a page without items may be followed by others."""

    def __init__(self, base_url: str, params: Mapping[str, Any] | None = None) -> None:
        super().__init__(base_url, dict(params or {}))
        self._url = ""
        self._request: PageRequest | None = None
        self._asked: set[str] = set()
        self._previous: Sequence[Any] = ()

    def get_urls(self, initial_url: str) -> Iterator[PageRequest]:
        """Yield address and parameters of each page; between two of them :meth:`accept` has to be called."""
        self._request = self.first_request(initial_url)
        while self._request is not None and repr(self._request) not in self._asked:
            current, self._request = self._request, None
            self._asked.add(repr(current))
            yield current

    def accept(self, body: Any, items: Sequence[Any]) -> Sequence[Any]:
        """Take over the answer for the page asked last and return the items in it that are news.

        Args:
            body: the parsed answer.
            items: the part of it that is the list.
        """
        if items and items == self._previous:
            return ()
        self._previous = items
        if items or self.skip_empty:
            self._request = self.next_request(body, items)
        return items

    def first_request(self, url: str) -> PageRequest:
        """Where a run starts: the collection, asked with the caller's parameters."""
        self._url = url
        return url, dict(self.params)

    def next_request(self, body: Any, items: Sequence[Any]) -> PageRequest | None:
        """Where the page after this one is; None when this was the last."""
        raise NotImplementedError


class SinglePage(Paginator):
    """A collection that comes in one piece."""

    def next_request(self, body: Any, items: Sequence[Any]) -> PageRequest | None:
        """None: there is one page only."""
        return None


class PageNumberPaginator(Paginator):
    """Counts pages until as many items have come as the server says there are.

    Without a total it goes on until a page is empty. A caller who names a page gets that page only.
    """

    page_parameter: ClassVar[str] = "page"
    first_page: ClassVar[int] = 1
    total_attributes: ClassVar[tuple[str, ...]] = ("total",)
    """Where the answer tells how many items there are; the first one present counts."""

    def __init__(self, base_url: str, params: Mapping[str, Any] | None = None) -> None:
        super().__init__(base_url, params)
        wanted = self.params.pop(self.page_parameter, None)
        self._only_one = wanted is not None
        self._page: Any = self.first_page if wanted is None else wanted
        self._received = 0

    def first_request(self, url: str) -> PageRequest:
        """The page that the caller named, else the first one."""
        super().first_request(url)
        return self._numbered()

    def next_request(self, body: Any, items: Sequence[Any]) -> PageRequest | None:
        """The page with the next number, as long as items are missing."""
        self._received += len(items)
        total = self.total_of(body)
        if self._only_one or (total is not None and self._received >= total):
            return None
        self._page += 1
        return self._numbered()

    def total_of(self, body: Any) -> int | None:
        """How many items the collection has, or None when the answer does not say."""
        if not isinstance(body, Mapping):
            return None
        told = (body[name] for name in self.total_attributes if isinstance(body.get(name), int))
        return next(told, None)

    def _numbered(self) -> PageRequest:
        return self._url, {**self.params, self.page_parameter: self._page}


class NextUrlPaginator(Paginator):
    """Follows the address that each page gives for the next one.

    That address already carries the query, so the caller's parameters go out with the first page only. The
    client refuses an address on another origin before it signs the request.
    """

    next_attribute: ClassVar[str] = "next"

    def next_request(self, body: Any, items: Sequence[Any]) -> PageRequest | None:
        """The address the page names; a relative one is resolved against that of the page."""
        following = body.get(self.next_attribute) if isinstance(body, Mapping) else None
        if not isinstance(following, str) or not following:
            return None
        self._url = urljoin(self._url, following)
        return self._url, {}


class CursorPaginator(Paginator):
    """Sends back the mark that each page gives for the one after it."""

    cursor_parameter: ClassVar[str] = "cursor"
    cursor_attribute: ClassVar[str] = "cursor"
    last_cursors: ClassVar[tuple[Any, ...]] = (None, "", -1, "-1")
    """Marks that mean that nothing follows."""

    def next_request(self, body: Any, items: Sequence[Any]) -> PageRequest | None:
        """The same query with the new mark."""
        cursor = body.get(self.cursor_attribute) if isinstance(body, Mapping) else None
        if cursor in self.last_cursors:
            return None
        return self._url, {**self.params, self.cursor_parameter: cursor}
