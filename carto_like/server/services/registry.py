"""Which tables of an account are datasets, kept in step with the catalogs.

Tables come, change their names and go by SQL, and nobody tells the platform. So each reading compares the
catalogs with ``carto_like.datasets`` first: one cheap query when nothing changed.

A dataset is its table's oid. When that is gone and a new table has its name, the table was rewritten (as
``CDB_CartodbfyTable`` and ``CDB_RegenerateTable`` do, or a script that replaces a table) and the dataset
keeps its identity and description; who may read it is what the new table says. A table whose absence was
noticed before its name came back is a new dataset.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from psycopg import AsyncConnection

from carto_like.server.accounts import Account

Privacy = Literal["public", "link", "private"]

# No index of the catalogs finds the tables of one schema, but what depends on the schema is found by one:
# the cost is that of the account's own tables, however many others there are.
TABLES = """
SELECT c.oid AS table_oid, c.relname::text AS name,
       has_table_privilege(%(public_role)s, c.oid, 'SELECT') AS readable
FROM pg_catalog.pg_namespace n
JOIN pg_catalog.pg_depend s ON s.refclassid = 'pg_catalog.pg_namespace'::regclass AND s.refobjid = n.oid
                           AND s.classid = 'pg_catalog.pg_class'::regclass AND s.objsubid = 0
JOIN pg_catalog.pg_class c ON c.oid = s.objid AND c.relnamespace = n.oid
WHERE n.nspname = %(schema)s
  AND c.relowner = (SELECT oid FROM pg_catalog.pg_roles WHERE rolname = %(role)s)
  AND c.relkind IN ('r', 'p')
  AND EXISTS (SELECT FROM pg_catalog.pg_trigger t WHERE t.tgrelid = c.oid AND t.tgname = 'test_quota')
  AND 3 = (SELECT count(*) FROM pg_catalog.pg_attribute a
           WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
             AND a.attname IN ('cartodb_id', 'the_geom', 'the_geom_webmercator'))
"""
"""The tables of an account that are datasets, registered or not; see :func:`account_values`."""

DATASETS = f"""
SELECT d.id, d.table_id, d.permission_id, f.table_oid::bigint AS table_oid, f.name,
       CASE WHEN NOT f.readable THEN 'private' WHEN d.link THEN 'link' ELSE 'public' END AS privacy,
       d.display_name, d.title, d.description, d.license, d.attributions, d.source, d.tags, d.locked,
       d.created_at, greatest(d.updated_at, m.updated_at) AS updated_at, m.updated_at AS written_at,
       d.seen_state, d.seen_rows, d.seen_geometry_types
FROM ({TABLES}) f
JOIN carto_like.datasets d ON d.table_oid = f.table_oid AND d.account_id = %(account_id)s
LEFT JOIN cartodb.cdb_tablemetadata m ON m.tabname::oid = f.table_oid
"""
"""One row per dataset of an account, as :class:`Dataset` wants it; see :func:`account_values`."""

_DIFFERS = f"""
SELECT EXISTS (
    SELECT FROM ({TABLES}) f
    FULL JOIN (SELECT * FROM carto_like.datasets WHERE account_id = %(account_id)s) d USING (table_oid)
    WHERE f.name IS NULL OR d.id IS NULL OR d.table_name <> f.name)
"""

_STEPS = (
    # Rewritten: the old table is gone, and one that nobody registered has its name.
    f"""UPDATE carto_like.datasets d
        SET table_oid = f.table_oid, seen_state = NULL, seen_rows = NULL, seen_geometry_types = NULL
        FROM ({TABLES}) f
        WHERE d.account_id = %(account_id)s AND d.table_name = f.name
          AND NOT EXISTS (SELECT FROM pg_catalog.pg_class c WHERE c.oid = d.table_oid)
          AND NOT EXISTS (SELECT FROM carto_like.datasets e WHERE e.table_oid = f.table_oid)""",
    f"""DELETE FROM carto_like.datasets d
        WHERE d.account_id = %(account_id)s
          AND NOT EXISTS (SELECT FROM ({TABLES}) f WHERE f.table_oid = d.table_oid)""",
    f"""UPDATE carto_like.datasets d SET table_name = f.name
        FROM ({TABLES}) f
        WHERE d.account_id = %(account_id)s AND d.table_oid = f.table_oid AND d.table_name <> f.name""",
    # An oid that another account's row holds is one that PostgreSQL gave out a second time.
    f"""DELETE FROM carto_like.datasets d USING ({TABLES}) f
        WHERE d.table_oid = f.table_oid AND d.account_id <> %(account_id)s""",
    # What was written before anybody looked was changed then, not now.
    f"""INSERT INTO carto_like.datasets (account_id, table_oid, table_name, created_at, updated_at)
        SELECT %(account_id)s, f.table_oid, f.name,
               coalesce(m.updated_at, now()), coalesce(m.updated_at, now())
        FROM ({TABLES}) f LEFT JOIN cartodb.cdb_tablemetadata m ON m.tabname::oid = f.table_oid
        WHERE NOT EXISTS (SELECT FROM carto_like.datasets d WHERE d.table_oid = f.table_oid)""",
)


@dataclass(frozen=True)
class Dataset:
    """A table that is a dataset, at the time it was read.

    Attributes:
        id: of the dataset (its visualization); ``table_id`` and ``permission_id`` name its other faces.
        table_oid: of the table; changes when the table is rewritten.
        privacy: ``public`` and ``link`` datasets are readable without a key, only the first is listed.
        updated_at: of the last change to the data or to the description.
        written_at: of the last change to the data that was tracked, if any.
        seen_state: state of the table (see :mod:`.figures`) when ``seen_rows`` and
            ``seen_geometry_types`` were read from it.
    """

    id: UUID
    table_id: UUID
    permission_id: UUID
    table_oid: int
    name: str
    privacy: Privacy
    display_name: str | None
    title: str | None
    description: str | None
    license: str | None
    attributions: str | None
    source: str | None
    tags: list[str]
    locked: bool
    created_at: datetime
    updated_at: datetime
    written_at: datetime | None
    seen_state: str | None = field(repr=False)
    seen_rows: int | None = field(repr=False)
    seen_geometry_types: list[str] | None = field(repr=False)


def account_values(account: Account) -> dict[str, Any]:
    """The values that :data:`DATASETS` needs."""
    return {
        "account_id": account.id,
        "schema": account.schema,
        "role": account.role,
        "public_role": account.public_role,
    }


async def synchronise(conn: AsyncConnection[Any], account: Account) -> None:
    """Bring ``carto_like.datasets`` in step with the account's tables; cheap when it is."""
    values = account_values(account)
    differs = await (await conn.execute(_DIFFERS, values)).fetchone()
    if not differs or not differs[0]:
        return
    # Two readers may notice the same change: the second one waits, and then finds nothing left to do.
    await conn.execute("SELECT FROM carto_like.users WHERE id = %s FOR NO KEY UPDATE", (account.id,))
    for step in _STEPS:
        await conn.execute(step, values)
