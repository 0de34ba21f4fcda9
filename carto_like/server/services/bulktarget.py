"""What a table must be so that a COPY into it may take the fast way, and what is needed to take it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

from psycopg import AsyncConnection

Connection: TypeAlias = AsyncConnection[tuple[Any, ...]]

# A dataset as CDB_CartodbfyTable leaves it: ours are its only triggers, nothing refers to its rows, and no
# rule, policy, partition or foreign key has a say in what an INSERT does.
_FIT = """
SELECT c.oid, n.nspname, c.relname,
       pg_relation_size(c.oid) = 0, current_setting('wal_level') = 'minimal',
       (SELECT string_agg(format('%%I', attname), ', ' ORDER BY attnum) FROM pg_attribute
         WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped AND attname <> 'the_geom_webmercator')
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.oid = to_regclass(%(name)s)
  AND c.relkind = 'r' AND c.relpersistence = 'p' AND c.reloftype = 0 AND NOT c.relispartition
  AND NOT c.relrowsecurity AND NOT c.relhasrules AND NOT c.relhassubclass
  AND pg_has_role(c.relowner, 'USAGE') AND has_table_privilege(c.oid, 'INSERT')
  AND has_database_privilege(current_database(), 'TEMP')
  AND NOT EXISTS (SELECT 1 FROM pg_inherits WHERE inhrelid = c.oid)
  AND (SELECT array_agg(tgname::text ORDER BY tgname) FROM pg_trigger
        WHERE tgrelid = c.oid AND tgenabled = 'O' AND NOT tgisinternal)
      = '{test_quota,test_quota_per_row,track_updates,update_the_geom_webmercator_trigger}'
  AND NOT EXISTS (SELECT 1 FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid
                   WHERE t.tgrelid = c.oid AND p.pronamespace <> 'cartodb'::regnamespace)
  AND NOT EXISTS (SELECT 1 FROM pg_constraint k JOIN pg_attribute a
                   ON a.attrelid = c.oid AND a.attname = 'the_geom_webmercator'
                   WHERE (k.conrelid = c.oid OR k.confrelid = c.oid)
                     AND (k.contype NOT IN ('p', 'c', 'n') OR k.contype = 'c' AND a.attnum = ANY (k.conkey)))
  AND NOT EXISTS (SELECT 1 FROM pg_attribute a
                   WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
                     AND (a.attgenerated <> '' OR a.attidentity <> ''
                          OR a.attname = 'the_geom_webmercator' AND a.attnotnull))
  AND 2 = (SELECT count(*) FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
            WHERE a.attrelid = c.oid AND a.attname IN ('the_geom', 'the_geom_webmercator')
              AND NOT a.attisdropped AND t.typname = 'geometry')
"""

# The statements that take away and give back an index. Only plain ones: others stay, and are kept up to
# date row by row.
_INDEXES = """
SELECT CASE WHEN k.oid IS NULL THEN format('DROP INDEX %%I.%%I', %(schema)s::text, x.relname)
            ELSE format('ALTER TABLE %%I.%%I DROP CONSTRAINT %%I',
                        %(schema)s::text, %(table)s::text, k.conname) END,
       CASE WHEN k.oid IS NULL THEN pg_get_indexdef(x.oid)
            ELSE format('ALTER TABLE %%I.%%I ADD CONSTRAINT %%I %%s',
                        %(schema)s::text, %(table)s::text, k.conname, pg_get_constraintdef(k.oid)) END
FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid
LEFT JOIN pg_constraint k ON k.conindid = x.oid AND k.conrelid = i.indrelid AND k.contype = 'p'
WHERE i.indrelid = %(oid)s AND i.indisvalid AND i.indisready AND NOT i.indisclustered AND NOT i.indisreplident
  AND i.indisunique = i.indisprimary AND i.indexprs IS NULL AND i.indpred IS NULL
  AND x.reltablespace = 0 AND (k.oid IS NULL OR x.reloptions IS NULL AND NOT k.condeferrable)
  AND NOT EXISTS (SELECT 1 FROM pg_description d WHERE d.objoid IN (x.oid, k.oid))
ORDER BY k.oid IS NULL, x.relname
"""

# The table's columns as they are, so that its rules and messages hold while rows are still on their way.
_STAGE = """
SELECT format('CREATE TEMPORARY TABLE pg_temp.%%I (%%s%%s)', %(table)s::text,
    (SELECT string_agg(format('%%I %%s%%s%%s%%s', a.attname, format_type(a.atttypid, a.atttypmod),
        CASE WHEN a.attcollation <> t.typcollation THEN ' COLLATE ' || a.attcollation::regcollation END,
        CASE WHEN %(computed)s AND a.attname = 'the_geom_webmercator'
             THEN ' GENERATED ALWAYS AS (cartodb.CDB_TransformToWebmercator(the_geom)) STORED'
             WHEN d.oid IS NOT NULL THEN ' DEFAULT ' || pg_get_expr(d.adbin, d.adrelid) ELSE '' END,
        CASE WHEN a.attnotnull THEN ' NOT NULL' ELSE '' END), ', ' ORDER BY a.attnum)
       FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
       LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
      WHERE a.attrelid = %(oid)s AND a.attnum > 0 AND NOT a.attisdropped),
    (SELECT string_agg(format(', CONSTRAINT %%I %%s', conname, pg_get_constraintdef(oid)), '')
       FROM pg_constraint WHERE conrelid = %(oid)s AND contype = 'c' AND convalidated))
"""


@dataclass(frozen=True)
class Target:
    """A dataset that fits.

    Attributes:
        oid: of the table.
        schema: of the table.
        table: its name.
        unused: its file has no page, so truncating it takes nothing from anybody's snapshot.
        minimal_log: what a transaction writes to a file it made itself need not be logged.
        columns: all but ``the_geom_webmercator``, quoted, separated by commas.
    """

    oid: int
    schema: str
    table: str
    unused: bool
    minimal_log: bool
    columns: str

    @property
    def names(self) -> dict[str, Any]:
        """The target as parameters of a query."""
        return {"oid": self.oid, "schema": self.schema, "table": self.table}


async def find_target(conn: Connection, name: str) -> Target | None:
    """The dataset that ``name`` (quoted) means to this login, if the fast way may be taken into it."""
    row = await (await conn.execute(_FIT, {"name": name})).fetchone()
    return None if row is None else Target(*row)


async def indexes(conn: Connection, target: Target) -> list[tuple[str, str]]:
    """``(drop, create)`` statements of each index that is cheaper to build than to keep, key first."""
    return [(str(row[0]), str(row[1])) async for row in await conn.execute(_INDEXES, target.names)]


async def staging_statement(conn: Connection, target: Target, *, computed: bool) -> str:
    """DDL of a temporary table of the same name, columns, defaults and checks.

    Args:
        conn: the login whose temporary table it will be.
        target: the table to resemble.
        computed: ``the_geom_webmercator`` is computed as rows arrive; it cannot be written then.
    """
    row = await (await conn.execute(_STAGE, {**target.names, "computed": computed})).fetchone()
    if row is None or row[0] is None:
        raise LookupError("a table with columns has a definition")
    return str(row[0])
