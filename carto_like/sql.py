"""SQL: questions and statements, batch jobs, and COPY for moving many rows."""

from __future__ import annotations

import io
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Literal

import requests

from carto_like import _copying as copying
from carto_like._batch import BatchRequests
from carto_like._copyout import CopyResponse, as_text
from carto_like.core.files import appending, replacing
from carto_like.core.options import UNSET, Timeout, Unset
from carto_like.core.progress import Meter, ProgressOption
from carto_like.core.retry import Retry
from carto_like.core.streaming import Body, Source
from carto_like.exceptions import CartoConfigurationException, PartialResultException, wrapped
from carto_like.pure.copytext import CopyValueError, copy_statement, encode_rows
from carto_like.rows import Rows
from carto_like.utils import ResponseStream

__all__ = [
    "BATCH_JOBS_DONE_STATUSES",
    "BATCH_JOBS_FAILED_STATUSES",
    "BATCH_JOBS_FINISHED_STATUSES",
    "BATCH_JOBS_PENDING_STATUSES",
    "BATCH_READ_STATUS_AFTER_SECONDS",
    "DEFAULT_CHUNK_SIZE",
    "DEFAULT_COMPRESSION_LEVEL",
    "MAX_GET_QUERY_LEN",
    "SQL_API_URL",
    "SQL_BATCH_API_URL",
    "BatchSQLClient",
    "CopySQLClient",
    "SQLClient",
]

SQL_API_URL = "api/{api_version}/sql"
SQL_BATCH_API_URL = "api/{api_version}/sql/job/"
MAX_GET_QUERY_LEN = 1024
DEFAULT_CHUNK_SIZE = 8 * 1024
"""The least that is read at once; transfers use larger blocks by themselves."""
# Level 1 takes a third of the time of zlib's own default for nearly the same size on tables of numbers.
DEFAULT_COMPRESSION_LEVEL = 1

# Scripts read these lists, so they are as they always were; servers say "cancelled", with two l.
BATCH_JOBS_PENDING_STATUSES = ["pending", "running"]
BATCH_JOBS_DONE_STATUSES = ["done"]
BATCH_JOBS_FAILED_STATUSES = ["failed", "canceled", "unknown"]
BATCH_JOBS_FINISHED_STATUSES = BATCH_JOBS_DONE_STATUSES + BATCH_JOBS_FAILED_STATUSES
BATCH_READ_STATUS_AFTER_SECONDS = 2
"""Seconds between two looks at a job that takes long."""

_MAY_WRITE = re.compile(
    r"(?i)\b(?:alter|call|create|delete|do|drop|grant|insert|merge|refresh|reindex|revoke|truncate|update)\b"
)
_PARSED_FORMATS = ("json", "geojson")

RetryOption = Retry | int | bool | Unset | None
TimeoutOption = Timeout | Unset
Compress = bool | Literal["always"]


def _options(timeout: TimeoutOption, retry: RetryOption, sql: str | None = None) -> dict[str, Any]:
    """What to tell ``send`` beyond its defaults; a statement that may write is not repeated by itself."""
    options: dict[str, Any] = {}
    if not isinstance(timeout, Unset):
        options["timeout"] = timeout
    if not isinstance(retry, Unset):
        options["retry"] = retry
    elif sql is not None and _MAY_WRITE.search(sql):
        options["retry"] = False
    return options


