"""Tables and queries of other PostgreSQL databases, whose rows go by COPY from there to here.

What the other side says is a stranger's word: names and types become ours before they get into SQL, and its
messages are shown without the password.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable
from contextlib import aclosing, asynccontextmanager
from typing import Any, NoReturn, TypeVar

import psycopg
from psycopg import AsyncConnection, errors, pq, sql

from carto_like.server.imports import codes
from carto_like.server.imports.addresses import Reach, Refused, UnknownHost, addresses_of
from carto_like.server.imports.codes import ImportFailure
from carto_like.server.imports.connector import Access, Connector
from carto_like.server.imports.reader import Table
from carto_like.server.pool import Connection
from carto_like.server.services.copy import copy_out
from carto_like.server.services.remotecolumns import Plan, plan_of
from carto_like.server.settings import Limits
from carto_like.server.sqlapi.wire import command, describe

_CONNECT_SECONDS = 20
_MOST_ADDRESSES = 4
_LISTED = 500
_SESSION = (
    "BEGIN TRANSACTION READ ONLY; SET LOCAL DateStyle = 'ISO, MDY'; SET LOCAL IntervalStyle = 'postgres'; "
    "SET LOCAL bytea_output = 'hex'; SET LOCAL extra_float_digits = 3; SET LOCAL statement_timeout = {}"
)
_GEOMETRIES = "SELECT oid, typname FROM pg_catalog.pg_type WHERE typname IN ('geometry', 'geography')"
_TABLES = """
SELECT table_schema, table_name FROM information_schema.tables
WHERE table_schema NOT IN ('pg_catalog', 'information_schema') ORDER BY 1, 2 LIMIT {}
"""
# A file that cannot be there: libpq would take passwords and certificates of whoever runs this server.
_NO_FILE = os.path.join(os.devnull, "none")
_Result = TypeVar("_Result")


class RemoteRows:
    """The rows of one table or query.

    Attributes:
        table: its columns, as they are called here.
    """

    def __init__(self, remote: _Remote, plan: Plan, limits: Limits) -> None:
        self._remote = remote
        self._statement = plan.statement
        self._limits = limits
        self.table: Table = plan.table

    async def blocks(self) -> AsyncIterator[bytes]:
        """The rows for COPY.

        Raises:
            ImportFailure: the rest cannot be read, or is too much.
        """
        most_rows, most_bytes = self._limits.import_max_rows, self._limits.import_max_bytes
        rows = size = 0
        async with aclosing(copy_out(self._remote.connection, self._statement)) as stream:
            while (block := await self._remote.within(_next(stream))) is not None:
                # Line feeds within values are escaped.
                rows, size = rows + block.count(b"\n"), size + len(block)
                if most_rows and rows > most_rows:
                    raise ImportFailure(codes.TOO_MANY_ROWS, f"More than {most_rows} rows")
                if most_bytes and size > most_bytes:
                    raise ImportFailure(codes.FILE_TOO_LARGE, f"{most_bytes} bytes are allowed")
                yield block


@asynccontextmanager
async def remote_rows(connector: Connector, reach: Reach, limits: Limits) -> AsyncIterator[RemoteRows]:
    """The rows that a connector asks for; the connection ends with the block.

    Args:
        connector: what is asked for.
        reach: which addresses may be asked.
        limits: those of imports.

    Raises:
        ImportFailure: they cannot be had.
    """
    if connector.access is None:
        raise ImportFailure(codes.CONNECTOR_DISABLED, f"'{connector.provider}' cannot be read here")
    async with _connected(connector.access, reach, limits.import_timeout) as remote:
        query = connector.sql_query.rstrip("; \t\r\n")
        if not query:
            relation = sql.Identifier(connector.schema, connector.table)
            query = sql.SQL("SELECT * FROM {}").format(relation).as_string(remote.connection)
        # As a statement of its own it must be complete, and a single one.
        columns = await remote.within(describe(remote.connection, query))
        if not columns.names:
            raise ImportFailure(codes.CONNECTOR_WRONG, "'sql_query' must be a query that answers rows")
        (rows,) = await remote.within(command(remote.connection, _GEOMETRIES))
        kinds = {int(oid or 0): str(name) for oid, name in rows}
        plan = plan_of(columns, kinds, query, limits.import_max_rows)
        yield RemoteRows(remote, plan, limits)


async def check_access(access: Access, reach: Reach) -> None:
    """Log in and out again; raises ImportFailure when that cannot be done."""
    async with _connected(access, reach, _CONNECT_SECONDS):
        return


async def tables_of(access: Access, reach: Reach) -> list[dict[str, str]]:
    """Schema and name of the tables that can be read, the first 500; raises ImportFailure."""
    async with _connected(access, reach, _CONNECT_SECONDS) as remote:
        (rows,) = await remote.within(command(remote.connection, _TABLES.format(_LISTED)))
        return [{"schema": str(schema), "name": str(name)} for schema, name in rows]


class _Remote:
    """A connection to a stranger's database, for a time that is bounded.

    Attributes:
        connection: its own errors must not be taken for those of our database: use :meth:`within`.
    """

    def __init__(self, connection: Connection, access: Access, deadline: float) -> None:
        self.connection = connection
        self._access = access
        self._deadline = deadline

    async def within(self, work: Awaitable[_Result]) -> _Result:
        """What is awaited, in the time that is left.

        Raises:
            ImportFailure: the time is over, or the other side reports an error.
        """
        try:
            return await asyncio.wait_for(work, max(self._deadline - time.monotonic(), 0.001))
        except asyncio.TimeoutError:
            raise ImportFailure(codes.LOAD_TIMED_OUT, "The other database took too long") from None
        except psycopg.Error as error:
            _fail(error, self._access)


@asynccontextmanager
async def _connected(access: Access, reach: Reach, seconds: float) -> AsyncIterator[_Remote]:
    deadline = time.monotonic() + seconds
    try:
        found = await asyncio.to_thread(addresses_of, access.server, access.port, reach)
    except UnknownHost:
        raise ImportFailure(codes.UNKNOWN_HOST, access.server) from None
    except Refused:
        reason = f"{access.server} is a private address, which this server does not ask"
        raise ImportFailure(codes.CONNECTOR_WRONG, reason) from None
    addresses = list(dict.fromkeys(str(address[0]) for _, address in found))[:_MOST_ADDRESSES]
    try:
        connection = await asyncio.wait_for(_connect(access, addresses), min(seconds, _CONNECT_SECONDS))
    except asyncio.TimeoutError:
        raise ImportFailure(codes.CONNECTOR_FAILED, "The other database does not answer") from None
    except psycopg.Error as error:
        _fail(error, access)
    try:
        # psycopg would keep all notifications that come, for somebody who never asks for them.
        connection.pgconn.notify_handler = None
        remote = _Remote(connection, access, deadline)
        await remote.within(command(connection, _SESSION.format(round(seconds * 1000))))
        yield remote
    finally:
        await connection.close()


async def _connect(access: Access, addresses: list[str]) -> Connection:
    options: dict[str, Any] = {
        # The addresses that were looked at, so that nobody is asked for them again; the name is for TLS.
        "hostaddr": ",".join(addresses),
        "host": ",".join([access.server] * len(addresses)),
        "port": access.port,
        "dbname": access.database,
        "user": access.username,
        "password": access.password,
        "sslmode": access.sslmode,
        "sslrootcert": "system" if access.sslmode == "verify-full" else _NO_FILE,
        # Nothing of the account that this server runs as is for others.
        "passfile": _NO_FILE,
        "sslcert": _NO_FILE,
        "sslkey": _NO_FILE,
        "gssencmode": "disable",
        "options": "",
        "connect_timeout": _CONNECT_SECONDS,
        "client_encoding": "UTF8",
        "application_name": "carto_like",
    }
    if pq.version() >= 160000:
        options["require_auth"] = "password,md5,scram-sha-256,none"
    return await AsyncConnection.connect(autocommit=True, prepare_threshold=None, **options)


async def _next(stream: AsyncGenerator[bytearray, None]) -> bytes | None:
    async for block in stream:
        return bytes(block)
    return None


def _fail(error: psycopg.Error, access: Access) -> NoReturn:
    text = error.diag.message_primary or str(error).strip().partition("\n")[0] or type(error).__name__
    if access.password:
        # Only the owner sees it, but it also goes into the table of imports.
        text = text.replace(access.password, "***")
    code = codes.CONNECTOR_FAILED
    if isinstance(error, errors.QueryCanceled):
        code = codes.LOAD_TIMED_OUT
    elif (error.sqlstate or "").startswith(("42", "3D", "3F")):
        code = codes.CONNECTOR_WRONG
    raise ImportFailure(code, text[:500]) from None
