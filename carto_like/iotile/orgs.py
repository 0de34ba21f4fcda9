"""Organizations, which own everything else."""

from __future__ import annotations

from typing import Any

from carto_like.core.fields import CharField, DateTimeField, DictField
from carto_like.iotile.base import IOTileManager, IOTileResource

__all__ = ["Org", "OrgManager"]


class Org(IOTileResource):
    """An organization; its slug follows its name."""

    id = CharField()
    name = CharField()
    slug = CharField()
    ot = CharField()
    about = CharField()
    created_on = DateTimeField()
    created_by = CharField()
    avatar = DictField()
    domain_names = CharField(many=True)

    class Meta:
        collection_endpoint = "org/"
        name_field = "name"
        read_only = ("id", "slug", "created_on", "created_by", "avatar")


class OrgManager(IOTileManager[Org]):
    """Finds and creates organizations."""

    resource_class = Org

    def create(self, name: str, *, about: str | None = None, **values: Any) -> Org:
        """Create an organization, of which the account becomes the administrator.

        Raises:
            BadRequestError: the name is taken.
        """
        return self._create(name=name, about=about, **values)
