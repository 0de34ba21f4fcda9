"""Looking at an existing database before the platform moves in: what is missing, and what grants it."""

from __future__ import annotations

import logging
from typing import Any

import psycopg
from psycopg import Connection, errors, sql

from .errors import StartError
from .hardening import harden, hardening_statements
from .programs import OLDEST

logger = logging.getLogger(__name__)

_FACTS = """
SELECT current_setting('server_version_num')::int / 10000 AS version,
       current_user::text AS role,
       current_database()::text AS database,
       r.rolsuper AS is_superuser,
       r.rolcreaterole OR r.rolsuper AS makes_roles,
       has_database_privilege(current_database(), 'CREATE') AS makes_schemas,
       EXISTS (SELECT FROM pg_extension WHERE extname = 'postgis') AS has_postgis
FROM pg_roles r WHERE r.rolname = current_user
"""


def probe(dsn: str) -> None:
    """Check that a platform can live in a database, and close what a superuser can close.

    Raises:
        StartError: it cannot; the message names what is missing and the statement that grants it.
    """
    try:
        connection = psycopg.connect(dsn, autocommit=True, connect_timeout=10)
    except psycopg.OperationalError as error:
        raise StartError(f"The database cannot be reached: {error}") from None
    with connection:
        facts = _facts(connection)
        _require(facts)
        _try_a_user(connection, facts)
        if facts["is_superuser"]:
            harden(connection, facts["role"])
        else:
            _recommend(hardening_statements(connection, facts["role"]))


def _facts(connection: Connection[Any]) -> dict[str, Any]:
    cursor = connection.execute(_FACTS)
    row = cursor.fetchone()
    if row is None or cursor.description is None:
        raise StartError("The database does not know the role that logged in.")
    return dict(zip((column.name for column in cursor.description), row, strict=True))


def _require(facts: dict[str, Any]) -> None:
    role = sql.Identifier(facts["role"]).as_string()
    database = sql.Identifier(facts["database"]).as_string()
    if facts["version"] < OLDEST:
        raise StartError(f"The database is PostgreSQL {facts['version']}; {OLDEST} or newer is needed.")
    needs = {
        "has_postgis": ("has no PostGIS", "CREATE EXTENSION postgis;"),
        "makes_roles": (f"does not let {role} make roles", f"ALTER ROLE {role} CREATEROLE;"),
        "makes_schemas": (
            f"does not let {role} make schemas",
            f"GRANT CREATE ON DATABASE {database} TO {role};",
        ),
    }
    for fact, (complaint, statement) in needs.items():
        if not facts[fact]:
            raise StartError(f"The database {database} {complaint}. As a superuser run: {statement}")


def _try_a_user(connection: Connection[Any], facts: dict[str, Any]) -> None:
    """Do what making a user does, and undo it: some hosts restrict what CREATEROLE usually allows."""
    role = sql.Identifier(facts["role"]).as_string()
    name = sql.Identifier(f"cl_probe_{connection.info.backend_pid}")
    steps = ("CREATE ROLE {} LOGIN", "GRANT {} TO CURRENT_USER", "CREATE SCHEMA {0} AUTHORIZATION {0}")
    for step in steps:
        if step is steps[0]:
            connection.execute("BEGIN")
        try:
            connection.execute(sql.SQL(step).format(name))
        except errors.Error as error:
            raise StartError(
                f"{role} may not run '{step.format('x', 'x')}', which making a user needs: {error}. As a "
                f"superuser run: ALTER ROLE {role} CREATEROLE; and check what your host restricts."
            ) from None
    connection.execute("ROLLBACK")


def _recommend(statements: list[str]) -> None:
    if statements:
        logger.warning(
            "Users of this database can look at and end sessions that share their role, store large objects, "
            "and see where the data of others lie. A superuser can forbid it by running, in this "
            "database:\n%s",
            "\n".join(f"{statement};" for statement in statements),
        )
