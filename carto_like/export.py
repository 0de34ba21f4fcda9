"""Exports: tables and queries as files in any format, by streaming; and maps as ``.carto`` files."""

from __future__ import annotations

import io
import json
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import closing
from importlib import import_module
from pathlib import Path
from typing import Any

import requests

from carto_like import _copying as copying
from carto_like.core.clock import SYSTEM_CLOCK, Clock
from carto_like.core.fields import CharField, DateTimeField
from carto_like.core.files import replacing
from carto_like.core.jobs import wait
from carto_like.core.options import UNSET, Timeout, Unset
from carto_like.core.progress import Meter, ProgressOption
from carto_like.exceptions import (
    CartoConfigurationException,
    CartoJobFailed,
    CartoJobTimeout,
    PartialResultException,
    wrapped,
)
from carto_like.pure.pgtext import leading_keyword, quote_identifier
from carto_like.resources import WarnAsyncResource
from carto_like.utils import ResponseStream

__all__ = ["API_ENDPOINT", "API_VERSION", "EXTENSIONS", "ExportJob", "Exporter", "query_of"]

API_VERSION = "v3"
API_ENDPOINT = "api/{api_version}/visualization_exports/"

EXTENSIONS = {
    "csv": "csv",
    "geojson": "geojson",
    "topojson": "topojson",
    "svg": "svg",
    "kml": "kml",
    "shp": "zip",
    "gpkg": "gpkg",
    "spatialite": "sqlite",
    "parquet": "parquet",
    "arrow": "arrows",
    "arraybuffer": "arraybuffer",
}
"""What files of each format end in."""

_FORMATS = {extension: format for format, extension in EXTENSIONS.items()} | {
    "json": "geojson",
    "arrow": "arrow",
    "shp": "shp",
}
_SQL_URL = "api/{api_version}/sql"
_PLAIN_NAME = re.compile(r"[A-Za-z_][\w$]*(\.[A-Za-z_][\w$]*)?")
_QUERIES = frozenset({"select", "with", "values", "table"})
_READ_AHEAD = 2**20
# A feature or nothing precedes the end of a whole document, never a text.
_TOLD_AT_THE_END = re.compile(rb'\],"error":(\["(?:[^"\\]|\\.)*"\])\}$')
_TAIL = 32 * 1024

WAITING_STATES = frozenset({"pending", "enqueued", "exporting", "uploading"})
DONE_STATES = frozenset({"complete", "created"})


class ExportJob(WarnAsyncResource):
    """The export of a map as a ``.carto`` file, which the server makes in its own time.

    >>> job = ExportJob(auth_client, visualization.id)
    >>> job.run()
    >>> job.wait(timeout=600).url
    'https://...'

    Args:
        client: the client to talk through.
        visualization_id: id of the map.
    """

    id = CharField()
    created_at = DateTimeField()
    state = CharField()
    updated_at = DateTimeField()
    url = CharField()
    user_id = CharField()
    visualization_id = CharField()

    class Meta:
        collection_endpoint = API_ENDPOINT.format(api_version=API_VERSION)
        name_field = "id"

    def __init__(self, client: Any, visualization_id: Any) -> None:
        super().__init__(client)
        self.visualization_id = visualization_id

    def run(self, **export_params: Any) -> None:
        """Start the export.

        Args:
            **export_params: ``user_tables_ids`` names the tables to take along, by commas.

        Raises:
            CartoException: the server refused: there is no such map, or it is a dataset.
        """
        super().run(params={"visualization_id": self.visualization_id, **export_params})

    def wait(
        self,
        timeout: float | None = None,
        *,
        interval: float = 1.0,
        longest: float = 30.0,
        clock: Clock = SYSTEM_CLOCK,
    ) -> ExportJob:
        """The job, when its file is there.

        Args:
            timeout: seconds to wait; None for as long as it takes.
            interval: seconds before the second look; the time between looks grows.
            longest: seconds that it grows to.
            clock: where time comes from.

        Raises:
            CartoJobFailed: it ended without a file; the text names the state.
            CartoJobTimeout: it has not ended in time, and goes on.
        """

        def read() -> ExportJob:
            self.refresh()
            return self

        return wait(
            read,
            is_done=lambda job: job.state in DONE_STATES,
            failure=_failure_of,
            interval=interval,
            longest=longest,
            timeout=timeout,
            clock=clock,
            failed=CartoJobFailed,
            timed_out=CartoJobTimeout,
        )


