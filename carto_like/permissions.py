"""Who may see or change a dataset or a map."""

from __future__ import annotations

from carto_like.core.fields import CharField, DateTimeField, DictField
from carto_like.fields import EntityField, UserField
from carto_like.resources import Resource

__all__ = ["LINK", "PRIVATE", "PUBLIC", "Entity", "Permission"]

PUBLIC = "PUBLIC"
PRIVATE = "PRIVATE"
LINK = "LINK"


class Entity(Resource):
    """What a permission is about: its id and its kind."""

    id = CharField()
    type = CharField()


class Permission(Resource):
    """The owner of something, and whom it is shared with."""

    id = CharField()
    acl = DictField(many=True)
    created_at = DateTimeField()
    entity = EntityField()
    owner = UserField()
    updated_at = DateTimeField()
