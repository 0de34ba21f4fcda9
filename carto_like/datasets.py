"""Datasets: tables with a geometry that CARTO lists, describes and protects."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import requests

from carto_like.core.fields import (
    BooleanField,
    CharField,
    DateTimeField,
    DictField,
    IntegerField,
)
from carto_like.exceptions import CartoConfigurationException, CartoException, wrapped
from carto_like.fields import (
    DailyCountsField,
    PermissionField,
    SynchronizationField,
    TableField,
    UserField,
    VisualizationField,
)
from carto_like.file_import import Archive, FileImportJob, FileImportJobManager, ImportFailed
from carto_like.resources import Manager, WarnResource
from carto_like.sync_tables import SyncTableJob

__all__ = [
    "API_ENDPOINT",
    "API_VERSION",
    "INTERVAL_BETWEEN_RETRIES_S",
    "MAX_NUMBER_OF_RETRIES",
    "Dataset",
    "DatasetInUse",
    "DatasetManager",
    "ImportFailed",
]

API_VERSION = "v1"
API_ENDPOINT = "api/{api_version}/viz/"

MAX_NUMBER_OF_RETRIES = 60
INTERVAL_BETWEEN_RETRIES_S = 10
# Small files take less, so the first looks come early; these constants are for the others.
_SHORTEST_INTERVAL = 0.05

# The parameter is a limit on how many maps are told of, not a switch.
_ALL_DEPENDENTS = 100_000
_DEPENDENTS = {"with_dependent_visualizations": _ALL_DEPENDENTS}


class DatasetInUse(CartoException):
    """Maps depend on the dataset, or it is not known whether any do; nothing was deleted.

    Attributes:
        count: how many maps depend on it; None when the server does not tell.
    """

    def __init__(self, message: Any = "", count: int | None = None) -> None:
        super().__init__(message)
        self.count = count


class Dataset(WarnResource):
    """A dataset; :meth:`save` sends what was changed.

    >>> dataset = DatasetManager(auth_client).get("trees")
    >>> dataset.privacy = "LINK"
    >>> dataset.save()
    """

    id = CharField()
    active_child = CharField()
    active_layer_id = CharField()
    attributions = CharField()
    auth_tokens = CharField(many=True)
    children = CharField()
    connector = CharField()
    created_at = DateTimeField()
    dependent_visualizations = VisualizationField(many=True)
    dependent_visualizations_count = IntegerField()
    description = CharField()
    display_name = CharField()
    external_source = CharField()
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
    source = CharField()
    stats = DailyCountsField(many=True)
    synchronization = SynchronizationField()
    table = TableField()
    tags = CharField(many=True)
    title = CharField()
    transition_options = DictField()
    type = CharField()
    updated_at = DateTimeField()
    url = CharField()
    user = UserField()
    uses_builder_features = BooleanField()

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
            "dependent_visualizations",
            "dependent_visualizations_count",
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
            "user",
            "uses_builder_features",
        )

    def refresh(self) -> requests.Response | None:
        """Read the dataset again, the maps that depend on it included; None when it has no id."""
        endpoint = self.get_resource_endpoint()
        return None if endpoint is None else self.send(endpoint, "get", params=_DEPENDENTS)

    def delete(self) -> None:
        """Delete the dataset and its table, unless maps depend on it.

        The server is asked for their number, because the one known here can be old.

        Raises:
            DatasetInUse: maps depend on it; :meth:`force_delete` deletes nevertheless.
            NotFoundError: it is gone already.
        """
        endpoint = self.get_resource_endpoint()
        if endpoint is None:
            return
        if not self.dependent_visualizations_count:
            self._read_dependents(endpoint)
        count = self.dependent_visualizations_count
        if count is None:
            raise DatasetInUse(f"{self!r}: the server does not tell whether maps depend on it", count)
        if count > 0:
            maps = "one map depends" if count == 1 else f"{count} maps depend"
            raise DatasetInUse(f"{self!r}: {maps} on it; force_delete() deletes it nevertheless", count)
        self.force_delete()

    def force_delete(self) -> None:
        """Delete the dataset and its table, whatever depends on it."""
        super().delete()

    def _read_dependents(self, endpoint: str) -> None:
        response = self.client.send(endpoint, "get", params=_DEPENDENTS)
        body = self.client.get_response_data(response)
        names = ("dependent_visualizations", "dependent_visualizations_count")
        self.load({name: body.get(name) for name in names} if isinstance(body, dict) else body)


class DatasetManager(Manager[Dataset]):
    """Finds and lists the account's own datasets.

    >>> manager = DatasetManager(auth_client)
    >>> trees = manager.get("trees")
    >>> for dataset in manager.iterate(order="name"): ...
    """

    resource_class = Dataset
    json_collection_attribute = "visualizations"

    def create(
        self,
        archive: Archive,
        interval: int | None = None,
        *,
        timeout: float | None = None,
        progress: Callable[[Any], object] | None = None,
        **import_args: Any,
    ) -> Dataset:
        """Import a file, an address or a query, and return the dataset when it is there.

        >>> manager.create("trees.csv", privacy="link")
        >>> manager.create(None, sql="SELECT * FROM trees WHERE height > 20", table_name="tall_trees")

        Args:
            archive: a path, an http or https address, an open file, or None.
            interval: seconds after which the server looks at the source again, and again, and replaces what
                has changed; the source is an address then, or a ``connection``.
            timeout: seconds to wait; by default ``MAX_NUMBER_OF_RETRIES * INTERVAL_BETWEEN_RETRIES_S`` of
                this module.
            progress: called with the job, a :class:`~carto_like.file_import.FileImportJob` or a
                :class:`~carto_like.sync_tables.SyncTableJob`, whenever its ``state`` is another one.
            **import_args: parameters of the import, as for
                :meth:`carto_like.file_import.FileImportJob.run`.

        Raises:
            ImportFailed: no dataset was made; ``code``, ``title`` and ``what_about`` tell why.
            CartoJobTimeout: it was not there in time.
            CartoConfigurationException: this cannot be imported, or not be synchronized.
        """
        if interval is not None:
            if not self.is_sync_table(archive, interval, **import_args):
                text = "only an http or https address or a connection can be synchronized: leave out interval"
                raise CartoConfigurationException(text)
            address = archive if isinstance(archive, str) else None
            job: SyncTableJob | FileImportJob = SyncTableJob(address, interval, self.client, **import_args)
        else:
            job = FileImportJobManager(self.client).create(archive, **import_args)
        # Read when called, because scripts change them.
        longest = max(INTERVAL_BETWEEN_RETRIES_S, _SHORTEST_INTERVAL)
        seconds = MAX_NUMBER_OF_RETRIES * longest if timeout is None else timeout
        return job.wait(seconds, progress, interval=_SHORTEST_INTERVAL, longest=longest)

    def send(self, url: str, http_method: str, **client_args: Any) -> requests.Response:
        """Ask for tables of the account's own, with all maps that depend on each.

        Raises:
            CartoException: there was no answer.
        """
        params = {"type": "table", "exclude_shared": "true", **_DEPENDENTS}
        given = client_args.pop("params", None) or {}
        with wrapped(self.client):
            return super().send(url, http_method, params={**params, **given}, **client_args)

    def is_sync_table(self, archive: Any, interval: int | None, **import_args: Any) -> bool:
        """Whether such an import would follow its source: it has an interval, and a URL or a connection."""
        followed = isinstance(archive, str) and archive.lower().startswith(("http://", "https://"))
        return interval is not None and (followed or "connection" in import_args)
