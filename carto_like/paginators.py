"""How CARTO's collections are paged: by number, until the total that each page tells has come."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import requests

from carto_like.core.paging import PageNumberPaginator, Paginator

__all__ = ["CartoPaginator", "Paginator"]


class CartoPaginator(PageNumberPaginator):
    """One run over the pages of a collection.

    It ends when as many items have come as the total says, and also at an empty or a repeated page: CARTO
    counts rows that it then does not show. A ``page`` among the parameters asks for that page only.

    Args:
        json_collection_attribute: key of the list in the answer; None when the answer is the list.
        base_url: root of the account's API.
        params: query parameters for every page, ``per_page`` for instance.
    """

    total_attributes: ClassVar[tuple[str, ...]] = ("total_entries", "total_user_entries", "total")

    def __init__(
        self, json_collection_attribute: str | None, base_url: str, params: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(base_url, params)
        self.json_collection_attribute = json_collection_attribute

    def process_response(self, response: requests.Response) -> requests.Response:
        """Take over a page that was fetched by hand, and return it."""
        body = response.json()
        key = self.json_collection_attribute
        self.accept(body, body if key is None else body[key])
        return response
