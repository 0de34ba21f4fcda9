"""CARTO's functions in the database: schema ``cartodb``, made from the files of ``sql/cdb``."""

from __future__ import annotations

import hashlib
from importlib import resources
from typing import Any, TypeAlias

from psycopg import AsyncConnection, sql

from carto_like.server.errors import StartError

Connection: TypeAlias = AsyncConnection[tuple[Any, ...]]

_POSTGIS = """
SELECT n.nspname FROM pg_catalog.pg_extension e
JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace WHERE e.extname = 'postgis'
"""
_INSTALLED = """
SELECT pg_catalog.obj_description(n.oid, 'pg_namespace'), pg_catalog.pg_has_role(n.nspowner, 'USAGE')
FROM pg_catalog.pg_namespace n WHERE n.nspname = 'cartodb'
"""
_FORGET_DROPPED = """
DELETE FROM cartodb.CDB_TableMetadata m
WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_class c WHERE c.oid = m.tabname::oid)
"""


async def install(conn: Connection) -> None:
    """Create schema ``cartodb`` and its functions, or bring them to this version if they are not.

    Times of tables that are gone are forgotten on the way.

    Args:
        conn: as the platform's own role, which will own them and whose rights the few SECURITY DEFINER
            functions have. It needs CREATE on the database, no more.

    Raises:
        StartError: PostGIS is absent, or another role owns a schema of that name.
    """
    async with conn.transaction():
        row = await (await conn.execute(_POSTGIS)).fetchone()
        if row is None:
            raise StartError("PostGIS is not in this database. As a superuser run: CREATE EXTENSION postgis;")
        script = _script(str(row[0]))
        version = f"carto_like {hashlib.sha256(script).hexdigest()}"
        if await _installed(conn) != version:
            # Notices about what exists already are meant for people at a prompt.
            await conn.execute("SET LOCAL client_min_messages = warning")
            await conn.execute(script)
            await conn.execute(sql.SQL("COMMENT ON SCHEMA cartodb IS {}").format(version))
        await conn.execute(_FORGET_DROPPED)


async def _installed(conn: Connection) -> str | None:
    row = await (await conn.execute(_INSTALLED)).fetchone()
    if row is None:
        return None
    if not row[1]:
        raise StartError(
            "Schema cartodb belongs to another role: is this a database of CARTO's own? Use one without it."
        )
    return str(row[0])


def _script(postgis_schema: str) -> bytes:
    """All files as one text, PostGIS addressed by the schema it is installed in."""
    folder = resources.files(__package__).joinpath("sql", "cdb")
    files = sorted((file for file in folder.iterdir() if file.name.endswith(".sql")), key=lambda f: f.name)
    script = "\n".join(file.read_text("utf-8") for file in files)
    return script.replace("@postgis@", sql.Identifier(postgis_schema).as_string()).encode()
