"""Synchronizations: datasets that follow an address, which the server reads again at intervals."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import requests

from carto_like._importing import DONE_STATES, WAITING_STATES, DatasetJob
from carto_like.core.fields import BooleanField, CharField, DateTimeField, IntegerField
from carto_like.exceptions import (
    CartoConfigurationException,
    CartoException,
    CartoResponseFormatException,
    wrapped,
)
from carto_like.file_import import ImportFailed
from carto_like.paginators import CartoPaginator
from carto_like.resources import Manager

if TYPE_CHECKING:
    from carto_like.datasets import Dataset

__all__ = ["API_ENDPOINT", "API_FORCE_SYNC_SUFFIX", "API_VERSION", "SyncTableJob", "SyncTableJobManager"]

API_VERSION = "v1"
API_ENDPOINT = "api/{api_version}/synchronizations/"
API_FORCE_SYNC_SUFFIX = "sync_now"


class SyncTableJob(DatasetJob):
    """One synchronization; it starts with the first of :meth:`run`, :meth:`get_id`, :meth:`refresh`.

    >>> job = SyncTableJob("https://example.com/trees.csv", 3600, auth_client)
    >>> dataset = job.wait(timeout=600)

    ``interval``, ``url`` and the guessing flags can be set and saved; :meth:`delete` ends it,
    while its dataset stays.

    Args:
        url: an http or https address; None when a ``connection`` names the source.
        interval: seconds between two looks at the source; the server's minimum is 900, as a rule.
        auth_client: the client to talk through.
        **kwargs: parameters of the import, as for :meth:`run`.

    Raises:
        CartoConfigurationException: this is no address.
    """

    id = CharField()
    checksum = CharField()
    content_guessing = BooleanField()
    created_at = DateTimeField()
    enqueued = BooleanField()
    error_code = IntegerField()
    error_message = CharField()
    etag = CharField()
    from_external_source = BooleanField()
    interval = IntegerField()
    log_id = CharField()
    modified_at = DateTimeField()
    name = CharField()
    quoted_fields_guessing = BooleanField()
    ran_at = DateTimeField()
    retried_times = IntegerField()
    run_at = DateTimeField()
    service_item_id = CharField()
    service_name = CharField()
    state = CharField()
    success = BooleanField()
    synchronization_id = CharField()
    type_guessing = BooleanField()
    updated_at = DateTimeField()
    url = CharField()
    user_id = CharField()
    visualization_id = CharField()

    class Meta:
        collection_endpoint = API_ENDPOINT.format(api_version=API_VERSION)
        id_field = "id"
        name_field = "id"
        read_only = (
            *("id", "checksum", "created_at", "enqueued", "error_code", "error_message", "etag"),
            *("from_external_source", "log_id", "modified_at", "name", "ran_at", "retried_times", "run_at"),
            *("service_item_id", "service_name", "state", "success", "synchronization_id", "updated_at"),
            *("user_id", "visualization_id"),
        )

    _failed_class = ImportFailed

    def __init__(self, url: str | None, interval: int | None, auth_client: Any, **kwargs: Any) -> None:
        super().__init__(auth_client)
        if url is not None and not _is_address(url):
            text = f"only an http or https address can be followed, not {type(url).__name__} {url!r:.40}"
            raise CartoConfigurationException(text)
        self._params = kwargs
        if url is not None:
            self.url = url
        if interval is not None:
            self.interval = interval

    def get_id(self) -> str | None:
        """The synchronization's id; asking for it starts one that has a source."""
        if self.id is None and (self.url is not None or "connection" in self._params):
            self.run()
        return self.id

    def run(self, **import_params: Any) -> None:
        """Start the synchronization; nothing happens when it has been started.

        Args:
            **import_params: ``privacy``, ``collision_strategy`` (``overwrite``), ``type_guessing``,
                ``quoted_fields_guessing`` and others of CARTO's API, for the first run; ``connection``, an
                object with a ``connector``, in place of an address.

        Raises:
            CartoConfigurationException: it has been started, and these parameters would come too late.
            CartoException: the server refused.
        """
        if not self._is_to_start(import_params):
            return
        params = {**self._params, **import_params}
        connection = params.pop("connection", None) or {}
        body = {"url": self.url, "interval": self.interval, **params, **connection}
        with wrapped(self.client):
            sent = {name: value for name, value in body.items() if value is not None}
            self.send(self.get_collection_endpoint(), "post", json=sent)
        if self.id is None:
            raise CartoResponseFormatException("The server's answer does not name the synchronization")

    def get_force_sync_endpoint(self) -> str:
        """Path of the request that forces this synchronization."""
        return self.get_action_endpoint(API_FORCE_SYNC_SUFFIX)

    def force_sync(self) -> None:
        """Ask the server to look at the source now; ``enqueued`` is whether it will.

        It will not while a run waits or is under way, nor soon after the last one (within 900 seconds, as a
        rule).

        Raises:
            CartoException: the server refused.
        """
        with wrapped(self.client):
            self.send(self.get_force_sync_endpoint(), "put")

    def get_dataset(self) -> Dataset:
        """The dataset that follows the source.

        Raises:
            CartoException: it cannot be read, or is not there yet.
        """
        from carto_like.datasets import DatasetManager

        identity = self.visualization_id or self.name
        if identity is None:
            raise CartoException(f"{self!r} has made no dataset yet")
        return DatasetManager(self.client).get(identity)

    def delete(self) -> requests.Response | None:
        """End the synchronization, while its dataset stays; None, and no request, when it was not started."""
        return None if self.id is None else super().delete()

    @property
    def get_error_text(self) -> dict[str, str]:
        """What went wrong in the last run, in the shape in which imports tell it."""
        return {"what_about": self.error_message} if self.error_message else {}

    def _failure(self) -> str | None:
        if self.state in WAITING_STATES | DONE_STATES:
            return None
        code = "" if self.error_code is None else f" (error {self.error_code})"
        return (self.error_message or f"the synchronization is in state {self.state!r}") + code


class SyncTableJobManager(Manager[SyncTableJob]):
    """Starts synchronizations, and finds those of the account.

    >>> manager = SyncTableJobManager(auth_client)
    >>> for job in manager.all(): print(job.name, job.state, job.run_at)
    """

    resource_class = SyncTableJob
    json_collection_attribute = "synchronizations"
    paginator_class = CartoPaginator

    def create(self, url: str | None, interval: int | None, **kwargs: Any) -> SyncTableJob:
        """Start a synchronization; the server makes its dataset as soon as it can.

        Args:
            url: an http or https address; None with a ``connection``.
            interval: seconds between two looks at the source.
            **kwargs: parameters, as for :meth:`SyncTableJob.run`.

        Raises:
            CartoException: the server refused.
        """
        job = SyncTableJob(url, interval, self.client, **kwargs)
        job.run()
        return job

    def new_resource(self) -> SyncTableJob:
        """An empty synchronization."""
        return SyncTableJob(None, None, self.client)


def _is_address(url: Any) -> bool:
    return isinstance(url, str) and url.lower().startswith(("http://", "https://"))
