"""Imports: jobs of the server that make datasets from files, addresses and queries."""

from __future__ import annotations

import json
import os
from typing import IO, TYPE_CHECKING, Any

import requests

from carto_like._importing import DONE_STATES, WAITING_STATES, DatasetJob
from carto_like.core.fields import BooleanField, CharField, DictField, IntegerField
from carto_like.exceptions import (
    CartoConfigurationException,
    CartoJobFailed,
    CartoResponseFormatException,
    wrapped,
)
from carto_like.paginators import CartoPaginator
from carto_like.resources import Manager

if TYPE_CHECKING:
    from carto_like.datasets import Dataset

__all__ = ["API_ENDPOINT", "API_VERSION", "FileImportJob", "FileImportJobManager", "ImportFailed"]

API_VERSION = "v1"
API_ENDPOINT = "api/{api_version}/imports/"

Archive = str | bytes | os.PathLike[str] | IO[bytes] | None
"""A path, an http or https address, an open file, or nothing when a parameter names the source."""


class ImportFailed(CartoJobFailed):
    """An import that made no dataset.

    Attributes:
        code: CARTO's number of what went wrong; None when the server gave none.
        title: what happened.
        what_about: what to do about it.
        source: who is to act: ``user``, ``cartodb`` (the server) or ``external`` (where the data comes from).
        job: the :class:`~carto_like.file_import.FileImportJob` as it was last read.
    """

    def __init__(self, message: Any = "", *, job: Any = None) -> None:
        super().__init__(message, job=job)
        told = (getattr(job, "get_error_text", None) or {}) if job is not None else {}
        self.code: int | None = getattr(job, "error_code", None)
        self.title: str | None = told.get("title")
        self.what_about: str | None = told.get("what_about")
        self.source: str | None = told.get("source")


