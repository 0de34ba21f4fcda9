"""Connections to the database: the platform's own, and logins of the roles whose SQL runs."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import Any

import orjson
import psycopg
from psycopg import AsyncConnection, errors, sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.types.json import set_json_loads

from .errors import UNREACHABLE, Problem
from .pool import Connection, ConnectionPool, Key
from .secrets import Secrets
from .settings import Settings

logger = logging.getLogger(__name__)

METADATA_CONNECTIONS = 8
# More than that can lie idle, so that one of them is new even when all of those were cut.
_BEGINNINGS = METADATA_CONNECTIONS + 1
_OWN: Key = ("", "")
_NEVER = 2**31

# Startup options beat what a role has set for itself (ALTER ROLE CURRENT_USER SET ...), and RESET returns
# to them: so whatever an answer or our own reading of it depends on is named here.
CLIENT_OPTIONS: Mapping[str, str] = {
    "role": "none",
    "DateStyle": "ISO, MDY",
    "IntervalStyle": "postgres",
    "bytea_output": "hex",
    "extra_float_digits": "1",
    "client_min_messages": "notice",
    "standard_conforming_strings": "on",
    "xmloption": "content",
    "default_transaction_read_only": "off",
    "default_transaction_isolation": "read committed",
    "default_transaction_deferrable": "off",
    "idle_in_transaction_session_timeout": "60s",
    "local_preload_libraries": "",
    "jit": "off",
}

# DISCARD ALL undoes SET (back to the startup options), temporary tables, prepared statements, cursors,
# LISTEN, advisory locks. psycopg keeps nothing on these connections that it would undo.
_RESET = b"DISCARD ALL"


class Database:
    """The one database, as the platform's role (:meth:`metadata`) and as clients' roles (:meth:`login`)."""

    def __init__(self, settings: Settings, secret: Secrets) -> None:
        limits = settings.limits
        self._settings = settings
        self._secret = secret
        self._options: dict[str, str] = {}
        self._metadata = ConnectionPool(
            self._connect_own,
            budget=METADATA_CONNECTIONS,
            wait=limits.connection_wait,
            idle=max(limits.connection_idle, 600.0),
            reset=None,
        )
        self._logins = ConnectionPool(
            self._connect_login,
            budget=limits.connections,
            wait=limits.connection_wait,
            idle=limits.connection_idle,
            reset=_RESET,
        )

    @property
    def query_timeout(self) -> float:
        """Seconds that a client's statement may run, 0 for any time."""
        return self._settings.limits.query_timeout

    @property
    def open_logins(self) -> int:
        """Connections that are open for clients' SQL."""
        return self._logins.open_connections

    async def open(self) -> None:
        """Learn what this PostgreSQL can do, and start to keep connections."""
        limits = self._settings.limits
        self._options = {
            **CLIENT_OPTIONS,
            "TimeZone": self._settings.timezone,
            "statement_timeout": str(round(limits.query_timeout * 1000)),
        }
        async with await self._connect_own(_OWN) as connection:
            # Only where the operating system of the server can tell that the other end hung up.
            try:
                await connection.execute("SET client_connection_check_interval = '5s'")
            except errors.InvalidParameterValue:
                logger.info("this PostgreSQL does not notice clients that leave during a query")
            else:
                self._options["client_connection_check_interval"] = "5s"
        await self._metadata.open()
        await self._logins.open()

    async def close(self) -> None:
        """Close every connection."""
        await self._logins.close()
        await self._metadata.close()

    @asynccontextmanager
    async def metadata(self) -> AsyncIterator[Connection]:
        """A connection as the platform's own role, in a transaction that ends with the block.

        Raises:
            Problem: 500 when the database cannot be reached.
        """
        async with AsyncExitStack() as stack:
            yield await self._begin(stack)

    async def ask(self, query: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """The rows of one statement that only reads, as the platform's own role.

        It costs one message there and back, where :meth:`metadata` with its transaction takes three, and is
        planned once per connection: for what many requests ask.

        Raises:
            Problem: 500 when the database cannot be reached.
        """
        for remaining in reversed(range(_BEGINNINGS)):
            async with _reachable(self._metadata.connection(_OWN)) as connection:
                try:
                    cursor = await connection.execute(query.encode(), parameters, prepare=True)
                    return await cursor.fetchall()
                except psycopg.OperationalError as error:
                    # It was cut, which had not been heard of when it was lent. Asking again does no harm.
                    if not connection.closed:
                        raise
                    if not remaining:
                        raise Problem(500, UNREACHABLE) from error
        raise AssertionError("the last attempt returns or raises")

    async def _begin(self, stack: AsyncExitStack) -> Connection:
        """A connection in a transaction, both of which end with the stack."""
        for remaining in reversed(range(_BEGINNINGS)):
            async with AsyncExitStack() as attempt:
                borrowing = _reachable(self._metadata.connection(_OWN))
                connection = await attempt.enter_async_context(borrowing)
                try:
                    await attempt.enter_async_context(connection.transaction())
                except psycopg.OperationalError as error:
                    # It was cut, which had not been heard of when it was lent. Nothing was done on it.
                    if remaining:
                        continue
                    raise Problem(500, UNREACHABLE) from error
                stack.push_async_exit(attempt.pop_all())
                return connection
        raise AssertionError("the last attempt returns or raises")

    def login(self, role: str, schema: str) -> AbstractAsyncContextManager[Connection]:
        """An autocommit connection that logged in as a role, its ``search_path`` starting with a schema.

        Whoever borrows it may do to the session what he likes: the next one gets it clean.

        Raises:
            Problem: 503 with ``Retry-After`` when all connections stay in use, 500 when the database cannot
                be reached.
        """
        return _reachable(self._logins.connection((role, schema)))

    async def terminate(self, pid: int) -> None:
        """End a session by its backend's process id; nothing happens when it is gone."""
        async with self.metadata() as connection:
            await connection.execute("SELECT pg_catalog.pg_terminate_backend(%s)", (pid,))

    async def _connect_own(self, _: Key) -> Connection:
        options = {"search_path": "carto_like, cartodb, public", "TimeZone": "UTC"}
        connection = await _connect(
            self._settings.dsn, application_name="carto_like", options=_startup_options(options)
        )
        # Answers are written by orjson, which has no numbers beyond those that it reads.
        set_json_loads(orjson.loads, connection)
        # Only what is to be prepared is: some texts hold several statements, which cannot be.
        connection.prepare_threshold = _NEVER
        return connection

    async def _connect_login(self, key: Key) -> Connection:
        role, schema = key
        path = sql.Identifier(schema).as_string() + ", public, cartodb"
        options = _startup_options({**self._options, "search_path": path})
        connection = await self._log_in(role, options)
        if await _has_own_settings(connection):
            await connection.close()
            await self._forget_settings(role)
            connection = await self._log_in(role, options)
        return connection

    async def _log_in(self, role: str, options: str) -> Connection:
        dsn = make_conninfo(self._settings.dsn, user=role, password=self._secret.role_password(role))
        try:
            return await _connect(dsn, application_name="cartodb_sqlapi", options=options)
        except psycopg.OperationalError as error:
            if not _is_refused_password(error):
                raise
        # A role can change its own password by SQL; that must not lock the platform out.
        await self._restore_password(role)
        return await _connect(dsn, application_name="cartodb_sqlapi", options=options)

    async def _restore_password(self, role: str) -> None:
        verifier = self._secret.scram_verifier(role)
        statement = sql.SQL("ALTER ROLE {} PASSWORD {}").format(sql.Identifier(role), verifier)
        async with self.metadata() as connection:
            await connection.execute(statement)

    async def _forget_settings(self, role: str) -> None:
        name = sql.Identifier(role)
        async with self.metadata() as connection:
            await connection.execute(sql.SQL("ALTER ROLE {} RESET ALL").format(name))
            row = await (await connection.execute("SELECT current_database()")).fetchone()
            database = sql.Identifier(row[0] if row else "")
            await connection.execute(sql.SQL("ALTER ROLE {} IN DATABASE {} RESET ALL").format(name, database))


@asynccontextmanager
async def _reachable(connecting: AbstractAsyncContextManager[Connection]) -> AsyncIterator[Connection]:
    """The connection; failing to get one is a Problem, while what happens on it stays what it is."""
    try:
        connection = await connecting.__aenter__()
    except psycopg.OperationalError as error:
        logger.error("no connection to the database: %s", type(error).__name__)
        raise Problem(500, UNREACHABLE) from error
    try:
        yield connection
    finally:
        await connecting.__aexit__(None, None, None)


async def _connect(dsn: str, *, application_name: str, options: str) -> Connection:
    given = str(conninfo_to_dict(dsn).get("options") or "")
    connection = await AsyncConnection.connect(
        dsn,
        autocommit=True,
        prepare_threshold=None,
        client_encoding="UTF8",
        application_name=application_name,
        options=f"{given} {options}".strip(),
    )
    # psycopg would keep all notifications that come, for somebody who never asks for them.
    connection.pgconn.notify_handler = None
    return connection


async def _has_own_settings(connection: Connection) -> bool:
    cursor = await connection.execute(
        "SELECT 1 FROM pg_catalog.pg_db_role_setting WHERE setrole OPERATOR(pg_catalog.=) "
        "(SELECT oid FROM pg_catalog.pg_roles WHERE rolname OPERATOR(pg_catalog.=) SESSION_USER)"
    )
    return await cursor.fetchone() is not None


def _startup_options(values: Mapping[str, str]) -> str:
    return " ".join(f"-c {name}={_escape(value)}" for name, value in values.items())


def _escape(value: str) -> str:
    return value.replace("\\", "\\\\").replace(" ", "\\ ")


def _is_refused_password(error: psycopg.OperationalError) -> bool:
    # A failed connection has no SQLSTATE, and its text depends on the language of the server.
    return error.pgconn is not None and error.pgconn.used_password
