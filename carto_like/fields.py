"""The fields that CARTO's resources add to the general ones.

Classes are named by where to import them from, because the resources refer to each other in circles.
"""

from __future__ import annotations

import base64
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeVar, overload

from carto_like.core.fields import CharField, DateTimeField, ResourceField

if TYPE_CHECKING:
    from carto_like.permissions import Entity, Permission
    from carto_like.synchronizations import Synchronization
    from carto_like.tables import Table
    from carto_like.users import User
    from carto_like.visualizations import Visualization

__all__ = [
    "PRIVACY_PASSWORD",
    "PRIVACY_PUBLIC",
    "Base64EncodedField",
    "CharField",
    "DailyCountsField",
    "EntityField",
    "GrantsField",
    "PasswordAndPrivacyFields",
    "PermissionField",
    "ResourceField",
    "SynchronizationField",
    "TableField",
    "TableGrantField",
    "UserField",
    "VisualizationField",
]

PRIVACY_PUBLIC = "public"
PRIVACY_PASSWORD = "password"

T = TypeVar("T")


class VisualizationField(ResourceField[T]):
    """Holds a map, or the map side of a dataset."""

    value_class = "carto_like.visualizations.Visualization"

    @overload
    def __init__(self: VisualizationField[Visualization | None], many: Literal[False] = False) -> None: ...
    @overload
    def __init__(self: VisualizationField[list[Visualization] | None], many: Literal[True]) -> None: ...
    def __init__(self, many: bool = False) -> None:
        super().__init__(many)


class TableField(ResourceField[T]):
    """Holds a table."""

    value_class = "carto_like.tables.Table"

    @overload
    def __init__(self: TableField[Table | None], many: Literal[False] = False) -> None: ...
    @overload
    def __init__(self: TableField[list[Table] | None], many: Literal[True]) -> None: ...
    def __init__(self, many: bool = False) -> None:
        super().__init__(many)


class UserField(ResourceField[T]):
    """Holds a user."""

    value_class = "carto_like.users.User"

    @overload
    def __init__(self: UserField[User | None], many: Literal[False] = False) -> None: ...
    @overload
    def __init__(self: UserField[list[User] | None], many: Literal[True]) -> None: ...
    def __init__(self, many: bool = False) -> None:
        super().__init__(many)


class EntityField(ResourceField[T]):
    """Holds what a permission is about."""

    value_class = "carto_like.permissions.Entity"

    @overload
    def __init__(self: EntityField[Entity | None], many: Literal[False] = False) -> None: ...
    @overload
    def __init__(self: EntityField[list[Entity] | None], many: Literal[True]) -> None: ...
    def __init__(self, many: bool = False) -> None:
        super().__init__(many)


class PermissionField(ResourceField[T]):
    """Holds who may do what."""

    value_class = "carto_like.permissions.Permission"

    @overload
    def __init__(self: PermissionField[Permission | None], many: Literal[False] = False) -> None: ...
    @overload
    def __init__(self: PermissionField[list[Permission] | None], many: Literal[True]) -> None: ...
    def __init__(self, many: bool = False) -> None:
        super().__init__(many)


class SynchronizationField(ResourceField[T]):
    """Holds the schedule by which a dataset follows its source."""

    value_class = "carto_like.synchronizations.Synchronization"

    @overload
    def __init__(
        self: SynchronizationField[Synchronization | None], many: Literal[False] = False
    ) -> None: ...
    @overload
    def __init__(self: SynchronizationField[list[Synchronization] | None], many: Literal[True]) -> None: ...
    def __init__(self, many: bool = False) -> None:
        super().__init__(many)


class TableGrantField(ResourceField[Any]):
    """Holds what an API key may do with one table."""

    value_class = "carto_like.api_keys.TableGrant"


class GrantsField(ResourceField[Any]):
    """Holds what an API key may do; the API tells it as a list of blocks by type."""

    value_class = "carto_like.api_keys.Grants"
    type_field: ClassVar[dict[str, str]] = {"apis": "apis", "tables": "database", "services": "dataservices"}
    """Which type of block fills which attribute of the grants."""

    def convert(self, instance: Any, value: Any) -> Any:
        """The grants told by a list of blocks, or by anything that other fields of resources take."""
        if isinstance(value, list):
            blocks = {block.get("type"): block for block in value}
            value = {
                attribute: blocks[kind].get(attribute) or []
                for attribute, kind in self.type_field.items()
                if kind in blocks
            }
        return super().convert(instance, value)


class DailyCountsField(DateTimeField[dict[str, int] | list[datetime] | None]):
    """Holds counts by day as the API tells them, or a list of moments."""

    def __init__(self, many: bool = True) -> None:
        super(DateTimeField, self).__init__(many)


class Base64Text(str):
    """Text that is encoded already, so that assigning what was read changes nothing."""


class Base64EncodedField(CharField[str | None]):
    """Encodes text or bytes when set, and reads as their base64 text; anything else becomes empty."""

    def __init__(self, many: bool = False) -> None:
        super(CharField, self).__init__(many)

    def convert(self, instance: Any, value: Any) -> Any:
        """The base64 text of what was set."""
        if isinstance(value, Base64Text):
            return value
        content = value.encode() if isinstance(value, str) else value
        if not content or not isinstance(content, (bytes, bytearray)):
            return Base64Text("")
        return Base64Text(base64.b64encode(content).decode("ascii"))


class PasswordAndPrivacyFields(CharField[str | None]):
    """Holds a password; setting one makes the resource's privacy ``password``, removing it ``public``."""

    def __init__(self, many: bool = False) -> None:
        super(CharField, self).__init__(many)

    def convert(self, instance: Any, value: Any) -> Any:
        """The password, or None for anything but a text that is not empty."""
        password = value if isinstance(value, str) and value else None
        # The API never tells a password, so its null says nothing about the privacy.
        if not instance._changes.loading:
            instance.privacy = PRIVACY_PUBLIC if password is None else PRIVACY_PASSWORD
        return password
