"""Bringing a database to the state this version needs: numbered SQL files, each run once.

Files in ``services/sql`` are named ``NNN_what.sql``. They run in order, in one transaction, as the platform's
own role. A file that was released is never changed; its successor changes what it made.
"""

from __future__ import annotations

import re
from importlib import resources

import psycopg
from psycopg import AsyncConnection, errors, sql

from .errors import StartError
from .jobs import schema as jobs_schema
from .pool import Connection
from .secrets import Secrets
from .services import cdb

_NAME = re.compile(r"(\d{3})_\w+\.sql")

_FOUNDATION = """
CREATE SCHEMA IF NOT EXISTS carto_like;
REVOKE ALL ON SCHEMA carto_like FROM PUBLIC;
CREATE TABLE IF NOT EXISTS carto_like.migrations (
    number int PRIMARY KEY,
    name text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now()
);
"""


def migration_files() -> list[tuple[int, str, str]]:
    """``(number, name, SQL)`` of each migration, in order."""
    folder = resources.files(__package__).joinpath("services", "sql")
    found = [(match, file) for file in folder.iterdir() if (match := _NAME.fullmatch(file.name))]
    return sorted((int(match.group(1)), file.name, file.read_text("utf-8")) for match, file in found)


async def migrate(dsn: str, secrets: Secrets) -> list[str]:
    """Bring the database up to date; answers the names of the migrations that ran.

    Any number of servers may do so at once: one does the work, the others wait for it.

    Raises:
        StartError: the database belongs to another instance secret, or lacks a right.
    """
    async with await AsyncConnection.connect(dsn, autocommit=True, prepare_threshold=None) as connection:
        try:
            await _lay_foundation(connection)
            async with connection.transaction():
                # Not an advisory lock, as anybody who can log in could take that and keep us out.
                await connection.execute("LOCK TABLE carto_like.migrations IN EXCLUSIVE MODE")
                done = await _run_missing(connection)
                await _claim(connection, secrets)
                await cdb.install(connection)
                await jobs_schema.install(connection)
        except errors.InsufficientPrivilege as error:
            raise StartError(f"The platform's role may not prepare the database: {error}") from None
    return done


async def _lay_foundation(connection: Connection) -> None:
    for last_attempt in (False, True):
        try:
            await connection.execute(_FOUNDATION)
        # IF NOT EXISTS of two servers at the same moment: one of them fails, and finds it done.
        except (errors.UniqueViolation, errors.DuplicateSchema, errors.DuplicateTable):
            if last_attempt:
                raise
        else:
            return


async def _run_missing(connection: Connection) -> list[str]:
    cursor = await connection.execute("SELECT number FROM carto_like.migrations")
    applied = {row[0] for row in await cursor.fetchall()}
    missing = [file for file in migration_files() if file[0] not in applied]
    for number, name, script in missing:
        await connection.execute(script.encode())
        await connection.execute(
            "INSERT INTO carto_like.migrations (number, name) VALUES (%s, %s)", (number, name)
        )
    return [name for _, name, _ in missing]


async def _claim(connection: Connection, secrets: Secrets) -> None:
    """Tie the database to its secret, once; make the roles that all users share."""
    fingerprint = secrets.fingerprint()
    await connection.execute(
        "INSERT INTO carto_like.installation (secret_fingerprint) "
        "SELECT %s WHERE NOT EXISTS (SELECT FROM carto_like.installation)",
        (fingerprint,),
    )
    row = await (
        await connection.execute("SELECT id, secret_fingerprint FROM carto_like.installation")
    ).fetchone()
    if row is None or row[1] != fingerprint:
        raise StartError(
            "This database was set up with another instance secret. Give that one (--secret-file): without "
            "it no key of its users can be read."
        )
    await _make_group(connection, "publicuser")
    await _make_group(connection, clients_group(row[0]))
    await _admit_clients(connection, clients_group(row[0]))


def clients_group(installation: str) -> str:
    """The group that every role with a login of ours is in; it may connect and make temporary tables."""
    return f"cl{installation}_clients"


async def _make_group(connection: Connection, name: str) -> None:
    known = await connection.execute("SELECT 1 FROM pg_catalog.pg_roles WHERE rolname = %s", (name,))
    if await known.fetchone() is not None:
        return
    try:
        async with connection.transaction():
            await connection.execute(sql.SQL("CREATE ROLE {} NOLOGIN").format(sql.Identifier(name)))
    except (errors.DuplicateObject, errors.UniqueViolation):
        # Another installation in this cluster made it in the same moment.
        return


async def _admit_clients(connection: Connection, group: str) -> None:
    row = await (await connection.execute("SELECT current_database()")).fetchone()
    names = {"database": sql.Identifier(row[0] if row else ""), "group": sql.Identifier(group)}
    for statement in (
        "REVOKE ALL ON DATABASE {database} FROM PUBLIC",
        "GRANT CONNECT, TEMPORARY ON DATABASE {database} TO {group}",
    ):
        try:
            async with connection.transaction():
                await connection.execute(sql.SQL(statement).format(**names))
        except psycopg.errors.InsufficientPrivilege as error:
            if statement.startswith("GRANT"):
                raise StartError(
                    "Clients' roles must be let in. Run as the database's owner: "
                    f"{sql.SQL(statement).format(**names).as_string()};"
                ) from error
