"""Maps, and the map side of datasets."""

from __future__ import annotations

from carto_like.core.clock import SYSTEM_CLOCK, Clock
from carto_like.core.fields import BooleanField, CharField, DateTimeField, DictField, IntegerField
from carto_like.exceptions import CartoException
from carto_like.export import ExportJob
from carto_like.fields import PermissionField, SynchronizationField, TableField
from carto_like.resources import WarnResource

__all__ = [
    "API_ENDPOINT",
    "API_VERSION",
    "INTERVAL_BETWEEN_RETRIES_S",
    "MAX_NUMBER_OF_RETRIES",
    "Visualization",
]

API_VERSION = "v1"
API_ENDPOINT = "api/{api_version}/viz/"

MAX_NUMBER_OF_RETRIES = 30
INTERVAL_BETWEEN_RETRIES_S = 5


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

    def export(
        self,
        *,
        timeout: float | None = None,
        interval: float | None = None,
        clock: Clock = SYSTEM_CLOCK,
    ) -> str:
        """The address of the map as a ``.carto`` file, once the server has made it.

        Args:
            timeout: seconds to wait; by default what this module's constants make, 150.
            interval: seconds between looks; by default this module's constant.
            clock: where time comes from.

        Raises:
            CartoJobFailed: the server could not make it; the text names the state.
            CartoJobTimeout: it was not there in time.
            CartoException: the server refused, as it does for datasets.
        """
        # Looked up when they are needed: scripts set the module's constants.
        between = INTERVAL_BETWEEN_RETRIES_S if interval is None else interval
        longest = MAX_NUMBER_OF_RETRIES * between if timeout is None else timeout
        job = ExportJob(self.client, self.get_id())
        job.run()
        job.wait(longest, interval=between, longest=between, clock=clock)
        if job.url is None:
            raise CartoException("The server's answer does not name the file")
        return job.url
