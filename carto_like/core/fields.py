"""What an attribute of a resource holds, and how it goes over the wire.

The kinds are pyrestcli's, with types, tolerance for nulls, and a ``to_wire`` of their own, so that a resource
need not know them to save itself.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, Generic, Literal, TypeVar, overload

from dateutil.parser import parse

from carto_like.core import _pyrestcli

if TYPE_CHECKING:
    from carto_like.core.resource import Resource

__all__ = [
    "OMIT",
    "BooleanField",
    "CharField",
    "DateTimeField",
    "DictField",
    "Field",
    "FloatField",
    "IntegerField",
    "ResourceField",
    "adopted",
]

T = TypeVar("T")
F = TypeVar("F", bound="Field[Any]")

OMIT: Final = object()
"""What :meth:`Field.to_wire` answers for a value that is never sent."""


# pyrestcli's classes take no type parameters when they run, whatever their stub says.
class Field(_pyrestcli.Field, Generic[T]):  # type: ignore[type-arg]
    """Holds a value as it comes; unset it reads as None.

    Args:
        many: the attribute holds a list; a null from the server becomes an empty one.
    """

    def __init__(self, many: bool = False) -> None:
        super().__init__(many)

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    @overload
    def __get__(self: F, instance: None, owner: type[Any]) -> F: ...
    @overload
    def __get__(self, instance: object, owner: type[Any]) -> T: ...
    def __get__(self, instance: object | None, owner: type[Any]) -> Any:
        return self if instance is None else instance.__dict__.get(self.name or "")

    def __set__(self, instance: Any, value: Any) -> None:
        stored = self.convert(instance, value)
        instance.__dict__[self.name] = stored
        instance._changes.note(self, stored)

    def convert(self, instance: Any, value: Any) -> Any:
        """The value to hold for one that was assigned or loaded; raises ``ValueError`` when there is none."""
        return [] if self.many and value is None and instance._changes.loading else value

    def to_wire(self, value: Any) -> Any:
        """The JSON value to send for one that is held, or :data:`OMIT`."""
        if isinstance(value, list):
            return [_moment(item) for item in value]
        return _moment(value)

    def remember(self, value: Any) -> Any:
        """A copy to compare with later, since lists and dicts change in place; None to not compare."""
        return copy.deepcopy(value)


class BooleanField(Field[T], _pyrestcli.BooleanField):  # type: ignore[type-arg]
    """Holds true or false, unconverted."""

    @overload
    def __init__(self: BooleanField[bool | None], many: Literal[False] = False) -> None: ...
    @overload
    def __init__(self: BooleanField[list[bool] | None], many: Literal[True]) -> None: ...
    def __init__(self, many: bool = False) -> None:
        super().__init__(many)


class IntegerField(Field[T], _pyrestcli.IntegerField):  # type: ignore[type-arg]
    """Holds a whole number, unconverted."""

    @overload
    def __init__(self: IntegerField[int | None], many: Literal[False] = False) -> None: ...
    @overload
    def __init__(self: IntegerField[list[int] | None], many: Literal[True]) -> None: ...
    def __init__(self, many: bool = False) -> None:
        super().__init__(many)


class FloatField(Field[T], _pyrestcli.FloatField):  # type: ignore[type-arg]
    """Holds a number, unconverted."""

    @overload
    def __init__(self: FloatField[float | None], many: Literal[False] = False) -> None: ...
    @overload
    def __init__(self: FloatField[list[float] | None], many: Literal[True]) -> None: ...
    def __init__(self, many: bool = False) -> None:
        super().__init__(many)


class CharField(Field[T], _pyrestcli.CharField):  # type: ignore[type-arg]
    """Holds text, unconverted."""

    @overload
    def __init__(self: CharField[str | None], many: Literal[False] = False) -> None: ...
    @overload
    def __init__(self: CharField[list[str] | None], many: Literal[True]) -> None: ...
    def __init__(self, many: bool = False) -> None:
        super().__init__(many)


class DictField(Field[T], _pyrestcli.DictField):  # type: ignore[type-arg]
    """Holds a JSON object, unconverted."""

    @overload
    def __init__(self: DictField[dict[str, Any] | None], many: Literal[False] = False) -> None: ...
    @overload
    def __init__(self: DictField[list[dict[str, Any]] | None], many: Literal[True]) -> None: ...
    def __init__(self, many: bool = False) -> None:
        super().__init__(many)


class DateTimeField(Field[T], _pyrestcli.DateTimeField):  # type: ignore[type-arg]
    """Holds a moment; text is parsed and keeps its time zone, empty text counts as none."""

    @overload
    def __init__(self: DateTimeField[datetime | None], many: Literal[False] = False) -> None: ...
    @overload
    def __init__(self: DateTimeField[list[datetime] | None], many: Literal[True]) -> None: ...
    def __init__(self, many: bool = False) -> None:
        super().__init__(many)

    def convert(self, instance: Any, value: Any) -> Any:
        """The moment, or the list of them; a mapping keyed by dates stays as it is."""
        value = super().convert(instance, value)
        if not self.many or value is None or isinstance(value, Mapping):
            return _parsed(value)
        return [_parsed(item) for item in ([value] if isinstance(value, (str, datetime)) else value)]


class ResourceField(Field[T], _pyrestcli.ResourceField):  # type: ignore[type-arg]
    """Holds another resource, of which only the id is sent.

    Accepts the resource itself, the JSON object that describes it, or its id. A null becomes a resource
    without an id, which is false as a condition and can still be asked for its attributes.

    Args:
        many: the attribute holds a list; lists of resources are never sent.
        expand: send ``{"id": ...}`` instead of the bare id.
    """

    value_class: str | type[Resource] = "carto_like.core.resource.Resource"
    """The class, or where to import it from once it is needed: resources refer to each other in circles."""

    def __init__(self, many: bool = False, expand: bool = False) -> None:
        super().__init__(many)
        self.expand = expand

    def convert(self, instance: Any, value: Any) -> Any:
        """A resource, or a list of resources."""
        if not self.many:
            return self._resource(instance, value)
        return [self._resource(instance, item) for item in value or ()]

    def to_wire(self, value: Any) -> Any:
        """The id; nothing for a list that has resources in it."""
        if value is None or isinstance(value, list):
            return OMIT if value else value
        identity = value.get_id()
        return {"id": identity} if self.expand and identity is not None else identity

    def remember(self, value: Any) -> Any:
        """None: what happens inside the other resource is its own change."""
        return None

    def _resource(self, instance: Any, value: Any) -> Resource:
        if isinstance(self.value_class, str):
            self.set_real_value_class()
        kind: Any = self.value_class
        if isinstance(value, kind):
            return value  # type: ignore[no-any-return]
        resource: Resource = kind(instance.client)
        if value is None or value == {}:
            resource.mark_absent()
        else:
            resource.load(value if isinstance(value, Mapping) else {resource.Meta.id_field: value})
        return resource


def adopted(field: Any) -> Field[Any]:
    """One of these fields for one of pyrestcli's own, which scripts declare on resources, too."""
    if isinstance(field, Field):
        return field
    ours: Field[Any] = (ResourceField if isinstance(field, _pyrestcli.ResourceField) else Field)(field.many)
    ours.name = field.name
    return ours


def _parsed(value: Any) -> Any:
    if isinstance(value, str):
        return parse(value) if value.strip() else None
    return value


def _moment(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value
