"""Tables and datasets of a test's user, made by SQL as that user: the platform is told nothing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from carto_like.server.secrets import Secrets
from carto_like.server.settings import Settings
from tests.support.api import TestAccount
from tests.support.server import SECRET


class Owner:
    """A session of the user's own role."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self.connection = connection

    def execute(self, query: str | sql.Composed, values: Any = None) -> list[Any]:
        """Run one statement; its rows, if it has any."""
        cursor = self.connection.execute(query.encode() if isinstance(query, str) else query, values)
        return cursor.fetchall() if cursor.description else []

    def dataset(self, name: str, rows: int = 0) -> None:
        """Make a table of points with the columns name and n, and a dataset of it."""
        table = sql.Identifier(name)
        self.execute(
            sql.SQL("CREATE TABLE {} (name text, n int, the_geom geometry(Point, 4326))").format(table)
        )
        self.cartodbfy(name)
        if rows:
            self.execute(
                sql.SQL(
                    "INSERT INTO {} (name, n, the_geom) SELECT 'x', i,"
                    " ST_SetSRID(ST_MakePoint(i %% 180, 1), 4326) FROM generate_series(1, %s) i"
                ).format(table),
                (rows,),
            )

    def cartodbfy(self, name: str) -> None:
        """Make a dataset of a table."""
        self.execute("SELECT CDB_CartodbfyTable(current_schema(), %s::regclass)", (f'"{name}"',))


@contextmanager
def owner_of(settings: Settings, account: TestAccount) -> Iterator[Owner]:
    """A session of the account's role, autocommit."""
    dsn = make_conninfo(
        settings.dsn,
        user=account.role,
        password=Secrets(SECRET).role_password(account.role),
        options=f'-c search_path="{account.schema}",public,cartodb',
    )
    with psycopg.connect(dsn, autocommit=True) as connection:
        yield Owner(connection)
