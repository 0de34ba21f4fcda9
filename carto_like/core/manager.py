"""Finds, lists and creates the resources of one collection."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Generic, NoReturn, TypeVar

from carto_like.core import _pyrestcli
from carto_like.core.errors import ConfigurationError, ResponseFormatError
from carto_like.core.paging import Paginator, SinglePage
from carto_like.core.paths import error_type, item_path
from carto_like.core.resource import Resource

__all__ = ["Absent", "Manager"]

R = TypeVar("R", bound=Resource)


class Manager(_pyrestcli.Manager, Generic[R]):
    """One collection; a subclass names the resource's class and where the answer keeps the list.

    Args:
        auth_client: the client to talk through.
    """

    resource_class: type[R]
    json_collection_attribute: ClassVar[str | None] = "data"
    """Key of the list in the answer; None when the answer is the list."""
    paginator_class: type[_pyrestcli.Paginator] = SinglePage

    def __init__(self, auth_client: Any) -> None:
        # Not pyrestcli's manager: it keeps one paginator for all runs.
        _pyrestcli.APIConnected.__init__(self, auth_client)

    @property
    def paginator(self) -> _pyrestcli.Paginator:
        """A paginator for a run of its own."""
        return self.new_paginator({})

    @classmethod
    def get_resource_endpoint(cls, resource_id: Any) -> str | None:
        """Path of the item with this id, quoted; None without an id."""
        kind: Any = cls
        if resource_id is None:
            return None
        slash = kind.resource_class.Meta.trailing_slash
        return item_path(cls.get_collection_endpoint(), resource_id, slash=slash)

    # Verbs

    def get(self, resource_id: Any) -> R:
        """Read one item.

        Raises:
            NotFoundError: there is none with this id.
            ConfigurationError: the id is None or empty, or cannot be part of a path.
            ResponseFormatError: the answer cannot be read.
        """
        response = self.send(self._address_of(resource_id), "get")
        resource = self.new_resource()
        resource.load(self.unwrap(self.client.get_response_data(response, self.Meta.parse_json)))
        return resource

    def get_or_none(self, resource_id: Any) -> R | None:
        """Read one item; None when there is none with this id."""
        try:
            return self.get(resource_id)
        except _pyrestcli.NotFoundException:
            return None

    def iterate(self, **search_args: Any) -> Iterator[R]:
        """Yield the items that match, asking for a page only when it is needed.

        Args:
            **search_args: query parameters, as the API names them.
        """
        paginator = self.new_paginator(search_args)
        for url, params in paginator.get_urls(self.get_collection_endpoint()):
            response = self.send(url, "get", params=params)
            body = self.client.get_response_data(response, self.Meta.parse_json)
            items = self.items_of(body)
            if isinstance(paginator, Paginator):
                items = list(paginator.accept(body, items))
            else:
                paginator.process_response(response)
            yield from map(self.build, items)

    def filter(self, **search_args: Any) -> list[R]:
        """The items that match, from all pages."""
        return list(self.iterate(**search_args))

    def all(self) -> list[R]:
        """All items."""
        return self.filter()

    def create(self, *args: Any, **values: Any) -> R:
        """Create an item and return it as the server stored it; a subclass narrows the arguments."""
        if args:
            raise TypeError(f"{type(self).__name__}.create() takes the values of fields by name")
        return self._create(**values)

    # What a platform may answer differently

    def unwrap(self, body: Any) -> Any:
        """The part of an answer about one item that describes it."""
        return body

    def items_of(self, body: Any) -> list[Any]:
        """The list in an answer about the collection.

        Raises:
            ResponseFormatError: there is none.
        """
        key = self.json_collection_attribute
        items = body.get(key, body) if key is not None and isinstance(body, Mapping) else body
        if items is None:
            return []
        if not isinstance(items, list) or (key is not None and items is body):
            where = "as the answer" if key is None else f"under {key!r} in the answer"
            raise error_type(self.client, ResponseFormatError)(f"{type(self).__name__}: no list {where}")
        return items

    def new_paginator(self, params: Mapping[str, Any]) -> _pyrestcli.Paginator:
        """The paginator of one run, asked with these query parameters."""
        return self.paginator_class(self.client.base_url, dict(params))

    def new_resource(self) -> R:
        """An empty resource of this collection."""
        return self.resource_class(self.client)

    def build(self, raw: Any) -> R:
        """The resource for one entry of the list; an entry that is no object is taken for its id."""
        resource = self.new_resource()
        resource.load({resource.Meta.id_field: raw} if isinstance(raw, (str, int)) else raw)
        return resource

    def _address_of(self, resource_id: Any) -> str:
        refused = error_type(self.client, ConfigurationError)
        try:
            endpoint = self.get_resource_endpoint(resource_id)
        except ConfigurationError as error:
            raise refused(str(error)) from None
        if endpoint is None:
            raise refused(f"{self.resource_class.__name__}: an id is needed, not None")
        return endpoint

    def _create(self, **values: Any) -> R:
        resource = self.new_resource()
        resource.update_from_dict(values)
        resource.save(force_create=True)
        return resource


class Absent:
    """Hides an inherited verb that an API does not have: asking for it is an error that says why."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        self.name = "this"

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, instance: object, owner: type) -> NoReturn:
        raise AttributeError(f"{owner.__name__} has no {self.name!r}: {self.reason}")
