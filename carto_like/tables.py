"""The tables behind datasets."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from carto_like.core.errors import ConfigurationError
from carto_like.core.fields import CharField, DateTimeField, IntegerField
from carto_like.core.paths import error_type
from carto_like.exceptions import NotFoundException
from carto_like.fields import PermissionField, SynchronizationField, VisualizationField
from carto_like.resources import Manager, WarnResource

__all__ = ["API_ENDPOINT", "API_VERSION", "Table", "TableManager"]

API_VERSION = "v1"
API_ENDPOINT = "api/{api_version}/tables/"


class Table(WarnResource):
    """Size, geometry types and privacy of the table behind a dataset."""

    id = CharField()
    dependent_visualizations = VisualizationField(many=True)
    description = CharField()
    geometry_types = CharField(many=True)
    map_id = CharField()
    name = CharField()
    non_dependent_visualizations = VisualizationField(many=True)
    permission = PermissionField()
    privacy = CharField()
    row_count = IntegerField()
    rows_counted = IntegerField()
    schema = CharField()
    size = IntegerField()
    synchronization = SynchronizationField()
    table_size = IntegerField()
    table_visualization = VisualizationField()
    updated_at = DateTimeField()

    class Meta:
        collection_endpoint = API_ENDPOINT.format(api_version=API_VERSION)
        name_field = "name"
        read_only = ("id", "map_id", "row_count", "rows_counted", "size", "table_size")


class TableManager(Manager[Table]):
    """Reads tables by id or name. CARTO has no list of tables; datasets are listed by their own manager."""

    resource_class = Table
    json_collection_attribute = "tables"

    def iterate(self, **search_args: Any) -> Iterator[Table]:
        """Yield the tables, where a server lists them.

        Raises:
            CartoException: it does not, as CARTO's own does not.
        """
        try:
            yield from super().iterate(**search_args)
        except NotFoundException as error:
            text = "this server has no list of tables: DatasetManager lists the datasets that they belong to"
            raise error_type(self.client, ConfigurationError)(text) from error
