"""A thing behind a REST API: declared by fields, filled by answers, saved by its changes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

import requests

from carto_like.core import _pyrestcli
from carto_like.core.changes import Changes
from carto_like.core.errors import ConfigurationError, ResponseFormatError
from carto_like.core.fields import OMIT, Field, adopted
from carto_like.core.paths import error_type, item_path

__all__ = ["Resource", "ResourceMeta"]


class ResourceMeta(_pyrestcli.ResourceMetaclass):
    """Gives every class a ``Meta`` of its own, and the names of its fields, inherited ones included."""

    def __new__(
        mcs, name: str, bases: tuple[type, ...], namespace: dict[str, Any], **keywords: Any
    ) -> ResourceMeta:
        """Put a Meta derived from the parents' into the class, before pyrestcli would write into theirs."""
        own = namespace.get("Meta")
        parents = [base.Meta for base in bases if hasattr(base, "Meta")]
        metas = tuple(dict.fromkeys([own, *parents] if own else parents))
        about = {"__doc__": getattr(own, "__doc__", None), "__module__": namespace["__module__"]}
        meta = type("Meta", metas, about)
        return super().__new__(mcs, name, bases, {**namespace, "Meta": meta}, **keywords)

    def __init__(cls, name: str, bases: tuple[type, ...], namespace: dict[str, Any], **_: Any) -> None:
        super().__init__(name, bases, namespace)
        found: dict[str, bool] = {}
        for parent in reversed(cls.__mro__):
            found.update({key: isinstance(value, _pyrestcli.Field) for key, value in vars(parent).items()})
        cls.fields = [key for key, is_field in found.items() if is_field]