def _failure_of(job: ExportJob) -> str | None:
    if job.state in WAITING_STATES or job.state in DONE_STATES:
        return None
    return f"the export ended in state {job.state!r}"


class Exporter:
    """Downloads a table, or the result of a query, in any format of the SQL API.

    What is asked for is a table's name or a ``SELECT``. Nothing is held in memory: files of any size pass
    through, and a file that was to be written changes only when all of it has arrived.

    Args:
        auth_client: any of the clients of :mod:`carto_like.auth`.
        api_version: part of the address.

    Example:
        >>> exporter = Exporter(auth_client)
        >>> exporter.to_path("airports", "airports.parquet")
        PosixPath('airports.parquet')
        >>> exporter.to_pandas("SELECT country, count(*) FROM airports GROUP BY 1")
    """

    def __init__(self, auth_client: Any, api_version: str = "v2") -> None:
        self.client = auth_client
        self.api_url = _SQL_URL.format(api_version=api_version)

    def open(
        self,
        source: str,
        format: str,
        *,
        timeout: Timeout | Unset = UNSET,
        **parameters: Any,
    ) -> ResponseStream:
        """The file to read from, while the server sends it.

        Args:
            source: name of a table, or a ``SELECT``.
            format: one of :data:`EXTENSIONS`.
            timeout: seconds, or ``(connect, read)``.
            **parameters: of the SQL API: ``skipfields``, ``dp``, ``rows_per_page``, ``page``, ``filename``.

        Raises:
            CartoException: the query failed, or the server could not be reached. What happens after the
                first bytes is raised while reading.
        """
        response = self._ask(source, format, timeout, parameters)
        return ResponseStream(response, self._blocks(response, format))

    def to_path(
        self,
        source: str,
        path: str | os.PathLike[str],
        format: str | None = None,
        *,
        progress: ProgressOption = False,
        timeout: Timeout | Unset = UNSET,
        **parameters: Any,
    ) -> Path:
        """Write the file and return where it is; whatever fails, what was there before stays.

        Args:
            source: name of a table, or a ``SELECT``.
            path: where to write.
            format: one of :data:`EXTENSIONS`; None for what the path's ending says.
            progress: True for a bar, or a callable given the bytes so far and their total, or None.
            timeout: seconds, or ``(connect, read)``.
            **parameters: as for :meth:`open`.

        Raises:
            CartoConfigurationException: no format is known by that name or ending.
            CartoException: as for :meth:`open`.
            OSError: the file cannot be written.
        """
        target = Path(path)
        format = format or _format_of(target)
        parameters.setdefault("filename", target.stem or "export")
        response = self._ask(source, format, timeout, parameters)
        with closing(response), replacing(target) as file:
            self._write(response, format, file, progress)
        return target

    def to_file(
        self,
        source: str,
        file: Any,
        format: str,
        *,
        progress: ProgressOption = False,
        timeout: Timeout | Unset = UNSET,
        **parameters: Any,
    ) -> None:
        """Write to a file that is open for writing bytes; see :meth:`to_path`."""
        if not hasattr(file, "write"):
            raise CartoConfigurationException(f"a file is needed, not {type(file).__name__}")
        response = self._ask(source, format, timeout, parameters)
        with closing(response):
            self._write(response, format, file, progress)

    def batches(self, source: str, **parameters: Any) -> Iterator[Any]:
        """The rows as record batches of Arrow, while the server sends them.

        Raises:
            CartoConfigurationException: pyarrow is not installed.
            CartoException: as for :meth:`open`.
        """
        arrow = _library("pyarrow", "frames")
        stream = io.BufferedReader(self.open(source, "arrow", **parameters), _READ_AHEAD)
        with stream, arrow.ipc.open_stream(stream) as reader:
            yield from reader

    def to_arrow(self, source: str, **parameters: Any) -> Any:
        """The rows as a table of Arrow; see :meth:`batches`."""
        arrow = _library("pyarrow", "frames")
        stream = io.BufferedReader(self.open(source, "arrow", **parameters), _READ_AHEAD)
        with stream, arrow.ipc.open_stream(stream) as reader:
            return reader.read_all()

    def to_pandas(self, source: str, **parameters: Any) -> Any:
        """The rows as a data frame, geometries as WKB; see :meth:`batches`."""
        _library("pandas", "frames")
        return self.to_arrow(source, **parameters).to_pandas()

    def to_geopandas(self, source: str, **parameters: Any) -> Any:
        """The rows as a ``GeoDataFrame`` whose geometry is ``the_geom``, or else the first one.

        Raises:
            CartoConfigurationException: geopandas is not installed, or there is no geometry.
            CartoException: as for :meth:`open`.
        """
        geopandas = _library("geopandas", "geo")
        table = self.to_arrow(source, **parameters)
        shapes = [field.name for field in table.schema if _is_geometry(field)]
        if not shapes:
            raise CartoConfigurationException("there is no geometry in the result: use to_pandas()")
        return geopandas.GeoDataFrame.from_arrow(
            table, geometry="the_geom" if "the_geom" in shapes else shapes[0]
        )

    def _ask(
        self, source: str, format: str, timeout: Timeout | Unset, parameters: dict[str, Any]
    ) -> requests.Response:
        if format not in EXTENSIONS:
            known = ", ".join(EXTENSIONS)
            raise CartoConfigurationException(f"there is no format {format!r}: it must be one of {known}")
        options = copying.patience(self.client) if isinstance(timeout, Unset) else {"timeout": timeout}
        form = {"q": query_of(source), "format": format, **parameters}
        with wrapped(self.client):
            response: requests.Response = self.client.send(
                self.api_url, "post", data=form, **options, **copying.download(self.client)
            )
            copying.raise_for_error(self.client, response)
        return response

    def _blocks(self, response: requests.Response, format: str) -> Iterator[bytes]:
        blocks = copying.blocks(self.client, response)
        return _judged(blocks) if format == "geojson" else blocks

    def _write(self, response: requests.Response, format: str, file: Any, progress: ProgressOption) -> None:
        meter = Meter(progress, copying.known_length(response), "download")
        with closing(meter):
            for block in meter.watch(self._blocks(response, format)):
                file.write(block)