class SQLClient:
    """Runs SQL in an account's database.

    Args:
        auth_client: any of the clients of :mod:`carto_like.auth`.
        api_version: part of the address.

    Example:
        >>> sql = SQLClient(auth_client)
        >>> sql.send("select name from airports limit 1")["rows"]
        [{'name': 'Zurich'}]
        >>> for row in sql.iterate("select * from airports"):
        ...     print(row["name"])
    """

    def __init__(self, auth_client: Any, api_version: str = "v2") -> None:
        self.auth_client = auth_client
        self.api_url = SQL_API_URL.format(api_version=api_version)
        self.api_key = getattr(auth_client, "api_key", None)
        self.username = getattr(auth_client, "username", None)
        self.base_url = auth_client.base_url

    def send(
        self,
        sql: str,
        parse_json: Any = True,
        do_post: bool = True,
        format: str | None = None,
        *,
        timeout: TimeoutOption = UNSET,
        retry: RetryOption = UNSET,
        **request_args: Any,
    ) -> Any:
        """The result of a statement: a dict with ``rows``, ``total_rows``, ``fields`` and ``time``, or bytes.

        Args:
            sql: one or more statements.
            parse_json: False returns the bytes of the answer.
            do_post: False asks by GET, if the statement is short enough for an address.
            format: ``json``, ``geojson``, or one whose bytes are returned, such as ``csv``.
            timeout: seconds, or ``(connect, read)``.
            retry: overrides the client's; a POST is repeated only if the server has not seen it.
            request_args: further parameters of the API, such as ``skipfields``, ``page``, ``rows_per_page``.

        Raises:
            CartoException: the statement failed, or the server could not be reached.
            CartoRateLimitException: too many requests.
            PartialResultException: the statement failed after the first rows had been sent.
        """
        sql = copying.statement(sql)
        if format is not None and format not in _PARSED_FORMATS:
            parse_json = False
        with wrapped(self.auth_client):
            response = self._ask(sql, do_post, format, _options(timeout, retry, sql), request_args)
            data = self.auth_client.get_response_data(response, bool(parse_json))
        if isinstance(data, dict) and data.get("error"):
            raise PartialResultException(data["error"])
        return data

    def iterate(
        self,
        sql: str,
        do_post: bool = True,
        *,
        timeout: TimeoutOption = UNSET,
        retry: RetryOption = UNSET,
        **request_args: Any,
    ) -> Rows:
        """The rows of a query, one dict at a time, while the server sends them.

        Memory stays small however many rows there are. Close it, or use it in a ``with`` block, when it may
        not be read to its end.

        Raises:
            CartoException: as for :meth:`send`; errors in the middle are raised while iterating.
        """
        if request_args.pop("format", None) not in (None, "json"):
            raise CartoConfigurationException("rows come as JSON; ask for other formats with send()")
        sql = copying.statement(sql)
        with wrapped(self.auth_client):
            options = {**_options(timeout, retry, sql), **copying.download(self.auth_client)}
            response = self._ask(sql, do_post, None, options, request_args)
            copying.raise_for_error(self.auth_client, response)
        return Rows(copying.blocks(self.auth_client, response), response)

    def _ask(
        self,
        sql: str,
        do_post: bool,
        format: str | None,
        options: Mapping[str, Any],
        request_args: Mapping[str, Any],
    ) -> requests.Response:
        parameters = {"q": sql, **({"format": format} if format is not None else {}), **request_args}
        # Only False itself means GET: scripts pass other things in its place.
        by_get = do_post is False and len(sql) < MAX_GET_QUERY_LEN
        place, method = ("params", "get") if by_get else ("data", "post")
        response: requests.Response = self.auth_client.send(
            self.api_url, method, **{place: parameters}, **options
        )
        return response


class BatchSQLClient(BatchRequests):
    """Runs SQL that takes long, as jobs on the server; needs the master key.

    Results are not kept: use ``CREATE TABLE ... AS`` for what shall stay.

    Args:
        client: an auth client with the account's master key.
        api_version: part of the address.

    Example:
        >>> batch = BatchSQLClient(auth_client)
        >>> job = batch.create(["CREATE TABLE busy AS SELECT * FROM stops WHERE n > 9", "DROP TABLE stops"])
        >>> batch.wait(job["job_id"], timeout=600)["status"]
        'done'
    """

    def __init__(self, client: Any, api_version: str = "v2") -> None:
        self.client = client
        self.api_url = SQL_BATCH_API_URL.format(api_version=api_version)
        self.api_key = getattr(client, "api_key", None)

    def _interval(self) -> float:
        # Looked up when it is needed: scripts set the module's constant.
        return BATCH_READ_STATUS_AFTER_SECONDS


