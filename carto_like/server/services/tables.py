"""The table under a dataset: its columns, and points made from two of them."""

from __future__ import annotations

from psycopg import Error, sql

from carto_like.server.accounts import Account
from carto_like.server.db import Database
from carto_like.server.errors import Problem
from carto_like.server.services.registry import Dataset
from carto_like.server.services.unattended import session_of
from carto_like.server.sqlapi.guard import Stopped

_COLUMNS = """
SELECT attname::text, format_type(atttypid, NULL)
FROM pg_catalog.pg_attribute
WHERE attrelid = %s::oid AND attnum > 0 AND NOT attisdropped AND attname <> 'the_geom_webmercator'
ORDER BY attname <> 'cartodb_id', attname <> 'the_geom', attname
"""
# What is not a number gives no point; what is none of the Earth's coordinates neither.
_GEOREFERENCE = """
UPDATE {table} SET the_geom = CASE
    WHEN trim({lon}::text) ~ {number} AND trim({lat}::text) ~ {number} THEN
        CASE WHEN abs(trim({lat}::text)::float8) <= 90 AND abs(trim({lon}::text)::float8) <= 180
             THEN cartodb.CDB_LatLng(trim({lat}::text)::float8, trim({lon}::text)::float8) END
    END
"""
_TROUBLES = ("08", "53", "57P", "58", "XX")  # of the database, not of what was asked
_NUMBER = r"^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)(e[+-]?[0-9]{1,2})?$"


async def columns_of(database: Database, dataset: Dataset) -> list[tuple[str, str]]:
    """Name and PostgreSQL type of each column: the key, the geometry, then by name."""
    async with database.metadata() as conn:
        return list(await (await conn.execute(_COLUMNS, (dataset.table_oid,))).fetchall())


async def georeference(
    database: Database, account: Account, dataset: Dataset, latitude: str, longitude: str
) -> None:
    """Make the geometry of each row a point from two of its columns; NULL where they give none.

    Raises:
        Problem: 400 when there is no such column, or the change is refused.
    """
    known = {name for name, _ in await columns_of(database, dataset)}
    for column in (latitude, longitude):
        if column not in known:
            raise Problem(400, f"There is no column {column}")
    query = sql.SQL(_GEOREFERENCE).format(
        table=sql.Identifier(account.schema, dataset.name),
        lat=sql.Identifier(latitude),
        lon=sql.Identifier(longitude),
        number=sql.Literal(_NUMBER),
    )
    try:
        async with session_of(database, account, seconds=database.query_timeout) as session:
            await session.execute(query)
    except Stopped as late:
        raise Problem(400, f"The rows of {dataset.name} cannot be changed in time") from late
    except Error as refused:
        if refused.sqlstate is None or refused.sqlstate.startswith(_TROUBLES):
            raise
        raise Problem(400, refused.diag.message_primary or "The table cannot be changed") from refused