class FileImportJob(DatasetJob):
    """One import; it starts with the first of :meth:`run`, :meth:`get_id`, :meth:`refresh`, :meth:`wait`.

    >>> job = FileImportJob("trees.csv", auth_client)
    >>> job.run(privacy="link")
    >>> dataset = job.wait(timeout=600)

    Args:
        archive: what to import: a path, an http or https address, or an open file. A file is read while it is
            sent.
        auth_client: the client to talk through.
        **kwargs: parameters of the import, as for :meth:`run`.

    Raises:
        OSError: there is no such file.
    """

    item_queue_id = CharField()
    id = CharField()
    content_guessing = BooleanField()
    create_visualization = BooleanField()
    data_type = CharField()
    derived_visualization_id = CharField()
    display_name = CharField()
    error_code = IntegerField()
    get_error_text = DictField()
    is_raster = BooleanField()
    original_url = CharField()
    queue_id = CharField()
    quoted_fields_guessing = BooleanField()
    state = CharField()
    success = BooleanField()
    synchronization_id = CharField()
    table_id = CharField()
    table_name = CharField()
    tables_created_count = IntegerField()
    type_guessing = BooleanField()
    user_defined_limits = CharField()
    user_id = CharField()
    visualization_id = CharField()
    warnings = DictField()

    class Meta:
        collection_endpoint = API_ENDPOINT.format(api_version=API_VERSION)
        id_field = "item_queue_id"
        name_field = "id"

    _failed_class = ImportFailed

    def __init__(self, archive: Archive, auth_client: Any, **kwargs: Any) -> None:
        super().__init__(auth_client)
        self._params = kwargs
        self._url, self._path, self._stream = _told_apart(archive)
        if self._path is not None:
            # Where the mistake is, not where the job is started.
            open(self._path, "rb").close()

    def get_id(self) -> str | None:
        """The job's id; asking for it starts a job that has something to import."""
        if not self._is_started and self._has_source:
            self.run()
        return self.item_queue_id

    def run(self, **import_params: Any) -> None:
        """Start the import; nothing happens when it has been started.

        Args:
            **import_params: ``privacy`` (``public``, ``link`` or ``private``), ``collision_strategy``
                (``skip`` or ``overwrite``), ``type_guessing``, ``quoted_fields_guessing``, ``create_vis``,
                ``sql`` or ``table_copy`` with ``table_name``, and others of CARTO's API.

        Raises:
            CartoConfigurationException: it has been started, and these parameters would come too late.
            CartoException: the server refused.
        """
        if not self._is_to_start(import_params):
            return
        params = {**self._params, **import_params}
        with wrapped(self.client):
            self._start(params)
        if self.item_queue_id is None:
            raise CartoResponseFormatException("The server's answer does not name the import")

    def get_dataset(self) -> Dataset:
        """The dataset that was made; the map of ``create_vis`` is another thing, ``visualization_id``.

        Raises:
            ImportFailed: none was made, as its table existed and ``collision_strategy`` was ``skip``.
            CartoException: it cannot be read.
        """
        from carto_like.datasets import DatasetManager
        from carto_like.tables import TableManager

        if self.table_id is not None:
            visualization = TableManager(self.client).get(self.table_id).table_visualization
            identity = visualization.get_id() if visualization is not None else None
            if identity is not None:
                return DatasetManager(self.client).get(identity)
        if self.table_name is not None:
            return DatasetManager(self.client).get(self.table_name)
        raise ImportFailed(_explained(self, "no table was made"), job=self)

    def load(self, body: Any) -> None:
        """Take over what the server says of the job, whose id it calls ``id`` here and there."""
        if isinstance(body, dict) and "item_queue_id" not in body and body.get("id") is not None:
            body = {**body, "item_queue_id": body["id"]}
        super().load(body)

    @property
    def _has_source(self) -> bool:
        given = (self._url, self._path, self._stream, self._params.get("sql"), self._params.get("table_copy"))
        return any(value is not None for value in given) or "connection" in self._params

    def _failure(self) -> str | None:
        if self.state in WAITING_STATES or (self.state in DONE_STATES and self.success is not False):
            return None
        return _explained(self, f"the import ended in state {self.state!r}")

    def _start(self, params: dict[str, Any]) -> requests.Response:
        endpoint = self.get_collection_endpoint()
        connection = params.pop("connection", None)
        file_name = params.pop("file_name", None)
        if connection is not None:
            return self.send(endpoint, "post", json={**connection, **params})
        query = {name: _as_parameter(value) for name, value in params.items() if value is not None}
        if self._url is not None:
            query["url"] = self._url
        if self._path is not None:
            name = file_name or os.path.basename(self._path)
            with open(self._path, "rb") as file:
                return self.send(endpoint, "post", params=query, files={"file": (name, file)})
        if self._stream is not None:
            part = (file_name, self._stream) if file_name else self._stream
            return self.send(endpoint, "post", params=query, files={"file": part})
        return self.send(endpoint, "post", params=query)


class FileImportJobManager(Manager[FileImportJob]):
    """Starts imports, and finds those that are under way."""

    resource_class = FileImportJob
    json_collection_attribute = "imports"
    paginator_class = CartoPaginator

    def create(self, archive: Archive, **kwargs: Any) -> FileImportJob:
        """A job for this archive; see :class:`FileImportJob` for when it starts.

        Args:
            archive: what to import.
            **kwargs: parameters, as for :meth:`FileImportJob.run`.
        """
        return FileImportJob(archive, self.client, **kwargs)

    def new_resource(self) -> FileImportJob:
        """An empty job."""
        return FileImportJob(None, self.client)


def _told_apart(archive: Archive) -> tuple[str | None, str | None, Any]:
    """``(address, path, open file)``, of which at most one is there."""
    if archive is None:
        return None, None, None
    if isinstance(archive, str) and archive.lower().startswith(("http://", "https://")):
        return archive, None, None
    if isinstance(archive, (str, bytes, os.PathLike)):
        return None, os.fsdecode(archive), None
    if not hasattr(archive, "read"):
        raise CartoConfigurationException(f"cannot import a {type(archive).__name__}: give a path or a file")
    return None, None, archive


def _as_parameter(value: Any) -> Any:
    """CARTO reads the words ``true`` and ``false``, and takes Python's for something else."""
    if isinstance(value, bool):
        return str(value).lower()
    return json.dumps(value) if isinstance(value, (dict, list)) else value


def _explained(job: FileImportJob, otherwise: str) -> str:
    told = job.get_error_text or {}
    parts = [part for part in (told.get("title"), told.get("what_about")) if part]
    code = "" if job.error_code is None else f" (error {job.error_code})"
    return (": ".join(parts) or otherwise) + code