class Resource(_pyrestcli.Resource, metaclass=ResourceMeta):
    """One resource; fields are declared on the class, what it needs to know of the API in ``Meta``.

    Args:
        auth_client: the client to talk through.
        **kwargs: values of attributes to start with; they count as changes.
    """

    class Meta:
        """How the API treats resources of this kind.

        Attributes:
            collection_endpoint: path of the collection, used as written; None means ``<class name>s/``.
            trailing_slash: whether the path of one item ends in a slash.
            update_method: verb that updates an item, ``put`` or ``patch``.
            partial_update: whether an update carries changes only; None means with ``patch``.
            always_sent: fields that every update carries, changed or not.
            read_only: fields that are never sent, except by ``always_sent``.
            id_field: field whose value identifies the item in paths.
            name_field: field that ``str()`` shows.
            json_data: send JSON; otherwise a form.
            parse_json: answers are JSON.
        """

        collection_endpoint: ClassVar[str | None] = None
        trailing_slash: ClassVar[bool] = False
        update_method: ClassVar[str] = "put"
        partial_update: ClassVar[bool | None] = None
        always_sent: ClassVar[tuple[str, ...]] = ()
        read_only: ClassVar[tuple[str, ...]] = ()
        id_field: ClassVar[str] = "id"
        name_field: ClassVar[str] = "id"
        json_data: ClassVar[bool] = True
        parse_json: ClassVar[bool] = True

    _changes: Changes
    _absent: bool

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        """Start without changes, whatever a subclass sets before it calls this class's constructor."""
        resource = super().__new__(cls)
        resource._changes = Changes()
        resource._absent = False
        return resource

    def __init__(self, auth_client: Any, **kwargs: Any) -> None:
        # The client comes first: fields that hold resources hand it on.
        super().__init__(auth_client)
        for name, value in kwargs.items():
            setattr(self, name, value)

    def __bool__(self) -> bool:
        return not self._absent or any(self.__dict__.get(name) is not None for name in self.fields)

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        if not isinstance(other, Resource) or type(self) is not type(other) or self.get_id() is None:
            return False
        here, there = (getattr(resource.client, "base_url", None) for resource in (self, other))
        return bool(here == there and self.get_id() == other.get_id())

    def __hash__(self) -> int:
        identity = self.get_id()
        return object.__hash__(self) if identity is None else hash((type(self), identity))

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.Meta.id_field}={self.get_id()!r}>"

    def __str__(self) -> str:
        name = getattr(self, self.Meta.name_field, None)
        return repr(self) if name is None or name == "" else str(name)

    def mark_absent(self) -> None:
        """Make this the stand-in for a resource that is not there: false until a field gets a value."""
        self._absent = True

    # Addresses

    @classmethod
    def get_collection_endpoint(cls) -> str:
        """Path of the collection, relative to the client's root."""
        endpoint = cls.Meta.collection_endpoint
        return f"{cls.__name__.lower()}s/" if endpoint is None else endpoint

    # An instance asks without an id, where the class wants one.
    def get_resource_endpoint(self) -> str | None:  # type: ignore[override]
        """Path of this item with its id quoted; None as long as it has no id."""
        identity = self.get_id()
        if identity is None:
            return None
        return self._below(self.get_collection_endpoint(), identity)

    def get_action_endpoint(self, *segments: str) -> str:
        """Path of something that can be done with this item; an item without an id is refused."""
        endpoint = self.get_resource_endpoint()
        if endpoint is None:
            raise error_type(self.client, ConfigurationError)(f"{self!r} has no id yet")
        return self._below(endpoint, *segments)

    # What the server says

    def update_from_dict(self, attribute_dict: Mapping[str, Any]) -> None:
        """Set the fields that are named and ignore other keys; what the caller sets so counts as changes."""
        for name, value in attribute_dict.items():
            if self.fields is None or name in self.fields:
                self._set(name, value)

    def load(self, body: Any) -> None:
        """Take over an answer that describes this resource; all of it or, when it cannot be read, nothing."""
        if not isinstance(body, Mapping):
            raise error_type(self.client, ResponseFormatError)(
                f"{type(self).__name__}: the answer is {type(body).__name__}, not an object"
            )
        before = dict(self.__dict__)
        try:
            with self._changes.from_server():
                self.update_from_dict(body)
        except BaseException:
            self.__dict__.clear()
            self.__dict__.update(before)
            raise

    def send(self, url: str, http_method: str, **client_args: Any) -> requests.Response:
        """Make a request about this resource and take over the object that is answered, if one is.

        Raises:
            ApiError: the server refused.
            ResponseFormatError: the answer cannot be read.
        """
        response = self.client.send(url, http_method, **client_args)
        body = self.client.get_response_data(response, self.Meta.parse_json)
        if isinstance(body, Mapping) or (body and self.Meta.parse_json and http_method.lower() == "get"):
            self.load(body)
        return response

    # Verbs

    def save(self, force_create: bool = False, fields: Iterable[str] | None = None) -> requests.Response:
        """Update the item on the server, or create it, and take over the answer.

        An update sends None as null for fields that were set to None. A new item leaves such fields out, so
        that the server's defaults apply, unless they are named in ``fields``.

        Args:
            force_create: create a new item although this one has an id.
            fields: names of the fields to consider; by default all of them.
        """
        endpoint = None if force_create else self.get_resource_endpoint()
        values = self._payload(endpoint is None, None if fields is None else tuple(fields))
        verb = "post" if endpoint is None else self.Meta.update_method
        body = {"json" if self.Meta.json_data else "data": values}
        response = self.send(endpoint or self.get_collection_endpoint(), verb, **body)
        kept = filter(self.fields.__contains__, values)
        self._changes.settle((self._field(name), getattr(self, name)) for name in kept)
        return response

    def refresh(self) -> requests.Response | None:
        """Read the item again; None, and no request, when it has no id."""
        endpoint = self.get_resource_endpoint()
        return None if endpoint is None else self.send(endpoint, "get")

    def delete(self) -> requests.Response | None:
        """Delete the item on the server; None, and no request, when it has no id."""
        endpoint = self.get_resource_endpoint()
        return None if endpoint is None else self.send(endpoint, "delete")

    def _payload(self, create: bool, names: tuple[str, ...] | None) -> dict[str, Any]:
        unknown = set(names or ()) - set(self.fields)
        if unknown:
            text = f"{type(self).__name__} has no fields named {', '.join(sorted(unknown))}"
            raise error_type(self.client, ConfigurationError)(text)
        values = {}
        for name in filter(lambda name: self._is_sent(name, create, names), self.fields):
            value = self._field(name).to_wire(getattr(self, name))
            explicit = self._changes.assigned(name) and (not create or names is not None)
            if value is not OMIT and (value is not None or explicit):
                values[name] = value
        return values

    def _is_sent(self, name: str, create: bool, names: tuple[str, ...] | None) -> bool:
        meta = self.Meta
        if name not in self.__dict__:
            return False
        if name in meta.always_sent and not create:
            return True
        if name in meta.read_only or (names is not None and name not in names):
            return False
        partial = (
            meta.update_method.lower() == "patch" if meta.partial_update is None else meta.partial_update
        )
        # pyrestcli's own fields tell nobody of changes.
        whole = create or names is not None or not partial or not isinstance(getattr(type(self), name), Field)
        return whole or self._changes.differs(self._field(name), getattr(self, name))

    def _below(self, path: str, *segments: Any) -> str:
        refused = error_type(self.client, ConfigurationError)
        return item_path(path, *segments, slash=self.Meta.trailing_slash, refused=refused)

    def _field(self, name: str) -> Field[Any]:
        return adopted(getattr(type(self), name))

    def _set(self, name: str, value: Any) -> None:
        try:
            setattr(self, name, value)
        except (TypeError, ValueError, OverflowError) as error:
            if not self._changes.loading:
                raise
            text = f"{type(self).__name__}.{name}: cannot read {repr(value)[:80]}"
            raise error_type(self.client, ResponseFormatError)(text) from error