def query_of(source: str) -> str:
    """The query for what was asked for: a query as it is, all rows for a table's name."""
    text = copying.statement(source).strip()
    if _PLAIN_NAME.fullmatch(text):
        return f"SELECT * FROM {text}"
    return text if leading_keyword(text) in _QUERIES else f"SELECT * FROM {quote_identifier(text)}"


def _judged(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """The same blocks; an error that ends the document is raised once the last one has passed."""
    tail = b""
    for block in blocks:
        tail = (tail + block)[-_TAIL:]
        yield block
    told = _TOLD_AT_THE_END.search(tail)
    if told is not None:
        raise PartialResultException(json.loads(told[1]))


def _format_of(path: Path) -> str:
    ending = path.suffix.lstrip(".").lower()
    if ending not in _FORMATS:
        raise CartoConfigurationException(f"which format is {path.name}? Give format=, or another ending")
    return _FORMATS[ending]


def _is_geometry(field: Any) -> bool:
    # Where a library that knows the type is installed, it is the field's own.
    known = getattr(field.type, "extension_name", None)
    told = (field.metadata or {}).get(b"ARROW:extension:name", b"")
    return str(known or told.decode()).startswith("geoarrow.")


def _library(name: str, extra: str) -> Any:
    try:
        return import_module(name)
    except ImportError:
        text = f"{name} is needed for this: pip install 'carto-like[{extra}]'"
    raise CartoConfigurationException(text)
