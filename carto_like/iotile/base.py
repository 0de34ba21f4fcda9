"""What all resources and collections of IOTile Cloud have in common."""

from __future__ import annotations

from typing import TypeVar

from carto_like.core.manager import Manager
from carto_like.core.paging import NextUrlPaginator
from carto_like.core.resource import Resource

__all__ = ["IOTileManager", "IOTileResource"]


class IOTileResource(Resource):
    """A resource that its slug identifies, and of which an update sends the changes."""

    class Meta:
        trailing_slash = True
        update_method = "patch"
        id_field = "slug"
        name_field = "slug"


R = TypeVar("R", bound=IOTileResource)


class IOTileManager(Manager[R]):
    """A collection that comes in pages, each naming the next."""

    json_collection_attribute = "results"
    paginator_class = NextUrlPaginator
