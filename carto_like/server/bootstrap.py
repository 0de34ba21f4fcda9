"""Preparing a private cluster: the platform's own role, its database, PostGIS, and rights taken away."""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg import Connection, sql

from .hardening import harden
from .postgres import PrivatePostgres

PLATFORM_ROLE = "carto_like"
DATABASE = "carto_like"


def bootstrap(postgres: PrivatePostgres, database: str = DATABASE) -> str:
    """Prepare a running private cluster, as often as one likes; answers the platform's DSN.

    The platform's role is no superuser: what it may do here is what it may do in a database of somebody else.
    """
    with psycopg.connect(postgres.dsn(), autocommit=True) as connection:
        _make_role(connection)
        _make_database(connection, database)
        for other in ("postgres", "template1"):
            connection.execute(sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(sql.Identifier(other)))
    with psycopg.connect(postgres.dsn(database), autocommit=True) as connection:
        connection.execute("CREATE EXTENSION IF NOT EXISTS postgis SCHEMA public")
        harden(connection, PLATFORM_ROLE)
    return postgres.dsn(database, PLATFORM_ROLE)


def _make_role(connection: Connection[Any]) -> None:
    known = connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (PLATFORM_ROLE,))
    if known.fetchone() is None:
        statement = sql.SQL("CREATE ROLE {} LOGIN CREATEROLE").format(sql.Identifier(PLATFORM_ROLE))
        connection.execute(statement)


def _make_database(connection: Connection[Any], name: str) -> None:
    if connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (name,)).fetchone() is None:
        connection.execute(
            sql.SQL("CREATE DATABASE {} OWNER {}").format(sql.Identifier(name), sql.Identifier(PLATFORM_ROLE))
        )