class CopySQLClient:
    """Moves many rows into a table or out of a query, by streaming COPY.

    Args:
        client: any of the clients of :mod:`carto_like.auth`.
        api_version: part of the address.

    Example:
        >>> copy = CopySQLClient(auth_client)
        >>> copy.copyfrom_rows("cities", [("Bern", 134_794), ("Chur", 38_250)], ["name", "people"])
        {'time': 0.004, 'total_rows': 2}
        >>> copy.copyto_file_path("COPY cities TO STDOUT WITH (FORMAT csv, HEADER)", "cities.csv")
    """

    def __init__(self, client: Any, api_version: str = "v2") -> None:
        self.client = client
        self.api_url = SQL_API_URL.format(api_version=api_version)
        self.api_key = getattr(client, "api_key", None)

    def copyfrom(
        self,
        query: str,
        iterable_data: Source,
        compress: Compress = True,
        compression_level: int = DEFAULT_COMPRESSION_LEVEL,
        *,
        timeout: TimeoutOption = UNSET,
        retry: RetryOption = UNSET,
        progress: ProgressOption = False,
    ) -> dict[str, Any]:
        """Stream data into a table; all of it arrives, or nothing.

        Args:
            query: ``COPY table (columns) FROM STDIN ...``.
            iterable_data: bytes, text, a file, a path, an answer of :meth:`copyto`, or an iterable of pieces
                of bytes or text, cut anywhere.
            compress: True compresses unless the server is on this machine, where it only costs time;
                ``"always"`` compresses there too.
            compression_level: 1 (fast) to 9 (small).
            timeout: seconds, or ``(connect, read)``; read is also what sending one block may take.
            retry: overrides the client's. Only data that can be read again is sent again, and only when the
                server has not touched it.
            progress: True for a bar, or a callable given the bytes read so far and their total, or None.

        Returns:
            A dict with ``total_rows`` and ``time`` in seconds.

        Raises:
            CartoException: the server refused, or could not be reached. Nothing was stored, unless the
                connection was lost while it answered.
            CartoRateLimitException: too many requests.
            TypeError: this is nothing that can be sent.

        What reading the data raises is passed on as it is, and nothing is stored.
        """
        body = Body.of(iterable_data, block=copying.block_size(DEFAULT_CHUNK_SIZE))
        return self._upload(query, body, compress, compression_level, _options(timeout, retry), progress)

    def copyfrom_file_object(
        self,
        query: str,
        file_object: Any,
        compress: Compress = True,
        compression_level: int = DEFAULT_COMPRESSION_LEVEL,
        *,
        timeout: TimeoutOption = UNSET,
        retry: RetryOption = UNSET,
        progress: ProgressOption = False,
    ) -> dict[str, Any]:
        """Stream a file that is open for reading, from where it stands; see :meth:`copyfrom`."""
        if not hasattr(file_object, "read"):
            raise CartoConfigurationException(f"a file is needed, not {type(file_object).__name__}")
        return self.copyfrom(
            query, file_object, compress, compression_level, timeout=timeout, retry=retry, progress=progress
        )

    def copyfrom_file_path(
        self,
        query: str,
        path: str | os.PathLike[str],
        compress: Compress = True,
        compression_level: int = DEFAULT_COMPRESSION_LEVEL,
        *,
        timeout: TimeoutOption = UNSET,
        retry: RetryOption = UNSET,
        progress: ProgressOption = False,
    ) -> dict[str, Any]:
        """Stream a file; see :meth:`copyfrom`. Raises ``OSError`` when it cannot be read."""
        return self.copyfrom(
            query, Path(path), compress, compression_level, timeout=timeout, retry=retry, progress=progress
        )

    def copyfrom_rows(
        self,
        table: str,
        rows: Iterable[Sequence[Any] | Mapping[str, Any]],
        columns: Sequence[str] | None = None,
        compress: Compress = True,
        compression_level: int = DEFAULT_COMPRESSION_LEVEL,
        *,
        timeout: TimeoutOption = UNSET,
        retry: RetryOption = UNSET,
        progress: ProgressOption = False,
    ) -> dict[str, Any]:
        """Stream Python rows into a table; see :meth:`copyfrom`.

        None becomes NULL, bytes become ``bytea``, dicts and lists JSON, objects with ``__geo_interface__``
        geometries; numbers, text, booleans, dates, times, ``Decimal`` and ``UUID`` go as they are.

        Args:
            table: its name, with its schema if needed.
            rows: sequences in the order of the columns, or mappings; any iterable.
            columns: names of the columns. By default those of the first row if that is a mapping, else all
                of the table's, in its order.
            compress: as for :meth:`copyfrom`.
            compression_level: as for :meth:`copyfrom`.
            timeout: as for :meth:`copyfrom`.
            retry: as for :meth:`copyfrom`.
            progress: as for :meth:`copyfrom`.

        Raises:
            CartoConfigurationException: a row, a value or a name cannot be written; says which. Nothing is
                stored.
            CartoException: as for :meth:`copyfrom`.
        """
        source = copying.RowSource(rows, columns)
        names = source.columns
        body = Body(
            lambda: encode_rows(source.open(), names, strict=columns is None), replayable=source.replayable
        )
        options = _options(timeout, retry)
        try:
            query = copy_statement(table, names)
            return self._upload(query, body, compress, compression_level, options, progress)
        except CopyValueError as error:
            raise CartoConfigurationException(str(error)) from error

    def copyto(
        self, query: str, *, timeout: TimeoutOption = UNSET, retry: RetryOption = UNSET
    ) -> requests.Response:
        """The answer to ``COPY ... TO STDOUT``, unread: iterate over it, or use ``iter_content``.

        Raises:
            CartoException: the statement failed, or the server could not be reached.
            CartoRateLimitException: too many requests.
            PartialResultException: while reading: the statement failed after the first data had been sent.
        """
        query = copying.statement(query)
        place, method = ("params", "get") if len(query) < MAX_GET_QUERY_LEN else ("data", "post")
        with wrapped(self.client):
            options = {**copying.patience(self.client), **_options(timeout, retry, query)}
            response: requests.Response = self.client.send(
                self.api_url + "/copyto",
                method,
                **{place: {"q": query}},
                **options,
                **copying.download(self.client),
            )
            copying.raise_for_error(self.client, response)
        return CopyResponse.of(response)

    def copyto_file_object(
        self,
        query: str,
        file_object: Any,
        *,
        timeout: TimeoutOption = UNSET,
        retry: RetryOption = UNSET,
        progress: ProgressOption = False,
    ) -> None:
        """Write the rows to a file that is open for writing, as bytes or as text.

        Raises:
            CartoException: as for :meth:`copyto`, also when the data end too early.
        """
        if not hasattr(file_object, "write"):
            raise CartoConfigurationException(f"a file is needed, not {type(file_object).__name__}")
        self._write(self.copyto(query, timeout=timeout, retry=retry), file_object, progress)

    def copyto_file_path(
        self,
        query: str,
        path: str | os.PathLike[str],
        append: bool = False,
        *,
        timeout: TimeoutOption = UNSET,
        retry: RetryOption = UNSET,
        progress: ProgressOption = False,
    ) -> None:
        """Write the rows to a file, which changes only when all of them have arrived.

        Args:
            query: ``COPY ... TO STDOUT ...``.
            path: where to write.
            append: keep what the file holds, and add to it.
            timeout: as for :meth:`copyfrom`.
            retry: as for :meth:`copyfrom`.
            progress: as for :meth:`copyfrom`.

        Raises:
            CartoException: as for :meth:`copyto_file_object`.
        """
        response = self.copyto(query, timeout=timeout, retry=retry)
        with closing(response), appending(path) if append else replacing(path) as file:
            self._write(response, file, progress)

    def copyto_stream(
        self, query: str, *, timeout: TimeoutOption = UNSET, retry: RetryOption = UNSET
    ) -> ResponseStream:
        """The rows as a file to read from; errors in the middle of the data are raised while reading."""
        response = self.copyto(query, timeout=timeout, retry=retry)
        return ResponseStream(response, copying.blocks(self.client, response))

    def _upload(
        self,
        query: str,
        body: Body,
        compress: Compress,
        level: int,
        options: Mapping[str, Any],
        progress: ProgressOption,
    ) -> dict[str, Any]:
        headers = {"Content-Type": "application/octet-stream"}
        query = copying.statement(query)
        body = body.watched(progress, "upload")
        if copying.worth_compressing(compress, self.client.base_url):
            headers["Content-Encoding"] = "gzip"
            body = body.compressed(copying.checked_level(level))
        url = self.api_url + "/copyfrom"
        with wrapped(self.client), closing(body):
            response = self.client.send(
                url,
                "post",
                params={"q": query},
                data=body,
                headers=headers,
                **{**copying.patience(self.client), **options},
            )
            result: dict[str, Any] = self.client.get_response_data(response)
        return result

    def _write(self, response: requests.Response, file: Any, progress: ProgressOption) -> None:
        meter = Meter(progress, copying.known_length(response), "download")
        blocks = meter.watch(copying.blocks(self.client, response))
        with closing(response), closing(meter):
            if isinstance(file, io.TextIOBase):
                for text in as_text(blocks):
                    file.write(text)
            else:
                for block in blocks:
                    file.write(block)
