"""Maps, and the map side of datasets."""

from __future__ import annotations

from carto_like.core.fields import BooleanField, CharField, DateTimeField, DictField, IntegerField
from carto_like.fields import PermissionField, SynchronizationField, TableField
from carto_like.resources import WarnResource

__all__ = ["API_ENDPOINT", "API_VERSION", "Visualization"]

API_VERSION = "v1"
API_ENDPOINT = "api/{api_version}/viz/"


class Visualization(WarnResource):
    """A map as CARTO describes it."""

    id = CharField()
    active_child = CharField()
    active_layer_id = CharField()
    attributions = CharField()
    auth_tokens = CharField(many=True)
    children = CharField(many=True)
    created_at = DateTimeField()
    description = CharField()
    display_name = CharField()
    external_source = DictField()
    kind = CharField()
    license = CharField()
    liked = BooleanField()
    likes = IntegerField()
    locked = BooleanField()
    map_id = CharField()
    name = CharField()
    next_id = CharField()
    parent_id = CharField()
    permission = PermissionField()
    prev_id = CharField()
    privacy = CharField()
    related_tables = TableField(many=True)
    source = CharField()
    stats = DictField()
    synchronization = SynchronizationField()
    table = TableField()
    tags = CharField(many=True)
    title = CharField()
    transition_options = DictField()
    type = CharField()
    updated_at = DateTimeField()
    url = CharField()
    uses_builder_features = BooleanField()
    version = IntegerField()

    class Meta:
        collection_endpoint = API_ENDPOINT.format(api_version=API_VERSION)
        name_field = "name"
        # CARTO's API refuses an update whose body does not repeat the id.
        always_sent = ("id",)
        read_only = (
            "id",
            "active_child",
            "auth_tokens",
            "children",
            "created_at",
            "external_source",
            "liked",
            "likes",
            "map_id",
            "next_id",
            "parent_id",
            "permission",
            "prev_id",
            "stats",
            "synchronization",
            "table",
            "transition_options",
            "type",
            "url",
            "uses_builder_features",
        )
