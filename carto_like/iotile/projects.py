"""Projects, which hold devices and their streams."""

from __future__ import annotations

from typing import Any

from carto_like.core.fields import CharField, DateTimeField
from carto_like.iotile.base import IOTileManager, IOTileResource

__all__ = ["Project", "ProjectManager"]


class Project(IOTileResource):
    """A project; paths address it by its UUID, other resources name it by its slug."""

    id = CharField()
    name = CharField()
    slug = CharField()
    gid = CharField()
    org = CharField()
    about = CharField()
    project_template = CharField()
    created_on = DateTimeField()
    created_by = CharField()

    class Meta:
        collection_endpoint = "project/"
        id_field = "id"
        name_field = "name"
        read_only = ("id", "slug", "gid", "created_on", "created_by")


class ProjectManager(IOTileManager[Project]):
    """Finds and creates projects; filters are ``org__slug``, ``name``, ``slug``."""

    resource_class = Project

    def create(self, name: str, org: str, **values: Any) -> Project:
        """Create a project in the organization of this slug."""
        return self._create(name=name, org=org, **values)
